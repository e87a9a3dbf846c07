"""What the parts that were put back into their GLB document are to look like: new shapes, pictures and coordinates, and
beside these what stays of each material.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .glb_looks import Paint
from .glb_remade import Remade
from .input import origins
from .parts import look_of
from .self_check import PartSurface, surface_of

_BASE, _SURFACE, _LIGHT = "baseColorTexture", "metallicRoughnessTexture", "emissiveTexture"
#: Maps by which a reader finds the coordinates.
_READ = (_BASE, _SURFACE, "normalTexture", "occlusionTexture", _LIGHT)


def kept_surface(
    scene: Any, made: Mapping[str, Remade], paint: Paint | None, raw: Mapping[str, Any]
) -> list[PartSurface]:
    """What `check_surface` compares with the file that `remade_copy` made; the arguments are those of that, and the
    JSON of its GLB file.
    """
    before, made_of = {}, origins(scene)
    for node, each in zip(scene.graph.nodes_geometry, surface_of(scene, "glb"), strict=True):
        stated = look_of(scene.geometry[scene.graph.get(node)[1]], linear=True).stated
        before[str(node)] = each, stated
    after = surface_of([_shown(each, paint) for each in made.values()], "glb")
    found = []
    for (name, became), new in zip(made.items(), after, strict=True):
        old, stated = before[name]
        maps = _maps(raw, *made_of[name])
        gone = became.source is None and _BASE in maps
        if not stated and (new.coloured or "base" in new.pictures or gone):
            # What says nothing of colour is read as grey; with a picture or colours it is white, as glTF has it, and
            # where a picture that could not be read is gone.
            old = old._replace(factor=np.ones(4))
        found.append(_with_kept(old, new, became, paint, bool(maps)))
    return found


def _maps(raw: Mapping[str, Any], node: int, number: int) -> list[str]:
    """The maps that the material of a primitive names, whether they can be read or not."""
    material = raw["meshes"][raw["nodes"][node]["mesh"]]["primitives"][number].get("material")
    look = {} if material is None else raw["materials"][material]
    return [key for holder in (look, look.get("pbrMetallicRoughness", {})) for key in _READ if key in holder]


def _shown(became: Remade, paint: Paint | None) -> Any:
    """The part with what of it goes into the file."""
    part = became.part
    if became.source is None:
        # Coordinates of a new shape are written for its picture.
        return part if part.texture is not None else part._replace(uv=None)
    return part._replace(colours=None) if _is_covered(became, paint) else part


def _is_covered(became: Remade, paint: Paint | None) -> bool:
    """Whether a picture takes the place of the base colour altogether."""
    return paint is not None and paint.colour and became.part.texture is not None


def _with_kept(old: PartSurface, new: PartSurface, became: Remade, paint: Paint | None, has_maps: bool) -> PartSurface:
    """What is meant of a part, with the base colour and the maps that stay."""
    covered = _is_covered(became, paint)
    factor = np.ones(4) if covered else old.factor
    maps = {kind: each for kind, each in old.pictures.items() if kind != "base"}
    painted = paint is not None and became.part.texture is not None
    if became.new_uv:
        # Maps lie by the old coordinates. They are not read beside a picture that lies by others; without one they say
        # by which coordinates the part is read.
        return new._replace(factor=factor, mapped=new.mapped and (painted or not has_maps))
    if became.source is None and became.part.texture is None:
        return new._replace(factor=factor)
    if painted and paint is not None and paint.surface:
        maps.pop(_SURFACE, None)
    if covered and maps.get(_LIGHT) == old.pictures.get("base"):
        # It showed the old picture.
        maps.pop(_LIGHT, None)
    return new._replace(factor=factor, pictures={**maps, **new.pictures})
