"""What a GLB document has that a reader of triangles and materials leaves out, in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

#: Names that are told of one kind.
_NAMED = 6
_WHOLE = {
    "animations": "only the geometry at rest is read",
    "skins": "meshes are read where their joints hold them at rest; joints and weights are left out",
    "cameras": "only the geometry is read",
}
#: Extensions that are read.
_READ = {"KHR_texture_transform", "EXT_texture_webp", "EXT_mesh_gpu_instancing"}
_REPEAT = 10497


def left_out(raw: dict[str, Any]) -> list[str]:
    """Each kind of thing that is in the document and is not read, with how often or under which names.

    Args:
        raw: the JSON of a file whose typed parts were found sound.
    """
    found = [f"{key}: {what}" for key, what in _WHOLE.items() if raw.get(key)]
    found += _surfaces(raw)
    meshes = list(_objects(raw, "meshes"))
    primitives = [each for mesh in meshes for each in mesh.get("primitives", ()) if isinstance(each, dict)]
    morphed = sum(bool(each.get("targets")) for each in primitives)
    if morphed:
        found.append(f"morph targets of {morphed} primitives: the mesh is read without them")
    names = Counter(name for each in primitives for name in each.get("attributes", ()))
    further = sorted(name for name in names if _is_further(name))
    if further:
        found.append(f"{_few(further)}: the first set is read, and of coordinates the one that the textures name")
    if _objects_of(raw.get("extensions", {}).get("KHR_lights_punctual"), "lights"):
        found.append("lights: only the geometry is read")
    noted = sum("extras" in each for key in ("nodes", "meshes", "materials") for each in _objects(raw, key))
    if noted:
        found.append(f"extras of {noted} nodes, meshes or materials: what programs noted for themselves")
    return found


def _surfaces(raw: dict[str, Any]) -> list[str]:
    found = []
    extensions = {
        name for material in _objects(raw, "materials") for name in material.get("extensions", ()) if name not in _READ
    }
    if extensions:
        found.append(f"{_few(sorted(extensions))} of materials: colour, metal, roughness, normals and light are read")
    samplers = sum(
        each.get("wrapS", _REPEAT) != _REPEAT or each.get("wrapT", _REPEAT) != _REPEAT or each.get("magFilter") == 9728
        for each in _objects(raw, "samplers")
    )
    if samplers:
        found.append(f"{samplers} samplers: textures are read as repeating and smooth")
    variants = _objects_of(raw.get("extensions", {}).get("KHR_materials_variants"), "variants")
    if variants:
        found.append(f"{len(variants)} variants of materials: the first look is read")
    return found


def _is_further(name: str) -> bool:
    """True for a second set of coordinates or colours; those of joints belong to skins."""
    kind, _, number = name.rpartition("_")
    return kind in ("TEXCOORD", "COLOR") and number not in ("", "0")


def _objects(raw: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    listed = raw.get(key, ())
    yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))


def _objects_of(extension: Any, key: str) -> list[dict[str, Any]]:
    return list(_objects(extension, key)) if isinstance(extension, dict) else []


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:60] for name in names[:_NAMED]) + more
