"""One run of a program, from its start to its end: a process of its own group, without a shell, that never outlives
this one.

What it prints goes on to this process's standard output, so in a worker it reaches the job's log with the bounds of all
that models print.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import BadAnswer, NoAnswer, ProgramFailed, failure
from .exchange import HOST, exchange
from .listeners import listeners, sockets_of
from .output import Lines
from .requests import Request

_EXEC_BOUND = Path(__file__).with_name("exec_bound.py")
_KEPT_LINES = 12
_CHUNK = 64 * 1024
#: Ports that are tried where another program takes the one that was free.
_PORTS = 3
#: What programs say then, lower case.
_TAKEN = ("address already in use", "failed to bind", "eaddrinuse")
#: Seconds that one look at its health may take, and between two.
_HEALTH_S = 5.0
_HEALTH_PAUSE_S = 0.1
_HEALTH_BYTES = 64 * 1024
#: Seconds in which a process that broke its connection ends, and is told as ended.
_ENDING_S = 1.0


class Launch(NamedTuple):
    """How a program is started."""

    #: Its arguments, the program first; `{host}` and `{port}` in them stand for the address that it has to listen on.
    command: tuple[str, ...]
    environment: Mapping[str, str]
    #: Its working directory.
    folder: Path
    #: Asked until it answers with a status of 200 to 299.
    health_path: str
    #: Seconds from the start to that answer.
    start_s: float
    #: Seconds between asking it to end and ending it.
    stop_s: float = 5.0


class _PortTaken(Exception):
    """Somebody else listens on the port."""


class Program:
    """A running program that answers on `port`; `start` makes one."""

    def __init__(self, launch: Launch, port: int) -> None:
        self.port = port
        #: Told each line that it prints, in a thread of this object.
        self.on_line: Callable[[str], None] = lambda _line: None
        self._launch = launch
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._begun = threading.Event()
        # The kernel ties the program to the thread that started it, so this one stays until it ends.
        self._keeper = threading.Thread(target=self._keep, name="program-keeper", daemon=True)
        self._keeper.start()
        self._begun.wait()
        if self._problem is not None:
            raise ProgramFailed(f"{launch.command[0]} cannot be started: {self._problem.strerror or self._problem}")

    # ------------------------------------------------------------ what is known of it

    @property
    def group(self) -> int:
        """Id of its process, and of its group."""
        return self._running().pid

    @property
    def name(self) -> str:
        """The program's file, for people."""
        return Path(self._launch.command[0]).name

    @property
    def last_lines(self) -> list[str]:
        """What it printed last."""
        return list(self._last)

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        code = self._running().poll()
        if code is None:
            return None
        if code < 0:
            names = [each.name for each in signal.Signals if each == -code]
            return f"was ended by {names[0] if names else f'signal {-code}'}"
        return f"ended with status {code}"

    def require_running(self) -> None:
        """Raise `ProgramFailed` if it has ended."""
        how = self.ended()
        if how is not None:
            # What it said last may still be on its way.
            self._keeper.join(_ENDING_S)
            raise failure(f"{self.name} {how}", self.last_lines)

    def failed(self, error: ProgramFailed) -> ProgramFailed:
        """The error to tell when an exchange with it failed: its end, where that is why the connection broke."""
        if isinstance(error, NoAnswer):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._running().wait(_ENDING_S)
        how = self.ended()
        if how is None:
            return failure(str(error), self.last_lines, type(error))
        self._keeper.join(_ENDING_S)
        return failure(f"{self.name} {how} during the request ({error})", self.last_lines)

    # ------------------------------------------------------------ its end

    def stop(self, *, kill: bool = False) -> None:
        """End it with all that it started; asked first, unless `kill`. Returns when it is gone."""
        process = self._running()
        if process.poll() is None and not kill:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._launch.stop_s)
        # Also what it left behind.
        self._signal(signal.SIGKILL)
        process.wait()
        self._keeper.join(_ENDING_S)

    # ------------------------------------------------------------ inside

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def _keep(self) -> None:
        launch = self._launch
        address = {"{host}": HOST, "{port}": str(self.port)}
        command = [_filled(each, address) for each in launch.command]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", str(_EXEC_BOUND), str(os.getpid()), *command]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=launch.folder,
                env=dict(launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                # A group of its own, so that what it starts can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            self._problem = error
            return
        finally:
            self._begun.set()
        lines = Lines()
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while data := printed.read(_CHUNK):
                self._tell(lines.feed(data))
        self._tell(lines.finish())
        self._process.wait()

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._last.append(line)
            # What it says must be read on, or it stands still, even where nobody takes it.
            with contextlib.suppress(OSError, ValueError):
                print(line, flush=True)  # noqa: T201
            self.on_line(line)


def start(launch: Launch, check: Callable[[], None]) -> Program:
    """Start a program on a free port and wait until it is healthy. `check` is called ten times a second; what it raises
    ends the program.

    Raises:
        ProgramFailed: it cannot be run, ended, is not healthy in time, or other machines could reach it.
        BaseException: what `check` raised.
    """
    for left in reversed(range(_PORTS)):
        program = Program(launch, _free_port())
        try:
            _await_health(program, launch, check)
            return program
        except _PortTaken as taken:
            program.stop(kill=True)
            if not left:
                raise failure(f"{program.name}: {taken}", program.last_lines) from taken
        except BaseException:
            program.stop(kill=True)
            raise
    raise AssertionError("the last try raises")


def _await_health(program: Program, launch: Launch, check: Callable[[], None]) -> None:
    ends = time.monotonic() + launch.start_s
    request = Request("GET", launch.health_path)
    said = "nobody answered"
    while True:
        check()
        if program.ended() is not None:
            try:
                program.require_running()
            except ProgramFailed as error:
                # A connection of somebody's may have the port too: then nobody listens there.
                if listeners(program.port) or any(each in str(error).lower() for each in _TAKEN):
                    raise _PortTaken(f"another program took port {program.port}") from error
                raise
        now = time.monotonic()
        if now > ends:
            raise failure(
                f"{program.name} did not become healthy within {launch.start_s:g} s (GET {launch.health_path}: {said})",
                program.last_lines,
            )
        limit = now + min(_HEALTH_S, max(ends - now, _HEALTH_PAUSE_S))

        def in_time(limit: float = limit) -> None:
            check()
            if time.monotonic() > limit:
                raise NoAnswer("no answer yet")

        try:
            answer = exchange(program.port, request, None, most_bytes=_HEALTH_BYTES, check=in_time)
        except (NoAnswer, BadAnswer) as error:
            said = str(error)
        else:
            if answer.ok:
                _look_at_listeners(program)
                # Whoever answered, it was not a program that has ended.
                program.require_running()
                return
            said = f"{answer.status} {answer.reason}"
        time.sleep(_HEALTH_PAUSE_S)


def _look_at_listeners(program: Program) -> None:
    """Whoever answers gets what jobs hold: it must be this program, and only this host may reach it. Servers that set
    SO_REUSEPORT share a port without an error.
    """
    found = listeners(program.port)
    if found is None:
        return
    own = sockets_of(program.group)
    if any(each.inode not in own for each in found):
        raise _PortTaken(f"another program listens on port {program.port} too")
    for each in found:
        if not each.only_this_host:
            raise failure(
                f"{program.name} listens on {each.address}, where other machines reach it without a password; give it"
                f" {{host}}, which is {HOST}, by its own option for the address"
            )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    return port


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
