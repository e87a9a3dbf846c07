"""Folders of dead lives go, those of living ones stay; and what kind of file something is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pocket3d.gpu_agents.io.file_kinds import media_type, suffix_of
from pocket3d.gpu_agents.io.job_folders import JobFolders, WorkFolder
from pocket3d.gpu_agents.workers.folder_removal import remove_tree
from support.fleet_processes import until


@contextmanager
def no_more_than_a_user(place: Path) -> Generator[None, None, None]:
    """Without root's right to write everywhere, if the tests have it; `place` is then the user's own."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(place, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@asynccontextmanager
async def tidying(folders: JobFolders) -> AsyncGenerator[None, None]:
    task = asyncio.create_task(folders.tidy())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


def test_a_new_life_removes_what_dead_ones_left_and_nothing_else(tmp_path: Path) -> None:
    living = WorkFolder(tmp_path, "1-a")
    living.open()
    living.worker("w1").mkdir(parents=True)
    dead = tmp_path / "0-z"
    (dead / "jobs").mkdir(parents=True)
    (dead / "lock").touch()
    foreign = tmp_path / "something"
    foreign.mkdir()
    new = WorkFolder(tmp_path, "2-b")
    new.open()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1-a", "2-b", "something"]
    assert living.worker("w1").is_dir()
    living.close()
    new.close()
    assert [each.name for each in tmp_path.iterdir()] == ["something"]


def test_nobody_else_may_look_into_a_life(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        life = WorkFolder(tmp_path / "lives", "1-a")
        life.open()
        assert life.path.stat().st_mode & 0o777 == 0o700
        life.close()
    finally:
        os.umask(before)


async def test_a_burst_of_jobs_gets_folders_of_their_own_and_leaves_none(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path / "jobs")
    tokens = [f"5-{n}" for n in range(50)]
    homes = [Path(home) for home in await asyncio.gather(*(folders.take(token) for token in tokens))]
    assert len(set(homes)) == 50
    assert all((home / "in").is_dir() and (home / "out").is_dir() for home in homes)
    assert folders.home("5-7") == str(homes[7])
    (homes[7] / "out" / "mesh.glb").write_bytes(b"x")
    async with tidying(folders):
        for token in [*tokens, "unknown"]:
            folders.give_back(token)
        await until(lambda: not any(home.exists() for home in homes), 10)
    with pytest.raises(KeyError):
        folders.home("5-7")


async def test_an_empty_folder_serves_again_under_another_name_and_a_used_one_does_not(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path / "jobs")
    homes = {token: Path(await folders.take(token)) for token in ("empty", "used")}
    (homes["used"] / "out" / "mesh.glb").write_bytes(b"x")
    numbers = {token: home.stat().st_ino for token, home in homes.items()}
    taken = [folders.take_now(f"t{n}") for n in range(20)]
    assert None in taken, "all that were ready are taken"
    async with tidying(folders):
        for token in homes:
            folders.give_back(token)
        await until(lambda: folders.take_now("next"), 10)
    again = Path(folders.home("next"))
    assert again.stat().st_ino == numbers["empty"] and again != homes["empty"]
    assert not any(home.exists() for home in homes.values())
    assert sorted(each.name for each in again.iterdir()) == ["in", "out"]


def _replaced_by_a_link(home: Path) -> None:
    (home / "out").rmdir()
    (home.parent / "elsewhere").mkdir()
    (home / "out").symlink_to(home.parent / "elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda home: (home / "notes.txt").write_text("of one job"),
        lambda home: (home / "out").chmod(0o500),
        lambda home: (home / "in").chmod(0o600),
        _replaced_by_a_link,
    ],
    ids=["a file beside", "read-only", "closed", "a link"],
)
async def test_a_folder_that_a_job_changed_serves_no_other(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    folders = JobFolders(tmp_path / "jobs")
    home = Path(await folders.take("first"))
    spoil(home)
    others = [folders.take_now(f"t{n}") for n in range(20)]
    assert None in others, "all that were ready are taken"
    async with tidying(folders):
        folders.give_back("first")
        await until(lambda: folders.take_now("next"), 10)
        assert not home.exists()
    again = Path(folders.home("next"))
    assert sorted(each.name for each in again.iterdir()) == ["in", "out"]
    assert all(each.lstat().st_mode & 0o40700 == 0o40700 for each in again.iterdir()), "folders, and this user's"


def test_folders_that_nobody_may_write_to_are_removed() -> None:
    with TemporaryDirectory() as place, no_more_than_a_user(Path(place)):
        folder = Path(place, "work")
        (folder / "store" / "package").mkdir(parents=True)
        (folder / "store" / "package" / "file").write_text("x")
        outside = Path(place, "outside")
        outside.mkdir(mode=0o500)
        (folder / "store" / "link").symlink_to(outside)
        for each, mode in ((folder / "store" / "package", 0o500), (folder / "store", 0o000), (folder, 0o500)):
            each.chmod(mode)
        remove_tree(folder)
        assert not folder.exists()
        assert outside.stat().st_mode & 0o777 == 0o500, "what a link points to is not ours"


async def test_a_folder_that_cannot_be_made_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_bytes(b"a file")
    with pytest.raises(OSError):
        await JobFolders(tmp_path / "jobs").take("5-1")


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n...", ".png"),
        (b"\xff\xd8\xff\xe0", ".jpg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", ".webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", ""),
        (b"glTF\x02\x00\x00\x00", ".glb"),
        (b'{"asset": {"version": "2.0"}}', ".gltf"),
        (b"ply\nformat ascii 1.0\n", ".ply"),
        (b"solid cube\n", ".stl"),
        (b"# made by x\nmtllib a.mtl\nv 1.0 2.0 3.0\n", ".obj"),
        (b"GIF89a", ".gif"),
        (b"BM\x36", ".bmp"),
        (b"II*\x00", ".tif"),
        (b"MM\x00*", ".tif"),
        (b"Kaydara FBX Binary  \x00", ".fbx"),
        (b"ply\r\nformat ascii 1.0\r\n", ".ply"),
        (b"PK\x03\x04", ".zip"),
        (b"\x93NUMPY", ".npy"),
        (b"BLENDER-v300", ".blend"),
        (b"; FBX 7.3.0 project file", ".fbx"),
        (b'<?xml version="1.0"?>\n<COLLADA xmlns="">', ".dae"),
        (b'{"vertices": []}', ""),
        (b" \n solid cube\n", ".stl"),
        (b"v 1.0 2.0 3.0", ".obj"),
        (b"v 1.0 2.0\n", ""),
        (b"vn 0 0 1\nvt 0 0 0\n", ""),
        (b"#\n" * 19 + b"v 1 2 3\n", ".obj"),
        (b"#\n" * 20 + b"v 1 2 3\n", ""),
        (b"hello", ""),
        (b"to whom it may concern\n", ""),
        (b"", ""),
    ],
)
def test_suffix_by_first_bytes(head: bytes, suffix: str) -> None:
    assert suffix_of(head) == suffix


def test_media_types() -> None:
    assert media_type("a/b.GLB") == "model/gltf-binary"
    assert media_type("noise") == "application/octet-stream"
    assert media_type("a.fbx") == media_type("a.splat") == "application/octet-stream"
    assert {media_type(name) for name in ("a.jpg", "a.JPEG")} == {"image/jpeg"}
