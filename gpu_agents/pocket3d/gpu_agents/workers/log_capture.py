"""What a worker prints: cut into lines of bounded length, cleaned, logged at a bounded rate; the last ones are kept."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from structlog.typing import FilteringBoundLogger

#: Longer lines are cut; what follows up to the line's end is counted and dropped.
MAX_LINE_BYTES = 4096
#: Lines kept for the message about a crash.
KEPT_LINES = 40
#: Lines per second and worker that reach the log in the long run, and at once; a line counts once for each so many
#: characters. So a worker cannot write more than 0.7 GB a day.
LINES_PER_S = 100.0
BURST_LINES = 500
COUNTED_CHARS = 80

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


@dataclass
class LogCapture:
    """One worker's output, both streams."""

    #: Bound to the worker's own fields.
    log: FilteringBoundLogger
    #: Asked for each line: what is running (job_id, attempt).
    fields: Callable[[], Mapping[str, Any]]
    #: Monotonic seconds, for the rate.
    clock: Callable[[], float]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _cutters: dict[str, LineCutter] = field(default_factory=dict)
    #: Lines that may reach the log at once, as of `_filled_at`.
    _tokens: float = BURST_LINES
    _filled_at: float = float("-inf")
    _held_back: int = 0

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
        now = self.clock()
        self._tokens = min(float(BURST_LINES), self._tokens + (now - self._filled_at) * LINES_PER_S)
        self._filled_at = now
        if self._tokens < 1.0:
            self._held_back += 1
            return
        # The last one may overdraw.
        self._tokens -= max(1.0, len(line) / COUNTED_CHARS)
        self._tell_held_back()
        self.log.info("worker output", line=line, stream=stream, **self.fields())

    def _tell_held_back(self) -> None:
        if self._held_back:
            self.log.info("worker output held back: it prints too fast", lines=self._held_back)
            self._held_back = 0
