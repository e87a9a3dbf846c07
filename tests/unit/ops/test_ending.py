"""`pocket3d up` ends within a bound, whatever its parts and its own tasks do."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pocket3d.bus.nats_server import embedded
from pocket3d.ops.up import supervisor
from pocket3d.ops.up.child import KILL_S, Child
from pocket3d.ops.up.ending import end_all
from pocket3d.ops.up.running import AgentPlan
from pocket3d.ops.up.supervisor import Supervisor, UpPlan
from support.command_line import environment

#: A part that lives on after SIGTERM. It says when that is so.
STUBBORN = """#!{python} -S
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.open(os.environ["READY"], os.O_CREAT)
signal.pause()
"""
#: A program that takes a cancellation for nothing.
DEAF = """
import asyncio, os, signal
from pocket3d.ops.up.stopping import run_until_done

async def work():
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("on and on", flush=True)

run_until_done(work(), ends_within_s=0.2)
"""


async def deaf(times: int) -> None:
    """Goes on after so many cancellations."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    tasks = [asyncio.ensure_future(deaf(times)) for times in (0, 1)]
    await asyncio.sleep(0)
    assert await end_all(tasks, 5.0) == []
    assert all(task.cancelled() for task in tasks)


async def test_a_task_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    task = asyncio.ensure_future(deaf(3))
    await asyncio.sleep(0)
    assert await end_all([task], 0.01) == [task]
    monkeypatch.setattr("pocket3d.ops.up.ending._AGAIN_S", 0.01)
    assert await end_all([task], 5.0) == []


class Server:
    """Notes that it was stopped."""

    stopped = False

    async def stop(self) -> None:
        self.stopped = True


async def test_parts_that_do_not_end_are_killed_and_the_server_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "stubborn"
    program.write_text(STUBBORN.format(python=sys.executable))
    program.chmod(0o700)
    monkeypatch.setattr("pocket3d.ops.up.child.sys.executable", str(program))
    monkeypatch.setattr(supervisor, "_STOP_S", 0.1)
    monkeypatch.setattr(supervisor, "_TASKS_S", 0.1)
    up, server = Supervisor(UpPlan(tmp_path, AgentPlan("a1"))), Server()
    monkeypatch.setattr(up, "_server", server)
    ready = [tmp_path / name for name in ("agent", "coordinator")]
    with (tmp_path / "log").open("w") as log:
        for each in ready:
            up._children[each.name] = Child(each.name, [], {"READY": str(each)}, log.fileno())
        lost = asyncio.ensure_future(deaf(1000))
        up._tasks = [*(asyncio.ensure_future(child.keep()) for child in up._children.values()), lost]
        while not all(each.exists() for each in ready):
            await asyncio.sleep(0.01)
        processes = [child._process for child in up._children.values()]
        await up.__aexit__(None, None, None)
    assert [each.returncode for each in processes if each is not None] == [-signal.SIGKILL] * 2
    assert server.stopped, "also with a task that is left"
    assert not lost.done()
    monkeypatch.setattr("pocket3d.ops.up.ending._AGAIN_S", 0.0)
    assert await end_all([lost], 5.0) == []


def test_a_process_that_takes_its_end_for_nothing_ends_all_the_same() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DEAF], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "on and on\n"), ran.stderr


def test_the_bounds_of_all_steps_fit_into_that_of_the_whole() -> None:
    parts = 3 * (supervisor._STOP_S + KILL_S)
    server = supervisor._SERVER_STOP_S + embedded.KILL_S
    assert parts + 2 * supervisor._TASKS_S + server < supervisor.ENDS_WITHIN_S <= 100, "docs/operating.md says so"
