"""Texts of strangers on a terminal: adapters, workers and producers write messages and names. Pure."""

from __future__ import annotations


def printable(text: str, kept: str = "\n\t") -> str:
    """What would move a terminal's cursor, change its colours or be no text at all, shown as an escape.

    Args:
        text: a text from anywhere.
        kept: what may stay beside printable characters.
    """
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
