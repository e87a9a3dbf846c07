"""Awards and what becomes of them: answers, starts, failures, lost agents, the decision to try again."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import AttemptFailed, AttemptStarted, Reason
from pocket3d.contracts.failures import FAILURES, DeclineCode, FailureCode, RetryVerdict
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import AttemptError, JobError, RunningJob

from .core import Core
from .effects import AskState, AwardItem, NoteOutcomes, ProveLeadership, PublishEvent, SendAwards, StoreResult
from .endings import ask_again, conclude
from .events import (
    AwardsRefused,
    AwardsReturned,
    AwardsUnanswered,
    AwardTooLarge,
    BodyGone,
    CallTooLarge,
    OutcomesReturned,
    ResultRead,
)
from .fleet import AgentView, born
from .planning import Assignment
from .records import Attempt, JobRecord

_ON_AGENT = (JobState.AWARDED, JobState.RUNNING)


def send_awards(core: Core, assignments: list[Assignment], now: Now) -> None:
    """Turn a round's decisions into awards, one message per agent."""
    items: dict[str, list[AwardItem]] = {}
    for assignment in assignments:
        record = assignment.record
        view = core.fleet.agents.get(assignment.agent_id)
        if view is None or record.state is not JobState.QUEUED:
            continue
        raised = record.trouble.raised_mb if record.trouble else None
        core.leave_queue(record)
        core.auctioneer.release_hold(record.job_id)
        core.auctioneer.release_held(record.lot_key(), assignment.agent_id, assignment.device)
        record.attempt_no += 1
        record.started_told = False
        attempt = record.attempt = Attempt(
            number=record.attempt_no,
            token=core.token(),
            agent_id=assignment.agent_id,
            incarnation=view.advert.incarnation,
            device=assignment.device,
            adapter_id=assignment.adapter_id,
            claim_mb=assignment.claim_mb,
            awarded_at=now.mono,
        )
        record.move(JobState.AWARDED, f"to {assignment.agent_id}/{assignment.device}")
        core.fleet.book(attempt, record.job_id)
        items.setdefault(assignment.agent_id, []).append(
            AwardItem(
                job_id=record.job_id,
                seq=record.seq,
                feature=record.klass.feature,
                attempt=attempt.number,
                token=attempt.token,
                adapter_id=attempt.adapter_id,
                device=attempt.device,
                vram_mb=raised,
                submitted_at=record.submitted_at,
                queued_s=max(0.0, now.mono - record.queued_at),
            )
        )
    for agent_id, awards in items.items():
        core.do(SendAwards(agent_id, core.fleet.agents[agent_id].advert.incarnation, tuple(awards)))


def _on_agent(core: Core, job_id: str, token: str) -> JobRecord | None:
    """The job whose current attempt has that token."""
    record = core.jobs.get(job_id)
    if record is None or record.attempt is None or record.attempt.token != token or record.state not in _ON_AGENT:
        return None
    return record


def _booked(core: Core, agent_id: str, token: str) -> JobRecord | None:
    view = core.fleet.agents.get(agent_id)
    job_id = view.attempts.get(token) if view else None
    return _on_agent(core, job_id, token) if job_id else None


def awards_returned(core: Core, event: AwardsReturned, now: Now) -> None:
    """The agent's ledger had the last word, job by job."""
    answer = event.answer
    view = core.fleet.agents.get(answer.agent_id)
    for one in answer.answers:
        record = _on_agent(core, one.job_id, one.token)
        if record is None or record.attempt is None:
            continue
        if one.accepted:
            record.attempt.answer_seq = answer.seq
            if one.started:
                attempt_started(core, record, now)
        elif record.state is JobState.AWARDED:
            line_key_reason = one.reason
            if line_key_reason is not None and line_key_reason.code == DeclineCode.PARAMETERS.value:
                _refused_by_adapter(core, record, line_key_reason, now)
                continue
            _take_back(core, record, "declined", now)
            line = core.queue.line_of(record.lot_key())
            if line is not None and view is not None:
                line.declined[answer.agent_id] = view.version
                if line_key_reason is not None:
                    line.reasons[answer.agent_id] = [line_key_reason]


def _refused_by_adapter(core: Core, record: JobRecord, reason: Reason, now: Now) -> None:
    """The adapter's own agent refuses the parameters: this leader had not heard its schema when the job came."""
    assert record.attempt is not None
    klass = record.klass
    unfit = {*klass.unfit, record.attempt.adapter_id}
    left = [a for a in core.fleet.checks_of(klass.canonical) if a not in unfit]
    if klass.preferred is not None:
        left = [a for a in klass.preferred if a not in unfit]
    record.klass = core.intern(klass._replace(unfit=tuple(sorted(unfit))))
    _take_back(core, record, "its parameters are refused", now)
    if record.state is JobState.QUEUED and not left:
        text = f"{reason.message} ({reason.adapter_id})"
        core.finish(record, "rejected", FailureCode.INVALID_INPUT, text, now, field=reason.field or "inputs")


def _take_back(core: Core, record: JobRecord, why: str, now: Now) -> None:
    """The award did not come about: it costs no attempt, and the job keeps its place."""
    queued_at = record.queued_at
    if record.attempt is not None:
        core.auctioneer.withdraw(record.attempt.agent_id)
    core.drop_attempt(record)
    if record.attempt_no > 0:
        record.attempt_no -= 1
    if record.cancel_wanted:
        _finish_cancelled(core, record, now)
        return
    core.enqueue(record, why, now, returned=True, queued_at=queued_at)


def awards_refused(core: Core, event: AwardsRefused, now: Now) -> None:
    """The agent has seen a younger epoch, or could not read the award: nothing of it came about."""
    for token in event.tokens:
        record = _booked(core, event.agent_id, token)
        if record is not None and record.state is JobState.AWARDED:
            _take_back(core, record, f"refused: {event.code}", now)
    core.proven = False
    core.do(ProveLeadership())


def awards_unanswered(core: Core, event: AwardsUnanswered, now: Now) -> None:
    """Unknown: the capacity stays booked until the agent says what it runs."""
    asked = False
    for token in event.tokens:
        record = _booked(core, event.agent_id, token)
        if record is None:
            continue
        if not event.sent and record.state is JobState.AWARDED:
            _take_back(core, record, "the award could not be sent", now)
        elif record.attempt is not None:
            asked = record.attempt.unanswered = True
            core.unanswered[record.job_id] = None
    view = core.fleet.agents.get(event.agent_id)
    if asked and view is not None:
        view.asked_at = now.mono
        core.do(AskState(event.agent_id))


def body_gone(core: Core, event: BodyGone, now: Now) -> None:
    """Somebody removed the request from the jobs stream behind our back."""
    record = _on_agent(core, event.job_id, event.token)
    if record is not None and record.state is JobState.AWARDED:
        cancelled = record.cancel_wanted
        _take_back(core, record, "its request is gone", now)
        if not cancelled:
            text = "the request is no longer in the jobs stream: it was removed from outside"
            core.finish(record, "failed", FailureCode.INVALID_INPUT, text, now, field="body")


def award_too_large(core: Core, event: AwardTooLarge, now: Now) -> None:
    """Its request fits the server alone, and not with what an award adds to it."""
    record = _on_agent(core, event.job_id, event.token)
    if record is not None and record.state is JobState.AWARDED:
        cancelled = record.cancel_wanted
        _take_back(core, record, "its award is too large", now)
        if not cancelled:
            text = f"its award has {event.size} bytes, the server takes messages of at most {event.limit}"
            core.finish(record, "failed", FailureCode.TOO_LARGE, text, now, field="body")


def call_too_large(core: Core, event: CallTooLarge, now: Now) -> None:
    """A lot that cannot be called for can never be placed."""
    text = f"the call for bids has {event.size} bytes, the server takes messages of at most {event.limit}"
    for record in core.auctioneer.drop_call(event.call_id):
        core.finish(record, "failed", FailureCode.TOO_LARGE, text, now, field="model_preference")


def outcomes_returned(core: Core, event: OutcomesReturned, now: Now) -> None:
    """Starts and failures. What cannot be judged yet is not noted, and comes again."""
    report = event.report
    view = core.fleet.agents.get(report.agent_id)
    if view is not None and born(report.incarnation) > born(view.advert.incarnation):
        # A new life that has not advertised yet.
        core.do(NoteOutcomes(event.request, ()))
        return
    noted: list[str] = []
    for outcome in report.outcomes:
        name = "attempt_started" if isinstance(outcome, AttemptStarted) else "attempt_failed"
        record = core.jobs.get(outcome.job_id)
        if record is None:
            if core.jobs_indexed:
                noted.append(f"{outcome.token}/{name}")
            continue
        if record.state in (JobState.SUBMITTED, JobState.RECOVERING) and record.attempt is None:
            continue
        noted.append(f"{outcome.token}/{name}")
        attempt = record.attempt
        if record.job_id in core.deferred or ended(record, outcome.token):
            # Said again: its answer was lost, or its consequence waits for the leadership to be proven.
            continue
        if attempt is None and isinstance(outcome, AttemptStarted) and record.state is JobState.QUEUED and view:
            running = RunningJob(
                job_id=outcome.job_id,
                attempt=outcome.attempt,
                token=outcome.token,
                adapter_id=outcome.adapter_id,
                device=outcome.device,
            )
            adopt(core, record, view, running, now)
            continue
        if attempt is None or attempt.token != outcome.token or record.state not in _ON_AGENT:
            continue
        if attempt.answer_seq is None:
            attempt.answer_seq = report.seq
        if isinstance(outcome, AttemptStarted):
            attempt_started(core, record, now)
        else:
            attempt_failed(core, record, outcome, now)
    core.do(NoteOutcomes(event.request, tuple(noted)))


def ended(record: JobRecord, token: str) -> bool:
    """True if that attempt's failure was reported before."""
    return record.trouble is not None and token in record.trouble.ended


def attempt_started(core: Core, record: JobRecord, now: Now) -> None:
    """The agent works on it."""
    if record.state is JobState.AWARDED:
        record.move(JobState.RUNNING, "started")
        core.tell_started(record, now)


def adopt(core: Core, record: JobRecord, view: AgentView, running: RunningJob, now: Now) -> None:
    """An agent runs it by an award that this engine does not remember (a former leader's, or one whose answer was
    lost): it keeps it.
    """
    if record.state is JobState.QUEUED:
        core.leave_queue(record)
        # It was told that it waits again.
        record.started_told = False
    core.recovering.pop(record.job_id, None)
    _was_not_lost(record, view.agent_id, running.attempt)
    record.attempt_no = max(record.attempt_no, running.attempt)
    record.attempt = Attempt(
        number=running.attempt,
        token=running.token,
        agent_id=view.agent_id,
        incarnation=view.advert.incarnation,
        device=running.device,
        adapter_id=running.adapter_id,
        claim_mb=0,
        awarded_at=now.mono,
    )
    record.attempt.answer_seq = view.advert.seq
    record.move(JobState.RUNNING, f"runs on {view.agent_id} by token {running.token}")
    core.fleet.book(record.attempt, record.job_id)
    core.tell_started(record, now)
    if record.cancel_wanted:
        record.attempt.cancel_by = now.mono + core.settings.cancel_wait_s
        core.cancelling[record.job_id] = None
        core.stop_attempt(record, "cancelled on request")


def heard_again(core: Core, record: JobRecord, view: AgentView) -> None:
    """The agent of the current attempt lists it: whatever was thought of it meanwhile, it is not lost."""
    attempt = record.attempt
    if attempt is None or (attempt.agent_id, attempt.incarnation) != (view.agent_id, view.advert.incarnation):
        return
    attempt.doubted = False
    if attempt.token not in view.attempts:
        # The agent was forgotten in between, and its bookings with it.
        core.fleet.book(attempt, record.job_id)
    ending = core.deferred.get(record.job_id)
    if ending is not None and ending[1].code == FailureCode.AGENT_LOST.value:
        del core.deferred[record.job_id]
        _was_not_lost(record, attempt.agent_id, attempt.number)


def _was_not_lost(record: JobRecord, agent_id: str, number: int) -> None:
    """Take back what was counted when this attempt was taken for lost: attempts are counted, not losses. An earlier
    leader may have counted it, so it is found by its number and its agent.
    """
    trouble = record.trouble
    if trouble is None:
        return
    lost = [
        error
        for error in trouble.attempts
        if (error.code, error.agent_id, error.attempt) == (FailureCode.AGENT_LOST.value, agent_id, number)
    ]
    if lost:
        trouble.attempts = [error for error in trouble.attempts if error not in lost]
        trouble.spent -= len(lost)
        if all(error.agent_id != agent_id for error in trouble.attempts):
            trouble.excluded -= {agent_id}


def doubt(core: Core, record: JobRecord) -> None:
    """Its agent no longer has it: the results stream is asked before anything is decided."""
    decided = record.job_id in core.deferred
    if record.attempt is not None and not decided and not record.attempt.doubted and record.state in _ON_AGENT:
        ask_again(core, record)


def result_read(core: Core, event: ResultRead, now: Now) -> None:
    """What the results stream holds for a job in doubt, or for a result of ours that met a conflict."""
    record = core.jobs.get(event.job_id)
    if record is None:
        return
    if record.state is JobState.SUBMITTED or core.story_pending(record):
        # It was asked for a job of that id that has ended meanwhile, and this is a second publish: its story tells.
        return
    if event.result is not None:
        conclude(core, record, event.result, None, now)
        return
    if record.state is JobState.FINISHING:
        # Our proposal met a rival that did not make it either: propose again.
        if record.proposal is not None:
            core.do(StoreResult(record.proposal, record.seq))
        return
    if record.state is JobState.RECOVERING and record.job_id in core.recovering:
        _lost_before(core, record, now)
        return
    attempt = record.attempt
    if attempt is None or not attempt.doubted or record.state not in _ON_AGENT:
        return
    attempt.doubted = False
    if record.state is JobState.AWARDED and attempt.answer_seq is None:
        _take_back(core, record, "the award never arrived", now)
        return
    _fail(core, record, FailureCode.AGENT_LOST, f"{attempt.agent_id} no longer runs it", None, None, now)


def _lost_before(core: Core, record: JobRecord, now: Now) -> None:
    """Its story says that it ran, nobody runs it now, and there is no result: that attempt is lost."""
    del core.recovering[record.job_id]
    status, record.last_status = record.last_status, None
    agent_id = (status.agent_id if status else None) or "its agent"
    record.attempt = Attempt(
        number=record.attempt_no,
        token="",
        agent_id=agent_id,
        incarnation="",
        device=(status.device if status else None) or "",
        adapter_id=(status.adapter_id if status else None) or "",
        claim_mb=0,
        awarded_at=now.mono,
    )
    _fail(core, record, FailureCode.AGENT_LOST, f"{agent_id} no longer runs it", None, None, now)


def attempt_failed(core: Core, record: JobRecord, outcome: AttemptFailed, now: Now) -> None:
    """The agent says how it ended."""
    try:
        code = FailureCode(outcome.code)
    except ValueError:
        # An agent of a later version may know more codes.
        code = FailureCode.ADAPTER_ERROR
    record.troubled().ended.add(outcome.token)
    _fail(core, record, code, outcome.message, outcome.field, outcome.vram_peak_mb, now)


def _fail(
    core: Core,
    record: JobRecord,
    code: FailureCode,
    message: str,
    field: str | None,
    vram_peak_mb: int | None,
    now: Now,
) -> None:
    attempt = record.attempt
    assert attempt is not None
    facts = FAILURES[code]
    trouble = record.troubled()
    core.auctioneer.withdraw(attempt.agent_id)
    if facts.benches:
        core.fleet.note_failure(attempt.agent_id, attempt.adapter_id, now.mono)
    if record.cancel_wanted:
        if code is not FailureCode.CANCELLED:
            _note_attempt(record, attempt, code, message, now)
        _finish_cancelled(core, record, now)
        return
    _note_attempt(record, attempt, code, message, now)
    if code is FailureCode.HANDED_BACK:
        _requeue(core, record, attempt, f"{attempt.agent_id} handed it back", 0.0, now)
        return
    trouble.spent += 1
    retry = record.klass.retry
    verdict = facts.verdict
    if code is FailureCode.CANCELLED:
        # Nobody asked the coordinator: an operator stopped the worker on its host. It is tried elsewhere.
        verdict = RetryVerdict.ELSEWHERE
    if verdict is RetryVerdict.NEVER or trouble.spent >= retry.max_attempts:
        tried = f" (after {trouble.spent} attempts)" if trouble.spent > 1 else ""
        core.finish(record, "failed", code, message + tried, now, field=field)
        return
    delay = 0.0
    if verdict in (RetryVerdict.ELSEWHERE, RetryVerdict.ELSEWHERE_BACKOFF, RetryVerdict.AT_ONCE):
        trouble.excluded = trouble.excluded | {attempt.agent_id}
    if verdict in (RetryVerdict.BACKOFF, RetryVerdict.ELSEWHERE_BACKOFF):
        delay = retry.delay_s(trouble.spent)
    if verdict is RetryVerdict.ELSEWHERE and set(core.fleet.agents) <= trouble.excluded:
        # There is no elsewhere: at least give this agent a moment.
        delay = retry.delay_s(trouble.spent)
    if verdict is RetryVerdict.MORE_ROOM and not _raise_requirement(core, record, attempt, vram_peak_mb):
        text = f"{message} (and no device of the fleet has more room than {attempt.agent_id}/{attempt.device})"
        core.finish(record, "failed", code, text, now)
        return
    _requeue(core, record, attempt, f"{code.value} on {attempt.agent_id}: {message}", delay, now)


def _raise_requirement(core: Core, record: JobRecord, attempt: Attempt, peak_mb: int | None) -> bool:
    """Ask for more than the device that ran out could give: half as much again as was asked or seen, but at most
    what the largest device of the fleet has. False if no device has more room.
    """
    view = core.fleet.agents.get(attempt.agent_id)
    device = view.device(attempt.device) if view else None
    offer = view.adapters.get(attempt.adapter_id) if view else None
    key = record.lot_key()
    asked = max(key.vram_mb if key.vram_mb is not None else (offer.vram_mb if offer else 0), peak_mb or 0)
    failed_room = device.total_mb - device.buffer_mb if device else asked
    largest = core.fleet.largest_room_mb()
    raised = min(max(asked + asked // 2, asked + 256), largest)
    if raised <= asked or (largest <= failed_room and asked >= failed_room):
        return False
    record.troubled().raised_mb = raised
    return True


def _note_attempt(record: JobRecord, attempt: Attempt, code: FailureCode, message: str, now: Now) -> None:
    record.troubled().attempts.append(
        AttemptError(
            attempt=attempt.number,
            agent_id=attempt.agent_id,
            device=attempt.device,
            code=code.value,
            message=message[:2000],
            at=rfc3339(now.wall),
        )
    )


def _requeue(core: Core, record: JobRecord, attempt: Attempt, reason: str, delay_s: float, now: Now) -> None:
    trouble = record.troubled()
    core.drop_attempt(record)
    record.not_before = now.mono + delay_s
    core.enqueue(record, reason, now, returned=True)
    error = JobError(code=trouble.attempts[-1].code, message=reason[:2000], attempts=list(trouble.attempts))
    status = record.status("queued", rfc3339(now.wall), reason=reason[:2000], error=error)
    core.do(PublishEvent("requeued", status, record.seq))


def _finish_cancelled(core: Core, record: JobRecord, now: Now) -> None:
    reason = (record.trouble.cancel if record.trouble else None) or "cancelled on request"
    core.finish(record, "cancelled", FailureCode.CANCELLED, reason, now)
