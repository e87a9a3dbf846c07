"""Rounds: which lots are called, who is invited, when a round closes, and what it decides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pocket3d.contracts.commands import BidDeclined, CallAnswered, Lot, Reason
from pocket3d.contracts.fit import Room
from pocket3d.contracts.messages import DeviceState

from ..engine.job import GroupKey, JobRecord
from ..leadership.message_limits import room_of
from ..settings import CoordinatorSettings
from . import licences
from .backfill import Backfill
from .bid_cache import BidCache
from .declines import Declines
from .expected import Expected
from .fleet import AgentView, Fleet, WorkerUse
from .invitations import Invitation, Round, best_looking, wait_for
from .lot_bids import lot_bid
from .lot_turns import LotTurns
from .planning import Assignment, LotBid, LotPlan, RoundPlanner, WorkerKey, bounded
from .queue import JobGroup, WaitingQueue
from .scoring import POLICIES
from .turns import Turn, is_before
from .unavailable import Unavailable
from .usable_bids import usable_bids, where_not_failed

#: Of a lot's message without its lists (or of a variant to leave out), and of one adapter to leave out.
_LOT_BYTES, _ADAPTER_BYTES = 288, 70


class _PlannedLot(NamedTuple):
    """A lot of a round, the bids for it, and where its jobs go."""

    number: int
    group: JobGroup
    bids: list[LotBid]
    plan: LotPlan
    assignments: list[Assignment]


class Auctioneer:
    """Keeps at most one round open. Pure: the engine hands in the time and sends what it returns."""

    def __init__(self, settings: CoordinatorSettings, queue: WaitingQueue, fleet: Fleet) -> None:
        self._settings = settings
        self._queue = queue
        self._fleet = fleet
        self._policy = POLICIES[settings.policy]
        self._composition = fleet.composition
        self.round: Round | None = None
        #: Largest message that the server takes, bytes: from the takeover on.
        self.max_payload: int
        self._call_id = 0
        self.backfill = Backfill(settings.hold_after_s)
        self.unavailable = Unavailable(settings, queue, fleet)
        self._declines = Declines()
        self._standing = BidCache(queue, fleet, settings.assumed_run_s)
        #: Closed rounds with agents that have not answered, by call, oldest first; and answers that came to them.
        self._closed: dict[int, Round] = {}
        self._late: list[tuple[Round, CallAnswered]] = []

    @property
    def call_id(self) -> int:
        """Number of the latest call."""
        return self._call_id

    # -- without a round

    def award_from_cache(self, now_mono: float) -> list[Assignment]:
        """Award the only queued job by a bid of an earlier round, if one may be used again; else nothing."""
        if self.round is not None or self.backfill.hold is not None:
            return []
        return self._standing.take(now_mono)

    def withdraw(self, agent_id: str) -> None:
        """Forget the bids of an agent that may be used again: an award to it did not come about, or failed."""
        self._standing.withdraw(agent_id)

    # -- opening

    def open(self, now_mono: float) -> list[Invitation]:
        """Open a round if none is open and something could be placed; the invitations to send."""
        if self.round is not None:
            return []
        if self._composition != self._fleet.composition:
            self._composition = self._fleet.composition
            self._queue.unpark_all()
            # Nobody waits for these: whether they are broken still is not looked at, so the wait begins anew.
            self.unavailable.forget_unwanted()
        if not self._queue.active or not self._fleet.agents:
            return []
        settings = self._settings
        call = Round(self._call_id + 1, self._fleet.version, now_mono)
        lots_of: dict[str, list[Lot]] = {}
        for group in self._queue.in_order(now_mono, self._fleet.version):
            candidates = self._candidates(group, now_mono)
            if not candidates:
                continue
            if call.lots and call.bytes + self._lot_bytes(call, group.key, candidates) > room_of(self.max_payload):
                # The next round is for those that are left.
                break
            # Each for itself: a large group in front that waits for room must not use up the round of the others.
            self._add_lot(call, lots_of, group.key, min(len(group), settings.jobs_per_lot), candidates, now_mono)
            if len(call.lots) >= settings.lots_per_round:
                break
        if not call.lots:
            return []
        self._call_id = call.call_id
        self.round = call
        wait_for(call, self._fleet, self._settings, now_mono)
        return [Invitation(agent_id, tuple(lots)) for agent_id, lots in lots_of.items()]

    def _lot_bytes(self, call: Round, key: GroupKey, candidates: list[AgentView]) -> int:
        """Size of a lot in a call, at most, bytes."""
        left_out = sum(len(each) + 3 for each in (*(key.preferred or ()), *key.unfit))
        variants = len(key.raised) + max(len(call.benched_on(self._fleet, view)) for view in candidates)
        return _LOT_BYTES * (1 + variants) + left_out + max(len(v.adapters) for v in candidates) * _ADAPTER_BYTES

    def drop_call(self, call_id: int) -> list[JobRecord]:
        """Abandon the open call, which is too large for any message; returns the jobs for which it was."""
        call = self.round
        if call is None or call.call_id != call_id:
            return []
        self.round = None
        groups = [self._queue.group_of(key) for key, _ in call.lots.values()]
        return [record for group in groups if group is not None for record in group]

    def _add_lot(
        self,
        call: Round,
        lots_of: dict[str, list[Lot]],
        key: GroupKey,
        jobs: int,
        candidates: list[AgentView],
        now_mono: float,
    ) -> None:
        number = len(call.lots)
        call.bytes += self._lot_bytes(call, key, candidates)
        call.lots[number] = (key, jobs)
        call.called[number] = [view.agent_id for view in candidates]
        for view in candidates:
            call.invited[view.agent_id] = (view.advert.incarnation, view.version)
            shut_out = self._fleet.shut_out(view, now_mono)
            lots_of.setdefault(view.agent_id, []).append(
                Lot(
                    lot=number,
                    feature=key.canonical,
                    adapters=None if key.preferred is None else list(key.preferred),
                    vram_mb=key.vram_mb,
                    jobs=jobs,
                    without=[*shut_out, *key.unfit, *licences.left_out(view.adapters, key)],
                    variant=key.variant,
                    raised=list(key.raised),
                    benched=call.benched_on(self._fleet, view),
                    size_class=key.size_class,
                )
            )

    def _candidates(self, group: JobGroup, now_mono: float) -> list[AgentView]:
        """Agents to invite for a job group. Without any the group rests until the fleet changes, or is unschedulable
        if no agent could ever take it.
        """
        able: list[AgentView] = []
        hopeless = True
        reasons: dict[str, list[Reason]] = {}
        for view in self._fleet.agents.values():
            obstacles = self._fleet.obstacles(view, group.key, now_mono)
            if obstacles:
                reasons[view.agent_id] = obstacles
                # Benches and quarantines end by themselves; everything else only by a change of composition.
                hopeless = hopeless and all(r.code not in ("benched", "quarantined") for r in obstacles)
                continue
            hopeless = False
            able.append(view)
        if group.key.excluded:
            others = [view for view in able if view.agent_id not in group.key.excluded]
            if others:
                for view in able:
                    if view.agent_id in group.key.excluded:
                        reasons[view.agent_id] = [
                            Reason(agent_id=view.agent_id, code="excluded", message="an earlier attempt failed here")
                        ]
                able = others
        awake: list[AgentView] = []
        for view in able:
            if group.declined.get(view.agent_id) != view.version:
                would_decline = self._declines.of(view.agent_id, view.version, group.key)
                if would_decline is None:
                    awake.append(view)
                else:
                    reasons[view.agent_id] = would_decline
            elif view.agent_id in group.reasons:
                reasons[view.agent_id] = group.reasons[view.agent_id]
        group.reasons = reasons
        self.unavailable.note(group, now_mono, nobody=not able)
        if awake:
            asked = best_looking(self._fleet, self._settings, awake, group.key, now_mono)
            if not asked:
                # All of them are silent, and were asked a moment ago.
                group.sleep(self._fleet.version, min(view.answer_times.ask_at(now_mono) for view in awake))
            return asked
        group.sleep(self._fleet.version)
        # Nobody is asked for it any more: a device must not stand idle for it.
        self.backfill.release_group(group.key)
        if hopeless:
            self._queue.park(group)
        return []

    # -- answers

    def take(self, answer: CallAnswered, now_mono: float) -> None:
        """Note an answer to the open call or to a former one; answers of another life of the agent are dropped."""
        call = self.round
        if call is None or call.call_id != answer.call_id:
            call = self._closed.get(answer.call_id)
        invited = call.invited.get(answer.agent_id) if call is not None else None
        view = self._fleet.agents.get(answer.agent_id)
        if call is None or invited is None or invited[0] != answer.incarnation or answer.agent_id in call.answers:
            return
        if view is not None:
            view.answer_times.answered(call.opened_at, now_mono)
        call.answers[answer.agent_id] = answer
        if call is not self.round:
            self._late.append((call, answer))

    def drop_agent(self, agent_id: str) -> None:
        """Stop waiting for the answer of an agent that is lost."""
        if self.round is not None:
            self.round.invited.pop(agent_id, None)
            self.round.answers.pop(agent_id, None)
            self.round.waited_for.discard(agent_id)
        self._declines.forget(agent_id)
        self.backfill.release_agent(agent_id)

    def abandon(self) -> None:
        """Forget the open round and the closed ones (leadership or connection lost)."""
        self.round = None
        self._closed.clear()
        self._late.clear()

    def due(self, now_mono: float) -> bool:
        """True when the open round is to be closed."""
        return self.round is not None and (self.round.complete or now_mono >= self.round.deadline)

    # -- closing

    def close(self, now_mono: float) -> list[Assignment]:
        """Close the round; returns the assignments. Groups that got nothing rest until the fleet changes."""
        call = self.round
        if call is None:
            return []
        self.round = None
        self._keep(call, now_mono)
        assignments: list[Assignment] = []
        for number, group, bids, plan, placed in self._plans(call, call.answers, now_mono):
            self._standing.note(group.key, bids, now_mono)
            self.backfill.check(group.key, bids)
            assignments += placed
            group.plan, group.expected = plan.waits_for, plan.expected
            silent = [a for a in call.called[number] if a not in call.answers and a in self._fleet.agents]
            for agent_id in silent:
                why = self._fleet.agents[agent_id].answer_times.describe(now_mono - call.opened_at)
                group.reasons[agent_id] = [Reason(agent_id=agent_id, code="silent", message=why)]
            if plan.waits:
                until = math.inf
                if plan.next_start is not None:
                    # What it waits for may not come when it was said; others may be quicker then.
                    until = now_mono + max(plan.next_start[2], self._settings.advert_s)
                if silent:
                    # The call or its answer was lost: the agent's adverts need not change for it to bid next time.
                    until = now_mono + self._settings.advert_s
                group.sleep(call.version, until)
                oldest = group.oldest({assignment.record.job_id for assignment in placed})
                if oldest is not None:
                    self.backfill.consider(oldest, plan.next_start, now_mono)
        return assignments

    def place_late(self, now_mono: float) -> Iterator[list[Assignment]]:
        """Place jobs that still wait on bids that came after their round had closed: answer by answer, for what one has
        placed is no longer there for the next.
        """
        late, self._late = self._late, []
        for call, answer in late:
            plans = self._plans(call, {answer.agent_id: answer}, now_mono)
            yield [assignment for planned in plans for assignment in planned.assignments]

    def _keep(self, call: Round, now_mono: float) -> None:
        """Keep a closed round for the answers that are still to come."""
        self._closed = {
            call_id: former
            for call_id, former in self._closed.items()
            if now_mono - former.opened_at < self._settings.late_bids_s
        }
        if len(call.answers) < len(call.invited):
            self._closed[call.call_id] = call

    def _plans(self, call: Round, answers: Mapping[str, CallAnswered], now_mono: float) -> list[_PlannedLot]:
        """Plan each lot whose jobs still wait, on these answers."""
        bids: dict[int, list[LotBid]] = {}
        for agent_id, answer in answers.items():
            view = self._fleet.agents.get(agent_id)
            if view is None or view.advert.incarnation != answer.incarnation:
                continue
            usable, refused = usable_bids(self._fleet, view, answer.bids, now_mono)
            for bid in usable:
                if bid.lot in call.lots:
                    key = call.lots[bid.lot][0]
                    bids.setdefault(bid.lot, []).append(lot_bid(view, key, bid))
            self._note_declines(call, agent_id, [*answer.declines, *refused])
        planner = RoundPlanner(
            self._policy,
            self._rooms(answers),
            self._settings.assumed_run_s,
            self.backfill.hold,
            now_mono,
            self._workers(answers),
            self._settings.variant_wait_s,
        )
        lots: dict[int, _PlannedLot] = {}
        for number, (key, _) in call.lots.items():
            group, bids_of = self._queue.group_of(key), where_not_failed(key, bids.get(number, []))
            if group is not None:
                lots[number] = _PlannedLot(number, group, bids_of, LotPlan(key, bids_of), [])
        self._place(call, planner, lots, now_mono)
        return list(lots.values())

    def _place(self, call: Round, planner: RoundPlanner, lots: Mapping[int, _PlannedLot], now_mono: float) -> None:
        """Place the jobs of these lots turn by turn. Each start is charged at once: it decides whose turn is next."""
        biddable = [(lot.number, lot.group, call.lots[lot.number][1]) for lot in lots.values() if lot.bids]
        held = self._turn_of_hold(now_mono)
        turns = LotTurns(self._queue, biddable, now_mono)
        while (next_turn := turns.next()) is not None:
            number, record, turn = next_turn
            lot = lots[number]
            # Nothing waits for a device whose job may not start.
            free = held is not None and (held.flow.account.at_limit or is_before(turn, held, self._queue.share))
            placed = planner.place(lot.plan, behind_hold=not free)
            if placed is not None:
                agent_id, bid, *_ = placed.by
                cost = bounded(placed.by.cost(self._settings.assumed_run_s), record.job_class.limits)
                lot.assignments.append(
                    Assignment(
                        record,
                        agent_id,
                        bid.device,
                        bid.adapter_id,
                        placed.claim_mb,
                        turns.charge(turn, cost),
                        bid.variant,
                        placed.passed_over,
                        Expected.by(bid),
                    )
                )
            elif lot.plan.closed:
                turns.close(number)
        turns.put_back()

    def _turn_of_hold(self, now_mono: float) -> Turn | None:
        """The turn of the job for which a device is held."""
        hold = self.backfill.hold
        group = self._queue.group_of(hold.key) if hold is not None else None
        line = group.lines.get(hold.tenant) if group is not None and hold is not None else None
        return Turn(line.flow, self._queue.urgency(line, now_mono), 0) if line is not None else None

    def _note_declines(self, call: Round, agent_id: str, declines: list[BidDeclined]) -> None:
        version = call.invited[agent_id][1]
        for decline in declines:
            if decline.lot not in call.lots:
                continue
            key = call.lots[decline.lot][0]
            reasons = licences.as_meant(agent_id, self._fleet.agents[agent_id].adapters, key, decline.reasons)
            self._declines.note(agent_id, version, key, reasons)
            group = self._queue.group_of(key)
            if group is not None:
                group.declined[agent_id] = version
                group.reasons[agent_id] = reasons

    def _workers(self, answers: Mapping[str, CallAnswered]) -> dict[WorkerKey, WorkerUse]:
        views = {agent_id: self._fleet.agents.get(agent_id) for agent_id in answers}
        return {
            (a, *place): use for a, view in views.items() if view is not None for place, use in view.workers().items()
        }

    def _rooms(self, answers: Mapping[str, CallAnswered]) -> dict[tuple[str, str], Room]:
        rooms: dict[tuple[str, str], Room] = {}
        for agent_id, answer in answers.items():
            view = self._fleet.agents.get(agent_id)
            devices: list[DeviceState] = answer.devices or (view.advert.devices if view else [])
            for device in devices:
                # How many run there already, and how many may, is in the slots of the bids.
                rooms[agent_id, device.id] = Room(
                    device.kind, device.total_mb, device.free_mb, device.reserved_mb, device.buffer_mb
                )
        return rooms
