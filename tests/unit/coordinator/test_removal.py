"""Messages that somebody removed from the jobs stream: what becomes of their jobs, and of what is published again."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import JobError, Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.admission import REMOVED
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState


def look(desk: Desk, *, there: bool) -> None:
    """Answer the one question about messages."""
    asked = desk.one(effects.FindMessages)
    present, missing = (asked.messages, ()) if there else ((), asked.messages)
    desk.do(events.MessagesLooked(present, missing, asked.sweep))


def gone(desk: Desk, job_id: str = "j1") -> None:
    """The sweep finds nothing where the job's message was."""
    desk.do(events.MessagesLooked((), (effects.JobMessage(job_id, desk.record(job_id).seq),), sweep=True))


def ended_as(desk: Desk) -> tuple[str, str]:
    result = desk.one(effects.StoreResult).result
    assert result.error is not None
    return result.status, result.error.message


def ends(desk: Desk, job_id: str = "j1") -> None:
    """The proposed result is stored, and all that follows is done."""
    desk.see(desk.one(effects.StoreResult).result)
    desk.do(events.EventsStored((job_id,)))
    assert desk.one(effects.DeleteJob).job_id == job_id
    desk.do(events.JobAcked(job_id))
    assert desk.engine.record(job_id) is None


# ---------------------------------------------------------------- a running leader


def test_a_waiting_job_ends_as_cancelled_and_says_why(desk: Desk) -> None:
    desk.submit()
    gone(desk)
    assert desk.state() is S.FINISHING
    assert next(e for e in desk.effects if isinstance(e, effects.StoreResult)).result.status == "cancelled"
    ends(desk)


def test_an_ending_waits_until_the_leadership_is_proven(desk: Desk) -> None:
    desk.submit()
    desk.sleep(60.0)
    gone(desk)
    assert desk.take(effects.StoreResult) == []
    desk.do(events.LeadershipProven())
    assert ended_as(desk) == ("cancelled", REMOVED)


def test_a_running_job_runs_on_and_its_result_counts(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    gone(desk)
    desk.tick(5.0)
    assert desk.state() is S.RUNNING
    desk.see(desk.result_of(item, agent))
    assert desk.published() == ["started", "succeeded"]


def test_a_running_job_that_would_be_tried_again_ends(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    gone(desk)
    desk.failed(agent, item, "worker_crashed")
    desk.hear(agent, full=False)
    desk.tick()
    assert ended_as(desk) == ("cancelled", REMOVED)


def test_what_the_sweep_saw_of_an_earlier_message_is_no_word_on_the_present_one(desk: Desk) -> None:
    desk.submit(seq=5)
    desk.do(events.MessagesLooked((), (effects.JobMessage("j1", 4),), sweep=True))
    assert desk.state() is S.QUEUED


def test_a_job_that_has_its_result_is_not_touched(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.see(desk.result_of(item, agent))
    gone(desk)
    desk.tick()
    assert desk.take(effects.StoreResult) == []
    desk.close()


# ---------------------------------------------------------------- published again


def test_a_message_published_again_takes_the_place_of_the_removed_one(desk: Desk) -> None:
    desk.submit(seq=1, vram_mb=500)
    desk.read(seq=2, vram_mb=900)
    desk.read(seq=3)
    look(desk, there=False)
    record = desk.record()
    assert (record.seq, record.state, record.job_class.vram_mb) == (2, S.QUEUED, 900)
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [3]
    assert desk.take(effects.StoreResult) == []


def test_it_takes_the_place_of_a_running_one_and_may_be_tried_again(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, seq=1)
    gone(desk)
    desk.read(seq=2, priority="high")
    look(desk, there=False)
    assert (desk.state(), desk.record().seq) == (S.RUNNING, 2)
    desk.failed(agent, item, "worker_crashed")
    desk.tick()
    assert desk.state() is S.QUEUED
    assert desk.take(effects.StoreResult) == []


def test_attempts_that_it_had_count(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.running(agent, seq=1), "adapter_error")
    desk.read(seq=2)
    look(desk, there=False)
    record = desk.record()
    assert (record.seq, record.attempt_no, record.retry and record.retry.spent) == (2, 1, 1)


def test_what_is_published_again_while_it_ends_is_a_second_publish(desk: Desk) -> None:
    desk.submit(seq=1)
    gone(desk)
    desk.read(seq=2)
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [2]
    ends(desk)


def test_a_question_that_the_end_of_the_job_overtook_acks_the_second_publish(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, seq=1)
    desk.read(seq=2)
    desk.see(desk.result_of(item, agent))
    desk.close()
    look(desk, there=False)
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [2]


@pytest.mark.parametrize("word", ["queued", "running"])
def test_it_takes_the_place_of_one_that_a_former_leader_had(word: str, desk: Desk, agent: AgentDouble) -> None:
    """Its story says queued, its message is gone, and publishing it again did nothing."""
    desk.hear(agent)
    desk.read(seq=8)
    desk.do(events.QueuedConflict("j1"))
    status = last_status(word=word, attempt=1 if word == "running" else 0, agent_id="a1" if word == "running" else None)
    desk.do(events.LastEventRead("j1", status, 3))
    assert desk.state() is S.RECOVERING
    look(desk, there=False)
    if word == "running":
        desk.do(events.ResultRead("j1", None))
    desk.win(agent)
    assert (desk.state(), desk.record().seq) == (S.AWARDED, 8)


def test_an_earlier_message_that_is_there_is_the_job(desk: Desk) -> None:
    desk.read(seq=8)
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(), 3))
    look(desk, there=True)
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [8]
    assert desk.engine.record("j1") is None


def test_an_earlier_message_that_is_read_while_it_is_looked_for_is_the_job(desk: Desk) -> None:
    desk.read(seq=8)
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(), 3))
    desk.read(seq=3, priority="low")
    look(desk, there=True)
    assert [ack.seq for ack in desk.take(effects.AckJob)] == [8]
    assert (desk.state(), desk.record().seq) == (S.QUEUED, 3)


# ---------------------------------------------------------------- a new leader


def listed(desk: Desk, **story: Any) -> None:
    desk.do(events.StoriesListed(("j1",), 1))
    assert desk.one(effects.ReadLastEvent).job_id == "j1"
    desk.do(events.LastEventRead("j1", last_status(**story), 3))


def test_a_story_without_an_end_or_a_message_ends(desk: Desk) -> None:
    listed(desk)
    look(desk, there=False)
    assert next(e for e in desk.effects if isinstance(e, effects.StoreResult)).result.error is not None
    ends(desk)


def test_one_that_an_agent_runs_runs_on(desk: Desk, agent: AgentDouble) -> None:
    item = effects.AwardItem("j1", 3, "echo", 1, "6-1", "echo", "fixed-0", None, 0.0, 0.0)
    agent.running = [agent.runs(item)]
    desk.hear(agent)
    listed(desk, word="running", attempt=1, agent_id="a1")
    look(desk, there=False)
    assert desk.state() is S.RUNNING
    desk.see(desk.result_of(item, agent))
    assert desk.published()[-1] == "succeeded"


def test_one_that_its_agent_has_no_more_ends(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    listed(desk, word="running", attempt=1, agent_id="a1")
    look(desk, there=False)
    desk.do(events.ResultRead("j1", None))
    desk.tick()
    assert ended_as(desk) == ("cancelled", REMOVED)


def test_attempts_in_its_story_are_told(desk: Desk) -> None:
    error = JobError(code="adapter_error", message="m", attempts=[])
    listed(desk, attempt=1, error=error)
    look(desk, there=False)
    assert desk.one(effects.StoreResult).result.attempt == 1


@pytest.mark.parametrize("what", ["ended", "its message is there", "it is read", "unreadable"])
def test_what_needs_no_end_gets_none(what: str, desk: Desk) -> None:
    desk.do(events.StoriesListed(("j1",), 1))
    if what == "ended":
        desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 3))
    elif what == "unreadable":
        desk.do(events.LastEventRead("j1", None, 3, unreadable=True))
    else:
        desk.do(events.LastEventRead("j1", last_status(), 3))
        if what == "it is read":
            desk.read(seq=3)
        look(desk, there=what != "it is read")
    desk.tick()
    assert desk.take(effects.StoreResult) == []
    assert (desk.engine.core.stories_asked, desk.engine.core.story_doubts) == ({}, {})


def test_a_cancel_ends_a_story_that_the_engine_does_not_hold(desk: Desk) -> None:
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.do(events.LastEventRead("j1", last_status(), 3))
    desk.take(effects.ReadLastEvent)
    look(desk, there=False)
    assert ended_as(desk) == ("cancelled", "not wanted")


def test_a_story_that_ends_while_its_message_is_looked_for_ends_once(desk: Desk) -> None:
    """Its result is read in between: seed 600396 of the simulation told the end of a job twice."""
    listed(desk, word="running", attempt=1, agent_id="a1")
    desk.see(Result(job_id="j1", feature="echo", status="succeeded", attempt=1, token="7-1", agent_id="a1"))
    desk.do(events.LastEventRead("j1", last_status(word="running", attempt=1, agent_id="a1"), 3))
    assert desk.published() == ["succeeded"]
    desk.do(events.EventsStored(("j1",)))
    desk.do(events.JobAcked("j1"))
    assert desk.engine.record("j1") is None
    desk.do(events.MessagesLooked((), (effects.JobMessage("j1", 3),)))
    desk.do(events.ResultRead("j1", None))
    desk.tick()
    assert desk.published() == []
    assert desk.engine.core.jobs == {}


@pytest.mark.parametrize("there", [True, False], ids=["the first message is the job", "it was removed"])
def test_a_cancel_means_the_job_whichever_of_its_messages_was_read_first(there: bool, desk: Desk) -> None:
    desk.read(seq=8)
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(), 3))
    if there:
        desk.read(seq=3, priority="low")
    look(desk, there=there)
    assert ended_as(desk) == ("cancelled", "not wanted")


@pytest.mark.parametrize("there", [True, False], ids=["the first message is the job", "it was removed"])
def test_a_cancel_means_the_job_though_its_second_message_is_read_after_it(there: bool, desk: Desk) -> None:
    desk.do(events.CancelAsked("j1", "not wanted"))
    desk.read(seq=8)
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(), 3))
    if there:
        desk.read(seq=3, priority="low")
    look(desk, there=there)
    assert ended_as(desk) == ("cancelled", "not wanted")


def test_one_that_waits_for_its_end_leaves_the_queue_though_it_was_published_again(desk: Desk) -> None:
    desk.submit(seq=1)
    desk.read(seq=2, priority="high")
    desk.sleep(60.0)
    desk.do(events.CancelAsked("j1", "not wanted"))
    assert desk.record().ending is not None
    look(desk, there=False)
    desk.do(events.LeadershipProven())
    assert ended_as(desk) == ("cancelled", "not wanted")
    assert (desk.engine.core.queue.count, list(desk.engine.core.queue)) == (0, [])
