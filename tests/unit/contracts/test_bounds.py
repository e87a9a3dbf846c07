"""One absurd number makes its message unreadable, and says which field it was; numbers in text are ASCII digits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.contracts import commands, messages, worker_frames
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.codec import WireError, decode

HUGE = 10**400

DEVICE = {"id": "d", "kind": "cuda", "name": "n", "total_mb": 8000, "free_mb": 8000, "reserved_mb": 0, "buffer_mb": 0}
BID = {"lot": 0, "adapter_id": "a", "device": "d", "claim_mb": 1, "slots": 1, "est_queue_s": 0, "est_load_s": 0}
REPLY = {"agent_id": "a", "incarnation": "1-x", "seq": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_mb", HUGE),
        ("free_mb", HUGE),
        ("free_mb", -HUGE),
        ("reserved_mb", -1),
        ("buffer_mb", 2**31),
        ("max_running", 2**64),
    ],
)
def test_of_a_device(field: str, value: int) -> None:
    body = {**REPLY, "type": "call_answered", "call_id": 1, "devices": [{**DEVICE, field: value}]}
    with pytest.raises(WireError) as refused:
        decode(commands.CallAnswered, _json(body))
    assert refused.value.field == f"devices[0].{field}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("est_load_s", 1.7e308),
        ("est_queue_s", 1.7e308),
        ("est_run_s", -0.5),
        ("claim_mb", HUGE),
        ("claim_next_mb", -1),
        ("evict_mb", 2**63),
        ("slots", HUGE),
        ("slots", -1),
        ("max_concurrent", 10**12),
        ("lot", -1),
    ],
)
def test_of_a_bid(field: str, value: float) -> None:
    body = {**REPLY, "type": "call_answered", "call_id": 1, "bids": [{**BID, field: value}]}
    with pytest.raises(WireError) as refused:
        decode(commands.CallAnswered, _json(body))
    assert refused.value.field == f"bids[0].{field}"


@pytest.mark.parametrize("field", ["seq", "call_id"])
def test_of_what_rises(field: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(commands.CallAnswered, _json({**REPLY, "type": "call_answered", "call_id": 1, field: 2**53}))
    assert refused.value.field == field


def test_what_is_large_but_possible_passes() -> None:
    bid = {**BID, "est_queue_s": 1e9, "claim_mb": 10_000_000}
    answer = decode(
        commands.CallAnswered,
        _json({**REPLY, "seq": 2**53 - 1, "type": "call_answered", "call_id": 1, "bids": [bid], "devices": [DEVICE]}),
    )
    assert answer.bids[0].est_queue_s == 1e9


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("run_finished", {"outputs": {}, "files": [], "run_s": 1e308}),
        ("run_finished", {"outputs": {}, "files": [], "run_s": 1.0, "vram_peak_mb": 2**64 - 1}),
        ("run_finished", {"outputs": {}, "files": [], "run_s": float("nan")}),
        ("run_failed", {"code": "x", "message": "x", "run_s": float("inf")}),
    ],
)
def test_of_a_worker_ends_that_worker(kind: str, more: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode({"type": kind, "run_id": "1-1", **more})
    with pytest.raises(worker_frames.FrameError):
        worker_frames.FrameReader(from_worker=True).feed(len(body).to_bytes(4, "big") + body)


def test_a_frame_with_bad_utf_8_is_no_frame() -> None:
    body = b"\x81\xa4type\xa5h\xfbllo"
    with pytest.raises(worker_frames.FrameError):
        worker_frames.FrameReader(from_worker=True).feed(len(body).to_bytes(4, "big") + body)


def test_of_a_result() -> None:
    body = {"job_id": "j", "feature": "echo", "status": "succeeded", "timings": {"run_s": 1e300}}
    with pytest.raises(WireError) as refused:
        decode(messages.Result, _json(body))
    assert refused.value.field == "timings.run_s"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("1" * 5000, None),
        ("²", None),
        ("٣", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        (" 1", None),
        ("1\n", None),
        ("", None),
    ],
)
def test_a_number_in_text(text: str, number: int | None) -> None:
    assert decimal(text) == number


def test_the_number_of_digits_can_be_chosen() -> None:
    assert (decimal("123", max_digits=3), decimal("1234", max_digits=3)) == (123, None)


def _json(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)
