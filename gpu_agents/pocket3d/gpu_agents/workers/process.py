"""One worker process: started, spoken to, listened to, ended.

The worker leads a session and process group of its own, so that a signal to the group reaches the model's children as
well. It must be started from a thread that lives as long as the agent (the event loop's): on Linux PR_SET_PDEATHSIG,
which the worker sets, fires when the *thread* that started it ends.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from pocket3d.contracts.worker_frames import (
    PROTOCOL,
    SOCKET_FD_VARIABLE,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    LoadModel,
    RunFailed,
    RunFinished,
    RunJob,
    RunProgress,
    Shutdown,
    pack,
)

from .environment import child_environment, interpreter
from .folder_removal import remove_tree
from .guardian import Guardian
from .guardian_process import MARK_VARIABLE, kill_marked
from .launch import ExitFacts, WorkerExit, WorkerLaunch, describe_exit
from .log_capture import LogCapture
from .memory import held_mb

#: How long a worker whose socket is closed may take to exit, and its pipes to end after its exit, in seconds.
LINGER_S = 5.0
#: How often a memory limit is checked, in seconds.
MEMORY_CHECK_S = 1.0
#: When the host runs out of memory the kernel is to end a worker rather than the agent (/proc/PID/oom_score_adj).
_OOM_SCORE = "500"

READ_BYTES = 64 * 1024

OnFrame = Callable[[str, Any], None]
OnExit = Callable[[WorkerExit], None]


@asynccontextmanager
async def reading(read_end: int) -> AsyncIterator[asyncio.StreamReader]:
    """A stream over the reading end of `os.pipe()`, which is closed afterwards.

    asyncio's own subprocess pipes are not used anywhere: with them, waiting for a process also waits until nobody holds
    its pipes any more, and a daemon that a model left behind may hold them for ever.
    """
    reader = asyncio.StreamReader(limit=READ_BYTES)
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        yield reader
    finally:
        transport.close()


class WorkerProcess:
    """See the module. Used by `WorkerHost` only."""

    def __init__(
        self,
        worker_id: str,
        launch: WorkerLaunch,
        on_frame: OnFrame,
        on_exit: OnExit,
        *,
        guardian: Guardian,
        agent_id: str,
    ) -> None:
        self.worker_id = worker_id
        self.pid: int | None = None
        self._launch = launch
        self._python = interpreter(launch.python)
        self._on_frame = on_frame
        self._on_exit = on_exit
        self._guardian = guardian
        self._mark = f"{guardian.mark}.{secrets.token_hex(4)}"
        self._log = structlog.get_logger().bind(
            agent_id=agent_id, adapter_id=launch.spec.adapter_id, device=launch.device.id
        )
        self._facts = ExitFacts()
        self._runs: dict[str, RunJob] = {}
        self._capture = LogCapture(self._log, self._running, time.monotonic)
        self._write_lock = asyncio.Lock()
        self._unsent = bytearray()
        #: A write failed: frames that were joined to it are lost with it.
        self._broken = False
        self._writes: set[asyncio.Task[bool]] = set()
        self._socket: socket.socket | None = None
        self._exited = False
        #: Asked for before there was a process.
        self._early_signal: signal.Signals | None = None
        #: Done when the exit was told.
        self.ended: asyncio.Task[None] | None = None

    async def start(self, namespace: Path) -> None:
        """Spawn it. A failure is told as its exit."""
        pipes: list[tuple[int, int]] = []
        theirs: socket.socket | None = None
        folder = Path(self._launch.work_dir)
        try:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            # From here on frames can be sent: they wait in the socket until the process reads them.
            self._socket = ours
            pipes += [os.pipe()]
            pipes += [os.pipe()]
            await asyncio.to_thread((folder / "tmp").mkdir, parents=True, exist_ok=True)
            env = child_environment(
                os.environ,
                python=self._python,
                namespace=namespace,
                env=self._launch.env,
                path=self._launch.path,
                visible=self._launch.device.visible,
            )
            env |= {SOCKET_FD_VARIABLE: str(theirs.fileno()), "TMPDIR": str(folder / "tmp"), MARK_VARIABLE: self._mark}
            process = await asyncio.create_subprocess_exec(
                self._python,
                "-m",
                "pocket3d.adapters.worker",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=folder,
                env=env,
            )
        except (OSError, ValueError) as error:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            for read_end, _ in pipes:
                os.close(read_end)
            self._facts.spawn_error = error
            self.ended = asyncio.create_task(self._tell_exit(None))
            return
        finally:
            if theirs is not None:
                theirs.close()
            for _, write_end in pipes:
                os.close(write_end)
        self.pid = process.pid
        self._log = self._log.bind(worker_pid=process.pid)
        self._capture.log = self._log
        # Named to the guardian first of all: an agent that is killed from now on leaves nothing behind.
        try:
            await self._guardian.watch(process.pid)
        except OSError as error:
            # It would outlive a killed agent with its memory. Its exit is told when it is gone, like any other.
            self._facts.guardian_error = error
            self._signal(signal.SIGKILL)
        if self._early_signal is not None:
            self._signal(self._early_signal)
        await asyncio.to_thread(_offer_to_oom_killer, process.pid)
        outputs = [
            asyncio.create_task(self._read_output(name, pipe[0]))
            for name, pipe in zip(("stdout", "stderr"), pipes, strict=True)
        ]
        self.ended = asyncio.create_task(self._supervise(process, outputs))
        self._log.info("worker started", worker_id=self.worker_id, python=self._python)

    def begin(self, frame: Frame) -> bool | asyncio.Task[bool]:
        """Give it a frame: at once where the socket has room, which it mostly has; else the task that waits for it.
        False if it is gone (its exit is or will be told).

        Raises:
            FrameError: the frame cannot be sent to anybody.
        """
        data = pack(frame)
        if isinstance(frame, RunJob):
            self._runs[frame.run_id] = frame
        elif isinstance(frame, Shutdown):
            self._facts.asked = True
        if not self._unsent and not self._writes and self._socket is not None and not self._broken:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                self._log.debug("the worker's socket is full", worker_id=self.worker_id)
            except OSError:
                self._broken = True
                return False
            if not data:
                return True
        self._unsent += data
        # A caller that gives up must not leave half a frame on the socket.
        task = asyncio.create_task(self._write())
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    def stop(self, *, kill: bool) -> None:
        """SIGTERM or SIGKILL to its whole group."""
        self._facts.asked = True
        self._signal(signal.SIGKILL if kill else signal.SIGTERM)

    # ------------------------------------------------------------------ inside

    def _running(self) -> dict[str, Any]:
        """Fields of the log while exactly one run is active; with several nobody knows who prints."""
        if len(self._runs) != 1:
            return {}
        (run,) = self._runs.values()
        return {"job_id": run.job_id, "attempt": run.attempt}

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None:
            self._early_signal = number
            return
        if self._exited:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Ended a moment ago (macOS says EPERM for a group of zombies).
            return

    async def _write(self) -> bool:
        async with self._write_lock:
            # All frames that wait go in one piece: a burst of jobs is one system call.
            data, self._unsent = self._unsent, bytearray()
            if self._socket is None or self._broken:
                return False
            try:
                if data:
                    await asyncio.get_running_loop().sock_sendall(self._socket, data)
            except OSError:
                self._broken = True
                return False
            return True

    async def _supervise(self, process: asyncio.subprocess.Process, outputs: list[asyncio.Task[None]]) -> None:
        frames = asyncio.create_task(self._read_frames())
        limit = asyncio.create_task(self._watch_memory(process.pid))
        exit_task = asyncio.create_task(process.wait())
        await asyncio.wait({frames, exit_task}, return_when=asyncio.FIRST_COMPLETED)
        if not exit_task.done():
            # It closed its socket, broke the protocol, or a callback failed: nobody can use it any more.
            if self._facts.protocol_error is not None or frames.exception() is not None:
                self._signal(signal.SIGKILL)
            done, _ = await asyncio.wait({exit_task}, timeout=LINGER_S)
            if not done:
                self._log.warning("worker did not exit after closing its socket; killed", after_s=LINGER_S)
                self._signal(signal.SIGKILL)
        returncode = await exit_task
        limit.cancel()
        # Children of the model that outlived it. They may hold the socket and the pipes, whose ends we wait for next.
        self._signal(signal.SIGKILL)
        self._exited = True
        # And those that left its group.
        await asyncio.to_thread(kill_marked, self._mark)
        _, late = await asyncio.wait({frames, *outputs}, timeout=LINGER_S)
        for task in late:
            task.cancel()
        results = await asyncio.gather(frames, *outputs, limit, return_exceptions=True)
        await self._hang_up()
        await self._guardian.forget(process.pid)
        self._capture.finish()
        await self._tell_exit(returncode)
        for result in results:
            if isinstance(result, Exception):
                # A fault of ours (a callback raised): the worker was ended properly, now it may be seen.
                raise result

    async def _hang_up(self) -> None:
        ours, self._socket = self._socket, None
        assert ours is not None
        try:
            # Writers that wait for room wake up with an error.
            ours.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._log.debug("the worker's socket was already down")
        await asyncio.gather(*self._writes)
        ours.close()

    async def _tell_exit(self, returncode: int | None) -> None:
        facts = self._facts
        facts.returncode = returncode
        told = describe_exit(
            facts, self.worker_id, self.pid, self._python, self._launch, list(self._capture.last_lines)
        )
        self._log.info("worker ended", worker_id=self.worker_id, code=told.word, message=told.message, asked=told.asked)
        await asyncio.to_thread(remove_tree, self._launch.work_dir)
        self._on_exit(told)

    async def _read_frames(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        cutter = FrameReader(from_worker=True)
        while True:
            try:
                data = await loop.sock_recv(self._socket, READ_BYTES)
            except ConnectionResetError:
                # It died with frames of ours unread; all of its own were read before.
                return
            if not data:
                return
            try:
                frames = cutter.feed(data)
                if frames and not self._facts.greeted:
                    self._greet(frames[0])
                    launch, device = self._launch, self._launch.device
                    self.begin(
                        LoadModel(
                            spec=launch.spec,
                            device=device.id,
                            device_kind=device.worker_kind,
                            vram_mb=launch.vram_mb,
                            variant=launch.variant,
                            capped=launch.capped,
                        )
                    )
            except FrameError as error:
                self._facts.protocol_error = str(error)
                return
            for frame in _without_stale_progress(frames):
                if isinstance(frame, RunFinished | RunFailed):
                    self._runs.pop(frame.run_id, None)
                self._on_frame(self.worker_id, frame)
            # sock_recv does not wait while there is something to read: a flood must not keep the loop to itself.
            await asyncio.sleep(0)

    def _greet(self, first: Any) -> None:
        if not isinstance(first, Hello):
            raise FrameError(f"its first frame is a {type(first).__name__}, not a Hello")
        if first.protocol != PROTOCOL:
            raise FrameError(f"it speaks protocol {first.protocol}, this agent speaks {PROTOCOL}")
        self._facts.greeted = True

    async def _read_output(self, name: str, read_end: int) -> None:
        async with reading(read_end) as reader:
            while data := await reader.read(READ_BYTES):
                self._capture.feed(name, data)

    async def _watch_memory(self, pid: int) -> None:
        limit = self._launch.memory_limit_mb
        while limit is not None:
            await asyncio.sleep(MEMORY_CHECK_S)
            held = await asyncio.to_thread(held_mb, pid)
            if held > limit:
                self._facts.memory = (held, limit)
                self._signal(signal.SIGKILL)
                return


def _offer_to_oom_killer(pid: int) -> None:
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(_OOM_SCORE)
    except OSError:
        # Not Linux, or it has ended already.
        return


def _without_stale_progress(frames: list[Any]) -> Iterable[Any]:
    """Of several progress frames of one run that came together only the last tells anything."""
    latest = {frame.run_id: index for index, frame in enumerate(frames) if isinstance(frame, RunProgress)}
    return (f for index, f in enumerate(frames) if not isinstance(f, RunProgress) or latest[f.run_id] == index)
