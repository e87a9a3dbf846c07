"""When two requests are the same."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.jobs import Job, SubmitRequest, admit
from pocket3d.coordinator.leadership.request_fingerprint import request_digest


def published(data: bytes) -> Job:
    job = admit("echo", data, None, "s0000000-1").job
    assert job is not None
    return job


@pytest.mark.parametrize("more", [{}, {"limits": {"load_s": 900}}, {"retry": {"max_attempts": 3}}, {"job_id": "b"}])
def test_a_request_is_the_same_however_it_came_and_whatever_it_left_to_the_defaults(more: dict[str, Any]) -> None:
    body = {"inputs": {"text_prompt": "a chair"}, "job_id": "a", **more}
    plain = published(encode({"inputs": {"text_prompt": "a chair"}}))
    through_the_api = decode(SubmitRequest, encode({"feature": "echo", **body})).job()
    assert request_digest(through_the_api) == request_digest(plain)
    assert request_digest(published(encode(through_the_api))) == request_digest(plain)
    assert request_digest(published(encode(body))) == request_digest(plain)


@pytest.mark.parametrize("more", [{"inputs": {}}, {"limits": {"load_s": 901}}, {"tenant": "t"}, {"vram_mb": 1}])
def test_another_request_is_recognised(more: dict[str, Any]) -> None:
    body = {"inputs": {"text_prompt": "a chair"}}
    assert request_digest(published(encode(body))) != request_digest(published(encode({**body, **more})))
