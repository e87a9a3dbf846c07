"""Where an unfinished chain or group stands now: what its engine knows, with what is known of its jobs."""

from __future__ import annotations

from collections import Counter

import msgspec

from pocket3d.bus.port import Bus
from pocket3d.contracts.chain_messages import ChainStatus, GroupStatus, StepStatus, StepWord
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Progress
from pocket3d.contracts.subjects import Subjects

from ..chains.record import ChainRecord
from ..chains.story import status_of
from ..engine.explain import explain
from ..engine.job_list import word_of
from ..engine.state import Core


async def now_of(
    bus: Bus, subjects: Subjects, core: Core, record: ChainRecord, now: Now, *, brief: bool = False
) -> ChainStatus | GroupStatus:
    """Its status, with where its jobs are. `brief`: without their progress, and why they wait.

    Raises:
        BusError: the progress of its jobs could not be read.
    """
    status = status_of(record, rfc3339(now.wall))
    if isinstance(status, GroupStatus):
        jobs = [
            msgspec.structs.replace(job, status="running")
            if job.status == "queued" and _word(core, job.job_id) == "running"
            else job
            for job in status.jobs
        ]
        counts = dict(Counter(job.status for job in jobs))
        began = bool(counts.keys() - {"queued", "waiting"})
        word = "running" if began and status.status == "queued" else status.status
        return msgspec.structs.replace(status, jobs=jobs, counts=counts, status=word)
    steps = [
        await _step(bus, subjects, core, step, now, brief=brief) if step.status == "queued" else step
        for step in status.steps
    ]
    done = sum(_done(step) for step in steps) / len(steps)
    began = any(step.status not in ("queued", "waiting") for step in steps)
    word = "running" if began and status.status == "queued" else status.status
    return msgspec.structs.replace(status, steps=steps, fraction=round(done, 4), status=word)


def _word(core: Core, job_id: str) -> StepWord:
    record = core.jobs.get(job_id)
    return "running" if record is not None and word_of(record) == "running" else "queued"


def _done(step: StepStatus) -> float:
    if step.status in ("waiting", "queued"):
        return 0.0
    return min(max(step.fraction or 0.0, 0.0), 1.0) if step.status == "running" else 1.0


async def _step(bus: Bus, subjects: Subjects, core: Core, step: StepStatus, now: Now, *, brief: bool) -> StepStatus:
    """A step whose job is published."""
    record = core.jobs.get(step.job_id)
    if record is None:
        return step
    job = record.status(word_of(record), rfc3339(now.wall))
    reason = step.reason
    if record.state is JobState.QUEUED and not brief:
        reason = explain(core, record, now).summary
    progress = None
    if job.status == "running" and not brief:
        progress = await _progress(bus, subjects, step.job_id)
    return msgspec.structs.replace(
        step,
        status="running" if job.status == "running" else "queued",
        reason=reason,
        agent_id=job.agent_id,
        device=job.device,
        adapter_id=job.adapter_id,
        fraction=progress.fraction if progress is not None else None,
        stage=progress.stage if progress is not None else None,
    )


async def _progress(bus: Bus, subjects: Subjects, job_id: str) -> Progress | None:
    stored = await bus.last(subjects.progress_stream, subjects.progress_of(job_id))
    if stored is None:
        return None
    try:
        return decode(Progress, stored.data)
    except WireError:
        return None
