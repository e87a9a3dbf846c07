"""One HTTP request to a program on this host, and its answer: bounded, and ended at any moment by whoever waits.

A thread of its own sends and reads, which may block for as long as the program computes; who asked looks ten times a
second whether to go on, and closes the connection if not. Redirects are not followed, proxies not used.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from .errors import BadAnswer, NoAnswer
from .requests import Request

HOST = "127.0.0.1"
#: Seconds between looks at what may end the wait.
LOOK_S = 0.1
_CONNECT_S = 5.0
_CHUNK = 1024 * 1024
#: What is read of an answer that is no result, bytes, and shown of it, characters.
_TOLD_BYTES = 64 * 1024
_TOLD_CHARS = 1000
_OK = range(200, 300)


class Answer(NamedTuple):
    """What the program answered."""

    status: int
    reason: str
    content_type: str
    #: Bytes of the body that are in the file; 0 where the status is no success.
    size: int
    #: The beginning of the body as text, where it did not go to a file.
    told: str

    @property
    def ok(self) -> bool:
        """True for 200 to 299."""
        return self.status in _OK


def exchange(port: int, request: Request, target: Path | None, *, most_bytes: int, check: Callable[[], None]) -> Answer:
    """Send the request and write the body of a success to `target`, which is there only when it is whole. Of other
    answers, and without a target, the beginning is told as text.

    `check` is called ten times a second; what it raises closes the connection.

    Raises:
        NoAnswer: nobody listens, the connection broke, or what came is no HTTP.
        BadAnswer: the body is cut off, or has more than `most_bytes`.
        BaseException: what `check` raised.
    """
    try:
        line = socket.create_connection((HOST, port), timeout=_CONNECT_S)
    except OSError as error:
        raise NoAnswer(f"nobody answers on {HOST}:{port}: {error.strerror or error}") from error
    line.settimeout(None)
    pool = ThreadPoolExecutor(1, thread_name_prefix="http-exchange")
    try:
        talk = pool.submit(_talk, line, port, request, target, most_bytes)
        while not wait([talk], timeout=LOOK_S).done:
            check()
        return talk.result()
    finally:
        # Wakes the thread, whatever it waits for.
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        pool.shutdown(wait=True)
        line.close()


def _talk(line: socket.socket, port: int, request: Request, target: Path | None, most_bytes: int) -> Answer:
    connection = http.client.HTTPConnection(HOST, port)
    connection.sock = line
    headers = {"Content-Length": str(request.size()), "Connection": "close"} if request.pieces else {}
    if request.content_type:
        headers["Content-Type"] = request.content_type
    try:
        # One that refuses may answer before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(request.method, request.path, body=_body(request) or None, headers=headers)
        with connection.getresponse() as response:
            kind = response.headers.get_content_type()
            if target is None or response.status not in _OK:
                told = response.read(_TOLD_BYTES)
                return Answer(response.status, response.reason, kind, 0, _plain(told))
            return Answer(response.status, response.reason, kind, _write(response, target, most_bytes), "")
    except http.client.IncompleteRead as error:
        raise BadAnswer(f"the answer was cut off after {len(error.partial):,} bytes of its last part") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer to {request.method} {request.path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _body(request: Request) -> Iterator[bytes] | None:
    return _pieces(request) if request.pieces else None


def _pieces(request: Request) -> Iterator[bytes]:
    for piece in request.pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        with piece.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _write(response: http.client.HTTPResponse, target: Path, most_bytes: int) -> int:
    announced = response.length
    if announced is not None and announced > most_bytes:
        raise BadAnswer(f"the answer has {announced:,} bytes, at most {most_bytes:,} are taken")
    part, size = target.with_name(f"{target.name}.part"), 0
    try:
        with part.open("wb") as file:
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > most_bytes:
                    raise BadAnswer(f"the answer has more than {most_bytes:,} bytes, which are not taken")
                file.write(chunk)
        if announced is not None and size < announced:
            raise BadAnswer(f"the answer was cut off: {size:,} of {announced:,} bytes came")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size


def _plain(data: bytes) -> str:
    text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in data.decode("utf-8", "replace")).strip()
    return text if len(text) <= _TOLD_CHARS else text[:_TOLD_CHARS] + "…"
