"""The wheel with the packages it requires and no other: a producer works, and commands say what they lack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pocket3d.bus.client import Client
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.version import VERSION
from support.base_install import install, python_in

PRODUCER = """
import asyncio, pathlib, sys
from pocket3d.bus.client import Client
import pocket3d.bus.sync

async def main():
    async with Client.connect(sys.argv[1]) as client:
        job = await client.submit("image_to_mesh", {"image_path": pathlib.Path(sys.argv[2])}, job_id="cat-1")
        print(job)

asyncio.run(main())
"""
MAIN = "import sys; from pocket3d.ops.entry_point import main; sys.argv[0] = 'pocket3d'; main()"


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed") / "base")


@pytest.fixture(scope="module")
def with_cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed") / "cli", frozenset({"cli"}))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(tmp_path / "store", http_port=None) as running:
        yield running


def test_it_holds_four_packages_and_what_they_need(base: Path) -> None:
    tops = {path.name for path in base.iterdir() if "." not in path.name}
    assert {"pocket3d", "nats", "nkeys", "msgspec", "structlog"} <= tops
    assert not tops & {"click", "rich", "yaml", "jsonschema", "referencing", "torch", "numpy"}


@pytest.mark.e2e
async def test_a_producer_needs_nothing_else(base: Path, server: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    async with Client.connect(server.url) as client:
        await client.bus.ensure(build(client.subjects, TopologySettings()))
        ran = await asyncio.to_thread(python_in, base, "-c", PRODUCER, server.url, str(tmp_path / "cat.png"))
        assert (ran.stdout, ran.stderr) == ("JobHandle('cat-1', feature='image_to_mesh')\n", "")
        assert await client.bus.last_seq(client.subjects.jobs_stream) == 1


@pytest.mark.parametrize("arguments", [(), ("--version",), ("submit", "echo")])
def test_the_command_line_says_which_extra_it_needs(base: Path, arguments: tuple[str, ...]) -> None:
    ran = python_in(base, "-c", MAIN, *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: this command needs the Python package click, which is not installed here: "
        "in a checkout, pip install '.[cli]'\n"
    )


@pytest.mark.parametrize("arguments", [("up", "--gateway-port", "0"), ("demo", "--keep"), ("gateway",)])
def test_what_serves_http_says_which_extra_it_needs(with_cli: Path, arguments: tuple[str, ...]) -> None:
    ran = python_in(with_cli, "-c", MAIN, *arguments)
    assert ran.returncode == 2
    assert "in a checkout, pip install '.[gateway]'" in ran.stderr


def test_the_extra_of_the_command_line_is_enough_for_people_s_commands(with_cli: Path) -> None:
    assert python_in(with_cli, "-c", MAIN, "--version").stdout == f"pocket3d {VERSION}\n"
    refused = python_in(with_cli, "-c", MAIN, "submit", "echo", "-s", "nats://127.0.0.1:1")
    assert (refused.returncode, "no NATS server at" in refused.stderr) == (6, True)


@pytest.mark.e2e
@pytest.mark.parametrize(("words", "code"), [(("adapters", "list"), 0), (("agent", "-s", "nats://127.0.0.1:1"), 6)])
def test_services_start_without_what_models_need(with_cli: Path, words: tuple[str, ...], code: int) -> None:
    ran = python_in(with_cli, "-c", MAIN, *words)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
