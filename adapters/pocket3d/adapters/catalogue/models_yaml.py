"""`models.yaml`: which adapters an agent has, and how each is started.

    adapters:
      <adapter_id>:
        class: "module.Class"        # not needed for a built-in id, another name of one (`aliases`), a package's
        config: {...}                # arguments of the constructor
        feature: text_to_mesh        # default: the class's
        python: /opt/x/bin/python    # default: the agent's
        env: {NAME: value}
        path: [thirdparty/X]         # put on the worker's sys.path, before this file's own folder
        devices: [cuda, cpu]         # default: the class's
        accept_license: true
        variants: [{name: "512", vram_mb: 8192, quality: 1, config: {...}}]   # default: the class's
    builtins: true                   # false: the adapters named here and no others, installed packages' included
    deployment:
      auto_load_adapters: true       # register them; nothing is loaded into VRAM by it
      preferred_adapters: {text_to_mesh: [a, b]}

Built-in adapters and those of installed packages (`entry_points`) need not be named; an entry with their id overrides
them. Relative paths are relative to the file's folder. Anything unknown is refused with its place.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.contracts.adapter_ids import with_ours
from pocket3d.contracts.codec import is_wire_integer
from pocket3d.contracts.features import FEATURE_PATTERN, canonical
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN
from pocket3d.contracts.variants import VARIANT_PATTERN
from pocket3d.contracts.worker_frames import AdapterSpec, ConfiguredVariant

from ..runtime.describe import DEVICE_KINDS
from . import aliases
from .builtin import BUILTIN_ADAPTERS
from .entry_points import InstalledAdapter, installed_adapters
from .yaml_places import ModelsFileError, Place, PlacedYaml

__all__ = ["ConfiguredAdapter", "ModelsConfig", "ModelsFileError", "builtin_models", "load_models_yaml"]

_TOP = ("adapters", "builtins", "deployment")
_ENTRY = ("class", "config", "feature", "python", "env", "path", "devices", "accept_license", "variants")
_VARIANT = ("name", "vram_mb", "quality", "config")
_DEPLOYMENT = ("auto_load_adapters", "preferred_adapters")
_MAX_FILE_BYTES = 1024 * 1024
_NO_HOME = "there is no such user, or the user has no home folder"


class ConfiguredAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter and how its processes are started."""

    spec: AdapterSpec
    #: Interpreter: an absolute path, or a name looked up on PATH. None for the agent's own.
    python: str | None = None
    env: dict[str, str] = {}


class ModelsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The adapters of a `models.yaml` together with the built-ins."""

    #: All that are declared, built-ins first.
    declared: list[ConfiguredAdapter]
    #: Feature (canonical) -> adapter ids, best first; ids need not be declared here.
    preferred: dict[str, list[str]] = {}
    auto_load_adapters: bool = True

    @property
    def adapters(self) -> list[ConfiguredAdapter]:
        """Those that an agent registers: all declared ones, none with `auto_load_adapters: false`."""
        return list(self.declared) if self.auto_load_adapters else []


def builtin_models(installed: Sequence[InstalledAdapter] | None = None) -> ModelsConfig:
    """The adapters of an agent without a file: the built-in ones and those of installed packages.

    `installed` are the latter, where not those of this interpreter are meant.
    """
    return ModelsConfig(declared=list(_registered(installed).values()))


def load_models_yaml(file: str | Path, installed: Sequence[InstalledAdapter] | None = None) -> ModelsConfig:
    """Read a `models.yaml`.

    `installed` is as for `builtin_models`.

    Raises:
        ModelsFileError: it cannot be read or is wrong; says where.
    """
    # Not resolved: a configuration reached through a symlink means the folder in which the link stands.
    try:
        path = Path(os.path.abspath(Path(file).expanduser()))  # noqa: PTH100
    except RuntimeError as error:
        raise ModelsFileError(f"{file}: {_NO_HOME}") from error
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ModelsFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelsFileError(f"{path}: not UTF-8: {error}") from error
    if len(data) > _MAX_FILE_BYTES:
        raise ModelsFileError(f"{path}: larger than {_MAX_FILE_BYTES} bytes")
    return _Reader(PlacedYaml(path, text), path.parent, installed).models()


def _registered(installed: Sequence[InstalledAdapter] | None) -> dict[str, ConfiguredAdapter]:
    """Those that work without an entry: built-ins that need no environment of their own, and installed packages'."""
    registered = {
        each.adapter_id: ConfiguredAdapter(
            spec=AdapterSpec(adapter_id=each.adapter_id, class_path=each.class_path, feature=each.feature)
        )
        for each in BUILTIN_ADAPTERS
        if each.recipe is None
    }
    for one in installed_adapters() if installed is None else installed:
        if one.problem is None:
            registered[one.adapter_id] = ConfiguredAdapter(
                spec=AdapterSpec(adapter_id=one.adapter_id, class_path=one.class_path)
            )
    return registered


class _Reader:
    def __init__(self, source: PlacedYaml, folder: Path, installed: Sequence[InstalledAdapter] | None) -> None:
        self._source = source
        self._folder = folder
        self._registered = _registered(installed)

    def models(self) -> ModelsConfig:
        data = self._source.data
        top = self._mapping({} if data is None else data, (), _TOP)
        declared = dict(self._registered) if self._flag(top, (), "builtins", True) else {}
        for adapter_id, entry in self._mapping(top.get("adapters") or {}, ("adapters",), None).items():
            declared[adapter_id] = self._adapter(adapter_id, entry)
        place: Place = ("deployment",)
        deployment = self._mapping(top.get("deployment") or {}, place, _DEPLOYMENT)
        return ModelsConfig(
            declared=list(declared.values()),
            preferred=self._preferred(deployment.get("preferred_adapters") or {}, (*place, "preferred_adapters")),
            auto_load_adapters=self._flag(deployment, place, "auto_load_adapters", True),
        )

    def _adapter(self, adapter_id: str, value: Any) -> ConfiguredAdapter:
        place: Place = ("adapters", adapter_id)
        self._adapter_id(adapter_id, place)
        entry = self._mapping({} if value is None else value, place, _ENTRY)
        config = entry.get("config")
        env = self._mapping(entry.get("env") or {}, (*place, "env"), None)
        python = self._text(entry, place, "python")
        # A bare name is for PATH; the path of a venv's python must not be resolved, the venv is where its link stands.
        if python is not None and (os.sep in python or python.startswith("~")):
            python = self._absolute(python, (*place, "python"))
        path = self._folders(entry.get("path"), (*place, "path"))
        target = self._target(adapter_id, entry, path, place)
        feature = self._text(entry, place, "feature")
        if "class" in entry and str(self._folder) not in path:
            # It may lie in a module beside the file.
            path = [*path, str(self._folder)]
        spec = AdapterSpec(
            adapter_id=adapter_id,
            class_path=target.class_path,
            config={**target.config, **self._config({} if config is None else config, (*place, "config"))},
            feature=None if feature is None else self._feature(feature, (*place, "feature")),
            path=path,
            devices=self._devices(entry.get("devices"), (*place, "devices")),
            accept_license=self._flag(entry, place, "accept_license", False),
            variants=self._variants(entry.get("variants"), (*place, "variants")),
        )
        return ConfiguredAdapter(
            spec=spec,
            python=python,
            env={name: self._variable(name, each, (*place, "env", name)) for name, each in env.items()},
        )

    def _target(self, adapter_id: str, entry: dict[str, Any], path: list[str], place: Place) -> aliases.Target:
        given = self._text(entry, place, "class")
        if given is None:
            known = aliases.of_id(adapter_id)
            if known is None and adapter_id in self._registered:
                known = aliases.Target(self._registered[adapter_id].spec.class_path, {})
            if known is None:
                raise self._source.error(place, 'class is missing; write class: "module.Class"')
            return known
        parts = given.split(".")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise self._source.error((*place, "class"), f'{given!r}: want "module.Class"')
        return aliases.of_class(given, path) or aliases.Target(given, {})

    def _feature(self, name: str, place: Place) -> str:
        if not FEATURE_PATTERN.fullmatch(name):
            raise self._source.error(place, f"feature {name!r}: want 1 to 48 of a-z, 0-9 and _")
        return canonical(name)

    def _config(self, value: Any, place: Place) -> dict[str, Any]:
        config = self._mapping(value, place, None)
        for name in config:
            if not name.isidentifier():
                raise self._source.error((*place, name), "is no name of a constructor's argument")
        return {name: self._plain(each, (*place, name)) for name, each in config.items()}

    def _plain(self, value: Any, place: Place) -> Any:
        """What can be sent to a worker. YAML also has dates and sets."""
        if isinstance(value, int) and not is_wire_integer(value):
            raise self._source.error(place, "the number does not fit into 64 bits; put it in quotes for a text")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._source.error(place, f"{value} is no number that JSON knows; put it in quotes, or leave it out")
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        if isinstance(value, list):
            return [self._plain(each, (*place, index)) for index, each in enumerate(value)]
        if isinstance(value, dict):
            return {name: self._plain(each, (*place, name)) for name, each in self._mapping(value, place, None).items()}
        raise self._source.error(place, f"{type(value).__name__}: put it in quotes to pass it as a text")

    def _variants(self, value: Any, place: Place) -> list[ConfiguredVariant]:
        if value is None:
            return []
        if not isinstance(value, list) or not value:
            raise self._source.error(place, "want a list of variants, each with its name")
        found: dict[str, ConfiguredVariant] = {}
        for index, listed in enumerate(value):
            here = (*place, index)
            entry = self._mapping(listed, here, _VARIANT)
            name = entry.get("name")
            # 512 without quotes is a number to YAML.
            name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
            if not isinstance(name, str) or not VARIANT_PATTERN.fullmatch(name):
                raise self._source.error(here, f"name {name!r}: want 1 to 32 of A-Z, a-z, 0-9, _, . and -")
            if name in found:
                raise self._source.error(here, f"variant {name!r} is there twice")
            config = self._config(entry.get("config") or {}, (*here, "config"))
            try:
                found[name] = msgspec.convert({**entry, "name": name, "config": config}, ConfiguredVariant)
            except msgspec.ValidationError as error:
                raise self._source.error(here, f"variant {name!r}: {error}") from error
        return list(found.values())

    def _folders(self, value: Any, place: Place) -> list[str]:
        given = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
            raise self._source.error(place, "want a folder or a list of folders")
        return [self._absolute(each, place) for each in given]

    def _absolute(self, text: str, place: Place) -> str:
        try:
            return os.path.abspath(self._folder / Path(text).expanduser())  # noqa: PTH100
        except RuntimeError as error:
            raise self._source.error(place, f"{text!r}: {_NO_HOME}") from error

    def _variable(self, name: str, value: Any, place: Place) -> str:
        if not name or "=" in name:
            raise self._source.error(place, f"{name!r} is no name of an environment variable; want one without =")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._source.error(place, f'want a text or a number, got {value!r}; put it in quotes, e.g. "1"')
        return str(value)

    def _devices(self, value: Any, place: Place) -> list[str] | None:
        if value is None:
            return None
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not given or any(each not in DEVICE_KINDS for each in given):
            raise self._source.error(place, f"want a list of {' and '.join(DEVICE_KINDS)}, got {value!r}")
        return [str(each) for each in given]

    def _preferred(self, value: Any, place: Place) -> dict[str, list[str]]:
        preferred: dict[str, list[str]] = {}
        for name, listed in self._mapping(value, place, None).items():
            here = (*place, name)
            ids = [listed] if isinstance(listed, str) else listed
            if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
                raise self._source.error(here, "want a list of adapter ids")
            for index, each in enumerate(ids):
                self._adapter_id(each, (*here, index))
            known = preferred.setdefault(self._feature(name, here), [])
            known += [each for each in with_ours(ids) if each not in known]
        return preferred

    def _adapter_id(self, adapter_id: str, place: Place) -> None:
        if not ADAPTER_ID_PATTERN.fullmatch(adapter_id):
            raise self._source.error(
                place, f"adapter id {adapter_id!r}: want 1 to 64 of a-z, 0-9, _, . and -, a letter or digit first"
            )

    def _mapping(self, value: Any, place: Place, known: tuple[str, ...] | None) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._source.error(place, f"want a mapping, got {type(value).__name__}")
        for key in value:
            if not isinstance(key, str):
                raise self._source.error((*place, str(key)), f"the key {key!r} is no text; put it in quotes")
            if known is not None and key not in known:
                raise self._source.error((*place, key), f"unknown key; known here: {', '.join(known)}")
        return value

    def _text(self, entry: dict[str, Any], place: Place, key: str) -> str | None:
        value = entry.get(key)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise self._source.error((*place, key), f"want a text, got {value!r}")
        return value

    def _flag(self, entry: dict[str, Any], place: Place, key: str, default: bool) -> bool:
        value = entry.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._source.error((*place, key), f"want true or false, got {value!r}")
        return default if value is None else value
