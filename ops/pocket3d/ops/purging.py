"""What `pocket3d purge` may remove: ended jobs with all that is kept of them, and models' environments. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Artifact, Result, Status


class Ended(NamedTuple):
    """An ended job, and what is kept of it."""

    job_id: str
    feature: str
    status: str
    #: Unix seconds.
    ended_at: float
    artifacts: tuple[Artifact, ...]

    @property
    def size(self) -> int:
        """Of its files, bytes."""
        return sum(each.size for each in self.artifacts)


def ended_job(status: Status, result: Result | None) -> Ended | None:
    """A job as it may be removed; None while it has not ended, or where nobody knows when it did."""
    if status.status not in TERMINAL:
        return None
    try:
        at = parse_rfc3339(status.at)
    except ValueError:
        return None
    artifacts = tuple(result.artifacts) if result is not None else ()
    return Ended(status.job_id, status.feature, status.status, at, artifacts)


def due(jobs: Iterable[Ended], before: float, needed: frozenset[str]) -> list[Ended]:
    """Those that ended before a time (Unix seconds) and that no unfinished job needs, the oldest first."""
    return sorted(
        (job for job in jobs if job.ended_at < before and job.job_id not in needed), key=lambda job: job.ended_at
    )


def with_own_files(found: Iterable[Ended], stay: Iterable[Ended]) -> list[Ended]:
    """The same, each with those of its files that no job names that stays: one that was answered from the cache names
    the files of the job that made them.
    """
    needed = {(each.bucket, each.object) for job in stay for each in job.artifacts}
    return [
        job._replace(artifacts=tuple(each for each in job.artifacts if (each.bucket, each.object) not in needed))
        for job in found
    ]


def named_in(request: Mapping[str, Any]) -> frozenset[str]:
    """The jobs whose results a request names as its inputs."""
    found: set[str] = set()
    waiting: list[Any] = [request.get("inputs")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if isinstance(value.get("result"), str):
                found.add(value["result"])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return frozenset(found)


def environments_in_use(adapters: Iterable[str | None], folders: Iterable[Path]) -> frozenset[Path]:
    """Of some models' folders, those in which an interpreter lies that a `models.yaml` names."""
    named = [Path(python).absolute() for python in adapters if python is not None]
    return frozenset(folder for folder in folders if any(folder.absolute() in path.parents for path in named))
