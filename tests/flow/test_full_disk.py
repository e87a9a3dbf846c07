"""The only agent's disk is full for a while: jobs that come when there is room again have nothing of it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from support.flow import Flow, play

#: Each job brings a file, which takes a folder on the agent's disk.
INPUTS = {"image_path": {"inline": "aGVsbG8=", "filename": "a.png"}, "seconds": 0.2}


class Disk:
    """Takes no folder while it is full."""

    def __init__(self) -> None:
        self.full = False
        self.refused = 0
        self._mkdir = Path.mkdir

    def mkdir(self, path: Path, *args: Any, **more: Any) -> None:
        if self.full:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self._mkdir(path, *args, **more)


def test_jobs_after_it_succeed_and_none_ended_without_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All twenty that came after it failed, within a second and without an attempt."""
    disk = Disk()
    monkeypatch.setattr(Path, "mkdir", lambda path, *args, **more: disk.mkdir(path, *args, **more))

    async def scenario(flow: Flow) -> None:
        disk.full = True
        during = []
        for _ in range(40):
            during.append(await flow.submit("echo", inputs=INPUTS))
            await asyncio.sleep(1.15)
        disk.full = False
        after = [await flow.submit("echo", inputs=INPUTS) for _ in range(20)]
        results = [await handle.result(timeout=300) for handle in after]
        assert [(each.status, each.attempt) for each in results] == [("succeeded", 1)] * 20
        for handle in during:
            result = await handle.result(timeout=300)
            attempts = result.error.attempts if result.error else []
            assert result.status == "succeeded" or {each.code for each in attempts} == {"agent_lost"}
            assert all("could not store the inputs" in each.message for each in attempts)

    play(scenario, tmp_path)
    assert disk.refused >= 3
