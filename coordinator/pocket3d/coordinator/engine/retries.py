"""What a failed attempt leads to: another one, elsewhere, later or with more room, or the end of the job."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FAILURES, FailureCode, RetryVerdict
from pocket3d.contracts.messages import AttemptError, JobError
from pocket3d.contracts.variants import RaisedNeed, choices

from .completion import finish
from .effects import PublishEvent
from .job import Attempt, JobRecord
from .state import Core


def fail(
    core: Core,
    record: JobRecord,
    code: FailureCode,
    message: str,
    field: str | None,
    vram_peak_mb: int | None,
    now: Now,
    *,
    beside: int = 0,
    more_room: bool = True,
) -> None:
    """The attempt failed: decide by its code what that means for the job.

    Args:
        beside: runs of other jobs that ended with the same worker. Of a crash it is not known then whose fault it was:
            it costs nobody an attempt, and each of these jobs is tried again on a worker that runs nothing else.
        more_room: of memory that ran out: whether a device with more room can help.
    """
    attempt = record.attempt
    assert attempt is not None
    facts = FAILURES[code]
    retry = record.retry_state()
    core.auctioneer.withdraw(attempt.agent_id)
    shared = code is FailureCode.WORKER_CRASHED and beside > 0
    if facts.benches and not shared:
        core.fleet.benches.note_failure(
            attempt.agent_id, attempt.device, attempt.adapter_id, record.job_id, now.mono, attempt.variant
        )
    if record.cancel_wanted:
        if code is not FailureCode.CANCELLED:
            _note_attempt(record, attempt, code, message, now)
        finish_cancelled(core, record, now)
        return
    _note_attempt(record, attempt, code, message, now, counted=not shared)
    if shared:
        _requeue(core, record, attempt, f"{message}; {beside} other jobs ran beside it: it is tried alone", 0.0, now)
        return
    if code is FailureCode.HANDED_BACK:
        _requeue(core, record, attempt, f"{attempt.agent_id} handed it back", 0.0, now)
        return
    retry.spent += 1
    policy = record.job_class.retry
    verdict = facts.verdict
    if code is FailureCode.CANCELLED:
        # Nobody asked the coordinator: an operator stopped the worker on its host. It is tried elsewhere.
        verdict = RetryVerdict.ELSEWHERE
    if verdict is RetryVerdict.MORE_ROOM and not more_room:
        # The host's memory, or others on the device: what the job asks for stays.
        verdict = RetryVerdict.ELSEWHERE_BACKOFF
    if verdict is RetryVerdict.NEVER or retry.spent >= policy.max_attempts:
        tried = f" (after {retry.spent} attempts)" if retry.spent > 1 else ""
        finish(core, record, "failed", code, message + tried, now, field=field)
        return
    delay = 0.0
    if verdict in (RetryVerdict.ELSEWHERE, RetryVerdict.ELSEWHERE_BACKOFF, RetryVerdict.AT_ONCE):
        retry.excluded = retry.excluded | {attempt.agent_id}
    if verdict in (RetryVerdict.BACKOFF, RetryVerdict.ELSEWHERE_BACKOFF):
        delay = policy.delay_s(retry.spent)
    if verdict is RetryVerdict.ELSEWHERE and set(core.fleet.agents) <= retry.excluded:
        # There is no elsewhere: at least give this agent a moment.
        delay = policy.delay_s(retry.spent)
    if verdict is RetryVerdict.MORE_ROOM and not _raise_requirement(core, record, attempt, vram_peak_mb):
        smaller = "" if attempt.variant is None else ", nor may it run in a smaller variant"
        place = f"{attempt.agent_id}/{attempt.device}"
        text = f"{message} (and no device of the fleet has more room than {place}{smaller})"
        finish(core, record, "failed", code, text, now)
        return
    _requeue(core, record, attempt, f"{code.value} on {attempt.agent_id}: {message}", delay, now)


def _raise_requirement(core: Core, record: JobRecord, attempt: Attempt, peak_mb: int | None) -> bool:
    """Ask for more than the device that ran out could give: half as much again as was asked or seen, but at most
    what the largest device of the fleet has. False if no device has more room.

    A job that names no variant is asked more of in the variant that ran out, and in larger ones, alone: it may take a
    smaller one, and that is enough.
    """
    view = core.fleet.agents.get(attempt.agent_id)
    offer = view.adapters.get(attempt.adapter_id) if view else None
    key = record.group_key()
    ways = choices(offer, key.wish) if offer is not None else []
    need_mb = next((each.need_mb for each in ways if each.variant == attempt.variant), key.vram_mb or 0)
    asked = max(need_mb, peak_mb or 0)
    raised = min(max(asked + asked // 2, asked + 256), core.fleet.largest_room_mb())
    more = raised > asked
    retry = record.retry_state()
    if attempt.variant is None or key.variant is not None or key.vram_mb is not None:
        retry.raised_mb = raised if more else retry.raised_mb
        return more
    one = RaisedNeed(adapter_id=attempt.adapter_id, variant=attempt.variant, vram_mb=raised if more else None)
    others = [each for each in retry.raised if (each.adapter_id, each.variant) != (one.adapter_id, one.variant)]
    retry.raised = (*others, one)
    return more or _has_smaller(core, record, attempt.adapter_id)


def _has_smaller(core: Core, record: JobRecord, adapter_id: str) -> bool:
    """True if an agent has a variant of the adapter smaller than those in which the job ran out of memory."""
    offers = [offer for view in core.fleet.agents.values() if (offer := view.adapters.get(adapter_id)) is not None]
    return any(offer.available and choices(offer, record.group_key().wish) for offer in offers)


def _note_attempt(
    record: JobRecord, attempt: Attempt, code: FailureCode, message: str, now: Now, *, counted: bool = True
) -> None:
    record.retry_state().attempts.append(
        AttemptError(
            attempt=attempt.number,
            agent_id=attempt.agent_id,
            device=attempt.device,
            variant=attempt.variant,
            code=code.value,
            message=message[:2000],
            at=rfc3339(now.wall),
            counted=counted,
        )
    )


def _requeue(core: Core, record: JobRecord, attempt: Attempt, reason: str, delay_s: float, now: Now) -> None:
    retry = record.retry_state()
    core.drop_attempt(record, now)
    record.not_before = now.mono + delay_s
    core.enqueue(record, reason, now, returned=not retry.suspect)
    error = JobError(code=retry.attempts[-1].code, message=reason[:2000], attempts=list(retry.attempts))
    status = record.status("queued", rfc3339(now.wall), reason=reason[:2000], error=error)
    core.do(PublishEvent("requeued", status, record.seq))


def finish_cancelled(core: Core, record: JobRecord, now: Now) -> None:
    """End it as it was asked for."""
    reason = (record.retry.cancel if record.retry else None) or "cancelled on request"
    finish(core, record, "cancelled", FailureCode.CANCELLED, reason, now)
