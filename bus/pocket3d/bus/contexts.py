"""Contexts of the nats CLI: files that name a server and an identity. Read as the CLI reads them, or refused.

A key that is not supported is never passed over: a context that names a proxy or another JetStream would lead to a
server that its owner did not mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .private_file import write_private

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
#: References that the CLI looks up elsewhere (1Password, nsc, the environment, or the value itself).
_REFERENCE = re.compile(r"(op|nsc|env)://|data:", re.IGNORECASE)

#: Keys of a context file, and the option of `ConnectOptions` that each one sets; `url` sets the servers.
_OPTIONS = {
    "url": "url",
    "user": "user",
    "password": "password",
    "token": "token",
    "creds": "creds",
    "nkey": "nkey",
    "cert": "tls_cert",
    "key": "tls_key",
    "ca": "tls_ca",
    "tls_first": "tls_first",
    "inbox_prefix": "inbox_prefix",
    "jetstream_domain": "jetstream_domain",
    "jetstream_api_prefix": "jetstream_api_prefix",
}
#: Keys that say nothing about how to connect. Advisories, which have a prefix of their own, are not read by us.
_IGNORED = frozenset({"name", "description", "color_scheme", "jetstream_event_prefix"})
_FILES = frozenset({"creds", "nkey", "cert", "key", "ca"})
_SECRETS = frozenset({"creds", "nkey", "password", "token"})
#: What to do instead of a key that we do not support.
_INSTEAD = {
    "user_jwt": "put the JWT and its seed into a .creds file and name it as `creds`",
    "user_seed": "put the JWT and its seed into a .creds file and name it as `creds`",
    "nsc": "name the .creds file as `creds`",
}


class ContextError(ValueError):
    """There is no such context, or it cannot be used."""


def folder(environ: Mapping[str, str]) -> Path:
    """Where the nats CLI keeps all that is its own."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "nats"


def context_file(name: str, environ: Mapping[str, str]) -> Path:
    """Where the nats CLI keeps a context."""
    return folder(environ) / "context" / f"{name}.json"


def selected_context(environ: Mapping[str, str]) -> str | None:
    """The context that `nats context select` chose, if any."""
    try:
        return (folder(environ) / "context.txt").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def read_context(name: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """The body of a context.

    Raises:
        ContextError: a bad name, no such file, not a JSON object, or a value of another type.
    """
    if not _NAME.fullmatch(name):
        raise ContextError(f"context {name!r}: want letters, digits, _, . and -")
    path = context_file(name, environ)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = sorted(p.stem for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        listed = f"known: {', '.join(known)}" if known else "`nats context add` makes one"
        raise ContextError(f"no NATS context {name!r} ({path}); {listed}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ContextError(f"NATS context {name!r} ({path}) cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise ContextError(f"NATS context {name!r} ({path}) is not a JSON object")
    for key in _OPTIONS:
        value, wanted = body.get(key), bool if key == "tls_first" else str
        if value is not None and not isinstance(value, wanted):
            kind = "true or false" if wanted is bool else "a text"
            raise ContextError(f"NATS context {name!r} ({path}): {key} is a {type(value).__name__}, want {kind}")
    return body


def write_context(name: str, body: Mapping[str, Any], environ: Mapping[str, str], *, ours: str) -> bool:
    """Write a context for the nats CLI, readable by its owner alone, unless it stands there as somebody's own.

    Args:
        name: of the context.
        body: its keys; `description` begins with `ours`.
        environ: tells where contexts are.
        ours: how descriptions of those begin that we may replace.

    Returns:
        False: there is one of that name that is not ours; it is left as it is.

    Raises:
        OSError: it cannot be written.
    """
    path = context_file(name, environ)
    if path.exists():
        try:
            if not str(read_context(name, environ).get("description", "")).startswith(ours):
                return False
        except ContextError:
            return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, json.dumps(body, indent=2) + "\n")
    return True


def options_of(name: str, body: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """What a context says, as `url` and fields of `ConnectOptions`; empty values are left out.

    Of several identities the one counts that the CLI takes: a user, else credentials, else an nkey. Names of files may
    have variables and begin with `~` or `file://`.

    Raises:
        ContextError: a key that is not supported has a value.
    """
    given = {key: value for key, value in body.items() if value not in (None, "", False, [], {})}
    for key in sorted(given.keys() - _OPTIONS.keys() - _IGNORED):
        instead = _INSTEAD.get(key, "name a context without it, or connect by -s and the options for credentials")
        raise ContextError(f"NATS context {name!r}: pocket3d does not support its key {key!r}; {instead}")
    for first, others in (("user", ("creds", "nkey")), ("creds", ("nkey",))):
        if first in given:
            given = {key: value for key, value in given.items() if key not in others}
    found: dict[str, Any] = {}
    for key in sorted(given.keys() - _IGNORED):
        value = given[key]
        if key in _SECRETS and (reference := _REFERENCE.match(value)):
            raise ContextError(
                f"NATS context {name!r}: pocket3d does not look {key!r} up where it points to ({reference[0]}...); "
                "write a value or the name of a file there"
            )
        found[_OPTIONS[key]] = _file(value, environ) if key in _FILES else value
    return found


def _file(name: str, environ: Mapping[str, str]) -> str:
    """The name of a file, with the environment's variables put in as Go's `os.ExpandEnv` does."""
    plain = name[len("file://") :] if name.lower().startswith("file://") else name
    return _VARIABLE.sub(lambda found: environ.get(found[1] or found[2], ""), plain)
