"""What a worker process says of its device after a run that failed or was cancelled."""

from __future__ import annotations

import pytest

from pocket3d.contracts.worker_frames import ModelLoaded, RunFailed, RunFinished, RunProgress
from support.device_trouble import BROKEN, OUT_OF_MEMORY
from support.worker_driver import WorkerDriver


def test_it_judges_itself_by_each_of_the_libraries_words(worker: WorkerDriver) -> None:
    worker.begin("broken_devices.PoisonedAdapter")
    worker.next(ModelLoaded)
    for number, text in enumerate((*BROKEN, *OUT_OF_MEMORY)):
        worker.echo(f"r{number}", {"text": text})
        end = worker.ended(f"r{number}")
        assert isinstance(end, RunFailed) and text in str(end.unhealthy), end
    worker.echo("plain", {"text": "a tensor of the wrong shape"})
    assert worker.ended("plain").unhealthy is None
    worker.echo("good")
    end = worker.ended("good")
    assert isinstance(end, RunFinished) and end.unhealthy is None


def test_a_cancel_hides_nothing(worker: WorkerDriver) -> None:
    worker.begin("broken_devices.PoisonedAdapter")
    worker.next(ModelLoaded)
    worker.echo("r1", {"text": BROKEN[0], "until_cancelled": True})
    worker.next(RunProgress, "r1")
    worker.cancel("r1")
    end = worker.ended("r1")
    assert (end.code, end.message) == ("cancelled", "the job was cancelled while it ran")
    assert BROKEN[0] in end.unhealthy


@pytest.mark.parametrize("cancelled", [False, True])
def test_the_device_is_asked_after_a_run_that_says_nothing_of_it(worker: WorkerDriver, cancelled: bool) -> None:
    worker.begin("broken_devices.BrokenDeviceAdapter")
    worker.next(ModelLoaded)
    said = {}
    for device in ("sound", "broken", "hanging"):
        worker.echo(device, {"device": device, "until_cancelled": cancelled})
        if cancelled:
            worker.next(RunProgress, device)
            worker.cancel(device)
        end = worker.ended(device)
        assert end.code == ("cancelled" if cancelled else "adapter_error")
        said[device] = end.unhealthy
    assert said["sound"] is None
    assert "device-side assert" in said["broken"]
    assert "did not answer within" in said["hanging"]
    assert worker.leave() == 0, "the thread that asked it keeps nobody"
