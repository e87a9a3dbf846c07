"""Carries out what the engine of a leadership asks for: one call on the bus per effect, answered by one event."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import structlog

from pocket3d.bus.port import (
    Append,
    Bus,
    BusError,
    Conflict,
    ConsumerName,
    Disconnected,
    Expect,
    Msg,
    NoResponders,
    OutcomeUnknown,
    Stored,
    TooLarge,
)
from pocket3d.bus.proposals import Proposals
from pocket3d.bus.tasks import TaskPool
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.codec import WireError, decode_union, encode
from pocket3d.contracts.commands import (
    AnyReply,
    AwardJobs,
    AwardsAnswered,
    CallForBids,
    CancelAttempts,
    CommandRefused,
    LeaderRecord,
    OutcomesNoted,
    ReportState,
    StateReported,
)
from pocket3d.contracts.messages import JOB_SEQ_HEADER
from pocket3d.contracts.subjects import Subjects

from ..engine import effects, events
from ..engine.history import BATCH_HEADER, read_last_event
from ..leadership import bus_answers, event_log
from ..leadership.ended_sweep import LookAtEnded
from ..leadership.leader_record import ReadLeaderRecord, WriteLeaderRecord
from ..leadership.term_engine import TermEffect, TermEvent
from .ack_batcher import AckBatcher
from .agent_records import forget_agent, record_agent
from .first_event_io import failed, publish_queued, publish_queued_batch
from .lanes import SECOND_PUBLISHES, lane_of
from .leader_record_io import read_leader_record, write_leader_record
from .removal_lookups import count_messages, find_messages, list_stories, look_at_ended
from .result_reads import read_cached, read_result
from .second_publish import tell_if_another
from .status_bucket import read_ended
from .step_log import log_step

log = structlog.get_logger(__name__)

_STATE_TIMEOUT_S = 1.0


#: Carries out one effect; the event with its outcome, if it has one.
Call = Callable[["EffectRunner", Any], Awaitable[TermEvent | None]]


class Links(NamedTuple):
    """What the runner does for the term besides calls on the bus."""

    #: Takes the answers.
    feed: Callable[[TermEvent], None]
    #: Renews the lease now.
    renew_lease: Callable[[], None]
    #: Another leads.
    on_fenced_out: Callable[[], None]
    #: Reads the jobs of a priority, or pauses reading them.
    read_jobs: Callable[[effects.ReadJobs], None]
    #: Which job a message of the jobs stream is.
    job_id: Callable[[Stored], str]


class EffectRunner:
    """Runs one term's effects. Decides nothing: what an answer means is the engine's matter.

    Args:
        record: of the leader, for commands.
        award_timeout_s: how long an answer to an award is waited for, seconds; to the others, `_STATE_TIMEOUT_S`.
        tasks: where the calls run.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        record: LeaderRecord,
        award_timeout_s: float,
        tasks: TaskPool,
        links: Links,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._base: dict[str, Any] = {"coordinator_id": record.coordinator_id, "epoch": record.epoch}
        self._award_timeout_s = award_timeout_s
        self._tasks = tasks
        self._feed = links.feed
        self._job_id = links.job_id
        self.acks = AckBatcher(tasks)
        self.proposals = Proposals(bus, subjects)
        self._requests: dict[int, Msg] = {}
        self._request_ids = itertools.count(1)
        #: Done at once, without an answer.
        self._local: dict[type, Callable[[Any], None]] = {
            effects.NoteStep: self._note_step,
            effects.ProveLeadership: lambda e: links.renew_lease(),
            effects.ReadJobs: links.read_jobs,
            event_log.FencedOut: lambda e: links.on_fenced_out(),
            effects.AckJob: self._ack_soon,
            effects.AckResult: lambda e: self.acks.put(lambda: self._answer(EffectRunner._ack_result, e)),
        }

    def run(self, effect: TermEffect) -> None:
        """Begin one effect. Messages to one agent leave in the order of the calls: tasks begin in theirs."""
        local = self._local.get(type(effect))
        if local is not None:
            local(effect)
            return
        lane = lane_of(effect)
        work = self._answer(_CALLS[type(effect)], effect)
        self._tasks.spawn(work, bounded=lane is not None, lane=lane or "")

    def _ack_soon(self, effect: effects.AckJob) -> None:
        if effect.second_of:
            self._tasks.spawn(self._answer(EffectRunner._ack_job, effect), lane=SECOND_PUBLISHES)
        else:
            self.acks.put(lambda: self._answer(EffectRunner._ack_job, effect))

    def _note_step(self, effect: effects.NoteStep) -> None:
        # Behind what was begun before: a job does not wait for its log line.
        asyncio.get_running_loop().call_soon(log_step, effect.step)

    async def _answer(self, call: Call, effect: Any) -> None:
        event = await call(self, effect)
        if event is not None:
            self._feed(event)

    def expect_answer(self, msg: Msg) -> effects.RequestId:
        """Keep a request until the engine answers it."""
        number = next(self._request_ids)
        self._requests[number] = msg
        return number

    def consumer(self, key: effects.ConsumerKey) -> ConsumerName:
        """The consumer of that key."""
        return coordinator_results(self._subjects) if key == "results" else coordinator_jobs(self._subjects, key)

    # -- events

    async def _read_last_event(self, effect: effects.ReadLastEvent) -> TermEvent:
        job_id = effect.job_id
        try:
            found = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(job_id))
        except BusError as error:
            return failed(effect, error)
        if found is None:
            return events.LastEventRead(job_id, None, None, asked_for=effect.seq)
        read = read_last_event(job_id, found.subject, found.data, found.headers)
        return read._replace(asked_for=effect.seq)

    async def _append_batch(self, effect: event_log.AppendBatch) -> TermEvent:
        fence = Expect(effect.fence, self._subjects.leader_record())
        messages = [
            Append(
                self._subjects.event(event.status.feature, event.status.job_id, event.event),
                body,
                {JOB_SEQ_HEADER: str(event.job_seq), BATCH_HEADER: effect.name},
                fence if number == 0 else None,
            )
            for number, (event, body) in enumerate(zip(effect.events, effect.bodies, strict=True))
        ]
        try:
            await self._bus.append_batch(messages)
        except Conflict:
            return event_log.BatchConflict()
        except OutcomeUnknown as error:
            log.warning("no answer to a batch of events", error=str(error))
            return event_log.BatchUnknown()
        except BusError as error:
            log.warning("events could not be stored yet", error=str(error))
            return event_log.BatchUnsent(str(error))
        return event_log.BatchStored()

    async def _read_batch_end(self, effect: event_log.ReadBatchEnd) -> TermEvent:
        status = effect.event.status
        subject = self._subjects.event(status.feature, status.job_id, effect.event.event)
        try:
            found = await self._bus.last(self._subjects.events_stream, subject)
        except BusError as error:
            log.warning("the events stream could not be read yet", error=str(error))
            return event_log.BatchEndUnread()
        return event_log.BatchEndRead(found.headers.get(BATCH_HEADER) if found is not None else None)

    async def _read_leader_record(self, effect: ReadLeaderRecord) -> TermEvent:
        return await read_leader_record(self._bus, self._subjects)

    async def _write_leader_record(self, effect: WriteLeaderRecord) -> TermEvent:
        return await write_leader_record(self._bus, self._subjects, effect)

    async def _store_dead_letter(self, effect: effects.StoreDeadLetter) -> TermEvent:
        letter = effect.letter
        try:
            await self._bus.append(self._subjects.dead(letter.feature, letter.job_id), encode(letter), expect=Expect(0))
        except BusError as error:
            # A conflict that names no sequence is one with a rival that is in process, and may fail itself.
            if not (isinstance(error, Conflict) and error.last):
                return failed(effect, error)
            log.debug("the dead letter is stored already", job_id=letter.job_id)
        return events.DeadStored(letter.job_id)

    # -- requests and results

    async def _read_request(self, effect: effects.ReadRequest) -> TermEvent:
        try:
            found = await self._bus.get(self._subjects.jobs_stream, effect.seq)
        except BusError as error:
            return failed(effect, error)
        return bus_answers.RequestRead(effect.seq, found.data if found is not None else None)

    async def _store_result(self, effect: effects.StoreResult) -> TermEvent | None:
        result = effect.result
        try:
            await self.proposals.store(result.feature, result.job_id, encode(result))
        except Conflict:
            return events.ResultConflict(result.job_id)
        except BusError as error:
            log.info("a result is read back", job_id=result.job_id, error=str(error))
            return events.ResultUnknown(result.job_id)
        # It comes back over the results consumer.
        return None

    async def _delete_result(self, effect: effects.DeleteResult) -> TermEvent:
        try:
            await self._bus.delete(self._subjects.results_stream, effect.seq)
        except BusError as error:
            return failed(effect, error)
        log.warning("bytes that are no result were deleted", subject=effect.subject, seq=effect.seq, error=effect.error)
        return events.ResultDeleted(effect.job_id, effect.seq)

    # -- acks, and what is left to be acked

    async def _ack_job(self, effect: effects.AckJob) -> TermEvent:
        if effect.second_of:
            await tell_if_another(self._bus, self._subjects, effect)
        try:
            await self._bus.ack(coordinator_jobs(self._subjects, effect.priority), effect.seq)
        except BusError as error:
            return failed(effect, error)
        return events.JobAcked(effect.job_id if effect.answer else "", effect.seq)

    async def _delete_job(self, effect: effects.DeleteJob) -> TermEvent:
        try:
            if effect.job_id:
                # In a stream that was removed and made again another job may have that sequence.
                found = await self._bus.get(self._subjects.jobs_stream, effect.seq)
                if found is None or self._job_id(found) != effect.job_id:
                    return events.JobAcked(effect.job_id, effect.seq)
            await self._bus.delete(self._subjects.jobs_stream, effect.seq)
        except BusError as error:
            return failed(effect, error)
        return events.JobAcked(effect.job_id, effect.seq)

    async def _ack_result(self, effect: effects.AckResult) -> TermEvent | None:
        try:
            await self._bus.ack(coordinator_results(self._subjects), effect.seq)
        except BusError as error:
            # It comes again, and is acked again.
            log.debug("the ack of a result was lost", seq=effect.seq, error=str(error))
            return None
        return bus_answers.ResultAcked(effect.seq)

    async def _count_backlog(self, effect: effects.CountBacklog) -> TermEvent:
        try:
            return bus_answers.BacklogCounted(effect.consumer, await self._bus.backlog(self.consumer(effect.consumer)))
        except BusError as error:
            log.debug("the backlog was not counted", consumer=effect.consumer, error=str(error))
            return bus_answers.BacklogUncounted(effect.consumer)

    async def _reset_consumer(self, effect: effects.ResetConsumer) -> None:
        log.warning("what lies in a stream does not come; it is asked for again", consumer=effect.consumer)
        with contextlib.suppress(BusError):  # it is asked for again
            await self._bus.reset(self.consumer(effect.consumer))

    # -- commands

    async def _send_call(self, effect: effects.SendCall) -> TermEvent | None:
        lots, wait_s = list(effect.lots), effect.variant_wait_s
        call = CallForBids(call_id=effect.call_id, lots=lots, variant_wait_s=wait_s, **self._base)
        try:
            await self._bus.publish(self._subjects.command(effect.agent_id), encode(call))
        except TooLarge as error:
            return events.CallTooLarge(effect.call_id, error.size, error.limit)
        except BusError as error:
            # The round closes at its deadline without this agent.
            log.debug("a call was not sent", agent_id=effect.agent_id, error=str(error))
        return None

    async def _send_awards(self, effect: effects.SendAwardMessage) -> TermEvent:
        agent_id = effect.agent_id
        tokens = tuple(award.token for award in effect.awards)
        command = AwardJobs(awards=list(effect.awards), incarnation=effect.incarnation, **self._base)
        try:
            answer = await self._bus.request(
                self._subjects.command(agent_id), encode(command), timeout=self._award_timeout_s
            )
            reply: AnyReply = decode_union(AnyReply, answer.data)
        except (Disconnected, NoResponders, TooLarge) as error:
            log.info("an award was not sent", agent_id=agent_id, tokens=tokens, error=str(error))
            return events.AwardsUnanswered(agent_id, tokens, sent=False)
        except (BusError, WireError) as error:
            log.info("an award was not answered", agent_id=agent_id, tokens=tokens, error=str(error))
            return events.AwardsUnanswered(agent_id, tokens)
        if isinstance(reply, AwardsAnswered):
            return events.AwardsReturned(reply)
        if isinstance(reply, CommandRefused):
            return events.AwardsRefused(agent_id, tokens, reply.code)
        return events.AwardsUnanswered(agent_id, tokens)

    async def _send_cancels(self, effect: effects.SendCancels) -> None:
        command = CancelAttempts(cancels=list(effect.cancels), **self._base)
        try:
            await self._bus.publish(self._subjects.command(effect.agent_id), encode(command))
        except BusError as error:
            log.debug("a cancel was not sent", agent_id=effect.agent_id, error=str(error))

    async def _ask_state(self, effect: effects.AskState) -> TermEvent:
        agent_id = effect.agent_id
        command = ReportState(**self._base)
        try:
            answer = await self._bus.request(
                self._subjects.command(agent_id), encode(command), timeout=_STATE_TIMEOUT_S
            )
            reply: AnyReply = decode_union(AnyReply, answer.data)
        except NoResponders:
            return events.AgentSilent(agent_id, no_responders=True)
        except (BusError, WireError) as error:
            log.debug("no state", agent_id=agent_id, error=str(error))
            return events.AgentSilent(agent_id, no_responders=False)
        if isinstance(reply, StateReported):
            return events.AdvertReceived(reply.advert, answers_question=True)
        return events.AwardsRefused(agent_id, (), reply.code if isinstance(reply, CommandRefused) else "")

    async def _note_outcomes(self, effect: effects.NoteOutcomes) -> None:
        msg = self._requests.pop(effect.request)
        try:
            await self._bus.respond(msg, encode(OutcomesNoted(noted=list(effect.noted))))
        except BusError as error:
            # It comes again.
            log.debug("an outcome was not answered", error=str(error))


_CALLS: dict[type, Call] = {
    effects.PublishQueued: lambda runner, effect: publish_queued(runner._bus, runner._subjects, effect),
    effects.PublishQueuedBatch: lambda runner, effect: publish_queued_batch(runner._bus, runner._subjects, effect),
    effects.ReadLastEvent: EffectRunner._read_last_event,
    effects.ReadEnded: lambda runner, effect: read_ended(runner._bus, runner._subjects, effect),
    event_log.AppendBatch: EffectRunner._append_batch,
    event_log.ReadBatchEnd: EffectRunner._read_batch_end,
    ReadLeaderRecord: EffectRunner._read_leader_record,
    WriteLeaderRecord: EffectRunner._write_leader_record,
    effects.StoreDeadLetter: EffectRunner._store_dead_letter,
    effects.ReadRequest: EffectRunner._read_request,
    effects.StoreResult: EffectRunner._store_result,
    effects.ReadResult: lambda runner, effect: read_result(runner._bus, runner._subjects, effect),
    effects.ReadCached: lambda runner, effect: read_cached(runner._bus, runner._subjects, effect),
    effects.DeleteResult: EffectRunner._delete_result,
    effects.DeleteJob: EffectRunner._delete_job,
    effects.CountBacklog: EffectRunner._count_backlog,
    effects.ResetConsumer: EffectRunner._reset_consumer,
    effects.FindMessages: lambda runner, effect: find_messages(runner._bus, runner._subjects, effect, runner._job_id),
    effects.CountMessages: lambda runner, effect: count_messages(runner._bus, runner._subjects),
    effects.ListStories: lambda runner, effect: list_stories(runner._bus, runner._subjects, effect),
    LookAtEnded: lambda runner, effect: look_at_ended(runner._bus, runner._subjects, effect),
    effects.SendCall: EffectRunner._send_call,
    effects.SendAwardMessage: EffectRunner._send_awards,
    effects.SendCancels: EffectRunner._send_cancels,
    effects.AskState: EffectRunner._ask_state,
    effects.NoteOutcomes: EffectRunner._note_outcomes,
    effects.RecordAgent: lambda runner, effect: record_agent(runner._bus, runner._subjects, effect),
    effects.ForgetAgent: lambda runner, effect: forget_agent(runner._bus, runner._subjects, effect),
}
