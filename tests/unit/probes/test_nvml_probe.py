"""The NVML probe against a driver of our own, compiled here: readings, lost GPUs, MIG, CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.placement.ledger import DeviceLedger

HERE = Path(__file__).parent
MB = 1024 * 1024
A, B = "GPU-aaaa1111-0000", "GPU-bbbb2222-0000"

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="the fake driver needs a C compiler"),
    pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed"),
]


@pytest.fixture(scope="module")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    source = HERE / "fake_nvml.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / "libnvidia-ml.so.1"), str(source)], check=True)
    return folder


class Gpus:
    """The probe in a process of its own, and the state that its driver reports."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.state = state
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def set(self, *lines: str) -> None:
        fresh = self.state.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.rename(self.state)

    def open(self, spec: str = "nvml", **env: str) -> dict[str, Any]:
        base = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_")}
        places = [importlib.util.find_spec(f"pocket3d.{name}") for name in ("contracts", "gpu_agents")]
        roots = [str(Path(str(p.origin)).parents[2]) for p in places if p is not None]
        base |= {
            "LD_LIBRARY_PATH": str(self._folder),
            "FAKE_NVML_STATE": str(self.state),
            "PYTHONPATH": os.pathsep.join(roots),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nvml_driver.py"), spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=base | env,
        )
        return self._answer()

    def ask(self, line: str) -> Any:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def calls(self) -> list[str]:
        return Path(f"{self.state}.calls").read_text().split()

    def _answer(self) -> Any:
        assert self._process is not None and self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        if self._process is not None:
            with self._process as process:
                assert process.stdin is not None
                process.stdin.close()
                assert process.wait(10) == 0


@pytest.fixture
def gpus(driver_folder: Path, tmp_path: Path) -> Iterator[Gpus]:
    held = Gpus(driver_folder, tmp_path / "state")
    yield held
    held.close()


def gpu(index: int, uuid: str, total: int = 24576, reserved: int = 576, used: int = 0, **codes: int) -> str:
    name = codes.get("name", 4090)
    return (
        f"gpu {index} {uuid} RTX-{name} {total * MB} {reserved * MB} {used * MB} "
        f"{codes.get('open_error', 0)} {codes.get('read_error', 0)}"
    )


def test_devices_are_known_by_uuid_and_measured(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B, total=12288, used=1000), f"proc {B} 4321 {900 * MB}", f"proc {B} 77 {100 * MB}")
    opened = gpus.open("nvml@2")
    assert opened["devices"] == [
        [A, "cuda", "RTX-4090", 24000, 1024, A, 2, False],
        [B, "cuda", "RTX-4090", 11712, 1024, B, 2, False],
    ]
    assert gpus.ask("read") == {A: [24000, {}, None], B: [10712, {"4321": 900, "77": 100}, None]}
    gpus.set(gpu(0, A, used=20000), gpu(1, B, total=12288))
    assert gpus.ask("read") == {A: [4000, {}, None], B: [11712, {}, None]}
    gpus.ask("close")
    assert gpus.calls() == ["init", "shutdown"]


def test_processes_whose_memory_the_driver_keeps_to_itself_are_unknown_not_empty(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), f"proc {A} 10 -1")
    gpus.open()
    assert gpus.ask("read")[A][1] is None
    gpus.set(gpu(0, A), f"proc {A} 10 -1", f"proc {A} 11 {5 * MB}")
    assert gpus.ask("read")[A][1] == {"11": 5}
    gpus.set(gpu(0, A), "procs_error 4")
    assert gpus.ask("read")[A] == [24000, None, None]


def test_a_process_with_zero_bytes_is_unknown_not_empty(gpus: Gpus) -> None:
    """In containers newer drivers list processes with 0 bytes, which are in use all the same."""
    gpus.set(gpu(0, A, used=9000), f"proc {A} 10 0", f"proc {A} 11 0")
    gpus.open()
    assert gpus.ask("read")[A] == [15000, None, None]
    gpus.set(gpu(0, A, used=9000), f"proc {A} 10 0", f"proc {A} 11 1")
    assert gpus.ask("read")[A][1] == {"11": 1}


def test_ids_of_another_namespace_are_nobodys(gpus: Gpus) -> None:
    """The machine's process 10 is not the container's process 10."""
    gpus.set(gpu(0, A, used=9000), f"proc {A} 10 {9000 * MB}")
    gpus.open(FOREIGN_PIDS="1")
    assert gpus.ask("read")[A] == [15000, None, None]


@pytest.mark.parametrize("pids", ["a child's", "zero bytes", "foreign"])
def test_what_is_offered_is_what_is_free(gpus: Gpus, pids: str) -> None:
    """A resident that uses 7000 of the 8000 MB that it was promised leaves all but 8000 and the buffer, whatever the
    driver tells of its process; also while a second GPU is lost, and a third hangs.
    """
    lost, hangs = B, "GPU-cccc3333-0000"
    rest = [gpu(1, lost), gpu(2, hangs)]
    gpus.set(gpu(0, A), *rest)
    gpus.open(PATIENCE_S="0.3", **({"FOREIGN_PIDS": "1"} if pids == "foreign" else {}))
    worker, child = os.getpid(), gpus.pid()
    process = {
        "a child's": f"proc {A} {child} {7000 * MB}",
        "zero bytes": f"proc {A} {worker} 0",
        "foreign": f"proc {A} {worker} {20 * MB}",
    }[pids]
    gpus.set(gpu(0, A, used=7000), process, gpu(1, lost, read_error=15), gpu(2, hangs), f"hang {hangs}")
    readings = gpus.ask("whole")
    books = {}
    for uuid in (A, lost, hangs):
        device = DeviceSpec(id=uuid, kind="cuda", name="RTX", total_mb=24_000, buffer_mb=1024)
        books[uuid] = DeviceLedger(device, 10.0, 10.0)
        if uuid in readings:
            free, used, unavailable, faults, parents = readings[uuid]
            used = None if used is None else {int(pid): mb for pid, mb in used.items()}
            parents = {int(pid): parent for pid, parent in parents.items()}
            reading = Reading(free, used, unavailable, tuple(faults), parents)
            books[uuid].add("w1", 8000)
            books[uuid].hold_process("w1", worker)
            if pids != "a child's":
                books[uuid].hold_reported("w1", 7000)
            books[uuid].read(reading, 1.0)
    assert books[A].room(1.0).available_mb == 24_000 - 8000 - 1024
    assert books[lost].unavailable(1.0) == "NVML: GPU is lost"
    assert books[hangs].unavailable(1.0) == "the device has not been measured yet"
    gpus.set(gpu(0, A), *rest)


def test_a_gpu_that_hangs_has_no_reading_and_the_others_go_on(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.open("nvml+cpu:100", PATIENCE_S="0.3")
    gpus.set(gpu(0, A), gpu(1, B, used=1000), f"hang {A}")
    for _ in range(3):
        readings = gpus.ask("read")
        assert set(readings) == {B, "cpu-0"}
        assert readings[B] == [23000, {}, None]
    gpus.set(gpu(0, A, used=2000), gpu(1, B))
    while A not in (readings := gpus.ask("read")):
        assert readings[B] == [24000, {}, None]
    assert readings[A] == [22000, {}, None], "what came late is not what is told"


def test_a_gpu_that_hangs_is_waited_for_once(gpus: Gpus) -> None:
    """Only the first read after it began to hang is slow: else every reading of the host would be late."""
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.open(PATIENCE_S="1.5")
    gpus.set(gpu(0, A), gpu(1, B), f"hang {A}")
    took = []
    for _ in range(3):
        began = time.monotonic()
        assert set(gpus.ask("read")) <= {B}
        took.append(time.monotonic() - began)
    assert took[0] >= 1.5 and sum(took[1:]) < 1.5, took
    gpus.set(gpu(0, A), gpu(1, B))


def test_a_lost_gpu_is_not_reopened_while_another_hangs(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.open(PATIENCE_S="0.3")
    gpus.set(gpu(0, A, read_error=15), gpu(1, B), f"hang {B}")
    assert gpus.ask("read") == {A: [0, None, "NVML: GPU is lost"]}
    gpus.ask("pass 31")
    assert gpus.ask("read") == {A: [0, None, "NVML: GPU is lost"]}
    assert gpus.calls() == ["init"]
    gpus.set(gpu(0, A), gpu(1, B))
    while B not in (readings := gpus.ask("read")):
        assert readings[A][2] == "NVML: GPU is lost"
    while gpus.ask("read")[A][2] is not None:
        gpus.ask("pass 31")
    assert gpus.calls() == ["init", "shutdown", "init"]


def test_a_gpu_that_hangs_when_it_is_opened_is_left_out(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B), f"hang {A}")
    opened = gpus.open(OPEN_PATIENCE_S="0.5")
    assert [d[0] for d in opened["devices"]] == [B]
    (note,) = opened["notes"]
    assert note.startswith("GPU 0 cannot be opened: the driver has not answered for 0.5 s")
    assert set(gpus.ask("read")) == {B}
    gpus.set(gpu(0, A), gpu(1, B))


def test_a_gpu_without_memory_figures_is_named(gpus: Gpus) -> None:
    """GB10 and Jetson share the machine's memory."""
    gpus.set(gpu(0, A, name=10), f"no_memory {A}", gpu(1, B))
    opened = gpus.open()
    assert [d[0] for d in opened["devices"]] == [B]
    (note,) = opened["notes"]
    assert "no memory figures of RTX-10" in note and "Jetson" in note and "not supported" in note


def test_the_compute_capability_is_read(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), f"capability {A} 12 0", gpu(1, B))
    assert gpus.open()["capabilities"] == [[12, 0], None]


def test_faults_that_the_driver_tells_are_named_and_last(gpus: Gpus) -> None:
    healthy = [f"ecc {A} 3", f"remapped {A} 0 0"]
    gpus.set(gpu(0, A), gpu(1, B), *healthy)
    gpus.open()
    assert gpus.ask("faults") == {A: [], B: []}, "what was there before is no news, and B tells nothing"
    gpus.set(gpu(0, A), gpu(1, B), *healthy, f"xid {A} 31", f"xid {A} 79", f"xid {A} 13")
    (xid,) = gpus.ask("faults")[A]
    assert "Xid 79" in xid, "31 and 13 are programs' own"
    assert gpus.ask("faults") == {A: [xid], B: []}
    gpus.set(gpu(0, A), gpu(1, B), f"ecc {A} 4", f"remapped {A} 1 0")
    assert [fault.split(":")[0] for fault in gpus.ask("faults")[A]] == [
        "the driver reported Xid 79",
        "its memory had ECC errors that could not be corrected",
        "a broken row of its memory is remapped at the next reset",
    ]
    gpus.set(gpu(0, A), gpu(1, B), f"ecc {A} 0", f"remapped {A} 1 1")
    assert [fault.split(":")[0] for fault in gpus.ask("faults")[A]] == [
        "the driver reported Xid 79",
        "a broken row of its memory could not be remapped",
    ]


def test_a_gpu_that_was_lost_comes_back_without_faults_and_others_keep_theirs(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B), f"xid {A} 79", f"xid {B} 119")
    gpus.open()
    assert all(gpus.ask("faults").values())
    gpus.set(gpu(0, A, read_error=15), gpu(1, B))
    assert gpus.ask("read")[A][2] == "NVML: GPU is lost"
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.ask("pass 31")
    faults = gpus.ask("faults")
    assert faults[A] == [] and "Xid 119" in faults[B][0]


def test_a_lost_gpu_is_unavailable_alone_and_comes_back_when_the_library_is_reopened(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.open()
    gpus.set(gpu(0, A, read_error=15), gpu(1, B, used=1000))
    assert gpus.ask("read") == {A: [0, None, "NVML: GPU is lost"], B: [23000, {}, None]}
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.ask("pass 29")
    assert gpus.ask("read")[A] == [0, None, "NVML: GPU is lost"]
    gpus.ask("pass 2")
    assert gpus.ask("read") == {A: [24000, {}, None], B: [24000, {}, None]}
    assert gpus.calls() == ["init", "shutdown", "init"]


def test_a_gpu_that_is_pulled_out_and_a_driver_that_goes_leave_the_agent_alive(gpus: Gpus) -> None:
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.open()
    # The other one moves up to index 0: its UUID still names it.
    gpus.set(gpu(0, B))
    gpus.ask("read")
    gpus.ask("pass 31")
    readings = gpus.ask("read")
    assert readings[A][0] == 0 and readings[A][2]
    assert readings[B] == [24000, {}, None]
    gpus.set("init 9")
    gpus.ask("read")
    gpus.ask("pass 31")
    readings = gpus.ask("read")
    assert readings[A][2] == "NVML: Driver Not Loaded" and readings[B][2] == "NVML: Driver Not Loaded"
    gpus.set(gpu(0, A), gpu(1, B))
    gpus.ask("pass 31")
    assert [reading[2] for reading in gpus.ask("read").values()] == [None, None]


def test_a_transient_error_passes_without_a_restart(gpus: Gpus) -> None:
    gpus.set(gpu(0, A))
    gpus.open()
    gpus.set(gpu(0, A, read_error=10))
    assert gpus.ask("read")[A] == [0, None, "NVML: Timeout"]
    gpus.set(gpu(0, A))
    assert gpus.ask("read")[A] == [24000, {}, None]
    assert gpus.calls() == ["init"]


def test_a_gpu_in_mig_mode_is_its_instances(gpus: Gpus) -> None:
    gpus.set(
        gpu(0, A),
        f"mig 0 0 MIG-1 {10000 * MB} {100 * MB}",
        f"mig 0 3 MIG-2 {5000 * MB} 0",
        f"proc MIG-1 5 {100 * MB}",
        gpu(1, B),
    )
    assert [d[0] for d in gpus.open()["devices"]] == ["MIG-1", "MIG-2", B]
    assert gpus.ask("read") == {
        "MIG-1": [9900, {"5": 100}, None],
        "MIG-2": [5000, {}, None],
        B: [24000, {}, None],
    }


def test_an_old_driver_counts_all_of_the_memory(gpus: Gpus) -> None:
    gpus.set("no_memory_v2", gpu(0, A))
    assert gpus.open()["devices"][0][3] == 24576
    assert gpus.ask("read")[A][0] == 24000


def test_a_gpu_that_does_not_open_is_left_out_with_a_note(gpus: Gpus) -> None:
    gpus.set(gpu(0, A, open_error=15), gpu(1, B))
    opened = gpus.open()
    assert [d[0] for d in opened["devices"]] == [B]
    assert opened["notes"] == ["GPU 0 cannot be opened: GPU is lost"]


def test_auto_lives_without_a_driver_and_nvml_does_not(gpus: Gpus) -> None:
    gpus.set("init 9")
    opened = gpus.open("auto")
    assert [d[0] for d in opened["devices"]] == ["cpu-0"]
    assert opened["notes"] == ["no GPU: NVML: Driver Not Loaded"]
    gpus.close()
    error = gpus.open("nvml")["error"]
    assert "Driver Not Loaded" in error and "cpu or auto" in error


def test_nvml_without_a_gpu_says_so(gpus: Gpus) -> None:
    gpus.set()
    assert "the driver shows none" in gpus.open("nvml")["error"]


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": B}, [B]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb"}, [B]),
        ({"CUDA_VISIBLE_DEVICES": f"{B},{A}"}, [B, A]),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [B]),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [A]),
        # CUDA reads neither as a number.
        ({"CUDA_VISIBLE_DEVICES": "0,\u00b2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [A]),
        ({"CUDA_VISIBLE_DEVICES": "0," + "1" * 5000, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [A]),
        ({}, [A, B]),
    ],
)
def test_cuda_visible_devices_is_kept_to(gpus: Gpus, env: dict[str, str], expected: list[str]) -> None:
    gpus.set(gpu(0, A, name=4090), gpu(1, B, name=3060))
    assert [d[0] for d in gpus.open("nvml", **env)["devices"]] == expected
    assert set(gpus.ask("read")) == set(expected)


def test_an_ambiguous_index_is_refused_unless_all_gpus_are_alike(gpus: Gpus) -> None:
    gpus.set(gpu(0, A, name=4090), gpu(1, B, name=3060))
    error = gpus.open("auto", CUDA_VISIBLE_DEVICES="1")["error"]
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in error
    gpus.close()
    gpus.set(gpu(0, A), gpu(1, B))
    assert [d[0] for d in gpus.open("auto", CUDA_VISIBLE_DEVICES="1")["devices"]] == [B, "cpu-0"]
    gpus.close()
    assert "hides all" in gpus.open("nvml", CUDA_VISIBLE_DEVICES="")["error"]
