"""Who may use the facades, told in each one's own shape."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

pytest.importorskip("litestar")

from pocket3d.bus.client import Client
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.topology import build
from pocket3d.contracts.subjects import Subjects
from pocket3d.ops.gateway.app import create_app
from pocket3d.ops.gateway.session import Session
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.tokens import read_tokens
from support.asgi import Http

MAKES = ("/generate", "/send", "/3d/generations", "/v1/meshes", "/api/v1/auto-rigging/generate-rig")
#: Path -> the key that each error of its facade has.
LOOKS = {
    "/status/x": "error_code",
    "/v1/meshes": "detail",
    "/v1/meshes/mesh_x/content": "detail",
    "/generated-3d/x.glb": "error",
    "/api/v1/system/jobs/x": "detail",
    "/api/v1/system/models": "detail",
}


def app() -> Any:
    server = MemoryServer()
    server.ensure(build(Subjects()))
    lines = f"{hashlib.sha256(b'reader').hexdigest()} studio read"
    settings = GatewaySettings()
    return create_app(Session(Client(MemoryBus(server)), settings, read_tokens(lines)), settings)


async def test_without_a_token_nothing_is_told() -> None:
    http = Http(app())
    for path, key in LOOKS.items():
        answer = await http.ask("GET", path)
        assert (answer.status, key in answer.json()) == (401, True), path
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in MAKES:
        assert (await http.ask("POST", path, {})).status == 401, path


async def test_whoever_may_read_makes_nothing() -> None:
    http = Http(app(), {"authorization": "Bearer reader"})
    for path in MAKES:
        assert (await http.ask("POST", path, {})).status == 403, path
    assert (await http.ask("DELETE", "/v1/meshes/mesh_x")).status == 403
    assert (await http.ask("DELETE", "/api/v1/system/jobs/x")).status == 403


async def test_whether_a_token_is_wanted_is_told_to_everybody() -> None:
    auth = (await Http(app()).ask("GET", "/api/v1/system/auth-status")).json()
    assert (auth["api_key_required"], auth["mode"], auth["user_auth_enabled"]) == (True, "api_key", False)


async def test_an_unknown_path_of_a_facade_is_told() -> None:
    http = Http(app(), {"authorization": "Bearer reader"})
    assert (await http.ask("POST", "/api/v1/users/login", {})).status == 404
    assert (await http.ask("GET", "/generate")).status == 405
