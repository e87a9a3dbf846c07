"""Characters with known joints: bodies of capsules and balls put into one another, +Y up, looking along +Z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import trimesh

Place = Sequence[float]


class Character(NamedTuple):
    """A `trimesh.Trimesh` of several bodies and its joints, (3,) each, by the names of VRM 1.0 or like them."""

    mesh: Any
    joints: dict[str, Any]


def capsule(start: Place, end: Place, radius: float) -> Any:
    """A rod with round ends."""
    a, b = np.array(start, float), np.array(end, float)
    mesh = trimesh.creation.capsule(float(np.linalg.norm(b - a)), radius, count=[12, 10])
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    mesh.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], b - a))
    mesh.apply_translation((a + b) / 2)
    return mesh


def ball(centre: Place, radii: Place) -> Any:
    """An ellipsoid."""
    mesh = trimesh.creation.icosphere(2, 1.0)
    mesh.apply_scale(radii)
    mesh.apply_translation(centre)
    return mesh


def _both(joints: dict[str, Any]) -> dict[str, Any]:
    """The joints, and the right ones to those of the left, which have positive x."""
    right = {name.replace("left", "right"): np.array(at) * [-1, 1, 1] for name, at in joints.items() if "left" in name}
    return {name: np.array(at, float) for name, at in joints.items()} | right


def humanoid(
    arms: float = 0.0,
    hat: bool = False,
    sword: bool = False,
    brim: bool = False,
    cape: bool = False,
    horns: bool = False,
    forward: float = 0.0,
) -> Character:
    """1.8 tall; arms hang down by so many degrees from level (T-pose 0, A-pose 45), the right one turned forward."""
    down = np.radians(arms)
    way = np.array([np.cos(down), -np.sin(down), 0])
    shoulder = np.array([0.19, 1.43, 0])
    joints = _both(
        {
            "hips": (0, 0.98, 0),
            "spine": (0, 1.1, 0),
            "chest": (0, 1.25, 0),
            "neck": (0, 1.5, 0),
            "head": (0, 1.58, 0),
            "leftUpperArm": shoulder,
            "leftLowerArm": shoulder + 0.28 * way,
            "leftHand": shoulder + 0.53 * way,
            "leftUpperLeg": (0.1, 0.92, 0),
            "leftLowerLeg": (0.11, 0.5, 0.01),
            "leftFoot": (0.12, 0.09, 0),
            "leftToes": (0.12, 0.03, 0.13),
        }
    )
    turn = trimesh.transformations.rotation_matrix(np.radians(forward), [0, 1, 0])[:3, :3]
    for name in ("rightLowerArm", "rightHand"):
        joints[name] = joints["rightUpperArm"] + turn @ (joints[name] - joints["rightUpperArm"])
    bodies = [
        capsule((0, 0.98, 0), (0, 1.36, 0), 0.13),
        capsule((-0.13, 1.42, 0), (0.13, 1.42, 0), 0.075),
        capsule((0, 1.4, 0), (0, 1.62, 0), 0.055),
        ball((0, 1.68, 0.01), (0.095, 0.13, 0.11)),
    ]
    for side in ("left", "right"):
        upper, elbow, wrist = (joints[f"{side}{name}"] for name in ("UpperArm", "LowerArm", "Hand"))
        hip, knee, ankle, toes = (joints[f"{side}{name}"] for name in ("UpperLeg", "LowerLeg", "Foot", "Toes"))
        bodies += [
            capsule(upper, elbow, 0.052),
            capsule(elbow, wrist, 0.042),
            capsule(wrist, wrist + (wrist - elbow) * 0.5, 0.045),
            capsule(hip, knee, 0.08),
            capsule(knee, ankle, 0.055),
            capsule(ankle * [1, 0, 1] + [0, 0.045, 0], np.add(toes, (0, 0.015, 0.05)), 0.045),
        ]
    if hat:
        bodies.append(trimesh.creation.cone(0.2, 0.35).apply_transform(_upright((0, 1.77, 0))))
    if horns:
        bodies.append(trimesh.creation.box((0.3, 0.2, 0.22)).apply_translation((0, 1.75, 0)))
        for x in (-1, 1):
            bodies.append(capsule((x * 0.1, 1.8, 0), (x * 0.24, 1.8, 0), 0.04))
            bodies.append(capsule((x * 0.24, 1.8, 0), (x * 0.26, 1.95, 0), 0.03))
    if brim:
        bodies.append(trimesh.creation.cylinder(0.5, 0.05, sections=24).apply_transform(_upright((0, 1.8, 0))))
    if cape:
        bodies.append(trimesh.creation.box((0.5, 1.35, 0.06)).apply_translation((0, 0.72, -0.22)))
    if sword:
        hand = joints["rightHand"]
        bodies.append(
            capsule(hand + way * [-0.06, 0.06, 0] - [0, 0, 0.15], hand + way * [-0.06, 0.06, 0] + [0, 0, 0.75], 0.025)
        )
    return Character(trimesh.util.concatenate(bodies), joints)


def quadruped(tail: bool = True, stride: float = 0.0) -> Character:
    """A dog-like body along z whose raised tail is higher than its head; the legs of a pair are `stride` apart."""
    joints = _both(
        {
            "hips": (0, 0.62, -0.42),
            "spine": (0, 0.62, -0.15),
            "chest": (0, 0.62, 0.15),
            "neck": (0, 0.7, 0.45),
            "head": (0, 0.92, 0.62),
            "leftFrontUpperLeg": (0.1, 0.55, 0.38),
            "leftFrontLowerLeg": (0.11, 0.32, 0.4),
            "leftFrontFoot": (0.11, 0.06, 0.38),
            "leftHindUpperLeg": (0.1, 0.55, -0.4),
            "leftHindLowerLeg": (0.11, 0.32, -0.43),
            "leftHindFoot": (0.11, 0.06, -0.42),
        }
    )
    bodies = [
        capsule((0, 0.62, -0.42), (0, 0.62, 0.4), 0.15),
        capsule((0, 0.66, 0.42), (0, 0.92, 0.62), 0.085),
        ball((0, 0.94, 0.72), (0.09, 0.09, 0.17)),
    ]
    if tail:
        joints |= {"tail": np.array([0, 0.68, -0.56])}
        bodies.append(capsule((0, 0.66, -0.5), (0, 1.15, -0.85), 0.035))
    for side in ("left", "right"):
        for end in ("Front", "Hind"):
            step = np.array([0, 0, stride if (side == "left") == (end == "Front") else -stride]) / 2
            joints[f"{side}{end}LowerLeg"] = joints[f"{side}{end}LowerLeg"] + step / 2
            joints[f"{side}{end}Foot"] = joints[f"{side}{end}Foot"] + step
            upper, knee, foot = (joints[f"{side}{end}{name}"] for name in ("UpperLeg", "LowerLeg", "Foot"))
            bodies += [
                capsule(upper, knee, 0.06),
                capsule(knee, foot, 0.045),
                capsule(foot, foot * [1, 0.8, 1] + [0, 0, 0.05], 0.045),
            ]
    return Character(trimesh.util.concatenate(bodies), joints)


def bird() -> Character:
    """Wings spread, on two legs, with a tail."""
    joints = _both(
        {
            "hips": (0, 0.55, -0.1),
            "neck": (0, 0.66, 0.25),
            "head": (0, 0.85, 0.36),
            "leftUpperWing": (0.14, 0.6, 0.05),
            "leftLowerWing": (0.4, 0.62, 0.0),
            "leftWingTip": (0.62, 0.62, -0.05),
            "leftUpperLeg": (0.08, 0.45, -0.05),
            "leftLowerLeg": (0.08, 0.25, -0.02),
            "leftFoot": (0.08, 0.05, -0.05),
            "tail": (0, 0.56, -0.38),
        }
    )
    bodies = [ball((0, 0.57, 0), (0.16, 0.15, 0.34)), capsule((0, 0.62, 0.25), (0, 0.85, 0.36), 0.06)]
    bodies += [ball((0, 0.88, 0.39), (0.08, 0.08, 0.09)), capsule((0, 0.88, 0.42), (0, 0.86, 0.56), 0.025)]
    bodies.append(ball((0, 0.57, -0.5), (0.1, 0.03, 0.25)))
    for side, x in (("left", 1), ("right", -1)):
        upper, knee, foot = (joints[f"{side}{name}"] for name in ("UpperLeg", "LowerLeg", "Foot"))
        bodies += [
            capsule(upper, knee, 0.04),
            capsule(knee, foot, 0.025),
            capsule(foot * [1, 0.6, 1], foot * [1, 0.5, 1] + [0, 0, 0.14], 0.025),
        ]
        bodies.append(ball((x * 0.45, 0.61, 0), (0.36, 0.03, 0.13)))
    return Character(trimesh.util.concatenate(bodies), joints)


def turned(character: Character, degrees: float) -> Character:
    """The character turned about the vertical axis."""
    turn = trimesh.transformations.rotation_matrix(np.radians(degrees), [0, 1, 0])
    mesh = character.mesh.copy().apply_transform(turn)
    return Character(mesh, {name: turn[:3, :3] @ at for name, at in character.joints.items()})


def _upright(at: Place) -> Any:
    place = trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
    place[:3, 3] = at
    return place
