"""Times on the command line: a time, or how long ago it was."""

from __future__ import annotations

import datetime as _dt
import re
import time

import click

from pocket3d.contracts.clock import parse_rfc3339

#: How long ago, in words.
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def since(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """An option's `2h` or RFC 3339 time in Unix seconds.

    Raises:
        click.BadParameter: it is neither.
    """
    if text is None:
        return None
    try:
        ago = _AGO.fullmatch(text)
        at = time.time() - int(ago[1]) * _UNIT_S[ago[2]] if ago else parse_rfc3339(text)
        # A time before the year 1 is none that anybody means.
        _dt.datetime.fromtimestamp(at, _dt.timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise click.BadParameter(f"{text!r}: want e.g. 30m, 2h, 7d or 2026-11-28T12:00:00Z") from error
    return at
