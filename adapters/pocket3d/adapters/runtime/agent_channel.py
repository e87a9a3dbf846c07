"""The worker's end of the socket pair: one thread reads frames, one writes those that the socket has no room for.

Threads and not asyncio alone, because the loop belongs to the model: an adapter's async method that computes without
awaiting blocks it for minutes, and in that time a cancel must be heard, progress must leave, and the agent's death be
noticed. While the loop is free it reads by itself: waking one thread from another takes longer than a short job.
"""

from __future__ import annotations

import asyncio
import collections
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from pocket3d.contracts.worker_frames import Frame, FrameError, FrameReader, RunProgress, pack

_READ_BYTES = 256 * 1024
#: How long the reading thread leaves what has come to a loop that is free, seconds.
_LOOP_FIRST_S = 0.001
#: Seconds between two reports of one run.
_INTERVAL_S = 0.1


class AgentChannel:
    """Sends frames to the agent and receives its own, on a blocking socket. All methods are thread-safe and none waits
    for the agent; a frame that cannot be sent is a `FrameError`.

    `on_frame` gets each frame, in the reading thread or the loop, one after the other, and must not block. `on_closed`
    is called once, there too, when the agent is gone or talks nonsense, with the reason.
    """

    def __init__(
        self, connection: socket.socket, on_frame: Callable[[Any], None], on_closed: Callable[[str], None]
    ) -> None:
        self._socket = connection
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._changed = threading.Condition()
        self._outbox: collections.deque[bytes] = collections.deque()
        self._progress = _ProgressThrottle()
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._frames = FrameReader(from_worker=False)
        self._receiving = threading.Lock()
        #: The agent is gone or has talked nonsense.
        self._closed = False
        #: The writer holds bytes that it has not written yet: nobody may write past them.
        self._writing = False
        self._reader = threading.Thread(target=self._read, name="agent-reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name="agent-writer", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to read and write; frames are handled in `loop`, too, while it is free."""
        self._loop = loop
        if loop is not None:
            loop.add_reader(self._socket, self._receive)
        self._writer.start()
        self._reader.start()

    def send(self, frame: Frame) -> None:
        """Put a frame on its way."""
        data = pack(frame)
        with self._changed:
            self._outbox.append(data)
            self._send_now()

    def send_progress(self, report: RunProgress) -> None:
        """Put a report on its way, or keep it until its run may report again."""
        with self._changed:
            self._progress.offer(report)
            self._send_now()

    def send_end(self, run_id: str, frame: Frame) -> None:
        """Put the last frame of a run on its way, behind its last report, which stays if the frame cannot be sent."""
        data = pack(frame)
        with self._changed:
            last = self._progress.finish(run_id)
            if last is not None:
                self._outbox.append(pack(last))
            self._outbox.append(data)
            self._send_now()

    def close(self, timeout_s: float) -> None:
        """Send what waits, for at most that long, and write no more."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._writer.join(timeout_s)

    def _send_now(self) -> None:
        """Write what is due, as far as the socket has room; the rest is the writer's. Called with the lock held.

        Waking another thread costs more than the system call.
        """
        if not self._writing and not self._ending:
            self._take_due_reports()
            data = b"".join(self._outbox)
            self._outbox.clear()
            try:
                sent = self._socket.send(data, socket.MSG_DONTWAIT) if data else 0
            except OSError:
                # No room, or the agent is gone: the writer finds out.
                sent = 0
            if sent < len(data):
                self._outbox.append(data[sent:])
        if self._outbox or self._progress.wakes_at() is not None:
            self._changed.notify()

    def _take_due_reports(self) -> None:
        for report in self._progress.due(time.monotonic()):
            self._outbox.append(pack(report))

    def _write(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                data = self._next()
                self._writing = data is not None
            if data is None:
                return
            try:
                self._socket.sendall(data)
            except OSError:
                # The reader sees the same end and says so.
                return

    def _next(self) -> bytes | None:
        """Wait for what is to be written; None at the end. Called with the lock held."""
        while True:
            self._take_due_reports()
            if self._outbox:
                data = b"".join(self._outbox)
                self._outbox.clear()
                return data
            if self._ending:
                return None
            wakes_at = self._progress.wakes_at()
            self._changed.wait(None if wakes_at is None else max(wakes_at - time.monotonic(), 0.0))

    def _read(self) -> None:
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        while not self._closed:
            waiting.poll()
            if self._loop is not None:
                # The loop goes first: it has no thread to wake. What it has not taken by then, a model holds up.
                time.sleep(_LOOP_FIRST_S)
            self._receive()

    def _receive(self) -> None:
        """Handle what has come, if anything; in the loop or in the reading thread, whichever is sooner."""
        with self._receiving:
            if self._closed:
                return
            try:
                data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
                for frame in self._frames.feed(data):
                    self._on_frame(frame)
                reason = None if data else "the agent closed the socket"
            except BlockingIOError:
                return
            except OSError as error:
                reason = f"the socket failed: {error}"
            except FrameError as error:
                reason = f"the agent does not speak this protocol: {error}"
            self._closed = reason is not None
        if reason is not None:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.remove_reader, self._socket)
            self._on_closed(reason)


class _ProgressThrottle:
    """Keeps the newest report of each run until its time has come, and always the last one. Time comes in."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._waiting: dict[str, RunProgress] = {}

    def offer(self, report: RunProgress) -> None:
        """Take a new report, which replaces one of its run that still waits."""
        self._waiting[report.run_id] = report

    def due(self, now: float) -> list[RunProgress]:
        """Take the reports that are to be sent now (seconds, monotonic)."""
        ready = [run_id for run_id in self._waiting if self._next.get(run_id, now) <= now]
        for run_id in ready:
            self._next[run_id] = now + _INTERVAL_S
        return [self._waiting.pop(run_id) for run_id in ready]

    def wakes_at(self) -> float | None:
        """The moment at which the next report is due, or None."""
        return min((self._next.get(run_id, float("-inf")) for run_id in self._waiting), default=None)

    def finish(self, run_id: str) -> RunProgress | None:
        """Forget a run that ends; returns its last report if that was not sent."""
        self._next.pop(run_id, None)
        return self._waiting.pop(run_id, None)
