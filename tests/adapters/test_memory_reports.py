"""What a worker process tells of its device's memory, and how it keeps to what it was promised."""

from __future__ import annotations

import queue
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pocket3d.adapters.runtime import process_device
from pocket3d.adapters.runtime.memory_reports import MemoryReports

MB = 1024 * 1024


def test_what_is_held_is_told_when_it_has_changed() -> None:
    looks: list[int | None] = [None, 63, 1000, 1030, 1063, 1064, 1100, None, 400, 400]
    told: queue.Queue[int] = queue.Queue()
    done: queue.Queue[bool] = queue.Queue()

    def held() -> int | None:
        if not looks:
            reports.stop()
            done.put(True)
            return None
        return looks.pop(0)

    reports = MemoryReports(told.put, held, period_s=0.001)
    reports.start()
    assert done.get(timeout=30)
    assert [told.get_nowait() for _ in range(told.qsize())] == [1000, 1064, 400]


class Cuda:
    """torch.cuda, as far as this process asks it."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.fractions: list[float] = []
        self.calls: list[str] = []

    def is_initialized(self) -> bool:
        return True

    def memory_reserved(self) -> int:
        return 1500 * MB

    def mem_get_info(self) -> tuple[int, int]:
        if self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return 300 * MB, 8000 * MB

    def get_device_properties(self, index: int) -> Any:
        assert index == 0
        return SimpleNamespace(total_memory=8000 * MB)

    def set_per_process_memory_fraction(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def empty_cache(self) -> None:
        self.calls.append("empty_cache")
        if self.broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def reset_peak_memory_stats(self) -> None:
        self.calls.append("reset")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    made = Cuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=made))
    return made


def test_a_process_is_held_to_its_promise(cuda: Cuda) -> None:
    process_device.cap_memory(2000)
    process_device.cap_memory(9000)
    assert cuda.fractions == [0.25, 1.0]


def test_a_process_that_does_not_use_cuda_begins_nothing(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "is_initialized", lambda: False)
    process_device.cap_memory(2000)
    process_device.reset_peak()
    assert process_device.free_mb() is None
    assert (cuda.fractions, cuda.calls) == ([], [])


def test_a_peak_is_measured_without_what_earlier_runs_left_in_the_cache(cuda: Cuda) -> None:
    process_device.reset_peak()
    assert cuda.calls == ["empty_cache", "reset"]
    cuda.broken = True
    process_device.reset_peak()
    assert cuda.calls[2:] == ["empty_cache", "reset"], "a spoiled context is the next run's to say"


def test_what_is_free_is_the_drivers_word(cuda: Cuda) -> None:
    assert (process_device.free_mb(), process_device.reserved_mb()) == (300, 1500)
    cuda.broken = True
    assert process_device.free_mb() is None
