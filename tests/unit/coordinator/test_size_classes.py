"""Size classes at the coordinator: which jobs are called together, what agents are told, what `explain` says."""

from __future__ import annotations

from typing import Any

from pocket3d.contracts.messages import Artifact, Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk

MESH: dict[str, Any] = {"mesh_path": {"artifact": "sha256-a"}}


def lots(desk: Desk) -> dict[str | None, int]:
    """Size class and jobs of each lot of the open call, which stays open."""
    (call,) = [each for each in desk.effects if isinstance(each, effects.SendCall)]
    return {lot.size_class: lot.jobs for lot in call.lots}


def test_jobs_of_one_size_are_called_together_and_their_award_says_the_size(desk: Desk, agent: AgentDouble) -> None:
    desk.submit("small", inputs=MESH, artifact_bytes=5000)
    desk.submit("alike", inputs=MESH, artifact_bytes=60_000)
    desk.submit("large", inputs=MESH, artifact_bytes=5_000_000)
    desk.submit("unsaid", inputs=MESH)
    desk.submit("words", inputs={"text_prompt": "a chair"})
    assert explain(desk.engine.core, desk.record("large"), desk.now).size_class == "8MiB"
    desk.hear(agent)
    assert lots(desk) == {"64KiB": 2, "8MiB": 1, None: 2}
    assert desk.win(agent, "large", slots=8, claim_mb=10).size_class == "8MiB"


def test_explain_says_what_runs_of_that_size_took_there(desk: Desk, agent: AgentDouble) -> None:
    desk.submit("large", inputs=MESH, artifact_bytes=5_000_000)
    desk.submit("next", inputs=MESH, artifact_bytes=6_000_000)
    desk.hear(agent)
    item = desk.win(agent, "large", expected_run_s=40.0, expected_mb=2300, est_queue_s=5.0)
    desk.accept(agent, item)
    told = explain(desk.engine.core, desk.record("large"), desk.now)
    took = "; runs of files of up to 8MiB took about 40.0 s and up to 2300 MB there"
    assert told.summary == f"was awarded to a1/fixed-0 with echo, attempt 1{took}"
    assert (told.size_class, told.expected_run_s, told.expected_mb) == ("8MiB", 40.0, 2300)
    waits = explain(desk.engine.core, desk.record("next"), desk.now)
    assert waits.summary.startswith("waits for echo on a1/fixed-0")
    assert waits.summary.endswith(took)


def test_a_bid_without_measurements_adds_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.submit("large", inputs=MESH, artifact_bytes=5_000_000)
    desk.hear(agent)
    desk.accept(agent, desk.win(agent, "large"))
    told = explain(desk.engine.core, desk.record("large"), desk.now)
    assert told.summary == "was awarded to a1/fixed-0 with echo, attempt 1"
    assert (told.size_class, told.expected_run_s) == ("8MiB", None)


def test_a_file_of_another_job_counts_once_its_result_is_known(desk: Desk, agent: AgentDouble) -> None:
    inputs = {**MESH, "source_mesh_path": {"result": "chair"}}
    desk.read("rigged", inputs=inputs, artifact_bytes=60_000)
    desk.do(events.QueuedStored("rigged"))
    chair = Artifact(
        name="chair.glb", bucket="B", object="o", size=5_000_000, sha256="00", media_type="model/gltf-binary"
    )
    result = Result(job_id="chair", feature="echo", status="succeeded", artifacts=[chair])
    desk.do(events.ResultRead("chair", result))
    desk.hear(agent)
    assert lots(desk) == {"8MiB": 1}
