"""A compiled library in a process of its own: what goes there and back, and each way in which it may end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from pocket3d.adapters.errors import JobCancelled
from pocket3d.adapters.runtime.native_call import NativeCrashed, NativeFailed, call_native
from pocket3d.adapters.runtime.process_memory import host_peak_mb, reset_host_peak

pytestmark = pytest.mark.torch


def call(
    name: str,
    folder: Path,
    *,
    memory_mb: int = 2048,
    check: Any = lambda: None,
    processor_s: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    arrays = {"numbers": np.arange(6, dtype=np.float32).reshape(2, 3)}
    where = f"support.native_functions:{name}"
    return call_native(where, arrays, options, folder=folder, memory_mb=memory_mb, check=check, processor_s=processor_s)


def test_arrays_and_options_go_there_and_back(tmp_path: Path) -> None:
    made = call("doubled", tmp_path, times=3)
    assert made["numbers"].tolist() == [[0, 3, 6], [9, 12, 15]] and made["numbers"].dtype == np.float32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_what_it_held_counts_as_its_callers(tmp_path: Path) -> None:
    reset_host_peak()
    before = host_peak_mb()
    call("holding", tmp_path, megabytes=300)
    after = host_peak_mb()
    assert before is not None and after is not None and after - before >= 300
    reset_host_peak()
    again = host_peak_mb()
    assert again is not None and after - again >= 290


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raising", "^ValueError: no such surface$"),
        ("crashing", r"crashed \(SIGSEGV\)"),
        ("aborting", "more than 2048 MB"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(NativeFailed, match=said):
        call(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_is_told_from_an_error(tmp_path: Path) -> None:
    with pytest.raises(NativeCrashed):
        call("crashing", tmp_path)
    with pytest.raises(NativeFailed) as caught:
        call("raising", tmp_path)
    assert not isinstance(caught.value, NativeCrashed)


def test_more_memory_than_it_may_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NativeFailed, match="more than 1024 MB"):
        call("filling", tmp_path, memory_mb=1024, megabytes=1500)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems set no limit")
def test_more_time_than_it_may_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NativeFailed, match="takes more than 1 s of a core") as caught:
        call("busy", tmp_path, processor_s=1)
    assert not isinstance(caught.value, NativeCrashed), "another form of the input would take as long"


def test_a_cancel_ends_it_at_once(tmp_path: Path) -> None:
    started = tmp_path / "started"
    pid: list[int] = []

    def check() -> None:
        if started.exists():
            pid.append(int(started.read_text()))
            raise JobCancelled("enough")

    before = time.monotonic()
    with pytest.raises(JobCancelled):
        call("hanging", tmp_path, check=check, tell=str(started))
    assert time.monotonic() - before < 60
    with pytest.raises(ProcessLookupError):
        os.kill(pid[0], 0)
