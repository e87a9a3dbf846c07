"""What a GLB document has that a reader of triangles and materials leaves out, in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

#: Said of maps that are left out for where they lie.
ELSEWHERE = "it lies otherwise on the surface than the first texture"
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
#: Extensions of the whole file that are told with what they hold.
_TOLD = {"KHR_materials_variants", "KHR_lights_punctual"}
_EXTENSION, _OF_FILE = "extension of a material ", "extension of the file "


def left_out(raw: dict[str, Any], kept: dict[str, Any] | None = None) -> list[str]:
    """Each kind of thing that is in the document and is not read, with how often or under which names.

    Args:
        raw: the JSON of a file whose typed parts were found sound.
        kept: that of a file which was made of it: what that one has as well is not told.
    """
    counts = _unread(raw) - _unread(kept or {})
    found = [f"{key}: {what}" for key, what in _WHOLE.items() if counts[key]]
    if extensions := _after(_EXTENSION, counts):
        found.append(f"{_few(extensions)} of materials: colour, metal, roughness, normals and light are read")
    if extensions := _after(_OF_FILE, counts):
        found.append(f"{_few(extensions)} of the file as a whole: only geometry and materials are read")
    if counts["samplers"]:
        found.append(f"{counts['samplers']} samplers: textures are read as repeating and smooth")
    if counts["variants"]:
        found.append(f"{counts['variants']} variants of materials: the first look is read")
    if counts["targets"]:
        shape = "in the shape of their default weights" if _is_shaped(raw) else "without them"
        found.append(f"morph targets of {counts['targets']} primitives: the mesh is read {shape}")
    further = sorted(name for name in counts if _is_further(name))
    if further:
        found.append(f"{_few(further)}: the first set is read, and of coordinates the one that the textures name")
    if counts["lights"]:
        found.append("lights: only the geometry is read")
    if counts["extras"]:
        found.append(f"extras of {counts['extras']} nodes, meshes or materials: what programs noted for themselves")
    return found


def _unread(raw: dict[str, Any]) -> Counter[str]:
    """How often each kind of thing is there."""
    counts = Counter({key: len(list(_objects(raw, key))) for key in _WHOLE})
    for material in _objects(raw, "materials"):
        counts.update(_EXTENSION + name for name in _names(material, "extensions") if name not in _READ)
    counts["samplers"] = sum(
        each.get("wrapS", _REPEAT) != _REPEAT or each.get("wrapT", _REPEAT) != _REPEAT or each.get("magFilter") == 9728
        for each in _objects(raw, "samplers")
    )
    extensions = raw.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    counts.update(_OF_FILE + name for name in extensions if name not in _TOLD)
    counts["variants"] = len(_objects_of(extensions.get("KHR_materials_variants"), "variants"))
    counts["lights"] = len(_objects_of(extensions.get("KHR_lights_punctual"), "lights"))
    for mesh in _objects(raw, "meshes"):
        for primitive in _objects(mesh, "primitives"):
            counts["targets"] += bool(primitive.get("targets"))
            counts.update(name for name in _names(primitive, "attributes") if _is_further(name))
    counts["extras"] = sum("extras" in each for key in ("nodes", "meshes", "materials") for each in _objects(raw, key))
    return counts


def _after(prefix: str, counts: Counter[str]) -> list[str]:
    """What follows in the names that begin so, sorted."""
    return sorted(name.removeprefix(prefix) for name in counts if name.startswith(prefix))


def _is_shaped(raw: dict[str, Any]) -> bool:
    """Whether some node shows its mesh with a weight that is not 0; one of its own goes before those of the mesh."""
    weights = [mesh.get("weights") for mesh in _objects(raw, "meshes")]
    shown = [
        weights[node["mesh"]] if node.get("weights") is None else node["weights"]
        for node in _objects(raw, "nodes")
        if node.get("mesh") in range(len(weights))
    ]
    return any(isinstance(each, list) and any(each) for each in shown)


def _is_further(name: str) -> bool:
    """True for a second set of coordinates or colours; those of joints belong to skins."""
    kind, _, number = name.rpartition("_")
    return kind in ("TEXCOORD", "COLOR") and number not in ("", "0")


def _objects(raw: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    listed = raw.get(key, ())
    yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))


def _objects_of(extension: Any, key: str) -> list[dict[str, Any]]:
    return list(_objects(extension, key)) if isinstance(extension, dict) else []


def _names(raw: dict[str, Any], key: str) -> list[str]:
    held = raw.get(key)
    return list(held) if isinstance(held, dict) else []


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:60] for name in names[:_NAMED]) + more
