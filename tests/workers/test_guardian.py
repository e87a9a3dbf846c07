"""No worker lives without the guardian that would end it with a killed agent."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from typing import Any

import psutil
import pytest

from pocket3d.gpu_agents.workers.guardian import Guardian

from .conftest import Workers, alive, until


@pytest.fixture
def no_guardians(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The host has no room for one more process just when a guardian is to be started."""
    spawn = asyncio.create_subprocess_exec

    async def refuse(program: str, *args: Any, **more: Any) -> Any:
        if any("guardian_process" in str(arg) for arg in args):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await spawn(program, *args, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    return monkeypatch


async def test_a_worker_that_no_guardian_watches_is_ended_and_then_told(
    workers: Workers, no_guardians: pytest.MonkeyPatch
) -> None:
    pid = await workers.start(loaded=False)
    assert pid is not None
    told = await workers.exit()
    assert not alive(pid), "its exit was told while it lived and held its memory"
    assert (told.pid, told.code) == (pid, "adapter_unavailable")
    assert "Too many open files" in told.message
    no_guardians.undo()
    await until(lambda: workers.host.pid("w") is None)
    await workers.start()


async def test_an_exit_is_told_although_no_guardian_can_be_started_any_more(
    workers: Workers, request: pytest.FixtureRequest
) -> None:
    pid = await workers.start()
    process = workers.host._guardian._process
    assert process is not None and pid is not None
    process.send_signal(signal.SIGKILL)
    await process.wait()
    request.getfixturevalue("no_guardians")
    os.kill(pid, signal.SIGKILL)
    told = await workers.exit()
    assert (told.pid, told.returncode) == (pid, -signal.SIGKILL)


async def test_a_group_is_named_to_another_guardian_when_the_first_stops_listening() -> None:
    guardian = Guardian()
    await guardian.watch(999_999_901)
    first = guardian._process
    assert first is not None and first.stdin is not None
    # As after its end, before anybody has noticed it.
    first.stdin.close()
    await first.stdin.wait_closed()
    await guardian.watch(999_999_902)
    second = guardian._process
    assert second is not None and second is not first
    assert psutil.pid_exists(second.pid)
    await first.wait()
    await guardian.aclose()
