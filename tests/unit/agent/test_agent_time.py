"""Limits and time: when the engine wants to be called, and what a pause of the whole process shifts."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from pocket3d.contracts.clock import Now
from pocket3d.contracts.messages import Progress
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, cpu, gpu, of


def running() -> tuple[AgentRig, str]:
    """An agent on which a run has begun, with all said that was to say; the run's token."""
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.note()
    rig.pass_time(1.0, 1.0)
    return rig, token


def soon(rig: AgentRig) -> float:
    return rig.now.mono + 0.001


def test_without_anything_to_do_the_engine_wants_its_next_tick() -> None:
    rig, _ = running()
    assert rig.engine.next_deadline(rig.now) == rig.now.mono + 1.0
    fresh = AgentRig(connected=False)
    fresh.engine.core.last_tick = None
    assert fresh.engine.next_deadline(fresh.now) == fresh.now.mono + 1.0, "before the first one too"


@pytest.mark.parametrize("limit", ["load_deadline", "room_deadline", "close_deadline", "grace_deadline"])
def test_a_limit_of_a_run_wakes_the_engine(limit: str) -> None:
    rig, token = running()
    setattr(rig.run_of(token), limit, soon(rig))
    assert rig.engine.next_deadline(rig.now) == soon(rig)
    rig.engine.core.connected = False
    assert rig.engine.next_deadline(rig.now) == soon(rig)


@pytest.mark.parametrize("limit", ["retry_at", "fetch_deadline", "upload_deadline"])
def test_what_needs_the_server_wakes_the_engine_while_it_is_connected(limit: str) -> None:
    rig, token = running()
    setattr(rig.run_of(token), limit, soon(rig))
    assert rig.engine.next_deadline(rig.now) == soon(rig)
    rig.engine.core.connected = False
    assert rig.engine.next_deadline(rig.now) > soon(rig)


@pytest.mark.parametrize("limit", ["room_deadline", "stop_deadline"])
def test_a_limit_of_a_worker_wakes_the_engine(limit: str) -> None:
    rig, token = running()
    setattr(rig.run_of(token).worker, limit, soon(rig))
    assert rig.engine.next_deadline(rig.now) == soon(rig)


@pytest.mark.parametrize("limit", ["drain_deadline", "leave_deadline"])
def test_the_end_of_a_drain_wakes_the_engine(limit: str) -> None:
    rig, _ = running()
    setattr(rig.engine.core, limit, soon(rig))
    assert rig.engine.next_deadline(rig.now) == soon(rig)


def test_a_look_at_the_stores_wakes_the_engine() -> None:
    rig, _ = running()
    rig.engine.core.storage.check_at = soon(rig)
    assert rig.engine.next_deadline(rig.now) == soon(rig)


def test_progress_that_was_held_back_wakes_the_engine() -> None:
    rig, token = running()
    run = rig.run_of(token)
    run.progress_at = soon(rig)
    assert rig.engine.next_deadline(rig.now) > soon(rig), "there is none"
    run.progress = Progress(job_id="j", feature="f", attempt=1, agent_id="a", fraction=0.5, at="t")
    assert rig.engine.next_deadline(rig.now) == soon(rig)


# ---------------------------------------------------------------- pauses

SHIFTED_OF_A_RUN = {
    "fetch_deadline",
    "load_deadline",
    "room_deadline",
    "close_deadline",
    "grace_deadline",
    "upload_deadline",
    "run_started",
}
SHIFTED_OF_A_WORKER = {"room_deadline", "stop_deadline", "idle_since", "load_started"}


def test_every_limit_counts_on_from_a_pause() -> None:
    """A job does not time out, and nothing is thought to have loaded slowly, because a laptop slept."""
    rig, token = running()
    run = rig.run_of(token)
    for record, shifted in ((run, SHIFTED_OF_A_RUN), (run.worker, SHIFTED_OF_A_WORKER)):
        limits = {each.name for each in fields(record) if each.name.endswith("_deadline")}
        assert limits <= shifted
        for name in shifted:
            setattr(record, name, 1000.0)
        record.postpone(60.0)
        assert {name: getattr(record, name) for name in shifted} == dict.fromkeys(shifted, 1060.0)
        for name in shifted:
            setattr(record, name, None)
        record.postpone(60.0)
        assert all(getattr(record, name) is None for name in shifted)


@pytest.mark.parametrize(("late_s", "paused"), [(2.0, False), (2.25, True)])
def test_a_process_was_paused_when_a_tick_is_over_twice_its_period_late(late_s: float, paused: bool) -> None:
    rig, token = running()
    core, run = rig.engine.core, rig.run_of(token)
    run.close_deadline = core.drain_deadline = core.leave_deadline = rig.now.mono + 100
    before = run.close_deadline
    rig.now = Now(rig.now.mono + late_s, rig.now.wall + late_s)
    rig.tell(events.RunProgressed(token, 0.5))
    shift = late_s if paused else 0.0
    assert run.close_deadline == core.drain_deadline == core.leave_deadline == before + shift
    assert core.last_tick == rig.now.mono if paused else core.last_tick == rig.now.mono - late_s
    rig.tell(events.Tick())
    assert run.close_deadline == before + shift, "a pause counts once"


# ---------------------------------------------------------------- limits


def test_a_run_is_stopped_at_its_limit_and_not_before() -> None:
    rig, token = running()
    run = rig.run_of(token)
    run.close_deadline = rig.now.mono + 0.5
    assert not of(rig.pass_time(0.25, 0.25), effects.CancelOnWorker)
    assert of(rig.pass_time(0.25, 0.25), effects.CancelOnWorker)


def test_an_idle_worker_is_stopped_at_its_limit_unless_it_is_wanted_warm() -> None:
    rig = AgentRig(idle_timeout_s=2.0)
    worker = rig.worker(rig.warm())
    worker.pinned = True
    assert not of(rig.pass_time(5.0), effects.StopWorker)
    worker.pinned, worker.idle_since = False, rig.now.mono
    assert not of(rig.pass_time(1.5), effects.StopWorker)
    (stop,) = of(rig.pass_time(0.5), effects.StopWorker)
    assert stop.worker_id == worker.worker_id


# ---------------------------------------------------------------- the probe


def measured(**settings: Any) -> AgentRig:
    rig = AgentRig([gpu()], [adapter()], **settings)
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    return rig


def test_a_device_is_measured_once_a_tick_and_never_twice_at_a_time() -> None:
    rig = measured()
    asked = of(rig.pass_time(3.0, 0.25), effects.ProbeNow)
    assert len(asked) == 1, "until it is answered"
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    rig.tell(events.Tick())
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    assert not of(rig.pass_time(0.75, 0.25), effects.ProbeNow)
    assert len(of(rig.pass_time(0.25, 0.25), effects.ProbeNow)) == 1


def test_it_is_measured_more_often_while_memory_is_waited_for() -> None:
    rig = measured(fast_probe_s=0.1, release_wait_s=100.0)
    worker_id = rig.warm()
    rig.pass_time(1.0)
    rig.probe({"GPU-0": 10_000}, {"GPU-0": {77: 6000}})
    rig.tell(events.WorkerExited(worker_id))
    pauses = []
    for _ in range(3):
        since = rig.now.mono
        while not of(rig.pass_time(0.05, 0.05), effects.ProbeNow):
            assert rig.now.mono < since + 1
        pauses.append(rig.now.mono - since)
        rig.probe({"GPU-0": 10_000}, {"GPU-0": {77: 6000}})
    assert max(pauses) <= 0.15 + 1e-9


def test_simulated_devices_are_not_measured_and_a_lane_is() -> None:
    assert not of(AgentRig().pass_time(5), effects.ProbeNow)
    lane = AgentRig([cpu()], [adapter(devices=["cpu"])])
    assert of([*lane.log, *lane.pass_time(2)], effects.ProbeNow)
    assert math.isfinite(lane.engine.next_deadline(lane.now))
