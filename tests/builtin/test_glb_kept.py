"""Parts of a GLB file are closed in its own document; all else in it stays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("torch")

from PIL import Image

from pocket3d.adapters.mesh.input import origins, read_scene
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.weight_free.completion.adapter import HoleFillingPartCompletionAdapter
from support import mesh_files as files
from support.adapter_run import run
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

CORNERS = np.array(files.VERTICES)


def jpeg() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def open_tetrahedron() -> Tetrahedron:
    """Without its last face; as real files are: two sets of coordinates, colours, a photograph, extensions."""
    body = Tetrahedron()
    body.document["accessors"][1]["count"] = 9
    body.document["bufferViews"][1]["byteLength"] = 36
    attributes = body.primitive["attributes"]
    for name, scale in (("TEXCOORD_0", 1.0), ("TEXCOORD_1", 3.0)):
        attributes[name] = body.add(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * scale, "VEC2")
    colours = np.zeros((4, 4), dtype=np.uint8)
    colours[:, :3] = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    attributes["COLOR_0"] = body.add(colours, "VEC3", 5121, "u1", normalized=True)
    body.document["bufferViews"][-1]["byteStride"] = 4
    material = body.texture()
    material["extensions"] = {"KHR_materials_clearcoat": {"clearcoatFactor": 1}}
    body.document["extensionsUsed"] = ["KHR_materials_clearcoat"]
    picture = jpeg()
    body.document["bufferViews"].append({"buffer": 0, "byteOffset": len(body.binary), "byteLength": len(picture)})
    body.binary += picture + b"\0" * (-len(picture) % 4)
    body.document["buffers"][0]["byteLength"] = len(body.binary)
    body.document["images"][0] = {"bufferView": len(body.document["bufferViews"]) - 1, "mimeType": "image/jpeg"}
    return body


def closed(path: Path, out: Path) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """What the answer says, the new document, and what is read of the new file."""
    answer = run(HoleFillingPartCompletionAdapter(), out, mesh_path=str(path))
    made = Path(answer["output_mesh_path"])
    return answer["completion_info"], unpack(made.read_bytes())[0], read_scene(made)


def test_all_that_a_file_has_is_kept_when_it_is_closed(tmp_path: Path) -> None:
    path = open_tetrahedron().write(tmp_path / "open.glb")
    info, document, scene = closed(path, tmp_path / "out")
    before = unpack(path.read_bytes())[0]
    for key in ("materials", "textures", "nodes", "scenes", "extensionsUsed"):
        assert document[key] == before[key], key
    assert jpeg() in (tmp_path / "out").glob("*.glb").__next__().read_bytes()
    assert (info["lost"], info["ignored"], info["statistics"]["watertight"]) == ([], [], True)
    (mesh,) = scene.geometry.values()
    assert len(mesh.faces) == 4 and len(mesh.vertices) == 7
    # A cap has the coordinates and colours of the rim.
    rim = {tuple(each) for each in mesh.vertices[4:].tolist()}
    assert rim == {tuple(each) for each in CORNERS[1:].tolist()}
    for place, uv in zip(mesh.vertices, mesh.visual.uv, strict=True):
        corner = int(np.argmin(np.abs(CORNERS - place).sum(axis=1)))
        assert uv == pytest.approx([[0, 1], [1, 1], [0, 0], [1, 0]][corner])


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = open_tetrahedron().write(tmp_path / "open.glb")
    for name in ("first", "second"):
        closed(path, tmp_path / name)
    first, second = (next((tmp_path / name).glob("*.glb")).read_bytes() for name in ("first", "second"))
    assert first == second


def test_a_mesh_that_is_shown_twice_once_mirrored_is_closed_once(tmp_path: Path) -> None:
    body = open_tetrahedron()
    body.document["nodes"] = [
        {"name": "left", "mesh": 0, "scale": [-2, 1, 1], "translation": [5, 0, 0]},
        {"name": "right", "mesh": 0},
    ]
    body.document["scenes"][0]["nodes"] = [0, 1]
    info, document, scene = closed(body.write(tmp_path / "two.glb"), tmp_path / "out")
    assert len(document["meshes"]) == 1 and sorted(scene.graph.nodes_geometry) == ["left", "right"]
    assert info["statistics"]["watertight"] and info["closed_parts"] == 2
    (mesh,) = scene.geometry.values()
    assert mesh.volume == pytest.approx(1 / 6)


def test_caps_of_a_skinned_mesh_follow_its_joints_and_targets(tmp_path: Path) -> None:
    body = open_tetrahedron()
    attributes = body.primitive["attributes"]
    attributes["JOINTS_0"] = body.add(np.zeros((4, 4)), "VEC4", 5121, "u1")
    attributes["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    body.primitive["targets"] = [{"POSITION": body.add(CORNERS, "VEC3", min=[0, 0, 0], max=[1, 1, 1])}]
    body.document["nodes"] = [{"name": "body", "mesh": 0, "skin": 0}, {"name": "hip", "translation": [0, 7, 0]}]
    body.document["scenes"][0]["nodes"] = [0, 1]
    body.document["skins"] = [{"joints": [1]}]
    info, document, scene = closed(body.write(tmp_path / "skin.glb"), tmp_path / "out")
    assert scene.bounds.tolist() == [[0, 7, 0], [1, 8, 1]] and info["statistics"]["watertight"]
    primitive = document["meshes"][0]["primitives"][0]
    counts = {document["accessors"][each]["count"] for each in primitive["attributes"].values()}
    assert counts == {document["accessors"][primitive["targets"][0]["POSITION"]]["count"]} == {7}
    assert info["ignored"] == [] and document["skins"] == [{"joints": [1]}]


def test_primitives_that_share_their_vertices_are_closed_apart(tmp_path: Path) -> None:
    body = open_tetrahedron()
    body.document["meshes"][0]["primitives"] = [
        body.primitive,
        {"attributes": dict(body.primitive["attributes"]), "indices": 1, "material": 0},
    ]
    body.document["nodes"].append({"name": "body", "mesh": 0, "translation": [4, 0, 0]})
    body.document["scenes"][0]["nodes"] = [0, 1]
    _, document, scene = closed(body.write(tmp_path / "two.glb"), tmp_path / "out")
    assert [len(mesh.faces) for mesh in scene.geometry.values()] == [4, 4]
    assert document["nodes"] == body.document["nodes"], "names that are there twice stay as well"


@pytest.mark.parametrize("mode", [4, 5], ids=["without indices", "strip"])
def test_other_ways_to_say_triangles_are_closed_too(mode: int, tmp_path: Path) -> None:
    body = Tetrahedron()
    # A strip of the first two faces, or three faces with vertices of their own.
    order = [2, 1, 0, 3] if mode == 5 else np.array(files.FACES)[:3].reshape(-1)
    body.primitive["attributes"] = {"POSITION": body.add(CORNERS[order], "VEC3", min=[0, 0, 0], max=[1, 1, 1])}
    body.primitive["mode"] = mode
    del body.primitive["indices"]
    info, document, scene = closed(body.write(tmp_path / "a.glb"), tmp_path / "out")
    (mesh,) = scene.geometry.values()
    assert info["statistics"]["watertight"]
    mesh.merge_vertices(merge_norm=True)
    assert abs(mesh.volume) == pytest.approx(1 / 6)
    assert document["meshes"][0]["primitives"][0]["mode"] == 4


def test_what_is_stored_sparsely_is_written_anew(tmp_path: Path) -> None:
    body = open_tetrahedron()
    target = body.add(np.zeros((4, 3)), "VEC3")
    body.document["accessors"][target]["sparse"] = {"count": 1, "indices": {"bufferView": 1, "componentType": 5125}}
    body.primitive["targets"] = [{"POSITION": target}]
    info, _, _ = closed(body.write(tmp_path / "a.glb"), tmp_path / "out")
    assert info["statistics"]["watertight"]
    assert any("morph targets" in each for each in info["ignored"])
    assert any("bytes of 1 images" in each for each in info["lost"])


def test_each_part_knows_what_it_was_made_of(tmp_path: Path) -> None:
    body = Tetrahedron()
    line = {"attributes": {"POSITION": 0}, "mode": 1}
    body.document["meshes"][0]["primitives"] = [line, body.primitive, dict(body.primitive)]
    body.document["nodes"] = [{"name": "world", "children": [1, 2]}, {"name": "a", "mesh": 0}, {"name": "a", "mesh": 0}]
    scene = read_scene(body.write(tmp_path / "a.glb"))
    made_of = origins(scene)
    assert set(made_of) == set(scene.graph.nodes_geometry)
    assert sorted(made_of.values()) == [(1, 1), (1, 2), (2, 1), (2, 2)]
