"""Logs: one JSON object a line for services, aligned and coloured on a terminal; always to stderr.

Every line has `timestamp` (RFC 3339, UTC, milliseconds), `level`, `event` and what is bound: `role` and `agent_id` or
`coordinator_id` for the process, `job_id` and `attempt` where the line is about a job. Secrets are taken out.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog

from pocket3d.contracts.clock import rfc3339

from .redaction import clean, may_hide

Format = Literal["auto", "json", "text"]
#: What people may ask for, least first.
LEVELS = ("debug", "info", "warning", "error")

#: First in a line, in this order, where present.
_FIRST = ("timestamp", "level", "event", "role", "agent_id", "coordinator_id", "job_id", "attempt")
_encoder = msgspec.json.Encoder(enc_hook=str)


def configure(
    *, level: str = "info", form: Format = "auto", stream: TextIO | None = None, role: str | None = None, **bound: str
) -> None:
    """Set up structlog and the standard library's logging (which other libraries use) for this process.

    Quieter lines than `level`, one of `LEVELS`, are dropped. The form `auto` is text on a terminal and JSON elsewhere;
    the stream is stderr by default. `role` and `bound` are on every line.
    """
    target = stream if stream is not None else sys.stderr
    threshold = logging.getLevelName(level.upper())
    as_text = form == "text" or (form == "auto" and target.isatty())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{"role": role, **bound} if role else bound)
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _stamp]
    if as_text:
        renderers: list[Any] = [
            structlog.processors.format_exc_info,
            _redact,
            structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=0, sort_keys=False),
        ]
    else:
        renderers = [structlog.processors.format_exc_info, _to_json]
    filtering = structlog.make_filtering_bound_logger(threshold)
    write_to = structlog.WriteLoggerFactory(file=cast(TextIO, _Tolerant(target)))
    structlog.configure(
        processors=shared + renderers, wrapper_class=filtering, logger_factory=write_to, cache_logger_on_first_use=False
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Forward(structlog.wrap_logger(write_to(), processors=shared + renderers, wrapper_class=filtering)))
    root.setLevel(threshold)
    # asyncio's debug lines are of no use to an operator; its warnings are.
    logging.getLogger("asyncio").setLevel(max(threshold, logging.WARNING))


def into_standard_library() -> None:
    """Send our log to the standard library's `logging`, under our modules' names (`pocket3d.bus.connect`), unless the
    program has set structlog up itself. Without any set-up warnings and errors are shown, as Python does.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _stamp(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line["timestamp"] = rfc3339(time.time())
    return line


def _redact(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    cleaned: dict[str, Any] = clean(line)
    return {key: cleaned[key] for key in _order(*cleaned)}


@lru_cache(maxsize=1024)
def _order(*keys: str) -> tuple[str, ...]:
    return *(key for key in _FIRST if key in keys), *(key for key in keys if key not in _FIRST)


def _to_json(_: Any, __: str, line: Mapping[str, Any]) -> str:
    ordered = {key: line[key] for key in _order(*line)}
    text = _encoder.encode(ordered).decode()
    return _encoder.encode(clean(ordered)).decode() if may_hide(text, ordered) else text


class _Tolerant:
    """A stream whose reader may go away."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, text: str) -> int:
        try:
            return self._target.write(text)
        except (BrokenPipeError, ValueError):
            # Whoever read our log is gone, or the stream is closed at exit: no reason to stop working.
            return 0

    def flush(self) -> None:
        try:
            self._target.flush()
        except (BrokenPipeError, ValueError):
            return


class _Forward(logging.Handler):
    """Hands records of the standard library to a logger of structlog.

    Not to whatever structlog is set up for at the time: that may be the standard library (as a program does that embeds
    a system of ours), and each line would come back here, longer by what was put around it, until memory is out.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        getattr(self._logger, level if level in LEVELS else "info")(record.getMessage(), **fields)
