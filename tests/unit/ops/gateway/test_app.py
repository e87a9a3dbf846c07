"""The application around the routes: who is let in, what errors look like, what a browser must not be led to."""

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
from pocket3d.ops.gateway.origins import refusal
from pocket3d.ops.gateway.session import Session
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.tokens import Tokens, read_tokens
from support.asgi import Http


def app_of(tokens: Tokens | None = None, **settings: Any) -> Any:
    server = MemoryServer()
    server.ensure(build(Subjects()))
    found = GatewaySettings(**settings)
    return create_app(Session(Client(MemoryBus(server)), found, tokens or Tokens()), found)


async def test_health_and_readiness_differ() -> None:
    http = Http(app_of())
    answer = await http.ask("GET", "/health")
    assert (answer.status, answer.json()["status"]) == (200, "healthy")
    assert (await http.ask("HEAD", "/health")).status == 200
    assert (await http.ask("HEAD", "/")).status == 200
    answer = await http.ask("GET", "/ready")
    assert answer.status == 503
    assert "no coordinator answered" in answer.json()["error"]["message"]


async def test_an_unknown_path_is_an_error_in_json() -> None:
    answer = await Http(app_of()).ask("GET", "/v1/nothing")
    assert (answer.status, answer.json()["error"]["code"]) == (404, 404)


async def test_a_page_that_is_not_there_says_so_and_no_path_leaves_its_folder() -> None:
    http = Http(app_of())
    assert (await http.ask("GET", "/")).status == 200
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/etc/passwd", "//etc/passwd"):
        assert (await http.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("method", "host", "origin", "taken"),
    [
        ("GET", "127.0.0.1:8080", None, True),
        ("GET", "localhost", None, True),
        ("GET", "[::1]:8080", None, True),
        ("GET", "evil.example", None, False),
        ("GET", "127.0.0.1.evil.example", None, False),
        ("POST", "127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("POST", "127.0.0.1:8080", "https://evil.example", False),
        ("POST", "127.0.0.1:8080", "http://127.0.0.1:9999", False),
        ("POST", "127.0.0.1:8080", "null", False),
        ("POST", "127.0.0.1:8080", "https://studio.example", True),
        ("GET", "gpu-box:8080", None, True),
    ],
)
def test_which_hosts_and_origins_are_taken(method: str, host: str, origin: str | None, taken: bool) -> None:
    assert (refusal(method, host, origin, ["https://studio.example"], ["gpu-box"]) is None) is taken


async def test_another_site_s_page_is_refused() -> None:
    http = Http(app_of())
    assert (await http.ask("GET", "/health", headers={"host": "evil.example"})).status == 403
    answer = await http.ask("POST", "/v1/agents/a/drain", b"{}", {"origin": "https://evil.example"})
    assert (answer.status, "evil.example" in answer.json()["error"]["message"]) == (403, True)


async def test_without_a_known_token_nothing_but_health_is_answered() -> None:
    tokens = read_tokens(f"{hashlib.sha256(b'open sesame').hexdigest()} studio read")
    http = Http(app_of(tokens))
    assert (await http.ask("GET", "/health")).status == 200
    answer = await http.ask("GET", "/v1/features")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await http.ask("GET", "/v1/features", headers={"authorization": "Bearer guess"})).status == 401
    assert (await http.ask("GET", "/v1/features?access_token=open%20sesame")).status == 401
    known = {"authorization": "Bearer open sesame"}
    assert (await http.ask("POST", "/v1/agents/a/drain", b"{}", known)).status == 403


async def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    http = Http(app_of(rate_burst=2, rate_per_s=0.5))
    answers = [await http.ask("POST", "/v1/agents/no.id/drain") for _ in range(3)]
    assert [answer.status for answer in answers] == [400, 400, 429]
    assert answers[2].headers["retry-after"] == "2"
    assert (await Http(http.app, address="10.0.0.9").ask("POST", "/v1/agents/no.id/drain")).status == 400


async def test_what_is_not_served_is_named() -> None:
    http = Http(app_of())
    answer = await http.ask("GET", "/v1/nothing")
    assert (answer.status, "/v1/nothing" in answer.json()["error"]["message"]) == (404, True)
    answer = await http.ask("PUT", "/v1/jobs")
    assert (answer.status, answer.json()["error"]["message"].split(";")[0]) == (405, "PUT is not what /v1/jobs takes")
