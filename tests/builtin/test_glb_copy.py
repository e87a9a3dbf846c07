"""From GLB to GLB a file keeps what it has, wherever it goes; what a reader leaves out is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("torch")

from pocket3d.adapters.mesh import input as mesh_input
from pocket3d.adapters.mesh.glb_copy import placed_copy, reads_alike
from pocket3d.adapters.mesh.input import ignored_parts, read_mesh, read_scene
from pocket3d.adapters.mesh.read.glb_container import pack, unpack
from pocket3d.adapters.mesh.read.glb_left_out import left_out
from pocket3d.adapters.mesh.result import BrokenOutput, check_written, scene_statistics
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter
from support import mesh_files as files
from support.adapter_run import run
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

STILL = np.eye(4)
MOVED = np.array([[0.0, 0, 2, 5], [2, 0, 0, 6], [0, 2, 0, 7], [0, 0, 0, 1]])


def rich() -> Tetrahedron:
    """Everything that goes through a program of models untouched."""
    body = Tetrahedron()
    material = body.texture(extensions={"KHR_texture_transform": {"scale": [4, 4]}})
    material["extensions"] = {"KHR_materials_transmission": {"transmissionFactor": 0.9}, "KHR_materials_unlit": {}}
    material["pbrMetallicRoughness"]["baseColorFactor"] = [0.0015, 0.0005, 0.003, 1]
    material["extras"] = {"program": 7}
    document = body.document
    document["samplers"] = [{"wrapS": 33071, "wrapT": 33648, "magFilter": 9728}]
    document["textures"][0]["sampler"] = 0
    for name in ("TEXCOORD_0", "TEXCOORD_1"):
        body.primitive["attributes"][name] = body.add([[0, 0], [1, 0], [0, 1], [1, 1]], "VEC2")
    body.primitive["targets"] = [{"POSITION": body.add([[0, 0, 0.1]] * 4, "VEC3", min=[0, 0, 0.1], max=[0, 0, 0.1])}]
    document["extensions"] = {"KHR_lights_punctual": {"lights": [{"type": "point"}]}}
    document["extensionsUsed"] = ["KHR_lights_punctual", "KHR_materials_transmission", "KHR_materials_unlit"]
    document["extensionsUsed"].append("KHR_texture_transform")
    document["nodes"].append({"name": "lamp", "extensions": {"KHR_lights_punctual": {"light": 0}}})
    document["scenes"] = [{"nodes": [0, 1]}, {"nodes": [1]}]
    return body


def test_a_copy_has_all_that_the_file_has(tmp_path: Path) -> None:
    path = rich().write(tmp_path / "rich.glb")
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb")
    before, after = (unpack(Path(each).read_bytes()) for each in (path, answer["output_mesh_path"]))
    assert after[1] == before[1]
    for key in before[0].keys() - {"accessors"}:
        assert after[0][key] == before[0][key], key
    assert after[0]["accessors"][0] == {**before[0]["accessors"][0], "min": [0, 0, 0], "max": [1, 1, 1]}
    assert (answer["generation_info"]["lost"], answer["generation_info"]["ignored"]) == ([], [])


@pytest.mark.parametrize(("more", "times"), [({}, 1), ({"size": 2.0}, 2)])
def test_a_copy_that_reads_as_its_source_is_not_parsed_again(
    more: dict[str, Any], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = Mock(wraps=mesh_input._parse)
    monkeypatch.setattr(mesh_input, "_parse", parse)
    path = rich().write(tmp_path / "rich.glb")
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb", **more)
    assert parse.call_count == times
    assert answer["generation_info"]["statistics"] == scene_statistics(read_scene(Path(answer["output_mesh_path"])))


def test_files_read_alike_that_differ_in_stated_bounds_alone(tmp_path: Path) -> None:
    data = rich().write(tmp_path / "rich.glb").read_bytes()
    raw, binary = unpack(data)
    raw["accessors"][0] |= {"min": [-1, -1, -1], "max": [1, 1, 1]}
    assert reads_alike(data, pack(raw, binary))
    assert not reads_alike(data, pack(raw, binary[:-4] + b"\0\0\0\1"))
    assert not reads_alike(data, pack(raw | {"scene": 1}, binary))
    assert not reads_alike(data, data[:-4])


def test_what_other_ways_leave_out_is_named(tmp_path: Path) -> None:
    path = rich().write(tmp_path / "rich.glb")
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="obj")
    told = "; ".join(answer["generation_info"]["ignored"])
    for word in ("KHR_materials_transmission", "KHR_materials_unlit", "1 samplers", "morph targets", "TEXCOORD_1"):
        assert word in told
    assert "lights" in told and "extras of 1" in told


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, []),
        ({"meshes": [{"primitives": [{"attributes": {"TEXCOORD_0": 0, "COLOR_0": 1, "JOINTS_1": 2}}]}]}, []),
        ({"samplers": [{"wrapS": 10497, "minFilter": 9987}]}, []),
        ({"extensions": {"KHR_materials_variants": {"variants": [{}, {}]}}}, ["2 variants"]),
        ({"materials": [{"extensions": {f"VENDOR_{n}": {}}} for n in range(9)]}, ["VENDOR_5 and 3 more"]),
        ({"materials": 7, "meshes": {}, "extensions": {"KHR_lights_punctual": []}}, []),
        ({"animations": [{}], "cameras": [{}]}, ["animations: only", "cameras: only"]),
        ({"extensions": {"VRMC_vrm": {}, "VENDOR_notes": 1}}, ["VENDOR_notes, VRMC_vrm of the file as a whole: "]),
    ],
    ids=["nothing", "first sets", "usual sampler", "variants", "many", "of wrong kinds", "whole", "of the file"],
)
def test_kinds_that_are_left_out(raw: dict[str, Any], words: list[str]) -> None:
    told = left_out(raw)
    assert len(told) == len(words)
    assert all(word in each for word, each in zip(words, told, strict=True))


def test_a_copy_is_moved_as_a_whole_and_is_the_same_each_time(tmp_path: Path) -> None:
    path = rich().write(tmp_path / "rich.glb")
    first, second = (placed_copy(path.read_bytes(), MOVED) for _ in range(2))
    assert first is not None and first == second
    (tmp_path / "moved.glb").write_bytes(first)
    before, after = read_scene(path), read_scene(tmp_path / "moved.glb")
    corners = trimesh.transform_points(trimesh.bounds.corners(before.bounds), MOVED)
    assert after.bounds == pytest.approx(np.array([corners.min(axis=0), corners.max(axis=0)]))
    raw, _ = unpack(first)
    assert [scene["nodes"] for scene in raw["scenes"]] == [[2, 3], [3]], "a node may stand in several scenes"


@pytest.mark.parametrize("name", ["skin_armature_turned.glb", "gpu_instancing.glb"])
def test_skins_and_copies_move_along(name: str, tmp_path: Path) -> None:
    path = files.case(name)
    answer = run(
        TrimeshMeshConversionAdapter(),
        tmp_path / "out",
        mesh_path=str(path),
        output_format="glb",
        size=2,
        centre="bounds",
        output_up="z",
    )
    scene = read_scene(Path(answer["output_mesh_path"]))
    assert scene.bounds.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.ptp(scene.bounds, axis=0).max() == pytest.approx(2, abs=1e-6)
    assert scene_statistics(scene)["extents"] == answer["generation_info"]["statistics"]["extents"]


@pytest.mark.parametrize(("length", "made"), [(0.0, None), (3.0, (0, 0, 1))])
def test_normals_that_gltf_forbids_are_put_right_and_all_else_stays(length: float, made: Any, tmp_path: Path) -> None:
    body = rich()
    body.primitive["attributes"]["NORMAL"] = body.add([[0, 0, length]] * 4, "VEC3")
    path = body.write(tmp_path / "normals.glb")
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb")
    before, after = (unpack(Path(each).read_bytes())[0] for each in (path, answer["output_mesh_path"]))
    assert after["materials"] == before["materials"] and after["samplers"] == before["samplers"]
    normals = next(iter(read_scene(Path(answer["output_mesh_path"])).geometry.values())).vertex_normals
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    if made is None:
        # The corner at the origin belongs to the three faces that lie in the planes of the axes.
        assert normals[np.argmin(np.linalg.norm(read_mesh(path).vertices, axis=1))] == pytest.approx([-(3**-0.5)] * 3)
    else:
        assert normals == pytest.approx(np.array([made] * 4))
    assert answer["generation_info"]["lost"] == []


def test_a_file_that_names_others_is_never_copied(tmp_path: Path) -> None:
    """Whoever loads the copy would look for them."""
    body = rich()
    body.document["images"][0] = {"uri": "../../etc/passwd.png"}
    path = body.write(tmp_path / "outside.glb")
    assert placed_copy(path.read_bytes(), STILL) is None
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb")
    assert b"passwd" not in Path(answer["output_mesh_path"]).read_bytes()
    assert any("passwd" in each for each in answer["generation_info"]["ignored"])


def test_a_scene_that_names_a_node_below_another_is_not_moved_as_it_is() -> None:
    body = Tetrahedron()
    body.document["nodes"] = [{"mesh": 0}, {"children": [0]}]
    data = files.glb(body.document, body.binary)
    assert placed_copy(data, MOVED) is None
    assert placed_copy(data, STILL) is not None


@pytest.mark.parametrize("accessor", [{"sparse": {}}, {"bufferView": None}], ids=["sparse", "without data"])
def test_lines_beside_the_triangles_are_copied_unjudged(accessor: dict[str, Any]) -> None:
    body = Tetrahedron()
    body.document["accessors"].append({"componentType": 5126, "count": 4, "type": "VEC3", "bufferView": 0, **accessor})
    for position in (2, 99):
        body.document["meshes"][0]["primitives"].append({"attributes": {"POSITION": position}, "mode": 1})
    assert placed_copy(files.glb(body.document, body.binary), STILL) is not None


def test_several_primitives_have_the_same_names_each_time(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.document["meshes"][0]["primitives"] *= 3
    body.document["nodes"].append({"name": "again", "mesh": 0})
    body.document["scenes"][0]["nodes"] = [0, 1]
    path = body.write(tmp_path / "three.glb")
    scenes = [read_scene(path) for _ in range(2)]
    assert [sorted(scene.graph.nodes_geometry) for scene in scenes] == [
        ["again", "again_body_1", "again_body_2", "body", "body_body_1", "body_body_2"]
    ] * 2
    assert sorted(scenes[0].geometry) == ["body", "body_1", "body_2"]
    assert scene_statistics(scenes[0])["faces"] == 24
    outputs = [
        run(TrimeshMeshConversionAdapter(), tmp_path / name, mesh_path=str(path), output_format="obj")
        for name in ("first", "second")
    ]
    first, second = (Path(each["output_mesh_path"]).read_bytes() for each in outputs)
    assert first == second


def test_a_file_that_is_not_what_was_meant_is_an_error() -> None:
    meant = {"faces": 12, "extents": [1.0, 2.0, 3.0]}
    check_written(meant, {"faces": 12, "extents": [1.00001, 2.0, 3.0]}, Path("a.glb"))
    with pytest.raises(BrokenOutput, match="11 faces, 12 were"):
        check_written(meant, {"faces": 11, "extents": [1.0, 2.0, 3.0]}, Path("a.glb"))
    with pytest.raises(BrokenOutput, match="the extents"):
        check_written(meant, {"faces": 12, "extents": [1.0, 2.0, 0.0]}, Path("a.glb"))


# ---------------------------------------------------------------- as met in real files

KEPT = {
    "material_extensions.glb": lambda d: d["materials"][0]["extensions"]["KHR_materials_ior"] == {"ior": 1.4},
    "sampler_clamp_nearest.glb": lambda d: d["samplers"][d["textures"][0]["sampler"]]["wrapS"] == 33071,
    "dark_factor.glb": lambda d: (
        d["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [0.0015, 0.0005, 0.003, 1]
    ),
    "texture_transform.glb": lambda d: (
        "KHR_texture_transform" in d["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["extensions"]
    ),
    "gpu_instancing.glb": lambda d: "EXT_mesh_gpu_instancing" in d["nodes"][0]["extensions"],
    "vcol_vec3.glb": lambda d: "COLOR_0" in d["meshes"][0]["primitives"][0]["attributes"],
    "uv_no_texture.glb": lambda d: "TEXCOORD_0" in d["meshes"][0]["primitives"][0]["attributes"],
    "two_primitives.glb": lambda d: len(d["meshes"][0]["primitives"]) == 2,
}


@pytest.mark.parametrize("name", sorted(KEPT))
def test_what_real_files_have_is_kept(name: str, tmp_path: Path) -> None:
    path = files.case(name)
    answer = run(TrimeshMeshConversionAdapter(), tmp_path, mesh_path=str(path), output_format="glb")
    document, binary = unpack(Path(answer["output_mesh_path"]).read_bytes())
    assert KEPT[name](document)
    assert binary == unpack(path.read_bytes())[1]
    assert answer["generation_info"]["ignored"] == []


def test_a_photograph_of_a_real_file_keeps_its_bytes(tmp_path: Path) -> None:
    path = files.case("jpeg_texture.glb")
    answer = run(TrimeshMeshConversionAdapter(), tmp_path, mesh_path=str(path), output_format="glb")
    raw, binary = unpack(path.read_bytes())
    view = raw["bufferViews"][raw["images"][0]["bufferView"]]
    picture = binary[view.get("byteOffset", 0) :][: view["byteLength"]]
    assert picture in Path(answer["output_mesh_path"]).read_bytes()
    assert ignored_parts(read_scene(path)) == []
