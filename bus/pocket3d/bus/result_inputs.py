"""Looks, before a job is stored, whether the files of other jobs that it names are there, and for how long."""

from __future__ import annotations

from pocket3d.contracts.codec import WireError
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import FileRef, result_refs
from pocket3d.contracts.jobs import Job, Rejection
from pocket3d.contracts.messages import Result, read_result
from pocket3d.contracts.result_files import choose
from pocket3d.contracts.subjects import Subjects

from .port import Bus


async def check_results(bus: Bus, subjects: Subjects, job: Job, wall: float) -> Rejection | None:
    """Why a job that names results cannot have what it wants; None where it can, or where that is not known yet: a job
    that has not ended is waited for.

    Args:
        bus: reads.
        subjects: of the namespace.
        job: well-shaped.
        wall: the time, Unix seconds.

    Raises:
        BusError: the server cannot be asked.
    """
    results: dict[str, Result | None] = {}
    for ref in result_refs(job.inputs):
        source = ref.result or ""
        if source not in results:
            results[source] = await _result_of(bus, subjects, source)
        result = results[source]
        if result is None or result.status != "succeeded":
            continue
        wrong = await _check(bus, subjects, ref, result, job, wall)
        if wrong is not None:
            return wrong
    return None


async def _check(bus: Bus, subjects: Subjects, ref: FileRef, result: Result, job: Job, wall: float) -> Rejection | None:
    chosen = choose(ref, result)
    if isinstance(chosen, Rejection):
        return chosen
    field, code = f"{ref.field}.result", FailureCode.ARTIFACT_MISSING
    info = await bus.object_info(chosen.bucket, chosen.object)
    if info is None:
        return Rejection(code, field, f"{chosen.name} of job {ref.result} is not kept any more: do that job again")
    left_s, may_take_s = info.kept_until - wall, job.limits.most_s
    if left_s < may_take_s:
        why = f"{chosen.name} of job {ref.result} is kept for {left_s:.0f} s more"
        rest = f"the job may take {may_take_s:.0f} s by its limits: set shorter ones, or do job {ref.result} again"
        return Rejection(code, field, f"{why} and {rest}")
    return None


async def _result_of(bus: Bus, subjects: Subjects, job_id: str) -> Result | None:
    stored = await bus.last(subjects.results_stream, subjects.result_of(job_id))
    try:
        return read_result(stored.data, job_id) if stored is not None else None
    except WireError:
        # The leading coordinator puts a result in its place.
        return None
