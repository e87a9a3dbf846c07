"""Reads results from their stream: of a job in doubt, and of an ended one that may answer another."""

from __future__ import annotations

from pocket3d.bus.port import (
    TEMPORARILY_UNAVAILABLE,
    Bus,
    BusError,
    Disconnected,
    NoResponders,
    OutcomeUnknown,
    Refused,
)
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
        # Not there is also a file whose bucket is gone, or whose record is none: it would be asked for until the end of
        # the job's time.
        return failed(effect, error) if _passes(error) else none
    return none._replace(result=found.result)


def _passes(error: BusError) -> bool:
    """True if the server may say something else of the same question later, by itself."""
    if isinstance(error, Refused):
        return error.code == TEMPORARILY_UNAVAILABLE
    return isinstance(error, Disconnected | NoResponders | OutcomeUnknown)


async def _read(bus: Bus, subjects: Subjects, job_id: str) -> ResultSeen | ResultUnreadable | None:
    found = await bus.last(subjects.results_stream, subjects.result_of(job_id))
    return read_stored_result(job_id, found.subject, found.seq, found.data) if found is not None else None
