"""Reads what a rigged GLB holds (trimesh drops skins), and checks that it is sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .read.glb_arrays import Array, Arrays
from .read.glb_container import unpack
from .read.glb_document import Document
from .skinned_glb import parsed

#: How far the weights of a vertex may be from 1 together: glTF 2.0 allows 2e-7 for each weight that is not 0; exporters
#: that write whole numbers need more.
_SUM_TOLERANCE = 2e-3


class BrokenRig(RuntimeError):
    """The file is no rigged mesh: the failure of the adapter that wrote it."""


class Rig(NamedTuple):
    """The bones and weights that were counted."""

    bones: int
    names: list[str]
    #: Index of each bone's parent among the bones, None for a root.
    parents: list[int | None]
    skinned_vertices: int
    #: Bones that move a vertex.
    moving: int
    #: The most bones that move one vertex.
    most_influences: int
    textures: int


def describe_rig(rig: Rig, rig_mode: str, statistics: dict[str, Any]) -> dict[str, Any]:
    """`rig_info` of an answer. `rig_mode` `skin` keeps the bones of the input; `statistics` are those of the mesh."""
    return {
        "rig_type": "of the input" if rig_mode == "skin" else "generated",
        "rig_mode": rig_mode,
        "bone_count": rig.bones,
        "bone_names": rig.names,
        "has_skinning": rig.skinned_vertices > 0,
        "skinned_vertices": rig.skinned_vertices,
        "most_bones_of_a_vertex": rig.most_influences,
        "statistics": statistics,
        "success": True,
    }


def read_rig(path: Path, *, skinned: bool) -> Rig:
    """Count bones and weights, and check them.

    A GLB that need not be `skinned` has for bones, without a skin, the nodes above, below and beside which there is no
    mesh.

    Raises:
        BrokenRig: no bones; with `skinned` also: no skin, weights that do not add up to 1, a joint that does not exist,
            another number of inverse bind matrices than of joints, or a part that points to what is not there.
    """
    try:
        return _read(path, skinned=skinned)
    except (OSError, ValueError, IndexError, msgspec.ValidationError) as error:
        raise BrokenRig(f"{path.name} cannot be read: {error}") from error


def _read(path: Path, *, skinned: bool) -> Rig:
    document, arrays, _ = parsed(*unpack(path.read_bytes()))
    joints = sorted({joint for skin in document.skins for joint in skin.joints})
    vertices, moving, most = 0, 0, 0
    if skinned:
        if not joints:
            raise BrokenRig(f"{path.name} has no skin")
        vertices, moving, most = _check_skins(document, arrays, path.name)
    elif not joints:
        joints = _bare_bones(document)
    if not joints:
        raise BrokenRig(f"{path.name} has no bones")
    parent_of = {child: node for node, each in enumerate(document.nodes) for child in each.children}
    place = {joint: index for index, joint in enumerate(joints)}
    return Rig(
        bones=len(joints),
        names=[document.nodes[joint].name or f"node_{joint}" for joint in joints],
        parents=[place.get(parent_of.get(joint, -1)) for joint in joints],
        skinned_vertices=vertices,
        moving=moving,
        most_influences=most,
        textures=len(document.textures),
    )


def is_rigged_alone(path: Path) -> bool:
    """True if a GLB that `mesh_input` takes has a skin and no picture in another file."""
    document = msgspec.convert(unpack(path.read_bytes())[0], Document)
    return bool(document.skins) and all(not each.uri or each.uri.startswith("data:") for each in document.images)


def write_skeleton(rig: Rig, path: Path) -> Path:
    """Write names and parents as JSON."""
    path.write_text(json.dumps({"names": rig.names, "parents": rig.parents}, indent=1) + "\n", encoding="utf-8")
    return path


def _check_skins(document: Document, arrays: Arrays, name: str) -> tuple[int, int, int]:
    """Number of skinned vertices, of bones that move one, and the most bones of one."""
    for skin in document.skins:
        if skin.inverseBindMatrices is not None:
            matrices = document.accessors[skin.inverseBindMatrices].count
            if matrices != len(skin.joints):
                raise BrokenRig(f"{name}: {matrices} inverse bind matrices for {len(skin.joints)} joints")
    vertices, most = 0, 0
    moving: set[int] = set()
    for node in document.nodes:
        if node.skin is None or node.mesh is None:
            continue
        bones = document.skins[node.skin].joints
        for primitive in document.meshes[node.mesh].primitives:
            sets = [n for n in range(4) if {f"JOINTS_{n}", f"WEIGHTS_{n}"} <= primitive.attributes.keys()]
            if not sets:
                raise BrokenRig(f"{name}: a mesh with a skin has no weights")
            joints, weights = (
                np.concatenate([_rows(arrays, primitive.attributes, f"{kind}_{n}") for n in sets], axis=1)
                for kind in ("JOINTS", "WEIGHTS")
            )
            used = np.unique(joints[weights > 0]).tolist()
            if used and used[-1] >= len(bones):
                raise BrokenRig(f"{name}: a weight of joint {used[-1]} of {len(bones)}")
            moving.update(bones[joint] for joint in used)
            off = np.abs(weights.sum(axis=1) - 1).max()
            if not off <= _SUM_TOLERANCE:
                raise BrokenRig(f"{name}: the weights of a vertex add up to 1 only within {off:.2g}")
            vertices += len(weights)
            most = max(most, int((weights > 0).sum(axis=1).max()))
    if vertices == 0:
        raise BrokenRig(f"{name}: no mesh uses the skin")
    return vertices, len(moving), most


def _rows(arrays: Arrays, attributes: Mapping[str, int], name: str) -> Array:
    arrays.accessor(attributes[name], name, ("VEC4",))
    return arrays.rows(attributes[name])


def _bare_bones(document: Document) -> list[int]:
    """Nodes of a skeleton without a skin: an armature's tree has no mesh in it, and more than one node."""
    nodes = document.nodes
    children = {child for node in nodes for child in node.children}

    def tree(root: int) -> list[int]:
        return [root, *(each for child in nodes[root].children for each in tree(child))]

    found: list[int] = []
    for root in (index for index in range(len(nodes)) if index not in children):
        members = tree(root)
        if len(members) > 1 and all(nodes[each].mesh is None for each in members):
            # The root is the armature itself.
            found += members[1:]
    return sorted(found)
