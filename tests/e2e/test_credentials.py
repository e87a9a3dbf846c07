"""Who we are reaches the server from every command, and a refusal says what to give."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nkeys
import pytest

from pocket3d.bus.nats_server.embedded import find_server
from support.command_line import eventually, pocket3d

#: They share a server: in one process.
pytestmark = pytest.mark.xdist_group("credentials")

PASSWORD = "correct-horse"


class Guarded:
    """A nats-server that lets nobody in without credentials."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        pair = nkeys.from_seed(nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER))
        self.seed = folder / "user.nk"
        self.seed.write_bytes(bytes(pair.seed))
        config = folder / "nats.conf"
        config.write_text(
            f"host: 127.0.0.1\nport: {self.port}\njetstream {{ store_dir: {folder}/store }}\n"
            f"authorization {{ users: [ {{ user: bob, password: {PASSWORD} }}\n"
            f"{{ nkey: {pair.public_key.decode()} }} ] }}\n"
        )
        self.process = subprocess.Popen([str(find_server()), "-c", str(config)], stderr=subprocess.DEVNULL)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = Guarded(tmp_path_factory.mktemp("guarded"))
    eventually(server.listens, 20, "the server listens")
    yield server
    server.process.terminate()
    server.process.wait(20)


def test_without_credentials_the_refusal_says_what_to_give(guarded: Guarded) -> None:
    ran = pocket3d("topology", "-s", guarded.url)
    assert ran.code == 1
    assert "refuses this client (none)" in ran.err
    assert "--creds, --nkey" in ran.err


def test_a_wrong_password_is_refused_and_not_shown(guarded: Guarded) -> None:
    ran = pocket3d("topology", "-s", guarded.url, NATS_USER="bob", NATS_PASSWORD="guess-work")
    assert ran.code == 1
    assert "guess-work" not in ran.err


@pytest.mark.parametrize("way", ["environment", "url", "nkey", "context"])
def test_every_way_of_the_nats_cli_is_let_in(guarded: Guarded, tmp_path: Path, way: str) -> None:
    arguments = ["-s", guarded.url]
    env: dict[str, Any] = {}
    if way == "environment":
        env = {"NATS_USER": "bob", "NATS_PASSWORD": PASSWORD}
    elif way == "url":
        arguments = ["-s", guarded.url.replace("//", f"//bob:{PASSWORD}@")]
    elif way == "nkey":
        arguments += ["--nkey", str(guarded.seed)]
    else:
        folder = tmp_path / "nats" / "context"
        folder.mkdir(parents=True)
        (folder / "farm.json").write_text(f'{{"url": "{guarded.url}", "user": "bob", "password": "{PASSWORD}"}}')
        arguments, env = ["--context", "farm"], {"XDG_CONFIG_HOME": str(tmp_path)}
    ran = pocket3d("topology", *arguments, **env)
    assert ran.code == 0, ran
    doctor = pocket3d("doctor", "--store", str(tmp_path), *arguments, **env)
    assert "connection" in doctor.out
    assert PASSWORD not in ran.out + ran.err + doctor.out + doctor.err
