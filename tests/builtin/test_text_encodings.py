"""Mesh files as text in the encodings and with the line ends that exporters write."""

from __future__ import annotations

from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import read_mesh, read_scene
from pocket3d.adapters.mesh.read.text_lines import plain_text
from support import mesh_files as files

pytestmark = pytest.mark.torch

TEXTS = ("body.obj", "text.ply", "text.stl", "body.off")


def triangles(path: Path) -> set[tuple[float, ...]]:
    return {tuple(corners) for corners in np.asarray(read_mesh(path).triangles).reshape(-1, 9).round(6).tolist()}


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_read_the_same(tmp_path: Path, name: str, ending: bytes) -> None:
    sound = triangles(written(tmp_path, "sound." + name.split(".")[1], files.SOUND[name]))
    assert triangles(written(tmp_path, name, files.SOUND[name].replace(b"\n", ending))) == sound


def test_a_binary_ply_may_have_a_header_with_cr_alone(tmp_path: Path) -> None:
    head, mark, body = files.ply().partition(b"end_header\n")
    path = written(tmp_path, "a.ply", head.replace(b"\n", b"\r") + mark.replace(b"\n", b"\r") + body)
    assert triangles(path) == triangles(written(tmp_path, "b.ply", files.ply()))


@pytest.mark.parametrize("first", ["v 9 9 9", "# made by hand", "o body"])
def test_a_byte_order_mark_takes_no_line_of_an_obj_with_it(tmp_path: Path, first: str) -> None:
    lines = [first, *(f"v {x} {y} {z}" for x, y, z in files.VERTICES), "v 7 7 7"]
    shift = 2 if first.startswith("v") else 1
    lines += ["f " + " ".join(str(corner + shift) for corner in face) for face in files.FACES]
    text = "\n".join(lines)
    sound = triangles(written(tmp_path, "sound.obj", files.SOUND["body.obj"]))
    for number, encoding in enumerate(("utf-8", "utf-8-sig", "utf-16")):
        assert triangles(written(tmp_path, f"{number}.obj", text.encode(encoding))) == sound, encoding


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "text.ply"])
def test_a_byte_order_mark_before_other_texts(tmp_path: Path, name: str) -> None:
    sound = triangles(written(tmp_path, "sound." + name.split(".")[1], files.SOUND[name]))
    assert triangles(written(tmp_path, name, b"\xef\xbb\xbf" + files.SOUND[name])) == sound


@pytest.mark.parametrize("code_page", ["latin-1", "cp1251", "gbk", "shift_jis"])
def test_names_and_comments_in_any_code_page_are_read_past(tmp_path: Path, code_page: str) -> None:
    word = {"latin-1": "Körper", "cp1251": "тело", "gbk": "身体", "shift_jis": "ソ"}[code_page].encode(code_page)
    obj = b"# " + word + b"\no " + word + b"\n" + files.obj()
    off = files.off().replace(b"OFF\n", b"OFF\n# " + word + b"\n")
    stl = files.text_stl().replace(b"solid body", b"solid " + word)
    ply = files.ply(comment="comment @\n").replace(b"@", word)
    for name, data in (("a.obj", obj), ("a.off", off), ("a.stl", stl), ("a.ply", ply)):
        assert len(triangles(written(tmp_path, name, data))) == 4, name


def test_a_letter_that_ends_with_a_backslash_continues_no_line_of_an_obj(tmp_path: Path) -> None:
    for number, line in enumerate(("# ソ", "o ソ", "usemtl ソ", "mtllib ソ")):
        data = line.encode("shift_jis") + files.obj()
        assert line.encode("shift_jis").endswith(b"\\") and data.count(b"\n") == 8
        assert len(triangles(written(tmp_path, f"{number}.obj", data))) == 4
    broken = files.obj().replace(b"f 1 3 2", b"f 1 3 \\\n2")
    assert len(triangles(written(tmp_path, "broken.obj", broken))) == 4


def test_names_in_western_code_pages_are_kept(tmp_path: Path) -> None:
    scene = read_scene(written(tmp_path, "a.obj", "o Körper\n".encode("latin-1") + files.obj()))
    assert list(scene.geometry) == ["Körper"]


def test_text_that_is_plain_already_stays_the_same_object() -> None:
    data = "o Körper\nv 0 0 0\n".encode()
    assert plain_text(data) is data


def test_a_comment_before_the_format_of_a_ply_is_read_past(tmp_path: Path) -> None:
    data = files.ply().replace(b"ply\n", b"ply\ncomment of whoever\n", 1)
    assert len(triangles(written(tmp_path, "a.ply", data))) == 4


def test_digits_without_end_in_a_face_of_an_off_are_the_files_fault(tmp_path: Path) -> None:
    data = files.off().replace(b"3 0 2 1", b"9" * 5000 + b" 0 2 1")
    with pytest.raises(InvalidInput, match="face 1"):
        read_mesh(written(tmp_path, "a.off", data))


@pytest.mark.parametrize("name", ["obj_bom_vertex", "obj_latin1", "obj_cr_lines"])
def test_cases_met_in_real_files(name: str) -> None:
    mesh = read_mesh(files.case(f"{name}.obj"))
    used = mesh.vertices[np.unique(mesh.faces)]
    assert len(mesh.faces) == 4
    assert np.ptp(used, axis=0) == pytest.approx([1, 1, 1])
