"""One leadership in virtual time: a real engine, its effects performed on the modelled server and network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocket3d.contracts.codec import decode
from pocket3d.contracts.commands import (
    AgentRecord,
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
from pocket3d.contracts.jobs import Job, admit, generated_id
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.coordinator import effects, events, leadership
from pocket3d.coordinator.catch_up import CatchUpCounter
from pocket3d.coordinator.engine import CoordinatorEngine

from .network import Failure, NoAnswer, NobodyListens, Refused, Reply, Subscription, Unsent
from .server import NewEvent, Pull, StoredJob, StoredResult
from .tasks import Turns, Wait, Work, sleep, spawn

if TYPE_CHECKING:
    from .coordinator_driver import SimulatedCoordinator

#: As in the service.
_PAUSE_S = 0.2
_ASK_TIMEOUT_S = 1.0
_RECOUNT_S = 0.5


class SimulatedReign:
    """One leadership of one coordinator."""

    def __init__(self, coordinator: SimulatedCoordinator, lead: leadership.Lead, known: list[AgentRecord]) -> None:
        self._coordinator = coordinator
        self._process = coordinator.process
        self._network = coordinator.network
        self._server = coordinator.server
        self._settings = coordinator.settings
        self.epoch = lead.epoch
        self._fence = lead.fence
        self._known = tuple(known)
        self.engine = CoordinatorEngine(coordinator.settings)
        self.closed = False
        self._begun = False
        self._subscriptions: list[Subscription] = []
        self._pulls: list[Pull] = []
        self._jobs_backlog = CatchUpCounter()
        self._results_backlog = CatchUpCounter()
        self._jobs_counted = self._results_counted = False
        self._replies: dict[int, Reply] = {}
        self._request_ids = itertools.count(1)
        self._turns: dict[str, Turns] = {}
        self._deadline_armed = False
        self._reading = True
        self._unread: list[StoredJob] = []
        self._outbox: list[effects.PublishEvent] = []
        self._storing = False
        self._batches = itertools.count(1)
        self._perform: dict[type, Callable[[Any], None]] = {
            effects.PublishQueued: lambda e: self._spawn(self._publish_queued(e)),
            effects.PublishEvent: self._put_event,
            effects.PublishDead: lambda e: self._spawn(self._publish_dead(e)),
            effects.ReadLastEvent: lambda e: self._spawn(self._read_story(e)),
            effects.StoreResult: lambda e: self._spawn(self._store_result(e)),
            effects.ReadResult: lambda e: self._spawn(self._read_result(e.job_id)),
            effects.AckJob: lambda e: self._spawn(self._ack_job(e)),
            effects.AckResult: lambda e: self._spawn(self._ack_result(e.seq)),
            effects.SendCall: self._send_call,
            effects.SendAwards: lambda e: self._turn(e.agent_id).put(self._send_awards(e)),
            effects.SendCancels: self._send_cancels,
            effects.AskState: lambda e: self._turn(e.agent_id).put(self._ask_state(e.agent_id)),
            effects.NoteOutcomes: self._note_outcomes,
            effects.RecordAgent: lambda e: self._spawn(self._record_agent(e)),
            effects.ForgetAgent: lambda e: self._spawn(self._forget_agent(e)),
            effects.ProveLeadership: lambda e: coordinator.lead_with(leadership.ProofWanted()),
            effects.ReadJobs: self._read_jobs,
            effects.Again: self._again,
        }

    # -- the loop

    def feed(self, event: events.Event) -> None:
        """Hand an event to the engine, check it, and perform what it asks for."""
        if self.closed:
            return
        made = self.engine.handle(event, self._process.now)
        self.engine.check()
        for effect in made:
            self._coordinator.performed[type(effect).__name__] += 1
            self._perform[type(effect)](effect)
        deadline = self.engine.deadline
        if deadline is not None and not self._deadline_armed:
            self._deadline_armed = True
            self._process.later(max(deadline - self._process.now.mono, 0.0), self._round_is_due)

    def _round_is_due(self) -> None:
        self._deadline_armed = False
        self.feed(events.RoundDue())

    def _spawn(self, work: Work) -> None:
        spawn(work, lambda: not self.closed)

    def _turn(self, agent_id: str) -> Turns:
        return self._turns.setdefault(agent_id, Turns(lambda: not self.closed))

    def _call(self, operation: Callable[[], Any], *, writes: bool = False) -> Wait:
        return lambda done: self._network.call(self._process, operation, done, writes=writes)

    def _until_done(self, operation: Callable[[], Any], *, writes: bool = False) -> Any:
        """Repeat an idempotent operation until it goes through."""
        while True:
            answer = yield self._call(operation, writes=writes)
            if not isinstance(answer, Failure):
                return answer
            yield sleep(self._process, _PAUSE_S)

    # -- life

    def begin(self) -> Work:
        """Take over in this order: hear the agents, drain the results, read the jobs again."""
        server, network, process = self._server, self._network, self._process
        while not self.closed:
            self._let_go()
            self._subscriptions.append(
                network.subscribe(process, f"bids.{self._coordinator.coordinator_id}", self._on_bid)
            )
            self._subscriptions.append(network.subscribe(process, "outcome", self._on_outcome))
            if not self._begun:
                self._begun = True
                self._spawn(self._recount())
                self.feed(events.Led(self.epoch, self._known))
            try:
                yield from self._open()
            except ConnectionError:
                yield sleep(process, _PAUSE_S)
                continue
            self._subscriptions.append(network.subscribe(process, "api", self._on_api))
            server.redeliver()
            break
        if self.closed:
            # Deposed while it began: the service ends what was opened before anything else.
            self._let_go()

    def _open(self) -> Work:
        server, process = self._server, self._process

        def allowed() -> bool:
            return not self.closed and self._coordinator.certain()

        yield from self._certain(server.results_consumer.take_over)
        self._results_backlog = CatchUpCounter()
        found = yield from self._certain(server.results_consumer.backlog)
        self._results_counted = True
        if self._results_backlog.counted(found):
            self.feed(events.ResultsDrained())
        self._pulls.append(server.results_consumer.consume(process, self._on_result, allowed))
        consumers = [server.jobs_consumers[priority] for priority in PRIORITIES]
        jobs = 0
        for consumer in consumers:
            yield from self._certain(consumer.take_over)
            jobs += yield from self._certain(consumer.backlog)
        self._jobs_backlog = CatchUpCounter()
        self._jobs_counted = True
        if self._jobs_backlog.counted(jobs):
            self.feed(events.JobsIndexed())
        for consumer in consumers:
            self._pulls.append(consumer.consume(process, self._on_job, allowed))

    def _recount(self) -> Work:
        """Count what is left until it has been read."""
        server = self._server
        consumers = [server.jobs_consumers[priority] for priority in PRIORITIES]
        while not (
            self._jobs_counted and self._jobs_backlog.done and self._results_counted and self._results_backlog.done
        ):
            yield sleep(self._process, _RECOUNT_S)
            if self._results_counted and not self._results_backlog.done:
                left = yield self._call(server.results_consumer.backlog)
                if not isinstance(left, Failure) and self._results_backlog.counted(left):
                    self.feed(events.ResultsDrained())
            if self._jobs_counted and not self._jobs_backlog.done:
                left = yield self._call(lambda: sum(consumer.backlog() for consumer in consumers))
                if not isinstance(left, Failure) and self._jobs_backlog.counted(left):
                    self.feed(events.JobsIndexed())

    def _certain(self, operation: Callable[[], Any]) -> Any:
        answer = yield self._call(operation)
        if isinstance(answer, Failure):
            raise ConnectionError
        return answer

    def reset(self) -> Work:
        """After a reconnect: read again what was delivered and not acked."""
        server = self._server
        for consumer in (server.results_consumer, *server.jobs_consumers.values()):
            yield from self._until_done(consumer.reset)

    def _let_go(self) -> None:
        for subscription in self._subscriptions:
            subscription.closed = True
        for pull in self._pulls:
            pull.closed = True
        self._subscriptions, self._pulls = [], []

    def close(self) -> None:
        """Another leads: nothing more is decided from this moment; subscriptions and pulls end a little later."""
        self.closed = True
        self._process.later(_PAUSE_S / 10, self._let_go)

    # -- what comes in

    def _on_bid(self, message: Any, reply: Reply | None) -> None:
        self.feed(events.CallReturned(message))

    def _on_outcome(self, message: Any, reply: Reply | None) -> None:
        number = next(self._request_ids)
        if reply is not None:
            self._replies[number] = reply
        self.feed(events.OutcomesReturned(message, number))

    def _on_api(self, message: Any, reply: Reply | None) -> None:
        self.feed(message)
        if reply is not None and not self.closed:
            reply(True)

    def _on_result(self, stored: StoredResult) -> None:
        self.feed(events.ResultSeen(stored.result, stored.seq))
        if self._results_backlog.read(stored.seq):
            self.feed(events.ResultsDrained())

    def _on_job(self, stored: StoredJob) -> None:
        if not self._reading:
            self._unread.append(stored)
            return
        fallback = generated_id(1_795_000_000.0, stored.seq)
        admission = admit(stored.feature, stored.data, None, fallback)
        self.feed(events.JobRead(stored.seq, stored.priority, stored.feature, admission, stored.time))
        if self._jobs_backlog.read(stored.seq):
            self.feed(events.JobsIndexed())

    def _read_jobs(self, effect: effects.ReadJobs) -> None:
        self._reading = effect.more
        if effect.more:
            self._process.later(0.0, self._read_on)

    def _read_on(self) -> None:
        while self._reading and self._unread and not self.closed:
            self._on_job(self._unread.pop(0))

    # -- events

    def _publish_queued(self, effect: effects.PublishQueued) -> Work:
        status = effect.status
        event = NewEvent(status.job_id, status.status, status, effect.job_seq)
        answer = yield self._call(lambda: self._server.publish_queued(event, effect.expect_last), writes=True)
        if isinstance(answer, Refused | NoAnswer):
            self.feed(events.QueuedConflict(status.job_id))
        elif isinstance(answer, Failure):
            self._again(effects.Again(effect))
        else:
            self.feed(events.QueuedStored(status.job_id))

    def _again(self, effect: effects.Again) -> None:
        self._process.later(_PAUSE_S, lambda: self.closed or self._perform[type(effect.effect)](effect.effect))

    def _read_story(self, effect: effects.ReadLastEvent) -> Work:
        found = yield from self._until_done(lambda: self._server.last_event(effect.job_id) or 0)
        if found:
            self.feed(events.LastEventRead(effect.job_id, found.status, found.job_seq))
        else:
            self.feed(events.LastEventRead(effect.job_id, None, None))

    def _put_event(self, effect: effects.PublishEvent) -> None:
        self._outbox.append(effect)
        if not self._storing:
            self._storing = True
            # The real outbox is a task of its own: it takes what is there when its turn comes.
            self._process.later(0.0, lambda: self._spawn(self._store_events()))

    def _store_events(self) -> Work:
        while self._outbox:
            batch, self._outbox = self._outbox[:50], self._outbox[50:]
            name = f"{self.epoch}-{next(self._batches)}"
            messages = [NewEvent(e.status.job_id, e.event, e.status, e.job_seq) for e in batch]
            while True:
                answer = yield self._call(
                    lambda messages=messages, name=name, fence=self._fence: self._server.publish_events(  # type: ignore[misc]
                        messages, fence, name
                    ),
                    writes=True,
                )
                if not isinstance(answer, Failure):
                    break
                if isinstance(answer, NoAnswer) and not (yield from self._fence_anew()):
                    self._coordinator.lead_with(leadership.FencedOut())
                    return
                if isinstance(answer, Refused | NoAnswer):
                    last = messages[-1]
                    stands = yield from self._until_done(
                        lambda last=last: self._server.last_on_subject(last.job_id, last.event) or 0  # type: ignore[misc]
                    )
                    if stands and stands.batch == name:
                        break
                if isinstance(answer, Refused):
                    record = yield self._call(lambda: self._server.leader_record or 0)
                    if not isinstance(record, Failure) and (not record or record[1] != self._fence):
                        self._coordinator.lead_with(leadership.FencedOut())
                        return
                yield sleep(self._process, _PAUSE_S)
            ended = tuple(e.status.job_id for e in batch if e.answer)
            if ended:
                self.feed(events.EventsStored(ended))
        self._storing = False

    def _fence_anew(self) -> Any:
        """Write the leader record again; false if another leader's stands there."""
        ours: Any = None
        while True:
            standing = yield self._call(lambda: self._server.leader_record or 0)
            if isinstance(standing, Failure):
                yield sleep(self._process, _PAUSE_S)
                continue
            if not standing:
                return False
            record, seq = standing
            if seq != self._fence:
                self._fence = seq
                return record is ours
            ours = record
            answer = yield self._call(lambda: self._server.write_leader_record(record, seq), writes=True)  # noqa: B023
            if not isinstance(answer, Failure):
                self._fence = answer
                return True
            yield sleep(self._process, _PAUSE_S)

    def _publish_dead(self, effect: effects.PublishDead) -> Work:
        yield from self._until_done(lambda: self._server.body(effect.job_seq) or b"")
        yield from self._until_done(lambda: self._server.dead.add(effect.job_id), writes=True)
        self.feed(events.DeadStored(effect.job_id))

    # -- results

    def _store_result(self, effect: effects.StoreResult) -> Work:
        yield from self._until_done(lambda: self._server.body(effect.job_seq) or b"")
        answer = yield self._call(lambda: self._server.publish_result(effect.result, effect.expect_last), writes=True)
        if isinstance(answer, Failure):
            yield sleep(self._process, _PAUSE_S)
            yield from self._read_result(effect.result.job_id)

    def _read_result(self, job_id: str) -> Work:
        found = yield from self._until_done(lambda: self._server.last_result(job_id) or 0)
        self.feed(events.ResultRead(job_id, found or None))

    # -- acks

    def _ack_job(self, effect: effects.AckJob) -> Work:
        yield from self._until_done(lambda: self._server.ack_job(effect.seq))
        self._jobs_backlog.acked(effect.seq)
        if effect.answer:
            self.feed(events.JobAcked(effect.job_id))

    def _ack_result(self, seq: int) -> Work:
        answer = yield self._call(lambda: self._server.results_consumer.acked.add(seq))
        if not isinstance(answer, Failure):
            self._results_backlog.acked(seq)

    # -- commands

    def _base(self, incarnation: str | None = None) -> dict[str, Any]:
        return {
            "coordinator_id": self._coordinator.coordinator_id,
            "epoch": self.epoch,
            "incarnation": incarnation,
        }

    def _publish(self, agent_id: str, command: Any) -> Work:
        self._network.publish(self._process, f"cmd.{agent_id}", command)
        return
        yield  # type: ignore[unreachable]

    def _send_call(self, effect: effects.SendCall) -> None:
        call = CallForBids(call_id=effect.call_id, lots=list(effect.lots), **self._base())
        self._turn(effect.agent_id).put(self._publish(effect.agent_id, call))

    def _send_cancels(self, effect: effects.SendCancels) -> None:
        command = CancelAttempts(cancels=list(effect.cancels), **self._base())
        self._turn(effect.agent_id).put(self._publish(effect.agent_id, command))

    def _send_awards(self, effect: effects.SendAwards) -> Work:
        awards: list[Award] = []
        for item in effect.awards:
            body = yield from self._until_done(lambda item=item: self._server.body(item.seq) or b"")  # type: ignore[misc]
            if body:
                awards.append(item.award(decode(Job, body)))
            else:
                self.feed(events.BodyGone(item.job_id, item.token))
        if not awards:
            return
        tokens = tuple(award.token for award in awards)

        def answered(reply: Any) -> None:
            if isinstance(reply, Unsent | NobodyListens):
                self.feed(events.AwardsUnanswered(effect.agent_id, tokens, sent=False))
            elif isinstance(reply, AwardsAnswered):
                self.feed(events.AwardsReturned(reply))
            elif isinstance(reply, CommandRefused):
                self.feed(events.AwardsRefused(effect.agent_id, tokens, reply.code))
            else:
                self.feed(events.AwardsUnanswered(effect.agent_id, tokens))

        self._network.request(
            self._process,
            f"cmd.{effect.agent_id}",
            AwardJobs(awards=awards, **self._base(effect.incarnation)),
            self._settings.award_timeout_s,
            answered,
        )

    def _ask_state(self, agent_id: str) -> Work:
        def answered(reply: Any) -> None:
            if isinstance(reply, NobodyListens):
                self.feed(events.AgentSilent(agent_id, no_responders=True))
            elif isinstance(reply, StateReported):
                self.feed(events.AdvertReceived(reply.advert, answers_question=True))
            elif isinstance(reply, Failure):
                self.feed(events.AgentSilent(agent_id, no_responders=False))
            else:
                self._coordinator.lead_with(leadership.ProofWanted())

        self._network.request(self._process, f"cmd.{agent_id}", ReportState(**self._base()), _ASK_TIMEOUT_S, answered)
        return
        yield  # type: ignore[unreachable]

    def _note_outcomes(self, effect: effects.NoteOutcomes) -> None:
        reply = self._replies.pop(effect.request, None)
        if reply is not None and self._process.connected:
            reply(OutcomesNoted(noted=list(effect.noted)))

    # -- the agents bucket

    def _record_agent(self, effect: effects.RecordAgent) -> Work:
        record = effect.record
        yield self._call(lambda: self._server.agents.__setitem__(record.agent_id, record), writes=True)

    def _forget_agent(self, effect: effects.ForgetAgent) -> Work:
        yield self._call(lambda: self._server.agents.pop(effect.agent_id, None) and None, writes=True)
