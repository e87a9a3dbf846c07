"""GLB files with a skin, written and read through pygltflib (trimesh drops skins)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .read.glb_arrays import DTYPES, WIDTHS
from .read.glb_tree import local_matrix
from .triangles import FloatArray, IntArray

_FLOAT, _BYTE, _SHORT = 5126, 5121, 5123
_ARRAY_BUFFER = 34962


class Skeleton(NamedTuple):
    """Joints, each after its parent; the first is the only one without. A joint's bone goes from head to tail."""

    names: tuple[str, ...]
    #: (J,) -1 for the root.
    parents: IntArray
    #: (J, 3) in the mesh's coordinates; a joint turns about its head.
    heads: FloatArray
    #: (J, 3); the root's is its head.
    tails: FloatArray


class SkinnedPart(NamedTuple):
    """One primitive of a skinned mesh."""

    name: str
    #: (V, 3) in the mesh's coordinates, which are the world's.
    positions: FloatArray
    #: (V, 4) rows of the skeleton, and weights.
    joints: IntArray
    weights: FloatArray


class SkinnedFile(NamedTuple):
    """The skeleton, skin and meshes of a GLB file."""

    skeleton: Skeleton
    #: (J, 4, 4) from a joint's own coordinates to the world's, as the nodes say.
    rest: FloatArray
    #: (J, 4, 4) inverse bind matrices.
    inverse_bind: FloatArray
    parts: tuple[SkinnedPart, ...]


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
    import pygltflib

    gltf = pygltflib.GLTF2.load_from_bytes(glb)
    data = bytearray(gltf.binary_blob())

    def accessor(values: npt.NDArray[Any], kind: str, component: int, target: int | None) -> int:
        data.extend(b"\0" * (-len(data) % 4))
        raw = np.ascontiguousarray(values).tobytes()
        gltf.bufferViews.append(
            pygltflib.BufferView(buffer=0, byteOffset=len(data), byteLength=len(raw), target=target)
        )
        data.extend(raw)
        view = len(gltf.bufferViews) - 1
        gltf.accessors.append(
            pygltflib.Accessor(bufferView=view, componentType=component, count=len(values), type=kind)
        )
        return len(gltf.accessors) - 1

    shown = []
    for number, node in enumerate(gltf.nodes):
        if node.mesh is None:
            continue
        if not np.allclose(_world(gltf, number), np.eye(4)):
            raise ValueError(f"the mesh {node.name!r} is placed by its node")
        shown.append(pygltflib.Node(name=node.name, mesh=node.mesh, skin=0))
    small = len(skeleton.names) <= 256
    for mesh in gltf.meshes:
        for primitive in mesh.primitives:
            joints, weights = weigh(accessor_rows(gltf, primitive.attributes.POSITION).astype(float))
            typed = joints.astype("u1" if small else "<u2")
            primitive.attributes.JOINTS_0 = accessor(typed, "VEC4", _BYTE if small else _SHORT, _ARRAY_BUFFER)
            primitive.attributes.WEIGHTS_0 = accessor(weights.astype("<f4"), "VEC4", _FLOAT, _ARRAY_BUFFER)
    heads = skeleton.heads.astype(np.float32).astype(float)
    bind = np.tile(np.eye(4), (len(heads), 1, 1))
    bind[:, :3, 3] = -heads
    first = len(shown)
    nodes = []
    for joint, parent in enumerate(skeleton.parents.tolist()):
        offset = heads[joint] - (heads[parent] if parent >= 0 else 0)
        children = (np.flatnonzero(skeleton.parents == joint) + first).tolist()
        nodes.append(
            pygltflib.Node(
                name=skeleton.names[joint],
                translation=[float(each) for each in offset],
                children=children,
                extras={"tail": [float(each) for each in skeleton.tails[joint]]},
            )
        )
    gltf.nodes = shown + nodes
    gltf.scenes = [pygltflib.Scene(nodes=list(range(first + 1)))]
    gltf.scene = 0
    gltf.skins = [
        pygltflib.Skin(
            name="skeleton",
            # Column by column.
            inverseBindMatrices=accessor(bind.transpose(0, 2, 1).astype("<f4"), "MAT4", _FLOAT, None),
            joints=list(range(first, first + len(heads))),
            skeleton=first,
        )
    ]
    data.extend(b"\0" * (-len(data) % 4))
    gltf.buffers[0].byteLength = len(data)
    gltf.set_binary_blob(bytes(data))
    return b"".join(gltf.save_to_bytes())


def read_skinned(path: Path) -> SkinnedFile:
    """Read a GLB with one skin; other skins are left out.

    Raises:
        ValueError: it has no skin, or its joints do not make one tree.
    """
    import pygltflib

    gltf = pygltflib.GLTF2.load_binary(str(path))
    if not gltf.skins:
        raise ValueError(f"{path.name} has no skin")
    skin = gltf.skins[0]
    parent_of = {child: number for number, node in enumerate(gltf.nodes) for child in node.children or ()}
    row = {node: index for index, node in enumerate(skin.joints)}
    parents = np.array([row.get(parent_of.get(node, -1), -1) for node in skin.joints])
    if (parents >= np.arange(len(parents))).any() or (parents < 0).sum() != 1:
        raise ValueError(f"{path.name}: its joints do not make one tree, parents first")
    rest = np.stack([_world(gltf, node) for node in skin.joints])
    bind = accessor_rows(gltf, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    heads = rest[:, :3, 3]
    named = [gltf.nodes[node] for node in skin.joints]
    tails = np.array([(node.extras or {}).get("tail", head) for node, head in zip(named, heads, strict=True)])
    parts = []
    for node in gltf.nodes:
        if node.mesh is None or node.skin != 0:
            continue
        for primitive in gltf.meshes[node.mesh].primitives:
            has = primitive.attributes
            values = [accessor_rows(gltf, each) for each in (has.POSITION, has.JOINTS_0, has.WEIGHTS_0)]
            parts.append(SkinnedPart(str(node.name), values[0].astype(float), values[1].astype(int), values[2]))
    skeleton = Skeleton(tuple(str(node.name) for node in named), parents, heads, tails)
    return SkinnedFile(skeleton, rest, bind, tuple(parts))


def accessor_rows(gltf: Any, number: int) -> npt.NDArray[Any]:
    """The rows of an accessor of a pygltflib document, as they are stored: (count, width)."""
    accessor = gltf.accessors[number]
    view = gltf.bufferViews[accessor.bufferView]
    dtype, width = np.dtype(DTYPES[accessor.componentType]), WIDTHS[accessor.type]
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    stride = view.byteStride or dtype.itemsize * width
    rows = np.ndarray((accessor.count, width), dtype, gltf.binary_blob(), start, (stride, dtype.itemsize))
    return np.array(rows)


def _world(gltf: Any, number: int) -> FloatArray:
    """(4, 4) from a node's coordinates to the world's."""
    parent_of = {child: parent for parent, node in enumerate(gltf.nodes) for child in node.children or ()}
    matrix: FloatArray = np.eye(4)
    at: int | None = number
    while at is not None:
        matrix = local_matrix(gltf.nodes[at]) @ matrix
        at = parent_of.get(at)
    return matrix
