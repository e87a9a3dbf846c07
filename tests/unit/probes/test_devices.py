"""The `--devices` grammar, and the devices that need no driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocket3d.gpu_agents.devices.probes import inventory
from pocket3d.gpu_agents.devices.probes.cpu import CpuProbe, memory_mb
from pocket3d.gpu_agents.devices.probes.inventory import open_devices
from pocket3d.gpu_agents.devices.probes.nvml import NvmlUnavailableError
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import CpuPart, DeviceSpecError, cpu_device, fixed_devices, parse_devices

MEMINFO = "MemTotal:       16384000 kB\nMemFree:  100 kB\nMemAvailable:    4096000 kB\nHugePages_Total:       0\n"


def test_fixed_devices_are_numbered_over_all_parts_and_count_as_cuda() -> None:
    found = open_devices(parse_devices("fixed:24576, 12288@1 + fixed:1000"))
    assert [(d.id, d.kind, d.total_mb, d.buffer_mb, d.max_running) for d in found.devices] == [
        ("fixed-0", "cuda", 24576, 0, 1),
        ("fixed-1", "cuda", 12288, 0, 1),
        ("fixed-2", "cuda", 1000, 0, None),
    ]
    assert all(d.simulated and d.budgeted and d.visible == "" and d.worker_kind == "cpu" for d in found.devices)
    assert found.probe.read() == {"fixed-0": Reading(24576), "fixed-1": Reading(12288), "fixed-2": Reading(1000)}
    found.probe.close()


def test_memory_buffer_applies_to_every_kind() -> None:
    devices = open_devices(parse_devices("fixed:8000+cpu:4000@3"), memory_buffer=500).devices
    assert [(d.id, d.buffer_mb, d.max_running) for d in devices] == [("fixed-0", 500, None), ("cpu-0", 500, 3)]


def test_a_cpu_lane_of_its_own_replaces_that_of_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> object:
        raise NvmlUnavailableError("NVML Shared Library Not Found")

    monkeypatch.setattr(inventory, "NvmlProbe", no_driver)
    found = open_devices(parse_devices("auto+cpu:123"))
    assert [(d.id, d.total_mb) for d in found.devices] == [("cpu-0", 123)]
    assert found.notes == ["no GPU: NVML Shared Library Not Found"]
    with pytest.raises(DeviceSpecError, match="no GPU can be used: NVML Shared Library"):
        open_devices(parse_devices("nvml+cpu"))


def test_the_cpu_lane_takes_half_of_the_memory_unless_told() -> None:
    assert cpu_device(CpuPart(None), 16000, None).total_mb == 8000
    lane = cpu_device(CpuPart(20000), 16000, None)
    assert (lane.id, lane.kind, lane.total_mb, lane.worker_kind, lane.budgeted) == ("cpu-0", "cpu", 20000, "cpu", True)
    assert not lane.simulated


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no device"),
        ("gpu", "'gpu' is no device"),
        ("fixed", "needs sizes in MB"),
        ("fixed:", "needs sizes in MB"),
        ("fixed:1024,,2", "whole number from 1 to 999999999, not ''"),
        ("fixed:-1", "not '-1'"),
        ("fixed:24GB", "not '24GB'"),
        ("cpu:0", "the CPU lane's budget"),
        ("cpu:1000000000", "from 1 to 999999999, not '1000000000'"),
        ("cpu+cpu:5", "names the CPU lane twice"),
        ("auto+nvml", "names the NVML GPUs twice"),
        ("nvml:0", "nvml takes no sizes"),
        ("cpu@x", "the number of jobs after @"),
        ("cpu@", "the number of jobs after @"),
        ("cpu+", "'' is no device"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(DeviceSpecError) as caught:
        parse_devices(text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("--devices: ")


def test_a_device_may_have_up_to_nine_digits_of_megabytes() -> None:
    """What an advert takes: it says megabytes up to a pebibyte."""
    (part,) = parse_devices("fixed:1,999999999@999999999").fixed
    assert (part.sizes_mb, part.max_running) == ((1, 999_999_999), 999_999_999)


def machine(root: Path, meminfo: str = MEMINFO, group: dict[str, str] | None = None) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(meminfo)
    (root / "proc/self/cgroup").write_text("0::/box/inner\n")
    folder = root / "sys/fs/cgroup/box/inner"
    folder.mkdir(parents=True)
    for name, text in (group or {}).items():
        (folder.parent / name).write_text(text)
    return root


def test_the_cpu_lane_reads_its_budget_or_what_the_machine_has_left(tmp_path: Path) -> None:
    root = machine(tmp_path)
    assert CpuProbe(cpu_device(CpuPart(3000), 0, None), root).read() == {"cpu-0": Reading(3000)}
    assert CpuProbe(cpu_device(CpuPart(8000), 0, None), root).read() == {"cpu-0": Reading(4000)}
    assert memory_mb(root) == 16000


def test_a_container_bounds_the_cpu_lane_by_its_limit_without_the_file_cache(tmp_path: Path) -> None:
    mb = 1024 * 1024
    group = {
        "memory.max": f"{2000 * mb}\n",
        "memory.current": f"{1500 * mb}\n",
        "memory.stat": f"anon 5\ninactive_file {700 * mb}\n",
    }
    root = machine(tmp_path, group=group)
    assert memory_mb(root) == 2000
    assert CpuProbe(cpu_device(CpuPart(8000), 0, None), root).read() == {"cpu-0": Reading(1200)}


@pytest.mark.parametrize(
    ("inner_mb", "outer_mb", "total_mb", "left_mb"),
    [
        ((3000, 100), (2000, 1500), 2000, 500),
        ((1000, 100), (2000, 300), 1000, 900),
        ((3000, 2900), (4000, 100), 3000, 100),
    ],
    ids=["the outer limit is less", "the inner limit is less", "the inner one is nearly used up"],
)
def test_of_nested_control_groups_the_tightest_counts(
    inner_mb: tuple[int, int], outer_mb: tuple[int, int], total_mb: int, left_mb: int, tmp_path: Path
) -> None:
    root = machine(tmp_path)
    inner = root / "sys/fs/cgroup/box/inner"
    for folder, (limit, used) in ((inner, inner_mb), (inner.parent, outer_mb)):
        (folder / "memory.max").write_text(f"{limit * 1024 * 1024}\n")
        (folder / "memory.current").write_text(f"{used * 1024 * 1024}\n")
        (folder / "memory.stat").write_text("anon 5\n")
    assert memory_mb(root) == total_mb
    assert CpuProbe(cpu_device(CpuPart(8000), 0, None), root).read() == {"cpu-0": Reading(left_mb)}


def test_the_limit_at_the_top_of_the_control_groups_counts_too(tmp_path: Path) -> None:
    """In a container's own namespace the limit is at the root of what it sees."""
    root = machine(tmp_path)
    top = root / "sys/fs/cgroup"
    (top / "memory.max").write_text(f"{1234 * 1024 * 1024}\n")
    (top / "memory.current").write_text("0\n")
    (top / "memory.stat").write_text("")
    assert memory_mb(root) == 1234
    (root / "proc/self/cgroup").write_text("0::/\n")
    assert memory_mb(root) == 1234


def test_a_container_without_a_limit_is_the_machine(tmp_path: Path) -> None:
    root = machine(tmp_path, group={"memory.max": "max\n", "memory.current": "5\n", "memory.stat": ""})
    assert memory_mb(root) == 16000


def test_a_system_without_proc_reads_its_budget(tmp_path: Path) -> None:
    assert CpuProbe(cpu_device(CpuPart(3000), 0, None), tmp_path).read() == {"cpu-0": Reading(3000)}
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    assert memory_mb(tmp_path) == physical


def test_fixed_devices_have_names_for_people() -> None:
    (device,) = fixed_devices(parse_devices("fixed:9").fixed, None)
    assert device.name == "simulated 9 MB"


def test_what_strip_takes_for_a_blank_is_no_digit() -> None:
    """`int` does not take for one what `str.strip` does."""
    cpu = parse_devices("cpu:\x1f2288\x1c").cpu
    assert cpu is not None and cpu.budget_mb == 2288
