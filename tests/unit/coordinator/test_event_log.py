"""The event log on values: batches by count and bytes, the fence, conflicts, lost answers, what is read back."""

from __future__ import annotations

import pytest

from pocket3d.contracts.codec import decode
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.messages import Status
from pocket3d.coordinator.engine.effects import PublishEvent
from pocket3d.coordinator.leadership.event_log import (
    MOST_BYTES,
    MOST_EVENTS,
    PAUSE_S,
    AppendBatch,
    BatchConflict,
    BatchEndRead,
    BatchEndUnread,
    BatchStored,
    BatchUnknown,
    BatchUnsent,
    EventLog,
    EventsAreStored,
    FencedOut,
    LogEffect,
    LogEvent,
    ReadBatchEnd,
)
from pocket3d.coordinator.leadership.leader_record import (
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    ReadLeaderRecord,
    WriteLeaderRecord,
)
from support.coordinator_desk import last_status

RECORD = LeaderRecord(coordinator_id="one", epoch=7)
YOUNGER = LeaderRecord(coordinator_id="two", epoch=8)
FENCE = 5


def event(word: str = "started", job_id: str = "j1", *, reason: str = "", answer: bool = False) -> PublishEvent:
    words = {"started": "running", "requeued": "queued"}
    status = last_status(job_id, words.get(word, word), reason=reason or None)
    return PublishEvent(word, status, 3, answer)  # type: ignore[arg-type]


class Writer:
    """A log and its clock. `expect` hands in an answer and says what must follow."""

    def __init__(self, max_payload: int = 1 << 20) -> None:
        self.log = EventLog(RECORD, FENCE, max_payload)
        self.mono = 100.0

    def put(self, *events: PublishEvent) -> list[LogEffect]:
        for each in events:
            self.log.put(each)
        return self.log.begin()

    def do(self, answer: LogEvent) -> list[LogEffect]:
        return self.log.handle(answer, self.mono)

    def wait(self) -> list[LogEffect]:
        assert self.log.resume(self.mono) == [], "a pause is waited for"
        self.mono += PAUSE_S
        return self.log.resume(self.mono)


@pytest.fixture
def writer() -> Writer:
    return Writer()


def appended(made: list[LogEffect]) -> AppendBatch:
    (batch,) = made
    assert isinstance(batch, AppendBatch)
    return batch


# ---------------------------------------------------------------- batches


def test_events_leave_in_their_order_one_batch_in_flight(writer: Writer) -> None:
    first = appended(writer.put(event("started")))
    assert (first.fence, [e.event for e in first.events]) == (FENCE, ["started"])
    assert decode(Status, first.bodies[0]).job_id == "j1"
    assert writer.put(event("requeued"), event("succeeded")) == []
    stored, following = writer.do(BatchStored())
    assert stored == EventsAreStored(first.events)
    assert isinstance(following, AppendBatch)
    assert [e.event for e in following.events] == ["requeued", "succeeded"]
    assert following.name != first.name
    assert writer.do(BatchStored()) == [EventsAreStored(following.events)]
    assert writer.log.waiting == 0


def test_a_batch_ends_at_its_count_of_events(writer: Writer) -> None:
    batch = appended(writer.put(*(event(job_id=f"j{n}") for n in range(MOST_EVENTS + 1))))
    assert len(batch.events) == MOST_EVENTS
    assert writer.log.waiting == MOST_EVENTS + 1
    _, following = writer.do(BatchStored())
    assert isinstance(following, AppendBatch)
    assert [e.status.job_id for e in following.events] == [f"j{MOST_EVENTS}"]


def test_a_batch_ends_at_its_bytes_but_holds_at_least_one_event(writer: Writer) -> None:
    large = [event(job_id=f"j{n}", reason="r" * (MOST_BYTES // 2)) for n in range(3)]
    batch = appended(writer.put(*large))
    assert [e.status.job_id for e in batch.events] == ["j0"]
    assert sum(map(len, batch.bodies)) <= MOST_BYTES
    writer.do(BatchStored())
    huge = Writer(max_payload=4 * MOST_BYTES)
    assert len(appended(huge.put(event(reason="r" * (2 * MOST_BYTES)))).events) == 1


@pytest.mark.parametrize(("more", "batches"), [(0, [["j1", "j2"]]), (1, [["j1"], ["j2"]])])
def test_a_batch_may_have_just_so_many_bytes(writer: Writer, more: int, batches: list[list[str]]) -> None:
    (least,) = appended(writer.put(event(reason="r"))).bodies
    half = MOST_BYTES // 2 - len(least) + 1
    writer.put(event(job_id="j1", reason="r" * half), event(job_id="j2", reason="r" * (half + more)))
    found = []
    while made := writer.do(BatchStored())[1:]:
        found.append([e.status.job_id for e in appended(made).events])
    assert found == batches


def test_an_event_that_the_server_would_not_take_is_shortened(writer: Writer) -> None:
    small = Writer(max_payload=4096)
    batch = appended(small.put(event("failed", reason="r" * 9000), event("started", "j2")))
    assert [len(body) <= 4096 for body in batch.bodies] == [True, True]


# ---------------------------------------------------------------- what was not sent


def test_what_was_not_sent_is_sent_again_under_its_name(writer: Writer) -> None:
    batch = appended(writer.put(event()))
    assert writer.do(BatchUnsent("no connection")) == []
    assert writer.log.begin() == [], "it is in flight all the same"
    assert writer.wait() == [batch]


def test_after_a_reconnect_to_a_server_that_takes_less_it_is_shortened(writer: Writer) -> None:
    appended(writer.put(event("failed", reason="r" * 9000)))
    writer.log.max_payload = 4096
    writer.do(BatchUnsent("too large"))
    assert len(appended(writer.wait()).bodies[0]) <= 4096


# ---------------------------------------------------------------- conflicts


def test_a_conflict_is_a_question_and_what_stands_is_stored(writer: Writer) -> None:
    batch = appended(writer.put(event(), event("succeeded")))
    assert writer.do(BatchConflict()) == [ReadBatchEnd(batch.events[-1])]
    assert writer.do(BatchEndRead(batch.name)) == [EventsAreStored(batch.events)]


@pytest.mark.parametrize("name", [None, "one-7-99"])
def test_a_conflict_under_a_fence_that_holds_was_a_rival_in_process(writer: Writer, name: str | None) -> None:
    batch = appended(writer.put(event()))
    writer.do(BatchConflict())
    assert writer.do(BatchEndRead(name)) == [ReadLeaderRecord()]
    assert writer.do(LeaderRecordRead(RECORD, FENCE)) == []
    assert writer.wait() == [batch]


@pytest.mark.parametrize(
    "standing", [LeaderRecordRead(YOUNGER, 9), LeaderRecordRead(None, 0), LeaderRecordRead(None, 9)]
)
def test_a_conflict_under_anothers_record_is_the_end(writer: Writer, standing: LeaderRecordRead) -> None:
    writer.put(event())
    writer.do(BatchConflict())
    writer.do(BatchEndRead(None))
    assert writer.do(standing) == [FencedOut()]
    assert writer.put(event()) == []
    assert writer.do(BatchStored()) == []
    writer.mono += 100
    assert writer.log.resume(writer.mono) == []


def test_what_cannot_be_read_is_read_again(writer: Writer) -> None:
    batch = appended(writer.put(event()))
    writer.do(BatchConflict())
    assert writer.do(BatchEndUnread()) == []
    assert writer.wait() == [ReadBatchEnd(batch.events[-1])]
    writer.do(BatchEndRead(None))
    assert writer.do(LeaderRecordUnread()) == []
    assert writer.wait() == [ReadLeaderRecord()]
    assert writer.do(LeaderRecordRead(YOUNGER, 9)) == [FencedOut()]


# ---------------------------------------------------------------- lost answers


def unanswered(writer: Writer) -> AppendBatch:
    """A batch without an answer, whose fence is being renewed."""
    batch = appended(writer.put(event(), event("succeeded")))
    assert writer.do(BatchUnknown()) == [ReadLeaderRecord()]
    return batch


def test_the_fence_is_written_anew_before_anything_is_believed(writer: Writer) -> None:
    batch = unanswered(writer)
    assert writer.do(LeaderRecordRead(RECORD, FENCE)) == [WriteLeaderRecord(RECORD, FENCE)]
    assert writer.do(LeaderRecordWritten(7, 8)) == [ReadBatchEnd(batch.events[-1])]
    assert writer.log.fence == 8


def test_a_batch_that_was_stored_without_an_answer_is_not_stored_twice(writer: Writer) -> None:
    batch = unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    writer.do(LeaderRecordWritten(7, 8))
    assert writer.do(BatchEndRead(batch.name)) == [EventsAreStored(batch.events)]
    assert appended(writer.put(event("failed"))).fence == 8


def test_what_stands_is_read_again_where_it_could_not_be_read_after_the_fence_was_renewed(writer: Writer) -> None:
    batch = unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    writer.do(LeaderRecordWritten(7, 8))
    assert writer.do(BatchEndUnread()) == []
    assert writer.wait() == [ReadBatchEnd(batch.events[-1])], "the fence need not be written a second time"
    assert writer.do(BatchEndRead(batch.name)) == [EventsAreStored(batch.events)]


def test_a_batch_that_was_not_stored_is_sent_again_under_the_new_fence(writer: Writer) -> None:
    batch = unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    writer.do(LeaderRecordWritten(7, 8))
    assert writer.do(BatchEndRead(None)) == []
    again = appended(writer.wait())
    assert again == batch._replace(fence=8)


@pytest.mark.parametrize("standing", [LeaderRecordRead(YOUNGER, 9), LeaderRecordRead(None, 0)])
def test_another_leaders_record_is_never_overwritten(writer: Writer, standing: LeaderRecordRead) -> None:
    unanswered(writer)
    assert writer.do(standing) == [FencedOut()]


def test_a_new_fence_that_was_written_without_an_answer_is_found_by_reading(writer: Writer) -> None:
    batch = unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    assert writer.do(LeaderRecordNotWritten()) == []
    assert writer.wait() == [ReadLeaderRecord()]
    assert writer.do(LeaderRecordRead(RECORD, 8)) == [ReadBatchEnd(batch.events[-1])]
    assert writer.log.fence == 8


def test_a_new_fence_that_was_not_written_is_written_again(writer: Writer) -> None:
    unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    writer.do(LeaderRecordNotWritten())
    assert writer.wait() == [ReadLeaderRecord()]
    assert writer.do(LeaderRecordRead(RECORD, FENCE)) == [WriteLeaderRecord(RECORD, FENCE)]


def test_a_conflict_after_the_fence_was_renewed_is_looked_into_anew(writer: Writer) -> None:
    batch = unanswered(writer)
    writer.do(LeaderRecordRead(RECORD, FENCE))
    writer.do(LeaderRecordWritten(7, 8))
    writer.do(BatchEndRead(None))
    writer.wait()
    assert writer.do(BatchConflict()) == [ReadBatchEnd(batch.events[-1])]
    assert writer.do(BatchEndRead(None)) == [ReadLeaderRecord()], "the renewal of before proves nothing now"
    assert writer.do(LeaderRecordRead(YOUNGER, 9)) == [FencedOut()]


def test_names_tell_the_leaderships_apart() -> None:
    other = EventLog(LeaderRecord(coordinator_id="one", epoch=8), FENCE, 1 << 20)
    other.put(event())
    assert appended(other.begin()).name != appended(Writer().put(event())).name
