"""What an agent publishes of a run's progress, and when."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.messages import Progress
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, of, only, output


def told(wanted: list[effects.Effect]) -> list[Progress]:
    return [each.progress for each in of(wanted, effects.PublishProgress)]


def running(**settings: Any) -> tuple[AgentRig, str]:
    rig = AgentRig(**settings)
    token = rig.take()
    rig.run(token)
    rig.pass_time(0.5)
    return rig, token


def test_within_the_gap_only_the_latest_is_told_and_at_its_end() -> None:
    rig, token = running(progress_gap_s=0.25)
    assert [each.fraction for each in told(rig.tell(events.RunProgressed(token, 0.1)))] == [0.1]
    for fraction in (0.2, 0.3):
        assert told(rig.tell(events.RunProgressed(token, fraction))) == []
    assert rig.engine.next_deadline(rig.now) == rig.now.mono + 0.25
    assert told(rig.pass_time(0.125)) == []
    assert [each.fraction for each in told(rig.pass_time(0.125))] == [0.3]
    assert told(rig.pass_time(1)) == [], "it is told once"


@pytest.mark.parametrize(
    ("fraction", "at_once"),
    [(None, True), (0.0, True), (0.99, True), (1.0, False)],
    ids=["unknown", "begun", "almost", "done"],
)
def test_that_a_run_is_done_is_told_with_its_end_or_a_gap_later(fraction: float | None, at_once: bool) -> None:
    rig, token = running(progress_gap_s=0.25)
    assert len(told(rig.tell(events.RunProgressed(token, fraction, "step")))) == at_once
    assert len(told(rig.pass_time(0.25, 0.25))) == (not at_once)


def test_progress_of_no_run_on_its_worker_is_not_told() -> None:
    rig = AgentRig()
    token = rig.take()
    assert told(rig.tell(events.RunProgressed("nobody", 0.5))) == []
    assert told(rig.tell(events.RunProgressed(token, 0.5))) == [], "it has not begun"
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    assert told(rig.tell(events.RunProgressed(token, 0.5))) == [], "it is over: its files are being stored"


def test_a_job_that_waits_for_its_model_is_told_as_loading() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)])
    first, second = rig.take(), rig.take()
    (progress,) = told(rig.fetch(first))
    assert (progress.job_id, progress.attempt, progress.agent_id) == ("job-1", 1, "agent-1")
    assert (progress.fraction, progress.stage, progress.message) == (0.0, "loading", "loading alpha")
    rig.start_worker(rig.worker_ids()[0])
    assert told(rig.fetch(second)) == [], "the model is there"


def test_without_a_connection_no_progress_is_published_nor_kept() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.tell(events.Disconnected())
    assert told(rig.fetch(token)) == []
    rig.start_worker(rig.worker_ids()[0])
    assert told(rig.tell(events.RunProgressed(token, 0.5))) == []
    rig.tell(events.Connected())
    assert told(rig.pass_time(1)) == [], "it would be old by now"
    assert only(rig.tell(events.RunProgressed(token, 0.6)), effects.PublishProgress).progress.fraction == 0.6
