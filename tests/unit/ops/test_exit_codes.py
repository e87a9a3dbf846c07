"""Exit codes, on whose numbers scripts rely."""

from __future__ import annotations

import pytest

from pocket3d.ops.exit_codes import Exit, of_status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("queued", 0),
        ("running", 0),
        ("succeeded", 0),
        ("a word of a later version", 1),
        ("failed", 3),
        ("rejected", 4),
        ("cancelled", 5),
        ("expired", 5),
    ],
)
def test_the_status_of_a_job_has_its_number(status: str, code: int) -> None:
    assert of_status(status) == code


def test_numbers_stay_what_they_are() -> None:
    assert {code.name: code.value for code in Exit} == {
        "OK": 0,
        "ERROR": 1,
        "USAGE": 2,
        "FAILED": 3,
        "REJECTED": 4,
        "CANCELLED_OR_EXPIRED": 5,
        "NO_SERVER": 6,
        "WAIT_TIMED_OUT": 7,
        "JOB_ID_TAKEN": 8,
        "INTERRUPTED": 130,
    }
