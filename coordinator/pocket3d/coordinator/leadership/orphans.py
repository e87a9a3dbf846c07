"""Files that nothing refers to: which objects of jobs no result names, and which chunks belong to no object. Pure.

An agent that dies between its upload and its result leaves an object, an upload that is broken off leaves chunks.
Whoever asks may be wrong about what is under way, so everything is left alone for a grace first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pocket3d.contracts.codec import WireError
from pocket3d.contracts.messages import read_result
from pocket3d.contracts.subjects import JOB_ID_PATTERN


def job_of(name: str) -> str | None:
    """The job in the name of an output, `<job>/<token>/<file>`; None if it is none."""
    parts = name.split("/", 2)
    return parts[0] if len(parts) == 3 and JOB_ID_PATTERN.fullmatch(parts[0]) else None


def is_named(name: str, result: bytes, job_id: str) -> bool:
    """True if a stored result refers to an object. One that cannot be read may: a later version wrote it."""
    if name.encode() in result:
        return True
    try:
        return any(artifact.object == name for artifact in read_result(result, job_id).artifacts)
    except WireError:
        return True


def due_job(name: str, stored_at: float, wall: float, grace_s: float) -> str | None:
    """The job whose result says whether an object is kept; None if it is not asked: it is younger than the grace, or
    no output of a job.
    """
    return job_of(name) if wall - stored_at >= grace_s else None


class LooseUploads:
    """Chunks without an object, of one store, as they are found again and again.

    Args:
        grace_s: how long an upload may stand still before it counts as broken off, seconds.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        #: Upload -> its chunks, and since when there are as many, monotonic seconds.
        self._since: dict[str, tuple[int, float]] = {}

    def broken_off(self, uploads: Mapping[str, int], named: Iterable[str], now_mono: float) -> list[str]:
        """Take in a list of uploads, made before the list of those that objects name; those that are to be removed."""
        loose = uploads.keys() - set(named)
        former, self._since = self._since, {}
        for upload in loose:
            chunks, since = former.get(upload, (0, now_mono))
            self._since[upload] = (chunks, since) if chunks == uploads[upload] else (uploads[upload], now_mono)
        return sorted(each for each, (_, since) in self._since.items() if now_mono - since >= self._grace_s)
