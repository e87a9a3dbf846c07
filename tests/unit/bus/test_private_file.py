"""Files that hold a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.bus.private_file import write_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_for_this_user_alone_also_where_it_was_open(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("a longer former text")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_who_has_it_open_reads_the_former_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "former")
    with path.open() as reader:
        write_private(path, "new")
        assert reader.read() == "former"


def test_what_a_link_leads_to_stays_as_it_is(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "secret"
    other.write_text("of somebody")
    other.chmod(0o644)
    path.symlink_to(other)
    write_private(path, "new")
    assert (other.read_text(), mode(other)) == ("of somebody", 0o644)
    assert path.read_text() == "new" and not path.is_symlink()


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(OSError):
        write_private(tmp_path / "secret", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
