"""Adapters that installed packages bring: the entry-point group `pocket3d.adapters`.

    [project.entry-points."pocket3d.adapters"]
    my-model = "my_model.adapter:MyModelAdapter"      # adapter id = module:Class

Only the packages' metadata is read; nothing is imported here. An agent sees the packages of its own interpreter;
adapters of another interpreter are named in `models.yaml` with `python` and `class`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

import msgspec

from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN

from .builtin import BUILTIN_ADAPTERS

GROUP = "pocket3d.adapters"
#: `module:Class`, and extras that say nothing here: `module:Class [gpu]`.
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<name>[\w.]+)\s*(\[.*\])?")


class InstalledAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """One entry point."""

    adapter_id: str
    #: `module.Class`, or what stands there in its place: describing it then tells what is wrong.
    class_path: str
    #: Name and version of the package.
    package: str
    #: Why it cannot be registered under its name; None for one that can.
    problem: str | None = None


def installed_adapters(found: Iterable[metadata.EntryPoint] | None = None) -> list[InstalledAdapter]:
    """What the packages of this interpreter declare, by id. Of several with one id the first package by name counts.

    `found` is taken instead of this interpreter's entry points.
    """
    points = metadata.entry_points(group=GROUP) if found is None else found
    taken = {each.adapter_id: "Pocket3DStudio itself" for each in BUILTIN_ADAPTERS if each.recipe is None}
    adapters: list[InstalledAdapter] = []
    for point in sorted(points, key=lambda each: (each.name, _package(each), each.value)):
        package = _package(point)
        problem = None
        if not ADAPTER_ID_PATTERN.fullmatch(point.name):
            problem = (
                f"the entry point's name {point.name!r} is no adapter id (1 to 64 of a-z, 0-9, _, . and -); "
                f"correct it in {package}"
            )
        elif point.name in taken:
            problem = f"{taken[point.name]} has an adapter of this id; name this one in models.yaml under another id"
        else:
            taken[point.name] = package
        match = _VALUE.fullmatch(point.value.strip())
        path = f"{match['module']}.{match['name']}" if match else point.value
        adapters.append(InstalledAdapter(adapter_id=point.name, class_path=path, package=package, problem=problem))
    return adapters


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unnamed package"
