"""The agent's end of the guardian process."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

import structlog

_SCRIPT = Path(__file__).with_name("guardian_process.py")
_log = structlog.get_logger()


class Guardian:
    """Kills the named process groups if this process dies. Started at first use, and again if somebody kills it."""

    def __init__(self) -> None:
        #: Begins the mark of each worker.
        self.mark = secrets.token_hex(16)
        self._process: asyncio.subprocess.Process | None = None
        self._groups: set[int] = set()
        self._lock = asyncio.Lock()

    async def watch(self, group: int) -> None:
        """Name a group that was started.

        Raises:
            OSError: no guardian process can be started, so nothing would end the group with this process.
        """
        self._groups.add(group)
        try:
            await self._tell(b"+%d\n" % group)
        except OSError:
            self._groups.discard(group)
            raise

    async def forget(self, group: int) -> None:
        """A group has ended; its number may soon be another's."""
        self._groups.discard(group)
        if self._process is None:
            return
        try:
            await self._tell(b"-%d\n" % group)
        except OSError as error:
            _log.warning("no guardian process can be started; the next worker needs one", error=str(error))

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
            process = self._process
            if process is not None and process.returncode is None:
                try:
                    await _write(process, line)
                    return
                except (BrokenPipeError, ConnectionResetError):
                    _log.debug("the guardian process does not listen", pid=process.pid)
            if process is not None:
                _log.warning("the guardian process was killed; starting another", pid=process.pid)
                self._process = None
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(_SCRIPT),
                self.mark,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            )
            await _write(self._process, b"".join(b"+%d\n" % group for group in self._groups))


async def _write(process: asyncio.subprocess.Process, lines: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(lines)
    await process.stdin.drain()
