"""The cache of requests just read."""

from __future__ import annotations

from pocket3d.coordinator.leadership.request_cache import Request, RequestCache

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
