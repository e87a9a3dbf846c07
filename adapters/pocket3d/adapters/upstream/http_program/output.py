"""Cuts what a program prints into lines of bounded length. Pure."""

from __future__ import annotations

import re

#: Longer lines are cut.
MAX_LINE_BYTES = 4096
_BREAK = re.compile(rb"\r\n|\n|\r")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Lines:
    """Takes bytes, gives lines. A carriage return ends a line too: progress bars use it."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, those that are not empty."""
        *whole, rest = _BREAK.split(self._pending + data)
        # What goes on beyond the bound is dropped up to the line's end.
        self._pending = rest[:MAX_LINE_BYTES]
        return [text for line in whole if (text := _text(line))]

    def finish(self) -> list[str]:
        """What is left after the last line's end."""
        rest, self._pending = self._pending, b""
        return [text] if (text := _text(rest)) else []


def _text(line: bytes) -> str:
    return _COLOUR.sub("", line[:MAX_LINE_BYTES].decode("utf-8", "replace")).rstrip()
