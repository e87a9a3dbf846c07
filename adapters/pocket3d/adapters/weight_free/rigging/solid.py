"""Fills a closed surface with voxels, and connects them to a graph whose shortest paths stay inside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...mesh.repair import LEAST_FACES, NoSolid, ray_votes
from ...mesh.triangles import FloatArray, IntArray

#: Voxels along the longest side, and how many the whole solid may have: shortest paths take as long as these are many.
_ALONG = 96
_MOST = 45_000
#: Pieces that do not touch are joined into one graph; what is beyond this many, the smallest, is left out, and where
#: that is most of it there is no body.
_MOST_PIECES, _LEAST_KEPT = 40, 0.5
#: So many bodies are fused in about as long as it takes to ask whether they touch.
_FEW_BODIES = 1000
#: Cells along the longest side in which boxes of bodies touch: half of those in which bodies are fused.
_TOUCHING = 192
#: Half of the 26 neighbours.
_OFFSETS = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)]


class Solid(NamedTuple):
    """Voxels inside a surface. A voxel's number is its row in `points`."""

    #: (N, 3) centres.
    points: FloatArray
    #: (N,) distance of each to the surface.
    radius: FloatArray
    #: Edge of a voxel.
    pitch: float
    #: (N, N) symmetric, length between neighbours; connected.
    graph: csr_matrix
    #: Longest gap between pieces over which the graph goes; 0 where the solid is one piece.
    gap: float
    #: Finds the nearest voxel.
    tree: cKDTree

    def nearest(self, places: FloatArray) -> tuple[FloatArray, IntArray]:
        """Distance to, and number of, the voxel nearest to each place (P, 3)."""
        distance, number = self.tree.query(places)
        return distance, number

    def inside(self, places: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each place (P, 3) lies in a voxel of the solid."""
        _, number = self.tree.query(places)
        return np.asarray(np.abs(self.points[number] - places).max(axis=1) <= self.pitch * 0.5001)


def voxelise(mesh: Any) -> Solid:
    """Fill a closed `trimesh.Trimesh`.

    Raises:
        ValueError: it encloses no voxel.
        NoSolid: it is in pieces, most of it in those beyond `_MOST_PIECES`.
    """
    extent = float(mesh.extents.max())
    pitch = max(extent / _ALONG, (abs(float(mesh.volume)) / _MOST) ** (1 / 3))
    origin = mesh.bounds[0] - pitch * np.array([1.013, 1.017, 1.019])
    shape = np.ceil((mesh.bounds[1] - origin) / pitch).astype(int) + 2
    filled = ray_votes(((mesh.vertices - origin) / pitch)[mesh.faces], 2, tuple(shape.tolist())) > 0
    if not filled.any():
        raise ValueError("the surface encloses no voxel")
    reach = ndimage.distance_transform_edt(filled)
    cells = np.argwhere(filled)
    number = np.full(filled.shape, -1)
    number[filled] = np.arange(len(cells))
    starts, ends, lengths = [], [], []
    for offset in _OFFSETS:
        other = number[tuple((cells + offset).T)]
        there = np.flatnonzero(other >= 0)
        starts.append(there)
        ends.append(other[there])
        lengths.append(np.full(len(there), pitch * float(np.linalg.norm(offset))))
    points = origin + cells * pitch
    radius = (reach[filled] - 0.5) * pitch
    return _joined(points, radius, pitch, np.concatenate(starts), np.concatenate(ends), np.concatenate(lengths))


def refuse_crowd(corners: FloatArray, body: IntArray) -> None:
    """Refuse, at the cost of their boxes, many bodies whose boxes do not touch: to fuse them takes milliseconds each.

    Args:
        corners: (F, 3, 3) of triangles.
        body: (F,) the body of each.

    Raises:
        NoSolid: most of it lies beyond the `_MOST_PIECES` largest groups of boxes that touch.
    """
    faces = np.bincount(body)
    if int((faces >= LEAST_FACES).sum()) <= _FEW_BODIES:
        return
    order = np.argsort(body, kind="stable")
    starts = np.cumsum(faces) - faces
    low = np.minimum.reduceat(corners.min(axis=1)[order], starts)[faces >= LEAST_FACES]
    high = np.maximum.reduceat(corners.max(axis=1)[order], starts)[faces >= LEAST_FACES]
    cell = max(float((high.max(axis=0) - low.min(axis=0)).max()), 1e-300) / _TOUCHING
    first, last = (np.floor((each - low.min(axis=0)) / cell).astype(int) for each in (low, high))
    # One more where a box begins and one less where it ends, along each axis: the sums count the boxes at a cell.
    change = np.zeros(last.max(axis=0) + 2, dtype=np.int32)
    for ends in np.ndindex(2, 2, 2):
        x, y, z = (np.where(ends, last + 1, first)).T
        np.add.at(change, (x, y, z), (-1) ** sum(ends))
    boxes = change.cumsum(axis=0).cumsum(axis=1).cumsum(axis=2) > 0
    label, groups = ndimage.label(boxes, np.ones((3, 3, 3)))
    sizes = np.sort(np.bincount(label.reshape(-1))[1:])
    _refuse_pieces(groups, float(sizes[-_MOST_PIECES:].sum()) / float(sizes.sum()))


def _refuse_pieces(pieces: int, kept_share: float) -> None:
    if kept_share < _LEAST_KEPT:
        raise NoSolid(
            f"{pieces:,} pieces that do not touch, of which the {_MOST_PIECES} largest, as many as bones go"
            f" through, are {kept_share:.0%}: bones need one body; rig a part of the mesh"
        )


def _joined(
    points: FloatArray, radius: FloatArray, pitch: float, starts: IntArray, ends: IntArray, lengths: FloatArray
) -> Solid:
    """The graph with an edge from each piece to the nearest voxel of what is joined already."""
    size = len(points)
    graph = csr_matrix((lengths, (starts, ends)), shape=(size, size))
    pieces, label = connected_components(graph, directed=False)
    gap = 0.0
    if pieces > 1:
        sizes = np.bincount(label)
        order = np.argsort(-sizes, kind="stable")[:_MOST_PIECES]
        kept_share = float(sizes[order].sum()) / size
        _refuse_pieces(pieces, kept_share)
        joined = np.flatnonzero(label == order[0])
        for piece in order[1:]:
            own = np.flatnonzero(label == piece)
            distance, nearest = cKDTree(points[joined]).query(points[own])
            best = int(np.argmin(distance))
            starts, ends = np.append(starts, own[best]), np.append(ends, joined[nearest[best]])
            lengths = np.append(lengths, distance[best])
            gap = max(gap, float(distance[best]))
            joined = np.concatenate([joined, own])
        kept = np.sort(joined)
        fresh = np.full(size, -1)
        fresh[kept] = np.arange(len(kept))
        there = (fresh[starts] >= 0) & (fresh[ends] >= 0)
        starts, ends, lengths = fresh[starts[there]], fresh[ends[there]], lengths[there]
        points, radius, size = points[kept], radius[kept], len(kept)
    graph = csr_matrix((np.r_[lengths, lengths], (np.r_[starts, ends], np.r_[ends, starts])), shape=(size, size))
    return Solid(points, radius, pitch, graph, gap, cKDTree(points))
