"""Unions of known solids, each face labelled by the solid it comes from: two disjoint sets, to tune by and to judge by.

Proportions, turn, place and size (0.1 to 100) follow a seed; half are tessellated densely, half as CAD programs do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import manifold3d
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

Place = tuple[float, float, float]


class Composition(NamedTuple):
    """A closed `trimesh.Trimesh` and (F,) the solid of each of its faces."""

    name: str
    mesh: Any
    truth: Any


class Maker:
    """Makes solids about the z axis, densely or as CAD triangles, with proportions by a seed."""

    def __init__(self, seed: int, dense: bool) -> None:
        self._random = np.random.default_rng(seed)
        self._around, self._rings, self._ball = (48, 12, 3) if dense else (int(self._random.integers(12, 25)), 1, 2)
        self._dense = dense

    def about(self, value: float) -> float:
        """The value, up to a sixth more or less."""
        return value * float(self._random.uniform(5 / 6, 7 / 6))

    def lathe(self, *profile: tuple[float, float], at: Place = (0, 0, 0), along: Place = (0, 0, 1)) -> Any:
        """A profile of (radius, z) turned about z; `along` is where z then points."""
        points = [np.array([0.0, profile[0][1]])]
        for corner in [*profile, (0.0, profile[-1][1])]:
            if np.allclose(corner, points[-1]):
                continue
            steps = np.linspace(0, 1, self._rings + 1)[1:, None]
            points += list(points[-1] + steps * (np.array(corner) - points[-1]))
        return _moved(trimesh.creation.revolve(np.array(points), sections=self._around), at, along)

    def rod(self, start: Place, end: Place, radius: float, tip: float | None = None) -> Any:
        """A cylinder, or with another radius at its tip a cone."""
        line = np.array(end) - np.array(start)
        top = radius if tip is None else tip
        return self.lathe((radius, 0), (top, float(np.linalg.norm(line))), at=start, along=tuple(line))

    def ball(self, at: Place, *radii: float) -> Any:
        """A ball of one radius, an ellipsoid of three."""
        mesh = trimesh.creation.icosphere(self._ball, 1.0)
        mesh.apply_scale(radii if len(radii) == 3 else radii[0])
        return _moved(mesh, at, (0, 0, 1))

    def box(self, at: Place, size: Place, turn: float = 0.0) -> Any:
        """A box about its middle, turned about z by so many degrees."""
        mesh = trimesh.creation.box(size)
        for _ in range(4 if self._dense else 0):
            mesh = mesh.subdivide()
        mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(turn), [0, 0, 1]))
        return _moved(mesh, at, (0, 0, 1))

    def ring(self, at: Place, radius: float, thick: float, axis: Place = (0, 1, 0)) -> Any:
        """A torus: `radius` is that of its middle line."""
        wide, narrow = (64, 20) if self._dense else (self._around, 10)
        mesh = trimesh.creation.torus(radius, thick, major_sections=wide, minor_sections=narrow)
        return _moved(mesh, at, axis)

    def wedge(self, at: Place, size: Place, turn: float = 0.0) -> Any:
        """A prism over a triangle: the base lies at z = 0, the ridge runs along y in the middle of x."""
        x, y, z = size
        corners = [(i * x / 2, j * y / 2, 0.0) for i in (-1, 1) for j in (-1, 1)] + [(0, -y / 2, z), (0, y / 2, z)]
        mesh = trimesh.convex.convex_hull(np.array(corners))
        for _ in range(4 if self._dense else 0):
            mesh = mesh.subdivide()
        mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(turn), [0, 0, 1]))
        return _moved(mesh, at, (0, 0, 1))


Recipe = Callable[[Maker], list[Any]]


def mug(m: Maker) -> list[Any]:
    r, h = m.about(0.7), m.about(1.6)
    return [m.lathe((r, 0), (r, h)), m.ring((r, 0, h / 2), m.about(0.45), m.about(0.1))]


def chair(m: Maker) -> list[Any]:
    w, t, leg = m.about(1.0), m.about(0.1), m.about(0.9)
    legs = [m.box((x * w * 0.42, y * w * 0.42, -leg / 2), (0.1, 0.1, leg)) for x in (-1, 1) for y in (-1, 1)]
    back = m.about(1.0)
    return [m.box((0, 0, 0), (w, w, t)), m.box((0, w * 0.43, back / 2), (w * 0.96, 0.08, back)), *legs]


def rocket(m: Maker) -> list[Any]:
    r, h = m.about(0.4), m.about(2.4)
    fins = [
        m.box((np.cos(a) * r * 1.3, np.sin(a) * r * 1.3, 0.35), (r * 1.2, 0.06, m.about(0.5)), np.degrees(a))
        for a in np.arange(3) * 2 * np.pi / 3
    ]
    return [m.lathe((r, 0), (r, h)), m.lathe((r * 1.15, 0), (0, m.about(0.9)), at=(0, 0, h)), *fins]


def bottle(m: Maker) -> list[Any]:
    r, h, neck = m.about(0.4), m.about(1.2), m.about(0.14)
    return [
        m.lathe((r, 0), (r, h), (neck, h + 0.35)),
        m.rod((0, 0, h + 0.3), (0, 0, h + 0.8), neck),
        m.rod((0, 0, h + 0.75), (0, 0, h + 0.95), neck * 1.35),
    ]


def tree(m: Maker) -> list[Any]:
    parts = [m.rod((0, 0, 0), (0, 0, 0.8), m.about(0.15))]
    z, r = 0.6, m.about(0.8)
    for _ in range(3):
        parts.append(m.lathe((r, 0), (0, m.about(0.9)), at=(0, 0, z)))
        z, r = z + 0.5, r * 0.78
    return parts


def plane(m: Maker) -> list[Any]:
    length, r = m.about(3.0), m.about(0.28)
    return [
        m.ball((0, 0, 0), r, length / 2, r),
        m.box((0, 0, 0), (m.about(3.0), 0.5, 0.08)),
        m.box((0, -length * 0.42, 0.02), (m.about(1.1), 0.3, 0.06)),
        m.box((0, -length * 0.42, 0.3), (0.06, 0.32, m.about(0.55))),
    ]


def lamp(m: Maker) -> list[Any]:
    h = m.about(1.6)
    return [
        m.rod((0, 0, 0), (0, 0, 0.1), m.about(0.4)),
        m.rod((0, 0, 0.05), (0, 0, h), 0.05),
        m.lathe((m.about(0.5), 0), (0.25, 0.5), at=(0, 0, h - 0.1)),
    ]


def table(m: Maker) -> list[Any]:
    w, d, leg = m.about(1.8), m.about(1.0), m.about(0.9)
    legs = [
        m.rod((x * w * 0.42, y * d * 0.4, -leg), (x * w * 0.42, y * d * 0.4, 0), 0.07) for x in (-1, 1) for y in (-1, 1)
    ]
    return [m.box((0, 0, 0), (w, d, 0.1)), *legs]


def hammer(m: Maker) -> list[Any]:
    h = m.about(1.5)
    return [m.rod((0, 0, 0), (0, 0, h), m.about(0.08)), m.box((0, 0, h), (m.about(0.7), 0.22, 0.25))]


def snowman(m: Maker) -> list[Any]:
    r = m.about(0.7)
    return [
        m.ball((0, 0, 0), 1.0),
        m.ball((0, 0, 0.75 + r * 0.7), r),
        m.ball((0, 0, 1.1 + r * 1.7), r * 0.62),
        m.rod((0, r * 0.5, 1.1 + r * 1.7), (0, r * 1.2, 1.1 + r * 1.7), 0.1, 0.0),
    ]


def person(m: Maker) -> list[Any]:
    arms = [m.rod((s * 0.15, 0, 1.42), (s * m.about(0.75), 0, m.about(1.2)), 0.075) for s in (-1, 1)]
    legs = [m.rod((s * 0.13, 0, 0.9), (s * 0.2, 0, 0), 0.09) for s in (-1, 1)]
    return [m.ball((0, 0, 1.15), 0.25, 0.18, 0.42), m.ball((0, 0, 1.72), m.about(0.2)), *arms, *legs]


def barrow(m: Maker) -> list[Any]:
    handles = [m.rod((s * 0.25, -0.2, 0.1), (s * 0.35, m.about(1.5), 0.2), 0.04) for s in (-1, 1)]
    wheel = m.rod((-0.06, -0.85, -0.2), (0.06, -0.85, -0.2), m.about(0.3))
    fork = m.rod((0, -0.85, -0.2), (0, -0.2, 0.1), 0.05)
    return [m.box((0, 0, 0.2), (m.about(0.9), 1.0, 0.4)), wheel, fork, *handles]


def dumbbell(m: Maker) -> list[Any]:
    x = m.about(0.9)
    return [m.rod((-x, 0, 0), (x, 0, 0), 0.12), m.ball((-x, 0, 0), m.about(0.4)), m.ball((x, 0, 0), m.about(0.4))]


def teapot(m: Maker) -> list[Any]:
    r = m.about(0.8)
    return [
        m.ball((0, 0, 0), r, r, r * 0.85),
        m.ring((-r, 0, 0), m.about(0.4), 0.09),
        m.rod((r * 0.7, 0, -0.1), (r * 1.75, 0, m.about(0.55)), 0.22, 0.09),
        m.ball((0, 0, r * 0.9), 0.16),
    ]


def mushroom(m: Maker) -> list[Any]:
    r = m.about(0.8)
    return [m.rod((0, 0, 0), (0, 0, 1.0), 0.25, 0.2), m.ball((0, 0, 1.05), r, r, m.about(0.4))]


def house(m: Maker) -> list[Any]:
    w, d, h = m.about(1.4), m.about(1.8), m.about(1.0)
    return [
        m.box((0, 0, h / 2), (w, d, h)),
        m.wedge((0, 0, h * 0.97), (w * 1.25, d * 1.15, m.about(0.7))),
        m.box((w * 0.3, d * 0.2, h + 0.5), (0.2, 0.2, 0.8)),
    ]


def robot(m: Maker) -> list[Any]:
    w, h = m.about(0.8), m.about(1.0)
    arms = [m.rod((s * w * 0.4, 0, h * 0.3), (s * w * 1.1, 0, -0.3), 0.1) for s in (-1, 1)]
    legs = [m.box((s * w * 0.25, 0, -h * 0.5 - 0.35), (0.2, 0.22, 0.8)) for s in (-1, 1)]
    antenna = m.rod((0, 0, h / 2 + 0.4), (0, 0, h / 2 + 0.9), 0.03)
    return [m.box((0, 0, 0), (w, 0.5, h)), m.box((0, 0, h / 2 + 0.22), (0.5, 0.4, 0.5)), antenna, *arms, *legs]


def trophy(m: Maker) -> list[Any]:
    r, h = m.about(0.55), m.about(1.1)
    handles = [m.ring((s * r * 0.9, 0, 0.75 + h * 0.55), m.about(0.28), 0.06) for s in (-1, 1)]
    return [
        m.box((0, 0, 0.1), (0.9, 0.9, 0.22)),
        m.rod((0, 0, 0.1), (0, 0, 0.9), 0.1),
        m.lathe((0.2, 0.75), (r, 0.75 + h)),
        *handles,
    ]


def sword(m: Maker) -> list[Any]:
    return [
        m.box((0, 0, m.about(1.2)), (0.22, 0.06, 2.4)),
        m.box((0, 0, 0), (m.about(0.8), 0.16, 0.14)),
        m.rod((0, 0, -0.6), (0, 0, 0), 0.06),
        m.ball((0, 0, -0.65), m.about(0.12)),
    ]


def ice_cream(m: Maker) -> list[Any]:
    r = m.about(0.5)
    return [
        m.lathe((0.02, 0), (r, m.about(1.6))),
        m.ball((-0.2, 0, 1.7), 0.42),
        m.ball((0.3, 0.05, 1.75), m.about(0.4)),
        m.ball((0.0, 0, 2.2), 0.38),
    ]


def windmill(m: Maker) -> list[Any]:
    h = m.about(2.0)
    sails = [m.box((s * 0.75, -0.75, h), (1.3, 0.05, m.about(0.25))) for s in (-1, 1)]
    sails += [m.box((0, -0.75, h + s * 0.75), (0.25, 0.05, 1.3)) for s in (-1, 1)]
    hub = m.rod((0, -0.85, h), (0, 0, h), 0.16)
    return [m.lathe((0.7, 0), (0.42, h + 0.2)), m.lathe((0.55, 0), (0, 0.5), at=(0, 0, h + 0.15)), hub, *sails]


def key(m: Maker) -> list[Any]:
    h = m.about(1.6)
    bits = [m.box((0.14, 0, z), (0.28, 0.08, 0.14)) for z in (0.12, 0.4)]
    return [m.ring((0, 0, h + 0.35), m.about(0.36), 0.09), m.rod((0, 0, 0), (0, 0, h), 0.08), *bits]


def pan(m: Maker) -> list[Any]:
    r = m.about(0.8)
    return [m.lathe((r * 0.8, 0), (r, 0.3)), m.rod((r * 0.8, 0, 0.2), (r + m.about(1.2), 0, 0.35), 0.07)]


def castle(m: Maker) -> list[Any]:
    w, h = m.about(1.8), m.about(0.8)
    parts = [m.box((0, 0, h / 2), (w, w, h))]
    for x in (-1, 1):
        for y in (-1, 1):
            parts.append(m.rod((x * w / 2, y * w / 2, 0), (x * w / 2, y * w / 2, h * 1.5), 0.3))
            parts.append(m.lathe((0.4, 0), (0, 0.6), at=(x * w / 2, y * w / 2, h * 1.5 - 0.02)))
    return parts


def flower(m: Maker) -> list[Any]:
    h = m.about(1.8)
    turns = np.arange(6) * np.pi / 3
    petals = [m.ball((0.5 * np.cos(a), 0.5 * np.sin(a), h), 0.24, 0.24, 0.07) for a in turns]
    return [m.rod((0, 0, 0), (0, 0, h), 0.05), m.ball((0, 0, h), m.about(0.3), 0.3, 0.2), *petals]


def cat(m: Maker) -> list[Any]:
    length = m.about(0.9)
    legs = [m.rod((x * 0.2, y * length * 0.65, -0.85), (x * 0.2, y * length * 0.65, -0.1), 0.09)
            for x in (-1, 1) for y in (-1, 1)]  # fmt: skip
    ears = [m.lathe((0.11, 0), (0, 0.3), at=(x * 0.17, length, 0.52)) for x in (-1, 1)]
    tail = m.rod((0, -length * 0.85, 0.1), (0, -length * 1.6, m.about(0.7)), 0.07)
    return [m.ball((0, 0, 0), 0.38, length, 0.36), m.ball((0, length, 0.25), 0.36), tail, *legs, *ears]


def truck(m: Maker) -> list[Any]:
    length = m.about(2.0)
    wheels = [m.rod((x * 0.5, y, -0.05), (x * 0.66, y, -0.05), 0.24) for x in (-1, 1) for y in (-0.5, length * 0.42)]
    cabin = m.box((0, -0.85, 0.55), (0.9, 0.6, m.about(0.8)))
    return [m.box((0, 0.2, 0.2), (1.1, length, 0.36)), cabin, *wheels]


def umbrella(m: Maker) -> list[Any]:
    return [
        m.lathe((m.about(1.0), 0), (0.0, m.about(0.5)), at=(0, 0, 1.5)),
        m.rod((0, 0, 0.1), (0, 0, 1.6), 0.04),
        m.ring((0.16, 0, 0.1), 0.16, 0.05),
    ]


def bell(m: Maker) -> list[Any]:
    return [
        m.lathe((m.about(0.7), 0), (0.5, 0.3), (0.35, 1.0), (0.15, 1.15)),
        m.ring((0, 0, 1.3), m.about(0.22), 0.06),
        m.ball((0, 0, -0.06), 0.18),
    ]


def helicopter(m: Maker) -> list[Any]:
    blades = [m.box((s * 0.85, 0, 0.75), (1.6, 0.16, 0.04)) for s in (-1, 1)]
    skids = [m.rod((s * 0.4, -0.6, -0.62), (s * 0.4, 0.6, -0.62), 0.05) for s in (-1, 1)]
    struts = [m.rod((s * 0.4, 0, -0.62), (s * 0.2, 0, -0.2), 0.05) for s in (-1, 1)]
    boom = m.rod((0, 0.4, 0.1), (0, m.about(2.0), 0.2), 0.14, 0.08)
    mast = m.rod((0, 0, 0.3), (0, 0, 0.85), 0.07)
    return [m.ball((0, 0, 0), 0.5, m.about(0.8), 0.5), boom, mast, *blades, *skids, *struts]


#: What the method was made by looking at.
TUNING: tuple[Recipe, ...] = (
    mug, chair, rocket, bottle, tree, plane, lamp, table, hammer, snowman, person, barrow,
)  # fmt: skip
#: What it is judged by. Nothing in the method may follow from how these come out.
HELD_OUT: tuple[Recipe, ...] = (
    dumbbell, teapot, mushroom, house, robot, trophy, sword, ice_cream, windmill, key, pan, castle, flower, cat, truck,
    umbrella, bell, helicopter,
)  # fmt: skip


def compose(recipe: Recipe, seed: int, dense: bool) -> Composition:
    """The union of a recipe's solids, turned, moved and sized by the seed."""
    random = np.random.default_rng(seed + 1000)
    whole = manifold3d.Manifold()
    solids: dict[int, int] = {}
    for number, mesh in enumerate(recipe(Maker(seed, dense))):
        solid = manifold3d.Manifold(
            manifold3d.Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
        ).as_original()
        if solid.is_empty():
            raise ValueError(f"solid {number} of {recipe.__name__} is no solid: {solid.status()}")
        solids[solid.original_id()] = number
        whole += solid
    out = whole.to_mesh()
    truth = np.zeros(len(out.tri_verts), dtype=int)
    for original, first, last in zip(out.run_original_id, out.run_index, out.run_index[1:], strict=False):
        truth[first // 3 : last // 3] = solids[original]
    place = np.eye(4)
    size = 10 ** random.uniform(-1, 2)
    place[:3, :3] = size * Rotation.random(random_state=seed).as_matrix()
    place[:3, 3] = size * random.normal(size=3)
    mesh = trimesh.Trimesh(out.vert_properties[:, :3].astype(float), out.tri_verts, process=False)
    mesh.apply_transform(place)
    return Composition(f"{recipe.__name__}{'' if dense else ' (CAD)'}", mesh, truth)


def area_weighted_ari(truth: Any, labels: Any, areas: Any) -> float:
    """The adjusted Rand index (Hubert and Arabie 1985) in which a face counts by its area; 1 where both agree."""
    table = np.zeros((int(truth.max()) + 1, int(labels.max()) + 1))
    np.add.at(table, (truth, labels), areas / areas.sum())
    both, rows, columns = ((each**2).sum() for each in (table, table.sum(axis=1), table.sum(axis=0)))
    by_chance = rows * columns
    most = (rows + columns) / 2
    return 1.0 if most == by_chance else float((both - by_chance) / (most - by_chance))


def _moved(mesh: Any, at: Place, along: Place) -> Any:
    mesh.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], along))
    mesh.apply_translation(at)
    mesh.merge_vertices()
    return mesh
