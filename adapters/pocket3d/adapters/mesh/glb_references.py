"""Where a GLB document names its own entries by their numbers; and the document without those that nothing names any
more. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

#: Lists of entries that others name. Nodes, scenes and animations are there for themselves.
_NAMED = ("meshes", "skins", "materials", "textures", "images", "samplers", "accessors", "bufferViews")
#: Extensions that name nothing, or in a way that is known here; those of materials follow one rule.
_KNOWN = {
    "EXT_mesh_gpu_instancing",
    "EXT_texture_avif",
    "EXT_texture_webp",
    "KHR_lights_punctual",
    "KHR_mesh_quantization",
    "KHR_node_visibility",
    "KHR_texture_basisu",
    "KHR_texture_transform",
    "KHR_xmp_json_ld",
    "VRMC_materials_mtoon",
}
_KNOWN_BEGINNING = "KHR_materials_"

#: Numbers of entries, by the list in which they are.
Entries = Mapping[str, Collection[int]]


class Reference(NamedTuple):
    """`holder[key]` is the number of an entry of a list; the holder is in an entry of another one, or the same."""

    owner: str
    #: Of the entry that has it.
    number: int
    kind: str
    holder: Any
    key: Any


def references(raw: Mapping[str, Any]) -> Iterator[Reference]:
    """All of them in a document that was found sound, except those of extensions that are not known."""
    for owner, inside in _INSIDE.items():
        for number, entry in enumerate(raw.get(owner, ())):
            for kind, holder, key in inside(entry):
                yield Reference(owner, number, kind, holder, key)


def reached(raw: Mapping[str, Any], also: Entries | None = None) -> dict[str, set[int]]:
    """What nodes, scenes and animations lead to, and the entries `also`, by list."""
    by_owner: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    waiting = [(kind, number) for kind, numbers in (also or {}).items() for number in numbers]
    for each in references(raw):
        target = each.kind, each.holder[each.key]
        if each.owner in _NAMED:
            by_owner[each.owner, each.number].append(target)
        else:
            waiting.append(target)
    found: dict[str, set[int]] = {kind: set() for kind in (*_NAMED, "nodes", "cameras")}
    while waiting:
        kind, number = waiting.pop()
        # Of points and lines nobody has judged what they name.
        if number not in found[kind] and number < len(raw.get(kind, ())):
            found[kind].add(number)
            waiting += by_owner.get((kind, number), ())
    return found


def without_unused(
    raw: dict[str, Any], binary: bytes, before: Mapping[str, Any], gone: Collection[int] = ()
) -> tuple[dict[str, Any], bytes]:
    """Take out what the document names no more, though it did so `before`, and its bytes; what was unnamed stays.

    Args:
        raw: the document, which is changed.
        binary: its chunk.
        before: the document as it came.
        gone: nodes that go as well; no scene, animation or skin names them.

    Returns:
        Both. Where extensions are used that may name anything, they are as they were, the nodes too.
    """
    if not is_known(raw):
        return raw, binary
    for node in raw["nodes"]:
        if gone and "children" in node:
            node["children"] = [each for each in node["children"] if each not in gone]
            if not node["children"]:
                del node["children"]
    left_nodes = [number for number in range(len(raw["nodes"])) if number not in gone]
    raw["nodes"], numbers = [raw["nodes"][number] for number in left_nodes], {}
    numbers["nodes"] = {old: new for new, old in enumerate(left_nodes)}
    known = reached(before)
    unnamed = {kind: set(range(len(before.get(kind, ())))) - known[kind] for kind in _NAMED}
    used = reached(raw, unnamed)
    places = list(references(raw))
    for kind in _NAMED:
        numbers[kind] = {old: new for new, old in enumerate(sorted(used[kind]))}
    for each in places:
        new = numbers.get(each.kind, {}).get(each.holder[each.key])
        if new is not None:
            each.holder[each.key] = new
    for kind in _NAMED:
        if kind in raw:
            raw[kind] = [raw[kind][number] for number in numbers[kind]]
            if not raw[kind]:
                del raw[kind]
    return raw, _joined(raw, binary)


def is_known(raw: Mapping[str, Any]) -> bool:
    """Whether all that its extensions may name is known here."""
    names = {*raw.get("extensionsUsed", ()), *extension_names(raw)}
    return all(each in _KNOWN or each.startswith(_KNOWN_BEGINNING) for each in names)


def extension_names(raw: Any) -> set[str]:
    """The extensions of which a document has something."""
    found: set[str] = set()
    waiting = [raw]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found |= set(each["extensions"]) if isinstance(each.get("extensions"), dict) else set()
            waiting += [value for key, value in each.items() if key != "extras" and isinstance(value, (dict, list))]
        else:
            waiting += [value for value in each if isinstance(value, (dict, list))]
    return found


def texture_infos(material: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each use of a texture in a material, and in its extensions: the object that has it, and under which key."""
    for key, value in list(material.items()):
        if not isinstance(value, dict) or key == "extras":
            continue
        if key.endswith("Texture") and isinstance(value.get("index"), int):
            yield material, key
        else:
            yield from texture_infos(value)


def _joined(raw: dict[str, Any], binary: bytes) -> bytes:
    """The bytes of the views that are left, which are moved together."""
    data = bytearray()
    for view in raw.get("bufferViews", ()):
        if view["buffer"] == 0:
            data.extend(b"\0" * (-len(data) % 4))
            start = view.get("byteOffset", 0)
            view["byteOffset"] = len(data)
            data.extend(binary[start : start + view["byteLength"]])
    raw["buffers"][0]["byteLength"] = len(data)
    return bytes(data)


# ---------------------------------------------------------------- what the entries of each list name

_Found = Iterator[tuple[str, Any, Any]]


def _of_scene(scene: Any) -> _Found:
    yield from _each("nodes", scene.get("nodes", ()))


def _of_node(node: Any) -> _Found:
    yield from _each("nodes", node.get("children", ()))
    yield from _keys(node, mesh="meshes", skin="skins", camera="cameras")
    copies = (node.get("extensions") or {}).get("EXT_mesh_gpu_instancing")
    if isinstance(copies, dict):
        yield from _each("accessors", copies.get("attributes", {}))


def _of_mesh(mesh: Any) -> _Found:
    for primitive in mesh["primitives"]:
        yield from _each("accessors", primitive["attributes"])
        for target in primitive.get("targets", ()):
            yield from _each("accessors", target)
        yield from _keys(primitive, indices="accessors", material="materials")
        variants = (primitive.get("extensions") or {}).get("KHR_materials_variants") or {}
        for mapping in variants.get("mappings", ()):
            yield from _keys(mapping, material="materials")


def _of_skin(skin: Any) -> _Found:
    yield from _each("nodes", skin["joints"])
    yield from _keys(skin, skeleton="nodes", inverseBindMatrices="accessors")


def _of_animation(animation: Any) -> _Found:
    for channel in animation.get("channels", ()):
        yield from _keys(channel.get("target", {}), node="nodes")
    for sampler in animation.get("samplers", ()):
        yield from _keys(sampler, input="accessors", output="accessors")


def _of_material(material: Any) -> _Found:
    for holder, key in texture_infos(material):
        yield "textures", holder[key], "index"


def _of_texture(texture: Any) -> _Found:
    yield from _keys(texture, source="images", sampler="samplers")
    for extension in (texture.get("extensions") or {}).values():
        if isinstance(extension, dict):
            yield from _keys(extension, source="images")


def _of_image(image: Any) -> _Found:
    yield from _keys(image, bufferView="bufferViews")


def _of_accessor(accessor: Any) -> _Found:
    yield from _keys(accessor, bufferView="bufferViews")
    for part in ("indices", "values"):
        yield from _keys((accessor.get("sparse") or {}).get(part) or {}, bufferView="bufferViews")


def _each(kind: str, holder: Any) -> _Found:
    keys = holder if isinstance(holder, dict) else range(len(holder))
    for key in keys:
        yield kind, holder, key


def _keys(holder: Any, **kinds: str) -> _Found:
    for key, kind in kinds.items():
        if isinstance(holder.get(key), int):
            yield kind, holder, key


_INSIDE = {
    "scenes": _of_scene,
    "nodes": _of_node,
    "meshes": _of_mesh,
    "skins": _of_skin,
    "animations": _of_animation,
    "materials": _of_material,
    "textures": _of_texture,
    "images": _of_image,
    "accessors": _of_accessor,
}
