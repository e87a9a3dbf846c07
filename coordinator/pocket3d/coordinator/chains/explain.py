"""Why the job of a step is not published: what one can be told who asks for a job that nobody knows yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pocket3d.contracts.api import Explanation
from pocket3d.contracts.chains import job_id_of
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN

from .record import ChainKey, ChainRecord, StepRecord, StepState
from .story import word_of

#: What follows the id of a job that is tried anew.
_ROUND = re.compile(r"-r[0-9]+\Z")


def may_belong_to(job_id: str) -> Iterator[ChainKey]:
    """The chain, and the group, of which a job with this id could be."""
    # The name of a step, or the number of a job, has no `-`.
    name = _ROUND.sub("", job_id).rpartition("-")[0]
    if CHAIN_ID_PATTERN.fullmatch(name):
        yield ChainKey("chain", name)
        yield ChainKey("group", name)


def explain_step(chain: ChainRecord, job_id: str, full: str | None) -> Explanation | None:
    """What the step with this job waits for, or why it has none; None if the chain has no such step.

    Args:
        chain: as it stands, ended or not.
        job_id: of the step in this round, or in an earlier one.
        full: why no further job of its tenant is taken; None if it is.
    """
    for step in chain.steps:
        if step.job_id == job_id:
            sources = [each for each in chain.sources(step) if not each.ended]
            told = _why(chain, step, sources, full)
            waits_for = [each.job_id for each in sources]
        elif job_id in (job_id_of(step.plan.first_id, number) for number in range(1, chain.round_no)):
            told, waits_for = f"it was tried anew as the job {step.job_id}", []
        else:
            continue
        what = "step" if chain.key.kind == "chain" else "job"
        summary = f"{what} {step.plan.name} of the {chain.key.kind} {chain.key.name}: {told}"
        return Explanation(status=word_of(step), summary=summary, waits_for=waits_for, tenant=chain.tenant)
    return None


def _why(chain: ChainRecord, step: StepRecord, sources: list[StepRecord], full: str | None) -> str:
    if step.state is StepState.WAITING:
        if chain.held:
            return "its chain is to be tried again, which is being stored"
        if chain.cancel_reason is not None:
            return f"its chain is being cancelled: {chain.cancel_reason}"
        named = " and ".join(f"{each.plan.name} (job {each.job_id})" for each in sources)
        return f"waits for {named}, and becomes a job when {'it has' if len(sources) == 1 else 'they have'} succeeded"
    if step.state is StepState.STARTING:
        return full or "its job is being published"
    if step.state is StepState.STARTED:
        return "its job is published and not read yet"
    if step.failure is None:
        return f"it has ended: {word_of(step)}"
    return f"it has ended: {word_of(step)}, {step.failure.message}"
