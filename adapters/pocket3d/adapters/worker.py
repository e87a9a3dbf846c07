"""`python -m pocket3d.adapters.worker`: the process in which a model runs, in the model's own environment.

Without options it serves the agent over the socket whose descriptor is in `POCKET3D_WORKER_FD`. With
`--describe --answer-fd N` it reads a JSON list of adapter specifications on stdin and writes a JSON list of their
descriptions to descriptor N. Needs msgspec and structlog, and what the adapter needs.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
from typing import NoReturn

import msgspec
import structlog

from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.worker_frames import JOURNAL_VARIABLE, SOCKET_FD_VARIABLE, AdapterSpec

from .authoring.run_context import current_run
from .runtime.describe import describe_all
from .runtime.extension_locks import own_folder, remove_stale_locks
from .runtime.worker_process import Journal, Worker, flush_prints

_USAGE_STATUS = 2
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the worker, and end the process with it."""
    parser = argparse.ArgumentParser(prog="python -m pocket3d.adapters.worker", description=__doc__)
    parser.add_argument("--describe", action="store_true", help="describe the adapters given on stdin")
    parser.add_argument("--answer-fd", type=int, metavar="N", help="descriptor for the descriptions")
    options = parser.parse_args(arguments)
    _configure_log()
    faulthandler.enable()
    if options.describe:
        if options.answer_fd is None:
            parser.error("--describe needs --answer-fd")
        status = _describe(options.answer_fd)
    else:
        status = _serve(parser)
    flush_prints()
    # Not sys.exit: threads that a model left running would keep the process.
    os._exit(status)


def _serve(parser: argparse.ArgumentParser) -> int:
    number = decimal(os.environ.pop(SOCKET_FD_VARIABLE, ""), 9)
    if number is None:
        parser.error(f"{SOCKET_FD_VARIABLE} is not set: an agent starts this process; see --describe for people")
    # Ctrl-C on a terminal reaches every process of its group; when to end is the agent's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        # The end of the socket tells of the agent's end, too, everywhere and also if it came before this; but no Python
        # thread can act on it while a model's extension holds the interpreter's lock, and this does.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    try:
        connection = socket.socket(fileno=number)
    except OSError as error:
        parser.error(f"{SOCKET_FD_VARIABLE}={number} is no socket: {error}")
    extensions = own_folder()
    if extensions is not None:
        remove_stale_locks(extensions)
    # The model's own children must not hold the agent's line open.
    connection.set_inheritable(False)
    connection.setblocking(True)
    worker = Worker(connection, Journal(os.environ.get(JOURNAL_VARIABLE)))
    # Not asyncio.run: at its end it waits for threads, and those may belong to a model that hangs.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(worker.serve())


def _describe(answer_fd: int) -> int:
    os.set_inheritable(answer_fd, False)
    try:
        specs = msgspec.json.decode(sys.stdin.buffer.read(), type=list[AdapterSpec])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        print(f"stdin is no list of adapter specifications: {error}", file=sys.stderr)  # noqa: T201
        return _USAGE_STATUS
    answer = msgspec.json.encode(describe_all(specs))
    with os.fdopen(answer_fd, "wb") as stream:
        stream.write(answer)
    return 0


class _JobFilter(logging.Filter):
    """Names the job, so that lines of several that run at once can be told apart."""

    def filter(self, record: logging.LogRecord) -> bool:
        run = current_run.get()
        record.job = f" job_id={run.job_id}" if run is not None and run.job_id else ""
        return True


def _configure_log() -> None:
    """Send the worker's own log and that of its model to stderr, which the agent reads."""
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


if __name__ == "__main__":
    main()
