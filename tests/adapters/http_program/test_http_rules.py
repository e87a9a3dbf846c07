"""Pure parts: requests as values, lines of output, tables of listeners, what an error is called."""

from __future__ import annotations

import email.parser
import email.policy
import json
import os
import socket
from pathlib import Path

import pytest

from pocket3d.adapters.runtime.failure_mapping import is_out_of_memory
from pocket3d.adapters.upstream.http_program.errors import BadAnswer, NoAnswer, OutOfMemoryError, failure
from pocket3d.adapters.upstream.http_program.listeners import Listener, listeners, read_table, sockets_of
from pocket3d.adapters.upstream.http_program.output import MAX_LINE_BYTES, Lines
from pocket3d.adapters.upstream.http_program.requests import Request, document, form

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 20 4 30 10 -1
   3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 444 1 0 100 0 0 10 0
"""
TABLE_6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 555
   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 666
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 777
"""


def body(request: Request) -> bytes:
    return b"".join(each if isinstance(each, bytes) else each.read_bytes() for each in request.pieces)


def test_a_form_is_what_its_reader_finds(tmp_path: Path) -> None:
    file = tmp_path / "what the producer called it.JPG"
    file.write_bytes(b"\r\n--not the boundary\r\n\x00\xff")
    name = 'odd "name"\r\nX-Header: 1'
    request = form("/generate", {"seed": "7", "text": "Grün\r\n--b", name: "x", "image": file})
    assert request.size() == len(body(request))
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    parts = list(email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body(request)).iter_parts())
    assert [part.get_payload(decode=True) for part in parts] == [
        b"7",
        "Grün\r\n--b".encode(),
        b"x",
        file.read_bytes(),
    ]
    assert [part.get_filename() for part in parts] == [None, None, None, "image.jpg"]
    assert parts[3].get_content_type() == "image/jpeg"
    assert all("X-Header" not in part for part in parts)
    # Nobody guesses where a form of somebody else ends.
    assert form("/", {}).content_type != form("/", {}).content_type


def test_a_document_is_json() -> None:
    request = document("/generate", {"seed": 7, "image": "aGk="})
    assert request.content_type == "application/json"
    assert json.loads(body(request)) == {"seed": 7, "image": "aGk="}


@pytest.mark.parametrize("cut", [1, 3, 7, 1000])
def test_lines_are_the_same_however_they_arrive(cut: int) -> None:
    data = "one\r\ntwo\rthr\u00e9e\n\n\x1b[31mred\x1b[0m  \nrest".encode()
    lines = Lines()
    found = [line for at in range(0, len(data), cut) for line in lines.feed(data[at : at + cut])]
    assert [*found, *lines.finish()] == ["one", "two", "thr\u00e9e", "red", "rest"]
    assert lines.finish() == []


def test_an_endless_line_takes_bounded_room() -> None:
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * 1000) == []
    (line,) = lines.feed(b"\n")
    assert len(line) == MAX_LINE_BYTES


def test_a_table_tells_who_listens() -> None:
    assert read_table(TABLE, 8080) == [Listener("127.0.0.1", 111), Listener("0.0.0.0", 222)]
    assert [each.only_this_host for each in read_table(TABLE, 8080)] == [True, False]
    found = read_table(TABLE_6, 8080)
    assert [(each.inode, each.only_this_host) for each in found] == [(555, True), (666, False), (777, True)]
    assert read_table(TABLE, 1) == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="it reads Linux's tables")
def test_the_system_tells_of_this_very_process() -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        port = mine.getsockname()[1]
        assert listeners(port) == []
        mine.listen()
        told = listeners(port)
        assert told is not None
        (found,) = told
        assert found.address == "127.0.0.1"
        assert found.inode in sockets_of(os.getpgid(0))
        assert found.inode not in sockets_of(-1)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("trellis-server ended with status 1", ["cudaMalloc failed: out of memory"]),
        ("the server answered 500: failed to allocate tensor buffer for m.gguf", []),
        ("ended", ["vk::Device::allocateMemory: ErrorOutOfDeviceMemory"]),
        ("ended", ["CUDA error: CUBLAS_STATUS_ALLOC_FAILED"]),
    ],
)
def test_a_full_device_is_known_by_what_the_program_says(text: str, printed: list[str]) -> None:
    error = failure(text, printed, NoAnswer)
    assert type(error) is OutOfMemoryError
    assert is_out_of_memory(error)
    assert all(each in str(error) for each in (text, *printed))


def test_another_failure_keeps_its_kind() -> None:
    assert type(failure("it answered 400", [], BadAnswer)) is BadAnswer
    assert str(failure("it ended", ["a", "b"])) == "it ended; it printed last:\na\nb"
