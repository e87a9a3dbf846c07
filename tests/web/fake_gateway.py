"""A gateway of the standard library that answers as the real one does, for the browser tests.

Beside the paths of the gateway it has `/fake/...`, by which a test makes things happen: `fill?n=&name=&told=` (jobs
that have ended, told to listeners or not), `away` and `back` (nothing answers meanwhile), `token?is=` (one is wanted
from now on).
"""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from support.import_graph import ROOT
from web.fake_fleet import FakeFleet

PAGE = ROOT / "ops" / "pocket3d" / "ops" / "gateway" / "page"
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' blob: data:; object-src 'none'; base-uri 'none'"
)


class FakeGateway(ThreadingHTTPServer):
    """Serves the built page and a fake fleet on a free port."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fleet = FakeFleet()
        self.away = False
        self.token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeGateway

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: a failure is told by the browser's side."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        parts = [unquote(each) for each in url.path.split("/") if each]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts[:1] == ["fake"]:
            return self._make_happen(parts[1], query)
        if self.server.away:
            # As a host that is gone: no answer, the connection ends.
            self.close_connection = True
            return None
        if parts[:1] != ["v1"]:
            return self._file(url.path.lstrip("/") or "index.html")
        wanted = self.server.token
        if wanted is not None and self.headers.get("Authorization") != f"Bearer {wanted}":
            return self._error(401, "this gateway wants a token")
        if parts == ["v1", "events"]:
            return self._stream()
        try:
            return self._answer_to(parts[1:], query, body)
        except KeyError as error:
            return self._error(404, f"{error.args[0]} is not known")
        except msgspec.ValidationError as error:
            return self._error(400, str(error))

    do_GET = do_POST = do_DELETE = _handle

    def _answer_to(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        fleet = self.server.fleet
        fleet.calls.append((self.command, "/".join(parts)))
        match self.command, parts:
            case "GET", ["features"]:
                self._json({"features": fleet.features()})
            case "GET", ["agents"]:
                self._json({"agents": [fleet.advert()]})
            case "GET", ["stats"]:
                self._json(fleet.stats())
            case "GET", ["jobs"]:
                self._json(fleet.page(int(query.get("limit", 100)), query.get("cursor"), query.get("status")))
            case "POST", ["jobs"]:
                self._json(fleet.submit(body), 202)
            case "POST", ["files"]:
                self._json(fleet.keep_file(query["name"], body), 201)
            case "GET", ["jobs", job_id]:
                self._json(fleet.statuses[job_id])
            case "DELETE", ["jobs", job_id]:
                self._json(fleet.cancel(job_id))
            case "GET", ["jobs", job_id, "result"]:
                self._json(fleet.results[job_id])
            case "GET", ["jobs", job_id, "request"]:
                self._json(fleet.requests[job_id])
            case "GET", ["jobs", job_id, "explain"]:
                self._json(fleet.explain(job_id))
            case "GET", ["jobs", job_id, "artifacts", name]:
                self._bytes(fleet.files[f"{job_id}/1/{name}"], "model/gltf-binary")
            case "POST", ["agents", "gpu-07", ("drain" | "resume") as verb]:
                fleet.drain(verb == "drain")
                self._json({"agent_id": "gpu-07", "draining": verb == "drain", "message": f"{verb}: done"})
            case _:
                raise KeyError("/".join(parts))

    def _stream(self) -> None:
        listener = self.server.fleet.listen()
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": hello\n\n")
        while (line := listener.get()) is not None:
            try:
                self.wfile.write(line)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _make_happen(self, what: str, query: dict[str, str]) -> None:
        fleet = self.server.fleet
        if what == "fill":
            fleet.fill(int(query["n"]), query["name"], query.get("told") == "yes")
        elif what == "away":
            self.server.away = True
            fleet.end_streams()
        elif what == "back":
            self.server.away = False
        elif what == "token":
            self.server.token = query.get("is")
            fleet.end_streams()
        self._json({"calls": fleet.calls, "requests": fleet.requests})

    def _file(self, name: str) -> None:
        path = Path(name)
        file = PAGE / path
        if ".." in path.parts or not file.is_file():
            return self._error(404, f"there is no page /{name}")
        self._bytes(file.read_bytes(), mimetypes.guess_type(name)[0] or "application/octet-stream")
        return None

    def _error(self, code: int, message: str) -> None:
        self._json({"error": {"code": code, "message": message}}, code)

    def _json(self, body: Any, code: int = 200) -> None:
        self._bytes(msgspec.json.encode(body), "application/json", code)

    def _bytes(self, data: bytes, media_type: str, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """One that answers, until the block ends."""
    server = FakeGateway()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.fleet.end_streams()
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with fake_gateway() as running:
        print(json.dumps({"url": running.url}), flush=True)
        threading.Event().wait()
