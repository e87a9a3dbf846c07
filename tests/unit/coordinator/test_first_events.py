"""First events in batches: what leaves when, and that no id is in flight twice."""

from __future__ import annotations

import pytest

from pocket3d.contracts.messages import JobError
from pocket3d.coordinator.engine.effects import PublishQueued, PublishQueuedBatch
from pocket3d.coordinator.leadership.first_events import FirstEvents
from support.coordinator_desk import last_status


@pytest.fixture
def first_events() -> FirstEvents:
    """With as many in flight as there may be."""
    made = FirstEvents()
    for number in range(4):
        made.put(PublishQueued(last_status(f"busy{number}"), number))
        assert len(made.send()) == 1
    return made


def sent(first_events: FirstEvents) -> list[list[str]]:
    return [
        [each.status.job_id for each in (made.first_events if isinstance(made, PublishQueuedBatch) else [made])]
        for made in first_events.send()
    ]


@pytest.mark.parametrize(
    ("ids", "batches"),
    [("abac", [["a", "b"], ["a", "c"]]), ("abbc", [["a", "b"], ["b", "c"]]), ("aabc", [["a"], ["a", "b", "c"]])],
)
def test_one_id_is_in_no_batch_twice(first_events: FirstEvents, ids: str, batches: list[list[str]]) -> None:
    for seq, job_id in enumerate(ids):
        first_events.put(PublishQueued(last_status(job_id), 10 + seq))
    assert sent(first_events) == []
    for number, batch in enumerate(batches):
        first_events.answered(f"busy{number}")
        assert sent(first_events) == [batch]
        first_events.answered("a")


def test_a_batch_that_is_answered_frees_its_place_and_no_other(first_events: FirstEvents) -> None:
    for job_id in "ab":
        first_events.put(PublishQueued(last_status(job_id), 10))
    first_events.answered("busy0")
    (batch,) = first_events.send()
    assert isinstance(batch, PublishQueuedBatch)
    first_events.put(PublishQueued(last_status("c"), 12))
    assert sent(first_events) == []
    first_events.batch_answered(batch)
    assert sent(first_events) == [["c"]]
    first_events.put(PublishQueued(last_status("d"), 13))
    assert sent(first_events) == [], "four are in flight"


def test_one_id_is_not_sent_alone_while_it_is_under_way(first_events: FirstEvents) -> None:
    first_events.answered("busy0")
    first_events.put(PublishQueued(last_status("a"), 10))
    assert sent(first_events) == [["a"]]
    first_events.put(PublishQueued(last_status("a"), 11))
    first_events.answered("busy1")
    assert sent(first_events) == []
    first_events.answered("a")
    assert sent(first_events) == [["a"]]
    first_events.answered("a")
    for number in range(2, 4):
        first_events.answered(f"busy{number}")
    assert set(first_events._in_flight.values()) == {0}


def test_what_is_no_job_goes_alone(first_events: FirstEvents) -> None:
    wrong = last_status("wrong", "rejected", error=JobError(code="invalid_input", message="x" * 1000))
    for seq, status in enumerate((last_status("a"), last_status("b"), wrong, last_status("c"))):
        first_events.put(PublishQueued(status, 10 + seq))
    for number in range(3):
        first_events.answered(f"busy{number}")
    assert sent(first_events) == [["a", "b"], ["wrong"], ["c"]]


def test_an_answer_to_what_was_not_sent_here_frees_no_place(first_events: FirstEvents) -> None:
    first_events.answered("another")
    first_events.put(PublishQueued(last_status("a"), 10))
    assert sent(first_events) == []


def test_a_batch_has_so_many_events(first_events: FirstEvents) -> None:
    for number in range(257):
        first_events.put(PublishQueued(last_status(f"j{number}"), number))
    first_events.answered("busy0")
    first_events.answered("busy1")
    assert [len(each) for each in sent(first_events)] == [256, 1]
