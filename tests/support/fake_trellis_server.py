"""A small server that behaves as trellis.cpp documents its `trellis-server`, and misbehaves where a test wants it.

    fake_trellis_server.py --models DIR --port P [--host H] [--gpu N] [--require-gpu] [--model trellis|pixal3d]

`GET /health` answers "ok"; `POST /generate` takes a form with a file `image` and texts, prints the stages that upstream
prints, and answers with a GLB (a tetrahedron whose size is the seed). The variable FAKE_SERVER_FOLDER names a folder:
its file `mode` says how to misbehave (a word, read at the start and at each request), and `requests.jsonl` gets what
was asked. Standard library only; the form is read by Python's own parser of mail.
"""

from __future__ import annotations

import argparse
import email.parser
import email.policy
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["FAKE_SERVER_FOLDER"])
STAGES = (
    "[1/6] preprocess {image} (BiRefNet bg removal, 1024 cascade)",
    "[2/6] DINOv3 conditioning",
    "[3/6] sparse-structure flow + decode",
    "FLOW",
    "[4/7] shape SLAT flow (LR 512 -> upsample -> HR 1024 cascade, max_tok=49152)",
    "FLOW",
    "FLOW",
    "[5/7] FlexiDualGrid shape decode -> mesh @res1024",
    "[6/7] texture SLAT flow + PBR decode",
    "FLOW",
    "[7/7] write out.glb",
)


def mode() -> str:
    path = FOLDER / "mode"
    return path.read_text().strip() if path.exists() else ""


def tetrahedron(size: float) -> bytes:
    corners = [(0, 0, 0), (size, 0, 0), (0, size, 0), (0, 0, size)]
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    points = b"".join(struct.pack("<3f", *each) for each in corners)
    indices = b"".join(struct.pack("<3H", *each) for each in faces)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": len(points) + len(indices)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(indices)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0] * 3, "max": [size] * 3},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = points + indices
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def record(**facts: Any) -> None:
    with (FOLDER / "requests.jsonl").open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), **facts}) + "\n")


def until_read() -> None:
    """Return when all that was printed has been taken out of the pipe: the answer must not overtake it."""
    while int.from_bytes(fcntl.ioctl(sys.stdout.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder):
        time.sleep(0.001)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: Any) -> None:
        pass

    def answer(self, status: int, data: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        now = mode()
        if now == "unhealthy":
            self.answer(503, b"loading", "text/plain")
        elif now == "health hangs":
            time.sleep(3600)
        elif self.path == "/health":
            self.answer(200, b"ok", "text/plain")
        else:
            self.answer(404, b"", "text/plain")

    def do_POST(self) -> None:
        now = mode()
        if now == "refuses early":
            self.close_connection = True
            self.answer(413, b'{"error":"the image is too large for me"}')
            while self.rfile.read1(65536):
                pass
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/json":
            told = json.loads(body)
            record(path=self.path, document=told)
            import base64

            text = base64.b64encode(tetrahedron(float(told.get("seed", 1)))).decode()
            self.answer(200, json.dumps({"data": {"model_base64": text}}).encode())
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts: dict[str, bytes] = {}
        files: dict[str, list[str]] = {}
        for part in form.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            data = part.get_payload(decode=True)
            assert isinstance(data, bytes)
            parts[name] = data
            filename = part.get_filename()
            if filename is not None:
                files[name] = [filename, part.get_content_type()]
        texts = {name: data.decode() for name, data in parts.items() if name not in files}
        record(path=self.path, texts=texts, files=files, sizes={name: len(parts[name]) for name in files})
        if self.path != "/generate" or "image" not in files:
            self.answer(400, b'{"error":"missing \'image\' file part"}')
            return
        self.generate(now, texts)

    def generate(self, now: str, texts: dict[str, str]) -> None:
        say = lambda text: print(text, flush=True)  # noqa: E731
        if now == "hangs":
            say("[1/6] preprocess")
            time.sleep(3600)
        if now == "drops":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if now == "dies":
            say("GGML_ASSERT(buffer) failed")
            os.abort()
        if now == "full":
            say("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 2402.00 MiB on device 0: cudaMalloc failed:")
            say("out of memory")
            os.abort()
        if now == "redirects":
            self.answer(302, b"", Location="http://198.51.100.1/generate")
            return
        if now.startswith("refuses "):
            status, _, text = now.removeprefix("refuses ").partition(" ")
            self.answer(int(status), text.encode())
            return
        if now == "floods":
            for number in range(20_000):
                print(f"line {number} " + "x" * 200)
        for line in STAGES:
            for done in range(13) if line == "FLOW" else ():
                say(f"      [flow] [{'#' * done}] {done:2d}/12    {done / 2:.1f}s  ~{12 - done}s left     ")
            if line != "FLOW":
                say(line.format(image="/tmp/trellis-req-0.png"))
            if now == "slow" and line == "FLOW":
                time.sleep(3600)
        until_read()
        glb = tetrahedron(float(texts.get("seed", "42")))
        kind = "model/gltf-binary"
        if now == "truncates":
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(glb) + 1000))
            self.end_headers()
            self.wfile.write(glb)
            self.close_connection = True
        elif now == "truncates chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % (len(glb) + 10) + glb)
            self.close_connection = True
        elif now == "short glb":
            self.answer(200, glb[:-8], kind)
        elif now == "no glb":
            self.answer(200, b"<html>it works</html>", "text/html")
        elif now == "empty":
            self.answer(200, b"", kind)
        elif now == "endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"\0" * 65536)
        elif now == "huge":
            self.send_response(200)
            self.send_header("Content-Length", str(10**13))
            self.end_headers()
        elif now == "no http":
            self.wfile.write(b"hello, this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif now == "trickles":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-Slow: 1\r\n")
                time.sleep(3600)
        else:
            self.answer(200, glb, kind)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", default="")
    parser.add_argument("--model", choices=["trellis", "pixal3d"], default="trellis")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--require-gpu", action="store_true")
    options = parser.parse_args()
    record(started=sys.argv[1:], cuda=os.environ.get("CUDA_VISIBLE_DEVICES"))
    now = mode()
    if now == "does not start":
        print("failed to open gguf: ss_flow.gguf", file=sys.stderr)
        return 1
    if now == "has a child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        record(child=child.pid)
    if now == "port used once":
        # By a connection of somebody's.
        (FOLDER / "mode").write_text("")
        print(f"[trellis-server] failed to bind {options.host}:{options.port}", file=sys.stderr)
        return 1
    if now == "port taken once":
        # As another program that was quicker.
        (FOLDER / "mode").write_text("")
        quicker = socket.socket()
        quicker.bind((options.host, options.port))
        quicker.listen()
        other = os.fork()
        if other == 0:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            record(squatter=os.getpid())
            time.sleep(3600)
        print(f"[trellis-server] failed to bind {options.host}:{options.port}", file=sys.stderr)
        return 1
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.daemon_threads = True
    print(
        f"[trellis-server] models={options.models} gpu=0 listening on http://{options.host}:{options.port}", flush=True
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
