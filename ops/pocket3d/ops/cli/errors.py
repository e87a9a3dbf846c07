"""From errors to what a person reads and what a script sees: one line or two on stderr, and an exit code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import click

from pocket3d.bus.client.errors import (
    ApiRefused,
    ChainFailed,
    ChainWaitTimeout,
    ClientError,
    JetStreamAway,
    JobFailed,
    JobIdTaken,
    JobRefused,
    NoLeader,
    NotSetUp,
    WaitTimeout,
)
from pocket3d.bus.connect import ConnectError
from pocket3d.bus.port import BusError, Disconnected, NoResponders, Refused, UntrustedServer

from .. import logging
from ..exit_codes import Exit, of_status
from ..inputs import InputError
from ..settings import SettingsError
from ..terminal_text import printable
from ..up.stopping import run_until_done

P = ParamSpec("P")


class CliError(click.ClickException):
    """What went wrong, what to do about it, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.ERROR, *, hint: str | None = None) -> None:
        super().__init__(message)
        # click declares it for the class, and reads it from the instance.
        self.exit_code = int(code)  # type: ignore[misc]
        self.hint = hint

    def show(self, file: Any = None) -> None:
        """Print it to stderr."""
        click.echo(printable(f"error: {self.message}"), err=True)
        if self.hint:
            click.echo(f"hint: {self.hint}", err=True)


class Stopped(CliError):
    """Ctrl-C, with what goes on without us."""

    def show(self, file: Any = None) -> None:
        """Print it to stderr: nothing has failed."""
        click.echo(printable(self.message), err=True)
        if self.hint:
            click.echo(f"hint: {self.hint}", err=True)


_OTHER_SERVER = "`pocket3d up` starts one on this machine; -s URL, NATS_URL or --context name another"
_START = "`pocket3d up` starts a server, a coordinator and an agent together"
_CREDENTIALS = "credentials: --creds, --nkey, --tlscert/--tlskey, --context, or NATS_USER and NATS_PASSWORD"
_CERTIFICATE = "--tlsca FILE or NATS_CA names the authority that signed it (or the certificate itself)"
_RIGHTS = "docs/operating.md lists what each role's user must be allowed to publish and subscribe to"
_SET = "`pocket3d topology --set NAME=VALUE`, and `--topology NAME=VALUE` of the coordinators"
_LIMITS = ", ".join(
    f"{stream}_max_bytes"
    for stream in (
        "jobs",
        "events",
        "results",
        "dead",
        "chains",
        "progress",
        "status",
        "agents",
        "leader",
        "inputs",
        "outputs",
    )
)
#: The code of what the server refuses -> what to do about it; 0 is that of a refused connection.
_REFUSALS: dict[int, str] = {
    0: _CREDENTIALS,
    403: _RIGHTS,
    10113: f"this account wants a limit on each stream; set {_LIMITS}: {_SET}",
    10028: f"this account has no memory storage (left): progress_storage=file, or less progress_max_bytes: {_SET}",
    10047: f"this account has no file storage (left): more of it, or smaller limits ({_LIMITS}): {_SET}",
    10027: "this account may have no more streams; the system needs eleven",
    10059: "streams of the system are not there: `pocket3d topology` makes them, and so does a starting coordinator",
}
#: Errors whose text says all -> exit code and hint; the first kind that fits counts.
_TOLD: tuple[tuple[type[Exception], Exit, str | None], ...] = (
    (UntrustedServer, Exit.NO_SERVER, _CERTIFICATE),
    (Disconnected, Exit.NO_SERVER, _OTHER_SERVER),
    (ChainWaitTimeout, Exit.WAIT_TIMED_OUT, "`pocket3d chain status ID` shows how far it is"),
    (ChainFailed, Exit.FAILED, None),
    (JobIdTaken, Exit.JOB_ID_TAKEN, "`pocket3d status JOB_ID` shows the job of that id"),
    (NotSetUp, Exit.NO_SERVER, None),
    (JetStreamAway, Exit.NO_SERVER, None),
    (NoResponders, Exit.NO_SERVER, None),
    (NoLeader, Exit.NO_SERVER, _START),
    (ConnectError, Exit.USAGE, None),
    (SettingsError, Exit.USAGE, None),
    (InputError, Exit.USAGE, None),
    (BusError, Exit.ERROR, None),
    (ClientError, Exit.ERROR, None),
)


def explain(error: Exception) -> CliError | None:
    """The error as the command line tells it; None for one that is a bug of ours."""
    text = str(error)
    if isinstance(error, JobRefused):
        return CliError(f"the job is rejected: {text}", Exit.REJECTED)
    if isinstance(error, WaitTimeout):
        return CliError(text, Exit.WAIT_TIMED_OUT, hint=f"wait on with `pocket3d watch {error.job_id}`")
    if isinstance(error, JobFailed):
        return CliError(text, of_status(error.result.status))
    # Errors of `--devices` and models.yaml go by name, so that not every command imports the agent.
    if isinstance(error, ApiRefused) and error.code == 409:
        return CliError(text, Exit.JOB_ID_TAKEN)
    if isinstance(error, NoLeader) and error.standby:
        return CliError(text, Exit.NO_SERVER)
    if isinstance(error, ApiRefused) and error.code == 400:
        # A message that names the field itself says it already.
        named = error.field is None or error.field.rpartition(".")[2] in text
        return CliError(text if named else f"{error.field}: {text}", Exit.USAGE)
    if type(error).__name__ in ("DeviceSpecError", "ModelsFileError"):
        return CliError(text, Exit.USAGE)
    if isinstance(error, Refused):
        return CliError(text, Exit.ERROR, hint=_REFUSALS.get(error.code))
    return next((CliError(text, code, hint=hint) for kind, code, hint in _TOLD if isinstance(error, kind)), None)


@contextmanager
def goes_on(*job_ids: str) -> Iterator[None]:
    """Around a wait: whoever stops it with Ctrl-C hears that the jobs go on, and how to end them.

    Raises:
        CliError: the wait was stopped.
    """
    try:
        yield
    except asyncio.CancelledError:
        if len(job_ids) == 1:
            text, name = f"stopped waiting; job {job_ids[0]} goes on", job_ids[0]
        else:
            text, name = f"stopped waiting; {len(job_ids)} jobs go on", "JOB_ID..."
        hint = f"`pocket3d watch {name}` follows it, `pocket3d cancel {name}` ends it"
        raise Stopped(text, Exit.INTERRUPTED, hint=hint) from None


@contextmanager
def explain_to_user() -> Iterator[None]:
    """Tell the errors that a person can do something about; others are bugs and keep their trace."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
        raise click.exceptions.Exit(int(Exit.INTERRUPTED)) from None
    except (BusError, ClientError, ValueError) as error:
        told = explain(error)
        if told is None:
            raise
        raise told from error


def runs(function: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make an async function a command's: run it, tell its errors, stop at Ctrl-C or SIGTERM."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        logging.configure(level=os.environ.get("POCKET3D_LOG_LEVEL", "warning"))
        with explain_to_user():
            run_until_done(function(*args, **kwargs))

    return command
