"""One scenario each: what the faults of the seeds hit only by chance, done on purpose."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.bus.port import Stored
from pocket3d.bus.topology import Topology
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.ops.simulation.bus import SimulatedBus
from pocket3d.ops.simulation.chaos import Chaos
from pocket3d.ops.simulation.network import WALL_AT_START
from pocket3d.ops.simulation.oracle import violations
from pocket3d.ops.simulation.run import Outcome, describe_failure, run_seed
from pocket3d.ops.simulation.shapes import shape_of
from pocket3d.ops.simulation.workload import Cancellation, Publication, Workload
from pocket3d.ops.simulation.world import World
from support.former_results import former, switch
from support.simulation_load import LOADED, PLAIN, pause_the_leader


def fine(outcome: Outcome) -> Outcome:
    assert not outcome.wrong, describe_failure(outcome)
    return outcome


@pytest.mark.parametrize("coordinators", [1, 2, 3])
def test_a_coordinator_paused_for_a_minute_under_load(coordinators: int) -> None:
    shape = msgspec.structs.replace(LOADED, coordinators=coordinators)
    for seed in range(3):
        outcome = fine(run_seed(seed, shape, pause_the_leader))
        assert outcome.results == {"succeeded": 120}
        assert set(outcome.attempts.values()) == {1}, "nothing was held against the agents"
        if coordinators == 1:
            assert outcome.seconds > 60.0


def test_an_award_whose_reply_is_lost() -> None:
    lost: list[str] = []

    def lose(subject: str, data: bytes) -> bool:
        if b'"award_jobs"' in data and len(lost) < 3:
            lost.append(subject)
            return True
        return False

    def prepare(world: World) -> None:
        world.network.loses_answer = lose
        worlds.append(world)

    worlds: list[World] = []
    for seed in range(5):
        lost.clear()
        outcome = fine(run_seed(seed, PLAIN, prepare))
        assert len(lost) == 3
        assert outcome.results == {"succeeded": 40}
        assert set(worlds[-1].attempts.values()) == {1}, "no job ran twice"
        assert set(outcome.attempts.values()) == {1}


def test_an_advert_that_overtakes_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[World] = []
    read_back: list[str] = []
    real_last = SimulatedBus.last

    async def last(bus: SimulatedBus, stream: str, subject: str) -> Stored | None:
        if stream == worlds[-1].subjects.results_stream and bus.link.name.startswith("coordinator"):
            read_back.append(subject)
        return await real_last(bus, stream, subject)

    def prepare(world: World) -> None:
        # Results come to the coordinator three seconds late, adverts at once: they say that the agent has it no more.
        world.pulls.slow_s[world.subjects.results_stream] = 3.0
        worlds.append(world)

    monkeypatch.setattr(SimulatedBus, "last", last)
    for seed in range(3):
        read_back.clear()
        outcome = fine(run_seed(seed, PLAIN, prepare))
        world = worlds[-1]
        assert len(read_back) >= 30, "adverts did overtake results"
        assert outcome.results == {"succeeded": 40}
        assert set(outcome.attempts.values()) == {1}
        assert set(world.attempts.values()) == {1}


def single(at: float = 1.0, seconds: float = 1.0) -> Workload:
    request = {"job_id": "only", "inputs": {"behave": "ok", "seconds": seconds, "files": True}}
    return Workload([Publication(at, "only", "normal", "echo", encode(request))], [])


def test_a_cancel_racing_a_success() -> None:
    worlds: list[World] = []

    def undisturbed(world: World) -> None:
        world.workload = single()
        worlds.append(world)

    fine(run_seed(1, PLAIN, undisturbed))
    (result,) = worlds[0].server.stream(worlds[0].subjects.results_stream).messages.values()
    stored_at = result.time - WALL_AT_START
    ends: list[str] = []
    for step in range(-40, 41):
        at = stored_at + step * 0.005

        def cancelled(world: World, at: float = at) -> None:
            world.workload = Workload(single().publications, [Cancellation(at, "only")])

        outcome = fine(run_seed(1, PLAIN, cancelled))
        ends += outcome.results
    assert set(ends) == {"succeeded", "cancelled"}
    assert len(ends) == 81, "each run has one result"


def test_two_agents_with_one_id() -> None:
    shape = msgspec.structs.replace(PLAIN, twins=True)
    for seed in range(10):
        outcome = fine(run_seed(seed, shape))
        assert outcome.results == {"succeeded": 40}


@pytest.mark.parametrize("crash", [False, True], ids=["calm", "the leader is killed"])
def test_one_id_published_a_hundred_times_at_once(crash: bool) -> None:
    worlds: list[World] = []

    def prepare(world: World) -> None:
        worlds.append(world)
        request = {"job_id": "same", "inputs": {"behave": "ok", "seconds": 2.0}}
        copies = [
            Publication(1.5, "same", PRIORITIES[number % 3], "echo", encode({**request, "metadata": {"n": number}}))
            for number in range(100)
        ]
        world.workload = Workload(copies, [])
        if crash:
            for after in (1.503, 1.9):
                world.network.later(after, lambda: kill_the_leader(world))

    for seed in range(8):
        outcome = fine(run_seed(seed, PLAIN, prepare))
        world = worlds[-1]
        assert outcome.results == {"succeeded": 1}
        assert world.attempts == {"same": 1}, "it ran once"
        events = world.server.stream(world.subjects.events_stream).messages.values()
        told = [each.subject.rpartition(".")[2] for each in events if each.subject != world.subjects.leader_record()]
        assert told == ["queued", "started", "succeeded"]
        assert violations(world) == []


def kill_the_leader(world: World) -> None:
    for coordinator in world.coordinators:
        if coordinator.leading:
            Chaos(world).crash(coordinator, 2.0)


def test_a_former_results_stream_is_switched_while_jobs_run_and_things_go_wrong() -> None:
    stored: list[int] = []

    def prepare(world: World) -> None:
        world.server.ensure(Topology((former(world.subjects),)))

        def switch_now() -> None:
            results = world.server.stream(world.subjects.results_stream).messages
            stored.append(len(results))
            switch(world.server, world.subjects)
            # Up to here refused ones were heard too.
            world.listener.heard[:] = [(each.subject, each.data) for each in results.values()]

        world.network.later(25.0, switch_now)

    outcomes = [fine(run_seed(seed, shape_of(seed), prepare)) for seed in range(6)]
    both = [0 < before < sum(outcome.results.values()) for before, outcome in zip(stored, outcomes, strict=True)]
    assert sum(both) >= 3, "results on both sides of the switch"
