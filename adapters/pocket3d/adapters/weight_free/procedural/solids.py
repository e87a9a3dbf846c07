"""Closed surfaces from few numbers, built with torch: rings swept along a path, and polyhedra with bevelled edges.

Every solid is watertight without merging vertices and faces outwards. Y is up, metres. Edges carry a small bevel, so
that one normal per vertex shades flat faces flat and round ones round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from .polygons import Outline, bevelled, triangulated

Point = tuple[float, float, float]
Rings = Sequence[Sequence[Sequence[float]]]
#: Bevel as a share of a body's smallest side.
BEVEL = 0.04
_KIND = torch.float64


class Solid(NamedTuple):
    """One closed body."""

    #: (V, 3) float64
    vertices: torch.Tensor
    #: (F, 3) int64, counter-clockwise from outside
    faces: torch.Tensor

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Solid:
        """Shifted by metres."""
        return Solid(self.vertices + self.vertices.new_tensor([x, y, z]), self.faces)

    def scaled(self, x: float, y: float, z: float) -> Solid:
        """Stretched about the origin by factors; negative ones mirror."""
        faces = self.faces if x * y * z > 0 else self.faces.flip(1)
        return Solid(self.vertices * self.vertices.new_tensor([x, y, z]), faces)

    def turned(self, degrees: float, axis: str = "y") -> Solid:
        """Turned about an axis through the origin, right-handed."""
        angle = math.radians(degrees)
        c, s = math.cos(angle), math.sin(angle)
        rows = {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
        return Solid(self.vertices @ self.vertices.new_tensor(rows).T, self.faces)

    def volume(self) -> float:
        """Cubic metres; negative if it faces inwards."""
        a, b, c = self.vertices[self.faces].unbind(1)
        return float((a * torch.linalg.cross(b, c)).sum() / 6)


class Kit:
    """Makes solids on one device."""

    def __init__(self, device: str = "cpu", detail: float = 1.0) -> None:
        self.device = device
        self._detail = detail
        #: Solids by what they were made from.
        self.made: dict[object, Solid] = {}

    def around(self, segments: int) -> int:
        """So many corners round bodies get where `segments` are usual."""
        return max(round(segments * self._detail), min(segments, 5))

    def _tensor(self, values: object) -> torch.Tensor:
        return torch.as_tensor(values, dtype=_KIND, device=self.device)

    # ------------------------------------------------------------ swept rings

    def shell(
        self, rings: torch.Tensor | Rings, start: Sequence[float] | None = None, end: Sequence[float] | None = None
    ) -> Solid:
        """A closed body over rings of points.

        Args:
            rings: (S, N, 3), neighbours are joined.
            start: the point that closes the first ring; None for its middle.
            end: the point that closes the last.
        """
        points = self._tensor(rings)
        count, around, _ = points.shape
        poles = [
            ring.mean(0) if pole is None else self._tensor(pole)
            for ring, pole in ((points[0], start), (points[-1], end))
        ]
        grid = torch.arange(count * around, device=self.device).reshape(count, around)
        ends = []
        for number, ring in ((count * around, grid[0].flip(0)), (count * around + 1, grid[-1])):
            ends.append(torch.stack([torch.full_like(ring, number), ring, ring.roll(-1)], -1))
        return _outward(
            Solid(torch.cat([points.reshape(-1, 3), torch.stack(poles)]), torch.cat([_joined(grid), *ends]))
        )

    def ring(self, rings: torch.Tensor | Rings) -> Solid:
        """A body with a hole through it: (S, N, 3) rings of points, the last joined to the first."""
        points = self._tensor(rings)
        grid = torch.arange(points.shape[0] * points.shape[1], device=self.device).reshape(points.shape[:2])
        return _outward(Solid(points.reshape(-1, 3), _joined(torch.cat([grid, grid[:1]]))))

    def lathe(self, profile: Sequence[tuple[float, float]], segments: int = 40, sharp: float | None = None) -> Solid:
        """A body of revolution about y.

        Args:
            profile: (radius, height) from one end of the axis to the other; the first and last radius are taken as 0.
            segments: around.
            sharp: bevel of corners over 30 degrees; None for a share of the body's size, 0 for none.
        """
        segments = self.around(segments)
        points = [(max(r, 0.0), y) for r, y in profile]
        if sharp is None:
            sharp = BEVEL * min(max(r for r, _ in points), max(y for _, y in points) - min(y for _, y in points))
        # The axis itself is a pole, not a ring.
        start, end = (0.0, points[0][1]), (0.0, points[-1][1])
        inner = [point for point in points if point[0] > 1e-9]
        rim = bevelled([start, *inner, end], sharp) if sharp > 0 else [start, *inner, end]
        rows = self._tensor(rim[1:-1])
        turn = torch.arange(segments, device=self.device, dtype=_KIND) * (2 * math.pi / segments)
        radius, height = rows[:, :1], rows[:, 1:].expand(-1, segments)
        rings = torch.stack([radius * torch.sin(turn), height, radius * torch.cos(turn)], -1)
        return self.shell(rings, (0, start[1], 0), (0, end[1], 0))

    def cylinder(self, radius: float, height: float, top: float | None = None, segments: int = 40) -> Solid:
        """Standing on y = 0; `top` is another radius above."""
        upper = radius if top is None else top
        return self.lathe([(0, 0), (radius, 0), (upper, height), (0, height)], segments)

    def cone(self, radius: float, height: float, segments: int = 40) -> Solid:
        """Standing on y = 0, with a slightly rounded tip."""
        return self.lathe(
            [(0, 0), (radius, 0), (radius * 0.03, height * 0.985), (radius * 0.012, height * 0.997), (0, height)],
            segments,
            sharp=min(radius, height) * 0.02,
        )

    def ellipsoid(self, x: float, y: float, z: float, segments: int = 36) -> Solid:
        """Half axes in metres, about the origin."""
        rows = self.around(segments) // 2 + 1 if self._detail < 1 else segments // 2
        profile = [(math.sin(math.pi * i / rows), -math.cos(math.pi * i / rows)) for i in range(rows + 1)]
        return self.lathe(profile, segments, sharp=0).scaled(x, y, z)

    def ball(self, radius: float, segments: int = 36) -> Solid:
        """About the origin."""
        return self.ellipsoid(radius, radius, radius, segments)

    def torus(self, radius: float, thickness: float, around: int = 56, across: int = 24) -> Solid:
        """Lying about the y axis; `radius` is of the middle line, `thickness` of the tube."""
        around, across = self.around(around), self.around(across)
        u = torch.arange(around, device=self.device, dtype=_KIND)[:, None] * (2 * math.pi / around)
        v = torch.arange(across, device=self.device, dtype=_KIND)[None] * (2 * math.pi / across)
        distance = radius + thickness * torch.cos(v)
        grid = torch.stack(
            [distance * torch.sin(u), thickness * torch.sin(v).expand(around, -1), distance * torch.cos(u)], -1
        )
        return self.ring(grid)

    def tube(self, path: Sequence[Point], radius: float | Sequence[float], segments: int = 20) -> Solid:
        """A round bar along a path, its ends rounded.

        The path has at least two points; there is one radius, or one per point.
        """
        points, segments = self._tensor(path), self.around(segments)
        radii = self._tensor([radius] * len(path) if isinstance(radius, (int, float)) else list(radius))
        forward = torch.zeros_like(points)
        forward[1:-1] = points[2:] - points[:-2]
        forward[0], forward[-1] = points[1] - points[0], points[-1] - points[-2]
        forward = forward / forward.norm(dim=1, keepdim=True)
        # Parallel transport: the cross-section does not spin about the path.
        start = self._tensor([0.0, 0.0, 1.0]) if abs(float(forward[0, 2])) < 0.9 else self._tensor([1.0, 0.0, 0.0])
        sides = []
        for direction in forward:
            start = start - (start @ direction) * direction
            start = start / start.norm()
            sides.append(start)
        side = torch.stack(sides)
        up = torch.linalg.cross(forward, side)
        turn = torch.arange(segments, device=self.device, dtype=_KIND) * (2 * math.pi / segments)
        circle = torch.cos(turn)[None, :, None] * side[:, None] + torch.sin(turn)[None, :, None] * up[:, None]
        # The ends are rounded by rings of their own: (place, angle on the end's ellipse).
        stations = [(0, -72), (0, -50), (0, -25), *((i, 0) for i in range(len(path))), (-1, 25), (-1, 50), (-1, 72)]
        rings = []
        for i, degrees in stations:
            angle = math.radians(degrees)
            rings.append(points[i] + radii[i] * (0.5 * math.sin(angle) * forward[i] + math.cos(angle) * circle[i]))
        poles = [points[i] + sign * radii[i] * forward[i] for i, sign in ((0, -0.5), (-1, 0.5))]
        return self.shell(torch.stack(rings), poles[0].tolist(), poles[1].tolist())

    # ------------------------------------------------------------ polyhedra

    def box(self, width: float, height: float, depth: float, bevel: float | None = None) -> Solid:
        """Standing on y = 0, centred in x and z."""
        x, z = width / 2, depth / 2
        return self.prism([(-x, 0), (x, 0), (x, height), (-x, height)], 2 * z, bevel)

    def prism(self, outline: Outline, depth: float, bevel: float | None = None) -> Solid:
        """An outline in the x-y plane (counter-clockwise, any simple polygon) as thick as `depth`, centred in z."""
        n, z = len(outline), depth / 2
        points: list[Point] = [(x, y, z) for x, y in outline] + [(x, y, -z) for x, y in outline]
        faces = [list(range(n)), list(range(2 * n - 1, n - 1, -1))]
        faces += [[i, i + n, (i + 1) % n + n, (i + 1) % n] for i in range(n)]
        if bevel is None:
            width = max(x for x, _ in outline) - min(x for x, _ in outline)
            height = max(y for _, y in outline) - min(y for _, y in outline)
            bevel = BEVEL * min(width, height, depth)
        return self.polyhedron(points, faces, bevel)

    def frustum(self, lower: tuple[float, float], upper: tuple[float, float], height: float) -> Solid:
        """A block that tapers: (width, depth) below and above; a small `upper` makes a pyramid."""
        corners = ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))
        points: list[Point] = [(x * lower[0], 0.0, z * lower[1]) for x, z in corners]
        points += [(x * upper[0], height, z * upper[1]) for x, z in corners]
        faces = [[3, 2, 1, 0], [4, 5, 6, 7]] + [[i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4] for i in range(4)]
        return self.polyhedron(points, faces, BEVEL * min(*lower, height, max(min(upper), 0.02 * min(lower))) * 0.5)

    def polyhedron(self, points: Sequence[Point], faces: Sequence[Sequence[int]], bevel: float) -> Solid:
        """A closed body of flat faces, each edge replaced by a strip and each corner by a small polygon.

        Args:
            points: the corners.
            faces: each counter-clockwise from outside, flat.
            bevel: how far each face shrinks from its edges, metres; must be small against them.
        """
        corner: dict[tuple[int, int], int] = {}
        made: list[torch.Tensor] = []
        triangles: list[tuple[int, int, int]] = []
        across: dict[tuple[int, int], int] = {}
        position = torch.tensor(points, dtype=_KIND)
        for number, face in enumerate(faces):
            ring = position[list(face)]
            after = torch.roll(ring, -1, 0)
            normal = torch.linalg.cross(ring, after).sum(0)
            normal = normal / normal.norm()
            along = after - ring
            inward = torch.linalg.cross(normal.expand_as(along), along / along.norm(dim=1, keepdim=True))
            before = torch.roll(inward, 1, 0)
            # Where two inset edges meet (a mitre).
            mitre = (before + inward) / (1 + (before * inward).sum(1, keepdim=True)).clamp(min=0.1)
            base = sum(len(m) for m in made)
            made.append(ring + bevel * mitre)
            for place, point in enumerate(face):
                corner[number, point] = base + place
                across[point, face[(place + 1) % len(face)]] = number
            flat = _flattened(made[-1], normal)
            triangles += [(base + a, base + b, base + c) for a, b, c in triangulated(flat)]
        for (u, v), number in across.items():
            other = across[v, u]
            if u < v:
                a, b, c, d = corner[number, v], corner[number, u], corner[other, u], corner[other, v]
                triangles += [(a, b, c), (a, c, d)]
        incoming: dict[int, dict[int, int]] = {}
        for (u, v), number in across.items():
            incoming.setdefault(v, {})[number] = across[v, u]
        for point, step in incoming.items():
            first = next(iter(step))
            cycle, current = [first], step[first]
            while current != first:
                cycle.append(current)
                current = step[current]
            ids = [corner[number, point] for number in cycle]
            triangles += [(ids[0], ids[i], ids[i + 1]) for i in range(1, len(ids) - 1)]
        vertices = torch.cat(made).to(self.device)
        return _outward(Solid(vertices, torch.tensor(triangles, dtype=torch.int64, device=self.device)))


def _joined(grid: torch.Tensor) -> torch.Tensor:
    """Two triangles for each square of an (S, N) grid of point numbers, each row of which is a closed ring."""
    low, high = grid[:-1], grid[1:]
    a, b, c, d = low, low.roll(-1, 1), high.roll(-1, 1), high
    return torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]).reshape(-1, 3)


def bounds(points: torch.Tensor) -> tuple[Point, Point]:
    """Lowest and highest x, y, z of (N, 3) points."""
    low, high = points.amin(0).tolist(), points.amax(0).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _flattened(ring: torch.Tensor, normal: torch.Tensor) -> Outline:
    """A flat ring in the coordinates of its own plane, counter-clockwise."""
    x = ring[1] - ring[0]
    x = x / x.norm()
    y = torch.linalg.cross(normal, x)
    return [(float(p @ x), float(p @ y)) for p in ring - ring[0]]


def together(solids: Sequence[Solid]) -> Solid:
    """Several bodies as one, each closed in itself."""
    starts = [0]
    for solid in solids[:-1]:
        starts.append(starts[-1] + len(solid.vertices))
    faces = [solid.faces + start for solid, start in zip(solids, starts, strict=True)]
    return Solid(torch.cat([solid.vertices for solid in solids]), torch.cat(faces))


def _outward(solid: Solid) -> Solid:
    return solid if solid.volume() >= 0 else Solid(solid.vertices, solid.faces.flip(1))
