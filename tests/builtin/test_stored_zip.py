"""The bytes of a zip: which data stands where in it."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

from pocket3d.adapters.mesh.stored_zip import zip_bytes

FILES = {"a.usdc": b"12345", "deep/ä.png": b"\x89PNG", "b": b""}


def starts(data: bytes) -> list[int]:
    """Where the data of each file begins."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
        headers = [info.header_offset for info in archive.infolist()]
    # A local header has 30 bytes; the last two numbers in it are the lengths of the name and the extra field behind it.
    return [at + 30 + sum(struct.unpack_from("<HH", data, at + 26)) for at in headers]


@pytest.mark.parametrize("aligned", [2, 4, 64])
def test_each_file_begins_where_it_was_asked_to(aligned: int) -> None:
    """A viewer maps the files of a USDZ from the archive: they begin at multiples of 64."""
    assert [at % aligned for at in starts(zip_bytes(FILES, packed=False, aligned=aligned))] == [0, 0, 0]


def test_nothing_fills_up_a_zip_whose_files_may_begin_anywhere() -> None:
    data = zip_bytes(FILES, packed=False)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert [info.extra for info in archive.infolist()] == [b"", b"", b""]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert starts(data)[0] == 30 + len("a.usdc")


def test_the_same_files_make_the_same_bytes_and_are_packed_unless_told() -> None:
    assert zip_bytes({"a": b"x" * 1000}) == zip_bytes({"a": b"x" * 1000})
    assert len(zip_bytes({"a": b"x" * 1000})) < 1000 < len(zip_bytes({"a": b"x" * 1000}, packed=False))
