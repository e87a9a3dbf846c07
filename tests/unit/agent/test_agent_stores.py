"""When outputs and results are stored: in which order, after which pauses, and what is known of the end."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from pocket3d.contracts.jobs import MAX_RESULT_BYTES
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, artifact, fixed, of, only, output

E = TypeVar("E", bound=effects.Effect)


def quick(**settings: Any) -> AgentRig:
    """An agent with many slots for quick jobs."""
    return AgentRig([fixed(100_000)], [adapter(vram_mb=100, max_concurrent=100)], **settings)


def on_worker(rig: AgentRig) -> str:
    token = rig.take()
    rig.run(token)
    return token


def succeed(rig: AgentRig, token: str, *, files: bool = False, **outputs: object) -> list[effects.Effect]:
    return rig.tell(events.RunFinished(token, {"success": True, **outputs}, (output(),) if files else (), 0.1))


def pause_before(rig: AgentRig, kind: type[E]) -> float:
    """Let time pass until the engine wants something of that kind; seconds."""
    since = rig.now.mono
    while not of(rig.pass_time(0.05, 0.05), kind):
        assert rig.now.mono - since < 60
    return rig.now.mono - since


def test_files_are_stored_in_the_order_in_which_their_jobs_were_computed() -> None:
    rig = quick(max_uploads=1)
    busy, first, second = (on_worker(rig) for _ in range(3))
    for token in (busy, second, first):
        rig.pass_time(1)
        succeed(rig, token, files=True)
    begun = []
    for _ in range(3):
        (token,) = rig.engine.core.uploads.in_flight
        begun.append(token)
        rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    assert begun == [busy, second, first], "not in that in which they were awarded"


def test_files_that_were_not_stored_are_tried_again_after_a_pause() -> None:
    rig = quick(upload_retry_s=5)
    token = on_worker(rig)
    succeed(rig, token, files=True)
    rig.tell(events.UploadFailed(token, "no responders"))
    assert pause_before(rig, effects.UploadOutputs) == pytest.approx(5.0, abs=0.06)
    assert not of(rig.pass_time(20), effects.UploadOutputs), "once: it is being done"


def test_a_result_is_stored_or_read_again_after_pauses_that_double_up_to_the_setting() -> None:
    rig = quick(store_retry_s=2)
    token = on_worker(rig)
    succeed(rig, token)
    pauses = []
    for _ in range(4):
        rig.tell(events.ResultUnknown(token, "timeout"))
        pauses.append(pause_before(rig, effects.ReadResult))
        rig.tell(events.ResultRead(token, None))
        pauses.append(pause_before(rig, effects.StoreResult))
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0], abs=0.06)


def test_who_waits_for_a_place_after_its_pause_asks_for_no_time() -> None:
    rig = quick(max_uploads=1, upload_retry_s=5, upload_s=1000)
    first, second = on_worker(rig), on_worker(rig)
    succeed(rig, first, files=True)
    rig.tell(events.UploadFailed(first, "no responders"))
    succeed(rig, second, files=True)
    rig.pass_time(10)
    assert rig.engine.core.uploads.in_flight == {second}
    assert rig.engine.next_deadline(rig.now) > rig.now.mono, "else the agent never rests"
    wanted = rig.tell(events.OutputsUploaded(second, (artifact(second),)))
    assert only(wanted, effects.UploadOutputs).token == first


@pytest.mark.parametrize(
    ("answers", "won"),
    [
        ([events.ResultStored("100-1")], True),
        ([events.ResultConflict("100-1"), events.ResultRead("100-1", "100-1")], True),
        ([events.ResultConflict("100-1"), events.ResultRead("100-1", "99-1")], False),
    ],
    ids=["stored", "stored by an earlier try", "another stands"],
)
def test_the_last_step_of_a_run_tells_whose_result_stands(answers: list[events.Event], won: bool) -> None:
    rig = quick()
    token = on_worker(rig)
    succeed(rig, token)
    for event in answers:
        rig.tell(event)
    ((run, step),) = rig.engine.moves
    assert (run.token, step.finish.value, run.won) == (token, "done", won)


def test_the_largest_result_is_stored_and_one_of_a_byte_more_fails() -> None:
    rig = quick()
    tokens = [on_worker(rig) for _ in range(3)]
    room = MAX_RESULT_BYTES - len(only(succeed(rig, tokens[0], text=""), effects.StoreResult).body)
    assert len(only(succeed(rig, tokens[1], text="x" * room), effects.StoreResult).body) == MAX_RESULT_BYTES
    succeed(rig, tokens[2], text="x" * (room + 1))
    failure = rig.failure(tokens[2])
    assert failure.code == "invalid_output"
    assert f"{MAX_RESULT_BYTES + 1} bytes, at most {MAX_RESULT_BYTES}" in failure.message


def test_results_that_stay_unknown_are_told_as_what_cannot_be_stored() -> None:
    rig = quick()
    token = on_worker(rig)
    succeed(rig, token)
    for _ in range(40):
        rig.tell(events.ResultUnknown(token, "no responders"))
        rig.pass_time(1)
    told = [line.text for line in rig.all(effects.LogLine) if line.level == "warning"]
    assert [text.partition(";")[0] for text in told] == ["nothing can be stored"]


def test_a_result_says_how_long_its_job_waited_for_the_load() -> None:
    rig = quick()
    cold = rig.take()
    rig.fetch(cold)
    rig.pass_time(4)
    rig.start_worker(rig.run_of(cold).worker.worker_id)
    rig.pass_time(3)
    warm = on_worker(rig)
    waited = [only(succeed(rig, token), effects.StoreResult).result.timings.load_s for token in (cold, warm)]
    assert waited == [4.0, 0.0]


@pytest.mark.parametrize(
    "event",
    [events.ModelLoaded("w9", 1.0, None), events.LoadFailed("w9", "load_failed", "no such file")],
    ids=["loaded", "failed"],
)
def test_a_load_of_a_worker_that_is_gone_changes_nothing(event: events.Event) -> None:
    rig = quick()
    token = on_worker(rig)
    assert rig.tell(event) == []
    assert rig.state(token) == "running"
