"""Rigs of shapes with known limbs, turned at random, and of two dirty models: judged by numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("manifold3d")

from pocket3d.adapters.mesh.repair import NoSolid
from pocket3d.adapters.mesh.skinned_glb import add_skin
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.rigging import rig as rig_module
from pocket3d.adapters.weight_free.rigging.rig import Rig, make_rig
from pocket3d.adapters.weight_free.rigging.solid import refuse_crowd, voxelise
from support import limbed_shapes, many_bodies
from support.limbed_shapes import LimbedShape
from support.posing import posed
from support.skinned_files import SkinnedFile, read_skinned

#: They share the rig of each shape: in one process.
pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("rigs")]

#: Moved by more than this share of the bounding diagonal is moved.
_NOTICED = 0.01
_LIMBS = {"humanoid": 5, "quadruped": 6, "star": 5, "cylinder": 2, "table": 4}


class Rigged(NamedTuple):
    shape: LimbedShape
    rig: Rig
    file: SkinnedFile


def _quiet(fraction: float, stage: str) -> None:
    assert 0 <= fraction <= 1 and stage


def _write(mesh: Any, rig: Rig, path: Path) -> SkinnedFile:
    part = MeshPart(
        "shape", mesh.vertices, mesh.faces, vertex_normals(mesh.vertices, mesh.faces), Material("grey", (0.5, 0.5, 0.5))
    )
    write_mesh([part], path)
    path.write_bytes(add_skin(path.read_bytes(), rig.skeleton, rig.weights_at))
    return read_skinned(path)


@pytest.fixture(scope="module", params=limbed_shapes.SHAPES, ids=lambda make: make.__name__)
def rigged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rigged:
    make: Callable[[], LimbedShape] = request.param
    shape = limbed_shapes.turned(make(), seed=limbed_shapes.SHAPES.index(make) + 11)
    rig = make_rig(shape.mesh, None, _quiet)
    return Rigged(shape, rig, _write(shape.mesh, rig, tmp_path_factory.mktemp("rig") / "shape.glb"))


def test_bones_lie_inside(rigged: Rigged) -> None:
    skeleton = rigged.file.skeleton
    share = np.linspace(0, 1, 21)[:, None]
    samples = np.concatenate([a + share * (b - a) for a, b in zip(skeleton.heads[1:], skeleton.tails[1:], strict=True)])
    # By rays against the mesh itself, not by the voxels from which the bones were made.
    inside = rigged.shape.mesh.contains(samples)
    assert inside.mean() >= 0.9


def test_every_limb_has_bones_to_its_end(rigged: Rigged) -> None:
    skeleton = rigged.file.skeleton
    assert rigged.rig.facts["limbs"] == _LIMBS[rigged.shape.name]
    for limb in rigged.shape.limbs:
        reach = np.linalg.norm(skeleton.tails - limb.end, axis=1).min()
        # The head's ball goes beyond its neck.
        assert reach < 3 * limb.radius


def test_weights_are_sound(rigged: Rigged) -> None:
    (part,) = rigged.file.parts
    assert part.positions == pytest.approx(rigged.shape.mesh.vertices, abs=1e-5)
    assert part.joints.shape == part.weights.shape == (len(part.positions), 4)
    assert np.abs(part.weights.astype(float).sum(axis=1) - 1).max() < 1e-5
    assert part.weights.min() >= 0
    assert part.joints.max() < len(rigged.file.skeleton.names)


def test_bind_pose_is_the_mesh(rigged: Rigged) -> None:
    (part,) = rigged.file.parts
    assert posed(part, rigged.file) == pytest.approx(part.positions, abs=1e-5)


def test_a_bent_limb_moves_and_the_rest_stays(rigged: Rigged) -> None:
    (part,) = rigged.file.parts
    skeleton = rigged.file.skeleton
    diagonal = float(np.linalg.norm(rigged.shape.mesh.extents))
    for limb in rigged.shape.limbs:
        line = limb.end - limb.start
        along = (part.positions - limb.start) @ line / (line @ line)
        # A joint of this limb, past its root in the body, with the limb's outer half below it.
        bones = [j for j, name in enumerate(skeleton.names) if name.startswith("limb")]
        share = (skeleton.heads[bones] - limb.start) @ line / (line @ line)
        off = np.linalg.norm(skeleton.heads[bones] - limb.start - share[:, None] * line, axis=1)
        on = [(s, j) for s, j, o in zip(share, bones, off, strict=True) if 0.25 < s < 0.75 and o < limb.radius]
        assert on, "the limb has no joint of its own"
        at, joint = min(on)
        axis = np.cross(line, [0.3, 0.5, 0.81])
        turn = trimesh.transformations.rotation_matrix(np.radians(45), axis)[:3, :3]
        moved = np.linalg.norm(posed(part, rigged.file, {joint: turn}) - part.positions, axis=1)
        close = np.linalg.norm(part.positions - limb.start - along[:, None] * line, axis=1) < 2.2 * limb.radius
        # Above the neck is the head, which is wider.
        is_neck = rigged.shape.name == "humanoid" and limb is rigged.shape.limbs[0]
        outer = (along > at) & (close | is_neck)
        far = outer & (along > at + 0.6 * (1 - at))
        # The tip of a rigid limb turned by 45 degrees goes 0.77 of the length from the joint.
        assert moved[far].mean() > 0.35 * (1 - at) * float(np.linalg.norm(line))
        assert (moved[~outer] > _NOTICED * diagonal).mean() < 0.02


def test_bone_count_is_a_bound() -> None:
    # Lying on its back it is no known body.
    shape = limbed_shapes.turned(limbed_shapes.humanoid(), 11)
    for most in (12, 3):
        rig = make_rig(shape.mesh, most, _quiet)
        assert 2 <= len(rig.skeleton.names) <= most


@pytest.mark.parametrize(("make", "limbs"), [(many_bodies.airplane, 6), (many_bodies.ant, 8)])
def test_models_of_many_bodies(make: Callable[[], Any], limbs: int, tmp_path: Path) -> None:
    mesh = make()
    rig = make_rig(mesh, None, _quiet)
    assert rig.facts["fused"] and rig.facts["bodies_before"] > 1
    assert rig.facts["limbs"] >= limbs
    assert rig.facts["inside_share"] >= 0.9
    file = _write(mesh, rig, tmp_path / "bodies.glb")
    assert posed(file.parts[0], file) == pytest.approx(mesh.vertices, abs=1e-4 * float(mesh.extents.max()))
    assert file.parts[0].weights.sum(axis=1) == pytest.approx(1, abs=1e-5)


def _sheet() -> Any:
    return trimesh.Trimesh([[0, 0, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)


def _wavy() -> Any:
    x, y = (each.reshape(-1) for each in np.meshgrid(np.arange(40.0), np.arange(40.0)))
    square = np.arange(40 * 39).reshape(39, 40)[:, :-1].reshape(-1)
    faces = np.concatenate(
        [np.stack([square, square + 1, square + 41], 1), np.stack([square, square + 41, square + 40], 1)]
    )
    return trimesh.Trimesh(np.stack([x, y, 2 * np.sin(x / 4) + 2 * np.sin(y / 4)], axis=1), faces, process=False)


@pytest.mark.parametrize(("make", "words"), [(_sheet, "flat sheet"), (_wavy, "enclose nothing")])
def test_what_has_no_inside_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(NoSolid, match=words):
        make_rig(make(), None, _quiet)


def _crowd(side: int) -> Any:
    places = 1.5 * np.argwhere(np.ones((side, side, side)))
    return trimesh.util.concatenate([trimesh.creation.box((1, 1, 1)).apply_translation(each) for each in places])


def _boxes(side: int, edge: float, step: float = 1.5) -> Any:
    """(F, 3, 3) corners and (F,) bodies of a block of boxes."""
    box = trimesh.creation.box((edge,) * 3)
    places = step * np.argwhere(np.ones((side, side, side)))
    corners = box.triangles[None] + places[:, None, None]
    return corners.reshape(-1, 3, 3), np.repeat(np.arange(len(places)), len(box.faces))


def test_a_crowd_is_refused_before_it_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: Any) -> Any:
        raise AssertionError("it was fused")

    monkeypatch.setattr(rig_module, "fuse", too_late)
    corners, _ = _boxes(27, 1.0)
    crowd = trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), process=False)
    with pytest.raises(NoSolid, match=r"^19,683 pieces that do not touch, of which the 40 largest, .* are 0%"):
        make_rig(crowd, None, _quiet)


def test_many_bodies_that_touch_or_lie_about_one_are_no_crowd() -> None:
    refuse_crowd(*_boxes(11, 1.0, step=1.01))
    refuse_crowd(*_boxes(10, 1.0))
    corners, body = _boxes(11, 0.1)
    with pytest.raises(NoSolid):
        refuse_crowd(corners, body)
    torso = trimesh.creation.box((14, 14, 14)).apply_translation((7, 7, 7)).triangles
    refuse_crowd(np.concatenate([corners, torso]), np.append(body, [body.max() + 1] * len(torso)))


def test_a_crowd_of_bodies_is_no_body() -> None:
    assert voxelise(_crowd(3)).gap > 0, "27 pieces are joined over their gaps"
    with pytest.raises(NoSolid, match=r"^125 pieces that do not touch, of which the 40 largest, .* are 32%"):
        voxelise(_crowd(5))
