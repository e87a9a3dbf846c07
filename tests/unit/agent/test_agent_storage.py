"""What an agent does that cannot store what its jobs make, or makes more than it can store."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.commands import ReportState, StateReported
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import EPOCH, AgentRig, adapter, artifact, fixed, of, only, output

WHY = "stream P3D_RESULTS: stream not found (10059)"


def lines(wanted: list[effects.Effect], level: str = "warning") -> list[str]:
    return [effect.text for effect in of(wanted, effects.LogLine) if effect.level == level]


def advert(rig: AgentRig) -> Any:
    rig.pass_time(1)
    return rig.all(effects.PublishAdvert)[-1].advert


def quick(slots: int = 100, **settings: Any) -> AgentRig:
    """An agent with many slots for quick jobs."""
    return AgentRig([fixed(100_000)], [adapter(vram_mb=100, max_concurrent=slots)], **settings)


def finish(rig: AgentRig, *files: Any, **award: Any) -> str:
    """A job that is computed and waits to be stored; its token."""
    token = rig.take(**award)
    rig.run(token)
    rig.tell(events.RunFinished(token, {"success": True}, files or (output(),), 0.1))
    return token


def until_look(rig: AgentRig) -> float:
    """Let time pass until the way to the stores is looked at; seconds."""
    since, storage = rig.now.mono, rig.engine.core.storage
    if storage.checking and storage.check_at is not None:
        rig.tell(events.StorageChecked())
    while not storage.checking:
        assert rig.now.mono - since < 700
        rig.pass_time(1.0, 1.0)
    return rig.now.mono - since


def upload_all(rig: AgentRig, leave: int = 0) -> None:
    core = rig.engine.core
    while len(core.uploads.in_flight) + len(core.uploads.waiting) > leave:
        token = next(iter(core.uploads.in_flight))
        rig.tell(events.OutputsUploaded(token, (artifact(token),)))
        rig.tell(events.ResultStored(token))


# ---------------------------------------------------------------- the way to the stores


def test_nothing_is_said_and_nothing_taken_before_it_is_known_that_results_can_be_stored() -> None:
    rig = AgentRig(connected=False)
    wanted = rig.tell(events.Connected())
    only(wanted, effects.CheckStorage)
    assert not of(wanted + rig.pass_time(5), effects.PublishAdvert)
    assert only(rig.log, effects.CheckStorage)
    assert rig.call().declines[0].reasons[0].code == "draining"
    assert only(rig.tell(events.StorageChecked()), effects.PublishAdvert).advert.reason is None
    rig.take()


def test_before_the_first_connection_nothing_is_asked_of_the_server() -> None:
    rig = AgentRig(connected=False)
    assert rig.pass_time(5) == []
    assert not of(rig.log, effects.CheckStorage)


def test_the_way_is_looked_at_again_after_pauses_that_double_up_to_five_seconds() -> None:
    rig = AgentRig(connected=False)
    rig.tell(events.Connected())
    pauses = []
    for _ in range(6):
        asked = rig.now.mono
        rig.tell(events.StorageChecked(WHY))
        while not of(rig.pass_time(0.25, 0.25), effects.CheckStorage):
            pass
        pauses.append(rig.now.mono - asked)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    rig.tell(events.StorageChecked())
    rig.tell(events.Disconnected())
    rig.tell(events.Connected())
    rig.tell(events.StorageChecked(WHY))
    assert not of(rig.pass_time(0.25, 0.25), effects.CheckStorage)
    assert of(rig.pass_time(0.25, 0.25), effects.CheckStorage), "they begin anew after a look that went well"


def test_an_agent_without_a_way_to_the_stores_drains_says_why_and_looks_again() -> None:
    rig = AgentRig(connected=False)
    rig.tell(events.Connected())
    wanted = rig.tell(events.StorageChecked(WHY))
    told = only(wanted, effects.PublishAdvert).advert
    assert told.draining and WHY in (told.reason or "") and told.adapters
    assert lines(wanted) == ["this agent cannot store results, so it takes no jobs until it can"]
    reason = rig.call().declines[0].reasons[0]
    assert (reason.code, WHY in (reason.message or "")) == ("draining", True)
    (answer,) = rig.give(rig.make_award())
    assert answer.reason is not None and WHY in (answer.reason.message or "")
    reply = only(rig.command(ReportState(coordinator_id="c", epoch=EPOCH)), effects.Reply).message
    assert isinstance(reply, StateReported) and WHY in (reply.advert.reason or "")
    for _ in range(5):
        assert of(rig.pass_time(5), effects.CheckStorage)
        assert not lines(rig.tell(events.StorageChecked(WHY)))
    assert of(rig.pass_time(5), effects.CheckStorage)
    assert lines(rig.tell(events.StorageChecked()), "info") == ["results can be stored again; jobs are taken"]
    assert advert(rig).reason is None and not advert(rig).draining
    rig.take()


def test_after_a_reconnect_the_way_is_looked_at_again_while_adverts_go_on() -> None:
    rig = AgentRig()
    waiting, running = quick_two(rig)
    rig.tell(events.Disconnected())
    wanted = rig.tell(events.Connected())
    only(wanted, effects.CheckStorage)
    assert of(rig.pass_time(0.1), effects.PublishAdvert)[0].advert.reason is None
    rig.tell(events.StorageChecked(WHY))
    assert rig.failure(waiting).code == "handed_back"
    assert rig.state(running) == "running"
    assert advert(rig).draining


def test_a_look_that_was_interrupted_and_no_reconnect_overtook_is_made_again_at_once() -> None:
    rig = AgentRig(connected=False)
    rig.tell(events.Connected())
    only(rig.tell(events.StorageChecked(interrupted=True)), effects.CheckStorage)
    only(rig.tell(events.StorageChecked(interrupted=True)), effects.CheckStorage)
    assert only(rig.tell(events.StorageChecked()), effects.PublishAdvert).advert.reason is None


def quick_two(rig: AgentRig) -> tuple[str, str]:
    """A run that waits for its model, and one that runs."""
    rig.tell(events.AdaptersDescribed((adapter("alpha", 100), adapter("beta", 100))))
    running, waiting = rig.take("alpha"), rig.take("beta")
    rig.run(running)
    return waiting, running


def test_a_look_that_a_reconnect_overtook_counts_for_nothing() -> None:
    rig = AgentRig()
    rig.tell(events.Disconnected())
    rig.tell(events.Connected())
    rig.tell(events.Disconnected())
    rig.tell(events.Connected())
    assert only(rig.tell(events.StorageChecked(WHY)), effects.CheckStorage)
    assert rig.engine.core.storage.problem is None
    rig.tell(events.Disconnected())
    assert not of(rig.tell(events.StorageChecked(interrupted=True)), effects.CheckStorage)
    assert of(rig.tell(events.Connected()), effects.CheckStorage)


def test_a_look_that_was_cut_off_is_made_again_though_nobody_saw_the_connection_break() -> None:
    rig = AgentRig()
    rig.tell(events.Disconnected())
    rig.tell(events.Connected())
    assert only(rig.tell(events.StorageChecked(interrupted=True)), effects.CheckStorage)
    assert rig.engine.core.storage.problem is None


def test_a_look_that_the_server_forbids_is_made_again_at_the_next_connection_or_much_later() -> None:
    """Each would be a violation in the server's log, and a warning in ours."""
    rig = AgentRig(connected=False)
    rig.tell(events.Connected())
    rig.tell(events.StorageChecked("may not publish", refused=True))
    assert advert(rig).draining
    assert not of(rig.pass_time(50), effects.CheckStorage)
    rig.tell(events.Disconnected())
    assert of(rig.tell(events.Connected()), effects.CheckStorage)
    rig.tell(events.StorageChecked("may not publish", refused=True))
    assert not of(rig.pass_time(100), effects.CheckStorage)
    assert of(rig.pass_time(30), effects.CheckStorage)


def test_an_operator_does_not_undrain_what_cannot_store() -> None:
    rig = AgentRig()
    rig.tell(events.Connected())
    rig.tell(events.StorageChecked(WHY))
    rig.tell(events.DrainRequested(leave=False))
    wanted = rig.tell(events.UndrainRequested("request"))
    assert WHY in only(wanted, effects.Reply).message.message  # type: ignore[union-attr]
    assert advert(rig).draining
    assert rig.call().declines


@pytest.mark.parametrize("stage", ["upload", "result"])
def test_what_the_server_forbids_fails_the_attempt_at_once_with_the_reason_and_the_agent_drains(stage: str) -> None:
    rig = AgentRig(idle_timeout_s=1e6)
    token = finish(rig)
    why = "this user may not publish to '$O.P3D_OUTPUTS.C.x'"
    if stage == "upload":
        rig.tell(events.UploadFailed(token, why, refused=True))
    else:
        rig.tell(events.OutputsUploaded(token, (artifact(token),)))
        rig.tell(events.ResultUnknown(token, why, refused=True))
        assert of(rig.pass_time(1), effects.ReadResult), "an earlier try may have been stored"
        rig.tell(events.ResultUnknown(token, "nor to read", refused=True))
    failure = rig.failure(token)
    assert failure.code == "agent_lost" and why in failure.message
    assert advert(rig).draining
    pauses = []
    for _ in range(4):
        rig.note()
        pauses.append(until_look(rig))
        rig.tell(events.StorageChecked())
        assert not advert(rig).draining
        token = finish(rig)
        if stage == "result":
            rig.tell(events.OutputsUploaded(token, (artifact(token),)))
            rig.tell(events.ResultUnknown(token, why, refused=True))
        else:
            rig.tell(events.UploadFailed(token, why, refused=True))
    assert pauses == sorted(pauses) and pauses[-1] >= 200, "what looks well and is not costs jobs attempts"


def test_pauses_after_refusals_double_up_to_ten_minutes() -> None:
    rig = AgentRig(connected=False)
    rig.tell(events.Connected())
    pauses = []
    for _ in range(6):
        rig.tell(events.StorageChecked("may not publish", refused=True))
        pauses.append(until_look(rig))
    assert pauses == [60, 120, 240, 480, 600, 600]


def test_several_runs_that_are_refused_between_two_looks_lengthen_the_pause_once() -> None:
    one, several = quick(), quick()
    for rig, runs in ((one, 1), (several, 4)):
        for token in [finish(rig) for _ in range(runs)]:
            rig.tell(events.UploadFailed(token, "may not publish", refused=True))
        until_look(rig)
        rig.tell(events.StorageChecked("may not publish", refused=True))
    assert until_look(several) == until_look(one)


@pytest.mark.parametrize(("answer", "pause"), [("stored", 60), ("lost", 120)])
def test_a_stored_result_ends_that_pauses_after_refusals_grow(answer: str, pause: float) -> None:
    """Only a result proves that what looks well is well."""
    rig = quick()
    rig.tell(events.UploadFailed(finish(rig), "may not publish", refused=True))
    assert until_look(rig) == 60
    rig.tell(events.StorageChecked())
    token = finish(rig)
    rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    rig.tell(events.ResultStored(token) if answer == "stored" else events.ResultUnknown(token, "timeout"))
    rig.tell(events.UploadFailed(finish(rig), "may not publish", refused=True))
    assert until_look(rig) == pause


def test_files_that_cannot_be_stored_in_time_fail_with_the_last_reason() -> None:
    rig = AgentRig(upload_s=30)
    token = finish(rig)
    rig.tell(events.UploadFailed(token, "mesh.glb: maximum bytes exceeded (10047)"))
    while rig.state(token) == "uploading":
        for effect in of(rig.pass_time(1), effects.UploadOutputs):
            rig.tell(events.UploadFailed(effect.token, "mesh.glb: maximum bytes exceeded (10047)"))
    message = rig.failure(token).message
    assert message == "its outputs could not be stored within 30 s: mesh.glb: maximum bytes exceeded (10047)"


def test_failures_are_told_once_and_once_when_storing_works_again() -> None:
    rig = AgentRig()
    token = finish(rig)
    wanted = rig.tell(events.UploadFailed(token, "no responders"))
    assert lines(wanted, "info") == ["outputs are not stored yet; they are tried again"]
    assert not lines(wanted), "one failure is no news"
    for _ in range(30):
        wanted += rig.pass_time(1)
        wanted += rig.tell(events.UploadFailed(token, "no responders"))
    assert len(lines(wanted)) == 1
    rig.pass_time(1)
    assert lines(rig.tell(events.OutputsUploaded(token, (artifact(token),))), "info") == ["results can be stored again"]
    rig.tell(events.ResultUnknown(token))
    assert not lines(rig.log[-10:])


@pytest.mark.parametrize(("after_s", "told"), [(4.75, False), (5.0, True)])
def test_failures_are_told_when_nothing_was_stored_for_five_seconds(after_s: float, told: bool) -> None:
    rig = AgentRig()
    token = finish(rig)
    rig.tell(events.UploadFailed(token, "no responders"))
    rig.pass_time(after_s)
    assert bool(lines(rig.tell(events.UploadFailed(token, "no responders")))) is told


def test_a_lost_connection_is_no_failure_of_the_stores() -> None:
    rig = AgentRig()
    token = finish(rig)
    rig.tell(events.UploadFailed(token, "the connection broke"))
    rig.tell(events.Disconnected())
    rig.pass_time(60)
    rig.tell(events.UploadFailed(token, "not connected"))
    rig.tell(events.Connected())
    rig.tell(events.UploadFailed(token, "no answer"))
    assert not lines(rig.log)


# ---------------------------------------------------------------- more than it can store


def test_an_agent_takes_nothing_while_too_many_finished_runs_wait_and_takes_jobs_when_half_are_stored() -> None:
    rig = quick()
    for _ in range(16):
        finish(rig)
    assert advert(rig).reason is None
    finish(rig)
    told = advert(rig)
    assert told.reason == "17 finished runs wait to be stored" and not told.draining
    assert rig.call().declines[0].reasons[0].code == "no_slot"
    assert rig.refused().reason.code == "no_slot"  # type: ignore[union-attr]
    upload_all(rig, leave=9)
    assert advert(rig).reason
    upload_all(rig, leave=8)
    assert advert(rig).reason is None
    assert rig.call().bids
    rig.take()


def test_results_that_wait_bound_what_is_taken_too() -> None:
    rig = quick(400, max_stores=2)
    tokens = []
    for _ in range(9):
        token = rig.take()
        rig.run(token)
        rig.tell(events.RunFinished(token, {}, (), 0.1))
        tokens.append(token)
    assert "9 finished runs" in advert(rig).reason
    for token in tokens:
        rig.tell(events.ResultStored(token))
    assert advert(rig).reason is None


@pytest.mark.parametrize(
    ("factor", "at_a_time", "closes_at", "opens_at"),
    [(1, 1, 2, 0), (1, 2, 3, 1), (2, 1, 3, 1), (2, 2, 5, 2), (3, 2, 7, 3)],
)
@pytest.mark.parametrize("files", [True, False], ids=["files", "results"])
def test_how_many_may_wait_and_how_many_must_be_stored_then(
    files: bool, factor: int, at_a_time: int, closes_at: int, opens_at: int
) -> None:
    rig = quick(max_uploads=at_a_time, max_stores=at_a_time, backlog_factor=factor)
    tokens: list[str] = []
    while rig.call().bids:
        token = rig.take()
        rig.run(token)
        rig.tell(events.RunFinished(token, {"success": True}, (output(),) if files else (), 0.1))
        tokens.append(token)
    assert len(tokens) == closes_at
    while not rig.call().bids:
        token = tokens.pop(0)
        if files:
            rig.tell(events.OutputsUploaded(token, (artifact(token),)))
        rig.tell(events.ResultStored(token))
    assert len(tokens) == opens_at


def test_the_reason_says_why_nothing_is_stored() -> None:
    rig = quick(max_uploads=1, backlog_factor=1)
    first, _ = finish(rig), finish(rig)
    rig.tell(events.UploadFailed(first, "mesh.glb: maximum bytes exceeded (10047)"))
    assert advert(rig).reason == "2 finished runs wait to be stored: mesh.glb: maximum bytes exceeded (10047)"


def test_files_are_stored_by_priority_and_nobody_waits_for_ever() -> None:
    rig = quick(max_uploads=1, priority_ahead_s=30, backlog_factor=10)
    first = finish(rig)
    order = [finish(rig, priority=priority) for priority in ("low", "normal", "high", "low")]
    low, normal, high, last = order
    rig.pass_time(61)
    late = finish(rig, priority="high")
    begun = []
    for _ in range(6):
        (token,) = rig.engine.core.uploads.in_flight
        begun.append(token)
        rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    assert begun == [first, high, normal, low, last, late]


def test_a_result_that_is_stored_ends_what_was_told_of_failures() -> None:
    rig = AgentRig()
    first, second = finish(rig), rig.take()
    for _ in range(30):
        rig.tell(events.UploadFailed(first, "no responders"))
        rig.pass_time(1)
    assert rig.engine.core.storage.told
    rig.run(second)
    rig.tell(events.RunFinished(second, {"success": True}, (), 0.1))
    assert lines(rig.tell(events.ResultStored(second)), "info") == ["results can be stored again"]


def test_limits_of_an_upload_end_with_it() -> None:
    rig = quick(upload_s=10)
    token = finish(rig)
    rig.tell(events.OutputsUploaded(token, (artifact(token),)))
    rig.pass_time(20)
    assert rig.state(token) == "storing"
    assert rig.engine.next_deadline(rig.now) > rig.now.mono, "else it is asked again and again"


def test_nothing_is_tried_again_for_a_run_that_failed() -> None:
    rig = quick(upload_s=10, upload_retry_s=5)
    token = finish(rig)
    rig.tell(events.UploadFailed(token, "no responders"))
    rig.cancel(token)
    run = rig.run_of(token)
    assert run.state.value == "reporting"
    assert (run.retry_at, run.upload_deadline) == (None, None)
    assert not of(rig.pass_time(20), effects.UploadOutputs)
