"""Micro services: what the nats CLI asks, and what callers get."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from pocket3d.bus.port import Bus, Endpoint, Msg, NoResponders, ServiceError, ServiceSpec

# The shapes of ADR-32 with the patterns by which the nats CLI refuses answers.
_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}
_METADATA = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
_COMMON = {
    "type": {"type": "string"},
    "name": _NAME,
    "id": {"type": "string", "minLength": 1},
    "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
    "metadata": _METADATA,
}
_ENDPOINT = {"name": _NAME, "subject": {"type": "string"}, "queue_group": {"type": "string"}, "metadata": _METADATA}
_COUNT = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_STATS = {
    **_ENDPOINT,
    "num_requests": _COUNT,
    "num_errors": _COUNT,
    "last_error": {"type": "string"},
    "processing_time": _COUNT,
    "average_processing_time": _COUNT,
}
SCHEMAS = {
    "PING": _object(_COMMON, *_COMMON),
    "INFO": _object(
        {
            **_COMMON,
            "description": {"type": "string"},
            "endpoints": {"type": "array", "items": _object(_ENDPOINT, "name", "subject")},
        },
        *_COMMON,
        "description",
        "endpoints",
    ),
    "STATS": _object(
        {
            **_COMMON,
            "started": {"type": "string", "format": "date-time"},
            "endpoints": {"type": "array", "items": _object(_STATS, *_STATS)},
        },
        *_COMMON,
        "started",
        "endpoints",
    ),
}


def spec_of(place: Any, handler: Any, name: str | None = None) -> ServiceSpec:
    namespace = place.subjects.namespace
    return ServiceSpec(
        name or place.subjects.api_service,
        "1.2.3",
        "What this service does",
        [Endpoint("echo", f"{namespace}.api.echo", handler, {"about": "echoes"})],
        {"agent_id": "gpu-07"},
    )


async def echo(msg: Msg) -> bytes:
    return msg.data


async def test_discovery_answers_as_the_cli_wants(place: Any, bus: Bus) -> None:
    caller = await place.connect()
    spec = spec_of(place, echo)
    await bus.serve(spec)
    await caller.request(spec.endpoints[0].subject, b"x", timeout=5)
    identity = ""
    for verb, schema in SCHEMAS.items():
        body = json.loads((await caller.request(f"$SRV.{verb}.{spec.name}", b"", timeout=5)).data)
        jsonschema.validate(body, schema)
        assert body["type"] == f"io.nats.micro.v1.{verb.lower()}_response"
        assert (body["name"], body["version"], body["metadata"]) == (spec.name, "1.2.3", {"agent_id": "gpu-07"})
        identity = body["id"]
        by_id = await caller.request(f"$SRV.{verb}.{spec.name}.{identity}", b"", timeout=5)
        assert json.loads(by_id.data)["id"] == identity
    assert body["endpoints"][0]["num_requests"] == 1


async def test_everybody_answers_a_general_ping(place: Any, bus: Bus) -> None:
    names = [f"{place.subjects.namespace}-{letter}" for letter in "ab"]
    for name in names:
        await bus.serve(spec_of(place, echo, name))
    inbox = f"{place.subjects.namespace}.pongs"
    pongs: list[str] = []

    async def pong(msg: Msg) -> None:
        pongs.append(json.loads(msg.data)["name"])

    await bus.subscribe(inbox, pong)
    if place.kind == "memory":
        place.server.publish(Msg("$SRV.PING", b"", {}, inbox))
    else:
        await bus.nc.publish("$SRV.PING", b"", reply=inbox)  # type: ignore[attr-defined]
    await place.eventually(lambda: set(names) <= set(pongs))


async def test_requests_of_one_endpoint_run_side_by_side(place: Any, bus: Bus) -> None:
    inside = 0
    all_inside = asyncio.Event()

    async def handler(msg: Msg) -> bytes:
        nonlocal inside
        inside += 1
        if inside == 5:
            all_inside.set()
        await all_inside.wait()
        return msg.data

    spec = spec_of(place, handler)
    await bus.serve(spec)
    answers = await asyncio.gather(*(bus.request(spec.endpoints[0].subject, b"%d" % n, timeout=5) for n in range(5)))
    assert sorted(answer.data for answer in answers) == [b"0", b"1", b"2", b"3", b"4"]


async def test_errors_are_in_headers_and_body(place: Any, bus: Bus) -> None:
    async def handler(msg: Msg) -> bytes:
        if msg.data == b"bug":
            raise ZeroDivisionError("secret detail")
        raise ServiceError(404, "no job\nof that id", field="job_id")

    spec = spec_of(place, handler)
    await bus.serve(spec)
    answer = await bus.request(spec.endpoints[0].subject, b"", timeout=5)
    assert json.loads(answer.data) == {"error": "no job\nof that id", "code": 404, "field": "job_id"}
    assert answer.headers["Nats-Service-Error"] == "no job of that id"
    assert answer.headers["Nats-Service-Error-Code"] == "404"
    answer = await bus.request(spec.endpoints[0].subject, b"bug", timeout=5)
    assert answer.headers["Nats-Service-Error-Code"] == "500"
    assert b"secret" not in answer.data
    stats = json.loads((await bus.request(f"$SRV.STATS.{spec.name}", b"", timeout=5)).data)
    endpoint = stats["endpoints"][0]
    assert (endpoint["num_requests"], endpoint["num_errors"]) == (2, 2)
    assert endpoint["last_error"].startswith("500:")


async def test_what_an_error_quotes_of_a_request_stays_one_short_header(place: Any, bus: Bus) -> None:
    async def refuse(msg: Msg) -> bytes:
        raise ServiceError(400, "not a job: " + msg.data.decode() * 2000)

    await bus.serve(spec_of(place, refuse))
    answer = await bus.request(f"{place.subjects.namespace}.api.echo", b"a\0b\r\nEvil: 1\x1b[2J", timeout=5)
    told = answer.headers["Nats-Service-Error"]
    assert told.isprintable() and len(told) == 1000
    assert "Evil" not in answer.headers


async def test_one_instance_answers_and_none_after_close(place: Any, bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(msg: Msg) -> bytes:
        seen.append(msg.data)
        return b""

    spec = spec_of(place, handler)
    running = [await (await place.connect()).serve(spec) for _ in range(3)]
    for n in range(20):
        await bus.request(spec.endpoints[0].subject, b"%d" % n, timeout=5)
    assert len(seen) == 20
    # Requests that are on their way while members leave are still answered.
    asking = [asyncio.ensure_future(bus.request(spec.endpoints[0].subject, b"", timeout=5)) for _ in range(20)]
    for service in running[:2]:
        await service.close()
        await service.close()
    await asyncio.gather(*asking)
    await running[2].close()
    with pytest.raises(NoResponders):
        await bus.request(spec.endpoints[0].subject, b"", timeout=5)
    with pytest.raises(NoResponders):
        await bus.request(f"$SRV.PING.{spec.name}", b"", timeout=5)


async def test_close_finishes_what_has_begun(place: Any, bus: Bus) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(msg: Msg) -> bytes:
        begun.set()
        await go_on.wait()
        return b"done"

    spec = spec_of(place, handler)
    service = await bus.serve(spec)
    asking = asyncio.ensure_future(bus.request(spec.endpoints[0].subject, b"", timeout=5))
    await place.eventually(begun.is_set)
    closing = asyncio.ensure_future(service.close())
    await asyncio.sleep(0)
    go_on.set()
    assert (await asking).data == b"done"
    await closing


@pytest.mark.parametrize(
    "change",
    [
        {"name": "with.dot"},
        {"version": "one"},
        {"metadata": {"n": 1}},
        {"endpoints": [Endpoint("two words", "x", echo)]},
        {"endpoints": [Endpoint("a", "x", echo), Endpoint("a", "y", echo)]},
    ],
)
async def test_what_the_cli_would_skip_is_refused(bus: Bus, place: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        await bus.serve(spec_of(place, echo)._replace(**change))
