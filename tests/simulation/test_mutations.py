"""Are the properties really guarded? Each mechanism is taken out, and the simulation must fail; with it, it passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pocket3d.contracts.clock import Now
from pocket3d.contracts.fit import Shortfall
from pocket3d.coordinator import attempts, core, watch
from pocket3d.coordinator import engine as coordinator_engine
from pocket3d.coordinator import events as coordinator_events
from pocket3d.coordinator.records import JobRecord
from pocket3d.gpu_agents import effects, engine, engine_commands, engine_results, events
from pocket3d.gpu_agents.claims import Placement
from pocket3d.gpu_agents.engine_core import Core as AgentCore
from pocket3d.gpu_agents.engine_reports import finish
from pocket3d.gpu_agents.ledger import DeviceLedger
from pocket3d.ops.simulation.faults import FaultProfile
from pocket3d.ops.simulation.report import describe_failure
from pocket3d.ops.simulation.run import run_seed
from pocket3d.ops.simulation.world import RunShape, World
from support.simulation_load import LOADED, pause_the_leader

Wrong = Callable[[], list[str]]
#: Runs that a mutation may survive before the test gives up on the simulation.
TRIES = 25

MET_ITSELF = RunShape(faults=FaultProfile(own_conflict=0.2))
LOST_AGENTS = RunShape(
    jobs=40,
    publish_over_s=50.0,
    agents=4,
    faults=FaultProfile(until_s=80.0, link_cut_s=4.0, agent_pause_s=6.0, server_restart_s=0, coordinator_crash_s=0),
)
MANY_LOST_AGENTS = RunShape(
    jobs=100,
    publish_over_s=50.0,
    agents=10,
    faults=FaultProfile(
        until_s=80.0, lose=0.05, link_cut_s=6.0, agent_pause_s=8.0, server_restart_s=0, coordinator_crash_s=0
    ),
)
OPERATED = RunShape(faults=FaultProfile(operator_s=0.7, foreign_memory_s=2.0), check=False)


def first_wrong(shape: RunShape, prepare: Callable[[World], None] | None = None) -> tuple[int, list[str]]:
    """The first seed whose run fails, and with what."""
    for seed in range(TRIES):
        outcome = run_seed(seed, shape, prepare)
        if outcome.wrong:
            return seed, outcome.wrong
    raise AssertionError(f"{TRIES} runs passed without the mechanism: the simulation does not guard it")


def passes_with_the_mechanism(seed: int, shape: RunShape, prepare: Callable[[World], None] | None = None) -> None:
    outcome = run_seed(seed, shape, prepare)
    assert not outcome.wrong, describe_failure(outcome)


def test_without_the_results_expected_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:

        def unexpecting(kind: Any) -> Any:
            return lambda *args: kind(*args, expect_last=None)

        mutation.setattr(engine_results, "StoreResult", unexpecting(engine_results.StoreResult))
        mutation.setattr(core, "StoreResult", unexpecting(core.StoreResult))
        mutation.setattr(attempts, "StoreResult", unexpecting(attempts.StoreResult))
        seed, wrong = first_wrong(LOST_AGENTS)
    assert any("results" in each for each in wrong), wrong
    passes_with_the_mechanism(seed, LOST_AGENTS)


def test_without_the_read_back_after_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(agent: AgentCore, event: events.ResultConflict, now: Now) -> None:
        """A conflict is taken for the answer that somebody else's result stands."""
        agent.stores.leave(event.token)
        run = agent.runs.get(event.token)
        if run is not None:
            finish(agent, event.token, "another result stands", now)
            agent.do(effects.DropArtifacts(event.token, run.award.job_id, tuple(file.name for file in run.files)))

    with monkeypatch.context() as mutation:
        mutation.setitem(engine._HANDLERS, events.ResultConflict, lost)
        seed, wrong = first_wrong(MET_ITSELF)
    assert any("artifacts of its result are gone" in each for each in wrong), wrong
    passes_with_the_mechanism(seed, MET_ITSELF)


def test_with_equal_attempt_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as mutation:
        mutation.setattr(core.Core, "token", lambda self: f"{self.epoch}-0")
        seed, _ = first_wrong(RunShape())
    passes_with_the_mechanism(seed, RunShape())


def test_without_comparing_attempt_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_token(coordinator: core.Core, job_id: str, token: str) -> JobRecord | None:
        record = coordinator.jobs.get(job_id)
        on_agent = record is not None and record.attempt is not None and record.state in attempts._ON_AGENT
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
        mutation.setattr(attempts, "_on_agent", any_token)
        mutation.setitem(coordinator_engine._HANDLERS, coordinator_events.OutcomesReturned, outcomes_of_any_token)
        seed, wrong = first_wrong(MANY_LOST_AGENTS)
    assert any("nobody said that attempt" in each for each in wrong), wrong
    passes_with_the_mechanism(seed, MANY_LOST_AGENTS)


def test_without_the_rule_on_late_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = msgspec.structs.replace(LOADED, coordinators=1)

    def held_against_agents(seed: int) -> bool:
        outcome = run_seed(seed, shape, pause_the_leader)
        return bool(outcome.wrong) or outcome.results != {"succeeded": 120} or set(outcome.attempts.values()) != {1}

    with monkeypatch.context() as mutation:
        mutation.setattr(watch, "slept", lambda coordinator, now: False)
        assert any(held_against_agents(seed) for seed in range(5))
    assert not any(held_against_agents(seed) for seed in range(5))


def test_without_the_ledgers_check_at_award(monkeypatch: pytest.MonkeyPatch) -> None:
    def whatever(book: Any, adapter: Any, vram_mb: int | None, estimates: Any, now_mono: float) -> Any:
        found = real_place(book, adapter, vram_mb, estimates, now_mono)
        if not isinstance(found, Shortfall) or found.dimension != "vram":
            return found
        need = adapter.vram_mb if vram_mb is None else vram_mb
        worker = book.worker_for(adapter.adapter_id)
        return Placement(worker, need, worker.resident_mb if worker else need, need, 0)

    real_place = engine_commands.place
    with monkeypatch.context() as mutation:
        mutation.setattr(engine_commands, "place", whatever)
        mutation.setattr("pocket3d.gpu_agents.engine_workers.start_if_room", start_at_once)
        mutation.setattr(engine_commands, "start_if_room", start_at_once)
        mutation.setattr(DeviceLedger, "check", lambda self: None)
        seed, wrong = first_wrong(OPERATED)
    assert any("OverCommitted" in each for each in wrong), wrong
    passes_with_the_mechanism(seed, OPERATED)


def start_at_once(agent: AgentCore, worker: Any, now: Now) -> None:
    """The ledger is not asked when a planned worker is started either, but for what it waits behind."""
    book = agent.device_of(worker)
    if book.ledger.waits_for(worker.worker_id) or book.leaving(worker.adapter_id):
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
