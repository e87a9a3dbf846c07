"""What the log says of runs, from moves of the engine alone."""

from __future__ import annotations

import structlog
import structlog.testing

from pocket3d.gpu_agents.engine import events
from pocket3d.gpu_agents.io.step_log import log_moves
from support.agent_rig import AgentRig


def said(rig: AgentRig) -> list[tuple[str, str | None]]:
    """Event and code of the lines for what the rig's last event led to."""
    with structlog.testing.capture_logs() as logs:
        log_moves(rig.engine.moves, structlog.get_logger())
    return [(entry["event"], entry.get("code")) for entry in logs]


def test_a_job_that_waits_for_its_model() -> None:
    rig = AgentRig()
    token = rig.take()
    assert said(rig) == [("job accepted", None)]
    rig.fetch(token)
    assert said(rig) == [("job loading", None)]


def test_the_fetching_of_files_is_a_step() -> None:
    rig = AgentRig()
    rig.take(inputs={"mesh_path": {"artifact": "a"}})
    assert said(rig) == [("job accepted", None), ("job fetching", None)]


def test_how_a_job_ends_without_a_result() -> None:
    for code, event in (
        ("adapter_error", "job failed"),
        ("cancelled", "job cancelled"),
    ):
        rig = AgentRig()
        token = rig.take()
        rig.run(token)
        rig.tell(events.RunFailed(token, code, "it says why"))
        assert said(rig) == [(event, code)]
        rig.tell(events.OutcomesAnswered((f"{token}/attempt_failed",)))
        assert rig.state(token) == "done"
        assert said(rig) == [], "its end is told once"


def test_a_job_that_is_handed_back() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.fetch(token)
    rig.tell(events.DrainRequested(leave=True))
    assert said(rig) == [("job handed back", "handed_back")]


def test_a_result_that_another_attempt_has_stored() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.tell(events.ResultConflict(token))
    rig.tell(events.ResultRead(token, "7-7"))
    assert said(rig) == [("job stored by another attempt", None)]


def test_a_result_that_is_its_own_as_read_back() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.tell(events.ResultConflict(token))
    rig.tell(events.ResultRead(token, token))
    assert said(rig) == [("job stored", None)]


def test_moves_are_of_the_last_event_alone() -> None:
    rig = AgentRig()
    rig.take()
    rig.pass_time(0.1)
    assert said(rig) == []
