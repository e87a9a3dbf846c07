"""Names of files from elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.bus.client.file_names import safe_name, safe_paths
from pocket3d.contracts.jobs import check_filename


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat.png", "cat.png"),
        ("Ähre 1.glb", "Ähre 1.glb"),
        ("a/b\\c:d.png", "a_b_c_d.png"),
        ("..", "file"),
        ("...png", "png"),
        (".hidden", "hidden"),
        ("a..b..png", "a.b.png"),
        ("", "file"),
        ("  ", "file"),
        ("NUL", "_NUL"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("a\nb\x7f.png", "a_b_.png"),
        ("x" * 300 + ".glb", "x" * 196 + ".glb"),
        ("ü" * 150 + ".glb", "ü" * 98 + ".glb"),
    ],
)
def test_safe_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_every_safe_name_may_be_sent_and_stays_as_it_is(name: str) -> None:
    safe = safe_name(name)
    check_filename("filename", safe)
    assert safe_name(safe) == safe


@given(st.lists(st.text(alphabet="ab/.\\ A-2", max_size=8), max_size=12))
def test_paths_are_relative_and_differ(names: list[str]) -> None:
    paths = safe_paths(names)
    texts = [path.as_posix().casefold() for path in paths]
    assert len(set(texts)) == len(names)
    for path in paths:
        assert not path.is_absolute()
        assert ".." not in path.parts
    # No file lies where another one needs a folder.
    for path in paths:
        assert not {parent.as_posix().casefold() for parent in path.parents} & set(texts)
