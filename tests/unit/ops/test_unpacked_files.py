"""Archives of recipes: programs that upstream publishes ready-made."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.recipe import File
from pocket3d.ops.installer.fetch import FetchError, is_whole, take_file, unpack
from pocket3d.ops.installer.steps import FetchFile


def archive(path: Path, names: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as made:
        for name, data in names.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            made.addfile(entry, io.BytesIO(data))


def step(folder: Path) -> FetchFile:
    file = File(url="https://example.org/tool.tar.gz", path="downloads/tool.tar.gz", size_mb=1, unpack="program")
    return FetchFile(file=file, target=str(folder / file.path), folder=str(folder / "program"))


def test_an_archive_is_unpacked_and_removed(tmp_path: Path) -> None:
    given, model = tmp_path / "given", tmp_path / "model"
    given.mkdir()
    archive(given / "tool.tar.gz", {"tool-server": b"#!/bin/true\n", "lib/libtool.so": b"x"})
    asked = step(model)
    assert asked.says() == f"https://example.org/tool.tar.gz, 1 MB unpacked into {model}/program"
    assert not is_whole(asked)
    take_file(asked, given, model)
    assert not is_whole(asked)
    unpack(asked)
    assert is_whole(asked)
    assert (model / "program" / "tool-server").stat().st_mode & 0o100
    assert (model / "program" / "lib" / "libtool.so").read_bytes() == b"x"
    assert not (model / "downloads" / "tool.tar.gz").exists()
    # What a person has elsewhere stays.
    assert (given / "tool.tar.gz").exists()


@pytest.mark.parametrize("names", [{"../outside": b""}, {"lib/../../outside": b""}])
def test_nothing_is_written_outside_its_folder(tmp_path: Path, names: dict[str, bytes]) -> None:
    asked = step(tmp_path)
    Path(asked.target).parent.mkdir()
    archive(Path(asked.target), names)
    with pytest.raises(FetchError, match="cannot be unpacked"):
        unpack(asked)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["downloads"]


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    asked = step(tmp_path)
    Path(asked.target).parent.mkdir()
    Path(asked.target).write_bytes(b"<html>not found</html>")
    with pytest.raises(FetchError, match=r"tool\.tar\.gz cannot be unpacked"):
        unpack(asked)
    assert not is_whole(asked)
