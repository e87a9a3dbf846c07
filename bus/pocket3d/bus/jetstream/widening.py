"""What of a stream's or consumer's configuration is widened, and what is left alone, in words. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..stream_specs import MONITOR

#: Larger is wider; 0 and below mean no limit.
_LIMITS = frozenset(
    {
        "max_msgs",
        "max_bytes",
        "max_age",
        "max_msgs_per_subject",
        "max_msg_size",
        "max_consumers",
        "max_ack_pending",
        "max_deliver",
    }
)
_GROWING = frozenset({"num_replicas", "duplicate_window"})
#: May be set and changed at any time.
_FREE = frozenset({"description", "ack_wait", "priority_groups", "priority_policy"})
#: How a stream takes messages in: of one whose subjects are rewritten, this is changed as a whole or not at all.
INTAKE = ("subjects", "subject_transform", "republish", "discard", "discard_new_per_subject", "max_msgs_per_subject")
_DURATIONS = frozenset({"max_age", "duplicate_window", "ack_wait"})
#: May be switched on.
_SWITCHES = frozenset({"allow_atomic", "allow_direct", "allow_rollup_hdrs"})


class Widened(NamedTuple):
    """A configuration compared with the wanted one."""

    #: What to send as an update; None if nothing is to be widened.
    config: dict[str, Any] | None
    #: Differences that are left alone, in words.
    left: list[str]
    #: What is wider than wanted, and stays so on purpose, in words.
    kept: list[str]
    #: What the update changes, in words.
    changes: list[str]


def widen(name: str, have: dict[str, Any], want: dict[str, Any]) -> Widened:
    """Compare a configuration with the wanted one."""
    changed: dict[str, Any] = {}
    left: list[str] = []
    kept: list[str] = []
    if have.get("subject_transform") != want.get("subject_transform", have.get("subject_transform")):
        # Older agents would not reach it any more.
        left.append(f"{name} takes {_listed(have)}, wanted {_listed(want)}: `pocket3d topology --switch-results`")
        want = {key: wanted for key, wanted in want.items() if key not in INTAKE}
    for key, wanted in want.items():
        present = have.get(key)
        if key == "metadata":
            ours = {k: v for k, v in wanted.items() if _is_to_be_set(k, v, present or {})}
            if ours:
                changed[key] = {**(present or {}), **ours}
        elif key == "subjects":
            missing = [subject for subject in wanted if subject not in (present or [])]
            extra = [subject for subject in present or [] if subject not in wanted]
            if missing:
                changed[key] = [*(present or []), *missing]
            if extra:
                left.append(f"{name} also takes {', '.join(extra)}")
        elif key == "sources":
            if _sources(present) != _sources(wanted):
                left.append(f"{name} copies from other sources than wanted")
        elif _normal(key, present) != _normal(key, wanted):
            if _may_change(key, present, wanted):
                changed[key] = wanted
            else:
                words = f"{name}: {key} is {spoken(key, present)}, wanted {spoken(key, wanted)}"
                if _is_wider(key, present, wanted):
                    kept.append(f"{words}; wider is kept on purpose")
                else:
                    left.append(words)
    changes = [_change(key, have.get(key), value) for key, value in changed.items()]
    return Widened({**have, **changed} if changed else None, left, kept, changes)


def _listed(config: dict[str, Any]) -> str:
    return ", ".join(config.get("subjects") or ()) or "nothing"


def _change(key: str, present: Any, wanted: Any) -> str:
    if key in ("metadata", "subjects"):
        return f"{key} lack some"
    return f"{key} is {spoken(key, present)}, wanted {spoken(key, wanted)}"


def _is_to_be_set(key: str, value: str, present: dict[str, str]) -> bool:
    """Bounds of monitoring are the operator's once they are set."""
    return key not in present if key.startswith(MONITOR) else present.get(key) != value


def spoken(key: str, value: Any) -> str:
    """A value of a configuration as a person says it."""
    if key in _LIMITS and int(value or 0) <= 0:
        return "without limit"
    if key in _DURATIONS:
        seconds = int(value or 0) / 1e9
        for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
            if seconds >= size and seconds % size == 0:
                return f"{seconds / size:g} {unit}"
        return f"{seconds:g} s"
    if key in ("max_bytes", "max_msg_size"):
        return f"{int(value) / (1 << 20):g} MiB"
    return str(value)


def _may_change(key: str, present: Any, wanted: Any) -> bool:
    if key in _FREE:
        return True
    if key in _SWITCHES:
        return bool(wanted)
    if key in _GROWING:
        return int(wanted) > int(present or 0)
    if key in _LIMITS:
        limit, old = int(wanted), int(present or 0)
        return limit <= 0 or (0 < old < limit)
    return False


def _is_wider(key: str, present: Any, wanted: Any) -> bool:
    return (key in _LIMITS or key in _GROWING) and not _may_change(key, present, wanted)


def _normal(key: str, value: Any) -> Any:
    if key in _LIMITS:
        return max(int(value or 0), 0)
    return value or None


def _sources(sources: Any) -> list[tuple[str, str, str]]:
    return sorted(
        (source["name"], transform["src"], transform["dest"])
        for source in sources or []
        for transform in source.get("subject_transforms") or [{"src": "", "dest": ""}]
    )
