"""Are the properties really guarded? Each mechanism is taken out, and the simulation must fail; with it, it passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from pocket3d.bus.port import Append, Expect
from pocket3d.bus.topology import StreamSpec, Topology
from pocket3d.contracts.clock import Now
from pocket3d.contracts.fit import Shortfall
from pocket3d.contracts.variants import Choice, Wish
from pocket3d.coordinator.engine import agents as watch
from pocket3d.coordinator.engine import attempts, awards, removal
from pocket3d.coordinator.engine import engine as coordinator_engine
from pocket3d.coordinator.engine import events as coordinator_events
from pocket3d.coordinator.engine import state as core
from pocket3d.coordinator.engine.job import JobRecord
from pocket3d.coordinator.io import leader_record_io
from pocket3d.coordinator.io.orphan_sweep import OrphanSweep
from pocket3d.coordinator.leadership.lease import LeaseRead
from pocket3d.coordinator.leadership.removal_sweep import RemovalSweep
from pocket3d.gpu_agents.engine import commands as engine_commands
from pocket3d.gpu_agents.engine import effects, engine, events
from pocket3d.gpu_agents.engine.lifecycle import WorkerState
from pocket3d.gpu_agents.engine.outbound import finish
from pocket3d.gpu_agents.engine.state import Core as AgentCore
from pocket3d.gpu_agents.io.storage_check import StorageCheck
from pocket3d.gpu_agents.placement.ledger import DeviceLedger
from pocket3d.gpu_agents.placement.placement import Placement
from pocket3d.ops.simulation.bus import SimulatedBus
from pocket3d.ops.simulation.run import describe_failure, run_seed
from pocket3d.ops.simulation.shapes import FaultProfile, RunShape
from pocket3d.ops.simulation.world import World
from support.former_results import former
from support.simulation_load import LOADED, pause_the_leader

#: Runs that a mutation may survive before the test gives up on the simulation.
TRIES = 200


def undisturbed(**faults: Any) -> FaultProfile:
    """Faults, but nobody removes anything: a broken rule shows itself as such."""
    return FaultProfile(removed_message_s=0, removed_consumer_s=0, removed_bucket_s=0, **faults)


MET_ITSELF = RunShape(faults=undisturbed(own_conflict=0.2))
LOST_AGENTS = RunShape(
    jobs=40,
    publish_over_s=50.0,
    agents=4,
    faults=undisturbed(until_s=80.0, link_cut_s=4.0, agent_pause_s=6.0, server_restart_s=0, coordinator_crash_s=0),
)
MANY_LOST_AGENTS = RunShape(
    jobs=100,
    publish_over_s=50.0,
    agents=10,
    faults=undisturbed(
        until_s=80.0, lose=0.05, link_cut_s=6.0, agent_pause_s=8.0, server_restart_s=0, coordinator_crash_s=0
    ),
)
#: Only the oracle speaks.
UNCHECKED = RunShape(faults=undisturbed(), check=False)
#: Leaders that are paused or cut off while others take their places.
RIVALS = RunShape(
    coordinators=3, faults=undisturbed(very_late=0.05, coordinator_pause_s=8.0, link_cut_s=8.0, coordinator_crash_s=0)
)
#: Operators remove what they should not.
REMOVED = RunShape(faults=FaultProfile(removed_message_s=3.0, coordinator_crash_s=15.0))
WITHOUT_BUCKETS = RunShape(coordinators=3, faults=FaultProfile(removed_bucket_s=4.0, coordinator_crash_s=0))
#: One agent has no way to the stores.
AT_A_LEAF = RunShape(faults=undisturbed(), leaf=True)
#: One model can be loaded in several sizes.
VARIED = RunShape(faults=undisturbed(), variants=True)
OPERATED = RunShape(faults=undisturbed(operator_s=0.7, foreign_memory_s=2.0), check=False)


def first_wrong(
    shape: RunShape, words: str, prepare: Callable[[World], None] = lambda world: None, *, begin: int = 0
) -> int:
    """The first seed from `begin` on whose run fails; it must fail with these words."""
    for seed in range(begin, begin + TRIES):
        outcome = run_seed(seed, shape, prepare)
        if outcome.wrong:
            assert any(words in each for each in outcome.wrong), describe_failure(outcome)
            return seed
    raise AssertionError(f"{TRIES} runs passed without the mechanism: the simulation does not guard it")


def passes_with_the_mechanism(seed: int, shape: RunShape) -> None:
    outcome = run_seed(seed, shape)
    assert not outcome.wrong, describe_failure(outcome)


def without_expectation(mutation: pytest.MonkeyPatch, subjects: str) -> None:
    """Nothing is expected of what stands on these subjects when a message is appended."""
    real_append = SimulatedBus.append

    async def append(bus: SimulatedBus, subject: str, data: bytes, *, expect: Expect | None = None, **more: Any) -> int:
        kept = None if subject.startswith(subjects) else expect
        return await real_append(bus, subject, data, expect=kept, **more)

    mutation.setattr(SimulatedBus, "append", append)


def test_without_the_results_expected_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:
        without_expectation(mutation, "p3d.propose.")
        with monkeypatch.context() as further:
            with_room_for_two_results(further)
            seed = first_wrong(LOST_AGENTS, "2 results")
        # The server refuses a second message on one subject whatever is expected.
        passes_with_the_mechanism(seed, LOST_AGENTS)
    with monkeypatch.context() as mutation:
        with_room_for_two_results(mutation)
        passes_with_the_mechanism(seed, LOST_AGENTS)


def with_room_for_two_results(mutation: pytest.MonkeyPatch) -> None:
    """The results stream takes further messages on a subject that has one."""
    real_config = StreamSpec.config

    def config(spec: StreamSpec) -> dict[str, Any]:
        return {**real_config(spec), "discard_new_per_subject": False, "max_msgs_per_subject": -1}

    mutation.setattr(StreamSpec, "config", config)


def test_with_results_that_are_published_where_others_listen() -> None:
    def prepare(world: World) -> None:
        world.server.ensure(Topology((former(world.subjects),)))

    seed = first_wrong(LOST_AGENTS, "a core subscriber heard other results", prepare)
    passes_with_the_mechanism(seed, LOST_AGENTS)


def test_without_the_fence_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    real_append = SimulatedBus.append_batch

    async def append_batch(bus: SimulatedBus, messages: Sequence[Append], *, timeout: float = 5.0) -> int:
        return await real_append(bus, [message._replace(expect=None) for message in messages], timeout=timeout)

    with monkeypatch.context() as mutation:
        mutation.setattr(SimulatedBus, "append_batch", append_batch)
        seed = first_wrong(RIVALS, "after its story ended")
    passes_with_the_mechanism(seed, RIVALS)


def test_without_the_expectation_of_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:
        without_expectation(mutation, "p3d.events.")
        seed = first_wrong(RIVALS, "after its story ended")
    passes_with_the_mechanism(seed, RIVALS)


def test_without_the_read_back_after_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(agent: AgentCore, event: events.ResultConflict, now: Now) -> None:
        """A conflict is taken for the answer that somebody else's result stands."""
        agent.stores.leave(event.token)
        run = agent.runs.get(event.token)
        if run is not None:
            finish(agent, event.token, "another result stands", now)
            names = tuple(file.name for file in run.files)
            agent.effects.append(effects.DropArtifacts(event.token, run.award.job_id, names))

    with monkeypatch.context() as mutation:
        conflict: type[events.Event] = events.ResultConflict
        mutation.setitem(engine._HANDLERS, conflict, lost)
        seed = first_wrong(MET_ITSELF, "artifacts of its result are gone")
    passes_with_the_mechanism(seed, MET_ITSELF)


def test_with_equal_attempt_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:
        mutation.setattr(core.Core, "token", lambda self: f"{self.epoch}-0")
        # An award under a token that its agent knows is taken for a repetition of the first, and never runs.
        seed = first_wrong(UNCHECKED, "not at rest")
    passes_with_the_mechanism(seed, UNCHECKED)


def test_without_comparing_attempt_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_token(coordinator: core.Core, job_id: str, token: str) -> JobRecord | None:
        record = coordinator.jobs.get(job_id)
        on_agent = record is not None and record.attempt is not None and record.state in attempts.ON_AGENT
        return record if on_agent else None

    real_outcomes = attempts.outcomes_returned

    def outcomes_of_any_token(coordinator: core.Core, event: Any, now: Now) -> None:
        """What is said of an attempt is taken for the job's present one."""
        told = []
        for outcome in event.report.outcomes:
            record = any_token(coordinator, outcome.job_id, outcome.token)
            token = record.attempt.token if record is not None and record.attempt is not None else outcome.token
            told.append(msgspec.structs.replace(outcome, token=token))
        report = msgspec.structs.replace(event.report, outcomes=told)
        real_outcomes(coordinator, event._replace(report=report), now)

    with monkeypatch.context() as mutation:
        mutation.setattr(awards, "_on_agent", any_token)
        mutation.setitem(coordinator_engine._HANDLERS, coordinator_events.OutcomesReturned, outcomes_of_any_token)
        # Large runs: one that shows it is near.
        seed = first_wrong(MANY_LOST_AGENTS, "nobody said that attempt", begin=50)
    passes_with_the_mechanism(seed, MANY_LOST_AGENTS)


def test_without_the_rule_on_late_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = msgspec.structs.replace(LOADED, coordinators=1)

    def held_against_agents(seed: int) -> bool:
        outcome = run_seed(seed, shape, pause_the_leader)
        return bool(outcome.wrong) or outcome.results != {"succeeded": 120} or set(outcome.attempts.values()) != {1}

    with monkeypatch.context() as mutation:
        mutation.setattr(watch, "clock_gap", lambda coordinator, now: False)
        shown = next(filter(held_against_agents, range(5)), None)
    assert shown is not None, "five runs passed without the rule"
    assert not held_against_agents(shown)


def test_without_the_ledgers_check_at_award(monkeypatch: pytest.MonkeyPatch) -> None:
    def whatever(book: Any, adapter: Any, choice: Any, *more: Any) -> Any:
        found = real_place(book, adapter, choice, *more)
        if not isinstance(found, Shortfall) or found.dimension != "vram":
            return found
        need = choice.need_mb
        worker = book.worker_for(adapter.adapter_id, choice.variant)
        return Placement(worker, need, worker.resident_mb if worker else need, need, 0, choice.variant)

    real_place = engine_commands.place
    with monkeypatch.context() as mutation:
        mutation.setattr(engine_commands, "place", whatever)
        mutation.setattr("pocket3d.gpu_agents.engine.workers.start_if_room", start_at_once)
        mutation.setattr(engine_commands, "start_if_room", start_at_once)
        mutation.setattr(DeviceLedger, "check", lambda self: None)
        seed = first_wrong(OPERATED, "over-committed")
    passes_with_the_mechanism(seed, OPERATED)


def test_without_the_variant_that_an_award_names(monkeypatch: pytest.MonkeyPatch) -> None:
    real_choices = engine_commands.choices

    def any_of_them(adapter: Any, wish: Wish) -> list[Choice]:
        return real_choices(adapter, wish._replace(variant=None))

    with monkeypatch.context() as mutation:
        mutation.setattr(engine_commands, "choices", any_of_them)
        seed = first_wrong(VARIED, "ran in the variant")
    passes_with_the_mechanism(seed, VARIED)


def test_without_the_sweep_for_removed_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:
        mutation.setattr(RemovalSweep, "step", lambda sweep, now_mono: [])
        mutation.setattr(removal, "read_stories", lambda core, unfinished: None)
        seed = first_wrong(REMOVED, "has no end")
    passes_with_the_mechanism(seed, REMOVED)


def test_without_the_wait_for_a_lease_whose_entry_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    real_read = leader_record_io.read_lease

    async def read_lease(bus: Any, subjects: Any) -> LeaseRead:
        return (await real_read(bus, subjects))._replace(given_back=True)

    with monkeypatch.context() as mutation:
        mutation.setattr(leader_record_io, "read_lease", read_lease)
        # Two lead at once, and the former one takes messages that the next never sees.
        seed = first_wrong(WITHOUT_BUCKETS, "not at rest")
    passes_with_the_mechanism(seed, WITHOUT_BUCKETS)


def test_without_the_sweep_for_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(sweep: OrphanSweep, bucket: str) -> None:
        """Nothing is looked at."""

    with monkeypatch.context() as mutation:
        mutation.setattr(OrphanSweep, "_look", nothing)
        seed = first_wrong(LOST_AGENTS, "not at rest")
    passes_with_the_mechanism(seed, LOST_AGENTS)


def start_at_once(agent: AgentCore, worker: Any, now: Now) -> None:
    """The ledger is not asked when a planned worker is started either, but for what it waits behind."""
    book = agent.device_of(worker)
    stopping = [each.adapter_id for each in book.workers.values() if each.state is WorkerState.STOPPING]
    if book.ledger.waits_for(worker.worker_id) or worker.adapter_id in stopping:
        return
    real_room = DeviceLedger.room
    DeviceLedger.room = lambda self, *args, **more: real_room(self, *args, **more)._replace(  # type: ignore[method-assign]
        free_mb=10**6, reserved_mb=0
    )
    try:
        REAL_START(agent, worker, now)
    finally:
        DeviceLedger.room = real_room  # type: ignore[method-assign]


REAL_START = engine_commands.start_if_room


def test_without_a_look_at_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(check: StorageCheck) -> events.StorageChecked:
        return events.StorageChecked()

    with monkeypatch.context() as mutation:
        mutation.setattr(StorageCheck, "look", look)
        seed = first_wrong(AT_A_LEAF, "which cannot store")
    passes_with_the_mechanism(seed, AT_A_LEAF)
