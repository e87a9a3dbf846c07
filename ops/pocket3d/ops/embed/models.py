"""From an adapter object of this process to what a worker process needs to build the same one."""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.catalogue.models_yaml import ConfiguredAdapter
from pocket3d.contracts.features import canonical
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN
from pocket3d.contracts.worker_frames import AdapterSpec
from pocket3d.gpu_agents.io.describe import DeclaredAdapter

_UNSAFE = re.compile(r"[^a-z0-9_.-]+")


class NotRebuildable(TypeError):
    """A worker process could not build this adapter; the message says why and what to do."""


def declaration(
    model: BaseModel,
    *,
    python: str | None = None,
    env: Mapping[str, str] | None = None,
    path: Sequence[str | Path] = (),
    accept_license: bool = False,
    configured: ConfiguredAdapter | None = None,
) -> DeclaredAdapter:
    """How a worker builds `model`: its class by module and name, with the arguments that it was constructed with. What
    was changed on the object afterwards is not taken along.

    Args:
        model: an instance, not loaded.
        python: interpreter of the model's own environment; None for this one.
        env: variables of the worker.
        path: folders for the worker's `sys.path`, before those that this process has.
        accept_license: the operator's yes to the licence of model and weights.
        configured: what `models.yaml` says of this class; where the model and the arguments here say nothing, it holds.

    Raises:
        NotRebuildable: its class cannot be imported elsewhere, or its arguments cannot be sent.
    """
    cls = type(model)
    _check_importable(cls)
    try:
        arguments = model.constructor_arguments
    except TypeError as error:
        raise NotRebuildable(f"{error}; give its constructor named arguments") from error
    defaults: dict[str, Any] = {}
    folders = [str(Path(folder).expanduser().absolute()) for folder in path]
    variables = dict(env or {})
    if configured is not None:
        defaults = configured.spec.config
        python = python or configured.python
        variables = {**configured.env, **variables}
        folders += [folder for folder in configured.spec.path if folder not in folders]
        accept_license = accept_license or configured.spec.accept_license
    folders += [folder for folder in _import_folders(cls, own=python is None) if folder not in folders]
    config = {name: _plain(value, f"{cls.__name__}({name}=...)") for name, value in arguments.items()}
    return DeclaredAdapter(
        spec=AdapterSpec(
            adapter_id=_adapter_id(model.model_id),
            class_path=f"{cls.__module__}.{cls.__qualname__}",
            config={**defaults, **config},
            feature=canonical(model.feature_type),
            path=folders,
            accept_license=accept_license,
            variants=[] if configured is None else configured.spec.variants,
        ),
        python=python,
        env=variables,
    )


def entry_for(model: BaseModel, configured: Sequence[ConfiguredAdapter]) -> ConfiguredAdapter | None:
    """The entry of `models.yaml` for a model: that of its id, or of the id under which the registry made it, if it is
    for its class.
    """
    class_path = f"{type(model).__module__}.{type(model).__qualname__}"
    entries = {each.spec.adapter_id: each for each in configured if each.spec.class_path == class_path}
    return entries.get(model.model_id) or entries.get(model.registered_id or "")


def _check_importable(cls: type[BaseModel]) -> None:
    """Raises `NotRebuildable` unless `import module` elsewhere gives the class under its name."""
    name, module = cls.__qualname__, cls.__module__
    why = f"a worker process imports the class {name} by its module and name, and cannot:"
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        where = f"the script {Path(file).name}" if file else "an interactive session"
        raise NotRebuildable(
            f"{why} it is defined in {where}; put it into a module of its own, e.g. my_adapter.py beside it, and write "
            f"`from my_adapter import {name.rpartition('.')[2]}`"
        )
    if "<locals>" in name:
        function = name.partition(".<locals>")[0]
        raise NotRebuildable(f"{why} it is defined inside {function}(); move it to the top level of {module}")
    if "." in name:
        outer = name.rpartition(".")[0]
        raise NotRebuildable(f"{why} it is defined inside {outer}; move it to the top level of {module}")
    if getattr(sys.modules.get(module), name, None) is not cls:
        raise NotRebuildable(
            f"{why} {module}.{name} is not this class (it was made or replaced at run time); define it with `class "
            f"{name}:` at the top level of a module"
        )


def _plain(value: Any, place: str) -> Any:
    """What can be sent to another process: JSON's values; paths become texts, tuples lists."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, PurePath):
        return str(value.absolute()) if isinstance(value, Path) else str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each, f"{place}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, f"{place}.{key}") for key, each in value.items()}
    raise NotRebuildable(
        f"{place} is a {type(value).__name__}, which cannot be sent to a worker process; pass a path, a text or a "
        "number, and make the object in _load_model"
    )


def _adapter_id(model_id: str) -> str:
    """A model's id as an adapter id (`My Model` -> `my-model`)."""
    name = _UNSAFE.sub("-", model_id.lower()).strip("-._")[:64]
    if not ADAPTER_ID_PATTERN.fullmatch(name):
        raise NotRebuildable(f"model_id {model_id!r}: want 1 to 64 of a-z, 0-9, _, . and -, a letter or digit first")
    return name


def _import_folders(cls: type[BaseModel], *, own: bool) -> list[str]:
    """Folders from which this process imports and a fresh interpreter would not: that of the class first and, where the
    worker's interpreter is this one (`own`), the others too, since the class's module may import from them.
    """
    name = cls.__module__.partition(".")[0]
    top = sys.modules.get(name)
    places: list[str] = []
    # What workers need of Pocket3DStudio they have.
    if name != "pocket3d":
        places = [str(Path(place).parent) for place in getattr(top, "__path__", [])]
        file = getattr(top, "__file__", None)
        if file and not places:
            places = [str(Path(file).parent)]
    paths = sysconfig.get_paths()
    library = paths["stdlib"]
    usual = {*paths.values(), *site.getsitepackages(), site.getusersitepackages(), f"{library}/lib-dynload"}
    zipped = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    found: dict[str, None] = {}
    for entry in [*places, *(sys.path if own else [])]:
        folder = str(Path(entry).absolute())
        if folder not in usual and Path(folder).name != zipped:
            found[folder] = None
    return list(found)
