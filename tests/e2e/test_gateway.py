"""`pocket3d up` with its gateway, as a browser, curl and a receiver of webhooks meet it: real processes and sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("litestar")
pytest.importorskip("uvicorn")

from bench.gateway import Load, measure
from pocket3d.ops.gateway.webhook_calls import HttpSender
from pocket3d.ops.gateway.webhook_desk import Gone
from support.command_line import pocket3d, up

pytestmark = pytest.mark.e2e


def ask(url: str, data: bytes | None = None, method: str | None = None, **headers: str) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(url, data, {name.replace("_", "-"): text for name, text in headers.items()})
    request.method = method or ("GET" if data is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def events(url: str) -> Iterator[tuple[str, Any]]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        kind = ""
        for line in answer:
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = text
            elif name == "data":
                yield kind, json.loads(text)


def test_a_file_in_and_a_file_out_by_http(tmp_path: Path) -> None:
    pytest.importorskip("trimesh")
    with up(tmp_path / "store", "--gateway-port", "0") as running:
        page = running.page()
        assert ask(page)[0] == 200
        assert ask(f"{page}/ready")[0] == 200
        assert ask(page, host="evil.example")[0] == 403
        mesh = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n"
        status, _, body = ask(f"{page}/v1/files?name=t.obj", mesh, content_type="application/octet-stream")
        assert status == 201
        stored = json.loads(body)
        assert stored["artifact"] == f"sha256-{hashlib.sha256(mesh).hexdigest()}"
        job = {
            "feature": "mesh_conversion",
            "inputs": {"mesh_path": {"artifact": stored["artifact"], "filename": "t.obj"}, "output_format": "glb"},
        }
        status, _, body = ask(f"{page}/v1/jobs", json.dumps(job).encode(), content_type="application/json")
        assert status == 202, body
        job_id = json.loads(body)["job_id"]
        heard = list(events(f"{page}/v1/jobs/{job_id}/events"))
        assert [kind for kind, _ in heard][-1] == "result"
        result = heard[-1][1]
        assert result["status"] == "succeeded", result["error"]
        artifact = next(each for each in result["artifacts"] if each["name"] == result["outputs"]["output_mesh_path"])
        url = f"{page}/v1/jobs/{job_id}/artifacts/{artifact['name']}"
        status, headers, whole = ask(url)
        assert (status, headers["etag"]) == (200, f'"{artifact["sha256"]}"')
        assert hashlib.sha256(whole).hexdigest() == artifact["sha256"]
        status, headers, part = ask(url, range="bytes=0-3")
        assert (status, part, headers["content-range"]) == (206, b"glTF", f"bytes 0-3/{len(whole)}")
        status, _, body = ask(f"{page}/v1/files?name=x", b"x" * 100, content_length=str(1 << 40))
        assert status == 413
        # The gateway is killed: another one takes its place on the same port.
        running.part("gateway").kill()
        asyncio.run(answers_again(f"{page}/v1/jobs/{job_id}/result"))
    lines = [json.loads(line) for line in running.log.read_text(encoding="utf-8").splitlines()]
    assert {line["role"] for line in lines} >= {"up", "coordinator", "agent", "gateway"}, "JSON in each line"


async def answers_again(url: str) -> None:
    while True:
        try:
            if (await asyncio.to_thread(ask, url))[0] == 200:
                return
        except OSError:
            pass
        await asyncio.sleep(0.1)


def test_many_readers_and_uploads_cost_little_memory_and_hold_up_nobody(tmp_path: Path) -> None:
    """A tenth of what `tests/bench/gateway.py` asks; how quick it is depends on the machine, and is asked there."""
    with up(tmp_path / "store", "--gateway-port", "0", POCKET3D_GATEWAY_RATE_BURST="10000") as running:
        found = asyncio.run(measure(running.page(), running.part("gateway"), Load(100, 20, 5.0)))
    assert (found.streams, found.uploaded) == (100, 20), "none was cut off"
    assert found.grown_mb < 80, found


def test_others_reach_it_with_tokens_only(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    refused = pocket3d("gateway", "--listen", "0.0.0.0:0")
    assert refused.code == 2
    assert "wants tokens" in refused.err
    made = pocket3d("gateway", "--tokens", str(tokens), "--new-token", "studio:submit")
    assert (made.code, tokens.stat().st_mode & 0o077) == (0, 0)
    token = made.out.strip()
    assert token not in tokens.read_text()
    assert hmac.compare_digest(tokens.read_text().split()[0], hashlib.sha256(token.encode()).hexdigest())
    assert pocket3d("gateway", "--tokens", str(tokens), "--new-token", "studio:all").code == 2


async def test_a_delivery_is_signed_and_goes_nowhere_that_it_may_not() -> None:
    heard: list[bytes] = []
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head + await reader.readexactly(2))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    send, strict = HttpSender(private=True, timeout_s=5), HttpSender(private=False, timeout_s=5)
    try:
        await send(f"http://localhost:{port}/in?a=b", {"webhook-id": "msg_1"}, b"{}")
        assert heard[0].startswith(b"POST /in?a=b HTTP/1.1\r\n")
        assert f"host: localhost:{port}\r\n".encode() in heard[0].lower()
        for url in (f"http://localhost:{port}/", f"http://127.0.0.1:{port}/", f"http://[::1]:{port}/"):
            with pytest.raises(ValueError, match="no public address"):
                await strict(url, {}, b"{}")
        answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(ConnectionError, match="302"):
            await send(f"http://localhost:{port}/", {}, b"{}")
        answer = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(Gone):
            await send(f"http://localhost:{port}/", {}, b"{}")
        assert len(heard) == 3, "nobody was called whom it may not call"
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionError):
            await send(f"http://localhost:{port}/", {}, b"{}")
    finally:
        server.close()
        await send.close()
        await strict.close()
