"""Zips and 3MF files that strangers spoilt, or made to cost more than they weigh: each is refused, at once."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import read_scene
from support import mesh_files as files

pytestmark = pytest.mark.torch

_CORE = 'xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"'


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def refusal(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_scene(path)
    return caught.value.message


# ---------------------------------------------------------------- zips


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_spoilt_contents_of_a_zip_are_its_fault(tmp_path: Path, method: int) -> None:
    data = bytearray(zipped({"a.obj": files.obj() * 50}, method))
    data[46:60] = b"\xff" * 14
    assert "the zip is broken" in refusal(tmp_path, "a.zip", bytes(data))


def test_any_spoilt_byte_of_a_zip_is_its_fault(tmp_path: Path) -> None:
    """Lengths, offsets, names in UTF-8, flags, methods: whatever `zipfile` makes of them."""
    sound = zipped({"a.obj": files.obj(), "ä.png": b"x"})
    path = tmp_path / "a.zip"
    refused = 0
    for seed in range(300):
        dice, data = random.Random(seed), bytearray(sound)
        for _ in range(dice.choice((1, 2, 3))):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 255, dice.randrange(256)))
        path.write_bytes(data)
        try:
            read_scene(path)
        except InvalidInput:
            refused += 1
    assert refused > 100


# ---------------------------------------------------------------- 3MF


def model(resources: str, build: str = '<item objectid="1"/>', head: str = "", unit: str = "millimeter") -> str:
    return f'{head}<model unit="{unit}" {_CORE}><resources>{resources}</resources><build>{build}</build></model>'


def solid(*, x: str = "0") -> str:
    places = f'<vertex x="{x}" y="0" z="0"/><vertex x="1" y="0" z="0"/><vertex x="0" y="1" z="0"/>'
    faces = '<triangle v1="0" v2="1" v3="2"/>'
    return f'<object id="1"><mesh><vertices>{places}</vertices><triangles>{faces}</triangles></mesh></object>'


def three_mf(text: str, encoding: str = "utf-8") -> bytes:
    return zipped({"3D/3dmodel.model": f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE m [<!ENTITY a "0">]>',
        # Each vertex would have it.
        f'<!--{" " * 70_000}--><!DOCTYPE m [<!ATTLIST vertex q CDATA "{"y" * 100_000}">]>',
    ],
    ids=["entity", "default attribute far behind"],
)
def test_a_3mf_with_a_document_type_is_refused_in_any_encoding(tmp_path: Path, head: str, encoding: str) -> None:
    x = "&a;" if "ENTITY" in head else "0"
    assert "document type" in refusal(tmp_path, "a.3mf", three_mf(model(solid(x=x), head=head), encoding))


def test_a_3mf_whose_groups_multiply_is_refused(tmp_path: Path) -> None:
    """Ten in each of ten, and so on, of which none has a triangle: nobody would see the end of it."""
    groups = '<object id="g0"><components/></object>'
    for level in range(1, 15):
        inside = f'<component objectid="g{level - 1}"/>' * 10
        groups += f'<object id="g{level}"><components>{inside}</components></object>'
    build = '<item objectid="1"/><item objectid="g14"/>'
    assert "more than 2,000 parts" in refusal(tmp_path, "a.3mf", three_mf(model(solid() + groups, build)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (model(solid().replace('v1="0"', 'v1="99999999999999999999999"')), "its model is broken: OverflowError"),
        (model(solid(), '<item objectid="1" transform="nan 0 0 0 1 0 0 0 1 0 0 0"/>'), "a transform with numbers"),
        (model(solid(), '<item objectid="1" transform="1e308 0 0 0 1 0 0 0 1 0 0 0"/>'), "a transform with numbers"),
        (model(solid(x="1e308")), "coordinates beyond"),
        (model(solid(), unit="furlong"), "a unit 'furlong', want one of"),
    ],
    ids=["index", "nan", "endless", "far", "unit"],
)
def test_numbers_of_a_3mf_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, "a.3mf", three_mf(text))
