"""What is taken of a zip, what is left out, and where the files of a glTF are looked for in it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("numpy")

from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.read.gltf_archive import glb_of, main_file, open_archive
from pocket3d.adapters.mesh.read.limits import MeshLimits, Refused


def zipped(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_two_thousand_files_are_taken_beside_folders_and_what_macos_adds() -> None:
    files = {f"{number}.png": b"" for number in range(2_000)}
    beside = {"textures/": b"", "__MACOSX/._0.png": b""}
    assert open_archive(zipped(files | beside), MeshLimits()) == files
    with pytest.raises(Refused, match="2,001 files in it, at most 2,000 are taken"):
        open_archive(zipped(files | {"a.stl": b""}), MeshLimits())


def test_all_files_together_may_be_as_large_as_one_mesh() -> None:
    data = zipped({"a.obj": b"1234", "a.mtl": b"567"})
    assert open_archive(data, MeshLimits(max_bytes=7)) == {"a.obj": b"1234", "a.mtl": b"567"}
    with pytest.raises(Refused, match="its files have 7 bytes, at most 6 are taken"):
        open_archive(data, MeshLimits(max_bytes=6))


@pytest.mark.parametrize(
    ("flags", "refused"), [(1, True), (1 | 1 << 11, True), (1 << 11, False)], ids=["encrypted", "both", "UTF-8 name"]
)
def test_an_encrypted_file_is_refused(flags: int, refused: bool) -> None:
    data = bytearray(zipped({"a.stl": b"solid"}))
    listed = data.index(b"PK\x01\x02")
    for at in (6, listed + 8):
        data[at : at + 2] = flags.to_bytes(2, "little")
    if not refused:
        assert open_archive(bytes(data), MeshLimits()) == {"a.stl": b"solid"}
        return
    with pytest.raises(Refused, match="encrypted; give it without a password"):
        open_archive(bytes(data), MeshLimits())


def test_paths_of_windows_are_paths() -> None:
    found = open_archive(zipped({"chair\\skin.png": b"x"}), MeshLimits())
    assert list(found) == ["chair/skin.png"]


@pytest.mark.parametrize(
    ("names", "main"),
    [
        (["a.obj", "b.GLB"], "b.GLB"),
        (["a.ply", "deep/b.obj"], "deep/b.obj"),
        (["a.txt", "a.3ds"], "a.3ds"),
        (["a.fbx", "b.gltf", "c.glb"], "b.gltf"),
    ],
)
def test_of_several_kinds_the_one_that_holds_most_is_the_mesh(names: list[str], main: str) -> None:
    assert main_file(dict.fromkeys(names, b"")) == main


def test_of_several_meshes_of_one_kind_none_is_chosen() -> None:
    with pytest.raises(Refused, match=r"2 meshes in one zip \(a\.obj, b\.OBJ\); give each by itself"):
        main_file({"b.OBJ": b"", "a.obj": b"", "c.stl": b""})
    with pytest.raises(Refused, match=r"7 meshes in one zip \(0\.stl, 1\.stl, 2\.stl, 3\.stl, 4\.stl\);"):
        main_file({f"{number}.stl": b"" for number in reversed(range(7))})


def joined(document: dict[str, Any], files: Mapping[str, bytes], folder: str = "") -> tuple[dict[str, Any], bytes]:
    """The document and the bytes of the GLB that it becomes."""
    return unpack(glb_of(json.dumps(document).encode(), files, folder))


def test_buffers_stand_one_after_the_other_at_multiples_of_four() -> None:
    document = {
        "buffers": [{"uri": "a.bin", "byteLength": 5}, {"uri": "b%20b.bin", "byteLength": 3}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 1, "byteLength": 4},
            {"buffer": 1, "byteLength": 3},
            {"buffer": 1, "byteOffset": 2, "byteLength": 1, "extensions": {"X": {"buffer": 1}, "Y": {}, "Z": 0}},
        ],
    }
    found, data = joined(document, {"in/a.bin": b"12345more", "in/b b.bin": b"678"}, "in")
    assert data == b"12345" + b"\0" * 3 + b"678" + b"\0"
    assert found["buffers"] == [{"byteLength": 12}]
    assert [(view["buffer"], view["byteOffset"]) for view in found["bufferViews"]] == [(0, 1), (0, 8), (0, 10)]
    assert found["bufferViews"][2]["extensions"] == {"X": {"buffer": 0, "byteOffset": 8}, "Y": {}, "Z": 0}


def test_a_buffer_may_have_just_the_bytes_that_it_announces() -> None:
    document = {"buffers": [{"uri": "a.bin", "byteLength": 4}]}
    assert joined(document, {"a.bin": b"1234"})[1] == b"1234"
    with pytest.raises(Refused, match=r"^buffer 0 announces 4 bytes, 3 are there"):
        joined(document, {"a.bin": b"123"})


def test_pictures_come_behind_the_buffers_as_what_they_are() -> None:
    contents = {
        "a.png": b"\x89PNG1",
        "b.jpg": b"\xff\xd8\xff22",
        "c.webp": b"RIFF333",
        "d.ktx2": b"\xabKTX",
        "e.png": b"?",
    }
    document: dict[str, Any] = {
        "buffers": [{"uri": "m.bin", "byteLength": 2}],
        "bufferViews": [{"buffer": 0, "byteLength": 2}],
        "images": [{"uri": "data:,x"}, {"uri": "far.png"}, {"name": "own"}, *({"uri": name} for name in contents)],
    }
    document["images"][4]["name"] = "skin"
    found, data = joined(document, {"m.bin": b"12", **contents})
    views = found["bufferViews"]
    told = [(each.get("name"), each.get("mimeType"), each.get("uri")) for each in found["images"]]
    assert told == [
        (None, None, "data:,x"),
        (None, None, "far.png"),
        ("own", None, None),
        ("a", "image/png", None),
        ("skin", "image/jpeg", None),
        ("c", "image/webp", None),
        ("d", "image/ktx2", None),
        ("e", "image/png", None),
    ], "what did not come along stays as it is named"
    shown = [views[each["bufferView"]] for each in found["images"][3:]]
    assert [data[each["byteOffset"] :][: each["byteLength"]] for each in shown] == list(contents.values())
    assert all(each["byteOffset"] % 4 == 0 and each["buffer"] == 0 for each in shown)
    assert found["buffers"] == [{"byteLength": len(data)}]


@pytest.mark.parametrize(
    ("uri", "folder", "found"),
    [
        ("a.bin", "deep", "deep/a.bin"),
        ("../a.bin", "deep/in", "deep/a.bin"),
        ("./in\\a.bin", "deep", "deep/in/a.bin"),
        ("../../../a.bin", "deep", "a.bin"),
        ("/a.bin", "deep", "a.bin"),
        ("textures/a.bin", "elsewhere", "a.bin"),
    ],
)
def test_where_a_file_is_looked_for(uri: str, folder: str, found: str) -> None:
    names = ("a.bin", "deep/a.bin", "deep/in/a.bin")
    document = {"buffers": [{"uri": uri, "byteLength": len(found)}]}
    assert (
        joined(document, {name: name.encode().ljust(20) for name in names}, folder)[1].rstrip(b"\0") == found.encode()
    )


def test_a_file_of_the_same_name_in_another_folder_is_none_of_it() -> None:
    document = {"buffers": [{"uri": "a.bin", "byteLength": 1}]}
    with pytest.raises(Refused, match=r"^buffer 0 lies in 'a\.bin', which did not come along"):
        joined(document, {"other/a.bin": b"1"})
