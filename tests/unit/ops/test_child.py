"""Restarts with back-off, and ends with the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from pocket3d.ops.up.child import BackOff
from pocket3d.ops.up.stopping import PARENT_VARIABLE
from support.command_line import environment


def test_pauses_double_up_to_half_a_minute() -> None:
    pauses = BackOff()
    assert [pauses.after(0.1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_after_a_long_life_the_first_pause_is_short_again() -> None:
    pauses = BackOff()
    for _ in range(6):
        pauses.after(0.1)
    assert pauses.after(60.0) == 0.5
    assert pauses.after(0.1) == 1


CHILD = (
    "import sys, signal; from pocket3d.ops.up.stopping import die_with_parent; die_with_parent();"
    "print('up', flush=True); signal.pause() if len(sys.argv) == 1 else [0 for _ in iter(int, 1)]"
)


def start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env=environment(**{PARENT_VARIABLE: str(read_end)}),
        pass_fds=[read_end],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(read_end)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child, write_end


def test_a_child_ends_with_the_pipe_of_its_parent_also_while_it_computes() -> None:
    for arguments in ((), ("busy",)):
        child, write_end = start(*arguments)
        assert child.poll() is None
        os.close(write_end)
        assert child.wait(10) == -signal.SIGKILL
        assert child.stdout is not None
        child.stdout.close()
