"""Who started whom, from a /proc of our own."""

from __future__ import annotations

import os
from pathlib import Path

from pocket3d.gpu_agents.devices.probes.process_tree import parents_of, sees_all_processes


def process(proc: Path, pid: int, parent: int, name: str = "python") -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194560\n")


def test_parents_are_followed_to_the_first_process(tmp_path: Path) -> None:
    process(tmp_path, 1, 0)
    process(tmp_path, 7, 1)
    process(tmp_path, 71, 7, name="a) S 1 (worker")
    process(tmp_path, 8, 1)
    assert parents_of([71], tmp_path) == {71: 7, 7: 1}
    assert parents_of([71, 8, 7], tmp_path) == {71: 7, 7: 1, 8: 1}


def test_a_process_that_is_gone_has_none(tmp_path: Path) -> None:
    process(tmp_path, 7, 5)
    assert parents_of([7, 99], tmp_path) == {7: 5}


def test_this_process_has_the_parent_that_the_system_says() -> None:
    assert parents_of([os.getpid()])[os.getpid()] == os.getppid()


def test_a_namespace_of_its_own_is_told_from_the_machines(tmp_path: Path) -> None:
    """Only the kernel can make the first namespace's inode; any other file is another one."""
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    assert not sees_all_processes(tmp_path)
    assert sees_all_processes(tmp_path / "no proc here")
    assert sees_all_processes() == ("4026531836" in str(Path("/proc/self/ns/pid").readlink()))
