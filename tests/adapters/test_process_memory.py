"""What a worker says of the host's memory that it holds, from what Linux tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.adapters.runtime.memory_limit import limited_memory
from pocket3d.adapters.runtime.process_memory import host_held_mb, host_peak_mb, reset_host_peak

_STATUS = """Name:\tpython
VmPeak:\t 9000000 kB
VmHWM:\t 2300000 kB
VmRSS:\t  900000 kB
RssAnon:\t  500000 kB
RssFile:\t  300000 kB
RssShmem:\t  100000 kB
"""


def test_libraries_are_not_counted(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(_STATUS)
    reset_host_peak()
    assert host_peak_mb(status) == 2_000_000 // 1024
    assert host_held_mb(status) == 600_000 // 1024


def test_a_system_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert host_peak_mb(tmp_path / "none") is host_held_mb(tmp_path / "none") is None
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t 900000 kB\n")
    assert host_peak_mb(tmp_path / "status") is host_held_mb(tmp_path / "status") is None


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="needs Linux")
def test_a_process_whose_name_is_no_text_can_be_limited() -> None:
    comm = Path("/proc/self/comm")
    before = comm.read_bytes()
    comm.write_bytes("диффузия".encode()[:15])
    try:
        with limited_memory(64), pytest.raises(MemoryError):
            bytearray(512 * 2**20)
    finally:
        comm.write_bytes(before)
