"""What a stream's specification becomes in the JetStream API."""

from __future__ import annotations

import pytest

from pocket3d.bus.stream_specs import StreamSpec

S = 1_000_000_000


def test_a_stream_without_limits_has_none() -> None:
    config = StreamSpec("S", ("s.>",), "a stream").config()
    limits = ("max_msgs", "max_bytes", "max_msgs_per_subject", "max_msg_size", "max_consumers")
    assert {config[limit] for limit in limits} == {-1}
    assert config["max_age"] == 0


@pytest.mark.parametrize(("age_s", "window_s"), [(0, 120), (60, 60), (1000, 120)])
def test_duplicates_are_looked_for_no_longer_than_messages_are_kept(age_s: float, window_s: int) -> None:
    config = StreamSpec("S", ("s.>",), "a stream", max_age_s=age_s).config()
    assert (config["max_age"], config["duplicate_window"]) == (age_s * S, window_s * S)
