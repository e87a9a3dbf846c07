"""FBX, COLLADA and 3DS by an importer in a process of its own: what comes through, what is named, what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import glb_bytes_of, ignored_parts, read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read import assimp
from pocket3d.adapters.mesh.read.assimp_library import library_path
from pocket3d.adapters.mesh.read.assimp_tidy import tidy
from pocket3d.adapters.mesh.read.glb_container import unpack
from support import mesh_files, scene_files

pytestmark = pytest.mark.torch
needs_importer = pytest.mark.skipif(library_path() is None, reason="cmeel-assimp is not installed")


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refused(folder: Path, name: str, data: bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_scene(written(folder, name, data))
    return caught.value.message


def only(scene: Any) -> Any:
    (part,) = parts_of(scene)
    return part


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


# ---------------------------------------------------------------- what comes through


@needs_importer
def test_a_collada_file_stands_upright_in_metres_with_its_names_and_colours(tmp_path: Path) -> None:
    path = written(tmp_path, "a.dae", scene_files.dae((1, 2, 3), unit=0.01, up="Z_UP", colours="1 0 0.5 " * 8))
    scene = read_scene(path)
    # 1 wide, 2 deep, 3 high, in centimetres; (10, 0, 0) from the origin.
    assert scene.bounds == pytest.approx(np.array([[0.1, 0, -0.02], [0.11, 0.03, 0]]))
    part = only(scene)
    assert (part.name, part.material.name, len(part.faces)) == ("crate", "paint", 12)
    assert part.material.colour == pytest.approx((0.8, 0.1, 0.1), abs=1e-6)
    # sRGB in the file as here.
    assert {tuple(each) for each in part.colours.tolist()} == {(255, 0, 128, 255)}
    assert part.uv is not None and ignored_parts(scene) == []
    # One node below another, and a document that other programs read by itself.
    raw, _ = unpack(glb_bytes_of(path))
    assert [node["name"] for node in raw["nodes"]][-2:] == ["above", "crate"]
    assert "extensionsUsed" not in raw


@needs_importer
def test_an_fbx_stands_upright_in_metres_with_its_picture(tmp_path: Path) -> None:
    data = scene_files.fbx((1, 2, 3), unit=100, up=2, picture=scene_files.png(form="TGA"), animated=True)
    path = written(tmp_path, "a.fbx", data)
    scene = read_scene(path)
    assert scene.bounds == pytest.approx(np.array([[10, 0, -2], [11, 3, 0]]))
    part = only(scene)
    assert (part.name, part.material.name, len(part.faces)) == ("crate", "paint", 12)
    # The picture stands in place of the colour; what glTF has no room for became PNG.
    assert part.material.colour == (1, 1, 1) and part.texture[0, 0].tolist() == [200, 10, 10]
    assert unpack(glb_bytes_of(path))[0]["images"][0]["mimeType"] == "image/png"
    assert ignored_parts(scene) == ["1 animations: only the geometry at rest is read"]


@needs_importer
def test_pictures_come_from_the_same_zip_and_from_nowhere_else(tmp_path: Path) -> None:
    textured = scene_files.dae(diffuse='<texture texture="t" texcoord="UVMap"/>')
    alone = read_scene(written(tmp_path, "a.dae", textured))
    assert only(alone).texture is None
    assert ignored_parts(alone) == ["picture 'skin one.png': it lies in another file; give both as one zip"]
    both = zipped(model__a_dot_dae=textured, model__textures__skin_one_dot_png=scene_files.png())
    part = only(read_scene(written(tmp_path, "a.zip", both.replace(b"skin_one", b"skin one"))))
    assert part.texture[0, 0].tolist() == [200, 10, 10] and part.material.colour == (1, 1, 1)


def three_ds() -> bytes:
    """A tetrahedron named body."""

    def chunk(kind: int, data: bytes) -> bytes:
        return struct.pack("<HI", kind, 6 + len(data)) + data

    places = struct.pack("<H12f", 4, *(value for corner in mesh_files.VERTICES for value in corner))
    faces = struct.pack("<H", 4) + b"".join(struct.pack("<4H", *face, 0) for face in mesh_files.FACES)
    mesh = chunk(0x4100, chunk(0x4110, places) + chunk(0x4120, faces))
    return chunk(0x4D4D, chunk(0x3D3D, chunk(0x4000, b"body\0" + mesh)))


@needs_importer
def test_a_3ds_is_read_by_what_it_is(tmp_path: Path) -> None:
    scene = read_scene(written(tmp_path, "a.dae", three_ds()))
    assert (len(only(scene).faces), scene.extents.tolist()) == (4, [1, 1, 1])
    assert "file of 3DS" in ignored_parts(scene)[0]


# ---------------------------------------------------------------- what is refused


@needs_importer
@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.fbx", b"Kaydara FBX Binary  \0\x1a\0" + b"\xe8\x1c\0\0" + b"\xff" * 80, "cannot be read as FBX"),
        ("b.fbx", scene_files.fbx(claimed=3_000_000_000), "more than 1024 MB of memory"),
        ("c.dae", scene_files.dae()[:900], "cannot be read as DAE"),
    ],
    ids=["broken off", "claims billions", "half an XML"],
)
def test_files_that_lie_are_refused(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    assert said in refused(tmp_path, name, data)


@needs_importer
def test_entities_of_xml_are_not_expanded(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha"><!ENTITY f SYSTEM "file:///etc/passwd">{levels}]>'
    path = written(tmp_path, "a.dae", scene_files.dae(head=bomb).replace(b'name="crate"', b'name="&e11;&f;"'))
    scene = read_scene(path)
    assert len(only(scene).faces) == 12
    assert b"root:" not in glb_bytes_of(path)


def test_without_the_importer_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assimp, "library_path", lambda: None)
    said = refused(tmp_path, "a.fbx", scene_files.fbx((1, 1, 5)))
    assert "FBX is read where cmeel-assimp is installed" in said


# ---------------------------------------------------------------- what is put right


def a_document(**material: Any) -> dict[str, Any]:
    document = mesh_files.gltf_document() | {"materials": [material]}
    document["nodes"][0]["matrix"] = [2.0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 3, 0, 0, 1]
    return document


def test_lengths_are_put_in_metres_at_the_top() -> None:
    raw, _, _ = tidy(a_document(), mesh_files.gltf_binary(), {}, 0.01)
    assert raw["nodes"][0]["matrix"] == pytest.approx([0.02, 0, 0, 0, 0, 0.02, 0, 0, 0, 0, 0.02, 0, 0.03, 0, 0, 1])


def test_what_is_wholly_transparent_is_shown_and_what_is_half_stays() -> None:
    for alpha, meant in ((0.0, 1.0), (0.25, 0.25)):
        material = {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, alpha]}, "alphaMode": "BLEND"}
        raw, _, _ = tidy(a_document(**material), mesh_files.gltf_binary(), {}, 1.0)
        (found,) = raw["materials"]
        assert found["pbrMetallicRoughness"]["baseColorFactor"][3] == meant
        assert ("alphaMode" in found) == (meant < 1)


def test_a_picture_that_cannot_be_read_goes_with_its_texture_and_is_named() -> None:
    document = a_document(pbrMetallicRoughness={"baseColorTexture": {"index": 0}}, emissiveTexture={"index": 1})
    document["textures"] = [{"source": 0}, {"source": 1}]
    document["images"] = [{"uri": "a\\broken.png"}, {"uri": "shine.png"}]
    files = {"x/Broken.PNG": b"\x89PNG no picture", "shine.png": scene_files.png()}
    raw, _, told = tidy(document, mesh_files.gltf_binary(), files, 1.0)
    (material,) = raw["materials"]
    assert "baseColorTexture" not in material["pbrMetallicRoughness"] and material["emissiveTexture"] == {"index": 0}
    assert [each["name"] for each in raw["images"]] == ["shine"] and len(raw["textures"]) == 1
    assert len(told) == 1 and told[0].startswith("picture 'broken.png': ")
