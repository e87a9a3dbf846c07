"""How to reach a NATS server: from arguments, the environment or a context of the nats CLI. Connects nothing itself."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nkeys

from .contexts import ContextError, options_of, read_context, selected_context

DEFAULT_SERVER = "nats://127.0.0.1:4222"
_API = "$JS.API"
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_SCHEMES = ("nats", "tls", "ws", "wss")
_INBOX_PREFIX = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")

#: Environment variables of the nats CLI, and the option each one sets.
_ENVIRONMENT = {
    "NATS_USER": "user",
    "NATS_PASSWORD": "password",
    "NATS_TOKEN": "token",
    "NATS_CREDS": "creds",
    "NATS_NKEY": "nkey",
    "NATS_CERT": "tls_cert",
    "NATS_KEY": "tls_key",
    "NATS_CA": "tls_ca",
}
#: Variables of the nats CLI that ask for what we cannot do. They are refused rather than passed over.
_UNSUPPORTED = {
    "NATS_SOCKS_PROXY": "a SOCKS proxy",
    "NATS_JWT": "a bare JWT; put it into a .creds file with its seed",
    "NATS_SEED": "a bare seed; put it into a .creds file with its JWT",
}
#: What says who one is. They are taken from one place only: those of two places would contradict each other.
_IDENTITY = frozenset({"user", "token", "creds", "nkey"})
#: What files of credentials hold.
_SEED = re.compile(rb"\s*(?P<seed>S[A-Z2-7]+)\s*")
_CREDS = re.compile(
    rb".*-----BEGIN NATS USER JWT-----\s+\S+\s+-+END NATS USER JWT-+.*"
    rb"-----BEGIN USER NKEY SEED-----\s+(?P<seed>S[A-Z2-7]+)\s+-+END USER NKEY SEED-+.*",
    re.DOTALL,
)
_PATHS = frozenset({"creds", "nkey", "tls_cert", "tls_key", "tls_ca"})


class ConnectError(ValueError):
    """The options do not make sense together, or a file they name cannot be read."""


@dataclass(frozen=True, repr=False)
class ConnectOptions:
    """Where the server is and who we are. Secrets never appear in `repr`."""

    servers: tuple[str, ...] = (DEFAULT_SERVER,)
    #: Shown by the server's monitoring, e.g. `agent:gpu-07`.
    name: str = "pocket3d"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    #: A .creds file: user JWT and its seed.
    creds: Path | None = None
    #: A file with an nkey user seed.
    nkey: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    #: Certificate authority that signed the server's certificate; the system's if None.
    tls_ca: Path | None = None
    #: TLS handshake before the server's INFO (the server's `handshake_first`).
    tls_first: bool = False
    #: Must match the permissions of the user.
    inbox_prefix: str = "_INBOX"
    #: JetStream domain that is meant, e.g. the hub's, seen from a leaf node; the server's own if None.
    jetstream_domain: str | None = None
    #: First tokens of the JetStream API's subjects where an account imports it under another name; `$JS.API` if None.
    jetstream_api_prefix: str | None = None
    #: The context that `nats context select` chose, where nobody named a server: told if none answers at the default.
    selected_context: str | None = None
    #: How long the first connect may take before it is an error, seconds. Later ones go on forever.
    wait_s: float = 10.0
    #: How often a silent server is asked whether it lives, seconds; two unanswered ones end the connection.
    ping_interval_s: float = 5.0
    #: Pause between attempts to connect again, seconds.
    reconnect_wait_s: float = 0.25

    def __repr__(self) -> str:
        return f"ConnectOptions(servers={self.public_servers}, name={self.name!r}, auth={self.auth_kind!r})"

    @property
    def public_servers(self) -> tuple[str, ...]:
        """The URLs without user names, passwords and tokens."""
        return tuple(_USERINFO.sub("//", url) for url in self.servers)

    @property
    def auth_kind(self) -> str:
        """`creds`, `nkey`, `user`, `token`, `url` or `none`: which kind of identity is presented."""
        for kind in ("creds", "nkey", "user", "token"):
            if getattr(self, kind) is not None:
                return kind
        return "url" if any(_USERINFO.search(url) for url in self.servers) else "none"

    @property
    def api_prefix(self) -> str:
        """First tokens of the JetStream API's subjects."""
        if self.jetstream_domain:
            return f"$JS.{self.jetstream_domain}.API"
        return self.jetstream_api_prefix or _API

    @property
    def about_selected_context(self) -> str:
        """The end of a sentence that says that no server answers."""
        name = self.selected_context
        if not name:
            return ""
        used = f"it is used only where it is named: --context {name} or NATS_CONTEXT={name}"
        return f"; `nats context select` chose {name!r}, and {used}"

    def on_the_server(self, subject: str) -> str:
        """What a subject of JetStream is called where it is in another domain, or imported under another prefix.

        The names are those of all NATS clients: a bucket's keys follow the API's prefix, chunks of files do not.
        """
        prefix = self.api_prefix
        if prefix != _API:
            if subject.startswith(f"{_API}."):
                return prefix + subject[len(_API) :]
            if subject.startswith("$KV."):
                return f"{prefix}.{subject}"
        return subject

    def named(self, name: str) -> ConnectOptions:
        """The same under another connection name."""
        return replace(self, name=name)

    def tls_context(self) -> ssl.SSLContext | None:
        """What TLS is spoken with, or None when neither options nor URLs ask for it.

        Raises:
            ConnectError: a certificate or key cannot be loaded.
        """
        wanted = self.tls_ca or self.tls_cert or self.tls_first
        if not wanted and not any(url.startswith(("tls://", "wss://")) for url in self.servers):
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.tls_ca) if self.tls_ca else None)
            if self.tls_cert:
                context.load_cert_chain(str(self.tls_cert), str(self.tls_key) if self.tls_key else None)
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError. ValueError: a null byte in a path.
            raise ConnectError(f"TLS: cannot load ca={self.tls_ca} cert={self.tls_cert}: {error}") from error
        return context

    def client_settings(self) -> dict[str, Any]:
        """Keyword arguments for the NATS client. Nothing is buffered while disconnected (`pending_size` -1).

        Raises:
            ConnectError: a file cannot be read, or holds no credentials.
        """
        for path, form in ((self.creds, _CREDS), (self.nkey, _SEED)):
            if path is not None:
                self._check_credentials(path, form)
        settings: dict[str, Any] = {
            "servers": list(self.servers),
            "name": self.name,
            "inbox_prefix": self.inbox_prefix,
            "connect_timeout": 2,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": self.reconnect_wait_s,
            "ping_interval": self.ping_interval_s,
            "max_outstanding_pings": 2,
            "drain_timeout": 10,
            "pending_size": -1,
            "tls": self.tls_context(),
            "tls_handshake_first": self.tls_first,
        }
        if self.creds is not None:
            settings["user_credentials"] = str(self.creds)
        if self.nkey is not None:
            settings["nkeys_seed"] = str(self.nkey)
        for key in ("user", "password", "token"):
            if getattr(self, key) is not None:
                settings[key] = getattr(self, key)
        return settings

    def _check_credentials(self, path: Path, form: re.Pattern[bytes]) -> None:
        try:
            data = path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise ConnectError(f"{str(path)[:200]} cannot be read: {error.strerror or error}") from error
        if data is None:
            raise ConnectError(f"{path}: no such file; it should hold the credentials for {self.public_servers}")
        found = form.fullmatch(data)
        try:
            if found is not None:
                nkeys.from_seed(bytearray(found["seed"])).wipe()
                return
        except (nkeys.NkeysError, ValueError, TypeError):
            # Told without the error's text, which may show the seed.
            pass
        what = "a user's JWT and seed, as `nsc generate creds` writes them" if form is _CREDS else "the seed of a user"
        raise ConnectError(f"{path} holds no credentials: want {what}")


def resolve(
    servers: str | Sequence[str] | None = None,
    *,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> ConnectOptions:
    """Options as the nats CLI would find them: arguments, then the environment, then the context of `NATS_CONTEXT`.

    It differs from the CLI in two things, on purpose. A context that is named by argument comes before the environment:
    what is typed goes before what is set. And a context that is only selected (`nats context select`) is not used, so
    that a program never talks to a server that nobody named to it.

    Args:
        servers: one URL, several with commas, or a list.
        context: name of a nats CLI context.
        environ: the environment; `os.environ` if None.
        options: fields of `ConnectOptions`; None means not given.

    Raises:
        ConnectError: a text that is no address, an unknown context, one that cannot be read, or one (or a variable)
            that asks for what we cannot do.
    """
    env = os.environ if environ is None else environ
    for variable, what in _UNSUPPORTED.items():
        if env.get(variable):
            raise ConnectError(f"{variable} is set: pocket3d cannot connect by {what}")
    layers = [{key: value for key, value in options.items() if value is not None}, _from_environment(env)]
    if servers:
        layers[0]["servers"] = split_urls(servers)
    named = context or env.get("NATS_CONTEXT")
    if named:
        try:
            body = options_of(named, read_context(named, env), env)
        except ContextError as error:
            raise ConnectError(str(error)) from error
        urls = split_urls(str(body.pop("url", "")))
        layers.insert(1 if context else 2, {**body, **({"servers": urls} if urls else {})})
    found = _merged(layers)
    if "servers" not in found and not named:
        found["selected_context"] = selected_context(env)
    for key in _PATHS & set(found):
        try:
            found[key] = Path(found[key]).expanduser()
        except RuntimeError as error:
            raise ConnectError(f"{found[key]}: there is no such user, or the user has no home folder") from error
    if not _INBOX_PREFIX.fullmatch(found.get("inbox_prefix", "_INBOX")):
        raise ConnectError(f"inbox_prefix {found['inbox_prefix']!r}: want subject tokens without blanks, * and >")
    return ConnectOptions(**found)


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {option: env[name] for name, option in _ENVIRONMENT.items() if env.get(name)}
    if "user" in found and "password" not in found:
        # As in the CLI, whose `--user` is "Username or Token".
        found["token"] = found.pop("user")
    urls = split_urls(env.get("NATS_URL", ""))
    return {**found, **({"servers": urls} if urls else {})}


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All layers as one, the first one counts; but of who one is, all that a later layer says is left out."""
    found: dict[str, Any] = {}
    for layer in layers:
        known = bool(_IDENTITY & found.keys())
        # A user's name and his password may come from two places, and nothing else.
        left_out = _IDENTITY | (set() if "user" in found else {"password"}) if known else frozenset()
        found = {**{key: value for key, value in layer.items() if key not in left_out}, **found}
    if "user" in found:
        found.pop("token", None)
    return found


def split_urls(servers: str | Sequence[str]) -> tuple[str, ...]:
    """URLs from a comma-separated text or a list; `nats://` where no scheme is given.

    Raises:
        ConnectError: one is no address of a server.
    """
    parts = servers.split(",") if isinstance(servers, str) else list(servers)
    urls = tuple(url if "://" in url else f"nats://{url}" for url in (part.strip() for part in parts) if url)
    for url in urls:
        if not _is_address(url):
            # Without the reason: it would quote what stands in place of the port, which may be of a password.
            raise ConnectError(
                f"{_USERINFO.sub('//', url)!r} is no server's address: want nats://HOST:PORT (or tls://, ws://, "
                "wss://) with a port of 1 to 65535; a password with other signs goes into NATS_USER and NATS_PASSWORD"
            )
    return urls


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    whole = url.isprintable() and not any(each.isspace() for each in url)
    # What follows the host of nats:// is a part of a password, or nothing that anybody would read.
    extra = parts.query or parts.fragment or (parts.path.strip("/") and parts.scheme in ("nats", "tls"))
    return whole and parts.scheme in _SCHEMES and bool(parts.hostname) and port != 0 and not extra
