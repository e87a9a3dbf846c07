"""Performs the engine's effects on the bus and turns every answer into an event."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog

from pocket3d.bus.port import (
    Bus,
    BusError,
    Conflict,
    Disconnected,
    Expect,
    Msg,
    NoResponders,
    OutcomeUnknown,
    TooLarge,
)
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, decode_union, encode
from pocket3d.contracts.commands import (
    AnyReply,
    Award,
    AwardJobs,
    AwardsAnswered,
    CallForBids,
    CancelAttempts,
    CommandRefused,
    OutcomesNoted,
    ReportState,
    StateReported,
)
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.subjects import Subjects

from . import effects, events
from .acks import LazyAcks
from .digest import REQUEST_DIGEST_HEADER, request_digest
from .history import JOB_SEQ_HEADER, read_stored_result, read_story
from .limits import fit_dead_letter, fit_result, fit_status, pack_awards, room_of
from .outbox import EventOutbox
from .requests import Request, RequestCache, dead_letter, metadata_of
from .settings import CoordinatorSettings
from .step_log import log_queued, log_step
from .tasks import TaskPool

log = structlog.get_logger(__name__)

_PAUSE_S = 0.2
#: Bodies of recently read jobs, so that a job that is awarded at once is not read twice.
_REQUEST_CACHE_BYTES = 8 * 1024 * 1024


class Performer:
    """One leadership's hands."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        coordinator_id: str,
        epoch: int,
        settings: CoordinatorSettings,
        clock: Callable[[], Now],
        tasks: TaskPool,
        outbox: EventOutbox,
        feed: Callable[[events.Event], None],
        prove: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._coordinator_id = coordinator_id
        self._epoch = epoch
        self._settings = settings
        self._clock = clock
        self._tasks = tasks
        self._outbox = outbox
        self._feed = feed
        self._prove = prove
        self.reading = asyncio.Event()
        self.acks = LazyAcks(tasks)
        #: Called with the sequence of each message whose ack was confirmed.
        self.job_acked: Callable[[int], None] = _unheard
        self.result_acked: Callable[[int], None] = _unheard
        self._requests: dict[int, Msg] = {}
        self._request_ids = itertools.count(1)
        #: What was read a moment ago.
        self.requests = RequestCache(_REQUEST_CACHE_BYTES)
        #: Per agent, so that a cancel cannot overtake its award on our side either.
        self._commands: dict[str, asyncio.Lock] = {}
        self._perform: dict[type, Callable[[Any], None]] = {
            effects.PublishQueued: lambda e: tasks.spawn(self._publish_queued(e)),
            effects.PublishEvent: outbox.put,
            effects.PublishDead: lambda e: tasks.spawn(self._publish_dead(e)),
            effects.ReadStory: lambda e: tasks.spawn(self._read_story(e)),
            effects.StoreResult: lambda e: tasks.spawn(self._store_result(e)),
            effects.ReadResult: lambda e: tasks.spawn(self._read_result(e.job_id)),
            effects.DeleteResult: lambda e: tasks.spawn(self._delete_result(e)),
            effects.AckJob: lambda e: self.acks.put(partial(self._ack_job, e)),
            effects.AckResult: lambda e: self.forget_result(e.seq),
            effects.SendCall: lambda e: tasks.spawn(self._send_call(e), bounded=False),
            effects.SendAwards: self._begin_awards,
            effects.SendCancels: lambda e: tasks.spawn(self._send_cancels(e), bounded=False),
            effects.AskState: lambda e: tasks.spawn(self._ask_state(e.agent_id), bounded=False),
            effects.NoteOutcomes: lambda e: tasks.spawn(self._note_outcomes(e), bounded=False),
            effects.RecordAgent: lambda e: tasks.spawn(self._record_agent(e)),
            effects.ForgetAgent: lambda e: tasks.spawn(self._forget_agent(e.agent_id)),
            effects.ProveLeadership: lambda e: prove(),
            effects.ReadJobs: self._read_jobs,
        }

    def perform(self, effect: effects.Effect) -> None:
        """Start one effect."""
        log_step(effect)
        self._perform[type(effect)](effect)

    # -- helpers

    def expect_answer(self, msg: Msg) -> int:
        """Keep a request until the engine answers it."""
        number = next(self._request_ids)
        self._requests[number] = msg
        return number

    async def _request(self, seq: int) -> Request | None:
        """The request as published, from memory or from the stream; None when it is gone."""
        cached = self.requests.get(seq)
        if cached is not None:
            return cached
        found = await self._bus.get(self._subjects.jobs_stream, seq)
        if found is None:
            return None
        try:
            job = decode(Job, found.data)
        except WireError:
            job = None
        request = Request(found.data, job)
        self.requests.put(seq, request)
        return request

    def _read_jobs(self, effect: effects.ReadJobs) -> None:
        if effect.more:
            self.reading.set()
        else:
            self.reading.clear()

    async def _until_done(self, what: str, work: Callable[[], Any]) -> Any:
        """Repeat an idempotent read or write until it goes through; ends with the leadership."""
        while True:
            try:
                return await work()
            except BusError as error:
                log.debug("again", what=what, error=str(error))
                await asyncio.sleep(_PAUSE_S)

    # -- events and stories

    async def _publish_queued(self, effect: effects.PublishQueued) -> None:
        status = fit_status(effect.status, self._room)
        subject = self._subjects.event(status.feature, status.job_id, status.status)
        headers = {JOB_SEQ_HEADER: str(effect.job_seq)}
        request = self.requests.get(effect.job_seq)
        if request is not None and request.job is not None:
            headers[REQUEST_DIGEST_HEADER] = request_digest(request.job)
        expect = Expect(effect.expect_last, self._subjects.events_of(status.job_id))
        while True:
            try:
                await self._bus.append(subject, encode(status), headers=headers, expect=expect)
            except (Conflict, OutcomeUnknown):
                # A conflict may be our own first try: the story tells whose it is.
                found = await self._until_done("read a story", lambda: self._story(status.job_id))
                if found.status is not None or found.unreadable:
                    self._feed(events.QueuedKnown(status.job_id))
                    return
            except BusError as error:
                log.debug("a queued event could not be stored yet", job_id=status.job_id, error=str(error))
            else:
                log_queued(status)
                self._feed(events.QueuedStored(status.job_id))
                return
            await asyncio.sleep(_PAUSE_S)

    async def _story(self, job_id: str) -> events.StoryRead:
        found = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(job_id))
        if found is None:
            return events.StoryRead(job_id, None, None)
        return read_story(job_id, found.subject, found.data, found.headers)

    async def _read_story(self, effect: effects.ReadStory) -> None:
        self._feed(await self._until_done("read a story", lambda: self._story(effect.job_id)))

    async def _publish_dead(self, effect: effects.PublishDead) -> None:
        request = await self._until_done("read a request", partial(self._request, effect.job_seq))
        letter = dead_letter(effect, request.data if request else b"", rfc3339(self._clock().wall))
        letter = fit_dead_letter(letter, self._room)
        subject = self._subjects.dead(effect.feature, effect.job_id)

        async def store() -> None:
            try:
                await self._bus.append(subject, encode(letter), expect=Expect(0))
            except Conflict:
                log.debug("the dead letter stands already", job_id=effect.job_id)

        await self._until_done("store a dead letter", store)
        self._feed(events.DeadStored(effect.job_id))

    # -- results

    async def _store_result(self, effect: effects.StoreResult) -> None:
        result = effect.result
        request = await self._until_done("read a request", partial(self._request, effect.job_seq))
        result = fit_result(msgspec.structs.replace(result, metadata=metadata_of(request)), self._room)
        subject = self._subjects.result(result.feature, result.job_id)
        expect = Expect(effect.expect_last, self._subjects.result_of(result.job_id))
        try:
            await self._bus.append(subject, encode(result), expect=expect)
        except BusError as error:
            # Refused or unanswered: what is stored decides, and the engine asks again if nothing is.
            log.info("a result is read back", job_id=result.job_id, error=str(error))
            await asyncio.sleep(_PAUSE_S)
            await self._read_result(result.job_id)

    async def _read_result(self, job_id: str) -> None:
        stream, subject = self._subjects.results_stream, self._subjects.result_of(job_id)
        found = await self._until_done("read a result", lambda: self._bus.last(stream, subject))
        if found is None:
            self._feed(events.ResultRead(job_id, None))
            return
        seen = read_stored_result(job_id, found.subject, found.seq, found.data)
        if isinstance(seen, events.ResultSeen):
            self._feed(events.ResultRead(job_id, seen.result))
        else:
            self._feed(seen)

    async def _delete_result(self, effect: effects.DeleteResult) -> None:
        log.warning("bytes that are no result are deleted", subject=effect.subject, seq=effect.seq, error=effect.error)
        stream = self._subjects.results_stream
        await self._until_done("delete bytes that are no result", lambda: self._bus.delete(stream, effect.seq))
        self._feed(events.ResultDeleted(effect.job_id, effect.seq))

    # -- acks

    async def _ack_job(self, effect: effects.AckJob) -> None:
        consumer = coordinator_jobs(self._subjects, effect.priority)
        await self._until_done("ack a job", lambda: self._bus.ack(consumer, effect.seq))
        self.requests.forget(effect.seq)
        self.job_acked(effect.seq)
        if effect.answer:
            self._feed(events.JobAcked(effect.job_id))

    def forget_result(self, seq: int) -> None:
        """Ack a result. If that is lost it comes again, and is acked again."""
        self.acks.put(partial(self._ack_result, seq))

    async def _ack_result(self, seq: int) -> None:
        try:
            await self._bus.ack(coordinator_results(self._subjects), seq)
        except BusError as error:
            log.debug("the ack of a result was lost", seq=seq, error=str(error))
        else:
            self.result_acked(seq)

    # -- commands

    def _base(self, incarnation: str | None = None) -> dict[str, Any]:
        return {"coordinator_id": self._coordinator_id, "epoch": self._epoch, "incarnation": incarnation}

    def _turn(self, agent_id: str) -> asyncio.Lock:
        return self._commands.setdefault(agent_id, asyncio.Lock())

    async def _send_call(self, effect: effects.SendCall) -> None:
        call = CallForBids(call_id=effect.call_id, lots=list(effect.lots), **self._base())
        try:
            async with self._turn(effect.agent_id):
                await self._bus.publish(self._subjects.command(effect.agent_id), encode(call))
        except TooLarge as error:
            self._feed(events.CallTooLarge(effect.call_id, error.size, error.limit))
        except BusError as error:
            # The round closes at its deadline without this agent.
            log.debug("a call was not sent", agent_id=effect.agent_id, error=str(error))

    def _begin_awards(self, effect: effects.SendAwards) -> None:
        """One award whose request was just read goes out with no detour: tasks begin in the order in which they were
        made, so what is commanded later cannot overtake it.
        """
        request = self.requests.get(effect.awards[0].seq)
        if len(effect.awards) > 1 or request is None or request.job is None or self._turn(effect.agent_id).locked():
            self._tasks.spawn(self._send_awards(effect), bounded=False)
        else:
            self._send_award_messages(effect.agent_id, effect.incarnation, [effect.awards[0].award(request.job)])

    async def _send_awards(self, effect: effects.SendAwards) -> None:
        agent_id = effect.agent_id
        awards: list[Award] = []
        async with self._turn(agent_id):
            for item in effect.awards:
                request = await self._until_done("read a request", partial(self._request, item.seq))
                if request is None or request.job is None:
                    self._feed(events.BodyGone(item.job_id, item.token))
                    continue
                awards.append(item.award(request.job))
            self._send_award_messages(agent_id, effect.incarnation, awards)
            # The request's task has put the message on the wire before the next command takes its turn.
            await asyncio.sleep(0)

    def _send_award_messages(self, agent_id: str, incarnation: str, awards: list[Award]) -> None:
        packed = pack_awards(awards, self._room)
        for award, size in packed.too_large:
            self._feed(events.AwardTooLarge(award.job_id, award.token, size, self._bus.max_payload))
        for message in packed.messages:
            self._tasks.spawn(self._award(agent_id, incarnation, message), bounded=False)

    @property
    def _room(self) -> int:
        return room_of(self._bus.max_payload)

    async def _award(self, agent_id: str, incarnation: str, awards: list[Award]) -> None:
        tokens = tuple(a.token for a in awards)
        command = AwardJobs(awards=awards, **self._base(incarnation))
        try:
            answer = await self._bus.request(
                self._subjects.command(agent_id), encode(command), timeout=self._settings.award_timeout_s
            )
            reply: AnyReply = decode_union(AnyReply, answer.data)
        except (Disconnected, NoResponders, TooLarge) as error:
            log.info("an award was not sent", agent_id=agent_id, error=str(error))
            self._feed(events.AwardsUnanswered(agent_id, tokens, sent=False))
            return
        except (BusError, WireError) as error:
            log.info("an award was not answered", agent_id=agent_id, error=str(error))
            self._feed(events.AwardsUnanswered(agent_id, tokens))
            return
        if isinstance(reply, AwardsAnswered):
            self._feed(events.AwardsReturned(reply))
        elif isinstance(reply, CommandRefused):
            self._feed(events.AwardsRefused(agent_id, tokens, reply.code))
        else:
            self._feed(events.AwardsUnanswered(agent_id, tokens))

    async def _send_cancels(self, effect: effects.SendCancels) -> None:
        command = CancelAttempts(cancels=list(effect.cancels), **self._base())
        try:
            async with self._turn(effect.agent_id):
                await self._bus.publish(self._subjects.command(effect.agent_id), encode(command))
        except BusError as error:
            log.debug("a cancel was not sent", agent_id=effect.agent_id, error=str(error))

    async def _ask_state(self, agent_id: str) -> None:
        command = ReportState(**self._base())
        try:
            async with self._turn(agent_id):
                request = asyncio.ensure_future(
                    self._bus.request(self._subjects.command(agent_id), encode(command), timeout=1.0)
                )
                await asyncio.sleep(0)
            answer = await request
            reply: AnyReply = decode_union(AnyReply, answer.data)
        except NoResponders:
            self._feed(events.AgentSilent(agent_id, no_responders=True))
            return
        except (BusError, WireError) as error:
            log.debug("no state", agent_id=agent_id, error=str(error))
            self._feed(events.AgentSilent(agent_id, no_responders=False))
            return
        if isinstance(reply, StateReported):
            self._feed(events.AdvertReceived(reply.advert, answers_question=True))
        else:
            self._prove()

    async def _note_outcomes(self, effect: effects.NoteOutcomes) -> None:
        msg = self._requests.pop(effect.request)
        try:
            await self._bus.respond(msg, encode(OutcomesNoted(noted=list(effect.noted))))
        except BusError as error:
            # It comes again.
            log.debug("an outcome was not answered", error=str(error))

    # -- the agents bucket: for eyes and for the next leader

    async def _record_agent(self, effect: effects.RecordAgent) -> None:
        try:
            await self._bus.kv_put(self._subjects.agents_bucket, effect.record.agent_id, encode(effect.record))
        except BusError as error:
            log.debug("an agent was not recorded", agent_id=effect.record.agent_id, error=str(error))

    async def _forget_agent(self, agent_id: str) -> None:
        try:
            await self._bus.kv_delete(self._subjects.agents_bucket, agent_id)
        except BusError as error:
            log.debug("an agent was not forgotten", agent_id=agent_id, error=str(error))


def _unheard(seq: int) -> None:
    """For acks that nobody counts."""
