"""The contexts that `pocket3d up` writes for the nats CLI."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog.testing

from pocket3d.bus.connect import resolve
from pocket3d.ops.up.nats_contexts import write_contexts

SERVER: Any = SimpleNamespace(url="nats://127.0.0.1:4333", system_password="s3cret")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_both_are_written_for_their_owner_alone_and_renewed(environ: dict[str, str], tmp_path: Path) -> None:
    other: Any = SimpleNamespace(url="nats://127.0.0.1:4222", system_password="former")
    write_contexts(other, environ)
    write_contexts(SERVER, environ)
    files = sorted((tmp_path / "nats" / "context").iterdir())
    assert [(file.name, file.stat().st_mode & 0o777) for file in files] == [
        ("pocket3d-sys.json", 0o600),
        ("pocket3d.json", 0o600),
    ]
    plain, system = (resolve(context=name, environ=environ) for name in ("pocket3d", "pocket3d-sys"))
    assert plain.servers == system.servers == ("nats://127.0.0.1:4333",)
    assert plain.auth_kind == "none" and (system.user, system.password) == ("sys", "s3cret")


@pytest.mark.parametrize("body", ['{"description": "mine", "url": "nats://mine:1"}', "{", "[]", "{}"])
def test_somebodys_own_context_is_left_as_it_is(environ: dict[str, str], tmp_path: Path, body: str) -> None:
    mine = tmp_path / "nats" / "context" / "pocket3d.json"
    mine.parent.mkdir(parents=True)
    mine.write_text(body)
    with structlog.testing.capture_logs() as lines:
        write_contexts(SERVER, environ)
    assert mine.read_text() == body
    assert [(line["log_level"], line["context"]) for line in lines] == [
        ("warning", "pocket3d"),
        ("info", "pocket3d-sys"),
    ]
    assert "s3cret" not in json.dumps(lines)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "nats").write_text("a file where a folder should be")
    with structlog.testing.capture_logs() as lines:
        write_contexts(SERVER, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert {line["log_level"] for line in lines} == {"warning"}
