"""Rigs of characters with known joints: type, names, sides, symmetry, and how far the joints are off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.repair import NoSolid
from pocket3d.adapters.weight_free.rigging.body_bones import styled
from pocket3d.adapters.weight_free.rigging.rig import make_rig
from support import characters
from support.characters import Character

pytestmark = pytest.mark.torch

#: Of VRM 1.0 those that every humanoid has, and neck, chest and shoulders.
_HUMANOID = {"hips", "spine", "chest", "neck", "head"} | {
    f"{side}{name}"
    for side in ("left", "right")
    for name in ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes")
}


def _quiet(_fraction: float, _stage: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(
    ("make", "kind", "facing", "mean"),
    [
        (characters.humanoid, "humanoid", "+z", 0.03),
        (lambda: characters.humanoid(45), "humanoid", "+z", 0.03),
        (lambda: characters.turned(characters.humanoid(20, hat=True, sword=True), 90), "humanoid", "+x", 0.03),
        (lambda: characters.turned(characters.quadruped(), 180), "quadruped", "-z", 0.035),
        (characters.bird, "biped bird", "+z", 0.045),
    ],
    ids=["T-pose", "A-pose", "with hat and sword", "dog", "bird"],
)
def test_bones_have_the_names_that_people_use(
    make: Callable[[], Character], kind: str, facing: str, mean: float
) -> None:
    character = make()
    rig = make_rig(character.mesh, None, _quiet)
    assert (rig.facts["rig_type"], rig.facts["facing"], rig.facts["symmetry"]) == (kind, facing, True)
    heads = dict(zip(rig.skeleton.names, rig.skeleton.heads, strict=True))
    size = float(character.mesh.extents.max())
    # By name: a left arm on the right would be off by more than the body's width.
    off = {name: float(np.linalg.norm(heads[name] - at)) / size for name, at in character.joints.items()}
    assert np.mean(list(off.values())) < mean
    assert max(off.values()) < 0.12, off
    assert rig.facts["inside_share"] > 0.95
    if kind == "humanoid":
        assert {name for name in heads if not name.startswith("accessory")} == _HUMANOID | {"root"}
        parents = {name: rig.skeleton.names[p] for name, p in zip(heads, rig.skeleton.parents, strict=True) if p >= 0}
        assert parents["leftHand"] == "leftLowerArm" and parents["leftUpperLeg"] == "hips"
        assert parents["leftShoulder"] == "chest" and parents["head"] == "neck"


@pytest.mark.parametrize(
    ("make", "kind", "facing"),
    [
        # A hat's brim has limbs at its edge, and a cape reaches the ground behind the feet.
        (lambda: characters.humanoid(20, hat=True, brim=True, cape=True), "humanoid", "+z"),
        (lambda: characters.quadruped(stride=0.3), "quadruped", "+z"),
        # Only the horns mirror each other.
        (lambda: characters.humanoid(50, horns=True, forward=70), "humanoid", "+z"),
    ],
    ids=["brim and cape", "walking dog", "horns and one arm forward"],
)
def test_what_people_wear_and_how_they_stand_changes_no_type(
    make: Callable[[], Character], kind: str, facing: str
) -> None:
    character = make()
    rig = make_rig(character.mesh, None, _quiet)
    assert (rig.facts["rig_type"], rig.facts["facing"]) == (kind, facing)
    heads = dict(zip(rig.skeleton.names, rig.skeleton.heads, strict=True))
    assert sum(name.startswith("accessory") for name in heads) <= 2
    size = float(character.mesh.extents.max())
    off = {name: float(np.linalg.norm(heads[name] - at)) / size for name, at in character.joints.items()}
    # Left and right are not exchanged, and arms are no brim.
    assert np.mean([each for name, each in off.items() if name.startswith(("left", "right"))]) < 0.06, off


def test_fewer_joints_leave_out_what_is_least_needed() -> None:
    rig = make_rig(characters.humanoid().mesh, 18, _quiet, "mixamo")
    assert len(rig.skeleton.names) <= 18
    assert {"mixamorig:Hips", "mixamorig:LeftArm", "mixamorig:RightUpLeg"} <= set(rig.skeleton.names)
    assert "mixamorig:LeftToeBase" not in rig.skeleton.names
    assert rig.facts["bone_names"] == "mixamo"


@pytest.mark.parametrize(
    ("vrm", "mixamo"),
    [
        ("leftLowerArm", "mixamorig:LeftForeArm"),
        ("rightToes", "mixamorig:RightToeBase"),
        ("chest", "mixamorig:Spine1"),
        ("accessory1", "accessory1"),
    ],
)
def test_names_of_mixamo(vrm: str, mixamo: str) -> None:
    assert styled(vrm, "mixamo") == mixamo
    assert styled(vrm, "vrm") == vrm


def _house() -> Any:
    roof = trimesh.creation.cone(1.1, 0.8, sections=4).apply_transform(
        trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
    )
    return trimesh.util.concatenate([trimesh.creation.box((1.4, 1, 1.4)), roof.apply_translation((0, 0.45, 0))])


@pytest.mark.parametrize("make", [_house, lambda: trimesh.creation.icosphere(subdivisions=2)], ids=["house", "ball"])
def test_where_there_is_no_skeleton_it_says_so(make: Callable[[], Any]) -> None:
    with pytest.raises(NoSolid, match="no skeleton to find"):
        make_rig(make(), None, _quiet)


def test_100_loose_triangles_cost_nothing() -> None:
    corners = np.random.default_rng(0).uniform(size=(300, 3))
    soup = trimesh.Trimesh(corners, np.arange(300).reshape(100, 3), process=False)
    before = time.process_time()
    with pytest.raises(NoSolid, match="100 loose triangles"):
        make_rig(soup, None, _quiet)
    assert time.process_time() - before < 1


def test_a_thing_is_no_animal() -> None:
    wheels = [
        trimesh.creation.cylinder(0.25, 0.15).apply_transform(
            trimesh.transformations.compose_matrix(angles=(0, np.pi / 2, 0), translate=(x, 0, z))
        )
        for x in (-0.6, 0.6)
        for z in (-0.6, 0.6)
    ]
    cart = [trimesh.creation.box((1.1, 0.25, 2)).apply_translation((0, 0.2, 0)), *wheels]
    pole = trimesh.creation.box((0.15, 1.2, 0.15)).apply_translation((0, 0.6, -0.8))
    rig = make_rig(trimesh.util.concatenate([*cart, pole]), None, _quiet)
    assert rig.facts["rig_type"] == "other"
    assert "follow the shape alone" in rig.facts["notes"][0]
