"""Makes an adapter from its specification: import, licence, construction. Where one fails, `AdapterUnavailable` says
why, for a person to act on.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pocket3d.contracts.variants import Variant, best_first, variant_named
from pocket3d.contracts.worker_frames import AdapterSpec

from ..base import BaseModel
from ..errors import AdapterUnavailable


def load_class(class_path: str) -> type[BaseModel]:
    """Import `module.Class`."""
    module_name, _, class_name = class_path.rpartition(".")
    if not module_name or not class_name:
        raise AdapterUnavailable(f"class {class_path!r}: want module.Class")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # importing a model's code may raise anything
        raise AdapterUnavailable(_import_problem(module_name, error)) from error
    found = getattr(module, class_name, None)
    if found is None:
        raise AdapterUnavailable(f"module {module_name} has no class {class_name}; correct `class` in models.yaml")
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise AdapterUnavailable(f"{class_path} is not a subclass of pocket3d.adapters.base.BaseModel")
    return found


def _import_problem(module_name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        if module_name == error.name or module_name.startswith(f"{error.name}."):
            where = "as `path` of the adapter in models.yaml (`adapters check`: --path)"
            return f"there is no module {error.name}; name the folder that has it {where}"
        return f"{module_name} needs the package {error.name}, which {sys.executable} lacks; install it there"
    return f"importing {module_name} failed: {type(error).__name__}: {error}"


def constructor_parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    """The arguments that a class takes, without `self`: those that it states as its signature, or its constructor's."""
    stated = getattr(cls, "__signature__", None)
    if isinstance(stated, inspect.Signature):
        return stated.parameters
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # looked at, not called
    return dict(list(parameters.items())[1:])


def build(cls: type[BaseModel], adapter_id: str, config: Mapping[str, Any]) -> BaseModel:
    """Construct the adapter. A class that demands `model_id` and is given none gets the adapter's id."""
    arguments = dict(config)
    parameters = constructor_parameters(cls)
    wanted = parameters.get("model_id")
    if wanted is not None and wanted.default is inspect.Parameter.empty:
        arguments.setdefault("model_id", adapter_id)
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        unknown = sorted(set(arguments) - set(parameters))
        if unknown:
            takes = ", ".join(parameters) or "none"
            raise AdapterUnavailable(f"{cls.__name__} takes no argument {unknown[0]!r} (config); it takes: {takes}")
    try:
        return cls(**arguments)
    except MemoryError:
        raise
    except Exception as error:
        # A constructor is foreign code; whatever it dislikes, the adapter cannot be had with this config here.
        raise AdapterUnavailable(f"{cls.__name__} cannot be constructed: {type(error).__name__}: {error}") from error


def check_license(cls: type[BaseModel], spec: AdapterSpec) -> None:
    """Refuse an adapter whose licence was not accepted."""
    terms = cls.license_info
    if terms is not None and terms.requires_acceptance and not spec.accept_license:
        raise AdapterUnavailable(
            f"its licence must be accepted first: write `accept_license: true` under adapters.{spec.adapter_id} in"
            f" models.yaml ({terms.summary()})"
        )


def extend_path(folders: list[str]) -> None:
    """Put the adapter's folders before everything else on `sys.path`, in their order."""
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]


def offered_variants(spec: AdapterSpec, own: Sequence[Variant]) -> list[Variant]:
    """The variants that an adapter is offered in: those of its class (`own`) or, where `models.yaml` lists some, these,
    with the class's figures for what is not stated there.
    """
    offered: list[Variant] = []
    for listed in spec.variants:
        declared = variant_named(own, listed.name)
        vram_mb, quality = listed.vram_mb, listed.quality
        if declared is not None:
            vram_mb = declared.vram_mb if vram_mb is None else vram_mb
            quality = declared.quality if quality is None else quality
        if vram_mb is None or quality is None:
            has = f"its class has {', '.join(each.name for each in own)}" if own else "its class has none"
            raise AdapterUnavailable(
                f"variant {listed.name!r} needs vram_mb and quality under adapters.{spec.adapter_id}.variants in "
                f"models.yaml ({has})"
            )
        offered.append(Variant(name=listed.name, vram_mb=vram_mb, quality=quality))
    return offered or list(own)


def from_spec(spec: AdapterSpec, variant: str | None = None) -> BaseModel:
    """Construct the adapter of a specification, in one of its variants (the best if none is named); its model is not
    loaded.
    """
    extend_path(spec.path)
    cls = load_class(spec.class_path)
    check_license(cls, spec)
    adapter = build(cls, spec.adapter_id, spec.config)
    offered = offered_variants(spec, adapter.variants)
    if not offered and variant is None:
        return adapter
    name = variant if variant is not None else best_first(offered)[0].name
    own = next((listed.config for listed in spec.variants if listed.name == name), {})
    if own:
        adapter = build(cls, spec.adapter_id, {**spec.config, **own})
    adapter.variants = offered
    try:
        adapter.choose_variant(name)
    except ValueError as error:
        raise AdapterUnavailable(str(error)) from error
    return adapter
