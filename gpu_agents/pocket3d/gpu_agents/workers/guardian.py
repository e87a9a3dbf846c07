"""The agent's end of the guardian process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import structlog

_SCRIPT = Path(__file__).with_name("guardian_process.py")
_log = structlog.get_logger()


class Guardian:
    """Kills the named process groups if this process dies. Started at first use, and again if somebody kills it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._lock = asyncio.Lock()

    async def watch(self, group: int) -> None:
        """A group was started."""
        self._groups.add(group)
        await self._tell(b"+%d\n" % group)

    async def forget(self, group: int) -> None:
        """A group has ended; its number may soon be another's."""
        self._groups.discard(group)
        if self._process is not None:
            await self._tell(b"-%d\n" % group)

    async def aclose(self) -> None:
        """End the guardian; groups still named are killed."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def _tell(self, line: bytes) -> None:
        async with self._lock:
            if self._process is None or self._process.returncode is not None:
                if self._process is not None:
                    _log.warning("the guardian process was killed; starting another", pid=self._process.pid)
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-I",
                    "-S",
                    str(_SCRIPT),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                    env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
                )
                line = b"".join(b"+%d\n" % group for group in self._groups)
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            try:
                await self._process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                _log.warning("the guardian process does not listen; it is started anew with the next worker")
