"""Makes the named bones of a known body plan.

A humanoid's have the names of VRM 1.0 (`hips`, `leftUpperArm`), as do what other bodies have in common with it.
Proportions that the shape does not show follow the human body (Drillis and Contini 1966).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...mesh.skinned_glb import Skeleton
from ...mesh.triangles import FloatArray
from .body_plan import Plan
from .solid import Solid
from .symmetry import SYMMETRIC, Mirror

#: Elbow and wrist along an arm from the shoulder, knee along a leg from hip to ankle.
_ELBOW, _WRIST, _KNEE = 0.43, 0.77, 0.52
#: A limb that bends by this share of its length shows where its joint is.
_BENT = 0.07
#: An arm or a tail begins where it is thinner than so many times its own median.
_LEAVES = 1.4
#: The ankle's height, as a share of the hips'.
_ANKLE = 0.1
_SMOOTHING = 6
#: Joints nearer than this share of the longest side to the mirror image of their counterpart become it.
_EVEN = 0.05
#: Bones of what is no part of the body are about so long, as a share of the longest side.
_ACCESSORY = 0.15
#: What a rig does without first, where there may be fewer joints.
_SPARE = ("accessory", "Toes", "tail3", "tail2", "Shoulder", "chest", "neck", "Hand", "Foot", "WingTip")

_MIXAMO = {
    "hips": "Hips",
    "spine": "Spine",
    "chest": "Spine1",
    "upperChest": "Spine2",
    "neck": "Neck",
    "head": "Head",
    "Shoulder": "Shoulder",
    "UpperArm": "Arm",
    "LowerArm": "ForeArm",
    "Hand": "Hand",
    "UpperLeg": "UpLeg",
    "LowerLeg": "Leg",
    "Foot": "Foot",
    "Toes": "ToeBase",
}


class Bone(NamedTuple):
    """One bone and the one it hangs on."""

    name: str
    parent: str
    head: FloatArray
    tail: FloatArray


def body_bones(solid: Solid, plan: Plan) -> list[Bone]:
    """The bones of a plan, each after its parent; those that hang on nothing hang on `root`."""
    spine, radius, chest = _smooth(solid, plan.spine), plan.spine_radius, plan.chest
    hips = spine[0]
    trunk = spine[: chest + 1]
    neck, head = _neck(spine, radius, chest)
    bones = [
        Bone("hips", "root", hips, _along(trunk, 0.3)),
        Bone("spine", "hips", _along(trunk, 0.3), _along(trunk, 0.65)),
        Bone("chest", "spine", _along(trunk, 0.65), spine[neck]),
        Bone("neck", "chest", spine[neck], spine[head]),
        Bone("head", "neck", spine[head], spine[-1]),
    ]
    quadruped = plan.kind == "quadruped"
    for side in ("left", "right"):
        arms = plan.arms
        if arms is not None:
            limb, thick = (arms.left, arms.left_radius) if side == "left" else (arms.right, arms.right_radius)
            if quadruped:
                bones += _leg(solid, plan, limb, thick, f"{side}Front", "chest")
            else:
                bones += _arm(solid, limb, thick, side, wing=plan.kind != "humanoid")
        limb, thick = (
            (plan.legs.left, plan.legs.left_radius) if side == "left" else (plan.legs.right, plan.legs.right_radius)
        )
        bones += _leg(solid, plan, limb, thick, f"{side}Hind" if quadruped else side, "hips")
    if plan.tail is not None and plan.tail_radius is not None and len(plan.tail) > 3:
        tail = _smooth(solid, plan.tail)[_leaves(plan.tail_radius) :]
        cuts = [_along(tail, share) for share in (0, 1 / 3, 2 / 3, 1)]
        names = ["hips", "tail", "tail2", "tail3"]
        bones += [Bone(names[k + 1], names[k], cuts[k], cuts[k + 1]) for k in range(3)]
    size = float(np.ptp(solid.points, axis=0).max())
    body = bones = _made_even(bones, plan.mirror, _EVEN * size) if plan.mirror.share >= SYMMETRIC else bones
    for number, other in enumerate(plan.others, 1):
        path = _smooth(solid, other)
        count = int(np.clip(round(_length(path) / (_ACCESSORY * size)), 1, 4))
        parent = min(body, key=lambda bone: _apart(path[0], bone)).name
        for k in range(count):
            name = f"accessory{number}" + (f"_{k + 1}" if k else "")
            bones = [*bones, Bone(name, parent, _along(path, k / count), _along(path, (k + 1) / count))]
            parent = name
    return bones


def as_skeleton(bones: list[Bone], root: FloatArray, most: int | None, style: str) -> Skeleton | None:
    """The bones below a joint `root`, with at most `most` joints; None if those that are needed are more."""
    bones = list(bones)
    for spare in _SPARE:
        if most is None or len(bones) < most:
            break
        bones = _without(bones, spare)
    if most is not None and len(bones) >= most:
        return None
    number = {"root": 0} | {bone.name: k for k, bone in enumerate(bones, 1)}
    return Skeleton(
        ("root", *(styled(bone.name, style) for bone in bones)),
        np.array([-1, *(number[bone.parent] for bone in bones)]),
        np.array([root, *(bone.head for bone in bones)]),
        np.array([root, *(bone.tail for bone in bones)]),
    )


def styled(name: str, style: str) -> str:
    """The name as VRM (`leftUpperArm`) or Mixamo (`mixamorig:LeftArm`) has it; unchanged where Mixamo has none."""
    side = next((each for each in ("left", "right") if name.startswith(each)), "")
    known = _MIXAMO.get(name[len(side) :])
    return name if style != "mixamo" or known is None else f"mixamorig:{side.capitalize()}{known}"


def _without(bones: list[Bone], spare: str) -> list[Bone]:
    """The bones without those with this in their names; what hung on them hangs on what they hung on, which grows."""
    gone = {bone.name: bone for bone in bones if spare in bone.name}
    kept = []
    for bone in bones:
        if bone.name in gone:
            continue
        parent = bone.parent
        while parent in gone:
            parent = gone[parent].parent
        tip = next(
            (each.tail for each in gone.values() if each.parent == bone.name and _is_next(bone, each)), bone.tail
        )
        kept.append(bone._replace(parent=parent, tail=tip))
    return kept


def _is_next(bone: Bone, other: Bone) -> bool:
    return bool(np.allclose(bone.tail, other.head))


def _arm(solid: Solid, limb: FloatArray, thick: FloatArray, side: str, wing: bool) -> list[Bone]:
    path = _smooth(solid, limb)
    begin = _leaves(thick)
    arm = path[begin:]
    elbow = _bend(arm[: max(2, round(_WRIST * len(arm)))], _ELBOW / _WRIST)
    wrist = _along(arm, _WRIST)
    collar = path[0] + 0.25 * (path[begin] - path[0])
    names = ("UpperWing", "LowerWing", "WingTip") if wing else ("UpperArm", "LowerArm", "Hand")
    first = "WingRoot" if wing else "Shoulder"
    return [
        Bone(f"{side}{first}", "chest", collar, arm[0]),
        Bone(f"{side}{names[0]}", f"{side}{first}", arm[0], elbow),
        Bone(f"{side}{names[1]}", f"{side}{names[0]}", elbow, wrist),
        Bone(f"{side}{names[2]}", f"{side}{names[1]}", wrist, path[-1]),
    ]


def _leg(solid: Solid, plan: Plan, limb: FloatArray, thick: FloatArray, side: str, parent: str) -> list[Bone]:
    path = _smooth(solid, limb)
    ground = float(solid.points[:, 1].min())
    away = np.linalg.norm(path - path[0], axis=1)
    out = np.flatnonzero(away > min(float(thick[0]), 0.35 * float(away.max())))
    begin = int(out[0]) if len(out) else 0
    ankle_height = ground + _ANKLE * float(path[0, 1] - ground)
    above = np.flatnonzero(path[:, 1] >= ankle_height)
    ankle = max(min(int(above[-1]), len(path) - 2), begin + 2) if len(above) else len(path) - 2
    leg = path[begin : ankle + 1]
    knee = _bend(leg, _KNEE)
    foot = path[ankle]
    near = solid.points[
        (solid.points[:, 1] <= max(ankle_height, ground + 2 * solid.pitch))
        & (np.linalg.norm((solid.points - foot)[:, [0, 2]], axis=1) < 0.5 * float(path[0, 1] - ground))
        & (np.sign(plan.mirror.side(solid.points)) == np.sign(plan.mirror.side(foot)))
    ]
    bones = [
        Bone(f"{side}UpperLeg", parent, path[begin], knee),
        Bone(f"{side}LowerLeg", f"{side}UpperLeg", knee, foot),
    ]
    reach = float(((near - foot) @ plan.forward).max()) if len(near) else 0.0
    if reach < 1.6 * float(thick[ankle]):
        return [*bones, Bone(f"{side}Foot", f"{side}LowerLeg", foot, path[-1])]
    sole = float(np.median(near[:, 1]))
    ball, tip = foot + 0.65 * reach * plan.forward, foot + 0.95 * reach * plan.forward
    ball[1] = tip[1] = sole
    return [
        *bones,
        Bone(f"{side}Foot", f"{side}LowerLeg", foot, ball),
        Bone(f"{side}Toes", f"{side}Foot", ball, tip),
    ]


def _neck(spine: FloatArray, radius: FloatArray, chest: int) -> tuple[int, int]:
    """Indices where neck and head begin: about the narrowest place between the arms and the end of the head."""
    last = len(spine) - 1
    after = np.arange(min(chest + 1, last - 1), max(chest + 2, round(chest + 0.75 * (last - chest))))
    after = after[after < last]
    narrow = int(after[np.argmin(radius[after])]) if len(after) else last - 1
    neck = max(1, min(round(chest + 0.5 * (narrow - chest)), last - 2))
    widening = np.flatnonzero(radius[narrow:] > 1.2 * radius[narrow])
    head = narrow + (int(widening[0]) if len(widening) else 0)
    return neck, max(neck + 1, min(head, last - 1))


def _leaves(thick: FloatArray) -> int:
    """Index at which a limb leaves the body: where it first is about as thin as it is further out."""
    last = len(thick) - 1
    outer = float(np.median(thick[round(0.4 * last) : max(round(0.8 * last), 1) + 1]))
    thin = np.flatnonzero(thick <= _LEAVES * outer)
    return min(int(thin[0]), last // 2) if len(thin) else 0


def _bend(points: FloatArray, otherwise: float) -> FloatArray:
    """The corner of a path that bends, or the position at that share of it."""
    line = points[-1] - points[0]
    length = float(np.linalg.norm(line))
    share = np.clip((points - points[0]) @ line / max(length**2, 1e-30), 0, 1)
    away = np.linalg.norm(points - points[0] - share[:, None] * line, axis=1)
    worst = int(np.argmax(away))
    if away[worst] > _BENT * length and 0.3 < share[worst] < 0.7:
        bent: FloatArray = points[worst]
        return bent
    return _along(points, otherwise)


def _along(points: FloatArray, share: float) -> FloatArray:
    """The position at this share of a path's length."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    found: FloatArray = np.array([np.interp(share * steps[-1], steps, points[:, k]) for k in range(3)])
    return found


def _made_even(bones: list[Bone], mirror: Mirror, most: float) -> list[Bone]:
    """Bones of a symmetric body: those of the middle lie in the plane, left and right ones mirror each other."""
    by_name = {bone.name: bone for bone in bones}
    even = []
    for bone in bones:
        side = next((each for each in ("left", "right") if bone.name.startswith(each)), "")
        other = by_name.get(bone.name.replace(side, "left" if side == "right" else "right", 1)) if side else bone
        if other is None:
            # Toes that only one foot shows.
            continue
        images = [mirror.image(place) for place in (other.head, other.tail)]
        ends = [
            (own + image) / 2 if np.linalg.norm(own - image) < (most if side else 4 * most) else own
            for own, image in zip((bone.head, bone.tail), images, strict=True)
        ]
        even.append(bone._replace(head=ends[0], tail=ends[1]))
    return even


def _apart(place: FloatArray, bone: Bone) -> float:
    """Distance of a position from a bone."""
    line = bone.tail - bone.head
    share = np.clip((place - bone.head) @ line / max(float(line @ line), 1e-30), 0, 1)
    return float(np.linalg.norm(place - bone.head - share * line))


def _length(points: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _smooth(solid: Solid, points: FloatArray) -> FloatArray:
    soft: FloatArray = np.array(points, dtype=float)
    for _ in range(_SMOOTHING):
        soft[1:-1] = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) / 4
    away = ~solid.inside(soft)
    soft[away] = points[away]
    return soft
