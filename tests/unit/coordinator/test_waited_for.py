"""Whose answers a round waits for, and how long, on values."""

from __future__ import annotations

import pytest

from pocket3d.contracts.messages import Resident
from pocket3d.coordinator.auction.fleet import Fleet
from pocket3d.coordinator.auction.invitations import Round, wait_for
from pocket3d.coordinator.engine.job import GroupKey
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble

KEY = GroupKey("normal", "echo", None, None, frozenset())
NOW = 1000.0
SETTINGS = CoordinatorSettings(round_deadline_s=0.25, round_deadline_cap_s=2.0, invite_all_up_to=4)


def called(agents: dict[str, float | str | None], *, more: int = 0) -> tuple[Round, Fleet]:
    """A round to which these agents are called: how long each takes to answer (None: it never was asked), or a word.

    Args:
        agents: by name; `silent` for one that was asked long ago, `warm` for one that takes a second and is warm.
        more: agents of the fleet beside them.
    """
    fleet = Fleet(SETTINGS)
    for name in (*agents, *(f"more{number}" for number in range(more))):
        agent = AgentDouble(name)
        if agents.get(name) == "warm":
            agent.residents = [Resident(adapter_id="echo", device="fixed-0", pid=1, vram_mb=1000, idle_s=3.0)]
        fleet.update(agent.advert(), NOW)
    call = Round(1, fleet.version, NOW)
    call.lots[0] = (KEY, 1)
    call.called[0] = list(agents)
    for name, takes in agents.items():
        times = fleet.agents[name].answer_times
        if takes == "silent":
            times.unreachable(NOW)
        elif takes is not None:
            times.answered(NOW - (1.0 if isinstance(takes, str) else takes), NOW)
        call.invited[name] = ("1000-x", 0)
    wait_for(call, fleet, SETTINGS, NOW)
    return call, fleet


@pytest.mark.parametrize(
    ("agents", "more", "waited_for", "deadline_s"),
    [
        ({"quick": 0.1}, 0, {"quick"}, 0.25),
        ({"quick": 0.25}, 0, {"quick"}, 0.425),
        ({"silent": "silent", "quick": 0.1}, 0, {"quick"}, 0.25),
        ({"slow": 0.5, "quick": 0.2}, 0, {"quick"}, 0.35),
        ({"slow": 0.5, "warm": "warm", "quick": 0.1}, 0, {"warm", "quick"}, 1.55),
        ({"slow": 0.5, "slower": 0.8}, 0, {"slow", "slower"}, 1.25),
        ({"far": 9.0}, 0, {"far"}, 2.0),
        ({"new": None, "quick": 0.1}, 0, {"new", "quick"}, 0.25),
        ({"new": None, "quick": 0.1}, 3, {"quick"}, 0.25),
        ({"new": None}, 4, {"new"}, 0.25),
        ({"silent": "silent"}, 0, {"silent"}, 0.25),
    ],
)
def test_those_are_waited_for_that_usually_answer_in_time(
    agents: dict[str, float | str | None], more: int, waited_for: set[str], deadline_s: float
) -> None:
    call, _ = called(agents, more=more)
    assert call.waited_for == waited_for
    assert call.deadline == pytest.approx(NOW + deadline_s)


def test_all_that_are_called_are_asked_from_now_on() -> None:
    _, fleet = called({"quick": 0.1, "slow": 0.5})
    assert all(view.answer_times.silent(NOW + 60.0) for view in fleet.agents.values())
    assert not any(view.answer_times.silent(NOW) for view in fleet.agents.values())
