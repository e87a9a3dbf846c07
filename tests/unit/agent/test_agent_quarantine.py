"""Devices in quarantine: by what failed on them, and by what their drivers say; how they come out, and who is told."""

from __future__ import annotations

import pytest
from msgspec import structs

from pocket3d.contracts.jobs import Limits
from pocket3d.gpu_agents.devices.health import DeviceHealth
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, fixed, gpu, of, only

SICK, SOUND = "fixed-0", "fixed-1"
BROKEN = "CUDA error: an illegal memory access was encountered"


def two_devices() -> AgentRig:
    """Two simulated devices and three adapters."""
    adapters = [adapter(name, 1000) for name in ("alpha", "beta", "gamma")]
    return AgentRig([fixed(), fixed(number=1)], adapters, quarantine_s=30.0, quarantine_cap_s=100.0)


def fail(rig: AgentRig, adapter_id: str, device: str = SICK, how: str = "load_failed") -> None:
    """A job that fails on a device: while its model is loaded, or on its worker in one of several ways."""
    token = rig.take(adapter_id, device)
    worker_id = rig.run_of(token).worker.worker_id
    if how in ("load_failed", "adapter_unavailable"):
        rig.tell(events.WorkerReady(worker_id, 7))
        rig.tell(events.LoadFailed(worker_id, how, "CUDA error: GPU is lost"))
    else:
        rig.run(token)
        unhealthy = BROKEN if how == "unhealthy" else None
        code = "adapter_error" if how == "unhealthy" else how
        rig.tell(events.RunFailed(token, code, "it failed", unhealthy=unhealthy))
    if not rig.worker(worker_id).active:
        rig.tell(events.WorkerExited(worker_id))


def said(rig: AgentRig, device: str = SICK) -> str | None:
    """What the agent advertises of a device."""
    rig.pass_time(1.1)
    advert = rig.all(effects.PublishAdvert)[-1].advert
    return next(each.quarantine for each in advert.devices if each.id == device)


def sick(rig: AgentRig) -> AgentRig:
    for adapter_id in ("alpha", "beta", "alpha"):
        fail(rig, adapter_id)
    return rig


# ---------------------------------------------------------------- by failures


def test_failures_of_two_adapters_put_a_device_away_and_the_other_goes_on() -> None:
    rig = two_devices()
    fail(rig, "alpha")
    fail(rig, "beta", how="unhealthy")
    assert said(rig) is None, "two jobs may have been wrong themselves"
    fail(rig, "alpha")
    told = str(said(rig))
    assert "in quarantine: alpha and beta failed on it in a row" in told
    assert "nvidia-smi -q -i fixed-0" in told
    assert said(rig, SOUND) is None
    answer = rig.refused("gamma", SICK)
    assert answer.reason is not None and answer.reason.code == "quarantined"
    assert {bid.device for bid in rig.call().bids} == {SOUND}
    (line,) = [each for each in rig.all(effects.LogLine) if each.fields.get("reason")]
    assert (line.level, line.fields["device"]) == ("warning", SICK)


def test_failures_of_one_adapter_are_its_own() -> None:
    rig = two_devices()
    for _ in range(6):
        fail(rig, "alpha")
    assert said(rig) is None


@pytest.mark.parametrize("how", ["adapter_error", "invalid_input", "out_of_memory", "adapter_unavailable"])
def test_what_a_sound_device_explains_as_well_does_not_count(how: str) -> None:
    rig = two_devices()
    for adapter_id in ("alpha", "beta", "alpha", "beta"):
        fail(rig, adapter_id, how=how)
    assert said(rig) is None


def test_adapters_that_fail_on_both_devices_say_nothing_of_either() -> None:
    rig = two_devices()
    fail(rig, "alpha", SOUND)
    fail(rig, "beta", SOUND)
    sick(rig)
    assert said(rig) is None
    assert said(rig, SOUND) is None


def test_the_only_device_of_an_agent_is_put_away_too() -> None:
    rig = sick(AgentRig([fixed()], [adapter(name, 1000) for name in ("alpha", "beta")]))
    assert "alpha and beta failed on it in a row" in str(said(rig))


def test_an_adapter_that_fails_on_one_other_device_of_several_says_nothing_of_this_one() -> None:
    devices = [fixed(), fixed(number=1), fixed(number=2)]
    rig = AgentRig(devices, [adapter(name, 1000) for name in ("alpha", "beta")])
    fail(rig, "alpha", SOUND)
    fail(rig, "beta", SOUND)
    sick(rig)
    assert said(rig) is None


def test_each_load_that_an_operator_asked_for_counts() -> None:
    rig = two_devices()
    for adapter_id in ("alpha", "beta", "alpha"):
        rig.tell(events.LoadRequested(adapter_id, SICK))
        worker_id = rig.worker_ids()[-1]
        rig.tell(events.WorkerReady(worker_id, 7))
        rig.tell(events.LoadFailed(worker_id, "load_failed", "CUDA error: GPU is lost"))
        rig.tell(events.WorkerExited(worker_id))
    assert "alpha and beta failed on it in a row" in str(said(rig))


def test_the_attempts_of_one_job_count_once() -> None:
    rig = two_devices()
    award = rig.make_award("alpha", SICK)
    for number in range(5):
        again = structs.replace(award, token=f"again-{number}")
        (answer,) = rig.give(again)
        assert answer.accepted
        worker_id = rig.run_of(again.token).worker.worker_id
        rig.tell(events.WorkerExited(worker_id, "worker_crashed", "signal 6"))
    fail(rig, "beta")
    assert said(rig) is None, "two jobs failed, and either may have been wrong itself"


def test_a_success_between_them_ends_the_row() -> None:
    rig = two_devices()
    fail(rig, "alpha")
    fail(rig, "beta")
    token = rig.take("gamma", SICK)
    rig.run(token)
    rig.finish(token)
    fail(rig, "alpha")
    assert said(rig) is None


def test_one_job_tries_it_after_the_pause_and_each_failure_doubles_it() -> None:
    rig = sick(two_devices())
    for pause in (30, 60, 100, 100):
        assert "one job tries it again in" in str(said(rig))
        rig.pass_time(pause - 3)
        assert said(rig) is not None
        rig.pass_time(3)
        first = rig.take("gamma", SICK)
        reason = rig.refused("alpha", SICK).reason
        assert reason is not None and "one job at a time tries it" in str(reason.message)
        worker_id = rig.run_of(first).worker.worker_id
        rig.tell(events.WorkerExited(worker_id, "worker_crashed", "signal 6"))
    rig.pass_time(101)
    token = rig.take("gamma", SICK)
    rig.run(token)
    rig.finish(token)
    assert said(rig) is None
    rig.run(rig.take("alpha", SICK))
    rig.take("beta", SICK)
    assert rig.all(effects.LogLine)[-1].text == "a device gets jobs again: one succeeded on it"


def test_loads_that_take_too_long_count_too() -> None:
    rig = two_devices()
    for adapter_id in ("alpha", "beta", "alpha"):
        token = rig.take(adapter_id, SICK, limits=Limits(load_s=5))
        worker_id = rig.run_of(token).worker.worker_id
        rig.tell(events.WorkerReady(worker_id, 7))
        rig.pass_time(5.5)
        assert rig.failure(token).code == "timeout"
        rig.tell(events.WorkerExited(worker_id))
    assert "alpha and beta failed on it in a row" in str(said(rig))


def test_a_pause_of_the_process_is_no_part_of_the_devices_pause() -> None:
    rig = sick(two_devices())
    rig.pause(60)
    assert said(rig) is not None, "nothing was tried on it meanwhile, and nothing could heal"
    rig.pass_time(30)
    assert said(rig) is None


def test_a_run_that_was_there_before_ends_the_quarantine_by_its_success() -> None:
    rig = two_devices()
    token = rig.take("gamma", SICK)
    rig.run(token)
    sick(rig)
    assert said(rig) is not None
    rig.finish(token)
    assert said(rig) is None


# ---------------------------------------------------------------- by the driver


def read(rig: AgentRig, *faults: str, lost: str | None = None) -> list[effects.Effect]:
    reading = Reading(0 if lost else 15_000, {}, lost, faults)
    return rig.tell(events.ProbeRead({"GPU-0": reading, "GPU-1": Reading(15_000, {})}, rig.now.mono))


def measured() -> AgentRig:
    rig = AgentRig([gpu(), gpu(number=1)], [adapter(max_concurrent=3)])
    read(rig)
    return rig


def test_a_fault_that_the_driver_tells_clears_the_device_and_ends_when_it_does_not() -> None:
    rig = measured()
    running, waiting = rig.take("alpha", "GPU-0"), rig.take("alpha", "GPU-0")
    rig.run(running)
    idle = rig.warm("alpha", "GPU-1")
    wanted = read(rig, "Xid 48: double-bit ECC error")
    assert rig.failure(waiting).code == "handed_back"
    assert rig.state(running) == "running", "its result may be sound"
    line = only(wanted, effects.LogLine)
    assert (line.level, line.fields["device"]) == ("warning", "GPU-0")
    told = str(said(rig, "GPU-0"))
    assert (
        "its driver says: Xid 48: double-bit ECC error" in told and "after an Xid when the agent is restarted" in told
    )
    assert {bid.device for bid in rig.call().bids} == {"GPU-1"}
    reason = rig.refused("alpha", "GPU-0").reason
    assert reason is not None and reason.code == "quarantined"
    rig.finish(running)
    assert [(e.worker_id, e.how) for e in rig.all(effects.StopWorker)] == [("w1", "shutdown")]
    assert rig.worker(idle).active
    assert of(read(rig, "Xid 48: double-bit ECC error"), effects.LogLine) == [], "it is told once"
    rig.pass_time(4000)
    read(rig, "Xid 48: double-bit ECC error")
    assert said(rig, "GPU-0") is not None, "time does not mend it"
    assert only(read(rig), effects.LogLine).level == "info"
    assert said(rig, "GPU-0") is None


def test_a_fault_and_its_end_are_told_at_once() -> None:
    rig = measured()
    for faults in (("Xid 48: double-bit ECC error",), ()):
        rig.pass_time(1.0)
        rig.pass_time(0.1)
        (told,) = of(read(rig, *faults), effects.PublishAdvert)
        assert (told.advert.devices[0].quarantine is not None) == bool(faults)


def test_a_lost_device_is_told_and_keeps_its_workers() -> None:
    rig = measured()
    idle = rig.warm("alpha", "GPU-0")
    read(rig, lost="NVML: GPU is lost")
    assert "it is lost: NVML: GPU is lost" in str(said(rig, "GPU-0"))
    assert rig.worker(idle).active, "a driver that does not answer for a moment costs no loads"
    read(rig)
    assert said(rig, "GPU-0") is None


def test_an_operator_cannot_load_onto_it() -> None:
    rig = sick(two_devices())
    refusal = only(rig.tell(events.LoadRequested("gamma", SICK, 900)), effects.RefuseRequest)
    assert refusal.code == 409 and "in quarantine" in refusal.message
    rig.tell(events.LoadRequested("gamma", None, 901))
    assert rig.all(effects.StartWorker)[-1].device == SOUND


def test_an_operator_cannot_keep_a_spoiled_worker() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=2)])
    bad, good = rig.take(), rig.take()
    rig.run(bad)
    rig.fetch(good)
    rig.tell(events.RunFailed(bad, "adapter_error", "no", unhealthy=BROKEN))
    refusal = only(rig.tell(events.LoadRequested("alpha", None, 900)), effects.RefuseRequest)
    assert refusal.code == 409 and "is being replaced" in refusal.message
    assert not rig.refused().accepted


def test_a_success_tells_whether_it_ended_a_quarantine() -> None:
    health = DeviceHealth("GPU-0", after=2, first_s=10.0, cap_s=30.0)
    assert not health.worked(), "there was none"
    assert not health.failed("alpha", "j1", (), 0.0)
    assert not health.worked(), "one failure is none"
    for adapter_id in ("alpha", "beta"):
        health.failed(adapter_id, adapter_id, (), 0.0)
    assert health.quarantine(0, 9.9) is not None
    health.postpone(5.0)
    assert health.quarantine(0, 14.9) is not None, "the process was paused"
    assert health.quarantine(0, 15.0) is None
    assert health.worked()
    assert not health.worked()
