"""Which part of a file a request asks for."""

from __future__ import annotations

import pytest

from pocket3d.ops.gateway.byte_ranges import Span, Unsatisfiable, names_etag, range_holds, wanted_span


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 6)),
        ("bytes=5-", Span(5, 10)),
        ("bytes=5-1000", Span(5, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-1000", Span(0, 10)),
        ("Bytes = 1 - 2", Span(1, 3)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-" + "9" * 18, Span(0, 10)),
        ("bytes=0-" + "9" * 19, None),
        ("bytes=-" + "9" * 40, None),
    ],
)
def test_one_range_or_the_whole(header: str | None, span: Span | None) -> None:
    assert wanted_span(header, 10) == span


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=-5", 0)]
)
def test_a_range_behind_the_end_is_told(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_span(header, size)


def test_etags() -> None:
    assert names_etag('"a"', '"a"')
    assert names_etag('"b", W/"a"', '"a"')
    assert names_etag("*", '"a"')
    assert not names_etag('"b"', '"a"')
    assert not names_etag(None, '"a"')
    assert range_holds(None, '"a"')
    assert range_holds('"a"', '"a"')
    assert not range_holds('W/"a"', '"a"')
    assert not range_holds("Sat, 28 Nov 2026 00:00:00 GMT", '"a"')
