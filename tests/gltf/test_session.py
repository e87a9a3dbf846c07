"""What the session's validator takes, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support import glb_session
from support.glb_session import GlbSession, chosen

pytestmark = pytest.mark.broken_glb("files of that name that are no GLB")


def make(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_equal_files_are_taken_once_and_large_ones_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glb_session, "MOST_BYTES", 10)
    monkeypatch.setattr(glb_session, "MOST_BYTES_TOGETHER", 16)
    contents = {"a": b"1234", "b": b"1234", "c": b"123456", "d": b"1234567", "e": b"12345678901"}
    files = {name: make(tmp_path / name, content) for name, content in contents.items()}
    assert chosen(files.values()) == ([files["a"], files["c"]], 2)


def answers(errors: dict[str, int]) -> Any:
    """A validator that finds so many errors in the files whose folders are named."""

    def validate(files: list[Path]) -> list[str]:
        return [
            json.dumps({"file": str(file), "errors": errors.get(file.parent.name, 0), "messages": ["BAD at /x: why"]})
            for file in files
        ]

    return validate


def ended(test: str, folder: Path, *, broken: bool = False) -> Any:
    marker = object() if broken else None
    return SimpleNamespace(nodeid=test, funcargs={"tmp_path": folder}, get_closest_marker=lambda name: marker)


def test_an_error_is_told_with_its_file_and_test(tmp_path: Path) -> None:
    for folder in ("one0/out", "two0", "shared0"):
        make(tmp_path / folder / "generated_mesh_x.glb", folder.encode())
    make(tmp_path / "one0" / "input.glb", b"not written by an adapter")
    session = GlbSession(answers({"out": 2}))
    session.pytest_runtest_teardown(ended("test_a.py::test_one", tmp_path / "one0"))
    session.heard({str(tmp_path / "two0"): "test_a.py::test_two"})
    assert not session.judge(tmp_path)
    assert "3 files of 3" in session.said[0] and "2 errors" in session.said[0]
    assert "test_a.py::test_one" in session.said[1] and "BAD at /x: why" in session.said[1]
    assert str(tmp_path / "one0" / "out") in session.said[1]


def test_what_is_broken_on_purpose_is_left_out(tmp_path: Path) -> None:
    make(tmp_path / "one0" / "generated_mesh_x.glb")
    session = GlbSession(answers({"one0": 1}))
    session.pytest_runtest_teardown(ended("test_a.py::test_one", tmp_path / "one0", broken=True))
    assert session.judge(tmp_path) and session.said == []


@pytest.mark.parametrize(
    ("lines", "sound"), [(["Node.js is not installed here"], True), (['{"errors": 0}', "out of memory"], False)]
)
def test_a_validator_that_is_not_there_is_told_and_one_that_ends_early_fails(
    lines: list[str], sound: bool, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        make(tmp_path / name / "generated_mesh_x.glb", name.encode())
    session = GlbSession(lambda files: lines)
    assert session.judge(tmp_path) == sound
    assert session.said == [f"glTF validator: left out: {'; '.join(lines)}"]


@pytest.mark.parametrize("errors", [0, 1])
def test_errors_fail_the_session_and_other_processes_only_tell(errors: int, tmp_path: Path) -> None:
    make(tmp_path / "one0" / "generated_mesh_x.glb")
    config = SimpleNamespace(_tmp_path_factory=SimpleNamespace(_basetemp=tmp_path))
    session = SimpleNamespace(config=config, exitstatus=0)
    GlbSession(answers({"one0": errors})).pytest_sessionfinish(session)
    assert session.exitstatus == errors
    config.workeroutput = {}
    other = GlbSession(answers({"one0": 1}))
    other.pytest_runtest_teardown(ended("test_a.py::test_one", tmp_path / "one0"))
    other.pytest_sessionfinish(session)
    assert config.workeroutput["glb_tests"] == {str(tmp_path / "one0"): "test_a.py::test_one"}
