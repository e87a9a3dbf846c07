"""Parts of a GLB file are made anew in its own document; all else in it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.glb_looks import Paint
from pocket3d.adapters.mesh.glb_merged import merged_copy
from pocket3d.adapters.mesh.glb_reform import strongest
from pocket3d.adapters.mesh.glb_remade import Remade, remade_copy
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import OWN_COLOURS, missing, unread
from pocket3d.adapters.mesh.mesh_part import Material, MeshPart
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.write import vertex_normals
from support import mesh_files as files
from support.full_glb import KEPT, full, rows
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

RED = np.full((4, 4, 3), (255, 0, 0), dtype=np.uint8)
#: A tetrahedron whose faces share no vertex.
SPLIT = np.array(files.FACES).reshape(-1)
APART = np.arange(12).reshape(-1, 3)


def painted(part: MeshPart, **more: Any) -> Remade:
    """All faces cut apart, each on the whole of a red texture."""
    uv = np.tile([[0.0, 0], [1, 0], [0, 1]], (4, 1))
    look = Material("red", (1.0, 1.0, 1.0), metallic=1.0, roughness=0.5)
    made = part._replace(vertices=part.vertices[SPLIT], faces=APART, uv=uv, texture=RED, material=look, **more)
    return Remade(made, SPLIT, new_uv=True)


def ball(part: MeshPart, **more: Any) -> Remade:
    """A new shape in the place of a part."""
    shape = trimesh.creation.icosphere(subdivisions=1, radius=0.5)
    places = shape.vertices + part.vertices.mean(axis=0)
    faces = np.asarray(shape.faces)
    made = MeshPart(part.name, places, faces, vertex_normals(places, faces), part.material)
    return Remade(made._replace(**more))


def remake(body: Tetrahedron, folder: Path, paint: Paint | None, how: Any) -> tuple[Path, Path, Any]:
    """The file, what became of it, and what is read of that."""
    path = body.write(folder / "before.glb")
    scene = read_scene(path)
    made = {part.name: became for part in parts_of(scene) if (became := how(part)) is not None}
    copy = remade_copy(path.read_bytes(), scene, made, paint)
    assert copy is not None
    (folder / "after.glb").write_bytes(copy)
    return path, folder / "after.glb", read_scene(folder / "after.glb")


def told(before: Path, after: Path, replaced: Any = ()) -> tuple[list[str], list[str]]:
    """`lost` and `ignored`."""
    held, written = inventory(before, read_scene(before)), inventory(after)
    return missing(held, written, replaced), unread(held, written, [], replaced)


def image(raw: dict[str, Any], binary: bytes, texture: int) -> bytes:
    view = raw["bufferViews"][raw["images"][raw["textures"][texture]["source"]]["bufferView"]]
    return binary[view["byteOffset"] :][: view["byteLength"]]


def test_paint_takes_the_place_of_the_base_colour_alone(tmp_path: Path) -> None:
    before, after, scene = remake(full(), tmp_path, Paint(colour=True, surface=True), painted)
    (old, old_binary), (new, binary) = unpack(before.read_bytes()), unpack(after.read_bytes())
    for key in (*KEPT, "nodes", "animations", "extensionsUsed"):
        assert new[key][:1] == old[key][:1] if key == "animations" else new[key] == old[key], key
    material, was = new["materials"][0], old["materials"][0]
    assert [each["name"] for each in new["materials"]] == ["paint", "spare"]
    assert material["pbrMetallicRoughness"] == {
        "baseColorTexture": material["pbrMetallicRoughness"]["baseColorTexture"],
        "metallicFactor": 1.0,
        "roughnessFactor": 0.5,
    }
    # The maps lie where they lay, by coordinates that moved on.
    assert material["normalTexture"] == {
        **was["normalTexture"],
        "index": material["normalTexture"]["index"],
        "texCoord": 2,
    }
    assert material["occlusionTexture"]["texCoord"] == 1
    assert material["extensions"]["KHR_materials_clearcoat"]["clearcoatTexture"]["texCoord"] == 2
    assert (material["extras"], material["doubleSided"]) == ({"program": 7}, True)
    attributes, had = (each["meshes"][0]["primitives"][0]["attributes"] for each in (new, old))
    for name, was_name in (("TEXCOORD_2", "TEXCOORD_0"), ("TEXCOORD_1",) * 2, ("NORMAL",) * 2, ("POSITION",) * 2):
        assert rows(new, binary, attributes[name]).tolist() == rows(old, old_binary, had[was_name])[SPLIT].tolist()
    assert image(new, binary, material["normalTexture"]["index"]) == image(old, old_binary, 1)
    assert len(new["images"]) == 3, "the old picture has gone"
    (mesh,) = scene.geometry.values()
    assert mesh.visual.material.baseColorTexture.getpixel((1, 1)) == (255, 0, 0)
    assert told(before, after, OWN_COLOURS) == ([], [])


def test_without_other_maps_the_coordinates_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    body = full()
    for key in ("normalTexture", "extensions"):
        del body.document["materials"][0][key]
    body.document["extensionsUsed"] = ["KHR_lights_punctual"]
    _, after, _ = remake(body, tmp_path, Paint(colour=True), painted)
    raw, binary = unpack(after.read_bytes())
    attributes = raw["meshes"][0]["primitives"][0]["attributes"]
    assert {name for name in attributes if name.startswith("TEX")} == {"TEXCOORD_0", "TEXCOORD_1"}
    assert rows(raw, binary, attributes["TEXCOORD_0"])[:3].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert raw["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0.25, "metal stays"
    assert raw["extensionsUsed"] == ["KHR_lights_punctual"]


def test_what_would_hide_the_paint_goes(tmp_path: Path) -> None:
    body = full()
    material = body.document["materials"][0]
    material |= {"emissiveTexture": {"index": 0}, "emissiveFactor": [1, 1, 1], "alphaMode": "MASK"}
    material["extensions"]["KHR_materials_pbrSpecularGlossiness"] = {"diffuseTexture": {"index": 0}}
    body.document["extensionsUsed"].append("KHR_materials_pbrSpecularGlossiness")
    body.primitive["attributes"]["COLOR_0"] = body.add([[0, 0, 0]] * 4, "VEC3")
    before, after, _ = remake(body, tmp_path, Paint(colour=True), painted)
    raw, _ = unpack(after.read_bytes())
    assert raw["materials"][0].keys().isdisjoint({"emissiveTexture", "emissiveFactor", "alphaMode"})
    assert "COLOR_0" not in raw["meshes"][0]["primitives"][0]["attributes"]
    assert raw["extensionsUsed"] == ["KHR_lights_punctual", "KHR_materials_clearcoat"]
    lost, ignored = told(before, after, OWN_COLOURS)
    assert lost == [
        "3 maps of normals, occlusion or light: they are not in the file",
        "light of their own of 1 materials: they are not in the file",
        "cut-out transparency of 1 materials: they are not in the file",
    ]
    assert ignored == [
        "KHR_materials_pbrSpecularGlossiness of materials: colour, metal, roughness, normals and light are read"
    ]


def test_a_material_that_others_use_too_is_left_to_them(tmp_path: Path) -> None:
    body = full()
    body.document["nodes"].append({"name": "spare part", "mesh": 0})
    _, after, scene = remake(body, tmp_path, Paint(colour=True), painted)
    raw, _ = unpack(after.read_bytes())
    assert raw["materials"][:2] == body.document["materials"], "that of what the scene does not show"
    assert [node.get("mesh") for node in raw["nodes"]] == [None, 1, None, 0]
    assert raw["meshes"][1]["primitives"][0]["material"] == 2 and len(raw["images"]) == 4
    assert list(scene.graph.nodes_geometry) == ["body"]


def test_a_mesh_that_is_shown_twice_gets_two_looks(tmp_path: Path) -> None:
    body = full()
    body.document["nodes"] += [{"name": "mirrored", "mesh": 0, "scale": [-1, 1, 1], "translation": [9, 0, 0]}]
    body.document["scenes"][0]["nodes"] = [0, 3]
    green = RED[..., [1, 0, 2]]

    def by_name(part: MeshPart) -> Remade:
        mirrored = part.name == "mirrored"
        order = np.array(files.FACES)[:, ::-1].reshape(-1) if mirrored else SPLIT
        made = painted(part)
        texture = green if mirrored else RED
        return Remade(made.part._replace(vertices=part.vertices[order], texture=texture), order, new_uv=True)

    _, _, scene = remake(body, tmp_path, Paint(colour=True), by_name)
    looks = {name: scene.geometry[scene.graph[name][1]].visual.material for name in ("body", "mirrored")}
    assert looks["body"].baseColorTexture.getpixel((0, 0)) == (255, 0, 0)
    assert looks["mirrored"].baseColorTexture.getpixel((0, 0)) == (0, 255, 0)
    assert all(scene.geometry[scene.graph[name][1]].volume > 0 for name in looks)


def test_own_coordinates_are_kept_with_their_place_in_the_texture(tmp_path: Path) -> None:
    body = full()
    moved = {"KHR_texture_transform": {"scale": [2, 2]}}
    body.document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] |= {"texCoord": 1, "extensions": moved}
    body.document["extensionsUsed"].append("KHR_texture_transform")
    before, after, scene = remake(
        body, tmp_path, Paint(colour=True), lambda part: Remade(part._replace(texture=RED), np.arange(4))
    )
    (old, _), (new, binary) = unpack(before.read_bytes()), unpack(after.read_bytes())
    assert new["meshes"] == old["meshes"] and binary != unpack(before.read_bytes())[1]
    info = new["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
    assert (info["texCoord"], info["extensions"]) == (1, moved)
    (mesh,) = scene.geometry.values()
    assert (mesh.visual.uv * [1, -1] + [0, 1]).max() == pytest.approx(0.5)


@pytest.mark.parametrize("scale", [[2, 2, 2], [-2, 2, 1]], ids=["turned", "mirrored"])
def test_a_new_shape_stands_where_it_was_made(scale: list[float], tmp_path: Path) -> None:
    body = full()
    body.document["nodes"][0]["scale"] = scale
    made: list[Remade] = []

    def new(part: MeshPart) -> Remade:
        made.append(ball(part))
        return made[0]

    before, after, scene = remake(body, tmp_path, None, new)
    (part,) = parts_of(scene)
    assert part.vertices == pytest.approx(made[0].part.vertices, abs=1e-5)
    (mesh,) = scene.geometry.values()
    assert trimesh.Trimesh(part.vertices, part.faces).volume > 0
    normals = mesh.vertex_normals @ np.linalg.inv(scene.graph.get("body")[0][:3, :3])
    assert unit(normals) == pytest.approx(made[0].part.normals, abs=1e-5)
    raw, _ = unpack(after.read_bytes())
    assert raw["nodes"] == body.document["nodes"]
    material = raw["materials"][0]
    assert material.keys() == {"name", "pbrMetallicRoughness", "extras", "doubleSided"}
    assert (material["pbrMetallicRoughness"]["metallicFactor"], "images" in raw) == (0.25, False)
    lost, ignored = told(before, after)
    assert [each.partition(":")[0] for each in lost] == [
        "1 textures",
        "2 maps of normals, roughness, occlusion or light",
        "texture coordinates of 1 parts",
    ]
    assert [each.partition(" ")[0] for each in ignored] == ["KHR_materials_clearcoat", "TEXCOORD_1:"]


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_new_shape_on_the_old_texture_keeps_its_bytes(tmp_path: Path) -> None:
    body = full()
    moved = {"KHR_texture_transform": {"scale": [2, -2], "rotation": 0.5, "offset": [0.25, 0]}}
    body.document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["extensions"] = moved
    body.document["extensionsUsed"].append("KHR_texture_transform")
    uv = np.linspace(0, 1, 84).reshape(42, 2)
    before, after, scene = remake(body, tmp_path, None, lambda part: ball(part, uv=uv, texture=part.texture))
    (old, old_binary), (new, binary) = unpack(before.read_bytes()), unpack(after.read_bytes())
    material = new["materials"][0]
    assert material["pbrMetallicRoughness"] == old["materials"][0]["pbrMetallicRoughness"]
    assert material["normalTexture"] == old["materials"][0]["normalTexture"]
    assert "occlusionTexture" not in material, "its coordinates are gone"
    assert image(new, binary, 0) == image(old, old_binary, 0) and len(new["images"]) == 3
    (mesh,) = scene.geometry.values()
    assert mesh.visual.uv * [1, -1] + [0, 1] == pytest.approx(uv, abs=1e-5)
    assert told(before, after)[0] == ["1 maps of normals, roughness, occlusion or light: they are not in the file"]


def bound() -> Tetrahedron:
    """Lifted by 7 by its only joint, and widened by a morph target."""
    body = full()
    attributes = body.primitive["attributes"]
    attributes["JOINTS_0"] = body.add(np.zeros((4, 4)), "VEC4", 5121, "u1")
    attributes["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    body.primitive["targets"] = [
        {"POSITION": body.add(np.array(files.VERTICES) * [2, 0, 0], "VEC3", min=[0] * 3, max=[2, 0, 0])}
    ]
    nodes = body.document["nodes"]
    nodes[1] |= {"skin": 0, "weights": [0.5]}
    nodes.append({"name": "hip", "translation": [0, 7, 0]})
    body.document["scenes"][0]["nodes"] = [0, 3]
    body.document["skins"] = [{"joints": [3]}]
    return body


def test_a_new_shape_follows_the_joints_and_targets_of_the_old_one(tmp_path: Path) -> None:
    before, after, scene = remake(bound(), tmp_path, None, ball)
    was = read_scene(before)
    assert was.bounds.tolist() == [[0, 7, 0], [2, 8, 1]], "the default weight of the target counts"
    (part,) = parts_of(was)
    assert scene.bounds == pytest.approx(
        ball(part).part.vertices.mean(axis=0) + np.outer([-0.5, 0.5], [1] * 3), abs=0.02
    )
    raw, binary = unpack(after.read_bytes())
    for key, value in (("node", {"translation": [0, 8, 0]}), ("weights", {"weights": [0.0]})):
        raw["nodes"][3 if key == "node" else 1] |= value
        (tmp_path / f"{key}.glb").write_bytes(files.glb(raw, binary))
    lifted = read_scene(tmp_path / "node.glb")
    assert lifted.bounds == pytest.approx(scene.bounds + np.array([0, 1, 0]), abs=1e-5)
    narrow = read_scene(tmp_path / "weights.glb")
    assert np.ptp(narrow.bounds, axis=0)[0] < 0.8 * np.ptp(scene.bounds, axis=0)[0]
    assert not {"skins", "morph"} & {each.split()[0].rstrip(":") for each in told(before, after)[1]}


def test_influences_of_one_joint_are_one() -> None:
    joints, weights = strongest(
        np.array([[3, 1, 3, 2, 9, 9], [5, 5, 5, 5, 5, 5]]), np.array([[0.2, 0.1, 0.2, 0.3, 0.1, 0.1], [0.0] * 6])
    )
    assert joints[0].tolist() == [3, 2, 9, 1]
    assert weights[0] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert joints[1, 0] == 5 and weights[1].tolist() == [1, 0, 0, 0]


def test_a_part_that_is_left_out_leaves_its_node(tmp_path: Path) -> None:
    body = full()
    body.document["nodes"].append({"name": "dust", "mesh": 1, "weights": [1.0]})
    body.document["meshes"].append({"name": "dust", "primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]})
    body.document["scenes"][0]["nodes"] = [0, 3]
    channel = {"sampler": 0, "target": {"node": 3, "path": "weights"}}
    body.document["animations"][0]["channels"].append(channel)
    before, after, scene = remake(body, tmp_path, None, lambda part: ball(part) if part.name == "body" else None)
    raw, _ = unpack(after.read_bytes())
    assert raw["nodes"][3] == {"name": "dust"} and len(raw["meshes"]) == 1
    assert len(raw["animations"][0]["channels"]) == 1
    assert list(scene.graph.nodes_geometry) == ["body"]
    assert "the division into 2 parts and their names: GLB has 1" in told(before, after)[0]


@pytest.mark.parametrize("kind", ["copies", "other files", "flattened", "no GLB"])
def test_what_cannot_be_kept_is_told(kind: str, tmp_path: Path) -> None:
    body = full()
    if kind == "copies":
        body.add([[0, 0, 0], [3, 0, 0]], "VEC3")
        place = {"attributes": {"TRANSLATION": len(body.document["accessors"]) - 1}}
        body.document["nodes"][1]["extensions"] = {"EXT_mesh_gpu_instancing": place}
    elif kind == "other files":
        body.document["images"].append({"uri": "other.png"})
    elif kind == "flattened":
        body.document["nodes"][1]["scale"] = [1, 0, 1]
    path = body.write(tmp_path / "a.glb")
    if kind == "no GLB":
        path = tmp_path / "a.obj"
        path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    scene = read_scene(path)
    made = {part.name: ball(part) for part in parts_of(scene)}
    assert remade_copy(path.read_bytes(), scene, made) is None


def test_extensions_that_may_name_anything_keep_all_that_was_there(tmp_path: Path) -> None:
    body = full()
    body.document["extensions"]["VENDOR_atlas"] = {"image": 0}
    body.document["extensionsUsed"].append("VENDOR_atlas")
    _, after, _ = remake(body, tmp_path, Paint(colour=True), painted)
    raw, _ = unpack(after.read_bytes())
    assert raw["images"][:3] == [
        each | {"bufferView": raw["images"][n]["bufferView"]} for n, each in enumerate(body.document["images"])
    ]
    assert len(raw["images"]) == 4


# ---------------------------------------------------------------- merged


def test_equal_vertices_are_merged_in_their_document(tmp_path: Path) -> None:
    body = full()
    has = body.primitive["attributes"]
    # Faces of their own vertices, of which two that are at one place differ in the second coordinates.
    uv = np.zeros((12, 2))
    uv[0] = 1
    has |= {
        "POSITION": body.add(np.array(files.VERTICES)[SPLIT], "VEC3", min=[0, 0, 0], max=[1, 1, 1]),
        "NORMAL": body.add([[0, 0, 1]] * 12, "VEC3"),
        "TEXCOORD_0": body.add(np.zeros((12, 2)), "VEC2"),
        "TEXCOORD_1": body.add(uv, "VEC2"),
    }
    body.primitive["indices"] = body.add(np.arange(12), "SCALAR", 5125, "<u4")
    path = body.write(tmp_path / "a.glb")
    copy, gone = merged_copy(path.read_bytes()) or (b"", 0)
    (tmp_path / "b.glb").write_bytes(copy)
    (mesh,) = read_scene(tmp_path / "b.glb").geometry.values()
    assert (gone, len(mesh.vertices), len(mesh.faces)) == (7, 5, 4)
    assert mesh.volume == pytest.approx(1 / 6)
    (old, _), (new, _) = unpack(path.read_bytes()), unpack(copy)
    for key in (*KEPT, "nodes", "materials", "textures", "images"):
        pictures = key == "images"
        assert (
            [{**each, "bufferView": 0} for each in new[key]] == [{**each, "bufferView": 0} for each in old[key]]
            if pictures
            else new[key] == old[key]
        )
    assert told(path, tmp_path / "b.glb") == ([], [])
    assert merged_copy(copy) is not None and merged_copy(copy)[1] == 0  # type: ignore[index]
    assert merged_copy(b"v 0 0 0") is None


def test_a_scene_that_names_a_node_below_another_is_written_anew(tmp_path: Path) -> None:
    """Programs differ over where it is seen then."""
    body = full()
    body.document["scenes"] = [{"nodes": [1]}]
    path = body.write(tmp_path / "before.glb")
    scene = read_scene(path)
    for how in (painted, ball):
        made = {part.name: how(part) for part in parts_of(scene)}
        assert remade_copy(path.read_bytes(), scene, made, Paint()) is None
