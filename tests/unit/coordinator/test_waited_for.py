"""Whose answers a round waits for, and how long, on values."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.contracts.messages import Resident
from pocket3d.contracts.variants import Variant
from pocket3d.coordinator.auction.fleet import Fleet
from pocket3d.coordinator.auction.invitations import Round, wait_for
from pocket3d.coordinator.engine.job import GroupKey
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, offer

KEY = GroupKey("normal", "echo", None, None, frozenset())
NOW = 1000.0
IDLE = Resident(adapter_id="echo", device="fixed-0", pid=1, vram_mb=1000, idle_s=0.5)
SETTINGS = CoordinatorSettings(round_deadline_s=0.25, round_deadline_cap_s=2.0, invite_all_up_to=4)


def called(
    agents: dict[str, float | str | None], *, more: int = 0, key: GroupKey = KEY, resident: Resident = IDLE
) -> tuple[Round, Fleet]:
    """A round to which these agents are called: how long each takes to answer (None: it never was asked), or a word.

    Args:
        agents: by name; `silent` for one that was asked long ago, `warm` for one that takes a second and is warm.
        more: agents of the fleet beside them.
        key: of the jobs.
        resident: what the warm one has loaded.
    """
    fleet = Fleet(SETTINGS)
    for name in (*agents, *(f"more{number}" for number in range(more))):
        sizes = [Variant(name=each, vram_mb=1000, quality=1) for each in ("512", "1024")]
        agent = AgentDouble(name, adapters=[offer(variants=sizes)])
        if agents.get(name) == "warm":
            agent.residents = [resident]
        fleet.update(agent.advert(), NOW)
    call = Round(1, fleet.version, NOW)
    call.lots[0] = (key, 1)
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
        ({"new": None, "quick": 0.1}, 2, {"new", "quick"}, 0.25),
        ({"new": None, "quick": 0.1}, 3, {"quick"}, 0.25),
        ({"slow": 0.5, "quick": 0.25}, 0, {"quick"}, 0.425),
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


@pytest.mark.parametrize(
    ("resident", "variant", "warm"),
    [
        (IDLE, None, True),
        (msgspec.structs.replace(IDLE, idle_s=0.0), None, False),
        (msgspec.structs.replace(IDLE, adapter_id="other"), None, False),
        (msgspec.structs.replace(IDLE, variant="512"), None, True),
        (msgspec.structs.replace(IDLE, variant="512"), "512", True),
        (msgspec.structs.replace(IDLE, variant="1024"), "512", False),
    ],
    ids=["idle", "busy", "another adapter", "any variant will do", "the variant that is wanted", "another variant"],
)
def test_a_slow_agent_is_waited_for_if_what_the_job_wants_is_loaded_there_and_idle(
    resident: Resident, variant: str | None, warm: bool
) -> None:
    call, _ = called({"slow": "warm", "quick": 0.1}, key=KEY._replace(variant=variant), resident=resident)
    assert call.waited_for == ({"slow", "quick"} if warm else {"quick"})
