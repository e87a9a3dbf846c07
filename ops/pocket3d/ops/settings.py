"""Settings: read once at the edge, from flags and from `POCKET3D_*` variables, into frozen structs.

Each part's own settings (coordinator, agent, topology) are a struct of that part. A field is set by the variable
`POCKET3D_<PART>_<FIELD>` or by the flag `--set field=value`, which wins. Unknown names and wrong types are refused with
the names that there are.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

T = TypeVar("T")

PREFIX = "POCKET3D"
#: Variables that the flags of the command line read themselves, and those between an agent and its workers.
_NOT_FIELDS = frozenset({"POCKET3D_AGENT_ID", "POCKET3D_WORKER_FD", "POCKET3D_WORKER_JOURNAL"})


class SettingsError(ValueError):
    """A setting does not exist or has a value that it cannot have. The message says which, and what to write."""


def read(kind: type[T], part: str, environ: Mapping[str, str], pairs: Iterable[str] = ()) -> T:
    """The settings of one part.

    Args:
        kind: a frozen msgspec Struct or dataclass whose fields all have defaults.
        part: `coordinator`, `agent` or `topology`: the variables' middle word.
        environ: the environment.
        pairs: `field=value` from the command line.

    Raises:
        SettingsError: an unknown field, or a value of the wrong kind.
    """
    fields = _fields(kind)
    prefix = f"{PREFIX}_{part.upper()}_"
    found: dict[str, tuple[str, str]] = {}
    for variable, value in environ.items():
        if variable.startswith(prefix) and variable not in _NOT_FIELDS:
            found[variable.removeprefix(prefix).lower()] = (variable, value)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair}: want field=value, for example --set {fields[0]}=...")
        found[name.strip().replace("-", "_")] = (f"--set {name}", value)
    values: dict[str, Any] = {}
    for name, (source, text) in found.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=3) or fields
            raise SettingsError(f"{source}: the {part} has no setting {name!r}; there is {', '.join(near)}")
        values[name] = _value(kind, name, text, source)
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{part}: {error}") from error


def _fields(kind: type[Any]) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(kind.__struct_fields__)


def _value(kind: type[Any], name: str, text: str, source: str) -> Any:
    """Text as the field's type: numbers and true/false as they are, lists and maps as JSON, `null` for nothing."""
    wanted = get_type_hints(kind, include_extras=True)[name]
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # So the command line and the environment pass bytes that are none.
        raise SettingsError(f"{source}={text[:200]!r} is no text in UTF-8") from error
    candidate: Any = text
    if text == "null":
        candidate = None
    elif text[:1] in ("[", "{"):
        try:
            candidate = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{source}={text[:200]!r} is not JSON: {error}") from error
    try:
        return msgspec.convert(candidate, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}={text[:200]!r}: {error}") from error


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where `pocket3d up` keeps its store by default: the user's state folder, or `POCKET3D_STATE`.

    Raises:
        SettingsError: `POCKET3D_STATE` begins with ~ and a user who is not there.
    """
    given = environ.get(f"{PREFIX}_STATE")
    if given:
        try:
            return Path(given).expanduser()
        except RuntimeError as error:
            raise SettingsError(f"{PREFIX}_STATE={given}: there is no such user, or no home folder") from error
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "pocket3d"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "pocket3d"
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "pocket3d"
