"""The node tree of a GLB file (glTF 2.0, section 3.5): what the scene shows, and where nodes lie in the world."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .glb_document import Document, Node
from .limits import MAX_COORDINATE, MeshLimits, Refused

_MAX_NODES = 100_000
#: The parser walks from the root to each node; half a million steps take it two seconds.
_MAX_DEPTH = 200
_MAX_WALK = 500_000
_TRANSFORMATIONS = (("matrix", 16), ("translation", 3), ("rotation", 4), ("scale", 3))
_PLAIN = ("mesh", *(key for key, _ in _TRANSFORMATIONS))
Matrix = npt.NDArray[np.float64]


class Tree:
    """The nodes of one document."""

    def __init__(self, document: Document) -> None:
        self._nodes = document.nodes
        if len(self._nodes) > _MAX_NODES:
            raise Refused(f"{len(self._nodes):,} nodes, at most {_MAX_NODES:,} are taken")
        self._growths = [_growth(node, index) for index, node in enumerate(self._nodes)]
        self._parents = {child: index for index, node in enumerate(self._nodes) for child in node.children}
        self._worlds: dict[int, Matrix] = {}
        chosen = document.scene or 0
        if document.scenes and chosen >= len(document.scenes):
            raise Refused(f"it shows scene {chosen}, which is not there")
        parentless = [index for index in range(len(self._nodes)) if index not in self._parents]
        self.roots = list(document.scenes[chosen].nodes) if document.scenes else parentless

    def shown(self, sizes: list[tuple[int, int]], limits: MeshLimits, copies: Mapping[int, int]) -> list[int]:
        """The nodes with a mesh that the scene shows. glTF wants a forest: anything else multiplies.

        Args:
            sizes: vertices and faces of each mesh.
            limits: for all that is shown together.
            copies: how often a node shows its mesh, where that is not once.
        """
        found: list[int] = []
        seen: set[int] = set()
        waiting = [(root, 1, 1.0) for root in self.roots]
        vertices = faces = walk = 0
        while waiting:
            index, depth, reach = waiting.pop()
            if index >= len(self._nodes):
                raise Refused(f"the scene names node {index}, which is not there")
            if index in seen:
                raise Refused(f"node {index} hangs in the tree twice or below itself")
            seen.add(index)
            walk += depth
            if depth > _MAX_DEPTH or walk > _MAX_WALK:
                raise Refused(f"its nodes are nested deeper than {_MAX_DEPTH} levels, or too many of them deep")
            node = self._nodes[index]
            reach *= self._growths[index]
            if reach > MAX_COORDINATE:
                raise Refused(f"the transformations down to node {index} lead beyond {MAX_COORDINATE:g}")
            if node.mesh is not None:
                if node.mesh >= len(sizes):
                    raise Refused(f"node {index} shows mesh {node.mesh}, which is not there")
                times = copies.get(index, 1)
                vertices += sizes[node.mesh][0] * times
                faces += sizes[node.mesh][1] * times
                limits.check_counts(vertices, faces)
                found.append(index)
            waiting += [(child, depth + 1, reach) for child in node.children]
        if faces == 0:
            raise Refused("no surface: no node of its scene shows triangles")
        return found

    def world(self, index: int) -> Matrix:
        """(4, 4) from a node's own coordinates to the world's, whether the scene shows it or not."""
        path: list[int] = []
        at: int | None = index
        while at is not None and at not in self._worlds:
            if at >= len(self._nodes) or len(path) > _MAX_DEPTH:
                raise Refused(f"node {index} is not there, or lies below itself or too deep")
            path.append(at)
            at = self._parents.get(at)
        matrix = np.eye(4) if at is None else self._worlds[at]
        for each in reversed(path):
            matrix = self._worlds[each] = matrix @ local_matrix(self._nodes[each])
        return matrix

    def plain(self) -> list[dict[str, Any]]:
        """The nodes as they are written, with nothing but their place and mesh; `origin` is their number, and 0."""
        return [
            {
                "name": node.name or f"node_{index}",
                "origin": (index, 0),
                **({"children": node.children} if node.children else {}),
                **{key: value for key in _PLAIN if (value := getattr(node, key)) is not None},
            }
            for index, node in enumerate(self._nodes)
        ]


def _growth(node: Node, index: int) -> float:
    """A bound on how much further from the origin a point may lie after the node's transformation; 1 or more."""
    growth = 1.0
    for key, length in _TRANSFORMATIONS:
        values = getattr(node, key)
        if values is None:
            continue
        if len(values) != length or not all(math.isfinite(each) for each in values):
            raise Refused(f"the {key} of node {index} is not {length} finite numbers")
        growth *= max(1.0, *(abs(each) for each in values))
    if node.rotation is not None and not any(node.rotation):
        raise Refused(f"the rotation of node {index} is zero")
    return growth


def local_matrix(node: Any) -> Matrix:
    """(4, 4) from a node's coordinates to its parent's (glTF 2.0, section 3.5.3).

    Args:
        node: has `matrix`, or `translation`, `rotation` and `scale`, each as glTF has them or None.
    """
    if node.matrix is not None:
        # Column by column.
        given: Matrix = np.array(node.matrix, dtype=float).reshape(4, 4).T
        return given
    x, y, z, w = np.array(node.rotation or (0, 0, 0, 1), dtype=float) / math.hypot(*(node.rotation or (1,)))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.scale or (1, 1, 1), dtype=float)
    matrix[:3, 3] = node.translation or (0, 0, 0)
    return matrix
