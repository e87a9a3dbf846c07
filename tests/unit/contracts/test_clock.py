"""Times on the wire: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.contracts.clock import may_be_epoch, parse_rfc3339, rfc3339


def test_the_form() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_470_600.1234) == "2026-11-23T21:50:00.123Z"
    assert rfc3339(1.9999) == "1970-01-01T00:00:02.000Z"


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_every_millisecond_survives(ms: int) -> None:
    assert round(parse_rfc3339(rfc3339(ms / 1000)) * 1000) == ms


@pytest.mark.parametrize(
    ("fraction", "seconds"),
    [("", 0.0), (".5", 0.5), (".25", 0.25), (".123", 0.123), (".1234", 0.1234), (".123456789", 0.123456)],
)
@pytest.mark.parametrize("zone", ["Z", "+01:00"])
def test_fractions_have_any_number_of_digits(fraction: str, seconds: float, zone: str) -> None:
    whole = parse_rfc3339(f"2026-11-23T21:50:00{zone}")
    assert parse_rfc3339(f"2026-11-23T21:50:00{fraction}{zone}") == pytest.approx(whole + seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23", "2026-11-23T21:50:00.123"])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+12:00", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.000Z"),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_that_no_year_holds_is_written_as_the_nearest(text: str, written: str) -> None:
    assert rfc3339(parse_rfc3339(text)) == written
    step = -1e9 if written < "1970" else 1e300
    assert rfc3339(parse_rfc3339(text) + step) == written


def test_an_epoch_may_be_a_hundred_years_ahead_of_a_clock_and_no_more() -> None:
    now, most = 1_795_000_000.0, 1_795_000_000_000 + 100 * 365 * 86_400_000
    assert [may_be_epoch(epoch, now) for epoch in (0, 1_795_000_000_000, most, most + 1)] == [True, True, True, False]
