"""Judges what of a GLB document the reader leaves unread, before a copy of it is changed: animations, samplers, further
textures, variants of materials, nodes that no scene shows. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .glb_references import references, texture_infos
from .read.glb_document import Index


class _Target(msgspec.Struct):
    node: Index | None = None
    path: str = ""


class _Channel(msgspec.Struct):
    sampler: Index
    target: _Target


class _Curve(msgspec.Struct):
    input: Index
    output: Index


class _Animation(msgspec.Struct):
    channels: list[_Channel]
    samplers: list[_Curve]


class _Variant(msgspec.Struct):
    material: Index


class _Variants(msgspec.Struct):
    mappings: list[_Variant] = []


class _PrimitiveExtensions(msgspec.Struct):
    KHR_materials_variants: _Variants | None = None


class _Primitive(msgspec.Struct):
    targets: list[dict[str, Index]] = []
    extensions: _PrimitiveExtensions | None = None


class _Mesh(msgspec.Struct):
    primitives: list[_Primitive]


class _Instances(msgspec.Struct):
    attributes: dict[str, Index] = {}


class _NodeExtensions(msgspec.Struct):
    EXT_mesh_gpu_instancing: _Instances | None = None


class _Node(msgspec.Struct):
    camera: Index | None = None
    extensions: _NodeExtensions | None = None


class _Skin(msgspec.Struct):
    skeleton: Index | None = None


class _Material(msgspec.Struct):
    extensions: dict[str, Any] = {}


class _Transform(msgspec.Struct):
    texCoord: Index | None = None


class _InfoExtensions(msgspec.Struct):
    KHR_texture_transform: _Transform | None = None


class _Info(msgspec.Struct):
    """A use of a texture, in an extension too."""

    index: Index
    texCoord: Index = 0
    extensions: _InfoExtensions | None = None


class _Texture(msgspec.Struct):
    sampler: Index | None = None
    extensions: dict[str, dict[str, Any]] = {}


class _Image(msgspec.Struct):
    mimeType: str = ""


class _SparsePart(msgspec.Struct):
    bufferView: Index


class _Sparse(msgspec.Struct):
    indices: _SparsePart | None = None
    values: _SparsePart | None = None


class _Accessor(msgspec.Struct):
    sparse: _Sparse | None = None


class _Unread(msgspec.Struct):
    accessors: list[_Accessor]
    meshes: list[_Mesh]
    nodes: list[_Node]
    animations: list[_Animation] = []
    cameras: list[dict[str, Any]] = []
    extensions: dict[str, Any] = {}
    extensionsUsed: list[str] = []
    images: list[_Image] = []
    materials: list[_Material] = []
    samplers: list[dict[str, Any]] = []
    skins: list[_Skin] = []
    textures: list[_Texture] = []


def is_sound(raw: Mapping[str, Any]) -> bool:
    """Whether what names other entries does so by numbers, and nodes form a forest.

    Args:
        raw: the document, of which `check_glb` found sound what readers of triangles read. Numbers may still point to
            what is not there, except to nodes and to samplers of an animation.
    """
    try:
        unread = msgspec.convert(raw, _Unread)
        for material in raw.get("materials", ()):
            for holder, key in texture_infos(material):
                msgspec.convert(holder[key], _Info)
    except msgspec.ValidationError:
        return False
    if not all(
        each.sampler < len(animation.samplers) for animation in unread.animations for each in animation.channels
    ):
        return False
    count = len(unread.nodes)
    for each in references(raw):
        number = each.holder[each.key]
        if number < 0 or (each.kind == "nodes" and number >= count):
            return False
    return _is_forest([node.get("children", ()) for node in raw["nodes"]])


def scenes_name_roots(raw: Mapping[str, Any]) -> bool:
    """Whether scenes name only nodes that have no other above them, as glTF has it: where others are seen, programs
    differ over.
    """
    below = {child for node in raw["nodes"] for child in node.get("children", ())}
    return not any(root in below for scene in raw.get("scenes", ()) for root in scene.get("nodes", ()))


def _is_forest(children: list[Any]) -> bool:
    below = [child for each in children for child in each]
    waiting = list(set(range(len(children))) - set(below))
    if len(set(below)) < len(below):
        return False
    reached = 0
    while waiting:
        reached += 1
        waiting += children[waiting.pop()]
    return reached == len(children)
