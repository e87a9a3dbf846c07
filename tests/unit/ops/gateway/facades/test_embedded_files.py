"""Files inside JSON: what is taken, and what is refused before it is decoded."""

from __future__ import annotations

import base64

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
