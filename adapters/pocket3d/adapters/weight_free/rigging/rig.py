"""Rigs a mesh: bones and skin weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import ConvexHull

from ...mesh.repair import NoSolid, fuse, refuse_loose
from ...mesh.skinned_glb import Skeleton
from ...mesh.triangles import FloatArray, IntArray
from .body_bones import as_skeleton, body_bones
from .body_plan import read_plan
from .bones import make_bones
from .curves import CurveTree, extract
from .solid import Solid, refuse_crowd, voxelise
from .symmetry import SYMMETRIC, find_mirrors
from .weights import heat_weights, transfer_weights

METHOD = "penalised-distance curve skeleton of the fused solid, bone heat with distances through it"
SOURCES = (
    "Sato, Bitter, Bender, Kaufman and Nakajima 2000 (TEASAR)",
    "Bitter, Kaufman and Sato 2001 (penalised distance)",
    "Edelsbrunner, Letscher and Zomorodian 2002 (persistence of the limbs' ends)",
    "Baran and Popovic 2007 (bone heat)",
    "Dionne and de Lasa 2013 (distances through voxels)",
)
_RESOLUTION = 96
#: The smallest of three principal extents beside the largest: thinner is a sheet.
_FLAT = 1e-3
#: A sheet gets a second side when it is made a solid: an open mesh whose area grows so many times encloses nothing.
_SHEET = 1.8
#: What fills so much of its convex hull, and is shorter than so many times its thickest place, has no skeleton.
_FILLS, _COMPACT = 0.6, 2.4
#: Of so few voxels nothing is said.
_FEW = 100

Step = Callable[[float, str], None]


class Rig(NamedTuple):
    """The bones and weights of a mesh."""

    skeleton: Skeleton
    #: The fused surface, closed, and its weights (V, J).
    surface: Any
    weights: FloatArray
    solid: Solid
    #: For people: what was found and done.
    facts: dict[str, Any]

    def weights_at(self, places: FloatArray) -> tuple[IntArray, FloatArray]:
        """(V, 4) joints and weights at places near the surface (V, 3)."""
        return transfer_weights(places, self.surface.vertices, self.weights)


def make_rig(mesh: Any, most_bones: int | None, step: Step, style: str = "vrm") -> Rig:
    """Rig a `trimesh.Trimesh` of any bodies.

    It is not changed. `most_bones` counts joints, the root included; None for as many as the shape asks for. `step` is
    called with fraction and stage between steps and may raise. `style`, vrm or mixamo, is that of a humanoid's names.

    Raises:
        NoSolid: flat, open like a sheet, loose triangles, a crowd of bodies, without limbs, or nothing at all.
    """
    step(0.05, "looking at the mesh")
    _refuse_flat(mesh)
    refuse_crowd(np.asarray(mesh.vertices)[mesh.faces], refuse_loose(mesh))
    step(0.1, "fusing bodies into a solid")
    surface, fused = fuse(mesh, _RESOLUTION, lambda: step(0.15, "fusing bodies into a solid"))
    if fused["open_bodies_before"] == fused["bodies_before"] and surface.area > _SHEET * mesh.area:
        raise NoSolid(
            f"open surfaces ({fused['bodies_before']}) that enclose nothing: bones need a body with an inside"
        )
    step(0.4, "filling the solid")
    solid = voxelise(surface)
    step(0.45, "finding the curve skeleton")
    tree = extract(solid, lambda: step(0.5, "finding the curve skeleton"))
    skeleton, plan_facts = _named_skeleton(solid, tree, most_bones, style)
    dropped = 0
    if skeleton is None:
        _refuse_compact(solid)
        skeleton, dropped = make_bones(solid, tree, float(np.linalg.norm(mesh.extents)), most_bones)
    step(0.65, "spreading the bones' heat")
    weights = heat_weights(surface, solid, skeleton)
    named = np.flatnonzero(skeleton.parents >= 0)
    facts = {
        "joints": [
            {
                "name": name,
                "parent": None if parent < 0 else skeleton.names[parent],
                "head": [round(float(each), 6) for each in head],
                "tail": [round(float(each), 6) for each in tail],
            }
            for name, parent, head, tail in zip(*skeleton, strict=True)
        ],
        **plan_facts,
        "limbs": len(_tips(skeleton)),
        "limbs_left_out": dropped,
        "inside_share": round(inside_share(solid, skeleton), 4),
        "mean_bone_length": round(float(np.linalg.norm((skeleton.tails - skeleton.heads)[named], axis=1).mean()), 6),
        "extents": [round(float(each), 6) for each in mesh.extents],
        "height": round(float(mesh.extents[1]), 6),
        "bodies_before": fused["bodies_before"],
        "open_bodies_before": fused["open_bodies_before"],
        "thickened_share": fused["thickened_share"],
        "widest_gap_spanned": round(solid.gap, 6),
        "voxels": len(solid.points),
        "fused": fused["bodies_before"] > 1 or fused["open_bodies_before"] > 0,
    }
    return Rig(skeleton, surface, weights, solid, facts)


def _named_skeleton(
    solid: Solid, tree: CurveTree, most: int | None, style: str
) -> tuple[Skeleton | None, dict[str, Any]]:
    """The skeleton of a known body plan, or None; and what is known of the body."""
    plan = read_plan(solid, tree)
    mirror = find_mirrors(solid)[0] if plan is None else plan.mirror
    facts: dict[str, Any] = {
        "rig_type": "other" if plan is None else plan.kind,
        "symmetry": mirror.share >= SYMMETRIC,
        "symmetry_share": round(mirror.share, 3),
        "symmetry_plane": "x" if mirror.axis == 0 else "z",
        "notes": [],
    }
    if plan is None:
        facts["notes"].append(
            "no person and no animal that stands upright (+Y up) was recognised: the bones follow the shape alone and"
            " are numbered"
        )
        return None, facts
    bones = body_bones(solid, plan)
    ground = np.array([bones[0].head[0], solid.points[:, 1].min(), bones[0].head[2]])
    skeleton = as_skeleton(bones, ground, most, style if plan.kind == "humanoid" else "vrm")
    axis = int(np.argmax(np.abs(plan.forward)))
    facts["facing"] = f"{'+' if plan.forward[axis] > 0 else '-'}{'xyz'[axis]}"
    if skeleton is None:
        facts["notes"].append(f"{most} joints are too few for the named bones of a {plan.kind}: they are numbered")
    else:
        facts["bone_names"] = style if plan.kind == "humanoid" else "vrm-like"
    return skeleton, facts


def _refuse_compact(solid: Solid) -> None:
    """A body that fills its convex hull, and is about as thick as it is long, has no skeleton."""
    if len(solid.points) < _FEW:
        return
    filled = len(solid.points) * solid.pitch**3 / float(ConvexHull(solid.points).volume)
    length = float(np.ptp(solid.points, axis=0).max())
    if filled > _FILLS and length < _COMPACT * 2 * float(solid.radius.max()):
        raise NoSolid(
            "there is no skeleton to find: nothing stands out of this body, and it is about as thick as it is long"
        )


def _tips(skeleton: Skeleton) -> list[int]:
    """The joints on which no other hangs."""
    return [joint for joint in range(1, len(skeleton.names)) if joint not in skeleton.parents]


def inside_share(solid: Solid, skeleton: Skeleton) -> float:
    """Share of samples along all bones, a quarter of a voxel apart, that lie inside the solid."""
    samples = []
    for head, tail in zip(skeleton.heads[1:], skeleton.tails[1:], strict=True):
        count = int(np.ceil(np.linalg.norm(tail - head) / solid.pitch * 4)) + 1
        samples.append(head + np.linspace(0, 1, count)[:, None] * (tail - head))
    return float(solid.inside(np.concatenate(samples)).mean())


def _refuse_flat(mesh: Any) -> None:
    if len(mesh.faces) == 0:
        raise NoSolid("there are no faces")
    if not np.isfinite(mesh.vertices).all():
        raise NoSolid("coordinates are not finite numbers")
    used = mesh.vertices[np.unique(mesh.faces)]
    _, axes = np.linalg.eigh(np.cov((used - used.mean(axis=0)).T))
    spans = np.sort(np.ptp(used @ axes, axis=0))
    if spans[0] < _FLAT * spans[2]:
        raise NoSolid(
            f"a flat sheet of {spans[2]:.4g} by {spans[1]:.4g}, {spans[0]:.2g} thick: bones need a body with an inside"
        )
