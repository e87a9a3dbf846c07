"""What a worker prints: cut into lines of bounded length, cleaned, logged at a bounded rate; the last ones are kept."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

#: Longer lines are cut; what follows up to the line's end is counted and dropped.
MAX_LINE_BYTES = 4096
#: Lines kept for the message about a crash.
KEPT_LINES = 40
#: Lines per second and worker that reach the log in the long run, and at once.
LINES_PER_S = 100.0
BURST_LINES = 500

_BREAK = re.compile(rb"\r\n|\n|\r")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class LineCutter:
    """Cuts a byte stream into text lines. A carriage return ends a line too: progress bars use it."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes. A line that outgrows the limit is given at once, cut."""
        lines: list[str] = []
        start = 0
        for found in _BREAK.finditer(data):
            self._take(data[start : found.start()], lines)
            self._end(lines)
            start = found.end()
        self._take(data[start:], lines)
        return lines

    def finish(self) -> list[str]:
        """What is left after the last line's end."""
        lines: list[str] = []
        self._end(lines)
        return lines

    def _take(self, piece: bytes, lines: list[str]) -> None:
        if self._dropped:
            self._dropped += len(piece)
            return
        room = self._limit - len(self._pending)
        self._pending += piece[:room]
        if len(piece) > room:
            lines.append(clean(bytes(self._pending)))
            self._dropped = len(piece) - room

    def _end(self, lines: list[str]) -> None:
        if self._dropped:
            lines.append(f"[the line above went on for {self._dropped} bytes]")
        elif self._pending:
            lines.append(clean(bytes(self._pending)))
        self._pending.clear()
        self._dropped = 0


def clean(line: bytes) -> str:
    """Text that is safe to show: colours removed, bytes that are no text and control characters replaced."""
    text = _ANSI.sub("", line.decode("utf-8", errors="replace"))
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


class Logger(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log."""
        ...


class LogCapture:
    """One worker's output, both streams.

    Args:
        log: bound to the worker's own fields.
        fields: asked for each line: what is running (job_id, attempt).
        clock: monotonic seconds, for the rate.
    """

    def __init__(self, log: Logger, fields: Callable[[], Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self._log = log
        self._fields = fields
        self._clock = clock
        self._cutters: dict[str, LineCutter] = {}
        self._tokens = float(BURST_LINES)
        self._filled_at = clock()
        self._held_back = 0
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    def bind(self, log: Logger) -> None:
        """Log with further fields from now on."""
        self._log = log

    def feed(self, stream: str, data: bytes) -> None:
        """Bytes that the worker wrote to `stream` ("stdout" or "stderr")."""
        for line in self._cutters.setdefault(stream, LineCutter()).feed(data):
            self._line(stream, line)

    def finish(self) -> None:
        """Both streams have ended."""
        for stream, cutter in self._cutters.items():
            for line in cutter.finish():
                self._line(stream, line)
        self._tell_held_back()

    def _line(self, stream: str, line: str) -> None:
        if not line.strip():
            return
        self.last_lines.append(line)
        now = self._clock()
        self._tokens = min(float(BURST_LINES), self._tokens + (now - self._filled_at) * LINES_PER_S)
        self._filled_at = now
        if self._tokens < 1.0:
            self._held_back += 1
            return
        self._tokens -= 1.0
        self._tell_held_back()
        self._log.info("worker output", line=line, stream=stream, **self._fields())

    def _tell_held_back(self) -> None:
        if self._held_back:
            self._log.info("worker output held back: it prints too fast", lines=self._held_back)
            self._held_back = 0
