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
from support.full_glb import full, rows
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
    made = skinned_copy(path.read_bytes(), BONES, weights)
    assert made is not None and made.lost == []
    copy = made.data
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
    raw, binary = unpack(copy.data)
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
    assert copy is not None and unpack(copy.data)[0]["scenes"] == [{"nodes": [0, 1]}]


# ---------------------------------------------------------------- what had joints, a mirror or motion already


def rigged(folder: Path, body: Tetrahedron, weights: Weights | None = None) -> tuple[Path, Path, list[str]]:
    """The file, the rigged one, and what that lost."""
    path, out = body.write(folder / "before.glb"), folder / "rigged.glb"
    read_scene(path)
    made = skinned_copy(path.read_bytes(), BONES, weights or Weights())
    assert made is not None
    out.write_bytes(made.data)
    return path, out, made.lost


def walking() -> Tetrahedron:
    """Bound to an arm below a hip, both animated; a lamp swings below the hip, another one by itself; with targets."""
    body = full()
    attributes = body.primitive["attributes"]
    attributes["JOINTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4", 5121, "u1")
    attributes["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    wide = np.array(files.VERTICES) * [1, 0, 0]
    body.primitive["targets"] = [{"POSITION": body.add(wide, "VEC3", min=[0, 0, 0], max=[1, 0, 0])}]
    body.document["meshes"][0]["weights"] = [0.5]
    # A quarter turn about z: what is wide along x is high.
    turned = {"rotation": [0, 0, 0.5**0.5, 0.5**0.5]}
    body.document["nodes"] += [
        {"name": "Armature", "children": [4], "translation": [0, 2, 0]},
        {"name": "hip", "children": [5, 6], **turned},
        {"name": "arm", "extras": {"length": 3}},
        {"name": "torch", "camera": 0},
    ]
    body.document["nodes"][1]["skin"] = 0
    body.document["scenes"][0]["nodes"] = [0, 3]
    body.document["skins"] = [{"name": "Old", "joints": [5, 4]}]
    (swing,) = body.document["animations"]
    for name, nodes in (("walk", (4, 5)), ("wave", (5, 6, 1))):
        channels = [{"sampler": 0, "target": {"node": node, "path": "translation"}} for node in nodes]
        body.document["animations"].append({**swing, "name": name, "channels": channels})
    return body


def test_an_old_skin_gives_way_where_it_held_the_mesh(tmp_path: Path) -> None:
    weights = Weights()
    path, out, lost = rigged(tmp_path, walking(), weights)
    before, after = unpack(path.read_bytes())[0], unpack(out.read_bytes())[0]
    assert lost == [
        "skin 'Old' of 2 joints: the new skeleton takes its place",
        "animation 'walk': what it moved follows the new bones alone",
        "animation 'wave' (2 of its 3 channels): what it moved follows the new bones alone",
    ]
    seen = read_scene(path).bounds
    assert seen == pytest.approx(np.array([[-1, 2, 0], [0, 3.5, 1]]), abs=1e-6)
    assert read_scene(out).bounds == pytest.approx(seen, abs=1e-6)
    (places,) = weights.asked
    assert np.array([places.min(axis=0), places.max(axis=0)]) == pytest.approx(seen, abs=1e-6)
    names = [node["name"] for node in after["nodes"]]
    assert names == ["room", "body", "lamp", "Armature", "hip", "torch", "hips", "head"], (
        "an arm that holds nothing goes"
    )
    assert after["materials"] == before["materials"] and after["cameras"] == before["cameras"]
    assert [(each["name"], len(each["channels"])) for each in after["animations"]] == [("swing", 1), ("wave", 1)]
    assert names[after["animations"][1]["channels"][0]["target"]["node"]] == "torch"
    assert read_rig(out, skinned=True).names == ["hips", "head"]
    assert len(after["skins"]) == 1 and "JOINTS_1" not in after["meshes"][0]["primitives"][0]["attributes"]
    # The target still widens it, along the axis to which the joint had turned it.
    (target,) = after["meshes"][0]["primitives"][0]["targets"]
    shift = rows(*unpack(out.read_bytes()), target["POSITION"])
    assert shift[np.abs(shift).max(axis=1) > 0.1] == pytest.approx(np.array([[0, 1, 0]]), abs=1e-6)


def test_nodes_that_place_bound_meshes_alone_move_nothing_any_more(tmp_path: Path) -> None:
    body = full()
    (swing,) = body.document["animations"]
    swing["channels"] += [{"sampler": 0, "target": {"node": node, "path": "translation"}} for node in (0, 1)]
    _, out, lost = rigged(tmp_path, body)
    # The room has a lamp in it, too.
    assert lost == ["animation 'swing' (1 of its 3 channels): what it moved follows the new bones alone"]
    left = unpack(out.read_bytes())[0]["animations"][0]
    assert [each["target"]["node"] for each in left["channels"]] == [2, 0] and len(left["samplers"]) == 1


def test_a_mirrored_mesh_is_bound_the_right_way_round(tmp_path: Path) -> None:
    body = full()
    body.document["nodes"][0]["scale"] = [-2, 2, 2]
    body.document["nodes"][1]["children"] = [3]
    body.document["nodes"].append({"name": "below", "mesh": 0})
    path, out, lost = rigged(tmp_path, body)
    assert lost == []
    scene, was = read_scene(out), read_scene(path)
    assert scene.bounds == pytest.approx(was.bounds, abs=1e-5)
    assert [mesh.volume > 0 for mesh in scene.geometry.values()] == [True, True]
    document = unpack(out.read_bytes())[0]
    assert [node["name"] for node in document["nodes"] if "skin" in node] == ["body", "below"]
    for mesh in scene.geometry.values():
        # Each normal of the sample looks along an axis, and the turn is about z.
        assert np.linalg.norm(mesh.vertex_normals, axis=1) == pytest.approx(1)
    _, body_mesh = (scene.geometry[scene.graph[name][1]] for name in sorted(scene.graph.nodes_geometry))
    assert body_mesh.vertex_normals[:, 2] == pytest.approx([1, 0, 0, -1], abs=1e-6)
    assert body_mesh.vertex_normals[1] == pytest.approx([-0.28, 0.96, 0], abs=1e-6)


def test_what_says_what_the_old_joints_are_goes_with_them(tmp_path: Path) -> None:
    body = walking()
    body.document["extensions"]["VRM"] = {"humanoid": {"humanBones": [{"bone": "hips", "node": 4}]}}
    body.document["extensionsUsed"].append("VRM")
    _, out, lost = rigged(tmp_path, body)
    assert lost[1] == "VRM: it says what the old joints are"
    document = unpack(out.read_bytes())[0]
    assert document["extensions"].keys() == {"KHR_lights_punctual"} and "VRM" not in document["extensionsUsed"]
    assert "arm" not in [node["name"] for node in document["nodes"]]


def test_nodes_that_an_unknown_extension_may_name_stay(tmp_path: Path) -> None:
    body = walking()
    body.document["extensions"]["VENDOR_physics"] = {"bodies": [{"node": 5}]}
    body.document["extensionsUsed"].append("VENDOR_physics")
    document = unpack(rigged(tmp_path, body)[1].read_bytes())[0]
    assert document["nodes"][5]["name"] == "arm"


def spoilt(**document: Any) -> bytes:
    body = twice()
    body.document |= document
    return files.glb(body.document, body.binary)


@pytest.mark.parametrize(
    "data",
    [
        spoilt(images=[{"uri": "a.png"}]),
        spoilt(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}}}]),
        b"v 0 0 0\n",
    ],
    ids=["spread over files", "copies", "no GLB"],
)
def test_what_cannot_be_kept_is_written_anew(data: bytes) -> None:
    assert skinned_copy(data, BONES, Weights()) is None
