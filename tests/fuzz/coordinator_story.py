"""The coordinator's engine amid strangers: what agents and producers say crosses the wire's codec, some of it spoilt,
and the bus answers late, wrongly or not at all. Its invariants are asked after each event.
"""

from __future__ import annotations

import random
from typing import Any, TypeVar

import msgspec

from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.commands import (
    AgentRecord,
    AwardAnswer,
    AwardsAnswered,
    BidPlaced,
    CallAnswered,
    OutcomesReported,
    Reason,
)
from pocket3d.contracts.jobs import admit
from pocket3d.contracts.lifecycle import Priority
from pocket3d.contracts.messages import Advert, Result, Status
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import EPOCH_WALL, AgentDouble, Desk, device, offer

from . import texts, values

T = TypeVar("T")
_PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
_FEATURES = ("echo", "text_to_mesh")
#: Steps of one story.
_STEPS = 400


def story(dice: random.Random) -> None:
    """One story from the takeover on."""
    World(dice).play()


class World:
    """One engine, three agents, producers and a bus.

    Args:
        dice: chooses all that happens.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.desk = Desk()
        #: How likely a part of a message is replaced by anything.
        self.spoil = dice.choice((0.0, 0.02, 0.1))
        self.agents = [
            AgentDouble(f"a{n}", devices=[device(f"d{n}", 8000 * n)], adapters=[offer("echo"), self._mesh_offer()])
            for n in (1, 2, 3)
        ]
        self.open: list[effects.Effect] = []
        self.results: dict[str, Result] = {}
        self.events: dict[str, tuple[Status, int]] = {}
        self.items: dict[str, tuple[AgentDouble, effects.AwardItem]] = {}
        #: What the jobs stream holds, by sequence.
        self.jobs: dict[int, events.JobRead] = {}
        self.seq = 0
        self.requests = 0
        self.epoch = 7

    def _mesh_offer(self) -> Any:
        declared = texts.schema(self.dice) if self.dice.random() < 0.3 else None
        return offer(
            "mesh", "text_to_mesh", 3000, max_concurrent=2, parameters=declared if isinstance(declared, dict) else None
        )

    def play(self) -> None:
        """Everything that happens, and a while in which all is well."""
        often = [self.answer] * 10 + [self.end_run] * 5 + [self.advertise, self.time] * 3 + [self.submit] * 2
        rarely = [self.cancel, self.link, self.stray, self.take_over]
        for _ in range(_STEPS):
            self.dice.choice(rarely if self.dice.random() < 0.04 else often)()
        self.tell(events.Connected())
        self.spoil = 0.0
        for _ in range(20):
            self.advertise()
            self.time()
            while self.open:
                self.answer()

    def tell(self, event: events.Event) -> None:
        """One event; what the engine wants done about it waits for an answer."""
        self.desk.do(event)
        self.open += self.desk.effects
        self.desk.effects = []

    def over_the_wire(self, kind: type[T], message: T) -> T | None:
        """A message as it arrives, some of it spoilt; None if it cannot be read."""
        body = msgspec.to_builtins(message)
        if self.spoil:
            self._spoil(body)
        try:
            return decode(kind, values.as_json(body, self.dice))
        except WireError:
            return None

    def _spoil(self, body: Any) -> None:
        for key in list(body) if isinstance(body, dict) else range(len(body)):
            if self.dice.random() < self.spoil and key not in ("agent_id", "type"):
                number = isinstance(body[key], (int, float)) and self.dice.random() < 0.8
                body[key] = values.number(self.dice) if number else values.anything(self.dice, 2)
            elif isinstance(body[key], (dict, list)):
                self._spoil(body[key])

    # -- what happens

    def submit(self) -> None:
        """A message of the jobs stream: a new job, a second publish, a redelivery, or no job at all."""
        dice = self.dice
        prompt = "a chair" if dice.random() < 0.9 else values.text(dice)
        body: dict[str, Any] = {"job_id": f"j{dice.randrange(30)}", "inputs": {"text_prompt": prompt}}
        if dice.random() < 0.4:
            body["retry"] = {"max_attempts": dice.randrange(1, 4), "initial_s": dice.choice((0, 1))}
        if dice.random() < 0.1:
            body["limits"] = {"schedule_to_start_s": dice.choice((1, 1e-300, 3e7)), "start_to_close_s": 5}
        if dice.random() < 0.1:
            body["vram_mb"] = dice.choice((0, 100, 9000, 10_000_000))
        self._spoil(body)
        if dice.random() < 0.15 and self.jobs:
            self.tell(dice.choice(list(self.jobs.values())))
            return
        self.seq += 1
        feature = dice.choice(_FEATURES) if dice.random() < 0.95 else values.text(dice)
        data = values.as_json(body, dice)
        found = admit(feature, data, None, f"s0t2k3m-{self.seq}")
        at = EPOCH_WALL + self.desk.mono - dice.choice((0, 1, 1, 1e6, -1e6))
        self.jobs[self.seq] = events.JobRead(self.seq, dice.choice(_PRIORITIES), feature, found, at, data)
        self.tell(self.jobs[self.seq])

    def advertise(self) -> None:
        """An agent says where it stands, perhaps in a new life."""
        agent = self.dice.choice(self.agents)
        if self.spoil and self.dice.random() < 0.05:
            agent.incarnation = self.dice.choice((values.text(self.dice), f"{self.dice.randrange(9999)}-y"))
            agent.running = []
        self._hear(agent, answers=False)

    def _hear(self, agent: AgentDouble, *, answers: bool) -> None:
        advert = self.over_the_wire(Advert, agent.advert(full=self.dice.random() < 0.8))
        if advert is not None:
            self.tell(events.AdvertReceived(advert, answers))

    def take_over(self) -> None:
        """Another coordinator leads from now on, and reads everything again."""
        now = self.desk.mono
        self.desk = Desk(lead=False)
        self.desk.mono = now + 1
        self.open = []
        self.epoch += 1
        known = tuple(
            AgentRecord(
                agent_id=each.agent_id, incarnation=each.incarnation, host="h", version="0", draining=False, devices=[],
                adapters=[], features=[], at="",
            )
            for each in self.agents
        )  # fmt: skip
        self.tell(events.Led(self.epoch, known))
        for result in list(self.results.values()):
            self._see(result)
        self.tell(events.ResultsDrained())
        for job in list(self.jobs.values()):
            self.tell(job)
        self.tell(events.JobsIndexed())

    def end_run(self) -> None:
        """An attempt starts, ends with a result, or fails, as its agent says."""
        if not self.items:
            return
        token = self.dice.choice(list(self.items))
        agent, item = self.items[token]
        how = self.dice.randrange(4)
        if how == 0:
            self._report(agent, self.desk.start_of(item))
            return
        del self.items[token]
        agent.running = [each for each in agent.running if each.token != token]
        if how == 1:
            code = self.dice.choice(
                ("adapter_error", "out_of_memory", "worker_crashed", "invalid_input", "handed_back", "x")
            )
            self._report(agent, self.desk.failure_of(item, code))
            return
        result = self.over_the_wire(Result, self.desk.result_of(item, agent))
        # The subject's id is the body's: what differs is unreadable to the service.
        if result is not None and result.job_id == item.job_id:
            self._see(self.results.setdefault(item.job_id, result))

    def _report(self, agent: AgentDouble, outcome: Any) -> None:
        self.requests += 1
        report = OutcomesReported(
            agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), outcomes=[outcome]
        )
        heard = self.over_the_wire(OutcomesReported, report)
        if heard is not None:
            self.tell(events.OutcomesReturned(heard, self.requests))

    def _see(self, result: Result) -> None:
        self.tell(events.ResultSeen(result, self.dice.randrange(1, 1000)))

    def cancel(self) -> None:
        """Somebody wants a job ended, perhaps one that is not there."""
        self.tell(events.CancelAsked(f"j{self.dice.randrange(33)}", self.dice.choice((None, values.text(self.dice)))))

    def time(self) -> None:
        """A moment, a while, or a process that stood still."""
        how = self.dice.randrange(8)
        if how == 0:
            self.desk.sleep(self.dice.choice((3, 300)))
        elif how == 1:
            self.desk.tick(20)
        else:
            self.desk.tick(0.5)
            self.tell(events.RoundDue())
        self.open += self.desk.effects
        self.desk.effects = []

    def link(self) -> None:
        """The connection is lost, or back."""
        if self.dice.random() < 0.5:
            self.tell(self.dice.choice((events.Disconnected(), events.Connected())))

    def stray(self) -> None:
        """Bytes that are no result, silence, and answers to what nobody asked."""
        job_id = f"j{self.dice.randrange(30)}"
        agent = self.dice.choice(self.agents)
        how = self.dice.randrange(4)
        if how == 0 and job_id not in self.results:
            self.tell(events.ResultUnreadable(job_id, f"p3d.results.echo.{job_id}", 5, "no JSON"))
        elif how == 1:
            self.tell(events.AgentSilent(agent.agent_id, self.dice.random() < 0.5))
        elif how == 2:
            self._bid(agent, effects.SendCall(agent.agent_id, self.dice.randrange(5), (), 0.0))
        elif job_id in self.results:
            self._see(self.results[job_id])

    # -- answers of the bus and of agents

    def answer(self) -> None:
        """One thing that the engine wanted done is done, or fails."""
        if not self.open:
            return
        effect = self.open.pop(self.dice.choice((0, self.dice.randrange(len(self.open)))))
        bad = self.spoil > 0 and self.dice.random() < 0.15
        handler = getattr(self, f"_{type(effect).__name__}", None)
        if handler is not None:
            handler(effect, bad)

    def _PublishQueued(self, effect: effects.PublishQueued, bad: bool) -> None:
        job_id = effect.status.job_id
        known = job_id in self.events
        if not known and not bad:
            self.events[job_id] = (effect.status, effect.job_seq)
        kinds = (events.QueuedConflict, events.QueuedUnknown) if known or bad else (events.QueuedStored,)
        self.tell(self.dice.choice(kinds)(job_id))

    def _ReadLastEvent(self, effect: effects.ReadLastEvent, bad: bool) -> None:
        status, seq = self.events.get(effect.job_id, (None, None))
        unreadable = bad and status is None and seq is not None
        self.tell(events.LastEventRead(effect.job_id, status, seq, unreadable, effect.seq))

    def _PublishEvent(self, effect: effects.PublishEvent, bad: bool) -> None:
        self.events[effect.status.job_id] = (effect.status, effect.job_seq)
        if effect.answer:
            self.tell(events.EventsStored((effect.status.job_id,)))

    def _PublishDead(self, effect: effects.PublishDead, bad: bool) -> None:
        self.tell(events.DeadStored(effect.job_id))

    def _StoreResult(self, effect: effects.StoreResult, bad: bool) -> None:
        job_id = effect.result.job_id
        if bad:
            if self.dice.random() < 0.5:
                self.results.setdefault(job_id, effect.result)
            self.tell(events.ResultUnknown(job_id))
        elif job_id in self.results:
            self.tell(events.ResultConflict(job_id))
        else:
            self.results[job_id] = effect.result
            self._see(effect.result)

    def _ReadResult(self, effect: effects.ReadResult, bad: bool) -> None:
        self.tell(events.ResultRead(effect.job_id, self.results.get(effect.job_id)))

    def _DeleteResult(self, effect: effects.DeleteResult, bad: bool) -> None:
        self.tell(events.ResultDeleted(effect.job_id, effect.seq))

    def _AckJob(self, effect: effects.AckJob, bad: bool) -> None:
        self.jobs.pop(effect.seq, None)
        self.tell(events.JobAcked(effect.job_id if effect.answer else "", effect.seq))

    def _DeleteJob(self, effect: effects.DeleteJob, bad: bool) -> None:
        self.jobs.pop(effect.seq, None)
        self.tell(events.JobAcked(effect.job_id, effect.seq))

    def _ProveLeadership(self, effect: effects.ProveLeadership, bad: bool) -> None:
        self.tell(events.LeadershipProven())

    def _AskState(self, effect: effects.AskState, bad: bool) -> None:
        # One subject for all commands: its answer comes behind the awards before it.
        for sent in [each for each in self.open if isinstance(each, effects.SendAwards)]:
            if sent.agent_id == effect.agent_id:
                self.open.remove(sent)
                self._SendAwards(sent, bad)
        agent = self._agent(effect.agent_id)
        if agent is None or bad:
            self.tell(events.AgentSilent(effect.agent_id, self.dice.random() < 0.5))
        else:
            self._hear(agent, answers=True)

    def _SendCall(self, effect: effects.SendCall, bad: bool) -> None:
        agent = self._agent(effect.agent_id)
        if bad and self.dice.random() < 0.3:
            self.tell(events.CallTooLarge(effect.call_id, 2_000_000, 1_000_000))
        elif agent is not None and not bad:
            self._bid(agent, effect)

    def _bid(self, agent: AgentDouble, call: effects.SendCall) -> None:
        known = {each.feature: each for each in agent.adapters or []}
        bids = [
            BidPlaced(
                lot=lot.lot,
                adapter_id=known[lot.feature].adapter_id,
                device=agent.devices[0].id,
                claim_mb=1000,
                slots=self.dice.randrange(4),
                est_queue_s=0.0,
                est_load_s=1.0,
                est_run_s=self.dice.choice((0.0, 1.0, 1e9)),
            )
            for lot in call.lots
            if lot.feature in known
        ]
        answer = CallAnswered(
            agent_id=agent.agent_id,
            incarnation=agent.incarnation,
            seq=agent.count(),
            call_id=call.call_id,
            bids=bids,
            declines=[],
            devices=list(agent.devices),
        )
        heard = self.over_the_wire(CallAnswered, answer)
        if heard is not None:
            self.tell(events.CallReturned(heard))

    def _SendAwards(self, effect: effects.SendAwards, bad: bool) -> None:
        agent, tokens = self._agent(effect.agent_id), tuple(item.token for item in effect.awards)
        how = self.dice.randrange(4) if bad else 4
        if agent is None or how == 0:
            self.tell(events.AwardsUnanswered(effect.agent_id, tokens, sent=how == 0))
        elif how == 1:
            self.tell(events.AwardsRefused(effect.agent_id, tokens, "stale_epoch"))
        elif how == 2:
            self.tell(events.BodyGone(effect.awards[0].job_id, effect.awards[0].token, effect.awards[0].seq))
        elif how == 3:
            self.tell(events.AwardTooLarge(effect.awards[0].job_id, effect.awards[0].token, 2_000_000, 1_000_000))
        else:
            self._take(agent, effect)

    def _take(self, agent: AgentDouble, effect: effects.SendAwards) -> None:
        answers = []
        for item in effect.awards:
            taken = self.dice.random() < 0.8
            reason = Reason(agent_id=agent.agent_id, code=self.dice.choice(("vram_busy", "parameters", "x")))
            answers.append(
                AwardAnswer(job_id=item.job_id, token=item.token, accepted=taken, reason=None if taken else reason)
            )
            if taken:
                agent.running.append(agent.runs(item))
                self.items[item.token] = (agent, item)
        answer = AwardsAnswered(
            agent_id=agent.agent_id, incarnation=agent.incarnation, seq=agent.count(), answers=answers
        )
        heard = self.over_the_wire(AwardsAnswered, answer)
        if heard is None:
            self.tell(events.AwardsUnanswered(agent.agent_id, tuple(item.token for item in effect.awards)))
        else:
            self.tell(events.AwardsReturned(heard))

    def _SendCancels(self, effect: effects.SendCancels, bad: bool) -> None:
        agent = self._agent(effect.agent_id)
        for cancel in effect.cancels if agent is not None and not bad else ():
            if cancel.token in self.items and agent is not None:
                agent.running = [each for each in agent.running if each.token != cancel.token]
                self._report(agent, self.desk.failure_of(self.items[cancel.token][1], "cancelled"))

    def _agent(self, agent_id: str) -> AgentDouble | None:
        return next((each for each in self.agents if each.agent_id == agent_id), None)
