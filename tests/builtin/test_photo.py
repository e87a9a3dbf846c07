"""Reading image files: what is taken, how it is turned, and what is refused before it is unpacked."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")

from pocket3d.adapters.mesh.read.limits import Refused
from pocket3d.adapters.weight_free.silhouette.photo import read_photo, resized

pytestmark = pytest.mark.torch


def _gradient(width: int = 80, height: int = 60) -> Any:
    yy, xx = np.mgrid[0:height, 0:width]
    return np.stack([xx * 255 / width, yy * 255 / height, np.full((height, width), 30)], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_three_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(_gradient()).save(path, quality=95)
    photo = read_photo(path, 1024)
    assert photo.rgb.shape == (60, 80, 3)
    assert photo.alpha is None
    assert photo.original_size == (80, 60)
    assert np.abs(photo.rgb.astype(int) - _gradient()).mean() < 6


def test_exif_turns_the_picture_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    picture = Image.fromarray(_gradient())
    exif = picture.getexif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to view
    picture.save(path, exif=exif, quality=95)
    photo = read_photo(path, 1024)
    assert photo.rgb.shape == (80, 60, 3)
    assert photo.original_size == (60, 80)
    # What was on the left is now on top: red rises downwards.
    assert photo.rgb[75, 30, 0] > photo.rgb[5, 30, 0] + 100


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK", "I;16"])
def test_other_modes_become_colours(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    grey = Image.fromarray(_gradient()[..., 0])
    if mode == "I;16":
        Image.fromarray(_gradient()[..., 0].astype(np.uint16) * 257).save(path)
    else:
        (grey if mode in ("L", "LA", "1") else Image.fromarray(_gradient())).convert(mode).save(path)
    photo = read_photo(path, 1024)
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.shape == (60, 80, 3)
    assert photo.rgb[:, 70:, 0].mean() > photo.rgb[:, :10, 0].mean() + 100


def test_alpha_counts_only_if_it_hides_something(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rgba = np.dstack([_gradient(), np.full((60, 80), 255, dtype=np.uint8)])
    Image.fromarray(rgba).save(path)
    assert read_photo(path, 1024).alpha is None
    rgba[:20, :, 3] = 0
    Image.fromarray(rgba).save(path)
    alpha = read_photo(path, 1024).alpha
    assert alpha is not None
    assert alpha[10, 10] == 0
    assert alpha[40, 40] == 255
    palette = Image.fromarray(_gradient()).quantize(8)
    palette.save(path, transparency=int(np.bincount(np.asarray(palette).ravel()).argmax()))
    assert read_photo(path, 1024).alpha is not None


def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(_gradient(3000, 2000)).save(path)
    photo = read_photo(path, 600)
    assert photo.rgb.shape == (400, 600, 3)
    assert photo.original_size == (3000, 2000)
    assert resized(photo.rgb, 60).shape == (40, 60, 3)
    assert resized(photo.rgb, 6000).shape == (400, 600, 3)


def _png_that_claims(width: int, height: int) -> bytes:
    """A tiny PNG file whose header claims a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_that_claims(side, side))
    with pytest.raises(Refused, match="pixels"):
        read_photo(path, 1024)


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_gradient()).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an image"),
        (b"just some text, no picture", "not an image"),
        (b"GIF89a" + bytes(40), "not an image"),
        (_jpeg()[:400], "broken"),
        (_png_that_claims(80, 60), "broken"),
        (_png_that_claims(10, 60), "at least 16"),
        (_png_that_claims(1000, 20), "too narrow"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(Refused, match=words):
        read_photo(path, 1024)


def test_a_file_that_is_not_there_is_no_fault_of_the_photo(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_photo(tmp_path / "missing.png", 1024)
