"""JSON in and out: the field at fault is named."""

from __future__ import annotations

import pytest

from pocket3d.contracts import codec
from pocket3d.contracts.api import CancelRequest
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import Advert, Result


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        (CancelRequest, b"{}", "job_id"),
        (CancelRequest, b'{"job_id": 5}', "job_id"),
        (CancelRequest, b'{"job_id": "a", "x": 1}', "x"),
        (CancelRequest, b"[]", "body"),
        (CancelRequest, b"{", "body"),
        (CancelRequest, b"", "body"),
        (CancelRequest, b"\xff", "body"),
        (CancelRequest, b"[" * 200_000, "body"),
        (Job, b'{"inputs": {}, "limits": {"load_s": "x"}}', "limits.load_s"),
        (Job, b'{"inputs": {}, "retry": {"x": 1}}', "retry.x"),
        (Result, b'{"job_id": "a", "feature": "f", "status": 1}', "status"),
        (Result, b'{"job_id": "a", "feature": "f", "status": "failed", "error": {"code": "x"}}', "error.message"),
        (Result, b'{"job_id": "a", "feature": "f", "status": "failed", "artifacts": [{}]}', "artifacts[0].name"),
        (Advert, b'{"agent_id": "a", "incarnation": "i", "seq": "1"}', "seq"),
    ],
)
def test_decode_names_the_field(kind: type, data: bytes, field: str) -> None:
    with pytest.raises(codec.WireError) as caught:
        codec.decode(kind, data)
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.message}"


def test_convert_names_the_field() -> None:
    with pytest.raises(codec.WireError) as caught:
        codec.convert(Job, {"inputs": {}, "retry": {"factor": 0}})
    assert caught.value.field == "retry.factor"


def test_what_is_encoded_decodes_to_the_same() -> None:
    job = Job(inputs={"text_prompt": "käse", "list": [1, None, {"a": 2.5}]}, vram_mb=3)
    assert codec.decode(Job, codec.encode(job)) == job
    assert b"\n" not in codec.encode(job)


def test_a_result_without_attempt_is_of_none() -> None:
    """A job that was rejected or cancelled while it was queued was never tried."""
    found = codec.decode(Result, b'{"job_id": "a", "feature": "f", "status": "rejected"}')
    assert (found.attempt, found.tenant, found.artifacts, found.metadata) == (0, "default", [], {})
    assert {getattr(found, name) for name in ("token", "agent_id", "device", "outputs", "error", "variant")} == {None}
