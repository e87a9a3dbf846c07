"""What the services log during a run becomes lines of its story; an error in a log is an error of the run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from .loop import current_name
from .world import World


@contextmanager
def logs_told(world: World) -> Iterator[None]:
    """Take the logs while the context lasts."""

    def tell(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        words, error = event.pop("event"), event.pop("exc_info", None)
        text = f"{current_name()}: {words} " + " ".join(f"{key}={value}" for key, value in event.items())
        if method in ("error", "exception", "critical"):
            world.fail(text, error if isinstance(error, BaseException) else sys.exc_info()[1])
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
