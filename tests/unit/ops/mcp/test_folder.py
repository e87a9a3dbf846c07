"""The folder of the tools: nothing outside of it is named, opened or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.ops.mcp.folder import Folder, FolderError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "mine"
    (root / "sub").mkdir(parents=True)
    (root / "cat.png").write_bytes(b"cat")
    (root / "sub" / "dog.png").write_bytes(b"dog")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.txt")
    (root / "inner.png").symlink_to(root / "cat.png")
    (root / "out").symlink_to(tmp_path)
    return Folder(root)


def test_files_in_it_are_found_by_their_names(folder: Folder) -> None:
    assert folder.file("cat.png").read_bytes() == b"cat"
    assert folder.file("sub/dog.png").read_bytes() == b"dog"
    assert folder.file("sub\\dog.png") == folder.file("sub/dog.png")
    assert folder.relative(folder.file("sub/dog.png")) == "sub/dog.png"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "sub",
        "../secret.txt",
        "sub/../../secret.txt",
        "..\\secret.txt",
        "/etc/passwd",
        "C:\\secret.txt",
        "file:///etc/passwd",
        "cat.png\0.png",
        "nothing.png",
        "link.png",
        "inner.png",
        "out/secret.txt",
        "~/secret.txt",
    ],
)
def test_what_is_not_in_it_is_refused(folder: Folder, name: str) -> None:
    with pytest.raises(FolderError):
        folder.file(name)


def test_a_folder_may_be_reached_through_a_link(tmp_path: Path, folder: Folder) -> None:
    (tmp_path / "alias").symlink_to(folder.root)
    assert Folder(tmp_path / "alias").file("cat.png") == folder.file("cat.png")


def test_nothing_is_written_through_a_link(folder: Folder, tmp_path: Path) -> None:
    assert folder.for_job("job-1") == folder.root
    (folder.root / "job-2").symlink_to(tmp_path)
    with pytest.raises(FolderError, match="link"):
        folder.for_job("job-2")
    (folder.root / "job-3").mkdir()
    assert folder.for_job("job-3") == folder.root
    (folder.root / "job-3" / "textures").symlink_to(tmp_path)
    with pytest.raises(FolderError, match="link"):
        folder.for_job("job-3")


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is not a folder"):
        Folder(tmp_path / "nothing")
