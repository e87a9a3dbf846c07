"""Who is called for the lots of a round, and whose answers the round waits for."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from pocket3d.contracts.commands import BenchedVariant, CallAnswered, Lot

from ..engine.job import GroupKey
from ..settings import CoordinatorSettings
from .fleet import AgentView, Fleet

#: Silent agents that are asked again for one lot.
_SILENT_PER_LOT = 2


class Invitation(NamedTuple):
    """What one agent is called for."""

    agent_id: str
    lots: tuple[Lot, ...]


class Round:
    """One open call."""

    def __init__(self, call_id: int, version: int, opened_at: float) -> None:
        self.call_id = call_id
        self.opened_at = opened_at
        #: Of the fleet's picture when it was opened: what changes later may wake a group again.
        self.version = version
        #: When it is closed without those that have not answered; see `wait_for`.
        self.deadline: float
        #: Lot number -> its group and how many of its jobs are up.
        self.lots: dict[int, tuple[GroupKey, int]] = {}
        #: Agent -> incarnation and version of its picture when it was invited.
        self.invited: dict[str, tuple[str, int]] = {}
        #: Lot number -> agents invited for it.
        self.called: dict[int, list[str]] = {}
        #: Agents whose answers the round waits for, until its deadline.
        self.waited_for: set[str] = set()
        self.answers: dict[str, CallAnswered] = {}
        #: At most, of the largest of its messages.
        self.bytes = 0
        self._benched: dict[str, list[BenchedVariant]] = {}

    @property
    def complete(self) -> bool:
        """True when all have answered that it waits for."""
        return self.waited_for <= self.answers.keys()

    def benched_on(self, fleet: Fleet, view: AgentView) -> list[BenchedVariant]:
        """Variants that got no job on a device of an agent, after failures there, when the round was opened."""
        if not len(fleet.benches):
            return []
        if view.agent_id not in self._benched:
            self._benched[view.agent_id] = [
                BenchedVariant(adapter_id=offer.adapter_id, variant=variant.name, device=device.id)
                for offer in view.adapters.values()
                for variant in offer.variants
                for device in view.advert.devices
                if fleet.benches.left_s(view.agent_id, device.id, offer.adapter_id, self.opened_at, variant.name) > 0.0
            ]
        return self._benched[view.agent_id]


def best_looking(
    fleet: Fleet, settings: CoordinatorSettings, views: list[AgentView], key: GroupKey, now_mono: float
) -> list[AgentView]:
    """All agents of a small fleet; of a large one those that have answered before, then those that seem warm, then
    those with the most room. Silent ones come beside them, never in their place, and less and less often.
    """
    silent: list[AgentView] = []
    best: list[AgentView] = []
    for view in views:
        (silent if view.answer_times.silent(now_mono) else best).append(view)
    if len(fleet.agents) > settings.invite_all_up_to:

        def looks(view: AgentView) -> tuple[int, int, int, int, str]:
            unknown = 1 if view.answer_times.typical_s is None else 0
            sound = [d for d in view.advert.devices if d.quarantine is None]
            room = max((d.free_mb - d.reserved_mb - d.buffer_mb for d in sound), default=0)
            return (unknown, 0 if _looks_warm(view, key) else 1, len(view.attempts), -room, view.agent_id)

        best = sorted(best, key=looks)[: settings.invite_per_lot]
    due = (view for view in silent if view.answer_times.ask_at(now_mono) <= now_mono)
    return [*best, *islice(due, _SILENT_PER_LOT)]


def wait_for(call: Round, fleet: Fleet, settings: CoordinatorSettings, now_mono: float) -> None:
    """Decide whose answers are waited for, and how long: those that usually answer in time, and slower ones that
    seem warm for a lot; if there are none of these, everybody. Whoever answers later is placed then.
    """
    times: dict[str, float] = {}
    for number, agents in call.called.items():
        for agent_id in agents:
            view = fleet.agents[agent_id]
            typical_s = view.answer_times.typical_s
            if view.answer_times.silent(now_mono):
                continue
            if typical_s is None:
                # In a large fleet newcomers have been asked what they run: one that has not answered may never do.
                if len(fleet.agents) <= settings.invite_all_up_to:
                    times[agent_id] = 0.0
            elif typical_s <= settings.round_deadline_s or _looks_warm(view, call.lots[number][0]):
                times[agent_id] = typical_s
    if not times:
        times = {agent_id: fleet.agents[agent_id].answer_times.typical_s or 0.0 for agent_id in call.invited}
    for agent_id in call.invited:
        fleet.agents[agent_id].answer_times.asked(now_mono)
    call.waited_for = set(times)
    learned_s = 1.5 * max(times.values()) + 0.05
    call.deadline = now_mono + max(settings.round_deadline_s, min(learned_s, settings.round_deadline_cap_s))


def _looks_warm(view: AgentView, key: GroupKey) -> bool:
    """True if a worker of an adapter that serves the lot is loaded there and idle."""
    serving = {a.adapter_id for a in view.serving(key)}
    wanted = key.variant
    return any(r.adapter_id in serving and r.idle_s > 0 and wanted in (None, r.variant) for r in view.advert.residents)
