"""The fleet as one picture in text, for `pocket3d top`: queue, devices, rates, failures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Advert, DeviceState, Progress, Status
from pocket3d.contracts.variants import label

from .terminal_text import printable

#: Jobs by whose ends rates are counted go back so far, seconds.
WINDOW_S = 300.0
#: Lines of each list.
_RUNNING = 12
_WAITING = 6
_FAILED = 5
_BAR = 16


class Snapshot(NamedTuple):
    """What was asked at one moment."""

    #: Unix seconds.
    at: float
    agents: Sequence[Advert]
    #: The latest jobs, the newest first.
    jobs: Sequence[Status]
    #: Whether there are older jobs than these.
    more: bool
    #: The latest progress of running jobs, by id.
    progress: dict[str, Progress]
    #: All jobs that have not ended; None where nobody says.
    unfinished: int | None = None


def picture(now: Snapshot, width: int = 110) -> list[str]:
    """The lines to show."""
    lines = [_headline(now), ""]
    lines += _devices(now.agents)
    lines += _section("RUNNING", _running(now))
    lines += _section("WAITING, the longest first", _waiting(now))
    lines += _section(f"FAILED in the last {WINDOW_S / 60:.0f} minutes", _failed(now))
    return [each if len(each) <= width else f"{each[: width - 1]}…" for each in (printable(line, "") for line in lines)]


def _headline(now: Snapshot) -> str:
    ended = [job for job in now.jobs if job.status in TERMINAL and _ago(now, job) <= WINDOW_S]
    # Where not even the oldest of the latest jobs is older, the window is as long as those go back.
    window = WINDOW_S
    if now.more and now.jobs:
        window = max(min(WINDOW_S, max(_ago(now, job) for job in now.jobs)), 1.0)
    words = Counter(job.status for job in ended)
    running = sum(len(advert.running) for advert in now.agents)
    waiting = max(now.unfinished - running, 0) if now.unfinished is not None else None
    bad = ", ".join(f"{words[word]} {word}" for word in sorted(set(words) - {"succeeded"}))
    parts = [
        f"{len(now.agents)} agent{'' if len(now.agents) == 1 else 's'}",
        f"{running} running",
        f"{waiting if waiting is not None else '?'} waiting",
        f"{60 * len(ended) / window:.1f} jobs/min",
        f"{words['succeeded']} succeeded{f', {bad}' if bad else ''} in {window:.0f} s",
    ]
    return " | ".join(parts)


def _devices(agents: Iterable[Advert]) -> Iterator[str]:
    for advert in sorted(agents, key=lambda each: each.agent_id):
        why = advert.reason or ("draining" if advert.draining else "")
        yield f"{advert.agent_id} on {advert.host}{f': takes no jobs: {why}' if why else ''}"
        for device in advert.devices:
            loaded = [
                f"{label(each.adapter_id, each.variant)} {each.vram_mb} MB"
                for each in advert.residents
                if each.device == device.id
            ]
            shut = f"  no jobs: {device.quarantine}" if device.quarantine is not None else ""
            busy = sum(each.device == device.id and each.on_device for each in advert.running)
            promised = f"+{_gb(device.reserved_mb)}" if device.reserved_mb else ""
            used = f"{_gb(device.total_mb - device.free_mb)}{promised}"
            yield (
                f"  {device.id:<12} {_bar(device)} {used}/{_gb(device.total_mb)} GB"
                f"  {busy} running  {', '.join(loaded) or 'nothing loaded'}{shut}"
            )


def _bar(device: DeviceState) -> str:
    """Memory: `#` in use, `+` promised, `.` free."""
    total = max(device.total_mb, 1)
    used = round(_BAR * min(max(device.total_mb - device.free_mb, 0) / total, 1))
    promised = min(round(_BAR * device.reserved_mb / total), _BAR - used)
    return f"[{'#' * used}{'+' * promised}{'.' * (_BAR - used - promised)}]"


def _gb(mb: int) -> str:
    return f"{max(mb, 0) / 1024:.1f}"


def _running(now: Snapshot) -> Iterator[str]:
    known = {job.job_id: job for job in now.jobs}
    rows = [(advert, run) for advert in now.agents for run in advert.running]
    for advert, run in rows[:_RUNNING]:
        job, progress = known.get(run.job_id), now.progress.get(run.job_id)
        loaded = any((each.adapter_id, each.variant) == (run.adapter_id, run.variant) for each in advert.residents)
        if progress is not None and progress.attempt == run.attempt:
            percent = "    " if progress.fraction is None else f"{progress.fraction:4.0%}"
            stage = f"{percent} {progress.stage or progress.message or ''}"
        elif not run.on_device:
            stage = "     storing its result"
        else:
            stage = "     " if loaded else "  0% loading"
        yield f"{run.job_id:<24} {_named(job):<30} {advert.agent_id}/{run.device:<12} {stage}"
    if len(rows) > _RUNNING:
        yield f"... and {len(rows) - _RUNNING} more"


def _waiting(now: Snapshot) -> Iterator[str]:
    waiting = [job for job in now.jobs if job.status in ("submitted", "queued")]
    for job in list(reversed(waiting))[:_WAITING]:
        yield f"{job.job_id:<24} {_named(job):<30} {job.feature:<20} {job.priority:<7} {_ago(now, job):.0f} s"
    if waiting:
        counts = Counter(job.feature for job in waiting)
        told = ", ".join(f"{count} {feature}" for feature, count in counts.most_common())
        yield f"{'of the latest jobs: ' if now.more else ''}{told}"


def _failed(now: Snapshot) -> Iterator[str]:
    for job in now.jobs:
        if job.status not in TERMINAL or job.status == "succeeded" or _ago(now, job) > WINDOW_S:
            continue
        why = f"{job.error.code}: {job.error.message}" if job.error else job.reason or ""
        yield f"{job.job_id:<24} {_named(job):<30} {job.status:<9} {' '.join(why.split())}"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    shown = found[:_FAILED] if title.startswith("FAILED") else found
    yield ""
    yield title
    yield from (f"  {line}" for line in shown) if shown else ("  none",)
    if len(found) > len(shown):
        yield f"  ... and {len(found) - len(shown)} more: pocket3d jobs --since 5m"


def _named(job: Status | None) -> str:
    text = (job.label or job.feature) if job is not None else ""
    return text if len(text) <= 30 else f"{text[:29]}…"


def _ago(now: Snapshot, job: Status) -> float:
    try:
        return max(now.at - parse_rfc3339(job.at), 0.0)
    except ValueError:
        return float("inf")
