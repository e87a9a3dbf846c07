"""What glTF says by other means than vertices and a node tree, and what is read of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import MeshLimits, ignored_parts, read_mesh, read_scene
from pocket3d.adapters.weight_free.conversion.convert import write
from support import glb_reading
from support import mesh_files as files
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

UV = np.array([[0.0, 0.0], [1, 0], [0, 1], [1, 1]])


def coordinates(path: Path) -> Any:
    """(V, 2) in glTF's sense, from the upper left corner, of the one part, and the part."""
    (part,) = read_scene(path).geometry.values()
    assert part.visual.material.baseColorTexture is not None
    return np.stack([part.visual.uv[:, 0], 1 - part.visual.uv[:, 1]], axis=1)


# ---------------------------------------------------------------- textures


def transform(**values: Any) -> dict[str, Any]:
    return {"extensions": {"KHR_texture_transform": values}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, UV),
        ({"offset": [0.5, 0.25]}, UV + np.array([0.5, 0.25])),
        ({"scale": [4, 2]}, UV * [4, 2]),
        # The extension's own examples: the lower left quadrant, turned; the second axis upside down.
        ({"offset": [0, 1], "rotation": np.pi / 2, "scale": [0.5, 0.5]}, [[0, 1], [0, 0.5], [0.5, 1], [0.5, 0.5]]),
        ({"offset": [0, 1], "scale": [1, -1]}, [[0, 1], [1, 1], [0, 0], [1, 0]]),
        # Scaled before it is turned.
        ({"rotation": np.pi / 2, "scale": [4, 2]}, [[0, 0], [0, -4], [2, 0], [2, -4]]),
    ],
)
def test_a_texture_that_is_moved_lies_there_in_the_coordinates(
    tmp_path: Path, values: dict[str, Any], expected: Any
) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(**values))
    assert coordinates(body.write(tmp_path / "a.glb")) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_moved_texture_is_written_where_it_lay(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(scale=[4, 4]))
    scene = read_scene(body.write(tmp_path / "a.glb"))
    write(scene, tmp_path / "b.glb", 1.0)
    assert coordinates(tmp_path / "b.glb") == pytest.approx(UV * 4)
    assert "KHR_texture_transform" not in str(glb_reading.json_chunk(tmp_path / "b.glb"))


def test_the_set_of_coordinates_is_the_one_that_the_texture_names(tmp_path: Path) -> None:
    for number, info in enumerate(({"texCoord": 1}, {"texCoord": 0, **transform(texCoord=1)})):
        body = Tetrahedron()
        body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
        body.primitive["attributes"]["TEXCOORD_1"] = body.add(UV / 2, "VEC2")
        body.texture(**info)
        assert coordinates(body.write(tmp_path / f"{number}.glb")) == pytest.approx(UV / 2)


@pytest.mark.parametrize(("component", "dtype"), [(5121, "u1"), (5123, "<u2")])
def test_coordinates_as_normalised_whole_numbers(tmp_path: Path, component: int, dtype: str) -> None:
    body = Tetrahedron()
    rows = np.zeros((4, 4 // np.dtype(dtype).itemsize))
    rows[:, :2] = UV * np.iinfo(dtype).max
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(rows, "VEC2", component, dtype, normalized=True)
    body.document["bufferViews"][-1]["byteStride"] = 4
    body.texture()
    assert coordinates(body.write(tmp_path / "a.glb")) == pytest.approx(UV)


def test_a_map_that_lies_otherwise_than_the_base_colour_is_left_out_and_named(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    material = body.texture(**transform(scale=[4, 4]))
    material["normalTexture"] = {"index": 0, **transform(scale=[2, 2])}
    material["occlusionTexture"] = {"index": 0, "strength": 0.5, **transform(scale=[4, 4])}
    scene = read_scene(body.write(tmp_path / "a.glb"))
    (part,) = scene.geometry.values()
    assert part.visual.material.normalTexture is None
    assert part.visual.material.occlusionTexture is not None
    assert ignored_parts(scene)[0].startswith("normalTexture of material 'paint': it lies otherwise")


@pytest.mark.parametrize("broken", [{"offset": [1]}, {"scale": "4"}, {"rotation": []}, {"texCoord": -1}])
def test_a_broken_transform_is_the_files_fault(tmp_path: Path, broken: dict[str, Any]) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(**broken))
    with pytest.raises(InvalidInput, match="no glTF"):
        read_mesh(body.write(tmp_path / "a.glb"))


def test_a_moved_texture_as_met_in_a_real_file() -> None:
    uv = coordinates(files.case("texture_transform.glb"))
    assert uv.max() > 3


# ---------------------------------------------------------------- instances


def instanced(tmp_path: Path, **attributes: Any) -> Path:
    body = Tetrahedron()
    body.document["nodes"][0]["extensions"] = {
        "EXT_mesh_gpu_instancing": {
            "attributes": {name: body.add(rows, f"VEC{len(rows[0])}") for name, rows in attributes.items()}
        }
    }
    return body.write(tmp_path / "a.glb")


def test_copies_by_an_extension_stand_where_it_says(tmp_path: Path) -> None:
    scene = read_scene(instanced(tmp_path, TRANSLATION=[[0.0, 0, 0], [3, 0, 0], [6, 0, 0]]))
    assert len(scene.graph.nodes_geometry) == 3
    assert np.ptp(scene.bounds, axis=0).tolist() == [7, 1, 1]
    assert ignored_parts(scene) == []


def test_copies_are_turned_and_scaled_too(tmp_path: Path) -> None:
    turned = [0.0, 0.0, 2.0, 2.0]  # a quarter turn about z; its length is not 1
    scene = read_scene(instanced(tmp_path, ROTATION=[turned, [0.0, 0, 0, 1]], SCALE=[[2.0, 1, 1], [1.0, 1, 1]]))
    assert scene.bounds == pytest.approx(np.array([[-1, 0, 0], [1, 2, 1]]), abs=1e-6)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, "no attributes|no different counts"),
        ({"TRANSLATION": [[0.0, 0, 0]], "SCALE": [[1.0, 1, 1], [2.0, 2, 2]]}, "2 different counts"),
        ({"ROTATION": [[0.0, 0, 0, 0]]}, "a rotation that is zero"),
        ({"TRANSLATION": [[float("nan"), 0, 0]]}, "no numbers"),
        ({"SCALE": [[1.0, 1, 1, 1]]}, "SCALE is VEC4"),
    ],
    ids=["none", "counts", "rotation", "nan", "kind"],
)
def test_what_copies_claim_wrongly_is_refused(tmp_path: Path, attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_scene(instanced(tmp_path, **attributes))


def test_copies_count_as_often_as_they_stand_there(tmp_path: Path) -> None:
    path = instanced(tmp_path, TRANSLATION=[[float(number), 0, 0] for number in range(30)])
    with pytest.raises(InvalidInput, match="120 faces"):
        read_scene(path, MeshLimits(max_faces=100))


def test_copies_as_met_in_a_real_file() -> None:
    scene = read_scene(files.case("gpu_instancing.glb"))
    assert (len(scene.graph.nodes_geometry), np.ptp(scene.bounds, axis=0).tolist()) == (3, [7, 1, 1])


# ---------------------------------------------------------------- skins

QUARTER = np.sqrt(0.5)
#: About x, from +Y to -Z: how Blender's armatures lie.
LYING = [-QUARTER, 0.0, 0.0, QUARTER]
CORNERS = np.array(files.VERTICES)


def joint_matrix(rotation: Any = None, scale: float = 1.0, translation: Any = (0, 0, 0)) -> Any:
    matrix = np.eye(4)
    if rotation is not None:
        x, y, z, w = rotation
        matrix = trimesh.transformations.quaternion_matrix([w, x, y, z])
    matrix[:3, :3] *= scale
    matrix[:3, 3] = translation
    return matrix


def skinned(
    nodes: list[dict[str, Any]], joints: list[int], bind: list[Any] | None, roots: list[int] | None = None
) -> Tetrahedron:
    """Node 0 shows the mesh; every vertex is bound to the first joint, the last one to the last joint."""
    body = Tetrahedron()
    body.document["nodes"] = [{"name": "body", "mesh": 0, "skin": 0}, *nodes]
    body.document["scenes"] = [{"nodes": roots or list(range(len(nodes) + 1))}]
    rows = np.zeros((4, 4))
    rows[3, 0] = len(joints) - 1
    body.primitive["attributes"]["JOINTS_0"] = body.add(rows, "VEC4", 5121, "u1")
    body.primitive["attributes"]["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    body.document["skins"] = [{"joints": joints}]
    if bind is not None:
        matrices = np.array([np.asarray(each).T.reshape(16) for each in bind])
        body.document["skins"][0]["inverseBindMatrices"] = body.add(matrices, "MAT4")
    return body


def places(path: Path) -> Any:
    mesh = read_mesh(path)
    # Faces are in the order of the file.
    return mesh.vertices[[mesh.faces[0][0], mesh.faces[1][1], mesh.faces[0][1], mesh.faces[1][2]]]


def test_a_skinned_mesh_is_not_placed_by_its_own_node(tmp_path: Path) -> None:
    armature = {"name": "Armature", "rotation": LYING, "scale": [0.01] * 3, "children": [0, 2]}
    bind = [np.linalg.inv(joint_matrix(LYING, 0.01))]
    body = skinned([armature, {"name": "hip"}], [2], bind, roots=[1])
    assert places(body.write(tmp_path / "a.glb")) == pytest.approx(CORNERS, abs=1e-5)
    assert ignored_parts(read_scene(tmp_path / "a.glb"))[0].startswith("skins: ")


def test_a_skinned_mesh_is_as_large_as_its_joints_make_it(tmp_path: Path) -> None:
    body = skinned([{"scale": [0.3] * 3, "translation": [0, 5, 0]}], [1], None)
    assert places(body.write(tmp_path / "a.glb")) == pytest.approx(CORNERS * 0.3 + [0, 5, 0], abs=1e-5)


def test_vertices_follow_their_own_joints_by_weight(tmp_path: Path) -> None:
    body = skinned([{"children": [2]}, {"translation": [0, 0, 2]}], [1, 2], None, roots=[0, 1])
    assert places(body.write(tmp_path / "a.glb")) == pytest.approx(CORNERS + np.outer([0, 0, 0, 1], [0, 0, 2]))
    # The last vertex: a quarter by the first joint, three by the second; weights that do not sum to 1.
    rows, weights = np.zeros((4, 4)), np.zeros((4, 4))
    weights[:, 0], rows[3, 1], weights[3, :2] = 255, 1, (25, 75)
    attributes = body.primitive["attributes"]
    attributes["JOINTS_0"] = body.add(rows, "VEC4", 5123, "<u2")
    attributes["WEIGHTS_0"] = body.add(weights, "VEC4", 5121, "u1", normalized=True)
    assert places(body.write(tmp_path / "a.glb"))[3] == pytest.approx([0, 0, 1 + 1.5])


def test_normals_turn_with_the_joints(tmp_path: Path) -> None:
    body = skinned([{"rotation": LYING, "scale": [2, 2, 2]}], [1], None)
    body.primitive["attributes"]["NORMAL"] = body.add([[0, 1, 0]] * 4, "VEC3")
    (part,) = read_scene(body.write(tmp_path / "a.glb")).geometry.values()
    assert np.asarray(part.vertex_normals) == pytest.approx(np.array([[0, 0, -1]] * 4), abs=1e-6)


def test_a_mesh_that_is_shown_with_and_without_a_skin_stands_in_both_places(tmp_path: Path) -> None:
    body = skinned([{"translation": [0, 10, 0]}, {"mesh": 0, "translation": [5, 0, 0]}], [1], None)
    mesh = read_mesh(body.write(tmp_path / "a.glb"))
    assert len(mesh.faces) == 8
    assert mesh.bounds.tolist() == [[0, 0, 0], [6, 11, 1]]
    assert len(read_scene(tmp_path / "a.glb").geometry) == 2


def test_children_of_a_skinned_node_are_placed_by_it(tmp_path: Path) -> None:
    body = skinned([{"translation": [0, 10, 0]}, {"mesh": 0}], [1], None, roots=[0, 1])
    body.document["nodes"][0].update(translation=[100, 0, 0], children=[2])
    assert read_mesh(body.write(tmp_path / "a.glb")).bounds.tolist() == [[0, 0, 0], [101, 11, 1]]


def test_a_joint_outside_of_the_scene_holds_as_well(tmp_path: Path) -> None:
    body = skinned([{"translation": [0, 10, 0]}], [1], None, roots=[0])
    assert read_mesh(body.write(tmp_path / "a.glb")).bounds.tolist() == [[0, 10, 0], [1, 11, 1]]


def test_a_primitive_that_is_bound_to_nothing_is_placed_by_its_node(tmp_path: Path) -> None:
    body = skinned([{"translation": [0, 10, 0]}], [1], None)
    body.document["nodes"][0]["translation"] = [3, 0, 0]
    del body.primitive["attributes"]["JOINTS_0"]
    assert read_mesh(body.write(tmp_path / "a.glb")).bounds.tolist() == [[3, 0, 0], [4, 1, 1]]


SKIN_SPOILERS: dict[str, Any] = {
    "no such skin": lambda d: d["nodes"][0].update(skin=3),
    "no joints": lambda d: d["skins"][0].update(joints=[]),
    "no such joint node": lambda d: d["skins"][0].update(joints=[9]),
    "a vertex bound to no joint": lambda d: d["skins"][0].update(joints=[1]),
    "too few matrices": lambda d: d["accessors"][-1].update(count=1),
    "matrices of another kind": lambda d: d["accessors"][-1].update(type="SCALAR"),
    "joints of floats": lambda d: d["meshes"][0]["primitives"][0]["attributes"].update(JOINTS_0=3),
    "weights of bytes": lambda d: d["meshes"][0]["primitives"][0]["attributes"].update(WEIGHTS_0=2),
    "weights of another count": lambda d: d["accessors"][3].update(count=3),
    "joints below themselves": lambda d: (
        d["nodes"].extend([{"children": [4]}, {"children": [3]}]) or d["skins"][0].update(joints=[1, 3])
    ),
}


@pytest.mark.parametrize("name", sorted(SKIN_SPOILERS))
def test_what_a_skin_claims_wrongly_is_refused(tmp_path: Path, name: str) -> None:
    body = skinned([{}, {}], [1, 2], [np.eye(4)] * 2)
    body.document["scenes"] = [{"nodes": [0, 1, 2]}]
    read_mesh(body.write(tmp_path / "sound.glb"))
    SKIN_SPOILERS[name](body.document)
    with pytest.raises(InvalidInput):
        read_mesh(body.write(tmp_path / "a.glb"))


def test_matrices_that_lead_beyond_all_numbers_are_refused(tmp_path: Path) -> None:
    body = skinned([{}], [1], [np.eye(4) * 1e38])
    body.document["nodes"][1]["scale"] = [1e15] * 3
    with pytest.raises(InvalidInput):
        read_mesh(body.write(tmp_path / "a.glb"))


def test_a_skinned_mesh_as_met_in_real_files() -> None:
    assert read_mesh(files.case("skin_armature_turned.glb")).extents == pytest.approx([0.6, 3, 0.6])
