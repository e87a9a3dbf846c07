"""Closes the boundary loops of the parts of a scene with caps of least area.

The triangulation of a loop is the dynamic programme of Barequet and Sharir, "Filling Gaps in the Boundary of a
Polyhedron", CAGD 1995: of all triangulations the one of least area. Nothing is guessed of what lay there: caps are as
flat as their loop allows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...mesh.triangles import FloatArray, IntArray, areas, directed_edges
from ...mesh.weld import NEARLY, weld_vertices
from ...mesh.write import MeshPart, vertex_normals

METHOD = "least-area triangulation of boundary loops"
SOURCE = "Barequet and Sharir 1995"
#: Open edges of all parts together: closing takes up to a fifth of a millisecond for each.
MOST_OPEN_EDGES = 200_000
#: Vertices of a loop triangulated at once, in cubic time; longer ones are divided first.
_AT_ONCE = 200
#: Weight of a triangle's longest edge, squared, beside its area: decides among equal areas, against slivers.
_TIE = 1e-3
#: Cost of an inner edge that the mesh has already, beside areas of at most about 3.
_FORBIDDEN = 1e6
#: Volume over area to the power 1.5, under which a closed surface is a sheet (a ball has 0.094).
_FLAT = 1e-5


class TooManyHoles(ValueError):
    """More open edges than `MOST_OPEN_EDGES`; the message counts them."""


class Hole(NamedTuple):
    """One loop that was closed."""

    edges: int
    #: Of its cap, in the mesh's units squared.
    area: float


class Filled(NamedTuple):
    """See `fill_holes`."""

    #: (K, 3) indices into the vertices, wound as the mesh is.
    faces: IntArray
    holes: list[Hole]
    #: Edges with one face that are left.
    open_edges: int
    #: Edges that more than two faces share, or two in the same direction: such a mesh has no inside there.
    bad_edges: int
    #: Enclosed afterwards, negative if the faces look inwards; None while open edges or bad ones are left.
    volume: float | None


class ClosedPart(NamedTuple):
    """The part, the filled holes, and the reason if it could not be closed."""

    part: MeshPart
    filled: Filled
    note: str | None

    def facts(self) -> dict[str, Any]:
        """What the answer says about the part."""
        return {
            "name": self.part.name,
            "holes": [hole._asdict() for hole in self.filled.holes],
            "watertight": self.filled.volume is not None,
            "volume": self.filled.volume,
            "note": self.note,
        }


def close_part(part: MeshPart, most_open_edges: int = MOST_OPEN_EDGES) -> ClosedPart:
    """Fill the part's holes; all that was there stays as it is.

    Raises:
        TooManyHoles: they have more open edges than that.
    """
    filled = fill_holes(part.vertices, part.faces, most_open_edges)
    if not len(filled.faces):
        return ClosedPart(part, filled, _note(filled))
    rim, inverse = np.unique(filled.faces, return_inverse=True)
    caps = inverse.reshape(-1, 3)
    closed = part._replace(
        vertices=np.concatenate([part.vertices, part.vertices[rim]]),
        faces=np.concatenate([part.faces, caps + len(part.vertices)]),
        normals=np.concatenate([part.normals, vertex_normals(part.vertices[rim], caps)]),
        uv=None if part.uv is None else np.concatenate([part.uv, part.uv[rim]]),
        colours=None if part.colours is None else np.concatenate([part.colours, part.colours[rim]]),
    )
    return ClosedPart(closed, filled, _note(filled))


def _note(filled: Filled) -> str | None:
    if filled.bad_edges:
        return f"it has no inside: {filled.bad_edges} edges have too many faces, or two that face opposite ways"
    if filled.open_edges and not filled.holes:
        return f"a sheet: closing its {filled.open_edges} open edges would enclose nothing; it is left open"
    if filled.open_edges:
        return f"{filled.open_edges} open edges form no loop and are left open"
    if filled.volume is not None and filled.volume < 0:
        return "its faces look inwards"
    return None


def fill_holes(vertices: FloatArray, faces: IntArray, most_open_edges: int = MOST_OPEN_EDGES) -> Filled:
    """Triangulate every boundary loop.

    A mesh that would enclose nothing with its caps (a sheet) is left as it is.

    `vertices`, (V, 3): equal positions count as one. `faces`, (F, 3), are wound consistently where it is to be closed.

    Raises:
        TooManyHoles: more open edges than that.
    """
    place, first = weld_vertices(vertices, NEARLY)
    topology = place[faces]
    topology = topology[(topology != np.roll(topology, 1, axis=1)).all(axis=1)]
    boundary, bad = _boundary(topology, len(first))
    if len(boundary) > most_open_edges:
        raise TooManyHoles(
            f"{len(boundary):,} open edges, and at most {MOST_OPEN_EDGES:,} of all parts together are closed; if its"
            " triangles should hang together, merge the vertices by distance first, else close parts of the mesh"
        )
    loops = _loops(boundary)
    points = vertices[first].astype(np.float64)
    links = _Links.of(topology, loops)
    caps = [_cap(points, np.array(loop), links) for loop in loops]
    if not caps:
        volume = None if len(boundary) or bad else _volume(points, topology)
        return Filled(np.zeros((0, 3), dtype=np.int64), [], len(boundary), bad, volume)
    closed = np.concatenate([topology, *caps])
    if abs(_volume(points, closed)) < _FLAT * float(areas(points[closed]).sum()) ** 1.5:
        return Filled(np.zeros((0, 3), dtype=np.int64), [], len(boundary), bad, None)
    left, bad_after = _boundary(closed, len(first))
    holes = [Hole(len(loop), float(areas(points[cap]).sum())) for loop, cap in zip(loops, caps, strict=True)]
    volume = None if left or bad_after else _volume(points, closed)
    return Filled(first[np.concatenate(caps)], holes, len(left), bad_after, volume)


def _boundary(faces: IntArray, count: int) -> tuple[list[tuple[int, int]], int]:
    """Directed edges without a face on their other side, and the number of edges that are not manifold."""
    edges = directed_edges(faces)
    forward, times = np.unique(edges[:, 0] * count + edges[:, 1], return_counts=True)
    backward = (forward % count) * count + forward // count
    where = np.minimum(np.searchsorted(forward, backward), len(forward) - 1)
    paired = forward[where] == backward
    once = times == 1
    alone = forward[once & ~paired]
    low = np.minimum(forward, backward)
    bad = len(np.unique(low[~once]))
    return [(int(edge // count), int(edge % count)) for edge in alone], bad


def _loops(boundary: list[tuple[int, int]]) -> list[list[int]]:
    """Simple closed loops along directed edges; edges that belong to none are left out."""
    after: dict[int, list[int]] = defaultdict(list)
    for tail, head in boundary:
        after[tail].append(head)
    loops: list[list[int]] = []
    for start, _ in boundary:
        path, where = [start], {start: 0}
        while after[path[-1]]:
            here = after[path[-1]].pop()
            if here not in where:
                where[here] = len(path)
                path.append(here)
                continue
            loop = path[where[here] :]
            # A path that touches itself has come round: what lies between is a loop of its own.
            for gone in loop[1:]:
                del where[gone]
            del path[where[here] + 1 :]
            if len(loop) >= 3:
                loops.append(loop)
    return loops


class _Links(NamedTuple):
    """The mesh's edges between vertices of its loops, both ways, by where they begin."""

    starts: IntArray
    ends: IntArray

    @staticmethod
    def of(faces: IntArray, loops: list[list[int]]) -> _Links:
        on_rim = np.zeros(int(faces.max(initial=-1)) + 1, dtype=bool)
        on_rim[[vertex for loop in loops for vertex in loop]] = True
        edges = directed_edges(faces)
        edges = edges[on_rim[edges].all(axis=1)]
        both = np.concatenate([edges, edges[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        return _Links(both[:, 0], both[:, 1])


def _cap(points: FloatArray, loop: IntArray, links: _Links) -> IntArray:
    """Triangles over one loop, wound against it: each edge of the loop then has a face on both sides."""
    if len(loop) == 3:
        return loop[None, ::-1]
    if len(loop) <= _AT_ONCE:
        return _triangulate(points, loop, _taken(loop, links))
    corners = np.linspace(0, len(loop), _AT_ONCE, endpoint=False).astype(int)
    pieces = [_cap(points, loop[corners], links)]
    for begin, end in zip(corners, [*corners[1:], len(loop)], strict=True):
        # The chain between two corners and the edge that joins them.
        chain = np.take(loop, np.arange(begin, end + 1), mode="wrap")
        if len(chain) >= 3:
            pieces.append(_cap(points, chain, links))
    return np.concatenate(pieces)


def _taken(loop: IntArray, links: _Links) -> npt.NDArray[np.bool_]:
    """(n, n): which pairs of the loop's vertices an edge of the mesh joins. A cap's inner edge there would have more
    than two faces: over a tooth of a jagged rim it would lie on the tooth's own triangle.
    """
    # Looked up from the loop's vertices on: a mesh may have very many loops.
    first, last = np.searchsorted(links.starts, loop), np.searchsorted(links.starts, loop, side="right")
    one = np.repeat(np.arange(len(loop)), last - first)
    ends = links.ends[np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])]
    order = np.argsort(loop)
    two = order[np.minimum(np.searchsorted(loop[order], ends), len(loop) - 1)]
    there = loop[two] == ends
    taken = np.zeros((len(loop), len(loop)), dtype=bool)
    taken[one[there], two[there]] = True
    return taken


def _triangulate(points: FloatArray, loop: IntArray, taken: npt.NDArray[np.bool_]) -> IntArray:
    """(n - 2, 3): of all triangulations of the loop the one of least area, without inner edges that are taken."""
    count = len(loop)
    corners = points[loop]
    scale = max(float(np.ptp(corners, axis=0).max()), 1e-30)
    corners = (corners - corners[0]) / scale
    cost = np.where(taken, _FORBIDDEN, 0.0)
    # The loop's own edges are no inner ones.
    rim = np.arange(count)
    cost[rim, (rim + 1) % count] = cost[(rim + 1) % count, rim] = 0.0
    choice = np.zeros((count, count), dtype=np.int64)
    for gap in range(2, count):
        begin = np.arange(count - gap)[:, None]
        middle = begin + np.arange(1, gap)[None, :]
        end = begin + gap
        total = cost[begin, middle] + cost[middle, end] + _weight(corners[begin], corners[middle], corners[end])
        best = total.argmin(axis=1)
        rows = begin[:, 0]
        cost[rows, rows + gap] += total[np.arange(len(rows)), best]
        choice[rows, rows + gap] = rows + 1 + best
    triangles: list[tuple[int, int, int]] = []
    spans = [(0, count - 1)]
    while spans:
        low, high = spans.pop()
        if high - low < 2:
            continue
        between = int(choice[low, high])
        triangles.append((high, between, low))
        spans += [(low, between), (between, high)]
    chosen: IntArray = loop[np.array(triangles)]
    return chosen


def _weight(one: FloatArray, two: FloatArray, three: FloatArray) -> FloatArray:
    a, b, c = two - one, three - one, three - two
    longest = np.maximum(np.maximum((a * a).sum(-1), (b * b).sum(-1)), (c * c).sum(-1))
    weight: FloatArray = np.linalg.norm(np.cross(a, b), axis=-1) / 2 + _TIE * longest
    return weight


def _volume(points: FloatArray, faces: IntArray) -> float:
    """Enclosed volume by the divergence theorem, about the middle of the points."""
    corners = points[faces] - points.mean(axis=0)
    return float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)
