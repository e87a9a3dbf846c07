"""Bytes and headers that are not what they should be become errors of the bus, which every caller expects."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.bus.client.api_calls import call
from pocket3d.bus.client.errors import ApiRefused
from pocket3d.bus.jetstream.objects.layout import ArtifactBroken, read_record
from pocket3d.bus.jetstream.publisher import ApiError, Publisher, refusal
from pocket3d.bus.jetstream.reader import Reader
from pocket3d.bus.port import BusError, Conflict, Msg, Refused, Stored
from pocket3d.contracts.api import EmptyRequest, JobList

NO_JSON = [
    b"",
    b"x",
    b'{"error": {"err_code": "x"}}',
    b'{"error": {"description": "\xfb"}, "name": "\xfb"}',
    b"[" * 200_000,
]


class Link:
    """A connection on which each request gets the same answer."""

    connected = True

    def __init__(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.answer = Msg("", data, headers or {}, "")

    async def request(self, subject: str, data: bytes, *more: Any, **named: Any) -> Msg:
        return self.answer


@pytest.mark.parametrize("data", NO_JSON, ids=len)
async def test_an_answer_that_is_not_jetstreams_is_refused(data: bytes) -> None:
    link: Any = Link(data)
    reader = Reader(link)
    for asking in (reader.last("S", "a"), reader.pages("S", ">", 1, 5), reader.info("S")):
        with pytest.raises(Refused):
            await asking
    with pytest.raises(BusError):
        await Publisher(link).append("a", b"", None, None, 1.0)


@pytest.mark.parametrize("data", NO_JSON, ids=len)
def test_a_record_of_an_object_that_is_none_is_broken(data: bytes) -> None:
    with pytest.raises(ArtifactBroken):
        read_record(Stored("OBJ_X", "$O.X.M.a", 1, data, {}, 0.0))


def test_a_conflict_without_a_number_is_a_conflict() -> None:
    for text, last in (("wrong last sequence: 12", 12), ("wrong last sequence: ²", None), ("other words", None)):
        error = refusal(ApiError(err_code=10071, description=text), "store")
        assert isinstance(error, Conflict) and error.last == last


@pytest.mark.parametrize(("code", "told"), [("404", 404), ("²", 500), ("9" * 5000, 500), ("", 500), ("-1", 500)])
async def test_the_code_of_a_refusal_is_a_number_whatever_the_header_says(code: str, told: int) -> None:
    bus: Any = Link(b'{"error": "\xfb"}', {"Nats-Service-Error-Code": code, "Nats-Service-Error": "no such job"})
    with pytest.raises(ApiRefused, match="no such job") as caught:
        await call(bus, "p3d.api.list", EmptyRequest(), JobList, 1.0)
    assert caught.value.code == told


@pytest.mark.parametrize("data", [*NO_JSON, b'{"v": 1, "jobs": 7}'], ids=len)
async def test_an_answer_that_cannot_be_read_is_an_error_that_every_caller_expects(data: bytes) -> None:
    bus: Any = Link(data)
    with pytest.raises(ApiRefused, match=r"the answer of p3d\.api\.list cannot be read") as caught:
        await call(bus, "p3d.api.list", EmptyRequest(), JobList, 1.0)
    assert caught.value.code == 502
