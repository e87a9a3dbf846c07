"""Sends a worker's own log and that of its model to stderr, which the agent reads."""

from __future__ import annotations

import logging
import sys

import structlog

from ..authoring.run_context import current_run


class _JobFilter(logging.Filter):
    """Names the job, so that lines of several that run at once can be told apart."""

    def filter(self, record: logging.LogRecord) -> bool:
        run = current_run.get()
        record.job = f" job_id={run.job_id}" if run is not None and run.job_id else ""
        return True


def configure() -> None:
    """Send the standard library's log and structlog's to stderr as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_JobFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s%(job)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
