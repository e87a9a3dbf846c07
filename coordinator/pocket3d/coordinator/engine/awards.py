"""Awards: one message per agent, and what its answer, or none, means for each job."""

from __future__ import annotations

from pocket3d.contracts.bounds import MOST_COUNT
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode, FailureCode
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.variants import choices

from ..auction.fleet import AgentView
from ..auction.planning import Assignment
from .attempts import ON_AGENT, attempt_started, take_back
from .completion import finish
from .effects import AwardItem, ProveLeadership, SendAwards
from .events import AwardsRefused, AwardsReturned, AwardsUnanswered, AwardTooLarge, BodyGone, CallTooLarge
from .job import Attempt, JobRecord
from .removal import message_gone
from .state import Core


def send_awards(core: Core, assignments: list[Assignment], now: Now) -> None:
    """Turn a round's decisions into awards, one message per agent."""
    items: dict[str, list[AwardItem]] = {}
    for assignment in assignments:
        record = assignment.record
        view = core.fleet.agents.get(assignment.agent_id)
        if view is None or record.state is not JobState.QUEUED:
            core.queue.share.settle(assignment.charge, 0.0)
            continue
        key = record.group_key()
        core.leave_queue(record)
        core.auctioneer.backfill.release_place(key, assignment.agent_id, assignment.device)
        # What it was before may come of anybody's event. An award that is no message would cost all that go with it.
        record.attempt_no = min(record.attempt_no + 1, MOST_COUNT)
        record.started_published = False
        attempt = record.attempt = Attempt(
            number=record.attempt_no,
            token=core.token(),
            agent_id=assignment.agent_id,
            incarnation=view.advert.incarnation,
            device=assignment.device,
            adapter_id=assignment.adapter_id,
            variant=assignment.variant,
            passed_over=assignment.passed_over,
            expected=assignment.expected,
            claim_mb=assignment.claim_mb,
            awarded_at=now.mono,
            charge=assignment.charge,
            apart=key.apart,
        )
        record.move(JobState.AWARDED, f"to {assignment.agent_id}/{assignment.device}")
        core.book_attempt(record, now)
        items.setdefault(assignment.agent_id, []).append(
            AwardItem(
                job_id=record.job_id,
                seq=record.seq,
                feature=record.job_class.feature,
                attempt=attempt.number,
                token=attempt.token,
                adapter_id=attempt.adapter_id,
                device=attempt.device,
                vram_mb=_raised_mb(record, view, attempt),
                submitted_at=record.submitted_at,
                queued_s=max(0.0, now.mono - record.queued_at),
                priority=record.job_class.priority,
                variant=attempt.variant,
                objects=core.held.objects(record.job_id),
                size_class=key.size_class,
                version=view.adapters[attempt.adapter_id].version if attempt.adapter_id in view.adapters else "",
            )
        )
    for agent_id, awards in items.items():
        core.do(SendAwards(agent_id, core.fleet.agents[agent_id].advert.incarnation, tuple(awards)))


def _raised_mb(record: JobRecord, view: AgentView, attempt: Attempt) -> int | None:
    """What the job needs there after it ran out of memory, MB; None if it never did, or in larger variants alone."""
    retry, offer = record.retry, view.adapters.get(attempt.adapter_id)
    if retry is None or not retry.raised or offer is None:
        return retry.raised_mb if retry is not None else None
    ways = choices(offer, record.group_key().wish)
    return next((each.asked_mb for each in ways if each.variant == attempt.variant), None)


def _on_agent(core: Core, job_id: str, token: str) -> JobRecord | None:
    """The job whose current attempt has that token."""
    record = core.jobs.get(job_id)
    if record is None or record.attempt is None or record.attempt.token != token or record.state not in ON_AGENT:
        return None
    return record


def _booked(core: Core, agent_id: str, token: str) -> JobRecord | None:
    view = core.fleet.agents.get(agent_id)
    booking = view.attempts.get(token) if view else None
    return _on_agent(core, booking.job_id, token) if booking else None


def awards_returned(core: Core, event: AwardsReturned, now: Now) -> None:
    """Take in the agent's answer, job by job: its ledger has the last word."""
    answer = event.answer
    view = core.fleet.agents.get(answer.agent_id)
    for one in answer.answers:
        record = _on_agent(core, one.job_id, one.token)
        if record is None or record.attempt is None:
            continue
        if one.accepted:
            core.answered(record, answer.seq)
            if one.started:
                attempt_started(core, record, now)
        elif record.state is JobState.AWARDED:
            why = one.reason
            if why is not None and why.code == DeclineCode.PARAMETERS.value:
                _refused_by_adapter(core, record, why, now)
                continue
            take_back(core, record, "declined", now)
            group = core.queue.group_of(record.group_key())
            if group is not None and view is not None:
                group.declined[answer.agent_id] = view.version
                if why is not None:
                    group.reasons[answer.agent_id] = [why]


def _refused_by_adapter(core: Core, record: JobRecord, reason: Reason, now: Now) -> None:
    """Take back a job whose parameters the agent refuses: its schema was not known here when the job came."""
    assert record.attempt is not None
    job_class = record.job_class
    unfit = {*job_class.unfit, record.attempt.adapter_id}
    left = [a for a in core.fleet.checks_of(job_class.canonical) if a not in unfit]
    if job_class.preferred is not None:
        left = [a for a in job_class.preferred if a not in unfit]
    record.job_class = core.intern(job_class._replace(unfit=tuple(sorted(unfit))))
    take_back(core, record, "its parameters are refused", now)
    if record.state is JobState.QUEUED and not record.cancel_wanted and not left:
        text = f"{reason.message} ({reason.adapter_id})"
        finish(core, record, "rejected", FailureCode.INVALID_INPUT, text, now, field=reason.field or "inputs")


def awards_refused(core: Core, event: AwardsRefused, now: Now) -> None:
    """Take back awards that the agent refused as a whole: it has seen a younger epoch, or could not read them."""
    for token in event.tokens:
        record = _booked(core, event.agent_id, token)
        if record is not None and record.state is JobState.AWARDED:
            take_back(core, record, f"refused: {event.code}", now)
    core.proven = False
    core.do(ProveLeadership())


def awards_unanswered(core: Core, event: AwardsUnanswered, now: Now) -> None:
    """Keep the capacity of an unanswered award booked until the agent says what it runs."""
    asked = False
    for token in event.tokens:
        record = _booked(core, event.agent_id, token)
        if record is None:
            continue
        if not event.sent and record.state is JobState.AWARDED:
            take_back(core, record, "the award could not be sent", now)
        elif record.attempt is not None:
            asked = True
            record.attempt.unanswered = record.attempt.answer_seq is None
            core.index.file(record)
    view = core.fleet.agents.get(event.agent_id)
    if asked and view is not None:
        core.ask_state(view, now)


def body_gone(core: Core, event: BodyGone, now: Now) -> None:
    """Take back the award of a job whose request somebody removed from the jobs stream."""
    record = _on_agent(core, event.job_id, event.token)
    if record is not None and record.state is JobState.AWARDED:
        cancelled = record.cancel_wanted
        take_back(core, record, "its message is gone", now)
        # A message that was published again may have taken its place meanwhile.
        if not cancelled and event.seq == record.seq:
            message_gone(core, record, now)


def award_too_large(core: Core, event: AwardTooLarge, now: Now) -> None:
    """End a job whose request fits a message alone, and not with what an award adds to it."""
    record = _on_agent(core, event.job_id, event.token)
    if record is not None and record.state is JobState.AWARDED:
        cancelled = record.cancel_wanted
        take_back(core, record, "its award is too large", now)
        if not cancelled:
            text = f"its award has {event.size} bytes, the server takes messages of at most {event.limit}"
            finish(core, record, "failed", FailureCode.TOO_LARGE, text, now, field="body")


def call_too_large(core: Core, event: CallTooLarge, now: Now) -> None:
    """End the jobs of a lot that no call can carry: it can never be placed."""
    text = f"the call for bids has {event.size} bytes, the server takes messages of at most {event.limit}"
    for record in core.auctioneer.drop_call(event.call_id):
        finish(core, record, "failed", FailureCode.TOO_LARGE, text, now, field="model_preference")
