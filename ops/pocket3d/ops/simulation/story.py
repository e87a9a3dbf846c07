"""What the services log during a run becomes lines of its story; an error in a log is an error of the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from .loop import current_name
from .world import World, describe_error

#: Fields that are told before all others, and one that is the text.
_EXCEPTION = "exc_info"


@contextmanager
def logs_told(world: World) -> Iterator[None]:
    """Take the logs while the context lasts."""

    def tell(logger: Any, method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        fields = {key: value for key, value in event.items() if key not in ("event", _EXCEPTION)}
        text = f"{current_name()}: {event['event']} " + " ".join(f"{key}={value}" for key, value in fields.items())
        if method in ("error", "exception", "critical"):
            error = event.get(_EXCEPTION)
            world.fail(f"{text} {describe_error(error) if isinstance(error, BaseException) else _current()}")
        else:
            world.note(text)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[tell],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _current() -> str:
    import sys

    error = sys.exc_info()[1]
    return describe_error(error) if error is not None else ""
