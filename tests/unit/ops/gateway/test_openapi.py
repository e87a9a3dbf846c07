"""The description of the routes: all of them, in the wire's shapes, and a page that loads nothing from elsewhere."""

from __future__ import annotations

import re
from typing import Annotated, Any

import jsonschema
import pytest

pytest.importorskip("litestar")

from litestar.params import PathParameter, QueryParameter

from pocket3d.bus.client import Client
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.ops.gateway.app import create_app
from pocket3d.ops.gateway.openapi import RouteText, document
from pocket3d.ops.gateway.session import Session
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.tokens import Tokens
from support.asgi import Http


def http() -> Http:
    settings = GatewaySettings()
    return Http(create_app(Session(Client(MemoryBus(MemoryServer())), settings, Tokens()), settings))


async def described() -> dict[str, Any]:
    answer = await http().ask("GET", "/openapi.json")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def test_every_route_is_described_with_its_right_and_shape() -> None:
    found = await described()
    assert found["openapi"].startswith("3.1")
    rights = {(path, method): each["x-right"] for path, on in found["paths"].items() for method, each in on.items()}
    wanted = {
        ("/v1/jobs", "post"): "submit",
        ("/v1/jobs", "get"): "read",
        ("/v1/jobs/{job_id}", "get"): "read",
        ("/v1/jobs/{job_id}", "delete"): "submit",
        ("/v1/jobs/{job_id}/artifacts/{name}", "get"): "read",
        ("/v1/jobs/{job_id}/events", "get"): "read",
        ("/v1/agents/{agent_id}/load", "post"): "admin",
        ("/v1/webhooks", "post"): "submit",
        ("/health", "get"): "open",
    }
    assert wanted.items() <= rights.items()
    submit = found["paths"]["/v1/jobs"]["post"]
    reference = submit["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    job = found["components"]["schemas"][reference.rpartition("/")[2]]
    assert {"feature", "inputs", "tenant", "limits"} <= job["properties"].keys()
    assert submit["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/Status")
    errors = [each["responses"]["default"]["content"] for on in found["paths"].values() for each in on.values()]
    assert {each["application/json"]["schema"]["$ref"].rpartition("/")[2] for each in errors} == {"ErrorAnswer"}
    page = {each["name"]: each for each in found["paths"]["/v1/jobs"]["get"]["parameters"]}
    assert page.keys() == {"status", "feature", "tenant", "since", "limit", "cursor"}
    ids = [each["operationId"] for on in found["paths"].values() for each in on.values()]
    assert len(set(ids)) == len(ids)


async def test_every_shape_is_a_json_schema_and_every_reference_leads_somewhere() -> None:
    found = await described()
    schemas = found["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', str(found).replace("'", '"')))
    assert references <= schemas.keys()


async def test_the_page_of_the_api_loads_nothing_from_elsewhere() -> None:
    client = http()
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css"):
        answer = await client.ask("GET", path)
        assert answer.status == 200
        assert b"//" not in answer.body.replace(b"// Shows", b"")
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert (await client.ask("GET", "/docs/../app.py")).status == 404
    assert (await client.ask("GET", "/docs/app.py")).status == 404


def page(
    name: Annotated[str, PathParameter()],
    limit: Annotated[int, QueryParameter(le=9)],
    since: Annotated[str, QueryParameter()] = "",
    cursor: Annotated[str | None, QueryParameter()] = None,
    beside: str = "",
) -> None:
    """Lists.

    The newest first.
    """


def test_a_parameter_is_required_in_a_path_and_where_it_has_no_default() -> None:
    route = RouteText("/v1/{name:str}/x", ["GET", "HEAD"], page, 200, "text/plain", "read", None, ["jobs"])
    told = document([route], "1")["paths"]["/v1/{name}/x"]
    assert told.keys() == {"get"}
    assert (told["get"]["summary"], told["get"]["description"]) == ("Lists.", "Lists.\n\nThe newest first.")
    parameters = told["get"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in parameters] == [
        ("name", "path", True),
        ("limit", "query", True),
        ("since", "query", False),
        ("cursor", "query", False),
    ]


@pytest.mark.parametrize(("right", "asked"), [("open", None), ("read", [{"token": []}, {}])])
def test_a_token_is_asked_for_where_not_everybody_may_call(right: str, asked: Any) -> None:
    route = RouteText("/x", ["GET"], page, 200, "text/plain", right, None, [])
    assert document([route], "1")["paths"]["/x"]["get"].get("security") == asked


def picture(name: Annotated[str, PathParameter()]) -> bytes:
    """Shows."""
    return name.encode()


@pytest.mark.parametrize(("function", "content"), [(page, None), (picture, {"image/png": {}})])
def test_an_answer_that_is_no_json_is_told_by_its_media_type(function: Any, content: Any) -> None:
    route = RouteText("/x/{name:str}", ["POST", "GET"], function, 201, "image/png", "read", None, [])
    told = document([route], "1")["paths"]["/x/{name}"]
    assert {method: each["operationId"] for method, each in told.items()} == {
        "get": "get_x_name",
        "post": "post_x_name",
    }
    assert told["get"]["responses"]["201"].get("content") == content
