"""What `pocket3d up` says of its server's health page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog.testing

from pocket3d.ops.up import server_health
from pocket3d.ops.up.server_health import HealthNotice, problem_of, watch_health

FULL = "stream '$G > P3D_JOBS' write error: no space left on device"


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([None, None], [None, None]),
        (["a"], [None]),
        (["a", None, "a", None], [None, None, None, None]),
        (["a", "a", "b", "b"], [None, True, None, None]),
        (["a", "a", None, None, "a", "a"], [None, True, False, None, None, True]),
    ],
)
def test_an_illness_that_lasts_is_said_once_and_once_that_it_is_over(
    looks: list[str | None], said: list[bool | None]
) -> None:
    notice = HealthNotice()
    assert [notice.look(problem) for problem in looks] == said


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (b'HTTP/1.0 200 OK\r\n\r\n{"status":"ok"}', None),
        (b'HTTP/1.0 503 X\r\n\r\n{"status":"unavailable","status_code":503,"error":"' + FULL.encode() + b'"}', FULL),
        (b'HTTP/1.0 503 X\r\n\r\n{"status":"unavailable"}', "unavailable"),
        (b"", None),
        (b"HTTP/1.0 404 X\r\n\r\nno such page", None),
    ],
)
async def test_the_page_is_read(page: bytes, problem: str | None) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(page)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await problem_of("127.0.0.1", port) == problem
    assert asked[0].startswith(b"GET /healthz ")
    server.close()
    await server.wait_closed()
    assert await problem_of("127.0.0.1", port) is None, "nobody listens"


async def test_what_to_do_about_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_health, "_LOOK_S", 0.0)
    looks, done = iter([FULL, FULL, FULL, None, None]), asyncio.Event()

    async def look() -> str | None:
        for problem in looks:
            return problem
        done.set()
        await asyncio.Event().wait()
        return None

    with structlog.testing.capture_logs() as lines:
        watching = asyncio.ensure_future(watch_health(look, Path("/the/store")))
        await asyncio.wait_for(done.wait(), 10)
        watching.cancel()
        await asyncio.wait({watching})
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert (lines[0]["problem"], lines[0]["store"]) == (FULL, "/the/store")
    assert "make room; then stop `pocket3d up` and start it again" in lines[0]["event"]
