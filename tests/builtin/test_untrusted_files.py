"""Files from strangers: each attack that we know of is tried, and ends as the producer's fault, at once."""

from __future__ import annotations

import base64
import json
import os
import random
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh import image_input
from pocket3d.adapters.mesh.image_input import read_image
from pocket3d.adapters.mesh.input import MeshLimits, ignored_parts, read_mesh, read_scene
from pocket3d.adapters.runtime.failure_mapping import judge_run
from pocket3d.adapters.runtime.memory_limit import SharedMemoryRanOut, counted_run, limited_memory, pools_mb
from support import mesh_files as files

pytestmark = pytest.mark.torch

Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(name: str, data: bytes) -> Path:
        path = tmp_path / name
        # Past what `opened` sees.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return path

    return writer


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that Python code opens from now on."""
    import builtins
    import io

    names: list[str] = []
    real = io.open

    def spy(file: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr(io, "open", spy)
    monkeypatch.setattr(builtins, "open", spy)
    return names


def refused(path: Path, *, limits: MeshLimits | None = None, field: str = "mesh_path") -> str:
    with pytest.raises(InvalidInput) as caught:
        read_scene(path, limits or MeshLimits(), field)
    assert caught.value.field == field
    assert caught.value.message.startswith(path.name)
    return caught.value.message


def png(width: int, height: int, *, rows: bytes | None = None) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = rows if rows is not None else b"\0" * ((width * 3 + 1) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def textured_document(image: dict[str, Any]) -> dict[str, Any]:
    document = files.gltf_document()
    document["images"] = [image]
    document["textures"] = [{"source": 0}]
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    document["meshes"][0]["primitives"][0]["material"] = 0
    return document


# ---------------------------------------------------------------- files beside the file


@pytest.mark.parametrize("uri", ["../secret.bin", "/etc/passwd", "secret.bin", "file:///etc/passwd", "http://x/y.bin"])
def test_buffers_of_a_glb_outside_it_are_refused_and_not_opened(write: Write, opened: list[str], uri: str) -> None:
    write("secret.bin", files.gltf_binary())
    document = files.gltf_document()
    document["buffers"][0]["uri"] = uri
    path = write("body.glb", files.glb(document, b""))
    assert "another file" in refused(path)
    assert not [name for name in opened if "secret" in name or "passwd" in name]


def test_a_gltf_that_reads_a_file_above_it_is_refused(write: Write) -> None:
    write("secret.bin", files.gltf_binary())
    document = files.gltf_document()
    document["buffers"][0]["uri"] = "secret.bin"
    assert "did not come along" in refused(write("body.gltf", json.dumps(document).encode()))


def test_images_of_a_glb_outside_it_are_left_out_and_named(write: Write, opened: list[str]) -> None:
    write("secret.png", png(4, 4))
    scene = read_scene(write("body.glb", files.glb(textured_document({"uri": "secret.png"}))))
    (part,) = scene.geometry.values()
    assert part.visual.material.baseColorTexture is None
    assert "secret.png" in ignored_parts(scene)[0]
    assert not [name for name in opened if "secret" in name]


@pytest.mark.parametrize("line", ["mtllib secret.mtl", "mtllib ../secret.mtl", "mtllib /etc/passwd", "call secret.obj"])
def test_an_objs_libraries_are_left_out_and_named(write: Write, opened: list[str], line: str) -> None:
    write("secret.mtl", b"newmtl a\nmap_Kd secret.png\n")
    write("secret.png", png(4, 4))
    scene = read_scene(write("body.obj", files.obj(before=line + "\nusemtl a")))
    assert sum(len(part.faces) for part in scene.geometry.values()) == 4
    assert line.split()[1] in ignored_parts(scene)[0]
    assert not [name for name in opened if "secret" in name or "passwd" in name]


def test_a_plys_texture_is_left_out_and_named(write: Write, opened: list[str]) -> None:
    write("secret.png", png(4, 4))
    scene = read_scene(write("body.ply", files.ply(comment="comment TextureFile secret.png\n")))
    assert "secret.png" in ignored_parts(scene)[0]
    assert not [name for name in opened if "secret" in name]


# ---------------------------------------------------------------- claims


@pytest.mark.parametrize("name", sorted(files.SOUND))
def test_limits_hold_for_every_format(write: Write, name: str) -> None:
    path = write(name, files.SOUND[name])
    assert len(read_mesh(path).faces) == 4
    assert "bytes" in refused(path, limits=MeshLimits(max_bytes=10))
    assert "faces" in refused(path, limits=MeshLimits(max_faces=3))
    assert "vertices" in refused(path, limits=MeshLimits(max_vertices=3))
    assert refused(path, limits=MeshLimits(max_faces=3), field="other")


HUGE = 4_000_000_000


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("vertices.ply", files.ply(vertices=HUGE)),
        ("faces.ply", files.ply(faces=HUGE)),
        ("digits.ply", files.ply(vertices=10**40)),
        ("text.ply", files.ply(vertices=HUGE, binary=False)),
        ("a.off", files.off(vertices=HUGE)),
        ("b.off", files.off(faces=HUGE)),
        ("negative.off", files.off(vertices=-4)),
        ("a.stl", files.stl(count=HUGE)),
    ],
)
def test_huge_counts_in_headers_are_refused_unread(write: Write, name: str, data: bytes) -> None:
    with limited_memory(64):
        refused(write(name, data))


def spoilt_glb(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = files.gltf_document()
    change(document)
    return files.glb(document)


def doubled_tree(document: dict[str, Any]) -> None:
    """Every node twice below the one above: 2 ** 40 bodies."""
    document["nodes"] = [{"children": [i + 1, i + 1]} for i in range(40)] + [{"mesh": 0}]


def twice_in_two(document: dict[str, Any]) -> None:
    document["nodes"] = [{"children": [2 * i + 2, 2 * i + 3]} for i in range(40) for _ in range(2)] + [{"mesh": 0}] * 2
    document["scenes"] = [{"nodes": [0, 1]}]


def long_chain(document: dict[str, Any]) -> None:
    document["nodes"] = [{"children": [i + 1]} for i in range(5000)] + [{"mesh": 0}]


def many_instances(document: dict[str, Any]) -> None:
    document["nodes"] = [{"mesh": 0}] * 60_000
    document["scenes"] = [{"nodes": list(range(60_000))}]
    document["accessors"][1]["count"] = 12


def overlapping_views(document: dict[str, Any]) -> None:
    document["bufferViews"] += [{"buffer": 0, "byteLength": 96}] * 200_000


GLB_SPOILERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "huge count": lambda d: d["accessors"][0].update(count=HUGE),
    "count without data": lambda d: d["accessors"][0].pop("bufferView") and d["accessors"][0].update(count=HUGE),
    "negative count": lambda d: d["accessors"][0].update(count=-4),
    "count as text": lambda d: d["accessors"][0].update(count="4"),
    "sparse": lambda d: d["accessors"][0].update(sparse={"count": 1}),
    "unknown type": lambda d: d["accessors"][0].update(type="VEC9"),
    "unknown component": lambda d: d["accessors"][0].update(componentType=1),
    "offset beyond": lambda d: d["accessors"][0].update(byteOffset=40),
    "view beyond": lambda d: d["bufferViews"][1].update(byteLength=10**9),
    "negative offset": lambda d: d["bufferViews"][1].update(byteOffset=-4),
    "stride of 0": lambda d: d["bufferViews"][0].update(byteStride=0),
    "tiny stride": lambda d: d["bufferViews"][0].update(byteStride=4),
    "no such buffer": lambda d: d["bufferViews"][0].update(buffer=7),
    "no such view": lambda d: d["accessors"][0].update(bufferView=7),
    "no such accessor": lambda d: d["meshes"][0]["primitives"][0].update(indices=7),
    "negative accessor": lambda d: d["meshes"][0]["primitives"][0].update(indices=-1),
    "no such mesh": lambda d: d["nodes"][0].update(mesh=7),
    "no such material": lambda d: d["meshes"][0]["primitives"][0].update(material=7),
    "no such node": lambda d: d["scenes"][0].update(nodes=[7]),
    "no such scene": lambda d: d.update(scene=7),
    "no position": lambda d: d["meshes"][0]["primitives"][0].update(attributes={}),
    "indices of floats": lambda d: d["accessors"][1].update(componentType=5126),
    "no triangles": lambda d: d["accessors"][1].update(count=11),
    "nothing shown": lambda d: d["nodes"][0].pop("mesh"),
    "points only": lambda d: d["meshes"][0]["primitives"][0].update(mode=0),
    "below itself": lambda d: d["nodes"][0].update(children=[0]),
    "doubled tree": doubled_tree,
    "two parents": twice_in_two,
    "long chain": long_chain,
    "broken matrix": lambda d: d["nodes"][0].update(matrix=[1, 2, 3]),
    "zero rotation": lambda d: d["nodes"][0].update(rotation=[0, 0, 0, 0]),
    "huge numbers": lambda d: d["nodes"][0].update(scale=[1e300, 1e300, 1e300]),
    "meshes no list": lambda d: d.update(meshes={"a": 1}),
    "texture missing": lambda d: d.update(materials=[{"normalTexture": {"index": 3}}]),
}


@pytest.mark.parametrize("name", sorted(GLB_SPOILERS))
def test_what_a_glb_claims_wrongly_is_refused(write: Write, name: str) -> None:
    with limited_memory(256):
        refused(write("body.glb", spoilt_glb(GLB_SPOILERS[name])))


def test_instances_count_against_the_limits(write: Write) -> None:
    path = write("body.glb", spoilt_glb(many_instances))
    assert "vertices" in refused(path, limits=MeshLimits(max_vertices=100_000))


def test_views_that_overlap_do_not_multiply(write: Write) -> None:
    path = write("body.glb", spoilt_glb(overlapping_views))
    assert "together" in refused(path, limits=MeshLimits(max_bytes=8 * 1024 * 1024))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"nodes":' * 5_000 + b"1" + b"}" * 5_000,
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe{}",
        b'{"nodes": [{"mesh": 1e999}]}',
        b'{"accessors": [{"count": NaN}]}',
        b'{"a": ' + b"9" * 50_000 + b"}",
    ],
)
def test_broken_json_is_refused(write: Write, text: bytes) -> None:
    refused(write("body.glb", files.glb(text)))


def test_a_doubled_key_cannot_show_the_parser_another_document(write: Write) -> None:
    text = json.dumps(files.gltf_document()).encode()
    lie = b'{"buffers": [{"byteLength": 96, "uri": "../secret.bin"}], ' + text[1:]
    assert len(read_mesh(write("body.glb", files.glb(lie))).faces) == 4


@pytest.mark.parametrize(("vertices", "faces"), [(0, 4), (4, 0), (0, 0)])
def test_a_ply_without_vertices_or_faces_is_told_to_have_no_surface(write: Write, vertices: int, faces: int) -> None:
    assert f"no surface: {vertices} vertices and {faces} faces" in refused(
        write("a.ply", files.ply(vertices=vertices, faces=faces))
    )


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "1e999"])
def test_numbers_that_are_not_finite_are_refused(write: Write, bad: str) -> None:
    corrupt = ((float(bad), 0.0, 0.0), *files.VERTICES[1:])
    raw = b"".join(struct.pack("<3f", *v) for v in corrupt)
    assert "finite" in refused(write("a.glb", files.glb(binary=raw + files.gltf_binary()[48:])))
    faces = b"".join(struct.pack("<B3i", 3, *f) for f in files.FACES)
    assert "finite" in refused(write("a.ply", files.ply(body=raw + faces)))
    refused(write("a.obj", files.obj().replace(b"v 1.0 0.0 0.0", f"v {bad} 0.0 0.0".encode())))
    refused(write("a.off", files.off().replace(b"1.0 0.0 0.0", f"{bad} 0.0 0.0".encode())))
    refused(write("a.stl", files.text_stl().replace(b"vertex 1.0", f"vertex {bad}".encode())))


@pytest.mark.parametrize("index", [4, 2**31 - 1, -1, -(2**31)])
def test_indices_that_point_nowhere_are_refused(write: Write, index: int) -> None:
    faces = [(0, 1, index), *files.FACES[1:]]
    unsigned = [tuple(corner % 2**32 for corner in face) for face in faces]
    refused(write("a.glb", files.glb(binary=files.gltf_binary(faces=unsigned))))
    vertices = b"".join(struct.pack("<3f", *v) for v in files.VERTICES)
    refused(write("a.ply", files.ply(body=vertices + b"".join(struct.pack("<B3i", 3, *f) for f in faces))))
    refused(write("a.off", files.off().replace(b"3 0 2 1", f"3 0 1 {index}".encode())))
    obj_index = index + 1 if index >= 0 else index - 10
    refused(write("a.obj", files.obj(faces=f"f 1 2 {obj_index}\nf 1 2 3")))


def test_relative_indices_count_from_where_they_stand(write: Write) -> None:
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 5 5 5\nv 6 5 5\nv 5 6 5\nf -3 -2 -1\n"
    mesh = read_mesh(write("a.obj", text))
    corners = mesh.vertices[mesh.faces].tolist()
    assert corners[0] == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert corners[1] == [[5, 5, 5], [6, 5, 5], [5, 6, 5]]


@pytest.mark.parametrize("line", ["f 1 2", "f 0 1 2", "f 1 2 x", "f 1//1 2//0 3//1", "f -9 -8 -7"])
def test_broken_faces_of_an_obj_are_refused(write: Write, line: str) -> None:
    refused(write("a.obj", files.obj(faces="f 1 2 3\n" + line)))


# ---------------------------------------------------------------- broken off, or of another kind


@pytest.mark.parametrize("name", sorted(files.SOUND))
def test_broken_off_files_are_refused_or_whole(write: Write, name: str) -> None:
    data = files.SOUND[name]
    for end in range(0, len(data), 7):
        path = write(name, data[:end])
        try:
            mesh = read_mesh(path)
        except InvalidInput as error:
            assert error.field == "mesh_path"
        else:
            # OBJ has no header: it may end after any face. A text may lack its last sign, and an STL its last word.
            told = "endsolid" in " ".join(ignored_parts(mesh))
            assert name == "body.obj" or told or len(mesh.faces) == 4


@pytest.mark.parametrize("name", sorted(files.SOUND))
@pytest.mark.parametrize("content", sorted(files.SOUND))
def test_content_of_another_kind_is_read_as_what_it_is_or_refused(write: Write, name: str, content: str) -> None:
    suffix, kind = name.rsplit(".")[-1], content.rsplit(".")[-1]
    path = write("a" + name, files.SOUND[content])
    if suffix == kind:
        return
    if kind == "obj":
        # Nothing at its beginning says what it is.
        refused(path)
    else:
        scene = read_scene(path)
        assert sum(len(part.faces) for part in scene.geometry.values()) == 4
        assert ignored_parts(scene)[0] == f"the suffix .{suffix}: it is a file of {kind.upper()} and read as one"


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        (b"PK\x03\x04", "the zip is broken"),
        (b"Rar!", "unpack it"),
        (b"Kaydara FBX Binary  \0", "read as FBX"),
        (b"\x89PNG\r\n", "image_to_mesh"),
        (b"<!DOCTYPE html><title>404", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"ISO-10303-21;\n", "CAD"),
    ],
)
@pytest.mark.parametrize("suffix", ["glb", "obj", "stl"])
def test_files_that_are_no_meshes_are_named_for_what_they_are(
    write: Write, suffix: str, beginning: bytes, said: str
) -> None:
    assert said in refused(write(f"a.{suffix}", beginning + b" " * 200))


def test_random_bytes_never_crash(write: Write) -> None:
    for name, data in files.SOUND.items():
        dice = random.Random(name)
        for _ in range(60):
            spoilt = bytearray(data)
            for _ in range(dice.randint(1, 8)):
                spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
            try:
                mesh = read_mesh(write(name, bytes(spoilt)))
            except InvalidInput as error:
                assert error.field == "mesh_path"
            else:
                assert mesh.faces.max() < len(mesh.vertices)


def test_an_empty_file_and_a_foreign_suffix_are_refused(write: Write) -> None:
    for suffix in ("glb", "obj", "ply", "stl", "off"):
        assert "empty" in refused(write(f"a.{suffix}", b""))
    for name in ("a.xml", "a.rar", "a.blend", "a", "a.glb.exe"):
        assert "unsupported format" in refused(write(name, files.glb()))


def test_a_line_without_end_is_refused(write: Write) -> None:
    assert "characters" in refused(write("a.obj", files.obj() + b"\nf " + b"1 2 3 " * 400_000))
    assert "characters" in refused(write("a.off", b"OFF\n4 4 0\n" + b"1 " * 1_000_000))


def test_a_text_of_empty_lines_is_refused(write: Write) -> None:
    assert "lines" in refused(write("a.ply", files.ply(binary=False) + b"\n" * 1_000_000))


def test_groups_without_end_are_refused(write: Write) -> None:
    assert "groups" in refused(write("a.obj", files.obj(before="o a\n" * 30_000)))


def test_materials_without_end_take_no_time(write: Write) -> None:
    """19,990 of them kept a slot for more than 150 seconds."""
    import time

    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "".join(f"usemtl {n}\nf 1 2 3\n" for n in range(19_990))
    began = time.process_time()
    scene = read_scene(write("a.obj", text.encode()))
    assert time.process_time() - began < 15
    assert sum(len(part.faces) for part in scene.geometry.values()) == 19_990
    assert len(scene.geometry) == 501
    assert "materials after the first 500" in ignored_parts(scene)[0]


def test_leaves_below_a_long_chain_are_refused_beyond_a_bound(write: Write) -> None:
    """2,800 of them, 57 kB, took 6 seconds, and nine times as many were taken."""

    def chained(leaves: int) -> bytes:
        document = files.gltf_document()
        nodes = [{"children": [n + 1]} for n in range(197)] + [{"children": list(range(198, 198 + leaves))}]
        document["nodes"] = [*nodes, *({"mesh": 0} for _ in range(leaves))]
        return files.glb(document)

    assert "too many of them deep" in refused(write("a.glb", chained(2800)))
    assert len(read_scene(write("a.glb", chained(100))).graph.nodes_geometry) == 100


def test_parts_are_joined_under_a_bound_of_memory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import trimesh

    document = files.gltf_document()
    document["nodes"], document["scenes"] = [{"mesh": 0}, {"mesh": 0}], [{"nodes": [0, 1]}]
    path = write("a.glb", files.glb(document))
    assert len(read_mesh(path).faces) == 8
    monkeypatch.setattr(trimesh.util, "concatenate", lambda *_: np.ones(4 * 1024**3, dtype=np.uint8))
    with pytest.raises(InvalidInput, match="more memory"):
        read_mesh(path)


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("where", ["chunk", "address"])
def test_a_bomb_inside_a_glb_is_refused(write: Write, where: str) -> None:
    bomb = png(30_000, 30_000, rows=b"\0" * 1000)
    if where == "chunk":
        document = textured_document({"bufferView": 2, "mimeType": "image/png"})
        document["bufferViews"].append({"buffer": 0, "byteOffset": 96, "byteLength": len(bomb)})
        document["buffers"][0]["byteLength"] = 96 + len(bomb)
        data = files.glb(document, files.gltf_binary() + bomb)
    else:
        uri = "data:image/png;base64," + base64.b64encode(bomb).decode()
        data = files.glb(textured_document({"uri": uri}))
    with limited_memory(128):
        assert "pixels" in refused(write("a.glb", data))


def test_a_broken_image_inside_a_glb_is_refused(write: Write) -> None:
    uri = "data:image/png;base64," + base64.b64encode(png(64, 64)[:-60]).decode()
    refused(write("a.glb", files.glb(textured_document({"uri": uri}))))
    other = "data:image/png;base64," + base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n").decode()
    assert "formats" in refused(write("b.glb", files.glb(textured_document({"uri": other}))))


def test_pictures_that_unpack_to_too_much_are_refused_by_their_header(write: Write) -> None:
    for side in (8_000, 20_000, 60_000):
        path = write("a.png", png(side, side, rows=b"\0" * 1000))
        with limited_memory(64), pytest.raises(InvalidInput, match="pixels") as caught:
            read_image(path, field="image_paths")
        assert caught.value.field == "image_paths"


def test_other_pictures_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = png(64, 48)
    assert read_image(write("a.png", whole)).size == (64, 48)
    for data in (b"", whole[:40], whole[:-70], b"GIF89a" + b"\0" * 40, b"%!PS-Adobe-3.0\n", b"<svg/>"):
        with pytest.raises(InvalidInput):
            read_image(write("a.png", data))
    monkeypatch.setattr(image_input, "MAX_PIXELS", 1000)
    with pytest.raises(InvalidInput, match="pixels"):
        read_image(write("a.png", whole))
    monkeypatch.setattr(image_input, "MAX_BYTES", 20)
    with pytest.raises(InvalidInput, match="bytes"):
        read_image(write("a.png", whole))


def test_a_picture_is_turned_upright_and_keeps_its_transparency(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (200, 10, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (20, 40)
    Image.new("LA", (4, 4), (10, 100)).save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png").mode == "RGBA"
    Image.new("I;16", (4, 4), 65_535).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    "name", ["a.tiff", "a.bmp", "a.gif", "a.jfif:JPEG", "a.avif", "a.png:TIFF", "deep.tif", "cmyk.tif"]
)
def test_pictures_of_further_formats_are_read(tmp_path: Path, name: str) -> None:
    from PIL import Image, features

    name, _, form = name.partition(":")
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    picture = Image.new("RGB", (40, 30), (250, 10, 10))
    picture.paste((10, 10, 250), (20, 0, 40, 30))
    if name == "cmyk.tif":
        picture = picture.convert("CMYK")
    path = tmp_path / name
    if name == "deep.tif":
        Image.new("I;16", (40, 30), 65_535).save(path)
    else:
        picture.save(path, form or None)
    found = read_image(path).convert("RGB")
    assert found.size == (40, 30)
    wanted = [(255, 255, 255)] * 2 if name == "deep.tif" else [(250, 10, 10), (10, 10, 250)]
    for place, colour in zip([(5, 15), (35, 15)], wanted, strict=True):
        assert found.getpixel(place) == pytest.approx(colour, abs=12)


def test_pictures_of_iphones_are_read_where_their_decoder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 100)
    monkeypatch.setattr(image_input, "picture_formats", lambda: image_input.FORMATS)
    with pytest.raises(InvalidInput, match="HEIC picture, which is read where pillow-heif is installed; save it as"):
        read_image(path)
    monkeypatch.undo()
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 48), (250, 10, 10))).save(path)
    assert read_image(path).size == (64, 48)


@pytest.mark.parametrize(
    ("data", "said"), [(b"<svg/>", "SVG file; save it as PNG"), (b"8BPS\0\1", "Photoshop"), (b"%PDF-1.7", "PDF")]
)
def test_what_is_no_picture_of_pixels_is_named(write: Write, data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_image(write("a.png", data))


def test_one_sentence_says_that_a_picture_is_too_large(write: Write) -> None:
    for side in (8_000, 20_000):
        with pytest.raises(InvalidInput) as caught:
            read_image(write("a.png", png(side, side, rows=b"\0" * 100)))
        said = caught.value.message
        assert f"{side * side:,} pixels, at most 50,000,000 are read; make it smaller" in said
        assert "attack" not in said and said.count("limit") == 0


@pytest.mark.parametrize("entries", [b"\xff" * 300 + b"\0", b"\xff\0", b"", b"\0\1\2"])
def test_a_palette_with_another_number_of_entries_is_no_failure_of_the_adapter(write: Write, entries: bytes) -> None:
    """More entries of transparency than colours: Pillow's ValueError "palette index out of range"."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 1, 8, 3, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + bytes(range(8))))
    whole = b"\x89PNG\r\n\x1a\n" + head + chunk(b"PLTE", b"\1\2\3") + chunk(b"tRNS", entries) + pixels
    path = write("a.png", whole + chunk(b"IEND", b""))
    try:
        assert read_image(path).size == (8, 1)
    except InvalidInput as error:
        assert "broken" in str(error)


def spoilt_png(exif: bytes) -> bytes:
    """A sound picture with an EXIF chunk of these bytes."""
    whole = png(8, 1)
    return (
        whole[:33]
        + struct.pack(">I", len(exif))
        + b"eXIf"
        + exif
        + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        + whole[33:]
    )


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Tag data larger", "ignore:Possibly corrupt EXIF")
@pytest.mark.parametrize(
    "exif",
    [
        b"II\0\0\4\0\0\0" + b"\0" * 8,
        b"IIR\0\x08\0\0\0",
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x05" * 20,
        b"MM\0*\0\0\0\x08\0\1\x01\x12\0\2\0\0\0\4abcd\0\0\0\0",
    ],
)
def test_a_picture_whose_exif_is_broken_is_taken_as_it_lies(write: Write, exif: bytes) -> None:
    assert read_image(write("a.png", spoilt_png(exif))).size == (8, 1)


def test_random_exif_never_crashes(write: Write) -> None:
    import warnings

    dice = random.Random("exif")
    sound = b"MM\0*\0\0\0\x08\0\2\x01\x12\0\3\0\0\0\1\0\6\0\0\x01\x1a\0\5\0\0\0\1\0\0\0\x26\0\0\0\0\0\0\0\1\0\0\0\1"
    assert read_image(write("a.png", spoilt_png(sound))).size == (1, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(400):
            spoilt = bytearray(sound)
            for _ in range(dice.randint(1, 4)):
                spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
            assert sorted(read_image(write("a.png", spoilt_png(bytes(spoilt)))).size) == [1, 8]


# ---------------------------------------------------------------- memory


def test_past_the_bound_allocation_fails_and_is_lifted_afterwards() -> None:
    import numpy as np

    with limited_memory(128), pytest.raises(MemoryError):
        np.ones((512 + pools_mb()) * 1024 * 1024, dtype=np.uint8)
    assert len(np.ones(512 * 1024 * 1024, dtype=np.uint8)) == 512 * 1024 * 1024


def test_a_parser_that_takes_too_much_is_the_files_fault(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import trimesh

    def greedy(*_: Any, **__: Any) -> Any:
        return np.ones(64 * 1024**3, dtype=np.uint8)

    monkeypatch.setattr(trimesh, "load_scene", greedy)
    with counted_run():
        assert "memory" in refused(write("a.glb", files.glb()))


def test_memory_that_runs_out_beside_other_runs_is_not_the_files_fault(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ceiling is the whole process's: what another job allocates meanwhile counts too."""
    import trimesh

    def fails(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(trimesh, "load_scene", fails)
    with counted_run(), counted_run(), pytest.raises(SharedMemoryRanOut) as caught:
        read_scene(write("a.glb", files.glb()))
    failure = judge_run(caught.value, cancelled=False)
    assert (failure.code.value, failure.memory) == ("out_of_memory", "host"), "tried again, elsewhere"

    def is_joined(*_: Any, **__: Any) -> Any:
        with counted_run():
            raise MemoryError

    monkeypatch.setattr(trimesh, "load_scene", is_joined)
    with counted_run(), pytest.raises(SharedMemoryRanOut):
        read_scene(write("a.glb", files.glb()))


def test_a_thread_pool_that_starts_under_the_ceiling_has_room() -> None:
    """On a machine of many cores OpenBLAS and OpenMP alone take more than a decoder is given."""
    import numpy as np

    with limited_memory(16):
        np.ones((pools_mb() - 8) * 1024 * 1024, dtype=np.uint8)


def test_two_threads_may_read_at_once(write: Write) -> None:
    paths = [write(f"{number}.glb", files.glb()) for number in range(8)]
    faces: list[int] = []
    threads = [threading.Thread(target=lambda p=path: faces.append(len(read_mesh(p).faces))) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faces == [4] * 8
