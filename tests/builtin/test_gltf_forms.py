"""glTF in all its forms: with its files in a zip, at data addresses, quantised, compressed; and OBJ with its .mtl."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.input import ignored_parts, read_mesh, read_scene, unit_of
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import missing, unread
from pocket3d.adapters.mesh.parts import look_of
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.read.meshopt import decode
from support import mesh_files as files

pytestmark = pytest.mark.torch


def zipped(**entries: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


def picture(form: str = "PNG") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 10, 10)).save(buffer, form)
    return buffer.getvalue()


def spread(folder: str = "") -> dict[str, Any]:
    """A document whose buffer and picture are files beside it."""
    document = files.gltf_document()
    document["buffers"][0]["uri"] = f"{folder}mesh%20data.bin"
    document["images"] = [{"uri": f"{folder}skin.png"}]
    document["textures"] = [{"source": 0}]
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    document["meshes"][0]["primitives"][0]["material"] = 0
    return document


def written(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def only(scene: Any) -> Any:
    (mesh,) = scene.geometry.values()
    return mesh


def triangles(path: Path) -> Any:
    return np.sort(np.asarray(read_mesh(path).triangles).reshape(-1, 9), axis=0)


TETRAHEDRON = np.sort(np.array([[files.VERTICES[c] for c in face] for face in files.FACES]).reshape(-1, 9), axis=0)

# ---------------------------------------------------------------- several files


@pytest.mark.parametrize("folder", ["", "model/", "model/../textures/"])
def test_a_gltf_and_its_files_in_a_zip(tmp_path: Path, folder: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("scene/a.gltf", json.dumps(spread(folder)))
        place = "scene/" + ("textures/" if ".." in folder else folder)
        archive.writestr(place + "mesh data.bin", files.gltf_binary())
        archive.writestr(place + "skin.png", picture())
        archive.writestr("__MACOSX/scene/._a.gltf", b"\0")
        archive.writestr("readme.txt", "hello")
    scene = read_scene(written(tmp_path, "a.zip", buffer.getvalue()))
    (mesh,) = scene.geometry.values()
    assert len(mesh.faces) == 4 and ignored_parts(scene) == []
    assert mesh.visual.material.baseColorTexture.getpixel((0, 0)) == (200, 10, 10)


def test_a_gltf_with_all_at_data_addresses_is_read_by_itself(tmp_path: Path) -> None:
    document = files.gltf_document()
    document["buffers"][0]["uri"] = (
        "data:application/octet-stream;base64," + base64.b64encode(files.gltf_binary()).decode()
    )
    assert triangles(written(tmp_path, "a.gltf", json.dumps(document))) == pytest.approx(TETRAHEDRON)


@pytest.mark.parametrize("uri", ["mesh.bin", "../secret.bin", "/etc/passwd", "file:///etc/passwd"])
def test_what_did_not_come_along_is_named_and_not_opened(tmp_path: Path, uri: str) -> None:
    document = files.gltf_document()
    document["buffers"][0]["uri"] = uri
    written(tmp_path, "mesh.bin", files.gltf_binary())
    for name, data in (("a.gltf", json.dumps(document)), ("a.zip", zipped(a_dot_gltf=json.dumps(document)))):
        with pytest.raises(
            InvalidInput, match=r"did not come along; give the \.gltf and its files as one zip, or to mesh_conv"
        ):
            read_scene(written(tmp_path, name, data))


@pytest.mark.parametrize("name", ["mesh data.bin", "mesh%20data.bin", "Mesh Data.BIN", "Files/mesh data.bin"])
def test_files_are_found_by_their_names_decoded_or_not_and_in_any_case(tmp_path: Path, name: str) -> None:
    document = files.gltf_document()
    document["buffers"][0]["uri"] = "files/mesh%20data.bin" if "/" in name else "mesh%20data.bin"
    entries: dict[str, bytes | str] = {"a.gltf": json.dumps(document), name: files.gltf_binary(), "b.bin": b""}
    assert triangles(written(tmp_path, "a.zip", zipped(**entries))) == pytest.approx(TETRAHEDRON)
    # The one that is meant, though another has nearly its name.
    exact = {**entries, "files/mesh data.bin": files.gltf_binary(), "FILES/Mesh data.bin": b""}
    document["buffers"][0]["uri"] = "files/mesh data.bin"
    exact["a.gltf"] = json.dumps(document)
    assert triangles(written(tmp_path, "a.zip", zipped(**exact))) == pytest.approx(TETRAHEDRON)


def test_a_vrm_is_a_glb(tmp_path: Path) -> None:
    document = files.gltf_document()
    document["extensionsUsed"] = ["VRM"]
    document["extensions"] = {"VRM": {"exporterVersion": "x"}}
    assert triangles(written(tmp_path, "a.vrm", files.glb(document))) == pytest.approx(TETRAHEDRON)


@pytest.mark.parametrize("name", sorted(files.SOUND))
def test_any_one_mesh_in_a_zip(tmp_path: Path, name: str) -> None:
    assert triangles(written(tmp_path, "a.zip", zipped(**{name.replace(".", "_dot_"): files.SOUND[name]}))) == (
        pytest.approx(TETRAHEDRON)
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped(a_dot_txt="x"), "no mesh in the zip; want a file of gltf"),
        (zipped(a_dot_stl=files.stl(), b_dot_stl=files.stl()), "2 meshes in one zip"),
        (zipped(a_dot_stl=files.stl())[:-30], "the zip is broken"),
        (b"PK\x03\x04nonsense", "the zip is broken"),
    ],
    ids=["no mesh", "two meshes", "cut off", "nonsense"],
)
def test_zips_that_are_of_no_use_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_scene(written(tmp_path, "a.zip", data))


def test_a_zip_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    bomb = zipped(a_dot_stl=b"\0" * (300 * 1024 * 1024))
    assert len(bomb) < 1_000_000
    with pytest.raises(InvalidInput, match="314,572,800 bytes, at most 268,435,456"):
        read_scene(written(tmp_path, "a.zip", bomb))


def test_an_obj_with_its_materials_and_pictures_in_a_zip(tmp_path: Path) -> None:
    obj = "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
    obj += "o left\nusemtl skin\nf 1/1 2/2 3/3\no right\nusemtl cloth\nf 2/1 4/2 3/3\n"
    mtl = "newmtl skin\nKd 1 1 1\nmap_Kd -s 1 1 1 Textures\\Skin.PNG\n"
    mtl += "newmtl cloth\nKd 0 0.5 1\nd 0.5\nPm 0.25\nPr 0.5\nPr 7\nmap_Bump b.png\n"
    scene = read_scene(
        written(tmp_path, "a.zip", zipped(a_dot_obj=obj, a_dot_mtl=mtl, textures__skin_dot_png=picture()))
    )
    skin, cloth = (scene.geometry[name].visual.material for name in ("left", "right"))
    assert skin.image.getpixel((0, 0)) == (200, 10, 10)
    assert (cloth.image, list(cloth.diffuse)) == (None, [0, 128, 255, 128])
    look = look_of(scene.geometry["right"], linear=False)
    assert (look.metallic, look.roughness) == (0.25, 0.5)
    assert ignored_parts(scene) == ["further maps of material 'cloth': only the picture of its colour is read"]
    alone = read_scene(written(tmp_path, "a.obj", obj))
    whole = "give the .obj and its files as one zip, or to mesh_conversion as mesh_file_paths"
    assert ignored_parts(alone) == [f"material library 'a.mtl': it did not come along; {whole}"]


# ---------------------------------------------------------------- quantised and compressed


def quantised() -> tuple[dict[str, Any], bytes]:
    """Places as 16-bit whole numbers, rows of 8 bytes, brought to size by the node; normals as signed bytes."""
    places = np.zeros((4, 4), dtype="<u2")
    places[:, :3] = np.array(files.VERTICES) * 1000
    normals = np.zeros((4, 4), dtype="i1")
    normals[:, 2] = 127
    document = files.gltf_document()
    document["extensionsUsed"] = document["extensionsRequired"] = ["KHR_mesh_quantization"]
    document["nodes"][0]["scale"] = [0.001] * 3
    document["accessors"][0].update(componentType=5123)
    document["accessors"].append(
        {"bufferView": 2, "componentType": 5120, "count": 4, "type": "VEC3", "normalized": True}
    )
    document["meshes"][0]["primitives"][0]["attributes"]["NORMAL"] = 2
    binary = places.tobytes() + np.array(files.FACES, "<u4").tobytes() + normals.tobytes()
    document["bufferViews"] = [
        {"buffer": 0, "byteOffset": 0, "byteLength": 32, "byteStride": 8},
        {"buffer": 0, "byteOffset": 32, "byteLength": 48},
        {"buffer": 0, "byteOffset": 80, "byteLength": 16, "byteStride": 4},
    ]
    document["buffers"][0]["byteLength"] = len(binary)
    return document, binary


def test_quantised_geometry_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.glb", files.glb(*quantised()))
    assert triangles(path) == pytest.approx(TETRAHEDRON)
    (mesh,) = read_scene(path).geometry.values()
    assert np.asarray(mesh.vertex_normals).tolist() == [[0, 0, 1]] * 4


#: Made by meshoptimizer 0.23's encoder: 4 rows of 8 bytes, and 12 indices.
_VERTICES = bytes.fromhex(
    "a0013c0000002f30013c0000000605010f0000002f30010f000000060501030000002f010300000006" + "00" * 34
)
_TRIANGLES = bytes.fromhex("e1fe0e0211f004007687566778a9866589689801690000")
_SEQUENCE = bytes.fromhex("d10008020204080a0c0202040400000000")


def compressed(mode: str) -> bytes:
    document, _ = quantised()
    packed = _TRIANGLES if mode == "TRIANGLES" else _SEQUENCE
    document["extensionsUsed"] = document["extensionsRequired"] = ["KHR_mesh_quantization", "EXT_meshopt_compression"]
    del document["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]
    document["accessors"] = document["accessors"][:2]
    data = _VERTICES + b"\0" * (-len(_VERTICES) % 4) + packed
    document["buffers"] = [
        {"byteLength": len(data)},
        {"byteLength": 80, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]

    def view(start: int, length: int, **packing: Any) -> dict[str, Any]:
        return {"EXT_meshopt_compression": {"buffer": 0, "byteOffset": start, "byteLength": length, **packing}}

    first = view(0, len(_VERTICES), byteStride=8, count=4, mode="ATTRIBUTES")
    second = view(len(data) - len(packed), len(packed), byteStride=4, count=12, mode=mode)
    document["bufferViews"] = [
        {"buffer": 1, "byteOffset": 0, "byteLength": 32, "byteStride": 8, "extensions": first},
        {"buffer": 1, "byteOffset": 32, "byteLength": 48, "extensions": second},
    ]
    return files.glb(document, data)


@pytest.mark.parametrize("mode", ["TRIANGLES", "INDICES"])
def test_geometry_compressed_by_meshoptimizer_is_read(tmp_path: Path, mode: str) -> None:
    mesh = read_mesh(written(tmp_path, "a.glb", compressed(mode)))
    assert (len(mesh.vertices), mesh.is_watertight, mesh.volume) == (4, True, pytest.approx(1 / 6))
    assert np.sort(mesh.vertices, axis=0) == pytest.approx(np.sort(np.array(files.VERTICES), axis=0))


def test_broken_compression_is_the_files_fault(tmp_path: Path) -> None:
    whole = compressed("TRIANGLES")
    start = whole.index(_VERTICES)
    for place in range(start, len(whole), 3):
        spoilt = bytearray(whole)
        spoilt[place] ^= 0x5A
        try:
            mesh = read_mesh(written(tmp_path, "a.glb", bytes(spoilt)))
        except InvalidInput as error:
            assert error.field == "mesh_path"
        else:
            assert mesh.faces.max() < len(mesh.vertices)


def test_all_packings_and_filters_of_meshoptimizer() -> None:
    mixed = bytes.fromhex(
        "a055152aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000551500020008002000800200080020008002000800200080"
        "020008000000ff1f0002060a0e12161a1e22262a2e32363a3e42464a4e52565a5e62666a6e72767a7e82868a8e92969a9ea2a6aaaeb2b6ba"
        "bec2c6caced2d6dadee2e6eaeef2f6fafefdf9f5f1ede9e5e1ddd9d5d1cdc9c5c1bdb9b5b1ada9a5a19d9995918d8985ff000000817d7975"
        + "00" * 35
        + "03"
    )
    rows = np.frombuffer(decode(mixed, "ATTRIBUTES", 100, 4), dtype=np.uint8).reshape(100, 4)
    assert rows.tolist() == [[i % 251, i // 7, i * i % 256, 3] for i in range(100)]
    octahedral = bytes.fromhex("a0013f000000fefdaa010f000000fd57" + "00" * 32 + "7f00")
    normals = np.frombuffer(decode(octahedral, "ATTRIBUTES", 4, 4, "OCTAHEDRAL"), "i1").reshape(4, 4)[:, :3] / 127
    wanted = np.array([(0, 0, 1), (1, 0, 0), (0, -1, 0), (0.577, 0.577, -0.577)])
    assert normals == pytest.approx(wanted, abs=0.02)
    with pytest.raises((ValueError, IndexError)):
        decode(octahedral[:20], "ATTRIBUTES", 4, 4, "OCTAHEDRAL")
    exponential = bytes.fromhex(
        "a000013c000000605f00012b0000000300010f00000047480106000000012b000000030103000000200000012b00000003"
        "0000000000000000000000000000000000000000000000f2000000f2000000f2"
    )
    floats = np.frombuffer(decode(exponential, "ATTRIBUTES", 4, 12, "EXPONENTIAL"), "<f4").reshape(4, 3)
    assert floats == pytest.approx(np.array([(0, 0, 0), (1.5, 0, 0), (0, -2.25, 0), (0, 0, 1e-3)]), abs=1e-4)
    quaternions = bytes.fromhex(
        "a0013c000000b1b2013c0000000a09013c000000b1b2013c0000000a09013d000000b1b4013f0000000a1910013200000005"
        + "00" * 31
        + "ff07"
    )
    turned = np.frombuffer(decode(quaternions, "ATTRIBUTES", 4, 8, "QUATERNION"), "<i2").reshape(4, 4) / 32767
    wanted = np.array([(0, 0, 0, 1), (0.5, 0.5, 0.5, 0.5), (0.7071, 0, 0, -0.7071), (0, 1, 0, 0)])
    assert np.abs((turned * wanted).sum(axis=1)) == pytest.approx(np.ones(4), abs=0.002)


def draco(data: bytes, attributes: dict[str, int], count: int, corners: int) -> bytes:
    document = files.gltf_document()
    document["extensionsUsed"] = document["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    document["accessors"] = [
        {"componentType": 5126, "count": count, "type": "VEC3"},
        {"componentType": 5125, "count": corners, "type": "SCALAR"},
    ]
    document["bufferViews"] = [{"buffer": 0, "byteLength": len(data)}]
    document["buffers"] = [{"byteLength": len(data)}]
    primitive = document["meshes"][0]["primitives"][0]
    primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": attributes}}
    return files.glb(document, data)


def test_geometry_compressed_with_draco_is_read_where_its_decoder_is(tmp_path: Path) -> None:
    library = pytest.importorskip("DracoPy")
    data = library.encode(np.array(files.VERTICES, dtype=np.float32), np.array(files.FACES, dtype=np.uint32))
    path = written(tmp_path, "a.glb", draco(data, {"POSITION": 0}, 4, 12))
    mesh = read_mesh(path)
    assert (len(mesh.faces), mesh.is_watertight) == (4, True)
    assert mesh.extents == pytest.approx([1, 1, 1], abs=1e-3)
    with pytest.raises(InvalidInput, match="Draco data cannot be decoded"):
        read_mesh(written(tmp_path, "b.glb", draco(data[:-20], {"POSITION": 0}, 4, 12)))


def test_without_its_decoder_draco_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="compressed with Draco, which is read where DracoPy is installed"):
        read_mesh(written(tmp_path, "a.glb", draco(b"DRACO" + b"\0" * 20, {"POSITION": 0}, 4, 12)))


#: 8 x 4 pixels: the left half (200, 10, 10), the right half (10, 20, 200); as UASTC.
KTX2 = zlib.decompress(
    base64.b64decode(
        "eNpb7R0SoWBksJuXS4qLAQgYgZgDiFkYEIARikEgA4h1gHgKlEYHB6C0AhoNU8vEoMGwjJGJgZmZgUEArqsezvoPBPJAGuis8qLMktQiBqfE4s"
        "xihdC8zLLUouLEHAUjPUMDiPvqgdrEIx0f2h9RhOsPb2T6+d/6BDOMDwAE2Bz9"
    )
)


def with_ktx2(picture: bytes = KTX2) -> bytes:
    document = spread()
    document["buffers"] = [{"byteLength": 96 + 32 + len(picture)}]
    document["bufferViews"] += [
        {"buffer": 0, "byteOffset": 96, "byteLength": 32},
        {"buffer": 0, "byteOffset": 128, "byteLength": len(picture)},
    ]
    document["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"})
    document["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2
    document["images"] = [{"bufferView": 3, "mimeType": "image/ktx2", "name": "skin"}]
    document["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    document["extensionsUsed"] = document["extensionsRequired"] = ["KHR_texture_basisu"]
    uv = np.zeros((4, 2), dtype="<f4").tobytes()
    return files.glb(document, files.gltf_binary() + uv + picture)


def test_pictures_in_ktx2_are_read_where_their_decoder_is(tmp_path: Path) -> None:
    pytest.importorskip("opengl_basisu")
    scene = read_scene(written(tmp_path, "a.glb", with_ktx2()))
    image = only(scene).visual.material.baseColorTexture
    assert (image.size, image.getpixel((0, 0)), image.getpixel((7, 3))) == ((8, 4), (200, 10, 10), (10, 20, 200))
    assert ignored_parts(scene) == []
    # Of another kind than Basis: the mesh is read without it.
    broken = read_scene(written(tmp_path, "b.glb", with_ktx2(KTX2[:12] + b"\x25" + KTX2[13:])))
    assert "the picture 'skin' in KTX2: KTX 2 file with vkFormat 37" in ignored_parts(broken)[0]


def test_without_its_decoder_ktx2_is_named_and_copied_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocket3d.adapters.mesh.read.gltf_plain.can_decode", lambda: False)
    source = written(tmp_path, "a.glb", with_ktx2())
    scene = read_scene(source)
    assert len(scene.geometry) == 1 and "1 pictures in KTX2" in ignored_parts(scene)[0]
    copy = placed_copy(source.read_bytes(), np.diag([2.0, 2, 2, 1]))
    assert copy is not None and KTX2 in copy
    raw = unpack(copy)[0]
    assert raw["extensionsRequired"] == ["KHR_texture_basisu"] and raw["images"][0]["mimeType"] == "image/ktx2"
    target = written(tmp_path, "b.glb", copy)
    before, after = inventory(source, scene), inventory(target)
    assert unread(before, after, ignored_parts(scene)) == [] and missing(before, after) == []
    # A format without them loses them.
    assert "1 textures" in missing(before, after._replace(counts={**after.counts, "textures": 0}))[0]


def test_a_picture_in_ktx2_beside_another_form_of_it_is_no_reason_to_refuse_the_file(tmp_path: Path) -> None:
    """As KHR_texture_basisu has it for programs that do not know it; those of other extensions stand there so, too."""
    pytest.importorskip("opengl_basisu")
    for name, data in (("KHR_texture_basisu", KTX2), ("MSFT_texture_dds", b"DDS |" + b"\0" * 120)):
        document, binary = unpack(with_ktx2(data))
        document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(picture())})
        document["buffers"][0]["byteLength"] = len(binary) + len(picture())
        document["images"].append({"bufferView": 4, "mimeType": "image/png"})
        document["textures"] = [{"source": 1, "extensions": {name: {"source": 0}}}]
        document["extensionsUsed"], document["extensionsRequired"] = [name], []
        source = written(tmp_path, "a.glb", files.glb(document, binary + picture()))
        scene = read_scene(source)
        assert only(scene).visual.material.baseColorTexture.getpixel((0, 0)) == (200, 10, 10)
        assert ignored_parts(scene) == []
        copy = placed_copy(source.read_bytes(), np.eye(4))
        assert copy is not None and data in copy and picture() in copy
        # Without the other form the texture is left out, and said to be.
        del document["textures"][0]["source"]
        scene = read_scene(written(tmp_path, "b.glb", files.glb(document, binary + picture())))
        told = [] if name == "KHR_texture_basisu" else ["pictures of MSFT_texture_dds, which is not read"]
        assert [each.partition(":")[0] for each in ignored_parts(scene)] == told


# ---------------------------------------------------------------- 3MF


def three_mf(objects: str, build: str, head: str = "") -> bytes:
    text = f"""<?xml version="1.0"?>{head}
        <model unit="millimeter" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
            xmlns:m="http://schemas.microsoft.com/3dmanufacturing/material/2015/02">
        <resources><basematerials id="5"><base name="red" displaycolor="#FF0000"/></basematerials>{objects}</resources>
        <build>{build}</build></model>"""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("3D/3dmodel.model", text)
    return buffer.getvalue()


def solid(identity: int, name: str, more: str = "") -> str:
    places = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in files.VERTICES)
    faces = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in files.FACES)
    mesh = f"<mesh><vertices>{places}</vertices><triangles>{faces}</triangles></mesh>"
    return f'<object id="{identity}" name="{name}" type="model" {more}>{mesh}</object>'


def test_objects_of_a_3mf_are_parts_where_it_builds_them(tmp_path: Path) -> None:
    inside = '<component objectid="1" transform="2 0 0 0 2 0 0 0 2 0 0 7"/>'
    objects = solid(1, "body", 'pid="5" pindex="0"') + f'<object id="2"><components>{inside}</components></object>'
    data = three_mf(objects, '<item objectid="1"/><item objectid="2" transform="1 0 0 0 1 0 0 0 1 5 0 0"/>')
    scene = read_scene(written(tmp_path, "a.3mf", data))
    assert sorted(tuple(mesh.bounds[0].tolist()) for mesh in scene.geometry.values()) == [(0, 0, 0), (5, 0, 7)]
    assert scene.extents.tolist() == [7, 2, 9]
    looks = [look_of(mesh, linear=False) for mesh in scene.geometry.values()]
    assert {(look.name, look.colour, look.stated) for look in looks} == {("red", (1, 0, 0), True)}
    assert unit_of(scene) == 0.001


def test_colours_at_the_corners_of_a_3mf_stay_where_triangles_have_them(tmp_path: Path) -> None:
    groups = '<m:colorgroup id="7"><m:color color="#00FF00"/><m:color color="#0000FF80"/></m:colorgroup>'
    text = solid(1, "body", 'pid="5" pindex="0"').replace('v3="1"/>', 'v3="1" pid="7" p1="0" p2="1" p3="1"/>', 1)
    data = three_mf(groups + text, '<item objectid="1"/>')
    mesh = only(read_scene(written(tmp_path, "a.3mf", data)))
    # One triangle has green and blue corners, the others are of the object's material.
    shown = np.asarray(mesh.visual.vertex_colors)[mesh.faces].reshape(-1, 4).tolist()
    assert [shown.count(each) for each in ([0, 255, 0, 255], [0, 0, 255, 128], [255, 0, 0, 255])] == [1, 2, 9]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (three_mf(solid(1, "a"), ""), "nothing in it is built"),
        (three_mf(solid(1, "a"), '<item objectid="9"/>'), "its model is broken"),
        (three_mf(solid(1, "a").replace('v1="0"', 'v1="9"'), '<item objectid="1"/>'), "is not there"),
        (three_mf(solid(1, "a"), "", '<!DOCTYPE x [<!ENTITY a "b">]>'), "document type"),
        (
            three_mf(
                '<object id="1"><components><component objectid="1"/></components></object>', '<item objectid="1"/>'
            ),
            "deep",
        ),
    ],
    ids=["nothing built", "no such object", "no such vertex", "entities", "circle"],
)
def test_broken_3mf_files_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_scene(written(tmp_path, "a.3mf", data))
