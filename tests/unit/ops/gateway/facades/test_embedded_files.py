"""Files inside JSON: what is taken, and what is refused before it is decoded."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.facades import embedded_files
from support.facade_fleet import GLB, GLB_64, PNG, PNG_64


@pytest.mark.parametrize(
    "text",
    [
        PNG_64,
        f"data:image/png;base64,{PNG_64}",
        f"DATA:IMAGE/PNG;charset=x;BASE64,{PNG_64}",
        base64.encodebytes(PNG).decode(),
        PNG_64[:20] + "\r\n" + PNG_64[20:],
    ],
    ids=["plain", "data URI", "capitals", "lines", "CRLF"],
)
def test_a_picture_is_named_by_its_first_bytes(text: str) -> None:
    assert embedded_files.image(text, "image") == (PNG, "image.png")


def test_a_mesh_is_named_by_its_first_bytes() -> None:
    assert embedded_files.mesh(GLB_64, "mesh") == (GLB, "mesh.glb")


@pytest.mark.parametrize(("spaces", "known"), [(504, True), (505, False)])
def test_a_kind_is_told_by_the_first_512_bytes(spaces: int, known: bool) -> None:
    data = b"{" + b" " * spaces + b'"asset": {"version": "2.0"}}'
    text = base64.b64encode(data).decode()
    if known:
        assert embedded_files.mesh(text, "mesh") == (data, "mesh.gltf")
        return
    with pytest.raises(HttpError, match="no mesh"):
        embedded_files.mesh(text, "mesh")


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("https://example.com/cat.png", 400, "addresses are not fetched"),
        ("file:///etc/passwd", 400, "addresses are not fetched"),
        ("/etc/passwd", 400, "not base64"),
        ("data:image/png,plain", 400, "base64"),
        ("data:" + "x" * 1000, 400, "base64"),
        ("", 400, "empty"),
        ("aGVsbG8=", 400, "no picture"),
        (GLB_64, 400, "no picture"),
        ("abc", 400, "not base64"),
        ("ä" * 8, 400, "not base64"),
    ],
)
def test_what_is_no_picture_is_refused(text: str, code: int, why: str) -> None:
    with pytest.raises(HttpError, match=why) as caught:
        embedded_files.image(text, "image")
    assert (caught.value.code, caught.value.field) == (code, "image")


def test_a_picture_too_large_is_refused_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_files, "MAX_IMAGE_BYTES", 30)
    # Not base64: it is refused before anybody decodes it.
    with pytest.raises(HttpError, match="more than") as caught:
        embedded_files.image("!" * 1000, "image")
    assert caught.value.code == 413
    monkeypatch.setattr(embedded_files, "MAX_IMAGE_BYTES", len(PNG) - 1)
    with pytest.raises(HttpError) as caught:
        embedded_files.image(PNG_64, "image")
    assert caught.value.code == 413
    monkeypatch.setattr(embedded_files, "MAX_IMAGE_BYTES", len(PNG))
    assert embedded_files.image(PNG_64, "image").data == PNG


@pytest.mark.parametrize("text", [PNG_64[:20] + "!" + PNG_64[20:], PNG_64[:20] + " " + PNG_64[20:]])
def test_letters_that_are_no_base64_are_not_passed_over(text: str) -> None:
    with pytest.raises(HttpError, match="not base64"):
        embedded_files.image(text, "image")


def test_lines_may_end_as_on_an_old_macintosh() -> None:
    assert embedded_files.image(PNG_64[:20] + "\r" + PNG_64[20:], "image").data == PNG


@pytest.mark.parametrize("head", ["data:image/png;base64", "data:image/png,", "data:,", "data:base64,"])
def test_a_data_uri_without_a_comma_or_without_the_word_base64_is_told_how_one_looks(head: str) -> None:
    for text in (head, head + "iVBORw0KGgo="):
        with pytest.raises(HttpError, match=r"data:image/png;base64,\.\.\."):
            embedded_files.image(text, "image")


def test_the_comma_of_a_data_uri_is_among_its_first_two_hundred_characters() -> None:
    """The rest may be megabytes, which are not searched."""

    def uri(comma: int) -> str:
        return f"data:image/png;{'x' * (comma - 22)};base64,{PNG_64}"

    assert uri(199).index(",") == 199
    assert embedded_files.image(uri(199), "image").data == PNG
    with pytest.raises(HttpError, match="a data URI must have"):
        embedded_files.image(uri(200), "image")


@pytest.mark.parametrize(("letters", "code"), [(88, 400), (89, 400), (91, 400), (92, 413), (96, 413)])
def test_line_breaks_may_make_a_text_longer_by_a_part_in_thirty_two(
    letters: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 bytes and two more, so 88 letters in groups of four; what is not too long is no base64 here."""
    monkeypatch.setattr(embedded_files, "MAX_MESH_BYTES", 64)
    with pytest.raises(HttpError) as caught:
        embedded_files.mesh("!" * letters, "mesh")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("decode", "largest_mib"), [(embedded_files.image, 32), (embedded_files.mesh, 40)], ids=["image", "mesh"]
)
def test_a_picture_may_have_32_mib_and_a_mesh_40(decode: Callable[[str, str], object], largest_mib: int) -> None:
    """As docs/http-facades.md says; what is larger goes another way, which is told."""
    too_many = int(1.05 * largest_mib * 1024 * 1024) // 3 * 4
    with pytest.raises(HttpError, match=f"the file has more than {largest_mib} MiB: upload it to /v1/files"):
        decode("!" * too_many, "file")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "image"), ("photo.JPEG", "image"), ("a.glb.webp", "image"), ("a.glb", "mesh"), ("a.png.STL", "mesh")],
)
def test_a_file_is_what_its_name_ends_in(name: str, kind: str) -> None:
    check = {"image": embedded_files.check_picture, "mesh": embedded_files.check_mesh}
    assert embedded_files.kind_of(name) == kind
    check.pop(kind)(name)
    (other,) = check.values()
    with pytest.raises(HttpError) as caught:
        other(name)
    assert (caught.value.code, caught.value.field) == (400, "file")


@pytest.mark.parametrize("name", ["", "png", ".png", "a.txt", "a.png.exe", "a.pn"])
def test_a_file_of_another_kind_is_refused_with_all_that_are_taken(name: str) -> None:
    with pytest.raises(HttpError) as caught:
        embedded_files.check_picture(name)
    assert caught.value.message == (
        f"{name!r} is no image: want a file of avif, bmp, gif, heic, heif, jfif, jpeg, jpg, png, tif, tiff, webp"
    )
    with pytest.raises(HttpError) as caught:
        embedded_files.check_mesh(name)
    assert caught.value.message == (
        f"{name!r} is no mesh: want a file of 3ds, 3mf, dae, fbx, glb, gltf, obj, off, ply, stl, vrm, zip"
    )
