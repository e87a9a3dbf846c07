"""Reads results from their stream: of a job in doubt, and of an ended one that may answer another."""

from __future__ import annotations

from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import ReadCached, ReadResult
from ..engine.events import CachedRead, ResultRead, ResultSeen, ResultUnreadable
from ..engine.history import read_stored_result
from ..leadership.bus_answers import EffectFailed
from .first_event_io import failed


async def read_result(bus: Bus, subjects: Subjects, effect: ReadResult) -> ResultRead | ResultUnreadable | EffectFailed:
    """What the stream holds for one job."""
    try:
        found = await _read(bus, subjects, effect.job_id)
    except BusError as error:
        return failed(effect, error)
    if found is None:
        return ResultRead(effect.job_id, None)
    return ResultRead(effect.job_id, found.result) if isinstance(found, ResultSeen) else found


async def read_cached(bus: Bus, subjects: Subjects, effect: ReadCached) -> CachedRead | EffectFailed:
    """The result of a job that succeeded and all of whose files are there."""
    none = CachedRead(effect.job_id, effect.source, effect.made, None)
    try:
        found = await _read(bus, subjects, effect.source)
        if not isinstance(found, ResultSeen) or found.result.status != "succeeded":
            return none
        for artifact in found.result.artifacts:
            if await bus.object_info(artifact.bucket, artifact.object) is None:
                return none
    except BusError as error:
        return failed(effect, error)
    return none._replace(result=found.result)


async def _read(bus: Bus, subjects: Subjects, job_id: str) -> ResultSeen | ResultUnreadable | None:
    found = await bus.last(subjects.results_stream, subjects.result_of(job_id))
    return read_stored_result(job_id, found.subject, found.seq, found.data) if found is not None else None
