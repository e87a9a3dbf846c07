"""What a client of the gateway is told of an error: status, message, field, and when to come again."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.bus.client.errors import ApiRefused, JobRefused, NoLeader, WaitTimeout
from pocket3d.contracts.codec import WireError
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import Rejection
from pocket3d.ops.gateway.errors import HttpError, Told, tell

NOT_TAKEN = JobRefused(Rejection(FailureCode.INVALID_INPUT, "inputs.text_prompt", "want a chair"))
TOO_LARGE = JobRefused(Rejection(FailureCode.TOO_LARGE, "inputs", "more than 1 MB"))


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        (HttpError(418, "no", "tea"), 418, "tea"),
        (ApiRefused(400, "no", "feature"), 400, "feature"),
        (ApiRefused(599, "no"), 599, None),
        (ApiRefused(399, "no"), 502, None),
        (ApiRefused(600, "no"), 502, None),
        (NOT_TAKEN, 400, "inputs.text_prompt"),
        (TOO_LARGE, 413, "inputs"),
        (WireError("priority", "no"), 400, "priority"),
        (WaitTimeout("j1", 5, "it runs"), 504, None),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
def test_an_error_has_its_status_and_the_field_that_is_wrong(error: Exception, code: int, field: str | None) -> None:
    told = tell(error)
    assert told is not None
    assert (told.code, told.field, told.headers) == (code, field, {})


def test_who_finds_nobody_is_told_to_come_again() -> None:
    told = tell(NoLeader("p3d.api.list", 10))
    assert told is not None
    assert (told.code, told.headers) == (503, {"Retry-After": "2"})


def test_a_bug_is_told_to_nobody() -> None:
    assert tell(KeyError("tenant")) is None


def test_the_body_names_a_field_only_where_one_is_wrong() -> None:
    assert msgspec.json.decode(Told(400, "no", "tenant", {}).body()) == {
        "error": {"code": 400, "message": "no", "field": "tenant"}
    }
    assert msgspec.json.decode(Told(404, "none", None, {}).body()) == {"error": {"code": 404, "message": "none"}}


def test_an_error_says_its_message_in_a_log() -> None:
    assert str(HttpError(404, "there is no such job")) == "there is no such job"
