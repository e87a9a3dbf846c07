"""Figures of one smooth piece with known parts: rods and balls that flow into each other, each face labelled by the
part that is nearest. Proportions, turn, place and size follow a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import manifold3d
import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from .compositions import Composition

Place = tuple[float, float, float]


class _Rod(NamedTuple):
    """A rod with round ends, of one radius at its start and another at its end; a ball if they are one place."""

    part: int
    start: Place
    end: Place
    radius: float
    tip: float


class Figure:
    """Collects the rods of a figure, with proportions by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.rods: list[_Rod] = []

    def about(self, value: float) -> float:
        """The value, up to a fifth more or less."""
        return value * float(self._random.uniform(0.8, 1.2))

    def rod(self, part: int, start: Place, end: Place, radius: float, tip: float | None = None) -> None:
        """Add a rod of a part."""
        self.rods.append(_Rod(part, start, end, radius, radius if tip is None else tip))

    def ball(self, part: int, at: Place, radius: float) -> None:
        """Add a ball of a part."""
        self.rod(part, at, at, radius)


def person(f: Figure) -> None:
    f.rod(0, (0, 0.95, 0), (0, 1.35, 0), f.about(0.17), 0.19)
    f.ball(1, (0, 1.78, 0), f.about(0.16))
    drop, spread = f.about(0.35), f.about(0.6)
    for part, s in ((2, -1), (3, 1)):
        f.rod(part, (s * 0.2, 1.36, 0), (s * (0.2 + spread), 1.36 - drop, 0.05), 0.075, 0.055)
    for part, s in ((4, -1), (5, 1)):
        f.rod(part, (s * 0.11, 0.8, 0), (s * f.about(0.2), 0.05, 0), 0.1, 0.07)


def quadruped(f: Figure) -> None:
    length = f.about(0.55)
    f.rod(0, (-length, 0.75, 0), (length, 0.78, 0), f.about(0.2))
    f.rod(1, (length + 0.15, 0.9, 0), (length + 0.35, f.about(1.25), 0), 0.1, 0.1)
    f.rod(1, (length + 0.35, 1.2, 0), (length + 0.6, 1.15, 0), 0.13, 0.08)
    part = 2
    for x in (-length, length):
        for z in (-0.14, 0.14):
            f.rod(part, (x, 0.6, z), (x + f.about(0.04), 0.05, z * 1.1), 0.075, 0.06)
            part += 1
    f.rod(part, (-length - 0.2, 0.85, 0), (-length - f.about(0.6), 1.05, 0), 0.05, 0.035)


def octopus(f: Figure) -> None:
    arms = int(f.about(6))
    f.ball(0, (0, 0.5, 0), f.about(0.32))
    for k in range(arms):
        turn = 2 * np.pi * k / arms
        x, z = float(np.cos(turn)), float(np.sin(turn))
        f.rod(k + 1, (x * 0.3, 0.3, z * 0.3), (x * f.about(0.95), 0.05, z * 0.95), 0.085, 0.05)


def teddy(f: Figure) -> None:
    f.ball(0, (0, 0.5, 0), f.about(0.34))
    f.ball(1, (0, 1.08, 0), f.about(0.27))
    for part, s in ((2, -1), (3, 1)):
        f.rod(part, (s * 0.32, 0.68, 0.02), (s * 0.66, f.about(0.5), 0.12), 0.11)
    for part, s in ((4, -1), (5, 1)):
        f.rod(part, (s * 0.2, 0.25, 0.1), (s * 0.32, 0.08, f.about(0.55)), 0.13)


def bone(f: Figure) -> None:
    half = f.about(0.7)
    f.rod(0, (-half, 0, 0), (half, 0, 0), f.about(0.11))
    f.ball(1, (-half - 0.12, 0, 0), 0.27)
    f.ball(2, (half + 0.12, 0, 0), f.about(0.27))


def bird(f: Figure) -> None:
    f.rod(0, (0, 0.5, -0.3), (0, 0.55, 0.25), f.about(0.18), 0.17)
    f.ball(1, (0, 0.92, 0.45), f.about(0.13))
    f.rod(1, (0, 0.65, 0.33), (0, 0.9, 0.43), 0.07)
    for part, s in ((2, -1), (3, 1)):
        f.rod(part, (s * 0.17, 0.6, 0), (s * f.about(0.85), 0.68, -0.1), 0.09, 0.05)
    for part, s in ((4, -1), (5, 1)):
        f.rod(part, (s * 0.09, 0.35, 0), (s * 0.1, 0.02, 0), 0.05)
    f.rod(6, (0, 0.52, -0.5), (0, f.about(0.55), -0.95), 0.07, 0.05)


Recipe = Callable[[Figure], None]
#: What the method is judged by. Nothing in it may follow from how these come out.
HELD_OUT: tuple[Recipe, ...] = (person, quadruped, octopus, teddy, bone, bird)


def make(recipe: Recipe, seed: int, soft: float = 0.15, edge: float = 0.055) -> Composition:
    """The figure's surface, turned, moved and sized by the seed; neighbours flow into each other over about `soft`."""
    figure = Figure(seed)
    recipe(figure)
    rods = figure.rods
    starts, ends = np.array([rod.start for rod in rods], float), np.array([rod.end for rod in rods], float)
    lines = ends - starts
    squares = np.maximum((lines**2).sum(axis=1), 1e-12)
    radii, tips = np.array([rod.radius for rod in rods]), np.array([rod.tip for rod in rods])

    def depths(point: Any) -> Any:
        share = np.clip(((point - starts) * lines).sum(axis=1) / squares, 0, 1)
        away = np.linalg.norm(point - starts - share[:, None] * lines, axis=1)
        return radii + share * (tips - radii) - away

    def depth(x: float, y: float, z: float) -> float:
        # A smooth maximum (log of the sum of exponentials).
        each = depths(np.array([x, y, z])) / soft * 3
        most = each.max()
        return float(most + np.log(np.exp(each - most).sum())) * soft / 3

    low = np.minimum(starts, ends).min(axis=0) - 0.5
    high = np.maximum(starts, ends).max(axis=0) + 0.5
    found = manifold3d.Manifold.level_set(depth, [*low.tolist(), *high.tolist()], edge).to_mesh()
    mesh = trimesh.Trimesh(found.vert_properties[:, :3].astype(float), found.tri_verts, process=False)
    parts = np.array([rod.part for rod in rods])
    truth = np.array([parts[int(np.argmax(depths(at)))] for at in mesh.triangles_center])
    random = np.random.default_rng(seed + 1000)
    size = 10 ** random.uniform(-1, 2)
    place = np.eye(4)
    place[:3, :3] = size * Rotation.random(random_state=seed).as_matrix()
    place[:3, 3] = size * random.normal(size=3)
    mesh.apply_transform(place)
    return Composition(f"{recipe.__name__} {seed}", mesh, truth)
