"""Where the log of a system goes that is embedded in somebody's program: into that program's own logging."""

from __future__ import annotations

import structlog


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
