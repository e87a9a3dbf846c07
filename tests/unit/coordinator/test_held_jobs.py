"""Jobs that name results of other jobs: how long they are held, what they get, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.commands import StoredFile
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Artifact, JobError, Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain, explain_turn
from pocket3d.coordinator.engine.held_jobs import waits_for
from pocket3d.coordinator.engine.submit_quota import SubmitQuota
from pocket3d.coordinator.settings import TenantSettings
from support.coordinator_desk import AgentDouble, Desk, last_status, offer

S = JobState
GRACE_S = 10.0


def mesh(job_id: str = "chair", name: str = "chair.glb", media_type: str = "model/gltf-binary") -> Artifact:
    return Artifact(
        name=name, bucket="P3D_OUTPUTS", object=f"{job_id}/6-1/{name}", size=4, sha256="00", media_type=media_type
    )


def lies(job_id: str) -> StoredFile:
    return StoredFile(bucket="P3D_OUTPUTS", object=f"{job_id}/6-1/chair.glb")


def made(job_id: str = "chair", *artifacts: Artifact, status: str = "succeeded", **more: Any) -> Result:
    return Result(job_id=job_id, feature="echo", status=status, artifacts=list(artifacts or [mesh(job_id)]), **more)


def naming(*sources: str) -> dict[str, Any]:
    """Inputs that want a mesh of each of these jobs."""
    return {f"{chr(ord('a') + place)}_mesh_path": {"result": source} for place, source in enumerate(sources)}


def asked(desk: Desk) -> list[str]:
    """The results that are to be read."""
    return [each.job_id for each in desk.take(effects.ReadResult)]


def answer(desk: Desk, job_id: str, result: Result | None) -> None:
    """The one question about a result is answered."""
    assert asked(desk) == [job_id]
    desk.do(events.ResultRead(job_id, result))


def reason(desk: Desk, job_id: str = "rigged") -> str:
    return explain(desk.engine.core, desk.record(job_id), desk.now).summary


def ending(desk: Desk, job_id: str = "rigged") -> tuple[str, str, str | None, str]:
    """Status, code, field and message of the proposed end."""
    result = next(each.result for each in desk.take(effects.StoreResult) if each.result.job_id == job_id)
    assert result.error is not None
    return result.status, result.error.code, result.error.field, result.error.message


# ---------------------------------------------------------------- held, and released


def test_a_job_waits_for_the_one_that_it_names_and_gets_its_file(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    source = desk.running(agent, "chair")
    desk.read("rigged", inputs=naming("chair"))
    assert desk.one(effects.PublishQueued).status.reason == "waits for chair"
    desk.do(events.QueuedStored("rigged"))
    told = explain_turn(desk.engine.core, desk.record("rigged"), desk.now)
    where = "runs on a1/fixed-0 with echo, attempt 1"
    assert (told.status, told.waits_for) == ("queued", ["chair"])
    assert (told.summary, reason(desk)) == (f"waits for chair; chair: {where}", "waits for chair")
    assert desk.take(effects.SendCall) == []

    desk.see(desk.result_of(source, agent))
    answer(desk, "chair", made())
    assert desk.win(agent, "rigged").objects == {"inputs.a_mesh_path": lies("chair")}
    events_told = [each for each in desk.take(effects.PublishEvent) if each.status.job_id == "rigged"]
    assert [(each.event, each.status.reason) for each in events_told] == [
        ("requeued", "job chair has succeeded: it waits for its turn")
    ]


def test_a_job_that_names_an_ended_one_is_not_said_to_wait(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.read("rigged", inputs=naming("chair"))
    assert desk.one(effects.PublishQueued).status.reason is None
    desk.do(events.QueuedStored("rigged"))
    answer(desk, "chair", made())
    assert desk.win(agent, "rigged").objects
    assert desk.published("rigged") == []


def test_it_waits_for_all_that_it_names(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("rigged", inputs=naming("chair", "table", "chair"))
    assert asked(desk) == ["chair", "table"]
    desk.do(events.ResultRead("table", made("table")))
    assert reason(desk) == "waits for chair"
    desk.do(events.ResultRead("chair", made()))
    assert desk.win(agent, "rigged").objects == {
        "inputs.a_mesh_path": lies("chair"),
        "inputs.b_mesh_path": lies("table"),
        "inputs.c_mesh_path": lies("chair"),
    }


def test_the_schedule_to_start_limit_counts_from_the_end_of_holding(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs=naming("chair"), limits={"schedule_to_start_s": 5.0})
    desk.tick(60.0)
    desk.see(made())
    answer(desk, "chair", made())
    desk.tick(4.0)
    assert desk.state("rigged") is S.QUEUED
    desk.tick(2.0)
    assert ending(desk)[:2] == ("expired", "no_capacity")


def test_further_attempts_get_the_file_too(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("rigged", inputs=naming("chair"), retry={"initial_s": 0.0})
    answer(desk, "chair", made())
    item = desk.win(agent, "rigged")
    desk.accept(agent, item)
    desk.failed(agent, item, "worker_crashed")
    desk.hear(agent, full=False)
    assert asked(desk) == []
    assert desk.win(agent, "rigged").objects == item.objects


def test_a_source_whose_end_is_being_stored_is_asked_for_when_it_is_stored(desk: Desk) -> None:
    desk.submit("chair")
    desk.see(made())
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", made())
    assert not desk.engine.core.held.holds("rigged")


def test_a_released_job_stands_behind_those_that_waited_before(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    # Of the same kind: its files are as large.
    desk.submit("other", inputs={"image_path": {"artifact": "x.png"}}, artifact_bytes=4)
    answer(desk, "chair", made())
    group = desk.engine.core.queue.group_of(desk.record("other").group_key())
    assert group is not None
    assert [record.job_id for record in group] == ["other", "rigged"]


# ---------------------------------------------------------------- what ends a held job


@pytest.mark.parametrize(
    ("status", "words"),
    [("failed", "failed: no"), ("cancelled", "was cancelled: no"), ("expired", "expired: no"), ("later", "later: no")],
)
def test_a_source_that_did_not_succeed_fails_the_job_for_good(desk: Desk, status: str, words: str) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs=naming("chair"))
    failed = made(status=status, error=JobError(code="adapter_error", message="no"))
    desk.see(failed)
    answer(desk, "chair", failed)
    told = ending(desk)
    assert told[:3] == ("failed", "input_failed", "inputs.a_mesh_path")
    assert told[3] == f"job chair, whose file it needs, {words}"


def test_the_failure_goes_down_a_row_of_jobs(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs=naming("chair"))
    desk.submit("danced", inputs=naming("rigged"))
    failed = made(status="failed")
    desk.see(failed)
    answer(desk, "chair", failed)
    result = desk.one(effects.StoreResult).result
    desk.see(result, seq=101)
    answer(desk, "rigged", result)
    assert ending(desk, "danced")[:2] == ("failed", "input_failed")


def test_a_result_with_several_files_that_fit_is_a_rejection_that_names_them(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", made("chair", mesh(), mesh(name="quads.obj", media_type="model/obj")))
    told = ending(desk)
    assert told[:3] == ("rejected", "invalid_input", "inputs.a_mesh_path.name")
    assert "chair.glb, quads.obj" in told[3]


def test_an_unknown_source_is_waited_for_a_little_and_looked_for_once_more(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", None)
    assert reason(desk) == "waits for chair"
    told = explain_turn(desk.engine.core, desk.record("rigged"), desk.now).summary
    assert told == "waits for chair; chair: no such job is known, and it may come for 10 s more"
    desk.tick(GRACE_S - 0.5)
    assert asked(desk) == []
    desk.tick(1.0)
    answer(desk, "chair", None)
    assert ending(desk)[:3] == ("rejected", "artifact_missing", "inputs.a_mesh_path.result")


def test_a_source_that_ended_meanwhile_is_found_by_the_last_look(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", None)
    desk.tick(GRACE_S + 0.5)
    answer(desk, "chair", made())
    assert desk.engine.core.held.objects("rigged")


def test_a_source_that_is_read_later_is_waited_for_as_long_as_it_takes(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", None)
    desk.tick(GRACE_S - 1.0)
    desk.submit("chair")
    desk.tick(10 * GRACE_S)
    assert asked(desk) == []
    assert desk.state("rigged") is S.QUEUED
    desk.see(made())
    answer(desk, "chair", made())
    assert not desk.engine.core.held.holds("rigged")


def test_a_source_may_be_among_the_jobs_that_are_not_read_yet(agent: AgentDouble) -> None:
    desk = Desk(index_cap=6)
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", None)
    for number in range(5):
        desk.submit(f"j{number}")
    assert desk.engine.core.intake.full()
    desk.tick(3 * GRACE_S)
    assert asked(desk) == []
    assert desk.state("rigged") is S.QUEUED


def test_held_jobs_alone_do_not_keep_their_sources_from_being_missed() -> None:
    desk = Desk(index_cap=4)
    for number in range(4):
        desk.submit(f"j{number}", inputs=naming("chair"))
    desk.take(effects.ReadResult)
    desk.do(events.ResultRead("chair", None))
    assert desk.engine.core.intake.full()
    desk.tick(GRACE_S + 0.5)
    answer(desk, "chair", None)
    assert len(desk.take(effects.StoreResult)) == 4


def test_a_cancel_ends_a_held_job(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs=naming("chair"))
    desk.do(events.CancelAsked("rigged", "no more"))
    assert ending(desk)[:2] == ("cancelled", "cancelled")
    desk.see(made())
    assert asked(desk) == [], "nobody waits for it any more"


def test_a_removed_message_ends_a_held_job_and_one_published_again_is_held_for_what_it_names(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", seq=5, inputs=naming("chair"))
    desk.read("rigged", seq=6, inputs=naming("table"))
    desk.do(events.MessagesLooked((), (effects.JobMessage("rigged", 5),)))
    assert reason(desk) == "waits for table"
    desk.do(events.MessagesLooked((), (effects.JobMessage("rigged", 6),)))
    assert ending(desk)[0] == "cancelled"


@pytest.mark.parametrize("sure", [True, False])
def test_a_message_published_again_takes_the_place_of_a_held_jobs(desk: Desk, sure: bool) -> None:
    desk.submit("rigged", seq=5, inputs=naming("chair"))
    answer(desk, "chair", None)
    desk.read("rigged", seq=6, inputs=naming("chair"))
    if not sure:
        desk.sleep(60.0)
    desk.do(events.CancelAsked("rigged", "no more"))
    desk.do(events.MessagesLooked((), (effects.JobMessage("rigged", 5),)))
    desk.do(events.LeadershipProven())
    assert ending(desk)[0] == "cancelled"


def test_a_message_published_again_leaves_a_running_job_the_files_that_it_found(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("rigged", seq=5, inputs=naming("chair"), retry={"initial_s": 0})
    answer(desk, "chair", made())
    item = desk.win(agent, "rigged")
    desk.accept(agent, item)
    desk.started(agent, item)
    desk.read("rigged", seq=6, inputs=naming("chair"))
    desk.do(events.MessagesLooked((), (effects.JobMessage("rigged", 5),)))
    assert desk.engine.core.held.in_use(lies("chair").object)
    desk.failed(agent, item, "adapter_error")
    assert desk.win(agent, "rigged").objects == {"inputs.a_mesh_path": lies("chair")}


def test_a_late_result_of_a_held_job_counts(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    desk.see(made("rigged"))
    desk.close("rigged")
    assert len(desk.engine.core.held) == 0


def test_jobs_that_wait_for_one_another_are_refused(desk: Desk) -> None:
    desk.submit("a", inputs=naming("b"))
    answer(desk, "b", None)
    desk.submit("b", inputs=naming("c"))
    answer(desk, "c", None)
    assert desk.take(effects.StoreResult) == []
    desk.submit("c", inputs=naming("a"))
    told = ending(desk, "c")
    assert told[:3] == ("rejected", "invalid_input", "inputs.a_mesh_path.result")
    assert told[3] == "it waits for job a, which waits for it"


def test_endings_of_held_jobs_wait_until_the_leadership_is_proven(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs=naming("chair"))
    desk.sleep(60.0)
    failed = made(status="failed")
    desk.see(failed)
    answer(desk, "chair", failed)
    assert desk.take(effects.StoreResult) == []
    desk.do(events.ResultRead("chair", made()))
    desk.do(events.LeadershipProven())
    assert ending(desk)[:2] == ("failed", "input_failed")


def test_bytes_that_are_no_result_are_deleted_and_the_source_is_looked_for_again(desk: Desk) -> None:
    desk.submit("rigged", inputs=naming("chair"))
    assert asked(desk) == ["chair"]
    desk.do(events.ResultUnreadable("chair", "p3d.results.echo.chair", 9, "not JSON"))
    assert desk.one(effects.DeleteResult).job_id == "chair"
    desk.do(events.ResultDeleted("chair", 9))
    answer(desk, "chair", made())
    assert not desk.engine.core.held.holds("rigged")


# ---------------------------------------------------------------- a new leader


def taken_over(**status: Any) -> Desk:
    """A leader that reads `rigged`, of whose former leader the last event is left."""
    desk = Desk()
    desk.read("rigged", inputs=naming("chair"), seq=9)
    desk.do(events.QueuedConflict("rigged"))
    desk.do(events.LastEventRead("rigged", last_status("rigged", **status), 9, asked_for=9))
    return desk


def test_a_new_leader_holds_what_was_held(agent: AgentDouble) -> None:
    desk = taken_over(reason="waits for chair")
    desk.hear(agent)
    answer(desk, "chair", None)
    assert reason(desk) == "waits for chair"
    desk.submit("chair", seq=10)
    desk.see(made())
    answer(desk, "chair", made())
    desk.answer_calls(agent)  # Of the call for the job that has ended meanwhile.
    assert desk.win(agent, "rigged").objects


def test_a_new_leader_says_that_the_wait_is_over_where_the_former_could_not(agent: AgentDouble) -> None:
    desk = taken_over(reason="waits for chair")
    answer(desk, "chair", made())
    assert desk.published("rigged") == ["requeued"]


def test_a_taken_over_attempt_that_fails_is_held_until_its_files_are_known_again(agent: AgentDouble) -> None:
    desk = Desk()
    item = effects.AwardItem(
        job_id="rigged",
        seq=9,
        feature="echo",
        attempt=1,
        token="6-1",
        adapter_id="echo",
        device="fixed-0",
        vram_mb=None,
        submitted_at=0.0,
        queued_s=0.0,
    )
    agent.running = [agent.runs(item)]
    desk.hear(agent)
    desk.read("rigged", inputs=naming("chair"), seq=9, retry={"initial_s": 0.0})
    desk.do(events.QueuedConflict("rigged"))
    running = last_status("rigged", "running", attempt=1, agent_id=agent.agent_id, device="fixed-0", adapter_id="echo")
    desk.do(events.LastEventRead("rigged", running, 9, asked_for=9))
    assert desk.state("rigged") is S.RUNNING
    desk.failed(agent, item, "worker_crashed")
    answer(desk, "chair", made())
    desk.hear(agent, full=False)
    assert desk.win(agent, "rigged").objects


# ---------------------------------------------------------------- what else looks at them


def test_the_objects_of_unfinished_jobs_are_in_use(desk: Desk) -> None:
    held = desk.engine.core.held
    desk.submit("rigged", inputs=naming("chair"))
    answer(desk, "chair", made())
    desk.submit("danced", inputs=naming("chair"))
    answer(desk, "chair", made())
    assert held.in_use("chair/6-1/chair.glb") and not held.in_use("chair/6-1/other.glb")
    desk.see(made("rigged"))
    desk.close("rigged")
    assert held.in_use("chair/6-1/chair.glb")
    desk.see(made("danced"))
    desk.close("danced")
    assert not held.in_use("chair/6-1/chair.glb")


def test_held_jobs_count_as_jobs_that_wait_of_their_tenant() -> None:
    desk = Desk(tenants={"north": TenantSettings(max_queued=2)})
    desk.submit("chair", tenant="north")
    desk.submit("rigged", tenant="north", inputs=naming("chair"))
    assert SubmitQuota(desk.engine.core).refusal("north", desk.now.mono) is not None
    desk.submit("third", tenant="north")
    assert ending(desk, "third")[:3] == ("rejected", "no_capacity", "tenant")


def test_the_schemas_of_adapters_are_asked_as_of_an_upload(desk: Desk, agent: AgentDouble) -> None:
    upload = {"type": "object", "required": ["artifact"]}
    schema = {"type": "object", "properties": {"mesh_path": upload}, "additionalProperties": False}
    agent.adapters = [offer(parameters=schema)]
    desk.hear(agent)
    desk.submit("rigged", inputs={"mesh_path": {"result": "chair"}})
    assert desk.take(effects.StoreResult) == []
    desk.submit("other", inputs={"mesh_path": {"result": "chair"}, "surprise": 1})
    assert ending(desk, "other")[2] == "inputs.surprise"


def test_an_award_carries_the_objects_to_the_agent() -> None:
    objects = {"inputs.m_path": lies("chair")}
    item = effects.AwardItem("rigged", 1, "echo", 1, "7-1", "echo", "d", None, 0.0, 0.0, objects=objects)
    award = item.award(Job(inputs={}))
    assert (award.objects, award.submitted_at) == (objects, rfc3339(0.0))


def test_of_many_sources_eight_are_named() -> None:
    assert waits_for([str(number) for number in range(8)]) == "waits for 0, 1, 2, 3, 4, 5, 6, 7"
    assert waits_for([str(number) for number in range(9)]) == "waits for 0, 1, 2, 3, 4, 5, 6, 7 and 1 more"
