"""`GPUMonitor`: devices from an argument or the environment, in MB."""

from __future__ import annotations

import os

import pytest

from pocket3d.gpu_agents.devices.spec import DeviceSpecError
from pocket3d.ops.embed.gpu import GPUMonitor


async def test_devices_come_from_the_argument_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKET3D_DEVICES", "fixed:4000")
    assert [each["id"] for each in await GPUMonitor(devices="fixed:8000,6000").get_gpu_info()] == ["fixed-0", "fixed-1"]
    (only,) = await GPUMonitor().get_gpu_info()
    assert only == {
        "id": "fixed-0",
        "name": "simulated 4000 MB",
        "total_memory": 4000,
        "used_memory": 0,
        "free_memory": 4000,
    }


async def test_the_cpu_lane_is_the_first_where_there_is_no_gpu() -> None:
    monitor = GPUMonitor(memory_buffer=1024, devices="cpu:3000")
    for _ in range(2):
        (lane,) = await monitor.get_gpu_info()
        assert (lane["id"], lane["total_memory"]) == ("cpu-0", 3000)
        assert lane["free_memory"] + lane["used_memory"] == 3000 and 0 <= lane["free_memory"] <= 3000
        monitor.close()
    assert [device.buffer_mb for device in monitor.open().devices] == [1024]
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    assert (await GPUMonitor().get_gpu_info())[-1]["total_memory"] <= machine


def test_a_wrong_text_is_refused_at_once() -> None:
    with pytest.raises(DeviceSpecError, match="no device"):
        GPUMonitor(devices="gpu")
