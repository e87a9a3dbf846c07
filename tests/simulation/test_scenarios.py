"""One scenario each: what the faults of the seeds hit only by chance, done on purpose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.bus.port import ConsumerName, Msg, NoResponders, Stored
from pocket3d.bus.topology import Topology
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import AwardJobs, LeaderRecord
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.messages import Advert, Status
from pocket3d.coordinator.engine.history import BATCH_HEADER
from pocket3d.gpu_agents.engine import commands
from pocket3d.gpu_agents.engine.lifecycle import WorkerState
from pocket3d.ops.simulation.bus import SimulatedBus
from pocket3d.ops.simulation.chaos import Chaos
from pocket3d.ops.simulation.network import WALL_AT_START, Link
from pocket3d.ops.simulation.oracle import violations
from pocket3d.ops.simulation.pulls import Pulls
from pocket3d.ops.simulation.run import Outcome, describe_failure, run_seed
from pocket3d.ops.simulation.shapes import FaultProfile, RunShape, shape_of
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
    for seed in range(2):
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
    for seed in range(3):
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
    for seed in range(2):
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
    for seed in range(5):
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

    for seed in range(4):
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


def test_a_killed_leader_costs_four_seconds_and_not_its_lease() -> None:
    for seed in range(2):
        gap: list[float] = []

        def prepare(world: World, gap: list[float] = gap) -> None:
            def leads(since: float) -> None:
                if world.leader() is not None:
                    gap.append(world.loop.time() - since)
                else:
                    world.network.later(0.05, lambda: leads(since))

            def kill() -> None:
                (leader,) = (each for each in world.coordinators if each.leading)
                Chaos(world).crash(leader, 60.0)
                world.network.later(0.05, lambda: leads(world.loop.time()))

            world.network.later(7.0, kill)

        outcome = fine(run_seed(seed, LOADED, prepare))
        assert outcome.results == {"succeeded": 120}
        assert set(outcome.attempts.values()) == {1}
        assert gap, "another leads"
        assert gap[0] < 4.0


def test_a_leader_on_the_cut_off_side_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side says that it is not connected and elects another, while it still speaks to all agents and
    JetStream does not answer it.
    """
    cut_off: set[str] = set()
    worlds: list[World] = []
    real_request, real_ask, real_add = SimulatedBus.request, Link.ask, Pulls.add
    real_award = commands._award
    accepted: list[tuple[str, int]] = []
    both = 0

    async def request(bus: SimulatedBus, subject: str, data: bytes, **options: Any) -> Msg:
        asked = subject.removeprefix("p3d.coordinators.").removesuffix(".ping")
        if any(asked.startswith(f"{name}-") for name in cut_off):
            raise NoResponders(f"nobody listens on {subject}")
        return await real_request(bus, subject, data, **options)

    async def ask(link: Link, operation: Any, timeout: float, *, sure: bool = False, extra_s: float = 0.0) -> Any:
        if link.name in cut_off and not sure:
            return await link.outcome(link.pending(), timeout)
        return await real_ask(link, operation, timeout, sure=sure, extra_s=extra_s)

    def add(pulls: Pulls, name: ConsumerName, pull: Any) -> None:
        if pull.link.name not in cut_off:
            real_add(pulls, name, pull)

    def award(core: Any, command: AwardJobs, *rest: Any) -> None:
        accepted.append((core.identity.agent_id, command.epoch))
        real_award(core, command, *rest)

    monkeypatch.setattr(SimulatedBus, "request", request)
    monkeypatch.setattr(Link, "ask", ask)
    monkeypatch.setattr(Pulls, "add", add)
    monkeypatch.setattr(commands, "_award", award)

    def prepare(world: World) -> None:
        worlds.append(world)

        def cut() -> None:
            (leader,) = (each for each in world.coordinators if each.leading)
            cut_off.add(leader.name)
            world.network.later(0.1, look)
            world.network.later(12.0, cut_off.clear)

        def look() -> None:
            nonlocal both
            both += sum(each.leading for each in world.coordinators) > 1
            if cut_off:
                world.network.later(0.1, look)

        world.network.later(6.0, cut)

    for seed in range(2):
        accepted.clear()
        cut_off.clear()
        both = 0
        outcome = fine(run_seed(seed, msgspec.structs.replace(LOADED, coordinators=2), prepare))
        assert outcome.results == {"succeeded": 120}
        assert both, "two believed that they led"
        epochs = sorted({epoch for _, epoch in accepted})
        assert len(epochs) > 1
        for agent_id in {agent_id for agent_id, _ in accepted}:
            mine = [epoch for each, epoch in accepted if each == agent_id]
            assert mine == sorted(mine), "an award of an older epoch was accepted"
        told, written = [], 0
        for event in worlds[-1].server.stream(worlds[-1].subjects.events_stream).messages.values():
            if event.subject == worlds[-1].subjects.leader_record():
                written = decode(LeaderRecord, event.data).epoch
            elif BATCH_HEADER in event.headers:
                told.append((written, int(event.headers[BATCH_HEADER].split("-")[-2])))
        assert told
        assert all(fence == epoch for fence, epoch in told), "an event of an older epoch was stored"


@pytest.mark.parametrize("agents", [1, 3])
def test_an_agent_whose_way_to_the_stores_is_cut_off_gets_no_job_until_it_is_back(agents: int) -> None:
    worlds: list[World] = []

    def prepare(world: World) -> None:
        world.agents[0].host.deny_store(12.0)
        worlds.append(world)

    for seed in range(2):
        outcome = fine(run_seed(seed, msgspec.structs.replace(PLAIN, agents=agents), prepare))
        assert outcome.results == {"succeeded": 40}
        world = worlds[-1]
        assert set(world.attempts.values()) == {1}, "no job was run in vain"
        stream = world.server.stream(world.subjects.events_stream)
        started = [each for each in stream.messages.values() if each.subject.endswith(".started")]
        there = [e.time - WALL_AT_START for e in started if decode(Status, e.data).agent_id == "agent0"]
        assert min(there, default=60.0) > 12.0
        assert bool(there) or agents > 1


@pytest.mark.parametrize("tells_processes", [True, False])
def test_what_agents_offer_is_what_is_free(tells_processes: bool) -> None:
    """Also in containers, where drivers tell no memory of processes; after workers that crashed, models that were
    evicted, and others' programs that came and went.
    """
    offered: list[tuple[int, int]] = []

    def look(world: World) -> None:
        for agent in world.agents:
            records = agent.service.engine.core.devices.values() if agent.service is not None else ()
            for record in records:
                real, ledger = agent.devices[record.spec.id], record.ledger
                rests = all(worker.state is WorkerState.IDLE for worker in record.workers.values())
                if record.spec.budgeted or not rests or ledger.ending() or ledger.reading != real.reading():
                    continue
                if len(real.used) != len(record.workers):
                    # Of a worker that died this very moment.
                    continue
                free = record.spec.total_mb - real.foreign_mb - ledger.committed_mb() - record.spec.buffer_mb
                # Others may hold more than there is beside the workers; less than nothing is nothing.
                offered.append((max(0, ledger.room(ledger.taken_at).available_mb), max(0, free)))

    def prepare(world: World) -> None:
        for agent in world.agents:
            for device in agent.devices.values():
                device.tells_processes = tells_processes
        for half_second in range(1, 100):
            world.network.later(half_second / 2, lambda: look(world))

    faults = FaultProfile(worker_crash_s=3.0, foreign_memory_s=3.0)
    for seed in range(3):
        fine(run_seed(seed, RunShape(faults=faults), prepare))
    assert sorted({(mb, free) for mb, free in offered if mb != free}) == []
    assert len(offered) > 100


def test_runs_that_adverts_have_no_room_for_are_not_lost() -> None:
    """Files take as long as jobs, one goes at a time, and adverts list no run that waits for it."""
    agent = msgspec.structs.replace(PLAIN.agent, max_uploads=1, backlog_factor=20, finished_in_adverts=0)
    unlisted: list[int] = []

    def prepare(world: World) -> None:
        request = {"inputs": {"behave": "ok", "seconds": 0.2, "files": True}}
        world.workload = Workload(
            [
                Publication(1.0, f"job{n}", "normal", "echo", encode({**request, "job_id": f"job{n}"}))
                for n in range(40)
            ],
            [],
        )

        def witness(subject: str, data: bytes) -> None:
            if subject.endswith(".advert"):
                unlisted.append(decode(Advert, data).unlisted)

        world.network.witness = witness

    for seed in range(2):
        outcome = fine(run_seed(seed, msgspec.structs.replace(PLAIN, agent=agent), prepare))
        assert outcome.results == {"succeeded": 40}
        assert set(outcome.attempts.values()) == {1}
    assert max(unlisted) >= 2


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

    outcomes = [fine(run_seed(seed, shape_of(seed), prepare)) for seed in range(4)]
    both = [0 < before < sum(outcome.results.values()) for before, outcome in zip(stored, outcomes, strict=True)]
    assert any(both), "results on both sides of the switch"
