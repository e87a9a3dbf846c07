"""What a file no longer has of the one it was made of is told, whatever made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("torch")

from pocket3d.adapters.mesh.input import ignored_parts, read_scene
from pocket3d.adapters.mesh.inventory import Inventory, inventory
from pocket3d.adapters.mesh.losses import LOOKS, MOTION, missing, unread
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.read.glb_left_out import left_out
from pocket3d.adapters.mesh.write import write_mesh
from support import mesh_files as files
from support.full_glb import see_through
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

UV = [[0, 0], [1, 0], [0, 1], [1, 1]]


def dressed() -> Tetrahedron:
    """All that a reader reads, on two objects that share a mesh."""
    body = Tetrahedron()
    attributes = body.primitive["attributes"]
    attributes["NORMAL"] = body.add([[0, 0, 1]] * 4, "VEC3")
    attributes["TEXCOORD_0"] = body.add(UV, "VEC2")
    attributes["COLOR_0"] = body.add([[1, 0, 0]] * 4, "VEC3")
    material = body.texture()
    material["pbrMetallicRoughness"] |= {"metallicFactor": 1.0, "roughnessFactor": 0.2}
    material |= {"normalTexture": {"index": 0}, "emissiveFactor": [1, 0, 0], "alphaMode": "MASK", "doubleSided": True}
    body.document["nodes"] = [
        {"name": "group", "children": [1, 2], "translation": [0, 1, 0]},
        {"name": "left one", "mesh": 0},
        {"name": "right", "mesh": 0, "translation": [3, 0, 0]},
        {"name": "spare", "mesh": 0},
        {"name": "lamp", "extensions": {"KHR_lights_punctual": {"light": 0}}},
    ]
    body.document["extensions"] = {"KHR_lights_punctual": {"lights": [{"type": "point"}]}}
    body.document["extensionsUsed"] = ["KHR_lights_punctual"]
    body.document["scenes"][0]["nodes"] = [0, 4]
    return body


def told(path: Path, target: Path, replaced: frozenset[str] = frozenset()) -> list[str]:
    scene = read_scene(path)
    before = inventory(path, scene)
    write_mesh(parts_of(scene), target)
    return missing(before, inventory(target), replaced)


COMMON = [
    "1 maps of normals, roughness, occlusion or light: only the base colour is written",
    "light of their own of 1 materials: they are not in the file",
    "cut-out transparency of 1 materials: they are not in the file",
    "visible backs (double-sided) of 1 materials: they are not in the file",
    "1 objects that the scene does not show: they are not in the file",
    "1 nodes that group or name others: they are not in the file",
]
SHARING = "the sharing of 1 meshes among 2 places: each is written out"
DIVISION = "the division into 2 parts and their names: {} holds one mesh"
EXPECTED = {
    "glb": [*COMMON, SHARING, "the bytes of 1 images: they are encoded anew"],
    "obj": [*COMMON, SHARING],
    "ply": [
        DIVISION,
        "1 textures: PLY keeps their colours at the vertices only",
        COMMON[0],
        "metallic and roughness: PLY holds colours only",
        "texture coordinates of 1 parts: they are not in the file",
        *COMMON[1:],
        SHARING,
    ],
    "stl": [
        "colours, materials and textures: STL holds triangles only",
        DIVISION,
        "texture coordinates of 1 parts: they are not in the file",
        "normals at the vertices of 1 parts: they are not in the file",
        *COMMON[1:],
        SHARING,
    ],
}


@pytest.mark.parametrize("target", sorted(EXPECTED))
def test_what_a_written_file_has_not(target: str, tmp_path: Path) -> None:
    path = dressed().write(tmp_path / "dressed.glb")
    made = told(path, tmp_path / f"made.{target}")
    assert made == [each.format(target.upper()) for each in EXPECTED[target]]


@pytest.mark.parametrize(
    ("mode", "kind"), [("BLEND", "transparency of 1 textures: "), ("MASK", "cut-out transparency")]
)
def test_alpha_of_pictures_that_is_gone_is_told_once(mode: str, kind: str, tmp_path: Path) -> None:
    path = see_through(mode).write(tmp_path / "pane.glb")
    for target in ("glb", "obj"):
        assert [each for each in told(path, tmp_path / f"made.{target}") if "transparency" in each] == [
            f"{kind}{' of 1 materials: ' if mode == 'MASK' else ''}they are not in the file"
        ]
    assert missing(inventory(path), inventory(path)) == []


def test_what_is_replaced_on_purpose_is_not_told_again(tmp_path: Path) -> None:
    path = dressed().write(tmp_path / "dressed.glb")
    assert told(path, tmp_path / "made.glb", LOOKS) == [*COMMON[4:], SHARING]


@pytest.mark.parametrize("target", ["glb", "obj"])
def test_a_plain_file_loses_nothing(target: str, tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.document["nodes"] = [{"name": "root", "children": [1]}, {"name": "body", "mesh": 0}]
    assert told(body.write(tmp_path / "a.glb"), tmp_path / f"b.{target}") == []


def test_files_of_other_formats_are_asked_by_what_was_read(tmp_path: Path) -> None:
    text = "o left\nv 0 0 0 1 0 0\nv 1 0 0 1 0 0\nv 0 1 0 1 0 0\nvt 0 0\nusemtl skin\nf 1/1 2/1 3/1\n"
    text += "o right\nv 0 0 1\nv 1 0 1\nv 0 1 1\nf 4 5 6\n"
    (tmp_path / "two.obj").write_text(text)
    found = inventory(tmp_path / "two.obj", read_scene(tmp_path / "two.obj"))
    assert (found.counts["parts"], found.counts["coordinates"], found.names) == (2, 1, {"left", "right"})
    assert told(tmp_path / "two.obj", tmp_path / "made.stl") == [
        "colours, materials and textures: STL holds triangles only",
        "the division into 2 parts and their names: STL holds one mesh",
        "texture coordinates of 1 parts: they are not in the file",
    ]


def test_names_and_images_that_are_gone_are_told() -> None:
    before = Inventory(
        "glb", {"parts": 9, "meshes": 9, "textures": 1}, frozenset(f"n{k}" for k in range(9)), frozenset("a")
    )
    after = Inventory("glb", {"parts": 9, "meshes": 9, "textures": 1}, frozenset({"n0"}), frozenset("b"))
    assert missing(before, after) == [
        "names: n1, n2, n3, n4, n5, n6 and 2 more",
        "the bytes of 1 images: they are encoded anew",
    ]
    assert missing(before, after, {"names", "images"}) == []
    assert missing(before, before) == []


def test_what_readers_leave_out_is_told_only_if_the_file_has_it_not(tmp_path: Path) -> None:
    path = dressed().write(tmp_path / "dressed.glb")
    scene = read_scene(path)
    before = inventory(path, scene)
    notes = [*ignored_parts(scene), "something that the reader noticed"]
    assert unread(before, before, notes) == ["something that the reader noticed"]
    gone = unread(before, Inventory("obj", {}), notes)
    assert gone == ["something that the reader noticed", "lights: only the geometry is read"]
    assert unread(Inventory("obj", {}), before, ["a note"]) == ["a note"]


@pytest.mark.parametrize("target", ["obj", "ply", "stl", "3mf", "usdz", "glb"])
def test_extensions_of_the_whole_file_are_named_once_where_they_are_gone(target: str) -> None:
    document = {"extensions": {"VRM": {"humanoid": {}}, "KHR_xmp_json_ld": {"packets": []}}}
    counts = {"parts": 1, "meshes": 1}
    before = Inventory("glb", counts, document=document)
    line = "KHR_xmp_json_ld, VRM of the file as a whole: only geometry and materials are read"
    gone = Inventory(target, counts, document={} if target == "glb" else None)
    assert unread(before, gone, left_out(document)) == [line]
    assert unread(before, before, left_out(document)) == []
    # A new skeleton takes the place of a character's own, and says so.
    assert unread(before, gone, left_out(document), MOTION) == [line.replace(", VRM", "")]


@pytest.mark.parametrize(
    ("node", "parts", "names"),
    [
        ({"extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 2}}}}, 3, set()),
        ({}, 1, {"my_body"}),
    ],
    ids=["copies", "one"],
)
def test_copies_are_parts_without_names_of_their_own(node: Any, parts: int, names: set[str], tmp_path: Path) -> None:
    body = Tetrahedron()
    body.add([[0, 0, 0], [3, 0, 0], [6, 0, 0]], "VEC3")
    body.document["nodes"] = [{"name": "my body", "mesh": 0, **node}]
    found = inventory(body.write(tmp_path / "a.glb"))
    assert (found.counts["parts"], found.counts["meshes"], found.names) == (parts, 1, names)


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("uv_no_texture.glb", "obj", None),
        ("uv_no_texture.glb", "ply", None),
        ("uv_no_texture.glb", "stl", "texture coordinates"),
        ("gpu_instancing.glb", "obj", "sharing of 1 meshes among 3"),
        ("jpeg_texture.glb", "glb", "bytes of 1 images"),
        ("vcol_and_uv.ply", "ply", None),
        ("two_objects_names.obj", "ply", "2 parts"),
    ],
)
def test_as_met_in_real_files(name: str, target: str, words: str | None, tmp_path: Path) -> None:
    lost = told(files.case(name), tmp_path / f"made.{target}")
    assert lost == [] if words is None else any(words in each for each in lost)


@pytest.mark.parametrize("factor", [[0.0015, 0.0005, 0.003], [1e-6, 0.5, 0.123456], [0.0, 1.0, 1 / 3]])
def test_factors_keep_their_precision_in_a_file_that_is_written_anew(factor: list[float], tmp_path: Path) -> None:
    body = Tetrahedron()
    body.document["materials"] = [{"name": "dark", "pbrMetallicRoughness": {"baseColorFactor": [*factor, 1]}}]
    body.primitive["material"] = 0
    scene = read_scene(body.write(tmp_path / "a.glb"))
    write_mesh(parts_of(scene), tmp_path / "b.glb")
    written = unpack((tmp_path / "b.glb").read_bytes())[0]["materials"][0]["pbrMetallicRoughness"]
    assert written["baseColorFactor"][:3] == pytest.approx(factor, rel=1e-3, abs=1e-8)
