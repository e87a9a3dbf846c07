"""What a person should know of a result beside its files: what was made, what was ignored or lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pocket3d.contracts.messages import Result

#: Of one remark, and of how many a list is told; `pocket3d result --json` has all of it.
_CHARS = 300
_MANY = 12


def made(result: Result) -> str | None:
    """What a job that succeeded made, in one line: `8 bones, 342 vertices, 628 faces`; None if it does not say."""
    if result.status != "succeeded":
        return None
    outputs, facts = result.outputs or {}, _facts(result)
    counts = facts.get("statistics")
    counts = counts if isinstance(counts, Mapping) else {}
    holes, parts, closed = facts.get("holes_filled"), _count(outputs, facts, "num_parts"), facts.get("closed_parts")
    told = [
        _counted(_count(outputs, facts, "bone_count"), "bone"),
        _counted(parts, "part"),
        _counted(holes, "hole", " closed"),
        "nothing to do: nothing was open" if holes == 0 and parts is not None and closed == parts else None,
        _counted(_first(counts.get("vertices"), facts.get("vertex_count")), "vertex", plural="vertices"),
        _counted(_first(counts.get("faces"), facts.get("face_count")), "face"),
    ]
    return ", ".join(each for each in told if each) or None


def remarks(result: Result) -> list[str]:
    """What was ignored of the request or the input, what the output format could not hold, and other remarks."""
    facts = _facts(result)
    ignored = [*_texts(facts.get("ignored_words")), *_texts(facts.get("ignored"))]
    # Words of a prompt on one line; what is told with its reason has its own.
    words = [each for each in ignored if ": " not in each]
    lines = [f"ignored: {', '.join(words[:_MANY])}"] if words else []
    lines += [f"ignored: {each}" for each in ignored if ": " in each]
    lines += [f"lost: {each}" for each in _texts(facts.get("lost"))]
    lines += [f"note: {each}" for key in ("warnings", "notes") for each in _texts(facts.get(key))]
    if result.status == "succeeded" and facts.get("rig_type") == "unknown":
        lines.append("note: no body plan is known to this rigger, its bones follow the shape alone")
    lines = list(dict.fromkeys(map(_cut, lines)))
    more = len(lines) - _MANY
    return lines if more <= 0 else [*lines[:_MANY], f"note: {more} more of these; `pocket3d result --json` has all"]


def _facts(result: Result) -> dict[str, Any]:
    """The `..._info` of the outputs, whatever the feature calls it. An adapter may write anything there."""
    found: dict[str, Any] = {}
    for key, value in (result.outputs or {}).items():
        if key.endswith("_info") and isinstance(value, Mapping):
            found.update(value)
    return found


def _count(outputs: Mapping[str, Any], facts: Mapping[str, Any], key: str) -> Any:
    return _first(outputs.get(key), facts.get(key))


def _first(*values: Any) -> Any:
    return next((each for each in values if each is not None), None)


def _counted(count: Any, noun: str, more: str = "", plural: str | None = None) -> str | None:
    if not isinstance(count, int):
        return None
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}{more}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str) and each)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CHARS else f"{text[: _CHARS - 1]}…"
