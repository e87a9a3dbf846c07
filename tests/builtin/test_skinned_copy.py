"""A mesh that gets a skeleton keeps its document, and stands where it stood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.rig_file import read_rig
from pocket3d.adapters.mesh.skinned_copy import skinned_copy
from pocket3d.adapters.mesh.skinned_glb import Skeleton
from support import mesh_files as files
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

BONES = Skeleton(
    ("hips", "head"), np.array([-1, 0]), np.array([[0.0, 0, 0], [0, 5, 0]]), np.array([[0.0, 5, 0], [0, 6, 0]])
)


class Weights:
    """Binds all to the nearer of two bones; remembers where it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, places: Any) -> tuple[Any, Any]:
        self.asked.append(places)
        joints = np.zeros((len(places), 4), dtype=int)
        joints[:, 0] = places[:, 1] > 2.5
        return joints, np.tile([1.0, 0, 0, 0], (len(places), 1))


def twice() -> Tetrahedron:
    """One mesh in two places, with more than a reader of triangles knows."""
    body = Tetrahedron()
    material = body.texture()
    material["extensions"] = {"KHR_materials_clearcoat": {"clearcoatFactor": 1}}
    body.primitive["attributes"]["TEXCOORD_0"] = body.add([[0, 0], [1, 0], [0, 1], [1, 1]], "VEC2")
    body.document["extensionsUsed"] = ["KHR_materials_clearcoat"]
    body.document["nodes"] = [
        {"name": "group", "children": [1, 2], "translation": [0, 1, 0]},
        {"name": "low", "mesh": 0},
        {"name": "high", "mesh": 0, "translation": [0, 4, 0], "scale": [2, 2, 2]},
    ]
    return body


def test_everything_stays_where_and_what_it_was(tmp_path: Path) -> None:
    path, weights = twice().write(tmp_path / "twice.glb"), Weights()
    copy = skinned_copy(path.read_bytes(), BONES, weights)
    assert copy is not None
    (tmp_path / "rigged.glb").write_bytes(copy)
    before, after = unpack(path.read_bytes())[0], unpack(copy)[0]
    for key in ("materials", "images", "textures", "extensionsUsed"):
        assert after[key] == before[key]
    assert [node["name"] for node in after["nodes"]] == ["group", "low", "high", "hips", "head"]
    assert [places[:, 1].min() for places in weights.asked] == [1, 5], "each place has weights of its own"
    assert read_scene(tmp_path / "rigged.glb").bounds == pytest.approx(read_scene(path).bounds, abs=1e-6)
    rig = read_rig(tmp_path / "rigged.glb", skinned=True)
    assert (rig.names, rig.parents, rig.moving, rig.skinned_vertices) == (["hips", "head"], [None, 0], 2, 8)


def test_a_bone_that_moves_takes_what_it_holds_along(tmp_path: Path) -> None:
    copy = skinned_copy(twice().write(tmp_path / "twice.glb").read_bytes(), BONES, Weights())
    assert copy is not None
    raw, binary = unpack(copy)
    (head,) = (node for node in raw["nodes"] if node["name"] == "head")
    head["translation"][0] += 10
    (tmp_path / "moved.glb").write_bytes(files.glb(raw, binary))
    scene = read_scene(tmp_path / "moved.glb")
    places = {name: scene.geometry[scene.graph[name][1]].vertices for name in ("low", "high")}
    assert (places["low"][:, 0].max(), places["high"][:, 0].min()) == pytest.approx((1, 10))


def test_a_file_without_scenes_gets_one_with_the_bones() -> None:
    body = Tetrahedron()
    del body.document["scenes"], body.document["scene"]
    copy = skinned_copy(files.glb(body.document, body.binary), BONES, Weights())
    assert copy is not None and unpack(copy)[0]["scenes"] == [{"nodes": [0, 1]}]


def spoilt(**document: Any) -> bytes:
    body = twice()
    body.document |= document
    return files.glb(body.document, body.binary)


@pytest.mark.parametrize(
    "data",
    [
        spoilt(animations=[{"channels": [], "samplers": []}]),
        spoilt(skins=[{"joints": [0]}]),
        spoilt(nodes=[{"mesh": 0, "scale": [-1, 1, 1]}], scenes=[{"nodes": [0]}]),
        spoilt(images=[{"uri": "a.png"}]),
        b"v 0 0 0\n",
    ],
    ids=["animations", "skins", "mirrored", "spread over files", "no GLB"],
)
def test_what_cannot_be_kept_is_written_anew(data: bytes) -> None:
    assert skinned_copy(data, BONES, Weights()) is None
