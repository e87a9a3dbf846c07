"""A new leader finds out what is true: agents asked, results drained, last events read, duplicates recognised."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.bounds import MOST_COUNT
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.commands import AgentRecord
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import AttemptError, JobError, Result
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import EPOCH_WALL, AgentDouble, Desk, last_status, offer

S = JobState


def known(*agent_ids: str) -> tuple[AgentRecord, ...]:
    return tuple(
        AgentRecord(
            agent_id=agent_id,
            incarnation="1-x",
            host="h",
            version="0",
            draining=False,
            devices=[],
            adapters=[],
            features=["relief"],
            at=rfc3339(EPOCH_WALL),
        )
        for agent_id in agent_ids
    )


def taking_over(*agent_ids: str, **settings: Any) -> Desk:
    desk = Desk(lead=False, **settings)
    desk.do(events.Led(7, known(*agent_ids)))
    return desk


def old_award(job_id: str = "j1", token: str = "6-4", seq: int = 1) -> effects.AwardItem:
    return effects.AwardItem(job_id, seq, "echo", 1, token, "echo", "fixed-0", None, 0.0, 0.0)


def recovered(desk: Desk, word: str = "queued", *, seq: int | None = None, job_id: str = "j1", **status: Any) -> None:
    """A job of a former leader is read."""
    own = desk.read(job_id)
    desk.do(events.QueuedConflict(job_id))
    assert desk.one(effects.ReadLastEvent).job_id == job_id
    desk.do(events.LastEventRead(job_id, last_status(job_id, word, **status), own if seq is None else seq))


def succeeded(token: str = "6-4", job_id: str = "j1") -> Result:
    return Result(job_id=job_id, feature="echo", status="succeeded", attempt=1, token=token, agent_id="a1")


# ---------------------------------------------------------------- order


def test_nothing_is_awarded_before_results_are_drained_and_agents_have_answered() -> None:
    desk = taking_over("a1", "a2")
    assert [e.agent_id for e in desk.take(effects.AskState)] == ["a1", "a2"]
    desk.submit()
    desk.hear(AgentDouble("a1"), answer=True)
    assert desk.take(effects.SendCall) == []
    desk.do(events.ResultsDrained())
    assert desk.take(effects.SendCall) == []
    desk.do(events.AgentSilent("a2", no_responders=True))
    assert len(desk.take(effects.SendCall)) == 1
    assert [e.agent_id for e in desk.take(effects.ForgetAgent)] == ["a2"]


def test_a_known_agent_that_stays_silent_is_waited_for_a_moment_only() -> None:
    desk = taking_over("gone", agent_lease_s=1e9)
    agent = AgentDouble("a1")
    desk.hear(agent)
    desk.do(events.ResultsDrained())
    desk.submit()
    led_at = desk.mono
    desk.until(effects.SendCall, agent)
    assert desk.mono - led_at == pytest.approx(desk.settings.recovery_answers_s, abs=0.25)


# ---------------------------------------------------------------- last events


def test_a_job_that_waited_waits_again() -> None:
    desk = taking_over()
    recovered(desk)
    assert desk.state() is S.QUEUED
    assert desk.published() == []


def test_a_running_job_is_left_to_the_agent_that_says_it_runs_it() -> None:
    desk = taking_over("a1")
    agent = AgentDouble("a1")
    agent.running = [agent.runs(old_award())]
    desk.hear(agent, answer=True)
    recovered(desk, "running", attempt=1, agent_id="a1")
    assert desk.state() is S.RUNNING
    assert desk.record().attempt_no == 1
    assert desk.published() == [], "started was published by the former leader"
    desk.see(succeeded())
    desk.close()


def test_a_job_awarded_just_before_the_takeover_is_adopted_and_its_start_published() -> None:
    desk = taking_over("a1")
    recovered(desk, "queued")
    agent = AgentDouble("a1")
    agent.running = [agent.runs(old_award())]
    desk.hear(agent, answer=True)
    assert desk.state() is S.RUNNING
    assert desk.published() == ["started"]


def test_a_running_job_of_a_silent_agent_waits_one_lease() -> None:
    desk = taking_over("a1")
    led_at = desk.mono
    recovered(desk, "running", attempt=1, agent_id="a1", device="fixed-0", adapter_id="echo")
    assert desk.state() is S.RECOVERING
    desk.until(effects.ReadResult)
    assert desk.mono - led_at == pytest.approx(desk.settings.agent_lease_s, abs=0.25)
    desk.do(events.ResultRead("j1", None))
    assert desk.state() is S.QUEUED
    retry = desk.record().retry
    assert retry is not None
    assert [(a.code, a.agent_id, a.attempt) for a in retry.attempts] == [("agent_lost", "a1", 1)]
    assert desk.published() == ["requeued"]


def test_a_last_attempt_that_is_lost_is_told_with_where_it_ran() -> None:
    desk = taking_over("a1")
    seq = desk.read(retry={"max_attempts": 1})
    desk.do(events.QueuedConflict("j1"))
    ran = {"attempt": 1, "agent_id": "a1", "device": "fixed-0", "adapter_id": "echo"}
    desk.do(events.LastEventRead("j1", last_status("j1", "running", **ran), seq))
    desk.until(effects.ReadResult)
    desk.do(events.ResultRead("j1", None))
    result = desk.one(effects.StoreResult).result
    assert (result.status, result.agent_id, result.device, result.adapter_id) == ("failed", "a1", "fixed-0", "echo")


def test_a_pause_of_the_leader_is_not_held_against_the_silent_agent() -> None:
    desk = taking_over("a1")
    recovered(desk, "running", attempt=1, agent_id="a1")
    desk.sleep(60.0)
    desk.do(events.LeadershipProven())
    desk.tick(1.0)
    assert desk.take(effects.ReadResult) == []
    agent = AgentDouble("a1")
    agent.running = [agent.runs(old_award())]
    desk.hear(agent)
    assert desk.state() is S.RUNNING


def test_a_running_job_that_its_agent_no_longer_has_is_lost_unless_its_result_stands() -> None:
    for stored in (None, succeeded()):
        desk = taking_over("a1")
        desk.hear(AgentDouble("a1"), answer=True)
        recovered(desk, "running", attempt=1, agent_id="a1")
        assert desk.one(effects.ReadResult).job_id == "j1"
        desk.do(events.ResultRead("j1", stored))
        assert desk.state() is (S.FINISHED if stored else S.QUEUED)


def test_an_advert_between_question_and_reading_brings_the_job_back() -> None:
    desk = taking_over("a1")
    agent = AgentDouble("a1")
    desk.hear(agent, answer=True)
    recovered(desk, "running", attempt=1, agent_id="a1")
    desk.take(effects.ReadResult)
    agent.running = [agent.runs(old_award())]
    desk.hear(agent)
    assert desk.state() is S.RUNNING
    desk.do(events.ResultRead("j1", None))
    assert desk.state() is S.RUNNING


def test_attempts_spent_before_count() -> None:
    desk = taking_over()
    at = rfc3339(EPOCH_WALL)
    spent = [
        AttemptError(attempt=n, agent_id="a1", device="d", code=code, message="m", at=at)
        for n, code in ((1, "worker_crashed"), (2, "handed_back"), (3, "timeout"))
    ]
    recovered(desk, attempt=3, error=JobError(code="timeout", message="m", attempts=spent))
    retry = desk.record().retry
    assert retry is not None
    assert (retry.spent, desk.record().attempt_no) == (2, 3)


def test_an_attempt_beyond_what_messages_can_count_spoils_no_award() -> None:
    desk = taking_over()
    agent = AgentDouble("a1")
    desk.hear(agent)
    desk.do(events.ResultsDrained())
    recovered(desk, attempt=MOST_COUNT)
    assert desk.win(agent).attempt == MOST_COUNT


def test_a_history_that_has_left_by_age_makes_a_new_job() -> None:
    desk = taking_over()
    desk.read()
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", None, None))
    published_again(desk)
    assert desk.state() is S.QUEUED


@pytest.mark.parametrize("answer", [events.QueuedConflict("j1"), events.QueuedUnknown("j1")])
def test_a_first_event_that_was_not_stored_is_published_again_as_it_was(answer: events.Event) -> None:
    desk = taking_over()
    seq = desk.read()
    first = desk.one(effects.PublishQueued)
    assert first.job_seq == seq
    desk.do(answer)
    desk.one(effects.ReadLastEvent)
    desk.do(events.LastEventRead("j1", None, None))
    again = desk.one(effects.Again).effect
    assert (again.job_seq, again.status.status) == (seq, "queued")
    desk.do(events.QueuedStored("j1"))
    assert desk.state() is S.QUEUED


def test_a_first_event_that_was_stored_without_an_answer_is_its_own() -> None:
    desk = taking_over()
    seq = desk.read()
    desk.do(events.QueuedUnknown("j1"))
    desk.do(events.LastEventRead("j1", last_status(), seq))
    assert desk.state() is S.QUEUED
    assert desk.take(effects.Again) == []


def published_again(desk: Desk) -> None:
    assert isinstance(desk.one(effects.Again).effect, effects.PublishQueued)
    desk.do(events.QueuedStored("j1"))


@pytest.mark.parametrize("what", ["rejected", "cancelled"])
def test_nothing_that_is_to_end_waits_because_its_history_left_by_age(what: str) -> None:
    desk = taking_over()
    desk.read(body=b"{" if what == "rejected" else None)
    desk.do(events.QueuedConflict("j1"))
    if what == "cancelled":
        desk.do(events.CancelAsked("j1", None))
    desk.do(events.LastEventRead("j1", None, None))
    published_again(desk)
    assert desk.one(effects.StoreResult).result.status == what


# ---------------------------------------------------------------- ended before


def test_an_ended_history_needs_only_its_ack() -> None:
    desk = taking_over()
    recovered(desk, "succeeded", attempt=1)
    assert desk.published() == []
    assert desk.take(effects.PublishDead) == []
    desk.close()


@pytest.mark.parametrize("word", ["succeeded", "failed", "cancelled", "expired", "rejected"])
def test_an_end_is_not_published_again_when_its_result_comes_first(word: str) -> None:
    desk = taking_over()
    desk.read()
    result = Result(job_id="j1", feature="echo", status=word, token="6-9")
    desk.see(result, seq=55)
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word=word), 1))
    assert desk.state() is S.FINISHED
    desk.close()
    assert desk.published() == []
    assert desk.one(effects.AckResult).seq == 55


def test_a_result_older_than_its_event_finishes_the_history() -> None:
    desk = taking_over()
    desk.see(succeeded(), seq=55)
    assert desk.one(effects.ReadLastEvent).job_id == "j1"
    desk.do(events.LastEventRead("j1", last_status(word="running", attempt=1), 9))
    assert desk.published() == ["succeeded"]
    desk.read(seq=9)
    assert desk.take(effects.PublishQueued) == []
    desk.effects.append(effects.PublishEvent("succeeded", last_status(word="succeeded"), 9, answer=True))
    desk.close()
    assert desk.one(effects.AckResult).seq == 55


def test_a_redelivered_result_of_an_ended_job_is_acked() -> None:
    desk = taking_over()
    desk.see(succeeded(), seq=55)
    desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 9))
    assert desk.one(effects.AckResult).seq == 55
    assert desk.engine.core.early_results == {}


def test_a_result_that_comes_while_the_job_is_being_read_is_kept_for_it() -> None:
    desk = taking_over()
    desk.read()
    desk.see(succeeded(), seq=55)
    assert desk.state() is S.SUBMITTED
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="queued"), 1))
    assert desk.state() is S.FINISHED
    assert desk.published() == ["started", "succeeded"]
    assert desk.engine.core.early_results == {}


def test_a_history_that_was_read_for_an_early_result_may_come_before_the_conflict() -> None:
    desk = taking_over()
    desk.see(succeeded(), seq=55)
    desk.read()
    desk.do(events.LastEventRead("j1", last_status(word="queued"), 1))
    assert desk.state() is S.FINISHED
    desk.do(events.QueuedConflict("j1"))
    assert desk.state() is S.FINISHED


@pytest.mark.parametrize("ending", ["rejected", "cancelled"])
def test_no_result_is_left_waiting_for_a_job_that_ends_another_way(ending: str) -> None:
    desk = taking_over()
    desk.read(body=b"{" if ending == "rejected" else None)
    stored = Result(job_id="j1", feature="echo", status=ending, token="6-9")
    desk.see(stored, seq=55)
    if ending == "cancelled":
        desk.do(events.CancelAsked("j1", None))
    desk.do(events.QueuedStored("j1"))
    assert desk.engine.core.early_results == {}
    assert desk.state() is S.FINISHED


# ---------------------------------------------------------------- duplicates


def test_a_second_publish_is_acked_and_changes_nothing_while_the_first_is_there(desk: Desk) -> None:
    desk.submit(seq=1)
    desk.read(seq=2, inputs={"other": 1})
    assert desk.take(effects.AckJob) == []
    looked = desk.one(effects.FindMessages).messages
    assert looked == (effects.JobMessage("j1", 1),)
    desk.do(events.MessagesLooked(looked, ()))
    ack = desk.one(effects.AckJob)
    assert (ack.seq, ack.answer) == (2, False)
    assert desk.record().seq == 1


def test_a_redelivery_is_ignored(desk: Desk) -> None:
    desk.submit(seq=1)
    desk.read(seq=1)
    assert desk.effects == []


def test_a_second_publish_of_a_finished_job_is_acked_by_its_last_event(desk: Desk) -> None:
    desk.read(seq=8)
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 3))
    assert desk.one(effects.AckJob).seq == 8
    assert desk.engine.record("j1") is None


def test_a_second_publish_waits_until_it_is_known_which_is_the_job(desk: Desk) -> None:
    """The former leader took the message of another priority first; only its last event says so."""
    desk.read(seq=5, priority="normal")
    desk.read(seq=9, priority="high")
    assert desk.take(effects.AckJob) == []
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="queued"), 9))
    assert [a.seq for a in desk.take(effects.AckJob)] == [5]
    assert desk.record().seq == 9
    assert desk.record().history[0] == "submitted -> recovering (its id is known)"
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="queued"), 9))
    assert desk.state() is S.QUEUED
    assert desk.record().job_class.priority == "high"
    assert desk.take(effects.AckJob) == []


@pytest.mark.parametrize("found", ["new", "known"])
def test_second_publishes_are_acked_once_it_is_known_that_the_first_is_the_job(found: str, desk: Desk) -> None:
    for seq in (5, 6, 7, 6):
        desk.read(seq=seq)
    if found == "new":
        desk.do(events.QueuedStored("j1"))
    else:
        desk.do(events.QueuedConflict("j1"))
        desk.read(seq=8)
        desk.do(events.LastEventRead("j1", last_status(), 5))
    assert sorted(a.seq for a in desk.take(effects.AckJob)) == [6, 7] + ([8] if found == "known" else [])
    assert desk.record().seq == 5
    assert desk.state() is S.QUEUED


def test_a_second_publish_of_a_job_whose_end_waits_for_a_proof_is_acked(desk: Desk) -> None:
    desk.sleep(30.0)
    desk.read(seq=1, body=b"{")
    desk.do(events.QueuedStored("j1"))
    desk.read(seq=2)
    assert [a.seq for a in desk.take(effects.AckJob)] == [2]


@pytest.mark.parametrize("known", [False, True])
def test_a_reading_for_a_job_that_has_ended_does_not_touch_a_second_publish(known: bool, desk: Desk) -> None:
    agent = AgentDouble()
    desk.hear(agent)
    item = desk.running(agent)
    agent.running = []
    desk.hear(agent, full=False)
    assert desk.one(effects.ReadResult).job_id == "j1"
    result = desk.result_of(item, agent)
    desk.see(result)
    desk.close()
    desk.read(seq=9)
    if known:
        desk.do(events.QueuedConflict("j1"))
    desk.do(events.ResultRead("j1", result))
    if not known:
        desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 1))
    assert [a.seq for a in desk.take(effects.AckJob)] == [9]
    assert desk.engine.record("j1") is None


def test_a_redelivered_result_does_not_end_a_second_publish(desk: Desk) -> None:
    desk.read(seq=17)
    desk.do(events.QueuedConflict("j1"))
    desk.see(succeeded(), seq=55)
    assert desk.published() == []
    desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 8))
    assert desk.published() == []
    assert [a.seq for a in desk.take(effects.AckJob)] == [17]
    assert desk.one(effects.AckResult).seq == 55
    assert desk.engine.core.early_results == {}


# ---------------------------------------------------------------- rejected


def test_rejected_is_the_first_and_only_event(desk: Desk) -> None:
    desk.read(body=b'{"inputs": {}, "surprise": 1}')
    first = desk.one(effects.PublishQueued)
    assert (first.status.status, first.status.reason) == (
        "rejected",
        "surprise: Object contains unknown field `surprise`",
    )
    desk.do(events.QueuedStored("j1"))
    result = desk.one(effects.StoreResult).result
    assert (result.status, result.error and result.error.field) == ("rejected", "surprise")
    desk.see(result)
    assert desk.one(effects.PublishDead).job_id == "j1"
    desk.do(events.DeadStored("j1"))
    assert desk.published() == []
    assert desk.one(effects.AckJob).answer


@pytest.mark.parametrize("stored", [True, False])
def test_a_rejection_is_finished_by_the_next_leader(stored: bool) -> None:
    desk = taking_over()
    desk.read(body=b"{")
    desk.do(events.QueuedConflict("j1"))
    desk.do(events.LastEventRead("j1", last_status(word="rejected"), 1))
    proposal = desk.one(effects.StoreResult)
    if stored:
        # The former leader's own result met ours.
        desk.do(events.ResultRead("j1", Result(job_id="j1", feature="echo", status="rejected", token="6-2")))
    else:
        desk.see(proposal.result)
    desk.close()
    assert desk.published() == []


def test_an_unknown_feature_is_rejected_after_three_adverts_of_leading(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit(feature="levitate")
    led_at = desk.mono
    desk.until(effects.StoreResult, agent)
    assert desk.mono - led_at == pytest.approx(3 * desk.settings.advert_s, abs=0.25)
    error = desk.one(effects.StoreResult).result.error
    assert error is not None
    assert (error.code, error.field) == ("unknown_feature", "subject")
    assert "echo" in error.message


def test_a_feature_that_was_ever_advertised_waits(agent: AgentDouble) -> None:
    desk = taking_over("a9")
    desk.do(events.ResultsDrained())
    desk.hear(agent)
    desk.submit(feature="relief")
    for _ in range(20):
        desk.tick(0.5)
        desk.hear(agent)
    assert desk.state() is S.QUEUED


def test_a_feature_becomes_known_by_an_advert(desk: Desk, agent: AgentDouble) -> None:
    desk.submit(feature="levitate")
    desk.tick(2.0)
    agent.adapters = [offer("lev", "levitate")]
    desk.hear(agent)
    assert len(desk.take(effects.SendCall)) == 1
    desk.tick(5.0)
    assert desk.take(effects.StoreResult) == []


# ---------------------------------------------------------------- cancels that come early


def test_a_job_that_is_cancelled_before_it_is_read_again_is_cancelled_when_it_is() -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(epoch=7, known=()))
    desk.do(events.ResultsDrained())
    desk.do(events.CancelAsked("j1", "enough"))
    desk.do(events.CancelAsked("j3", "of nobody"))
    for number, job_id in enumerate(("j1", "j2")):
        desk.read(job_id, seq=number + 1)
        desk.do(events.QueuedConflict(job_id))
        desk.do(events.LastEventRead(job_id, last_status(job_id), number + 1))
    result = desk.one(effects.StoreResult).result
    assert (result.job_id, result.status) == ("j1", "cancelled")
    assert result.error is not None
    assert result.error.message == "enough"
    assert desk.state("j2") is JobState.QUEUED
    desk.do(events.JobsIndexed())
    desk.submit("j3", seq=9)
    assert desk.state("j3") is JobState.QUEUED, "a wish of the time before is not kept for a later job"


@pytest.mark.parametrize("asked_for", [0, 1])
def test_a_late_answer_about_the_id_says_nothing_of_a_later_message(asked_for: int) -> None:
    """It was read for a result, or for the first message, before that job ended and left."""
    desk = Desk()
    desk.read("j1", seq=9)
    desk.do(events.LastEventRead("j1", last_status("j1", "running"), 1, asked_for=asked_for))
    assert desk.state("j1") is JobState.SUBMITTED
    assert desk.take(effects.FindMessages) == []
    desk.do(events.QueuedConflict("j1"))
    assert desk.one(effects.ReadLastEvent).seq == 9
    desk.do(events.LastEventRead("j1", last_status("j1", "succeeded"), 1, asked_for=9))
    assert desk.one(effects.AckJob) == effects.AckJob("normal", 9, second_of="j1")
    desk.take(effects.PublishQueued)
    desk.read("j1", seq=9)
    assert desk.take(effects.PublishQueued) == [], "it waits for its ack"
