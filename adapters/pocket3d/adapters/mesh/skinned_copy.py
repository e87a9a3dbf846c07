"""A GLB file once more with everything that it has, bound to a new skeleton."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .glb_copy import own_document
from .read.glb_arrays import FLOAT, Arrays
from .read.glb_container import GlbBuffer, pack
from .read.glb_document import Document
from .read.glb_instances import EXTENSION
from .read.glb_tree import Tree
from .read.limits import MeshLimits
from .skinned_glb import Skeleton, Weigh, bind_matrices, joint_nodes, joint_type
from .write import ARRAY_BUFFER

_TRIANGLES = (4, 5, 6)


def skinned_copy(data: bytes, skeleton: Skeleton, weigh: Weigh) -> bytes | None:
    """The file with all of its meshes bound to a skeleton; they stay where they are while no joint moves.

    A skinned mesh's node does not place it any more (glTF 2.0, section 3.7.3.3), so what it did goes into the inverse
    bind matrices, one skin for each place.

    Args:
        data: a GLB file that `check_glb` found sound.
        skeleton: at most 65,536 joints, in world coordinates.
        weigh: called once for each primitive, with places in the world.

    Returns:
        None where the file has to be written anew: `glb_copy.own_document`; it has skins or copies by an extension
        already, animations, which would turn nodes that place nothing any more, a node that mirrors its mesh, or bytes
        at data addresses.
    """
    own = own_document(data)
    if own is None:
        return None
    raw, binary = own
    document = msgspec.convert(raw, Document)
    nodes: list[dict[str, Any]] = raw["nodes"]
    instanced = any(EXTENSION in node.extensions for node in document.nodes)
    spread = any(buffer.uri is not None for buffer in document.buffers)
    if document.skins or raw.get("animations") or instanced or spread:
        return None
    arrays, tree = Arrays(document, binary, MeshLimits()), Tree(document)
    shown = [index for index, node in enumerate(document.nodes) if node.mesh is not None]
    worlds = {index: tree.world(index) for index in shown}
    if any(np.linalg.det(world[:3, :3]) <= 0 for world in worlds.values()):
        return None
    buffer = GlbBuffer(bytearray(binary), raw["bufferViews"], raw["accessors"])
    skins: dict[bytes, int] = {}
    first = len(nodes)
    joints = list(range(first, first + len(skeleton.names)))
    raw["skins"] = []
    taken: set[int] = set()
    for index in shown:
        mesh = _own_mesh(raw, nodes[index], taken)
        _bind(mesh, arrays, buffer, worlds[index], weigh, joint_type(skeleton))
        key = worlds[index].tobytes()
        if key not in skins:
            skins[key] = len(raw["skins"])
            matrices = buffer.accessor(bind_matrices(skeleton, worlds[index]), "MAT4", FLOAT)
            raw["skins"].append(
                {"name": "skeleton", "inverseBindMatrices": matrices, "skeleton": first, "joints": joints}
            )
        nodes[index]["skin"] = skins[key]
    nodes += joint_nodes(skeleton, first)
    if "scenes" not in raw:
        raw |= {"scenes": [{"nodes": list(tree.roots)}], "scene": 0}
    for scene in raw["scenes"]:
        scene.setdefault("nodes", []).append(first)
    raw["buffers"][0]["byteLength"] = len(buffer.data)
    return pack(raw, bytes(buffer.data))


def _own_mesh(raw: dict[str, Any], node: dict[str, Any], taken: set[int]) -> dict[str, Any]:
    """The node's mesh, for it alone: weights depend on where it stands."""
    if node["mesh"] in taken:
        raw["meshes"].append(copy.deepcopy(raw["meshes"][node["mesh"]]))
        node["mesh"] = len(raw["meshes"]) - 1
    taken.add(node["mesh"])
    mesh: dict[str, Any] = raw["meshes"][node["mesh"]]
    return mesh


def _bind(
    mesh: dict[str, Any],
    arrays: Arrays,
    buffer: GlbBuffer,
    world: npt.NDArray[np.float64],
    weigh: Weigh,
    kind: tuple[str, int],
) -> None:
    bound: dict[int, dict[str, int]] = {}
    for primitive in mesh["primitives"]:
        has = primitive["attributes"]
        if primitive.get("mode", 4) not in _TRIANGLES:
            continue
        if has["POSITION"] not in bound:
            places = arrays.rows(has["POSITION"]).astype(np.float64) @ world[:3, :3].T + world[:3, 3]
            joints, weights = weigh(places)
            bound[has["POSITION"]] = {
                "JOINTS_0": buffer.accessor(joints.astype(kind[0]), "VEC4", kind[1], ARRAY_BUFFER),
                "WEIGHTS_0": buffer.accessor(weights.astype("<f4"), "VEC4", FLOAT, ARRAY_BUFFER),
            }
        has |= bound[has["POSITION"]]
