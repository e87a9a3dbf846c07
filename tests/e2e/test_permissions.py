"""The permissions on the operators' page are enough, as they stand there, and nothing runs into them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.command_line import command, environment, eventually, pocket3d
from support.nats_fixture import NatsProcess
from support.pages import ROOT, permissions

AGENT = "gpu-07"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsProcess]:
    users = [
        f'{{ user: "{user}", password: "{user}", permissions: {{ {block} }} }}' for user, block in permissions().items()
    ]
    (tmp_path / "server").mkdir()
    server = NatsProcess(tmp_path / "server", more_config=f"authorization {{ users: [ {', '.join(users)} ] }}")
    server.start()
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    for user in permissions():
        body = {"url": server.url, "user": user, "password": user, "inbox_prefix": f"_INBOX_{user}"}
        (folder / f"{user}.json").write_text(json.dumps(body))
    yield server
    server.stop()


def test_there_is_a_block_for_each_role() -> None:
    assert set(permissions()) == {"producer", AGENT, "coordinator"}


def test_a_job_with_files_crosses_a_system_under_these_permissions(server: NatsProcess, tmp_path: Path) -> None:
    config, state = str(tmp_path), str(tmp_path / "state")
    with ExitStack() as running, (tmp_path / "log").open("wb") as log:
        for role in (
            ("coordinator", "--context", "coordinator"),
            ("agent", "--context", AGENT, "--agent-id", AGENT, "--devices", "cpu:4096"),
        ):
            part = subprocess.Popen(
                command(*role), env=environment(XDG_CONFIG_HOME=config, POCKET3D_STATE=state), stdout=log, stderr=log
            )
            running.callback(part.wait, 60)
            running.callback(part.terminate)
        eventually(lambda: b"leading" in (tmp_path / "log").read_bytes(), 60, "a coordinator leads")
        photo = ROOT / "examples" / "photos" / "coffee.png"
        words = (
            "image_to_mesh",
            f"image_path={photo}",
            "--wait",
            "--timeout",
            "100",
            "--download",
            str(tmp_path / "out"),
            "--job-id",
            "photo",
        )
        ran = pocket3d("submit", *words, "--context", "producer", timeout=150, XDG_CONFIG_HOME=config)
        assert ran.code == 0, f"{ran}\n{(tmp_path / 'log').read_text()}\n{violations(server)}"
        assert list((tmp_path / "out").rglob("*.glb"))
        more = ("mesh_conversion", "mesh_path=@photo", "output_format=stl", "--wait", "--timeout", "100", "--json")
        ran = pocket3d("submit", *more, "--context", "producer", timeout=150, XDG_CONFIG_HOME=config)
        assert ran.code == 0, f"{ran}\n{(tmp_path / 'log').read_text()}\n{violations(server)}"
        assert json.loads(ran.out)["artifacts"][0]["name"].endswith(".stl")
    assert violations(server) == []


def test_who_may_not_is_told_once_and_in_words(server: NatsProcess, tmp_path: Path) -> None:
    ran = pocket3d("topology", "--context", "producer", XDG_CONFIG_HOME=str(tmp_path))
    assert ran.code == 1
    said = ran.err.splitlines()
    assert said[0].startswith("error: this user may not publish to '$JS.API.STREAM.") and len(said) == 2, ran
    assert "credentials" not in ran.err and "docs/operating.md" in said[1]


def violations(server: NatsProcess) -> list[str]:
    return [line for line in (server.folder / "nats.log").read_text().splitlines() if "iolation" in line]
