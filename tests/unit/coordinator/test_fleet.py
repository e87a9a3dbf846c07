"""The fleet as it was last seen: what is news for jobs that wait, and what is kept of an agent."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest

from pocket3d.contracts.messages import Resident
from pocket3d.coordinator.auction.fleet import Fleet, WorkerUse
from pocket3d.coordinator.engine.effects import AwardItem
from pocket3d.coordinator.engine.job import Attempt
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, device, offer


def seen(*agents: AgentDouble) -> Fleet:
    fleet = Fleet(CoordinatorSettings())
    for agent in agents:
        fleet.update(agent.advert(), 1000.0)
    return fleet


def attempt(token: str, agent_id: str = "a1", *, apart: bool = False, variant: str | None = None) -> Attempt:
    return Attempt(
        number=1,
        token=token,
        agent_id=agent_id,
        incarnation="1000-x",
        device="fixed-0",
        adapter_id="echo",
        variant=variant,
        claim_mb=0,
        awarded_at=0.0,
        apart=apart,
    )


# ---------------------------------------------------------------- news


def _another_device(agent: AgentDouble) -> None:
    agent.devices = [*agent.devices, device("fixed-1")]


def _another_adapter(agent: AgentDouble) -> None:
    agent.adapters = [offer(), offer("other", "other")]


def _an_adapter_that_needs_less(agent: AgentDouble) -> None:
    agent.adapters = [offer(vram_mb=500)]


def _drains(agent: AgentDouble) -> None:
    agent.draining = True


def _a_new_life(agent: AgentDouble) -> None:
    agent.incarnation = "2000-x"


def _more_room(agent: AgentDouble) -> None:
    agent.devices = [device(free_mb=4256)]


def _a_little_more_room(agent: AgentDouble) -> None:
    agent.devices = [device(free_mb=4255)]


def _less_room(agent: AgentDouble) -> None:
    agent.devices = [device(free_mb=3000)]


def _another_model(agent: AgentDouble) -> None:
    agent.residents = [Resident(adapter_id="echo", device="fixed-0", pid=1, vram_mb=1000, idle_s=3.0)]


def _a_run_more(agent: AgentDouble) -> None:
    agent.running = [
        *agent.running,
        agent.runs(AwardItem("j2", 1, "echo", 1, "7-2", "echo", "fixed-0", None, 0.0, 0.0)),
    ]


def _a_run_less(agent: AgentDouble) -> None:
    agent.running = []


def _nothing(agent: AgentDouble) -> None:
    """The same again."""


@pytest.mark.parametrize(
    ("change", "for_placing", "for_ever"),
    [
        (_another_device, True, True),
        (_another_adapter, True, True),
        (_an_adapter_that_needs_less, True, True),
        (_drains, True, True),
        (_a_new_life, True, True),
        (_more_room, True, False),
        (_another_model, True, False),
        (_a_run_less, True, False),
        (_a_run_more, False, False),
        (_a_little_more_room, False, False),
        (_less_room, False, False),
        (_nothing, False, False),
    ],
)
def test_what_an_advert_changes_is_news_for_a_round_or_even_for_what_could_never_run(
    change: Callable[[AgentDouble], None], for_placing: bool, for_ever: bool
) -> None:
    agent = AgentDouble(devices=[device(free_mb=4000)])
    agent.running = [agent.runs(AwardItem("j1", 1, "echo", 1, "7-1", "echo", "fixed-0", None, 0.0, 0.0))]
    other = AgentDouble("a2")
    fleet = seen(agent, other)
    before = (fleet.version, fleet.composition, fleet.agents["a1"].version, fleet.agents["a2"].version)
    change(agent)
    fleet.update(agent.advert(), 1001.0)
    assert (fleet.version > before[0], fleet.composition > before[1]) == (for_placing, for_ever)
    assert (fleet.agents["a1"].version > before[2], fleet.agents["a2"].version > before[3]) == (for_placing, False)


@pytest.mark.parametrize(
    ("rooms", "news"),
    [((4000, 4100, 4200, 4256), [False, False, True]), ((4000, 3900, 4155, 4156), [False, False, True])],
)
def test_room_that_grows_slowly_counts_from_the_low_on(rooms: tuple[int, ...], news: list[bool]) -> None:
    agent = AgentDouble()
    fleet = Fleet(CoordinatorSettings())
    versions = []
    for room in rooms:
        agent.devices = [device(free_mb=room)]
        fleet.update(agent.advert(), 1000.0)
        versions.append(fleet.version)
    assert [after > before for before, after in itertools.pairwise(versions)] == news


def test_an_agent_that_is_lost_is_news_once() -> None:
    fleet = seen(AgentDouble("a1"), AgentDouble("a2"))
    before = fleet.version, fleet.composition
    assert fleet.lose("a1") is not None
    assert (fleet.version, fleet.composition) == (before[0] + 1, before[1] + 1)
    assert fleet.lose("a1") is None
    assert (fleet.version, fleet.composition) == (before[0] + 1, before[1] + 1)


def test_that_results_must_be_proposed_is_news_of_every_agent_once() -> None:
    fleet = seen(AgentDouble("a1"), AgentDouble("a2"))
    before = {view.agent_id: view.version for view in fleet.agents.values()}, fleet.composition
    fleet.want_proposals()
    fleet.want_proposals()
    assert fleet.composition == before[1] + 1
    assert all(view.version > before[0][view.agent_id] for view in fleet.agents.values())


def test_an_attempt_that_ends_is_news_of_its_agent_and_one_that_is_not_booked_is_none() -> None:
    fleet = seen(AgentDouble("a1"), AgentDouble("a2"))
    fleet.book(attempt("7-1"), "j1")
    before = fleet.version
    fleet.release(attempt("7-2"))
    fleet.release(attempt("7-1", "gone"))
    fleet.release(attempt("7-1", "a2"))
    assert fleet.version == before
    fleet.release(attempt("7-1"))
    assert fleet.agents["a1"].version == fleet.version == before + 1
    assert fleet.agents["a1"].attempts == {}


# ---------------------------------------------------------------- what is kept


def test_a_new_life_has_what_was_awarded_to_the_former_and_nothing_else_of_it() -> None:
    agent = AgentDouble()
    fleet = seen(agent)
    fleet.book(attempt("7-1"), "j1")
    view = fleet.agents["a1"]
    view.asked_at, view.unknown_attempts, view.asked = 1000.0, {"6-1"}, True
    agent.incarnation = "2000-x"
    updated = fleet.update(agent.advert(full=False), 1001.0)
    assert updated is not None
    fresh, restarted = updated
    assert restarted and fresh is fleet.agents["a1"]
    assert list(fresh.attempts) == ["7-1"]
    assert (fresh.adapters, fresh.asked_at, fresh.unknown_attempts, fresh.asked) == ({}, None, set(), False)


def test_an_older_life_and_an_older_advert_change_nothing() -> None:
    agent = AgentDouble()
    first, second = agent.advert(), agent.advert()
    fleet = Fleet(CoordinatorSettings())
    assert fleet.update(second, 1000.0) is not None
    assert fleet.update(second, 1001.0) is None
    assert fleet.update(first, 1001.0) is None
    assert fleet.update(AgentDouble(born_ms=999).advert(), 1001.0) is None
    assert (fleet.agents["a1"].last_seen, fleet.agents["a1"].advert.seq) == (1000.0, 2)


def test_an_advert_without_adapters_leaves_them_as_they_were() -> None:
    agent = AgentDouble(adapters=[offer("one"), offer("two")])
    fleet = Fleet(CoordinatorSettings())
    fleet.update(msgspec.structs.replace(agent.advert(), preferred_adapters={"echo": ["two", "one"]}), 1000.0)
    fleet.update(agent.advert(full=False), 1001.0)
    view = fleet.agents["a1"]
    assert (list(view.adapters), view.preferred) == (["one", "two"], {"echo": ["two", "one"]})
    agent.adapters = [offer("two")]
    fleet.update(msgspec.structs.replace(agent.advert(), preferred_adapters={}), 1002.0)
    assert (list(view.adapters), view.preferred) == (["two"], {})


def test_an_agent_that_is_heard_is_there_whatever_was_said_of_it() -> None:
    agent = AgentDouble()
    fleet = seen(agent)
    fleet.agents["a1"].no_responder_times = [1001.0]
    fleet.update(agent.advert(full=False), 1002.0)
    assert (fleet.agents["a1"].last_seen, fleet.agents["a1"].no_responder_times) == (1002.0, [])


def test_leases_that_begin_again_hold_no_silence_against_anybody() -> None:
    fleet = seen(AgentDouble())
    view = fleet.agents["a1"]
    view.no_responder_times = [1003.0]
    view.answer_times.unreachable(1005.0)
    view.answer_times.asked(1005.0)
    assert view.answer_times.silent(1005.0)
    fleet.begin_leases_again(1006.0)
    assert (view.last_seen, view.no_responder_times) == (1006.0, [])
    assert not view.answer_times.silent(1006.0)
    assert view.answer_times.ask_at(1006.0) == 1006.0


def test_attempts_are_counted_by_worker_and_one_that_wants_it_alone_is_told() -> None:
    fleet = seen(AgentDouble())
    for number, (variant, apart) in enumerate(((None, False), (None, True), (None, False), ("512", False))):
        fleet.book(attempt(f"7-{number}", apart=apart, variant=variant), f"j{number}")
    assert fleet.agents["a1"].workers() == {
        ("fixed-0", "echo", None): WorkerUse(3, apart=True),
        ("fixed-0", "echo", "512"): WorkerUse(1, apart=False),
    }


# ---------------------------------------------------------------- checks of parameters

SEED = {"type": "object", "properties": {"seed": {"type": "integer"}}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


def checked(fleet: Fleet) -> dict[str, int]:
    """By adapter, how many ways of checking its parameters there are."""
    return {adapter_id: len(checks) for adapter_id, checks in fleet.checks_of("echo").items()}


def test_parameters_are_checked_by_what_the_agents_of_now_declare() -> None:
    first, second = (AgentDouble(name, adapters=[offer(parameters=SEED)]) for name in ("a1", "a2"))
    fleet = seen(first, second)
    assert checked(fleet) == {"echo": 1}, "equal schemas are one"
    second.adapters = [offer(parameters=TEXT), offer("other", parameters=SEED)]
    fleet.update(second.advert(), 1001.0)
    assert checked(fleet) == {"echo": 2, "other": 1}
    second.incarnation = "2000-x"
    fleet.update(second.advert(full=False), 1002.0)
    assert checked(fleet) == {"echo": 1}, "its new life has not said yet what it has"
    fleet.update(second.advert(), 1003.0)
    assert checked(fleet) == {"echo": 2, "other": 1}
    fleet.lose("a2")
    assert checked(fleet) == {"echo": 1}
    fleet.lose("a1")
    assert checked(fleet) == {}
