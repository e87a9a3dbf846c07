"""A worker that loads reads no frames: it is ended by a signal at once, not after the grace."""

from __future__ import annotations

from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, only


def test_a_leaving_agent_signals_a_loading_worker_at_once() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.tell(events.WorkerReady(rig.worker_ids()[0], 77))
    wanted = rig.tell(events.DrainRequested(leave=True))
    assert rig.failure(token).code == "handed_back"
    assert only(wanted, effects.StopWorker).how == "terminate"


def test_a_loaded_worker_is_asked() -> None:
    rig = AgentRig()
    rig.warm()
    assert only(rig.tell(events.DrainRequested(leave=True)), effects.StopWorker).how == "shutdown"
