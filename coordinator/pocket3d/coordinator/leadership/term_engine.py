"""All that one leadership decides: the engine, and what its wishes become on the bus. Pure.

The engine asks for things in its own words. Here they get what the bus needs: requests are read where an award, a
result or a dead letter needs them; messages are split or shortened by what the server takes; events go through the log
in batches; what failed is repeated after a pause; and what lay in the streams when the lead was taken is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import Award, LeaderRecord

from ..engine import effects, events
from ..engine.engine import CoordinatorEngine
from ..settings import CoordinatorSettings
from . import bus_answers
from .catch_up import CatchUpCounter
from .ended_sweep import EndedLooked, EndedSweep, LookAtEnded
from .event_log import EventLog, EventsAreStored, LogEffect, LogEvent
from .first_events import FirstEvents
from .message_limits import fit_dead_letter, fit_result, fit_status, pack_awards, room_of
from .removal_sweep import RemovalSweep
from .request_cache import Bodies, Request, RequestCache, dead_letter, metadata_of, read_request
from .request_fingerprint import request_digest

#: Before an effect that failed is repeated, seconds.
PAUSE_S = 0.2
#: Period in which the backlog is counted until it has been read, seconds.
COUNT_S = 0.5
#: Bodies of recently read jobs, so that a job that is awarded at once is not read twice.
_CACHE_BYTES = 8 * 1024 * 1024
_JOB_CONSUMERS: tuple[effects.ConsumerKey, ...] = ("high", "normal", "low")

#: Effects of a job's end, for which its request is read.
_ENDINGS = (effects.StoreResult, effects.PublishDead)

TermEvent = bus_answers.BusAnswer | LogEvent | EndedLooked
TermEffect = effects.BusEffect | LogEffect | LookAtEnded


class _Pending:
    """An effect that waits for its turn or for requests; None: it needs none."""

    def __init__(self, effect: effects.Effect, bodies: Bodies | None) -> None:
        self.effect = effect
        self.bodies = bodies

    @property
    def ready(self) -> bool:
        return self.bodies is None or not self.bodies.missing


class TermEngine:
    """From `Lead` to `StepDown`.

    Args:
        settings: of the engine.
        record: this leader's record.
        fence: its sequence in the events stream.
        max_payload: largest message that the server takes, bytes.
    """

    def __init__(self, settings: CoordinatorSettings, record: LeaderRecord, fence: int, max_payload: int) -> None:
        self.engine = CoordinatorEngine(settings)
        self.log = EventLog(record, fence, max_payload)
        self._first_events = FirstEvents()
        self._out: list[TermEffect] = []
        #: Events for the engine that follow from the one being handled.
        self._follow_ups: deque[events.Event] = deque()
        self._cache = RequestCache(_CACHE_BYTES)
        #: Effects that wait for the request with that sequence.
        self._readers: dict[int, list[_Pending]] = {}
        #: Commands to an agent that wait behind one that needs requests: they leave in their order.
        self._waiting: dict[str, deque[_Pending]] = {}
        #: When an effect is repeated, monotonic seconds; in that order.
        self._repeats: deque[tuple[float, Any]] = deque()
        self._connected = True
        self._catch_up = {key: CatchUpCounter() for key in ("results", *_JOB_CONSUMERS)}
        #: In the order in which they were counted first.
        self._counted: dict[effects.ConsumerKey, None] = {}
        self._counting: set[effects.ConsumerKey] = set()
        self._count_at = 0.0
        self._sweep = RemovalSweep(self.engine.core, settings.removal_sweep_s)
        self._ended = EndedSweep(self.engine.core, settings.removal_sweep_s)

    # -- one step

    def handle(self, event: TermEvent, now: Now) -> list[TermEffect]:
        """Take in one event; what is to be done about it, in order.

        Raises:
            InvalidTransition: a job was about to make a move that its lifecycle lacks.
        """
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, now)
        elif isinstance(event, LogEvent):
            self._from_log(self.log.handle(event, now.mono))
        else:
            self._follow_ups.append(cast(events.Event, event))
        self._settle(now)
        if self._connected:
            self._on_time(now)
            self._settle(now)
        if self.log.may_begin:
            self._from_log(self.log.begin())
        if self.engine.core.proven:
            # They carry no fence: what a leader that slept would store now, the next one would never hear of.
            self._out += self._first_events.send()
        out, self._out = self._out, []
        return out

    def _settle(self, now: Now) -> None:
        while self._follow_ups:
            for effect in self.engine.handle(self._follow_ups.popleft(), now):
                if isinstance(effect, effects.DeleteJob) and effect.job_id:
                    self._sweep.ack_sent()
                self._route(effect, now)

    def _on_time(self, now: Now) -> None:
        while self._repeats and self._repeats[0][0] <= now.mono:
            self._route(self._repeats.popleft()[1], now)
        if self.log.resume_at is not None:
            self._from_log(self.log.resume(now.mono))
        if self._counted and now.mono >= self._count_at:
            self._count_at = now.mono + COUNT_S
            wanted = [key for key in self._counted if key not in self._counting and not self._catch_up[key].done]
            self._counting.update(wanted)
            self._out += map(effects.CountBacklog, wanted)
        self._out += [*self._sweep.step(now.mono), *self._ended.step(now.mono)]

    @property
    def deadline(self) -> float | None:
        """When the open round must be closed, monotonic seconds. All else waits for the next tick."""
        return self.engine.deadline

    # -- what the engine asks for

    def _route(self, effect: Any, now: Now) -> None:
        router = _ROUTES.get(type(effect))
        if router is not None:
            router(self, effect, now)
        else:
            self._out.append(effect)

    def _ack(self, effect: effects.AckJob, now: Now) -> None:
        if effect.answer:
            self._sweep.ack_sent()
        self._out.append(effect)

    @property
    def _room(self) -> int:
        return room_of(self.log.max_payload)

    def _first_event(self, effect: effects.PublishQueued, now: Now) -> None:
        request = self._cache.get(effect.job_seq)
        digest = request_digest(request.job) if request is not None and request.job is not None else ""
        effect = effect._replace(status=fit_status(effect.status, self._room), digest=digest)
        if effect.alone:
            self._out.append(effect)
        else:
            self._first_events.put(effect)

    def _event(self, effect: effects.PublishEvent, now: Now) -> None:
        self._out.append(effects.NoteStep(effect))
        self.log.put(effect)

    def _again(self, effect: effects.Again, now: Now) -> None:
        self._repeats.append((now.mono + PAUSE_S, effect.effect))

    def _awards(self, effect: effects.SendAwards, now: Now) -> None:
        self._out.append(effects.NoteStep(effect))
        self._in_order(effect.agent_id, effect, Bodies((item.seq for item in effect.awards), self._cache), now)

    def _command(self, effect: effects.SendCall | effects.SendCancels | effects.AskState, now: Now) -> None:
        self._in_order(effect.agent_id, effect, None, now)

    def _in_order(self, agent_id: str, effect: effects.Effect, bodies: Bodies | None, now: Now) -> None:
        """A command goes out behind those before it, so that a cancel never overtakes its award."""
        pending = _Pending(effect, bodies)
        waiting = self._waiting.get(agent_id)
        if waiting is None and pending.ready:
            self._complete(pending, now)
            return
        self._waiting.setdefault(agent_id, deque()).append(pending)
        self._read_missing(pending)

    def _with_request(self, effect: effects.StoreResult | effects.PublishDead, now: Now) -> None:
        pending = _Pending(effect, Bodies((effect.job_seq,), self._cache))
        if pending.ready:
            self._complete(pending, now)
        else:
            self._read_missing(pending)

    def _read_missing(self, pending: _Pending) -> None:
        for seq in sorted(pending.bodies.missing) if pending.bodies is not None else ():
            if seq not in self._readers:
                ends = pending.effect.priority if isinstance(pending.effect, _ENDINGS) else None
                self._out.append(effects.ReadRequest(seq, ends))
            self._readers.setdefault(seq, []).append(pending)

    def _complete(self, pending: _Pending, now: Now) -> None:
        """Everything is there: what is sent."""
        effect, bodies = pending.effect, pending.bodies
        if isinstance(effect, effects.SendAwards) and bodies is not None:
            self._send_awards(effect, bodies)
        elif isinstance(effect, effects.StoreResult) and bodies is not None:
            result = msgspec.structs.replace(effect.result, metadata=metadata_of(bodies.get(effect.job_seq)))
            self._out.append(effect._replace(result=fit_result(result, self._room)))
        elif isinstance(effect, effects.PublishDead) and bodies is not None:
            request = bodies.get(effect.job_seq)
            letter = dead_letter(effect, request.data if request is not None else b"", rfc3339(now.wall))
            self._out.append(effects.StoreDeadLetter(fit_dead_letter(letter, self._room)))
        else:
            self._out.append(effect)

    def _send_awards(self, effect: effects.SendAwards, bodies: Bodies) -> None:
        awards: list[Award] = []
        for item in effect.awards:
            request = bodies.get(item.seq)
            if request is None or request.job is None:
                self._follow_ups.append(events.BodyGone(item.job_id, item.token, item.seq))
            else:
                awards.append(item.award(request.job))
                self.engine.note_award(item, request.job)
        packed = pack_awards(awards, self._room)
        for award, size in packed.too_large:
            self._follow_ups.append(events.AwardTooLarge(award.job_id, award.token, size, self.log.max_payload))
        for message in packed.messages:
            self._out.append(effects.SendAwardMessage(effect.agent_id, effect.incarnation, tuple(message)))

    # -- what comes from the bus

    def _from_log(self, made: list[LogEffect]) -> None:
        for effect in made:
            if isinstance(effect, EventsAreStored):
                ended = tuple(event.status.job_id for event in effect.events if event.answer)
                if ended:
                    self._follow_ups.append(events.EventsStored(ended))
            else:
                self._out.append(effect)

    def _job_read(self, event: events.JobRead, now: Now) -> None:
        self._cache.put(event.seq, Request(event.data, event.admission.job))
        self._follow_ups.append(event)
        if self._catch_up[event.priority].read(event.seq):
            self._note_indexed()

    def _first_event_answered(self, event: events.FirstEventOutcome, now: Now) -> None:
        self._first_events.answered(event.job_id)
        self._follow_ups.append(event)

    def _first_events_answered(self, event: bus_answers.FirstEventsOutcome, now: Now) -> None:
        self._first_events.batch_answered(event.batch)
        outcome = _FIRST_EVENTS[type(event)]
        self._follow_ups.extend(outcome(each.status.job_id) for each in event.batch.first_events)

    def _result_read(self, event: events.ResultSeen | events.ResultUnreadable, now: Now) -> None:
        self._follow_ups.append(event)
        if self._catch_up["results"].read(event.seq):
            self._follow_ups.append(events.ResultsDrained())

    def _note_indexed(self) -> None:
        if not self.engine.core.jobs_indexed and all(self._catch_up[key].done for key in _JOB_CONSUMERS):
            self._follow_ups.append(events.JobsIndexed())

    def _backlog_counted(self, event: bus_answers.BacklogCounted, now: Now) -> None:
        key = event.consumer
        self._counting.discard(key)
        if not self._counted:
            self._count_at = now.mono + COUNT_S
        self._counted[key] = None
        if self._catch_up[key].counted(event.unacked):
            if key == "results":
                self._follow_ups.append(events.ResultsDrained())
            else:
                self._note_indexed()
        elif (key == "results" or self.engine.core.intake.reading(key)) and self._catch_up[key].stalled(now.mono):
            self._out.append(effects.ResetConsumer(key))

    def _backlog_uncounted(self, event: bus_answers.BacklogUncounted, now: Now) -> None:
        self._counting.discard(event.consumer)

    def _job_acked(self, event: events.JobAcked, now: Now) -> None:
        self._cache.forget(event.seq)
        for key in _JOB_CONSUMERS:
            self._catch_up[key].acked(event.seq)
        if event.job_id:
            self._sweep.ack_confirmed()
        self._follow_ups.append(event)

    def _request_read(self, event: bus_answers.RequestRead, now: Now) -> None:
        request = read_request(event.data) if event.data is not None else None
        if request is not None:
            self._cache.put(event.seq, request)
        for pending in self._readers.pop(event.seq, ()):
            assert pending.bodies is not None
            pending.bodies.arrived(event.seq, request)
            if isinstance(pending.effect, effects.SendAwards):
                self._advance(pending.effect.agent_id, now)
            elif pending.ready:
                self._complete(pending, now)

    def _stories_listed(self, event: events.StoriesListed, now: Now) -> None:
        self._sweep.listed(event)
        self._follow_ups.append(event)

    def _messages_counted(self, event: bus_answers.MessagesCounted, now: Now) -> None:
        self._sweep.counted(event.messages)

    def _messages_looked(self, event: events.MessagesLooked, now: Now) -> None:
        for message in event.missing:
            self._cache.forget(message.seq)
        if event.sweep:
            self._sweep.looked()
        self._follow_ups.append(event)

    def _advance(self, agent_id: str, now: Now) -> None:
        waiting = self._waiting.get(agent_id)
        while waiting and waiting[0].ready:
            self._complete(waiting.popleft(), now)
        if waiting is not None and not waiting:
            del self._waiting[agent_id]

    def _effect_failed(self, event: bus_answers.EffectFailed, now: Now) -> None:
        effect, at = event.effect, now.mono + PAUSE_S
        if isinstance(effect, effects.PublishQueuedBatch):
            # One of them may be the reason.
            self._first_events.batch_answered(effect)
            self._repeats.extend((at, each._replace(alone=True)) for each in effect.first_events)
            return
        if isinstance(effect, effects.PublishQueued):
            self._first_events.answered(effect.status.job_id)
        elif isinstance(effect, effects.AckJob):
            # The server is silent about an ack of what it has not delivered since a reset, and delivers nothing while
            # the index is full: nobody would ever make room in it.
            effect = effects.DeleteJob(effect.seq, effect.job_id if effect.answer else "")
        self._repeats.append((at, effect))

    def _connection_back(self, event: events.Connected, now: Now) -> None:
        self._connected = True
        # Answers that the broken connection took with it do not come.
        self._counting.clear()
        if event.max_payload is not None:
            self.log.max_payload = event.max_payload
        self._follow_ups.append(event)

    def _connection_lost(self, event: events.Disconnected, now: Now) -> None:
        self._connected = False
        self._follow_ups.append(event)


#: What a batch's outcome is for each of its events.
_FIRST_EVENTS: dict[type, type[events.FirstEventOutcome]] = {
    bus_answers.QueuedBatchStored: events.QueuedStored,
    bus_answers.QueuedBatchConflict: events.QueuedConflict,
    bus_answers.QueuedBatchUnknown: events.QueuedUnknown,
}

_HANDLERS: dict[type, Callable[[TermEngine, Any, Now], None]] = {
    **dict.fromkeys(_FIRST_EVENTS.values(), TermEngine._first_event_answered),
    **dict.fromkeys(_FIRST_EVENTS, TermEngine._first_events_answered),
    events.JobRead: TermEngine._job_read,
    events.ResultSeen: TermEngine._result_read,
    events.ResultUnreadable: TermEngine._result_read,
    bus_answers.BacklogCounted: TermEngine._backlog_counted,
    bus_answers.BacklogUncounted: TermEngine._backlog_uncounted,
    events.JobAcked: TermEngine._job_acked,
    bus_answers.ResultAcked: lambda term, event, now: term._catch_up["results"].acked(event.seq),
    bus_answers.RequestRead: TermEngine._request_read,
    events.StoriesListed: TermEngine._stories_listed,
    bus_answers.MessagesCounted: TermEngine._messages_counted,
    events.MessagesLooked: TermEngine._messages_looked,
    EndedLooked: lambda term, event, now: term._ended.looked(event),
    bus_answers.EffectFailed: TermEngine._effect_failed,
    events.Connected: TermEngine._connection_back,
    events.Disconnected: TermEngine._connection_lost,
}

_ROUTES: dict[type, Callable[[TermEngine, Any, Now], None]] = {
    effects.PublishQueued: TermEngine._first_event,
    effects.PublishEvent: TermEngine._event,
    effects.AckJob: TermEngine._ack,
    effects.Again: TermEngine._again,
    effects.SendAwards: TermEngine._awards,
    effects.SendCall: TermEngine._command,
    effects.SendCancels: TermEngine._command,
    effects.AskState: TermEngine._command,
    effects.StoreResult: TermEngine._with_request,
    effects.PublishDead: TermEngine._with_request,
}
