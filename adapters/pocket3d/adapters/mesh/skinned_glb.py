"""Puts a skin into a GLB file (trimesh drops skins)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .read.glb_arrays import FLOAT, Arrays
from .read.glb_container import GlbBuffer, pack, unpack
from .read.glb_document import Document
from .read.glb_tree import Tree
from .read.limits import MeshLimits
from .triangles import FloatArray, IntArray
from .write import ARRAY_BUFFER

_BYTE, _SHORT = 5121, 5123


class Skeleton(NamedTuple):
    """Joints, each after its parent; the first is the only one without. A joint's bone goes from head to tail."""

    names: tuple[str, ...]
    #: (J,) -1 for the root.
    parents: IntArray
    #: (J, 3) in the mesh's coordinates; a joint turns about its head.
    heads: FloatArray
    #: (J, 3); the root's is its head.
    tails: FloatArray


#: From places (V, 3) to their joints (V, 4) and weights (V, 4).
Weigh = Callable[[FloatArray], "tuple[IntArray, FloatArray]"]


def add_skin(glb: bytes, skeleton: Skeleton, weigh: Weigh) -> bytes:
    """Put a skeleton into a GLB and bind all of its meshes to it.

    Materials, textures, coordinates and colours stay as they are.

    Args:
        glb: a file whose meshes are in world coordinates already: a skinned mesh's own node has no say (glTF 2.0,
            section 3.7.3.3).
        skeleton: at most 65,536 joints.
        weigh: called once for each primitive.

    Raises:
        ValueError: a mesh is placed by its node.
    """
    gltf, binary = unpack(glb)
    _, arrays, tree = parsed(gltf, binary)
    buffer = GlbBuffer(bytearray(binary), gltf["bufferViews"], gltf["accessors"])
    nodes: list[dict[str, Any]] = []
    for number, node in enumerate(gltf["nodes"]):
        if "mesh" in node:
            if not np.allclose(tree.world(number), np.eye(4)):
                raise ValueError(f"the mesh {node.get('name')!r} is placed by its node")
            nodes.append({key: node[key] for key in ("name", "mesh") if key in node} | {"skin": 0})
    dtype, component = joint_type(skeleton)
    for mesh in gltf["meshes"]:
        for primitive in mesh["primitives"]:
            has = primitive["attributes"]
            joints, weights = weigh(arrays.rows(has["POSITION"]).astype(float))
            has["JOINTS_0"] = buffer.accessor(joints.astype(dtype), "VEC4", component, ARRAY_BUFFER)
            has["WEIGHTS_0"] = buffer.accessor(weights.astype("<f4"), "VEC4", FLOAT, ARRAY_BUFFER)
    matrices = buffer.accessor(bind_matrices(skeleton, np.eye(4)), "MAT4", FLOAT)
    first = len(nodes)
    nodes += joint_nodes(skeleton, first)
    skin = {"name": "skeleton", "inverseBindMatrices": matrices, "skeleton": first}
    gltf |= {
        "scene": 0,
        "scenes": [{"nodes": list(range(first + 1))}],
        "nodes": nodes,
        "skins": [{**skin, "joints": list(range(first, first + len(skeleton.names)))}],
    }
    gltf["buffers"][0]["byteLength"] = len(buffer.data)
    return pack(gltf, bytes(buffer.data))


def joint_type(skeleton: Skeleton) -> tuple[str, int]:
    """numpy's and glTF's type of numbers that name a joint."""
    return ("u1", _BYTE) if len(skeleton.names) <= 256 else ("<u2", _SHORT)


def bind_matrices(skeleton: Skeleton, world: FloatArray) -> FloatArray:
    """(J, 4, 4) single precision, column by column: from a mesh that `world` (4, 4) places to each joint."""
    bind = np.tile(np.eye(4), (len(skeleton.names), 1, 1))
    bind[:, :3, 3] = -_stored(skeleton)
    matrices: FloatArray = (bind @ world).transpose(0, 2, 1).astype("<f4")
    return matrices


def joint_nodes(skeleton: Skeleton, first: int) -> list[dict[str, Any]]:
    """The joints as nodes, numbered from `first`."""
    heads = _stored(skeleton)
    nodes: list[dict[str, Any]] = []
    for joint, parent in enumerate(skeleton.parents.tolist()):
        offset = heads[joint] - (heads[parent] if parent >= 0 else 0)
        children = (np.flatnonzero(skeleton.parents == joint) + first).tolist()
        nodes.append(
            {
                "name": skeleton.names[joint],
                "translation": offset.tolist(),
                **({"children": children} if children else {}),
                "extras": {"tail": [float(each) for each in skeleton.tails[joint]]},
            }
        )
    return nodes


def _stored(skeleton: Skeleton) -> FloatArray:
    """The joints' heads as single precision holds them, so that nodes and matrices agree."""
    return skeleton.heads.astype(np.float32).astype(float)


def parsed(gltf: dict[str, Any], binary: bytes) -> tuple[Document, Arrays, Tree]:
    """What the two chunks of a file hold, of any size. Raises `Refused` or msgspec.ValidationError if it is broken."""
    document = msgspec.convert(gltf, Document)
    return document, Arrays(document, binary, MeshLimits(max_bytes=len(binary))), Tree(document)
