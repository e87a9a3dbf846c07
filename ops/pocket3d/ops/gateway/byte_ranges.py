"""Parts of files as HTTP asks for them (RFC 9110, 13 and 14): one range, or the whole. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
#: Longer numbers are no places in a file.
_DIGITS = 18


class Span(NamedTuple):
    """Bytes from `start` up to and without `stop`."""

    start: int
    stop: int


class Unsatisfiable(ValueError):
    """The range lies behind the file's end: 416."""


def wanted_span(header: str | None, size: int) -> Span | None:
    """What a `Range` header asks for; None for the whole file: no header, another unit, several ranges or no sense.

    Raises:
        Unsatisfiable
    """
    found = _RANGE.fullmatch(header) if header else None
    if found is None:
        return None
    first, last = found[1], found[2]
    if (not first and not last) or max(len(first), len(last)) > _DIGITS:
        return None
    if not first:
        count = min(int(last), size)
        if count == 0:
            raise Unsatisfiable(f"the last {last} bytes of {size}")
        return Span(size - count, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable(f"it has {size} bytes")
    return Span(start, min(int(last) + 1, size) if last else size)


def names_etag(header: str | None, etag: str) -> bool:
    """True if `If-None-Match` (or `If-Match`) names that strong ETag, quotes included, or any."""
    if header is None:
        return False
    names = [name.strip().removeprefix("W/") for name in header.split(",")]
    return "*" in names or etag in names


def range_holds(if_range: str | None, etag: str) -> bool:
    """True if a `Range` is to be followed: no `If-Range`, or one that names this very content. Dates never do."""
    return if_range is None or if_range.strip() == etag
