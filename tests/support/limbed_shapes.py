"""Shapes with known limbs, fused of capsules, turned at random."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import trimesh


class Limb(NamedTuple):
    """A capsule or a chain of them: where it leaves the body and where it ends, and how thick it is."""

    start: Any
    end: Any
    radius: float


class LimbedShape(NamedTuple):
    """A closed mesh and what stands out of it."""

    name: str
    mesh: Any
    limbs: tuple[Limb, ...]


def _capsule(start: Any, end: Any, radius: float) -> Any:
    start, end = np.array(start, float), np.array(end, float)
    length = float(np.linalg.norm(end - start))
    solid = trimesh.creation.capsule(height=length, radius=radius, count=[24, 24])
    solid.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], (end - start) / length))
    solid.apply_translation(start - solid.vertices.mean(axis=0) + (end - start) / 2)
    return solid


def _fused(name: str, body: list[Any], limbs: list[Limb], detail: float) -> LimbedShape:
    whole = trimesh.boolean.union([*body, *(_capsule(*limb) for limb in limbs)], engine="manifold")
    for _ in range(12):
        edges = np.linalg.norm(np.diff(whole.vertices[whole.edges_unique], axis=1), axis=2)
        if edges.max() < detail:
            break
        whole = whole.subdivide_to_size(detail, max_iter=20)
        whole.merge_vertices()
    return LimbedShape(name, whole, tuple(limbs))


def humanoid() -> LimbedShape:
    """Torso, head on a neck, arms held out, legs: 1.8 tall."""
    body = [_capsule([0, 0.95, 0], [0, 1.3, 0], 0.16), trimesh.creation.icosphere(3, 0.12)]
    body[1].apply_translation([0, 1.7, 0])
    limbs = [
        Limb([0, 1.4, 0], [0, 1.7, 0], 0.06),
        Limb([0.12, 1.36, 0], [0.8, 1.3, 0], 0.055),
        Limb([-0.12, 1.36, 0], [-0.8, 1.3, 0], 0.055),
        Limb([0.1, 0.85, 0], [0.2, 0.06, 0], 0.075),
        Limb([-0.1, 0.85, 0], [-0.2, 0.06, 0], 0.075),
    ]
    return _fused("humanoid", body, limbs, 0.06)


def quadruped() -> LimbedShape:
    """A long body, four legs, a neck with a head, a tail."""
    body = [_capsule([-0.5, 0.8, 0], [0.5, 0.8, 0], 0.18)]
    limbs = [
        *(Limb([x, 0.75, z], [x, 0.05, z * 1.2], 0.06) for x in (-0.5, 0.5) for z in (-0.11, 0.11)),
        Limb([0.55, 0.85, 0], [0.9, 1.25, 0], 0.09),
        Limb([-0.6, 0.85, 0], [-1.1, 1.0, 0], 0.04),
    ]
    return _fused("quadruped", body, limbs, 0.06)


def star() -> LimbedShape:
    """Five arms in a plane."""
    ends = [(np.cos(a), np.sin(a), 0.0) for a in np.linspace(0, 2 * np.pi, 5, endpoint=False)]
    return _fused("star", [trimesh.creation.icosphere(3, 0.22)], [Limb([0, 0, 0], end, 0.1) for end in ends], 0.06)


def cylinder() -> LimbedShape:
    """A straight thing without limbs of its own: two halves."""
    solid = trimesh.creation.cylinder(radius=0.12, height=2.0, sections=32)
    return _fused("cylinder", [solid], [], 0.06)


def table() -> LimbedShape:
    """A board on four legs."""
    board = trimesh.creation.box([1.2, 0.08, 0.8])
    limbs = [Limb([x, 0, z], [x, -0.7, z], 0.05) for x in (-0.5, 0.5) for z in (-0.32, 0.32)]
    return _fused("table", [board], limbs, 0.06)


def turned(shape: LimbedShape, seed: int) -> LimbedShape:
    """The shape moved and turned at random."""
    turn = trimesh.transformations.random_rotation_matrix(np.random.default_rng(seed).random(3))
    turn[:3, 3] = np.random.default_rng(seed).normal(size=3) * 3
    mesh = shape.mesh.copy()
    mesh.apply_transform(turn)

    def moved(point: Any) -> Any:
        return turn[:3, :3] @ np.array(point, float) + turn[:3, 3]

    return LimbedShape(shape.name, mesh, tuple(Limb(moved(a), moved(b), r) for a, b, r in shape.limbs))


SHAPES = (humanoid, quadruped, star, cylinder, table)
