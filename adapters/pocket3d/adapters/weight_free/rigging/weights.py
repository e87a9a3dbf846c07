"""Computes skin weights by heat that spreads from the bones over the surface (Baran and Popovic, "Automatic Rigging and
Animation of 3D Characters", 2007).

Which bone heats a vertex, and from how far, is measured through the solid (as in Dionne and de Lasa, "Geodesic Voxel
Binding for Production Character Meshes", 2013) and not by sight: a hand beside the hip gets nothing from the leg.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_matrix, diags
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ...mesh.skinned_glb import Skeleton
from ...mesh.triangles import FloatArray, IntArray, areas
from .solid import Solid

#: The paper's c: heat per squared distance.
_HEAT = 1.0
#: Less than this is nobody's business, and would move far vertices.
_LEAST = 0.02
MOST_PER_VERTEX = 4
_NEIGHBOURS = 3


def heat_weights(surface: Any, solid: Solid, skeleton: Skeleton) -> FloatArray:
    """(V, J) weights of a closed `trimesh.Trimesh`'s vertices; rows sum to 1, the root's column is 0."""
    owner, distance = nearest_bones(solid, skeleton, surface.vertices)
    laplacian, area = _cotangents(surface.vertices, surface.faces)
    heat = _HEAT * area / np.maximum(distance, solid.pitch / 2) ** 2
    solved = splu(csc_matrix(laplacian + diags(heat)))
    right = np.zeros((len(area), len(skeleton.names)))
    right[np.arange(len(area)), owner] = heat
    weights = np.clip(solved.solve(right), 0, None)
    weights[weights < _LEAST] = 0
    total = weights.sum(axis=1, keepdims=True)
    lost = total[:, 0] <= 0
    weights[lost] = np.eye(len(skeleton.names))[owner[lost]]
    result: FloatArray = weights / np.where(lost[:, None], 1.0, total)
    return result


def nearest_bones(solid: Solid, skeleton: Skeleton, places: FloatArray) -> tuple[IntArray, FloatArray]:
    """For each position (P, 3) the joint whose bone is nearest through the solid, and its distance. Never the root."""
    seeds: dict[int, int] = {}
    for joint in range(1, len(skeleton.names)):
        head, tail = skeleton.heads[joint], skeleton.tails[joint]
        count = int(np.ceil(np.linalg.norm(tail - head) / solid.pitch)) * 2 + 2
        # Not up to the head, which belongs to the bone before.
        samples = head + (np.arange(count) + 0.5)[:, None] / count * (tail - head)
        for voxel in solid.nearest(samples)[1].tolist():
            seeds.setdefault(voxel, joint)
    through, _, source = dijkstra(solid.graph, indices=list(seeds), min_only=True, return_predecessors=True)
    gap, voxel = solid.nearest(places)
    joint_of = np.zeros(len(solid.points), dtype=int)
    joint_of[list(seeds)] = list(seeds.values())
    return joint_of[source[voxel]], through[voxel] + gap


def transfer_weights(places: FloatArray, surface: FloatArray, weights: FloatArray) -> tuple[IntArray, FloatArray]:
    """Interpolate weights (V, J) at positions (P, 3) from the nearest vertices of the surface (V, 3): (P, 4) joints and
    (P, 4) float32 weights, which sum to 1; a joint whose weight is 0 is 0.
    """
    distance, nearest = cKDTree(surface).query(places, k=_NEIGHBOURS)
    share = 1 / np.maximum(distance, 1e-12 * (1 + distance.max()))
    share /= share.sum(axis=1, keepdims=True)
    count = min(MOST_PER_VERTEX, weights.shape[1])
    joints = np.zeros((len(places), MOST_PER_VERTEX), dtype=int)
    kept = np.zeros((len(places), MOST_PER_VERTEX))
    for start in range(0, len(places), 50_000):
        part = slice(start, start + 50_000)
        mixed = np.einsum("pk,pkj->pj", share[part], weights[nearest[part]])
        order = np.argsort(-mixed, axis=1, kind="stable")[:, :count]
        joints[part, :count] = order
        kept[part, :count] = np.take_along_axis(mixed, order, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    joints[kept == 0] = 0
    return joints, kept.astype(np.float32)


def _cotangents(vertices: FloatArray, faces: IntArray) -> tuple[csc_matrix, FloatArray]:
    """The positive cotangent Laplacian (Pinkall and Polthier 1993) and a third of the area about each vertex."""
    corners = vertices[faces]
    size = len(vertices)
    area = np.zeros(size)
    twice = 2 * areas(corners)
    rows, columns, values = [], [], []
    for k in range(3):
        a, b, c = (faces[:, (k + i) % 3] for i in range(3))
        one, other = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        # Negative ones, of obtuse corners, would make weights negative.
        half = np.clip((one * other).sum(axis=1) / np.maximum(twice, 1e-30), 0.01, 100) / 2
        rows += [b, c, b, c]
        columns += [c, b, b, c]
        values += [-half, -half, half, half]
        np.add.at(area, a, twice / 6)
    matrix = csc_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    return matrix, np.maximum(area, area.mean() * 1e-3)
