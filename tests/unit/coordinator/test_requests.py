"""Requests as published: the cache of those just read, and what is taken over from one, whatever it is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pocket3d.contracts.messages import JobError
from pocket3d.coordinator.engine.effects import PublishDead
from pocket3d.coordinator.leadership.request_cache import (
    Bodies,
    Request,
    RequestCache,
    dead_letter,
    metadata_of,
    read_request,
)

#: Bytes that are counted for a request of a hundred.
REQUEST = 1224


def test_the_oldest_leave_when_it_is_full() -> None:
    cache = RequestCache(2 * REQUEST + 100)
    for seq in (1, 2, 3):
        cache.put(seq, Request(b"x" * 100, None))
    assert cache.get(1) is None
    assert cache.get(2) and cache.get(3)
    assert cache.bytes == 2 * REQUEST


def test_small_requests_are_counted_with_what_they_take() -> None:
    cache = RequestCache(8 * 1024 * 1024)
    for seq in range(20_000):
        cache.put(seq, Request(b"{}", None))
    assert len(cache._requests) < 9000


def test_redeliveries_are_counted_once() -> None:
    cache = RequestCache(2 * REQUEST + 100)
    for _ in range(10):
        cache.put(1, Request(b"x" * 100, None))
    assert cache.bytes == REQUEST
    cache.put(2, Request(b"x" * 100, None))
    assert cache.get(1) and cache.get(2)


def test_what_is_larger_than_the_cache_does_not_stay_and_leaves_it_usable() -> None:
    cache = RequestCache(2 * REQUEST + 100)
    cache.put(1, Request(b"x" * 2000, None))
    assert (cache.get(1), cache.bytes) == (None, 0)
    cache.put(2, Request(b"x" * 100, None))
    cache.forget(2)
    cache.forget(2)
    assert cache.bytes == 0


def test_as_many_stay_as_just_fit() -> None:
    cache = RequestCache(2 * REQUEST)
    cache.put(1, Request(b"x" * 100, None))
    cache.put(2, Request(b"x" * 100, None))
    assert cache.get(1) and cache.get(2)


def test_what_an_effect_needs_is_at_hand_or_read_and_may_be_gone() -> None:
    cache = RequestCache(2 * REQUEST)
    at_hand, read = Request(b"{}", None), Request(b"[]", None)
    cache.put(1, at_hand)
    bodies = Bodies((1, 2, 3), cache)
    assert bodies.missing == {2, 3}
    bodies.arrived(2, read)
    bodies.arrived(2, None)
    bodies.arrived(1, None)
    assert bodies.missing == {3}
    bodies.arrived(3, None)
    assert [bodies.get(seq) for seq in (1, 2, 3)] == [at_hand, read, None]
    assert bodies.missing == set()


def sized(size: int) -> dict[str, str]:
    """Metadata of so many bytes."""
    return {"a": "x" * (size - len('{"a":""}'))}


@pytest.mark.parametrize(
    ("body", "metadata"),
    [
        ({"inputs": {}, "metadata": {"shot": 7}}, {"shot": 7}),
        ({"inputs": {}}, {}),
        ({"metadata": {"shot": 7}}, {"shot": 7}),
        ({"metadata": sized(65_536)}, sized(65_536)),
        ({"metadata": sized(65_537)}, {}),
        ({"metadata": [7]}, {}),
        ({"metadata": None}, {}),
        ({"inputs": 3}, {}),
        ([{"metadata": {"shot": 7}}], {}),
        ("metadata", {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_who_sends_what_is_no_job_gets_its_metadata_back_all_the_same(body: Any, metadata: dict[str, Any]) -> None:
    assert metadata_of(read_request(json.dumps(body).encode())) == metadata


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_bytes_that_say_nothing_have_no_metadata_and_are_kept_as_they_are(data: bytes) -> None:
    assert metadata_of(read_request(data)) == metadata_of(None) == {}
    letter = dead_letter(DEAD, data, "now")
    assert letter.request is None
    assert base64.b64decode(letter.request_raw or "-") == data


DEAD = PublishDead("j1", "echo", "normal", 7, JobError(code="invalid_input", message="no job"))


def test_a_dead_letter_has_its_request_as_it_was_published() -> None:
    letter = dead_letter(DEAD, b'{"inputs": 3}', "now")
    assert (letter.job_id, letter.feature, letter.priority, letter.error, letter.at) == (
        "j1",
        "echo",
        "normal",
        DEAD.error,
        "now",
    )
    assert (letter.request, letter.request_raw) == ({"inputs": 3}, None)
    assert dead_letter(DEAD, b"[3]", "now").request_raw == base64.b64encode(b"[3]").decode()


def test_a_dead_letter_of_the_largest_message_fits_into_one() -> None:
    """In base64 it is a third longer."""
    letter = dead_letter(DEAD, b"x" * (1 << 20), "now")
    assert 900 * 1024 < len(letter.request_raw or "") < 1000 * 1024
