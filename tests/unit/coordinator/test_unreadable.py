"""Bytes in the streams that make no sense: they decide nothing, and neither lose nor hold up a job."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.contracts.codec import WireError, encode
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Result, read_result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.history import read_last_event, read_stored_result
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState
SUBJECT = "p3d.results.echo.j1"
EVENT = "p3d.events.echo.j1.started"


def unreadable(desk: Desk, job_id: str = "j1", seq: int = 77) -> None:
    """The results stream holds an `x` for the job, and the leader deletes it."""
    desk.do(events.ResultUnreadable(job_id, SUBJECT, seq, "body: not valid JSON"))
    asked = desk.one(effects.DeleteResult)
    assert (asked.job_id, asked.subject, asked.seq) == (job_id, SUBJECT, seq)
    desk.do(events.ResultDeleted(job_id, seq))
    assert seq in [ack.seq for ack in desk.take(effects.AckResult)]


def proposal(desk: Desk) -> Result:
    return desk.one(effects.StoreResult).result


# ---------------------------------------------------------------- results


def test_of_an_unknown_job_they_are_deleted_and_acked(desk: Desk) -> None:
    unreadable(desk)
    assert desk.effects == []


def test_a_queued_job_ends_with_a_code_of_its_own(desk: Desk) -> None:
    desk.submit()
    unreadable(desk)
    result = proposal(desk)
    assert (result.status, result.error and result.error.code) == ("failed", "invalid_result")
    assert result.error is not None
    assert "message 77" in result.error.message
    assert "not valid JSON" in result.error.message
    desk.see(result)
    desk.close()


def test_a_running_job_is_stopped_and_its_device_is_free_again(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    unreadable(desk)
    (cancels,) = desk.take(effects.SendCancels)
    assert [(c.job_id, c.token) for c in cancels.cancels] == [("j1", item.token)]
    assert desk.state() is S.FINISHING
    desk.see(proposal(desk))
    desk.close()


def test_a_success_that_was_stored_first_counts(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    unreadable(desk)
    desk.take(effects.StoreResult)
    won = Result(job_id="j1", feature="echo", status="succeeded", attempt=1, token=item.token, agent_id="a1")
    desk.see(won)
    assert desk.published()[-1] == "succeeded"


def test_they_keep_a_proposal_of_our_own_out_only_until_they_are_deleted(desk: Desk) -> None:
    desk.submit()
    desk.do(events.CancelAsked("j1", "enough"))
    first = proposal(desk)
    unreadable(desk)
    assert proposal(desk) == first


def test_a_doubted_attempt_is_not_left_in_doubt(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    agent.running = []
    desk.hear(agent, full=False)
    assert desk.one(effects.ReadResult).job_id == "j1"
    unreadable(desk)
    result = proposal(desk)
    assert result.error is not None
    assert result.error.code == FailureCode.INVALID_RESULT.value


def test_a_job_whose_first_event_is_being_stored_is_not_touched(desk: Desk) -> None:
    desk.read()
    unreadable(desk)
    assert desk.take(effects.StoreResult) == []
    desk.do(events.QueuedStored("j1"))
    assert desk.state() is S.QUEUED


def test_they_are_deleted_once_however_often_they_are_met(desk: Desk) -> None:
    met = events.ResultUnreadable("j1", SUBJECT, 77, "body: not valid JSON")
    desk.do(met)
    desk.do(met)
    assert len(desk.take(effects.DeleteResult)) == 1
    desk.do(events.ResultDeleted("j1", 77))
    assert desk.engine.core.unreadable_results == {}


def test_a_later_versions_word_ends_the_job_and_its_result_stays(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    later = Result(job_id="j1", feature="echo", status="superseded", attempt=1, token=item.token, agent_id="a1")
    desk.see(read_result(encode(later), "j1"))
    assert desk.take(effects.DeleteResult) == []
    (published,) = [e for e in desk.take(effects.PublishEvent) if e.event == "failed"]
    assert published.status.status == "failed"
    assert "'superseded'" in (published.status.reason or "")
    assert desk.take(effects.PublishDead) == [], "nobody says that it failed"
    assert desk.state() is S.FINISHED


# ---------------------------------------------------------------- last events


def unreadable_last_event(desk: Desk, **more: object) -> None:
    desk.read("j1", **more)  # type: ignore[arg-type]
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", None, None, unreadable=True))


def test_a_job_whose_last_event_makes_no_sense_waits_if_it_has_no_result(desk: Desk) -> None:
    unreadable_last_event(desk, retry={"max_attempts": 1})
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", None))
    assert desk.state() is S.QUEUED
    assert desk.record().attempt_no == 0, "no attempt is held against it"


def test_a_job_whose_last_event_makes_no_sense_ends_if_it_has_a_result(desk: Desk) -> None:
    unreadable_last_event(desk)
    desk.do(events.ResultRead("j1", Result(job_id="j1", feature="echo", status="succeeded")))
    assert desk.published()[-1] == "succeeded"


def test_a_job_whose_last_event_makes_no_sense_is_left_to_the_agent_running_it(desk: Desk, agent: AgentDouble) -> None:
    item = effects.AwardItem("j1", 1, "echo", 1, "6-4", "echo", "fixed-0", None, 0.0, 0.0)
    agent.running = [agent.runs(item)]
    desk.hear(agent)
    unreadable_last_event(desk)
    assert desk.state() is S.RUNNING


def test_a_result_that_was_seen_first_ends_a_job_whose_last_event_makes_no_sense(desk: Desk) -> None:
    desk.read("j1")
    desk.do(events.ResultSeen(Result(job_id="j1", feature="echo", status="succeeded"), 5))
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", None, None, unreadable=True))
    assert desk.published()[-1] == "succeeded"


def test_a_second_publish_is_recognised_by_the_header_alone(desk: Desk) -> None:
    seq = desk.read("j1")
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", None, seq + 1, unreadable=True))
    desk.do(events.MessagesLooked(desk.one(effects.FindMessages).messages, ()))
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [seq]
    assert desk.engine.record("j1") is None


# ---------------------------------------------------------------- reading


def test_a_last_event_is_read_with_the_sequence_of_its_message() -> None:
    published = last_status("j1", "running")
    read = read_last_event("j1", EVENT, encode(published), {JOB_SEQ_HEADER: "12"})
    assert read == events.LastEventRead("j1", published, 12)


@pytest.mark.parametrize("header", ["", "x", "-1", "1.5", "\u00b2", "9" * 5000])
def test_a_header_that_is_no_sequence_tells_nothing(header: str) -> None:
    read = read_last_event("j1", EVENT, encode(last_status("j1")), {JOB_SEQ_HEADER: header})
    assert (read.job_seq, read.unreadable) == (None, False)


@pytest.mark.parametrize("data", [b"x", b"", b"{}", b"[]", encode(last_status("j2"))])
def test_a_last_event_that_makes_no_sense_is_one_all_the_same(data: bytes) -> None:
    read = read_last_event("j1", EVENT, data, {JOB_SEQ_HEADER: "3"})
    assert read == events.LastEventRead("j1", None, 3, unreadable=True)


@pytest.mark.parametrize(
    ("job_id", "feature", "stored_in"),
    [
        ("j1", "e cho", "echo"),
        ("j1", "auto_rig", "echo"),
        ("j1", 65 * "f", 65 * "f"),
        ("*", "echo", "echo"),
        (65 * "j", "echo", "echo"),
    ],
    ids=["no subject", "another feature's", "a feature too long", "a wildcard", "an id too long"],
)
def test_a_last_event_that_would_go_on_elsewhere_makes_no_sense(job_id: str, feature: str, stored_in: str) -> None:
    status = msgspec.structs.replace(last_status(job_id, "running"), feature=feature)
    assert read_last_event(job_id, f"p3d.events.{stored_in}.{job_id}.started", encode(status), {}).unreadable
    # What stands last on a wildcard is some other job's.
    assert read_last_event("*", "p3d.events.echo.j1.started", encode(last_status("*")), {}).unreadable


def test_a_stored_result_is_one_of_its_own_job_only() -> None:
    result = Result(job_id="j1", feature="echo", status="failed")
    assert read_stored_result("j1", SUBJECT, 4, encode(result)) == events.ResultSeen(result, 4)
    for data in (b"x", b"{}", encode(msgspec.structs.replace(result, job_id="j2"))):
        read = read_stored_result("j1", SUBJECT, 4, data)
        assert isinstance(read, events.ResultUnreadable)
        assert (read.job_id, read.subject, read.seq) == ("j1", SUBJECT, 4)
    with pytest.raises(WireError, match="'j1'"):
        read_result(encode(msgspec.structs.replace(result, job_id="j2")), "j1")
