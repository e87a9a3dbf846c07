"""Processes that are kept running: started, restarted with back-off when they die, and ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from pocket3d.bus.nats_server.embedded import EmbeddedServer, ServerError

from ..exit_codes import Exit
from .stopping import PARENT_VARIABLE

log = structlog.get_logger(__name__)

#: Pauses before a restart, seconds: doubled each time, back to the first after a child has lived `_STABLE_S`.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STABLE_S = 60.0
#: A killed process is waited for so long, seconds.
KILL_S = 5.0


class ChildRefused(Exception):
    """A child ended because its command or configuration is wrong: starting it again is of no use."""


class BackOff:
    """How long to wait before the next start. Pure: told how long each life was."""

    def __init__(self) -> None:
        self._pause_s = _FIRST_PAUSE_S

    def after(self, lived_s: float) -> float:
        """The pause after a life of that many seconds."""
        if lived_s >= _STABLE_S:
            self._pause_s = _FIRST_PAUSE_S
        pause, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause


class Child:
    """A part of the system in a process of its own.

    It runs `pocket3d` with the arguments. `output` is the descriptor for what it writes, to stdout too: it is log. Our
    own stdout is for our own words.
    """

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], output: int) -> None:
        self.name = name
        self._arguments = list(arguments)
        self._environ = environ
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._stop_asked = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep(self) -> None:
        """Start it, and again whenever it ends; returns after `stop`.

        Raises:
            ChildRefused: it says that its command or configuration is wrong (exit code 2).
        """
        pauses = BackOff()
        while not self._stop_asked.is_set():
            began = time.monotonic()
            code = await self._run()
            if self._stop_asked.is_set():
                return
            if code == Exit.USAGE:
                raise ChildRefused(f"the {self.name} does not start: see its message above")
            pause = pauses.after(time.monotonic() - began)
            log.warning(f"the {self.name} died; starting it again", exit=_how(code), in_s=round(pause, 1))
            await asyncio.sleep(pause)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM; once more after half of `grace_s`; SIGKILL after all of it. Returns when it is gone, or some seconds
        after that if the kernel does not let go of it.
        """
        self._stop_asked.set()
        process = self._process
        if process is None:
            return
        half = grace_s / 2
        for number, wait_s in ((signal.SIGTERM, half), (signal.SIGTERM, half), (signal.SIGKILL, KILL_S)):
            if process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), wait_s)
        if process.returncode is None:
            log.error(f"the {self.name} does not end", pid=process.pid)

    async def _run(self) -> int:
        read_end, write_end = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "pocket3d.ops.cli",
                *self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env={**self._environ, PARENT_VARIABLE: str(read_end), "PYTHONPATH": _import_path(self._environ)},
                pass_fds=[read_end],
                # Ctrl-C is for us: we stop the parts one after the other.
                start_new_session=True,
            )
            os.close(read_end)
            read_end = -1
            log.info(f"{self.name} started", pid=self._process.pid)
            if self._stop_asked.is_set():
                self._process.terminate()
            return await self._process.wait()
        finally:
            if read_end >= 0:
                os.close(read_end)
            os.close(write_end)


async def keep_server(server: EmbeddedServer, stopping: Callable[[], bool]) -> None:
    """Start the embedded server again, on its port and store, whenever it dies; return if it ends while stopping."""
    pauses = BackOff()
    while True:
        began = time.monotonic()
        code = await server.wait() if server.running else None
        if stopping():
            return
        pause = pauses.after(time.monotonic() - began)
        log.warning("nats-server died; starting it again", exit=code, in_s=round(pause, 1))
        await asyncio.sleep(pause)
        try:
            await server.start()
        except ServerError as error:
            # Somebody else may have taken the port meanwhile, and may leave it again.
            log.error("nats-server does not start", error=str(error))


def _import_path(environ: Mapping[str, str]) -> str:
    """PYTHONPATH with which a child finds the Pocket3DStudio that we are, also in a checkout that is not installed."""
    import pocket3d

    roots = [str(Path(portion).parent) for portion in pocket3d.__path__]
    return os.pathsep.join([*roots, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))])


def _how(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
