"""One job on one agent, state by state."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.contracts.commands import AttemptFailed, AttemptStarted
from pocket3d.contracts.jobs import MAX_RESULT_BYTES, Limits
from pocket3d.contracts.lifecycle import InvalidTransition
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.engine.lifecycle import RunState
from support.agent_rig import AgentRig, adapter, artifact, fixed, of, only, output


def test_a_job_from_award_to_stored_result() -> None:
    rig = AgentRig()
    award = rig.make_award()
    (answer,) = rig.give(award)
    token = award.token
    assert answer.accepted and answer.reason is None
    start = only(rig.log, effects.StartWorker)
    assert (start.adapter_id, start.device, start.vram_mb) == ("alpha", "fixed-0", 6000)
    assert only(rig.log, effects.FetchInputs).inputs == {"text_prompt": "a chair"}
    assert rig.state(token) == "fetching"

    rig.fetch(token)
    assert rig.state(token) == "loading"
    rig.pass_time(3)
    wanted = rig.start_worker(start.worker_id)
    job = only(wanted, effects.RunOnWorker).job
    assert (job.run_id, job.job_id, job.feature, job.extra_vram_mb) == (token, award.job_id, "text_to_mesh", 0)
    assert job.output_dir == f"/j/{token}/out"

    wanted = rig.tell(events.RunFinished(token, {"mesh": "mesh.glb"}, (output(),), 1.5, 5000))
    assert only(wanted, effects.UploadOutputs).files == (output(),)
    assert rig.worker(start.worker_id).state.value == "idle"
    wanted = rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    result = only(wanted, effects.StoreResult).result
    assert (result.status, result.token, result.agent_id, result.adapter_id) == ("succeeded", token, "agent-1", "alpha")
    assert result.artifacts == [artifact(token)]
    assert result.outputs == {"mesh": "mesh.glb"}
    assert result.metadata == {"n": 1}
    assert (result.timings.queued_s, result.timings.load_s, result.timings.run_s) == (0.5, 3.0, 1.5)
    assert result.vram_peak_mb == 5000
    wanted = rig.tell(events.ResultStored(token))
    assert of(wanted, effects.CleanUp) == [effects.CleanUp(token)]
    assert rig.state(token) == "done"
    assert not rig.engine.core.outcomes


def test_inputs_and_model_come_in_any_order() -> None:
    rig = AgentRig()
    token = rig.take()
    wanted = rig.start_worker(rig.worker_ids()[0])
    assert not of(wanted, effects.RunOnWorker)
    assert of(rig.fetch(token), effects.RunOnWorker)


def test_a_warm_worker_starts_at_once_and_counts_no_load() -> None:
    rig = AgentRig()
    worker_id = rig.warm()
    token = rig.take()
    rig.pass_time(1)
    wanted = rig.fetch(token)
    assert only(wanted, effects.RunOnWorker).worker_id == worker_id
    wanted = rig.tell(events.RunFinished(token, {}, (), 1.0))
    assert only(wanted, effects.StoreResult).result.timings.load_s == 0.0


def test_the_start_is_told_with_the_awards_answer_and_needs_no_report_if_the_job_ends_soon() -> None:
    rig = AgentRig(outcome_retry_s=1.0)
    (answer,) = rig.give(rig.make_award("alpha"))
    assert answer.accepted and answer.started
    rig.run(answer.token)
    rig.finish(answer.token)
    rig.pass_time(5)
    assert not rig.all(effects.SendOutcomes)


def test_a_start_that_waits_for_its_turn_is_reported_when_it_comes() -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 4000), adapter("beta", 4000)], max_fetches=1)
    answers = [rig.give(rig.make_award("alpha"))[0], rig.give(rig.make_award("beta"))[0]]
    assert [answer.started for answer in answers] == [True, False]
    wanted = rig.tell(events.InputsFetched(answers[0].token, {}, "/j", "/j/out"))
    (started,) = only(wanted, effects.SendOutcomes).report.outcomes
    assert isinstance(started, AttemptStarted) and started.token == answers[1].token


def test_the_start_of_a_longer_job_is_reported_until_it_is_answered() -> None:
    rig = AgentRig(outcome_retry_s=1.0)
    token = rig.take()
    assert not rig.all(effects.SendOutcomes), "the answer to the award says it"
    report = only(rig.pass_time(1), effects.SendOutcomes).report
    (started,) = report.outcomes
    assert isinstance(started, AttemptStarted) and started.token == token
    assert rig.all(effects.PublishAdvert)[-1].advert.outcomes in ([], [token])
    assert not of(rig.pass_time(5), effects.SendOutcomes), "one report at a time"
    wanted = rig.tell(events.OutcomesAnswered(()))
    assert not of(wanted, effects.SendOutcomes)
    again = of(rig.pass_time(1), effects.SendOutcomes)
    assert [o.token for o in again[0].report.outcomes] == [token]
    assert again[0].report.seq > report.seq
    rig.tell(events.OutcomesAnswered((f"{token}/attempt_started",)))
    assert not of(rig.pass_time(5), effects.SendOutcomes)
    assert rig.all(effects.PublishAdvert)[-1].advert.outcomes == []


def test_a_failure_is_reported_until_it_is_noted() -> None:
    rig = AgentRig(outcome_retry_s=1.0)
    token = rig.take()
    rig.run(token)
    rig.tell(events.OutcomesAnswered((f"{token}/attempt_started",)))
    wanted = rig.tell(events.RunFailed(token, "adapter_error", "boom", None, 0.7, 4000))
    (failed,) = only(wanted, effects.SendOutcomes).report.outcomes
    assert isinstance(failed, AttemptFailed)
    assert (failed.code, failed.message, failed.run_s, failed.vram_peak_mb) == ("adapter_error", "boom", 0.7, 4000)
    assert only(wanted, effects.CleanUp).token == token
    advert = rig.all(effects.PublishAdvert)[-1].advert
    assert rig.state(token) == "reporting"
    rig.tell(events.OutcomesAnswered(()))  # a new leader cannot judge it yet
    assert rig.state(token) == "reporting"
    assert of(rig.pass_time(1), effects.SendOutcomes)
    advert = rig.all(effects.PublishAdvert)[-1].advert
    assert advert.outcomes == [token]
    assert [(r.token, r.on_device) for r in advert.running] == [(token, False)]
    rig.tell(events.OutcomesAnswered((f"{token}/attempt_failed",)))
    assert rig.state(token) == "done"
    rig.pass_time(1)
    assert rig.all(effects.PublishAdvert)[-1].advert.running == []


def test_inputs_that_cannot_be_had_fail_with_their_field() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.tell(events.InputsFailed(token, "artifact_missing", "no such object", "inputs.image_path"))
    failure = rig.failure(token)
    assert (failure.code, failure.field) == ("artifact_missing", "inputs.image_path")
    assert rig.worker(rig.worker_ids()[0]).state.value == "starting", "the worker goes on loading for the next job"


def test_a_conflict_is_read_back_and_own_token_wins() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    wanted = rig.tell(events.ResultConflict(token))
    assert of(wanted, effects.ReadResult) and not of(wanted, effects.DropArtifacts)
    wanted = rig.tell(events.ResultRead(token, token))
    assert rig.state(token) == "done"
    assert not of(wanted, effects.DropArtifacts)


@pytest.mark.parametrize("theirs", ["100-99", ""])
def test_a_result_that_lost_drops_only_its_own_artifacts(theirs: str) -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    rig.tell(events.ResultConflict(token))
    wanted = rig.tell(events.ResultRead(token, theirs))
    drop = only(wanted, effects.DropArtifacts)
    assert (drop.token, drop.names) == (token, ("mesh.glb",))
    assert rig.state(token) == "done"


def test_an_unknown_store_is_read_back_and_stored_again() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.tell(events.ResultUnknown(token))
    assert of(rig.pass_time(0.2, 0.1), effects.ReadResult)
    rig.tell(events.ResultRead(token, None))
    wanted = rig.pass_time(0.5, 0.1)
    assert only(wanted, effects.StoreResult).token == token
    assert rig.run_of(token).state is RunState.STORING
    listed = rig.all(effects.PublishAdvert)[-1].advert.running
    assert [(r.token, r.on_device) for r in listed] == [(token, False)]


def test_store_retries_slow_down_to_their_bound() -> None:
    rig = AgentRig(store_retry_s=2.0)
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    pauses = []
    for _ in range(8):
        at = rig.now.mono
        rig.tell(events.ResultUnknown(token))
        while not of(rig.pass_time(0.05, 0.05), effects.ReadResult):
            assert rig.now.mono - at < 5
        pauses.append(rig.now.mono - at)
    assert pauses[0] == pytest.approx(0.1, abs=0.06)
    assert pauses[-1] == pytest.approx(2.0, abs=0.06)


def test_while_disconnected_the_run_goes_on_and_is_stored_later() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.Disconnected())
    wanted = rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    wanted += rig.pass_time(30)
    assert not of(wanted, effects.UploadOutputs) and not of(wanted, effects.PublishAdvert)
    assert not of(wanted, effects.SendOutcomes)
    wanted = rig.tell(events.Connected())
    assert of(wanted, effects.UploadOutputs)
    advert = only(wanted, effects.PublishAdvert).advert
    assert advert.adapters is not None and [r.token for r in advert.running] == [token]
    rig.tell(events.Disconnected())
    rig.tell(events.UploadFailed(token, "connection lost"))
    wanted = rig.tell(events.Connected())
    assert of(wanted, effects.UploadOutputs)
    wanted = rig.tell(events.OutputsUploaded(token, ()))
    assert of(wanted, effects.StoreResult)


def test_a_disconnected_engine_does_not_ask_to_be_called_all_the_time() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.Disconnected())
    rig.tell(events.UploadFailed(token, "connection lost"))
    rig.pass_time(20)
    assert rig.engine.next_deadline(rig.now) == pytest.approx(rig.now.mono + 1.0)


def test_a_failed_upload_is_tried_again_and_in_the_end_reported() -> None:
    rig = AgentRig(upload_s=10, upload_retry_s=1)
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.UploadFailed(token, "the bucket is full"))
    assert of(rig.pass_time(1), effects.UploadOutputs)
    wanted = rig.pass_time(10)
    assert rig.failure(token).code == "agent_lost"
    assert only(wanted, effects.DropArtifacts).names == ("mesh.glb",)


def test_a_file_that_is_gone_is_an_invalid_output() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.UploadFailed(token, "mesh.glb is not there", permanent=True))
    assert rig.failure(token).code == "invalid_output"


def test_outputs_that_json_cannot_carry_are_an_invalid_output() -> None:
    for value in (msgspec.msgpack.Ext(1, b"x"), {(1, 2): "a key of two"}):
        rig = AgentRig()
        token = rig.take()
        rig.run(token)
        rig.tell(events.RunFinished(token, {"x": value}, (), 1.0))
        assert rig.failure(token).code == "invalid_output"
        assert "JSON" in rig.failure(token).message


def test_a_result_that_is_refused_for_its_size_fails_its_job_once_nothing_stands_there() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    rig.tell(events.ResultRefused(token, "the result: 2 MiB, the server takes 1 MiB"))
    assert rig.state(token) == "storing"
    assert of(rig.pass_time(0.2, 0.1), effects.ReadResult)
    wanted = rig.tell(events.ResultRead(token, None))
    assert (rig.failure(token).code, rig.state(token)) == ("too_large", "reporting")
    assert only(wanted, effects.DropArtifacts).names == ("mesh.glb",)
    assert not of(rig.pass_time(5), effects.StoreResult)


def test_a_refused_result_that_stands_there_all_the_same_has_won() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.tell(events.ResultRefused(token, "too large"))
    rig.pass_time(0.2, 0.1)
    rig.tell(events.ResultRead(token, token))
    assert rig.state(token) == "done"


@pytest.mark.parametrize("state", ["fetching", "uploading", "storing", "reporting"])
def test_a_bug_in_the_work_for_one_attempt_fails_that_attempt_alone(state: str) -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)])
    other = rig.take()
    token = rig.take()
    if state == "reporting":
        rig.tell(events.InputsFailed(token, "artifact_missing", "gone"))
    elif state != "fetching":
        rig.run(token)
        rig.tell(events.RunFinished(token, {}, (output(),) if state == "uploading" else (), 1.0))
    assert rig.state(token) == state
    rig.tell(events.TaskFailed(token, "KeyError: 'x'"))
    if state == "storing":
        assert of(rig.pass_time(0.2, 0.1), effects.ReadResult)
        rig.tell(events.ResultRead(token, None))
    assert rig.failure(token).code == ("artifact_missing" if state == "reporting" else "agent_lost")
    assert state == "reporting" or "KeyError: 'x'" in rig.failure(token).message
    assert rig.state(other) == "fetching"


def test_what_a_failed_run_had_stored_is_removed_undisturbed() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    wanted = rig.tell(events.UploadFailed(token, "gone", permanent=True))
    kinds = [type(effect) for effect in wanted if isinstance(effect, effects.CleanUp | effects.DropArtifacts)]
    assert kinds == [effects.CleanUp, effects.DropArtifacts]
    # A second clean-up would cancel the removal, which may still be under way.
    assert not of(rig.tell(events.OutcomesAnswered((f"{token}/attempt_failed",))), effects.CleanUp)


def test_a_result_that_no_server_would_take_is_an_invalid_output() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    wanted = rig.tell(events.RunFinished(token, {"text": "x" * MAX_RESULT_BYTES}, (), 1.0))
    assert rig.failure(token).code == "invalid_output"
    assert not of(wanted, effects.StoreResult)


def test_effects_in_flight_are_bounded() -> None:
    rig = AgentRig([fixed(100_000)], [adapter(vram_mb=1000, max_concurrent=20)], max_fetches=3)
    tokens = [rig.take() for _ in range(10)]
    assert len(rig.all(effects.FetchInputs)) == 3
    assert [rig.state(t) for t in tokens[2:4]] == ["fetching", "accepted"]
    wanted = rig.fetch(tokens[1])
    assert [e.token for e in of(wanted, effects.FetchInputs)] == [tokens[3]]


def test_progress_is_thinned_and_the_latest_is_told() -> None:
    rig = AgentRig(progress_gap_s=0.1)
    token = rig.take()
    rig.run(token)
    first = rig.tell(events.RunProgressed(token, 0.1, "shape"))
    assert only(first, effects.PublishProgress).progress.fraction == 0.1
    for fraction in (0.2, 0.3, 0.4):
        assert not of(rig.tell(events.RunProgressed(token, fraction)), effects.PublishProgress)
    assert rig.engine.next_deadline(rig.now) <= rig.now.mono + 0.1
    later = rig.pass_time(0.1)
    assert [e.progress.fraction for e in of(later, effects.PublishProgress)] == [0.4]
    assert not of(rig.pass_time(1), effects.PublishProgress)


def test_a_transition_outside_the_table_raises_with_the_story() -> None:
    rig = AgentRig()
    token = rig.take()
    run = rig.run_of(token)
    with pytest.raises(InvalidTransition) as caught:
        run.move(RunState.DONE, "nonsense", 0.0)
    assert token in str(caught.value) and "accepted->fetching" in str(caught.value)
    assert (caught.value.start, caught.value.end) == (RunState.FETCHING, RunState.DONE)


def test_late_words_about_a_run_that_is_over_change_nothing() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.finish(token)
    for event in (
        events.InputsFetched(token, {}, "", ""),
        events.InputsFailed(token, "artifact_missing", ""),
        events.RunProgressed(token, 0.5),
        events.RunFinished(token, {}, (), 1.0),
        events.RunFailed(token, "adapter_error", ""),
        events.OutputsUploaded(token, ()),
        events.UploadFailed(token, ""),
        events.ResultStored(token),
        events.ResultConflict(token),
        events.ResultUnknown(token),
        events.ResultRead(token, None),
    ):
        acted = [e for e in rig.tell(event) if not isinstance(e, effects.PublishAdvert)]
        assert acted == [], event


def test_limits_of_the_load_and_of_the_run_are_counted_apart() -> None:
    rig = AgentRig()
    token = rig.take(limits=Limits(load_s=100, start_to_close_s=10))
    rig.fetch(token)
    rig.pass_time(50)
    rig.start_worker(rig.worker_ids()[0])
    rig.pass_time(9)
    assert rig.state(token) == "running"
    rig.pass_time(1.5)
    assert rig.state(token) == "cancelling"


def test_an_upload_that_is_given_up_leaves_its_place_to_the_next() -> None:
    rig = AgentRig([fixed(100_000)], [adapter(vram_mb=1000, max_concurrent=4)], max_uploads=1, upload_s=10)
    first, second = rig.take(), rig.take()
    for token in (first, second):
        rig.run(token)
        rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    assert [upload.token for upload in rig.all(effects.UploadOutputs)] == [first]
    rig.tell(events.UploadFailed(first, "the bucket is full", permanent=True))
    assert [upload.token for upload in rig.all(effects.UploadOutputs)] == [first, second]
    wanted = rig.pass_time(60)
    assert first not in {upload.token for upload in of(wanted, effects.UploadOutputs)}, "it is not tried again"
