"""Options that commands share: the way to the server, the form of output and log, the machine of an agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from pocket3d.bus.client import Client, Connecting
from pocket3d.bus.connect import ConnectOptions, resolve
from pocket3d.contracts.subjects import JOB_ID_PATTERN, Subjects

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
#: Those that must be there.
THIS_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
THIS_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

#: How long a command of a person waits for a server, seconds.
FIRST_CONNECT_S = 2.0
#: How long a service waits for its first connection, seconds; then it says so and ends. Later ones it awaits for ever.
SERVICE_CONNECT_S = 15.0


@dataclass(frozen=True)
class Target:
    """Which namespace on which server, and who we are."""

    namespace: str
    server: str | None = None
    #: Keyword arguments of `pocket3d.bus.connect.resolve`.
    identity: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def subjects(self) -> Subjects:
        """The names under the namespace."""
        return Subjects(self.namespace)

    def options(self, name: str, *, wait_s: float = FIRST_CONNECT_S) -> ConnectOptions:
        """What to connect with.

        Raises:
            ConnectError
        """
        options = resolve(self.server, name=name, wait_s=wait_s, **self.identity)
        # A file that cannot be read is told before anything is connected.
        options.client_settings()
        return options

    def client(self, name: str) -> Connecting:
        """A client, to be used with `async with`.

        Raises:
            ConnectError
        """
        self.options(name)
        return Client.connect(self.server, self.namespace, name=name, wait_s=FIRST_CONNECT_S, **self.identity)


_IDENTITY: dict[str, tuple[str, str]] = {
    # flag -> (argument of resolve, help)
    "--creds": ("creds", "Authenticate with this credentials file (user JWT and seed).  [env: NATS_CREDS]"),
    "--nkey": ("nkey", "Authenticate with the nkey seed in this file.  [env: NATS_NKEY]"),
    "--tlscert": ("tls_cert", "Present this TLS certificate.  [env: NATS_CERT]"),
    "--tlskey": ("tls_key", "Use this key of the TLS certificate.  [env: NATS_KEY]"),
    "--tlsca": ("tls_ca", "Trust the authority that signed the server's certificate.  [env: NATS_CA]"),
}


def _namespace(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        Subjects(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order of `--help`."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


class ConnectionOption(click.Option):
    """One of the ways to a server: `--help` names all of them on one line, and `doctor --help` explains each."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Name and text; None where another one's record names it."""
        if ctx.info_name == "doctor":
            return super().get_help_record(ctx)
        if self.name != "server":
            return None
        folded = [each.opts for each in ctx.command.params if isinstance(each, ConnectionOption)]
        names = ", ".join(name for names in folded for name in names)
        return names, "Say which NATS server it is, and who we are; `pocket3d doctor --help` tells of each."


_NAMESPACE: dict[str, Any] = {
    "envvar": "POCKET3D_NAMESPACE",
    "default": "p3d",
    "show_default": True,
    "show_envvar": True,
    "callback": _namespace,
    "help": "Use subjects that begin with this token.",
}
namespace_option = click.option("--namespace", **_NAMESPACE)


def _connection_option(*names: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, cls=ConnectionOption, **settings)


_TARGET_OPTIONS = together(
    _connection_option(
        "-s",
        "--server",
        help="Connect to this NATS URL, or several with commas.  [env: NATS_URL; default: nats://127.0.0.1:4222]",
    ),
    _connection_option("--context", help="Connect as this context of the nats CLI says.  [env: NATS_CONTEXT]"),
    *(
        _connection_option(flag, name, type=click.Path(dir_okay=False), help=text)
        for flag, (name, text) in _IDENTITY.items()
    ),
    _connection_option(
        "--tlsfirst", "tls_first", is_flag=True, help="Begin with the TLS handshake, before the server says anything."
    ),
    _connection_option("--namespace", **_NAMESPACE),
)


def connects(command: F) -> F:
    """Give a command `-s`, `--context`, credentials, TLS and `--namespace`; it gets them as `target`.

    User name, password and token come from NATS_USER, NATS_PASSWORD and NATS_TOKEN only: what is on a command line can
    be read by everybody on the machine.
    """

    @wraps(command)
    def inner(
        *args: Any, server: str | None, context: str | None, tls_first: bool | None, namespace: str, **given: Any
    ) -> Any:
        identity = {name: given.pop(name) for name, _ in _IDENTITY.values()}
        identity |= {"context": context, "tls_first": tls_first or None}
        target = Target(namespace, server, {k: v for k, v in identity.items() if v is not None})
        return command(*args, target=target, **given)

    wrapped: Any = inner
    result: F = _TARGET_OPTIONS(wrapped)
    return result


def seconds_option(flag: str, text: str, *, least: float = 0, default: float | None = None) -> Callable[[F], F]:
    """A time limit in seconds."""
    kind = click.FloatRange(min=least)
    return click.option(flag, type=kind, metavar="S", default=default, show_default=default is not None, help=text)


#: Of a command that waits for results.
wait_option = seconds_option("--timeout", "Wait at most S seconds, then end with exit code 7.")


def up_options(port: str, store: str) -> Callable[[F], F]:
    """`--port` and `--store` of the system that `up` starts; both helps are told by the command."""
    return together(
        click.option(
            "--port", type=click.IntRange(0, 65535), default=4222, show_default=True, envvar="POCKET3D_PORT", help=port
        ),
        click.option(
            "--store", type=FOLDER, envvar="POCKET3D_STORE", help=f"{store}  [default: in the user's state folder]"
        ),
    )


commercial_option = click.option(
    "--commercial-only", is_flag=True, help="Show only adapters whose licence allows commercial use."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON as it is on the wire.")

download_options = together(
    click.option(
        "--download", type=FOLDER, metavar="DIR", help="Write the job's files to DIR/JOB_ID once it has succeeded."
    ),
    click.option(
        "--overwrite", is_flag=True, help="Replace files under DIR/JOB_ID that are not this job's; else they are kept."
    ),
)

#: For what runs as a service.
log_options = together(
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        envvar="POCKET3D_LOG_LEVEL",
        show_envvar=True,
        help="Log what is at least so important.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["auto", "json", "text"]),
        default="auto",
        show_default=True,
        envvar="POCKET3D_LOG_FORMAT",
        show_envvar=True,
        help="Write the log as text or as JSON lines; auto is text on a terminal.",
    ),
)


def set_option(part: str) -> Callable[[F], F]:
    """`--set field=value`, for one part's settings."""
    return click.option(
        "--set",
        "pairs",
        multiple=True,
        metavar="FIELD=VALUE",
        help=f"Change one of the {part}'s settings; POCKET3D_{part.upper()}_<FIELD> does the same.",
    )


models_option = click.option(
    "--models",
    type=FILE,
    envvar="POCKET3D_MODELS",
    show_envvar=True,
    help="Add the adapters of this models.yaml to the built-in ones.",
)

devices_option = click.option(
    "--devices",
    default="auto",
    show_default=True,
    envvar="POCKET3D_DEVICES",
    show_envvar=True,
    metavar="SPEC",
    help="Use these devices: auto, nvml, fixed:24576,12288 (simulated), cpu:8192 (sizes in MB); joined by +.",
)

#: Of an agent, alone or under `up`.
agent_options = together(
    click.option(
        "--agent-id",
        envvar="POCKET3D_AGENT_ID",
        show_envvar=True,
        help="Name the agent with one subject token.  [default: the host's name]",
    ),
    devices_option,
    models_option,
    click.option(
        "--memory-buffer",
        type=click.IntRange(min=0),
        metavar="MB",
        envvar="POCKET3D_MEMORY_BUFFER",
        help="Keep so many MB free on every device.  [default: 1024 on GPUs, 0 on others]",
    ),
)


def check_job_ids(_: click.Context, __: click.Parameter, value: Any) -> Any:
    """Refuse what is no job id."""
    for each in [value] if isinstance(value, str) else value:
        if not JOB_ID_PATTERN.fullmatch(each):
            raise click.BadParameter(f"{each!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -")
    return value


job_argument = click.argument("job_id", callback=check_job_ids)
#: At least one.
job_arguments = click.argument("job_ids", nargs=-1, required=True, callback=check_job_ids, metavar="JOB_ID...")
