"""Cancels, limits, crashes, pauses, drains: everything that ends early."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.api import ControlAnswer
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import AttemptFailed
from pocket3d.contracts.jobs import Limits
from pocket3d.contracts.messages import Advert
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, artifact, fixed, of, only, output


def stops(wanted: list[effects.Effect]) -> list[str]:
    return [effect.how for effect in of(wanted, effects.StopWorker)]


# ---------------------------------------------------------------- cancel


@pytest.mark.parametrize("fetched", [False, True])
def test_a_cancel_before_the_run_ends_at_once_and_the_worker_goes_on_loading(fetched: bool) -> None:
    rig = AgentRig()
    token = rig.take()
    if fetched:
        rig.fetch(token)
    assert rig.cancel(token).held == [token]
    assert rig.failure(token).code == "cancelled"
    assert rig.all(effects.CleanUp)
    worker_id = rig.worker_ids()[0]
    assert not of(rig.start_worker(worker_id), effects.RunOnWorker)
    assert rig.worker(worker_id).state.value == "idle"
    assert rig.take()


def test_a_running_job_is_asked_first_and_may_end_by_itself() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.cancel(token)
    assert only(rig.all(effects.CancelOnWorker), effects.CancelOnWorker).token == token
    rig.tell(events.RunFailed(token, "cancelled", "asked to stop"))
    assert (rig.failure(token).code, rig.failure(token).message) == ("cancelled", "cancelled on request")
    assert not rig.all(effects.StopWorker)
    rig.run(rig.take())


def test_a_job_that_ignores_the_cancel_loses_its_worker_step_by_step() -> None:
    rig = AgentRig(cancel_grace_s=5, stop_grace_s=3)
    token = rig.take()
    rig.run(token)
    worker_id = rig.worker_ids()[0]
    rig.cancel(token)
    assert stops(rig.pass_time(4.5)) == []
    assert stops(rig.pass_time(1)) == ["terminate"]
    assert stops(rig.pass_time(2)) == []
    assert stops(rig.pass_time(1)) == ["kill"]
    assert rig.state(token) == "cancelling"
    rig.tell(events.WorkerExited(worker_id, "worker_crashed", "killed by SIGKILL"))
    assert rig.failure(token).code == "cancelled"
    assert rig.worker_ids() == []
    rig.run(rig.take())


def test_others_on_a_worker_that_had_to_be_ended_are_told_that_it_was_not_their_fault() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=3)], cancel_grace_s=5)
    stuck, other, waiting = rig.take(), rig.take(), rig.take()
    rig.run(stuck)
    rig.fetch(other)
    assert rig.state(other) == "running"
    rig.cancel(stuck)
    rig.pass_time(6)
    assert rig.failure(waiting).code == "handed_back"
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert rig.failure(stuck).code == "cancelled"
    assert rig.failure(other).code == "worker_crashed"
    assert "no fault of this job" in rig.failure(other).message


def test_a_success_that_comes_after_the_cancel_is_not_proposed() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.cancel(token)
    wanted = rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    assert not of(wanted, effects.UploadOutputs) and not of(wanted, effects.StoreResult)
    assert rig.failure(token).code == "cancelled"


def test_a_cancel_while_uploading_drops_what_was_uploaded() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (output(),), 1.0))
    rig.cancel(token)
    tail = [type(e) for e in rig.log if isinstance(e, effects.CleanUp | effects.DropArtifacts)]
    assert tail == [effects.CleanUp, effects.DropArtifacts], "what is in flight is given up before it is dropped"
    assert rig.failure(token).code == "cancelled"
    assert not of(rig.tell(events.OutputsUploaded(token, (artifact(token),))), effects.StoreResult)


def test_a_cancel_after_the_result_was_proposed_leaves_it_to_the_results_stream() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    assert rig.cancel(token).held == [token]
    assert rig.state(token) == "storing"
    rig.tell(events.ResultStored(token))
    assert rig.state(token) == "done"
    assert not rig.engine.core.outcomes
    assert rig.cancel(token).unknown == [token]


def test_a_second_cancel_changes_nothing() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.cancel(token)
    rig.cancel(token)
    assert len(rig.all(effects.CancelOnWorker)) == 1
    rig.tell(events.RunFailed(token, "cancelled", ""))
    rig.cancel(token)
    assert rig.state(token) == "reporting"


# ---------------------------------------------------------------- limits


def test_a_run_over_its_time_is_stopped_and_fails_as_timeout() -> None:
    rig = AgentRig(cancel_grace_s=5)
    token = rig.take(limits=Limits(start_to_close_s=10))
    rig.run(token)
    assert not of(rig.pass_time(9.5), effects.CancelOnWorker)
    assert of(rig.pass_time(0.5), effects.CancelOnWorker)
    rig.tell(events.RunFailed(token, "cancelled", "noticed"))
    assert rig.failure(token).code == "timeout"
    assert "start_to_close_s = 10" in rig.failure(token).message


def test_a_load_over_its_time_ends_the_worker() -> None:
    rig = AgentRig()
    token = rig.take(limits=Limits(load_s=20))
    rig.fetch(token)
    rig.tell(events.WorkerReady(rig.worker_ids()[0], 5))
    assert stops(rig.pass_time(19.5)) == []
    assert stops(rig.pass_time(1)) == ["terminate"]
    assert rig.failure(token).code == "timeout"


def test_a_load_goes_on_for_the_jobs_that_still_have_time() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)])
    short = rig.take(limits=Limits(load_s=10))
    patient = rig.take(limits=Limits(load_s=100))
    rig.fetch(patient)
    assert stops(rig.pass_time(11)) == []
    assert rig.failure(short).code == "timeout"
    rig.start_worker(rig.worker_ids()[0])
    assert rig.state(patient) == "running"


def test_inputs_that_do_not_come_in_time() -> None:
    rig = AgentRig(fetch_s=60)
    token = rig.take()
    rig.start_worker(rig.worker_ids()[0])
    rig.pass_time(61)
    assert rig.failure(token).code == "timeout"


def test_inputs_have_all_their_time_again_after_a_reconnect() -> None:
    rig = AgentRig(fetch_s=60)
    token = rig.take()
    rig.pass_time(50)
    rig.tell(events.Disconnected())
    rig.pass_time(50)
    rig.tell(events.Connected())
    rig.pass_time(59)
    assert rig.state(token) == "fetching"
    rig.pass_time(2)
    assert rig.failure(token).code == "timeout"


def test_inputs_that_are_here_have_no_limit_after_a_reconnect() -> None:
    rig = AgentRig(fetch_s=60)
    token = rig.take(limits=Limits(load_s=1000))
    rig.fetch(token)
    rig.tell(events.Disconnected())
    rig.tell(events.Connected())
    rig.pass_time(100)
    assert rig.state(token) == "loading"


def test_a_late_tick_expires_nothing_and_limits_count_on_from_it() -> None:
    rig = AgentRig(cancel_grace_s=5, drain_timeout_s=1000)
    token = rig.take(limits=Limits(start_to_close_s=30))
    rig.run(token)
    rig.pass_time(10)
    assert not of(rig.pause(3600), effects.CancelOnWorker)
    assert rig.state(token) == "running"
    rig.pass_time(19)
    assert rig.state(token) == "running"
    rig.pass_time(2)
    assert rig.state(token) == "cancelling"
    assert stops(rig.pause(3600)) == []
    assert stops(rig.pass_time(6)) == ["terminate"]


@pytest.mark.parametrize(("tick_s", "late_s", "expires"), [(1.0, 2.0, True), (1.0, 2.01, False), (4.0, 8.0, True)])
def test_a_tick_is_late_after_more_than_twice_its_period(tick_s: float, late_s: float, expires: bool) -> None:
    """Up to that the machine is only busy, and limits hold; beyond it the process stood still, and none has passed."""
    rig = AgentRig(tick_s=tick_s)
    token = rig.take(limits=Limits(start_to_close_s=10))
    rig.run(token)
    rig.pass_time(9.5, step=0.5)
    assert rig.state(token) == "running"
    wanted = rig.pause(late_s)
    assert bool(of(wanted, effects.CancelOnWorker)) is expires


def test_a_pause_is_noticed_by_whatever_comes_first() -> None:
    rig = AgentRig(leave_timeout_s=30, leave_bound_s=20)
    token = rig.take()
    rig.run(token)
    rig.tell(events.DrainRequested(leave=True))
    rig.now = Now(rig.now.mono + 3600, rig.now.wall + 3600)
    assert not of(rig.tell(events.RunProgressed(token, 0.5)), effects.Exit)
    assert not of(rig.tell(events.Tick()), effects.CancelOnWorker)
    assert not of(rig.pass_time(29), effects.CancelOnWorker)
    assert of(rig.pass_time(2), effects.CancelOnWorker)


def test_a_pause_does_not_end_idle_workers_nor_a_load() -> None:
    rig = AgentRig([fixed(20_000)], [adapter(), adapter("beta")], idle_timeout_s=60)
    rig.warm()
    token = rig.take("beta", limits=Limits(load_s=20))
    wanted = rig.pause(3600)
    wanted += rig.pass_time(10)
    assert stops(wanted) == []
    assert rig.state(token) == "fetching"


# ---------------------------------------------------------------- workers that fail


def test_a_crash_fails_its_jobs_and_the_next_one_gets_a_fresh_worker() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    first = rig.worker_ids()[0]
    rig.tell(events.WorkerExited(first, "worker_crashed", "was killed by SIGSEGV; its last lines:\nboom"))
    assert rig.failure(token).code == "worker_crashed"
    assert "SIGSEGV" in rig.failure(token).message and "boom" in rig.failure(token).message
    token = rig.take()
    assert rig.worker_ids() != [first]
    rig.run(token)


def test_a_crash_while_loading_fails_the_waiting_jobs() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.fetch(token)
    rig.tell(events.WorkerExited(rig.worker_ids()[0], "adapter_unavailable", "no interpreter"))
    assert rig.failure(token).code == "adapter_unavailable"
    assert rig.engine.core.devices["fixed-0"].ledger.committed_mb() == 0


def test_a_failed_load_fails_the_waiting_jobs_with_its_code() -> None:
    rig = AgentRig(stop_grace_s=3)
    token = rig.take()
    worker_id = rig.worker_ids()[0]
    rig.tell(events.WorkerReady(worker_id, 5))
    rig.tell(events.LoadFailed(worker_id, "load_failed", "weights are broken"))
    assert (rig.failure(token).code, rig.failure(token).message) == ("load_failed", "weights are broken")
    assert stops(rig.pass_time(4)) == ["terminate"], "it should have gone by itself"
    rig.tell(events.WorkerExited(worker_id))
    assert rig.worker_ids() == []


def test_a_crash_tells_what_was_seen_of_its_memory() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFailed(token, "out_of_memory", "CUDA out of memory", None, 2.0, 15_500))
    assert rig.failure(token).vram_peak_mb == 15_500


@pytest.mark.parametrize(
    ("failures", "replaced"),
    [
        ([("out_of_memory", None)], True),
        ([("adapter_error", "CUDA error: device-side assert triggered")], True),
        ([("invalid_input", "CUDA error: device-side assert triggered")], True),
        ([("adapter_error", None)], False),
        ([("adapter_error", None), ("adapter_error", None)], True),
        ([("invalid_input", None), ("invalid_input", None), ("invalid_output", None)], False),
    ],
)
def test_a_worker_that_a_failure_may_have_spoiled_is_replaced(
    failures: list[tuple[str, str | None]], replaced: bool
) -> None:
    rig = AgentRig()
    for code, unhealthy in failures:
        token = rig.take()
        rig.run(token)
        rig.tell(events.RunFailed(token, code, "it failed", unhealthy=unhealthy))
    assert stops(rig.log) == (["shutdown"] if replaced else [])


@pytest.mark.parametrize(
    ("code", "unhealthy", "replaced"),
    [
        ("cancelled", "the device did not answer within 3 s", True),
        ("out_of_memory", None, True),
        ("cancelled", None, False),
    ],
)
def test_a_cancelled_run_is_judged_too(code: str, unhealthy: str | None, replaced: bool) -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    first = rig.worker_ids()
    rig.cancel(token)
    rig.tell(events.RunFailed(token, code, "it ended", unhealthy=unhealthy))
    assert rig.failure(token).code == "cancelled"
    assert stops(rig.log) == (["shutdown"] if replaced else [])
    if replaced:
        rig.tell(events.WorkerExited(first[0]))
        rig.run(rig.take())
        assert rig.worker_ids() != first


def test_a_run_that_ended_well_though_it_was_cancelled_is_judged_too() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.cancel(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0, unhealthy="the device fails a small allocation"))
    assert stops(rig.log) == ["shutdown"]


def test_a_spoiled_worker_gets_no_job_that_waited_for_its_inputs() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=3)])
    bad, good, waiting = rig.take(), rig.take(), rig.take()
    rig.run(bad)
    rig.fetch(good)
    rig.tell(events.RunFailed(bad, "adapter_error", "no", unhealthy="CUDA error: device-side assert triggered"))
    assert rig.failure(waiting).code == "handed_back"
    assert "device-side assert" in rig.failure(waiting).message
    rig.tell(events.RunFinished(good, {}, (), 1.0))
    assert [e.job.run_id for e in rig.log if isinstance(e, effects.RunOnWorker)] == [bad, good]
    assert stops(rig.log) == ["shutdown"]
    (line,) = [e for e in rig.log if isinstance(e, effects.LogLine)]
    assert (line.level, line.fields["worker_id"], line.fields["device"]) == ("warning", "w1", "fixed-0")


def test_a_success_between_them_clears_the_failures() -> None:
    rig = AgentRig()
    for code in ("adapter_error", None, "adapter_error"):
        token = rig.take()
        rig.run(token)
        if code is None:
            rig.finish(token)
        else:
            rig.tell(events.RunFailed(token, code, "bad prompt"))
    assert stops(rig.log) == []


def test_a_spoiled_worker_takes_no_more_jobs_while_others_finish() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)])
    bad, good = rig.take(), rig.take()
    rig.run(bad)
    rig.fetch(good)
    rig.tell(events.RunFailed(bad, "out_of_memory", "no memory"))
    reason = rig.refused().reason
    assert reason is not None and reason.code == "no_slot"
    assert stops(rig.log) == []
    rig.tell(events.RunFinished(good, {}, (), 1.0))
    assert stops(rig.log) == ["shutdown"]


# ---------------------------------------------------------------- idle, load, unload


def test_idle_residents_end_after_a_while() -> None:
    rig = AgentRig(idle_timeout_s=60)
    rig.warm()
    assert stops(rig.pass_time(59)) == []
    assert stops(rig.pass_time(2)) == ["shutdown"]


def ask(rig: AgentRig, event: Any) -> Any:
    wanted = rig.tell(event)
    answers = [e for e in wanted if isinstance(e, effects.Reply | effects.RefuseRequest) and e.request == 900]
    (answer,) = answers
    return answer.message if isinstance(answer, effects.Reply) else answer


def test_load_keeps_a_worker_warm_until_unload() -> None:
    rig = AgentRig(idle_timeout_s=60)
    answer = ask(rig, events.LoadRequested("alpha", None, 900))
    assert isinstance(answer, ControlAnswer) and "loading alpha on fixed-0" in answer.message
    worker_id = rig.worker_ids()[0]
    rig.start_worker(worker_id)
    assert stops(rig.pass_time(200)) == []
    assert "stays" in ask(rig, events.LoadRequested("alpha", None, 900)).message
    assert "now" in ask(rig, events.UnloadRequested("alpha", None, 900)).message
    assert stops(rig.log) == ["shutdown"]
    assert len(rig.all(effects.StartWorker)) == 1


def test_unload_waits_for_the_jobs_on_it() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    assert "after its jobs" in ask(rig, events.UnloadRequested("alpha", "fixed-0", 900)).message
    assert stops(rig.log) == []
    rig.finish(token)
    assert stops(rig.log) == ["shutdown"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (events.LoadRequested("nobody", None, 900), 404),
        (events.LoadRequested("alpha", "fixed-7", 900), 404),
        (events.LoadRequested("broken", None, 900), 409),
        (events.LoadRequested("huge", None, 900), 409),
        (events.LoadRequested("unaccelerated", None, 900), 409),
        (events.LoadRequested("unaccelerated", "fixed-0", 900), 409),
        (events.UnloadRequested("nobody", None, 900), 404),
    ],
)
def test_what_an_operator_cannot_have_is_refused(event: Any, code: int) -> None:
    known = [
        adapter(),
        adapter("broken", available=False, reason="no"),
        adapter("huge", 99_000),
        adapter("unaccelerated", devices=["cpu"]),
    ]
    assert ask(AgentRig(adapters=known), event).code == code


def test_an_operator_who_loads_on_a_device_of_another_kind_is_told_the_kinds_that_do() -> None:
    rig = AgentRig([fixed()], [adapter(devices=["cpu", "mps"])])
    assert ask(rig, events.LoadRequested("alpha", "fixed-0", 900)).message == "alpha runs on cpu or mps only"


def test_status_is_a_full_advert() -> None:
    rig = AgentRig()
    rig.warm()
    advert = ask(rig, events.StatusRequested(900))
    assert isinstance(advert, Advert)
    assert advert.adapters is not None and [r.adapter_id for r in advert.residents] == ["alpha"]


# ---------------------------------------------------------------- drain


def test_drain_finishes_what_runs_hands_back_the_rest_and_leaves() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=3)])
    running, waiting = rig.take(), rig.take()
    rig.run(running)
    rig.tell(events.OutcomesAnswered(rig.engine.core.outcomes_in_flight))
    rig.tell(events.DrainRequested(leave=True))
    assert rig.failure(waiting).code == "handed_back"
    assert rig.state(running) == "running"
    reason = rig.refused().reason
    assert reason is not None and reason.code == "draining"
    rig.tell(events.RunFinished(running, {}, (), 1.0))
    assert stops(rig.log) == ["shutdown"]
    rig.tell(events.ResultStored(running))
    assert not rig.all(effects.Exit)
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert not rig.all(effects.Exit), "an outcome is still to be told"
    wanted = rig.tell(events.OutcomesAnswered(rig.engine.core.outcomes_in_flight))
    while not of(wanted, effects.Exit):
        assert rig.engine.core.outcomes
        wanted = rig.pass_time(1)
        wanted += rig.tell(events.OutcomesAnswered(rig.engine.core.outcomes_in_flight))
    assert only(wanted, effects.Exit).unreported == ()
    assert not of(rig.pass_time(5), effects.Exit)


def test_a_drain_that_takes_too_long_stops_and_hands_back_what_runs() -> None:
    rig = AgentRig(leave_timeout_s=30, cancel_grace_s=5, leave_bound_s=60)
    token = rig.take()
    rig.run(token)
    rig.tell(events.DrainRequested(leave=True))
    assert not of(rig.pass_time(29), effects.CancelOnWorker)
    assert of(rig.pass_time(1.5), effects.CancelOnWorker)
    assert stops(rig.pass_time(6)) == ["terminate"]
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert rig.failure(token).code == "handed_back"


def test_work_that_ends_just_then_is_kept() -> None:
    rig = AgentRig(leave_timeout_s=30)
    token = rig.take()
    rig.run(token)
    rig.tell(events.DrainRequested(leave=True))
    rig.pass_time(31)
    assert rig.state(token) == "cancelling"
    assert of(rig.tell(events.RunFinished(token, {}, (), 30.0)), effects.StoreResult)


def test_an_agent_leaves_at_the_bound_even_if_nobody_listens() -> None:
    rig = AgentRig(leave_timeout_s=30, leave_bound_s=20)
    first, second = rig.take(), rig.make_award()
    rig.run(first)
    rig.tell(events.Disconnected())
    rig.tell(events.DrainRequested(leave=True))
    rig.pass_time(10)
    assert not rig.give(second)[0].accepted
    rig.pass_time(19)
    assert rig.state(first) == "running"
    rig.pass_time(2)
    assert rig.state(first) == "cancelling"
    rig.tell(events.RunFailed(first, "cancelled", "was asked to stop"))
    waited = rig.pass_time(18)
    assert not of(waited, effects.Exit)
    assert not of(waited, effects.LogLine), "for what it waits is said once"
    assert only(rig.pass_time(2), effects.Exit).unreported == (first,)


@pytest.mark.parametrize("files", [(), (output(),)], ids=["a result", "files"])
def test_with_nothing_left_but_storing_a_leaving_agent_waits_shortly_and_says_for_what(files: Any) -> None:
    """Its server may be gone for good: systemd would kill it after 90 s, in the middle of whatever it does."""
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.Disconnected())
    rig.tell(events.RunFinished(token, {"success": True}, files, 1.0))
    wanted = rig.tell(events.DrainRequested(leave=True))
    line = only(wanted, effects.LogLine)
    assert (line.level, line.fields["jobs"], line.fields["within_s"]) == ("warning", 1, 30.0)
    assert "no connection" in line.fields["error"]
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    assert not of(rig.pass_time(29), effects.Exit)
    assert only(rig.pass_time(1.5), effects.Exit).unreported == (token,)


def test_by_default_a_leaving_agent_is_gone_before_systemd_kills_it() -> None:
    rig = AgentRig()
    token = rig.take(limits=Limits(start_to_close_s=3600))
    rig.run(token)
    wanted = rig.tell(events.DrainRequested(leave=True))
    assert only(wanted, effects.LogLine).fields == {"jobs": 1, "within_s": 50.0}
    rig.pass_time(60)
    assert "kill" in stops(rig.log)
    assert of(rig.pass_time(26), effects.Exit)


def test_leaving_may_take_longer_than_a_drain() -> None:
    rig = AgentRig(drain_timeout_s=30, leave_timeout_s=600)
    token = rig.take(limits=Limits(start_to_close_s=3600))
    rig.run(token)
    rig.tell(events.DrainRequested(leave=True))
    rig.pass_time(590)
    assert rig.state(token) == "running"
    rig.pass_time(15)
    assert rig.state(token) == "cancelling"


def test_a_drain_that_an_operator_began_lasts_no_longer_than_leaving_may() -> None:
    rig = AgentRig(drain_timeout_s=300, leave_timeout_s=50, leave_bound_s=30)
    token = rig.take()
    rig.run(token)
    rig.tell(events.DrainRequested(leave=False))
    rig.pass_time(100)
    assert rig.state(token) == "running"
    rig.tell(events.DrainRequested(leave=True))
    rig.pass_time(51)
    assert rig.state(token) == "cancelling"


def test_drain_without_leaving_can_be_taken_back() -> None:
    rig = AgentRig()
    rig.warm()
    rig.tell(events.DrainRequested(leave=False))
    assert rig.all(effects.PublishAdvert)[-1].advert.draining or of(rig.pass_time(1), effects.PublishAdvert)
    assert not of(rig.pass_time(400), effects.Exit)
    rig.tell(events.UndrainRequested())
    rig.take()
    rig.tell(events.DrainRequested(leave=True))
    assert ask(rig, events.UndrainRequested(900)).code == 409


def test_a_handed_back_job_is_reported_as_such() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.tell(events.OutcomesAnswered(rig.engine.core.outcomes_in_flight))
    wanted = rig.tell(events.DrainRequested(leave=True))
    (outcome,) = only(wanted, effects.SendOutcomes).report.outcomes
    assert isinstance(outcome, AttemptFailed)
    assert (outcome.token, outcome.code) == (token, "handed_back")
