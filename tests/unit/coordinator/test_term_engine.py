"""What the engine's effects become on the bus: requests read, commands in order, sizes kept, repeats, the catch-up."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import (
    AwardAnswer,
    AwardsAnswered,
    BidPlaced,
    CallAnswered,
    LeaderRecord,
)
from pocket3d.contracts.jobs import Job, admit
from pocket3d.contracts.lifecycle import JobState, Priority
from pocket3d.contracts.messages import Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.leadership import bus_answers
from pocket3d.coordinator.leadership.catch_up import STALLED_S
from pocket3d.coordinator.leadership.event_log import AppendBatch, BatchConflict, BatchEndRead, BatchStored, FencedOut
from pocket3d.coordinator.leadership.first_events import IN_FLIGHT, MOST_EVENTS
from pocket3d.coordinator.leadership.leader_record import LeaderRecordRead, ReadLeaderRecord
from pocket3d.coordinator.leadership.request_fingerprint import request_digest
from pocket3d.coordinator.leadership.term_engine import COUNT_S, PAUSE_S, TermEffect, TermEngine, TermEvent
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, last_status, offer

E = TypeVar("E")

WALL = 1_795_000_000.0
RECORD = LeaderRecord(coordinator_id="one", epoch=7)
CONSUMERS: tuple[effects.ConsumerKey, ...] = ("results", "high", "normal", "low")


class Term:
    """A term engine, a clock, and what it asked for."""

    def __init__(self, *, max_payload: int = 1 << 20, counted: bool = True, **settings: Any) -> None:
        self.decider = TermEngine(CoordinatorSettings(**settings), RECORD, 5, max_payload)
        self.mono = 1000.0
        self.made: list[Any] = []
        self.agent = AgentDouble(adapters=[offer(max_concurrent=64)])
        self._seq = 0
        self.do(events.Led(7, (), max_payload))
        if counted:
            for key in CONSUMERS:
                self.do(bus_answers.BacklogCounted(key, 0))

    def do(self, event: TermEvent) -> list[TermEffect]:
        made = self.decider.handle(event, Now(self.mono, WALL + self.mono))
        self.decider.engine.check()
        self.made += made
        return made

    def tick(self, seconds: float = 0.25) -> list[TermEffect]:
        end, made = self.mono + seconds, []
        while self.mono < end - 1e-9:
            self.mono = min(self.mono + 0.25, end)
            made += self.do(events.Tick())
        return made

    def take(self, kind: type[E]) -> list[E]:
        found = [each for each in self.made if isinstance(each, kind)]
        self.made = [each for each in self.made if not isinstance(each, kind)]
        return found

    def one(self, kind: type[E]) -> E:
        found = self.take(kind)
        assert len(found) == 1, f"want one {kind.__name__}, got {found}"
        return found[0]

    def state(self, job_id: str) -> JobState:
        return self.decider.engine.core.jobs[job_id].state

    def seq_of(self, job_id: str) -> int:
        return self.decider.engine.core.jobs[job_id].seq

    def read(
        self, job_id: str, *, size: int = 0, cached: bool = True, priority: Priority = "normal", **job: Any
    ) -> bytes:
        """A job is read from the stream; `cached` false: its request is at hand no more."""
        self._seq += 1
        inputs = {"text_prompt": "x" * size} if size else {}
        data = encode(Job(job_id=job_id, inputs=inputs, **job))
        admission = admit("echo", data, None, f"s0000000-{self._seq}")
        self.do(events.JobRead(self._seq, priority, "echo", admission, WALL + self.mono, data))
        if not cached:
            self.decider._cache.forget(self._seq)
        return data

    def queue(self, job_id: str, **more: Any) -> bytes:
        data = self.read(job_id, **more)
        self.do(events.QueuedStored(job_id))
        return data

    def hear(self) -> None:
        self.do(events.AdvertReceived(self.agent.advert()))

    def bid(self) -> None:
        """The agent answers the open call."""
        call = self.take(effects.SendCall)[-1]
        bids = [
            BidPlaced(
                lot=lot.lot,
                adapter_id="echo",
                device="fixed-0",
                claim_mb=1,
                slots=64,
                est_queue_s=0.0,
                est_load_s=0.0,
                est_run_s=1.0,
            )
            for lot in call.lots
        ]
        self.do(
            events.CallReturned(
                CallAnswered(
                    agent_id="a1",
                    incarnation=self.agent.incarnation,
                    seq=self.agent.count(),
                    call_id=call.call_id,
                    bids=bids,
                    declines=[],
                    devices=list(self.agent.devices),
                )
            )
        )

    def bid_on_all(self) -> None:
        """The agent answers every call that follows."""
        while any(isinstance(each, effects.SendCall) for each in self.made):
            self.bid()

    def accept(self, message: effects.SendAwardMessage) -> None:
        answers = [AwardAnswer(job_id=a.job_id, token=a.token, accepted=True, started=True) for a in message.awards]
        self.do(
            events.AwardsReturned(
                AwardsAnswered(
                    agent_id="a1", incarnation=self.agent.incarnation, seq=self.agent.count(), answers=answers
                )
            )
        )


@pytest.fixture
def term() -> Term:
    return Term()


# ---------------------------------------------------------------- first events


def test_the_first_event_carries_the_sequence_of_its_message_and_the_digest_of_its_request(term: Term) -> None:
    term.read("j0")
    first = term.one(effects.PublishQueued)
    assert first.job_seq == 1
    term.read("j1", tenant="t")
    second = term.one(effects.PublishQueued)
    assert (second.job_seq, second.status.job_id) == (2, "j1")
    assert second.digest == request_digest(Job(inputs={}, tenant="t"))
    assert second.digest != first.digest


def test_the_sequence_and_the_digest_stay_when_it_is_published_again(term: Term) -> None:
    term.read("j1")
    first = term.one(effects.PublishQueued)
    term.do(events.QueuedConflict("j1"))
    assert term.one(effects.ReadLastEvent).job_id == "j1"
    term.do(events.LastEventRead("j1", None, None))
    assert term.take(effects.PublishQueued) == []
    term.tick()
    again = term.one(effects.PublishQueued)
    assert again._replace(status=first.status, alone=False) == first
    assert again.alone


def test_a_burst_is_made_known_in_batches_and_few_at_once(term: Term) -> None:
    """What is in flight is bounded, whatever waits; each answer sends the next."""
    for number in range(IN_FLIGHT + MOST_EVENTS + 10):
        term.read(f"j{number}")
    alone = term.take(effects.PublishQueued)
    assert [each.status.job_id for each in alone] == [f"j{number}" for number in range(IN_FLIGHT)]
    assert term.take(effects.PublishQueuedBatch) == []
    term.do(events.QueuedStored("j0"))
    batch = term.one(effects.PublishQueuedBatch)
    ids = [each.status.job_id for each in batch.first_events]
    assert ids == [f"j{number}" for number in range(IN_FLIGHT, IN_FLIGHT + MOST_EVENTS)]
    assert all(each.digest for each in batch.first_events)
    term.do(bus_answers.QueuedBatchStored(batch))
    assert {term.state(job_id) for job_id in ids} == {JobState.QUEUED}
    assert len(term.one(effects.PublishQueuedBatch).first_events) == 10


def a_batch(term: Term) -> effects.PublishQueuedBatch:
    """Ten jobs whose first events leave together."""
    for number in range(IN_FLIGHT + 10):
        term.read(f"j{number}")
    term.do(events.QueuedStored("j0"))
    term.take(effects.PublishQueued)
    return term.one(effects.PublishQueuedBatch)


def test_one_known_id_costs_the_others_of_its_batch_one_read(term: Term) -> None:
    batch = a_batch(term)
    known, *fresh = [each.status.job_id for each in batch.first_events]
    term.do(bus_answers.QueuedBatchConflict(batch))
    assert [each.job_id for each in term.take(effects.ReadLastEvent)] == [known, *fresh]
    status = last_status(known, "succeeded")
    term.do(events.LastEventRead(known, status, 99))
    for job_id in fresh:
        term.do(events.LastEventRead(job_id, None, None))
    term.tick()
    again = term.take(effects.PublishQueued)
    assert [(each.status.job_id, each.alone) for each in again] == [(job_id, True) for job_id in fresh]
    assert term.take(effects.PublishQueuedBatch) == [], "another known id cannot touch them any more"


@pytest.mark.parametrize(
    "outcome", [bus_answers.QueuedBatchUnknown, lambda batch: bus_answers.EffectFailed(batch, "x")]
)
def test_a_batch_without_an_answer_or_refused_blocks_nobody(term: Term, outcome: Any) -> None:
    batch = a_batch(term)
    term.do(outcome(batch))
    asked = term.take(effects.ReadLastEvent)
    for each in asked:
        # It was stored nevertheless.
        term.do(events.LastEventRead(each.job_id, last_status(each.job_id), term.seq_of(each.job_id)))
    term.tick()
    alone = term.take(effects.PublishQueued)
    assert {each.alone for each in alone} <= {True}
    for effect in alone:
        term.do(events.QueuedStored(effect.status.job_id))
    assert {term.state(each.status.job_id) for each in batch.first_events} == {JobState.QUEUED}
    term.read("later")
    assert term.one(effects.PublishQueued).status.job_id == "later"


def test_a_burst_of_one_priority_leaves_the_others_their_appends(term: Term) -> None:
    for number in range(IN_FLIGHT + 10):
        term.read(f"j{number}")
    term.take(effects.PublishQueued)
    term.read("urgent", priority="high")
    assert term.one(effects.PublishQueued).status.job_id == "urgent"


# ---------------------------------------------------------------- repeats


def test_what_failed_is_repeated_after_a_pause_as_it_was(term: Term) -> None:
    failed = effects.ReadResult("j1")
    assert term.do(bus_answers.EffectFailed(failed, "no answer")) == []
    term.mono += PAUSE_S / 2
    assert effects.ReadResult("j1") not in term.do(events.Tick())
    term.mono += PAUSE_S / 2
    assert term.do(events.Tick()) == [failed]
    assert term.take(effects.ReadResult) == [failed]
    term.tick(1.0)
    assert term.take(effects.ReadResult) == []


def test_an_ack_that_is_not_confirmed_becomes_a_deletion(term: Term) -> None:
    """The server confirms no ack of what it has not delivered since a reset, and a full index reads no further."""
    term.do(bus_answers.EffectFailed(effects.AckJob("normal", 5, "j1", answer=True), "no answer"))
    term.do(bus_answers.EffectFailed(effects.AckJob("low", 6, "j2"), "no answer"))
    term.tick()
    assert term.take(effects.AckJob) == []
    deleted = [effects.DeleteJob(5, "j1"), effects.DeleteJob(6, "")]
    assert term.take(effects.DeleteJob) == deleted
    term.do(bus_answers.EffectFailed(deleted[0], "no answer"))
    term.tick()
    assert term.take(effects.DeleteJob) == deleted[:1], "until it is done"


def test_nothing_is_repeated_while_there_is_no_connection(term: Term) -> None:
    term.do(bus_answers.EffectFailed(effects.ReadResult("j1"), "gone"))
    term.do(events.Disconnected())
    term.tick(5.0)
    assert term.take(effects.ReadResult) == []
    term.do(events.Connected())
    assert term.take(effects.ReadResult) == [effects.ReadResult("j1")]


def test_a_refused_result_of_our_own_is_read_back_and_proposed_again(term: Term) -> None:
    term.queue("j1", metadata={"k": "v"})
    term.do(events.CancelAsked("j1", "enough"))
    stored = term.one(effects.StoreResult)
    assert (stored.result.status, stored.result.metadata) == ("cancelled", {"k": "v"})
    for answer in (events.ResultConflict("j1"), events.ResultUnknown("j1")):
        term.do(answer)
        assert term.take(effects.ReadResult) == [], "a rival may be in process"
        term.tick()
        assert term.one(effects.ReadResult).job_id == "j1"
        term.do(events.ResultRead("j1", None))
        assert term.one(effects.StoreResult).result == stored.result
    term.do(events.ResultConflict("j1"))
    term.tick()
    term.take(effects.ReadResult)
    term.do(events.ResultRead("j1", stored.result))
    (batch,) = term.take(AppendBatch)
    assert [event.event for event in batch.events] == ["cancelled"]


# ---------------------------------------------------------------- requests and commands


def test_an_award_whose_request_is_at_hand_goes_out_at_once(term: Term) -> None:
    term.hear()
    term.queue("j1", size=10)
    term.bid()
    message = term.one(effects.SendAwardMessage)
    assert (message.agent_id, message.incarnation) == ("a1", term.agent.incarnation)
    assert [(a.job_id, a.job.inputs) for a in message.awards] == [("j1", {"text_prompt": "x" * 10})]
    assert term.take(effects.ReadRequest) == []


def test_an_award_waits_for_its_request_and_a_cancel_does_not_overtake_it(term: Term) -> None:
    term.hear()
    data = term.queue("j1", cached=False)
    term.bid()
    assert term.take(effects.SendAwardMessage) == []
    assert term.one(effects.ReadRequest).seq == 1
    term.do(events.CancelAsked("j1", "enough"))
    assert term.take(effects.SendCancels) == []
    term.do(bus_answers.RequestRead(1, data))
    sent = [type(each) for each in term.made if isinstance(each, effects.SendAwardMessage | effects.SendCancels)]
    assert sent == [effects.SendAwardMessage, effects.SendCancels]
    assert term.decider._waiting == {}


def test_commands_to_another_agent_do_not_wait(term: Term) -> None:
    term.hear()
    term.queue("j1", cached=False)
    term.bid()
    term.do(events.AdvertReceived(AgentDouble("a2").advert()))
    term.queue("j2")
    assert "a2" in [call.agent_id for call in term.take(effects.SendCall)]


def test_a_request_is_read_once_for_all_that_wait_for_it(term: Term) -> None:
    data = term.queue("j1", cached=False)
    term.do(events.CancelAsked("j1", "enough"))
    term.one(effects.ReadRequest)
    term.do(events.ResultRead("j1", None))
    assert term.take(effects.ReadRequest) == []
    assert term.take(effects.StoreResult) == []
    term.do(bus_answers.RequestRead(1, data))
    assert len(term.take(effects.StoreResult)) == 2


def test_a_request_that_is_gone_is_reported_and_the_rest_of_the_award_goes_out(term: Term) -> None:
    term.queue("j0", cached=False)
    data = term.queue("j1", cached=False)
    term.hear()
    term.bid()
    term.take(effects.ReadRequest)
    term.do(bus_answers.RequestRead(1, None))
    term.do(bus_answers.RequestRead(2, data))
    messages = term.take(effects.SendAwardMessage)
    assert [award.job_id for message in messages for award in message.awards] == ["j1"]
    # Its metadata would have come from there too.
    assert term.one(effects.ReadRequest).seq == 1
    term.do(bus_answers.RequestRead(1, None))
    ended = term.one(effects.StoreResult).result
    assert (ended.job_id, ended.status) == ("j0", "cancelled")


def test_what_is_no_job_any_more_is_reported_too(term: Term) -> None:
    term.hear()
    term.queue("j1", cached=False)
    term.bid()
    term.do(bus_answers.RequestRead(1, b"x"))
    assert term.take(effects.SendAwardMessage) == []
    assert term.one(effects.StoreResult).result.status == "cancelled"


def test_awards_are_split_and_one_that_fits_nowhere_fails_its_job() -> None:
    term = Term(max_payload=8192)
    for number in range(6):
        term.queue(f"j{number}", size=3000)
    term.queue("large", size=7900)
    term.hear()
    term.bid_on_all()
    messages = term.take(effects.SendAwardMessage)
    sent = sorted(award.job_id for message in messages for award in message.awards)
    assert sent == [f"j{number}" for number in range(6)]
    assert all(len(encode(list(message.awards))) < 8192 for message in messages)
    failed = term.one(effects.StoreResult).result
    assert (failed.job_id, failed.error and failed.error.code) == ("large", "too_large")


def test_a_dead_letter_holds_its_request(term: Term) -> None:
    data = term.queue("j1", cached=False, metadata={"k": "v"})
    term.do(events.ResultSeen(Result(job_id="j1", feature="echo", status="failed"), 9))
    assert term.one(effects.ReadRequest).seq == 1
    term.do(bus_answers.RequestRead(1, data))
    letter = term.one(effects.StoreDeadLetter).letter
    assert (letter.job_id, letter.request and letter.request["metadata"]) == ("j1", {"k": "v"})
    assert term.take(AppendBatch) == [], "the letter comes before the last event"
    term.do(events.DeadStored("j1"))
    assert [event.event for event in term.one(AppendBatch).events] == ["failed"]


# ---------------------------------------------------------------- events


def test_events_of_one_step_leave_in_one_batch_and_their_end_is_reported(term: Term) -> None:
    term.queue("j1")
    term.do(events.ResultSeen(Result(job_id="j1", feature="echo", status="succeeded", attempt=1), 9))
    batch = term.one(AppendBatch)
    assert ([e.event for e in batch.events], batch.fence) == (["started", "succeeded"], 5)
    assert [note.step for note in term.take(effects.NoteStep)] == list(batch.events)
    assert term.take(effects.AckJob) == []
    term.do(BatchStored())
    ack = term.one(effects.AckJob)
    assert (ack.seq, ack.job_id, ack.answer) == (1, "j1", True)
    term.do(events.JobAcked("j1", 1))
    assert term.one(effects.AckResult).seq == 9
    assert term.decider.engine.record("j1") is None


def test_a_younger_leaders_record_is_reported(term: Term) -> None:
    term.queue("j1")
    term.do(events.ResultSeen(Result(job_id="j1", feature="echo", status="succeeded", attempt=1), 9))
    term.do(BatchConflict())
    term.do(BatchEndRead(None))
    term.one(ReadLeaderRecord)
    term.do(LeaderRecordRead(LeaderRecord(coordinator_id="two", epoch=8), 9))
    assert term.take(FencedOut) == [FencedOut()]


# ---------------------------------------------------------------- the catch-up


def test_the_index_is_complete_when_all_priorities_are_read() -> None:
    term = Term(counted=False)
    core = term.decider.engine.core
    term.do(bus_answers.BacklogCounted("results", 1))
    assert not core.results_drained
    term.do(events.ResultSeen(Result(job_id="j0", feature="echo", status="failed"), 4))
    assert core.results_drained
    for key, left in (("high", 0), ("normal", 2), ("low", 0)):
        term.do(bus_answers.BacklogCounted(key, left))
        assert not core.jobs_indexed
    term.read("j1")
    assert not core.jobs_indexed
    term.read("j2")
    assert core.jobs_indexed


def test_bytes_that_are_no_result_count_as_read() -> None:
    term = Term(counted=False)
    term.do(bus_answers.BacklogCounted("results", 1))
    term.do(events.ResultUnreadable("j1", "s", 4, "x"))
    assert term.decider.engine.core.results_drained


def counts(term: Term, seconds: float = COUNT_S) -> list[str]:
    return [each.consumer for each in term.tick(seconds) if isinstance(each, effects.CountBacklog)]


def test_what_is_left_is_counted_until_it_was_read() -> None:
    term = Term(counted=False)
    assert counts(term) == [], "it is counted when the consumer was taken over"
    term.do(bus_answers.BacklogCounted("normal", 1))
    term.do(bus_answers.BacklogCounted("low", 0))
    assert counts(term) == ["normal"]
    assert counts(term) == [], "its answer is awaited"
    term.do(bus_answers.BacklogUncounted("normal"))
    assert counts(term) == ["normal"]
    term.do(bus_answers.BacklogCounted("normal", 0))
    assert counts(term, 5.0) == []


def test_acks_that_were_confirmed_are_distinguished_from_those_to_come() -> None:
    term = Term(counted=False)
    term.do(bus_answers.BacklogCounted("normal", 2))
    term.read("j1")
    term.do(events.JobAcked("", 1))
    term.do(bus_answers.BacklogCounted("normal", 1))
    assert not term.decider._catch_up["normal"].done, "the second is still to come"
    term.do(bus_answers.BacklogCounted("normal", 0))
    assert term.decider._catch_up["normal"].done
    term.do(bus_answers.BacklogCounted("results", 2))
    term.do(events.ResultUnreadable("j2", "s", 4, "x"))
    term.do(bus_answers.ResultAcked(4))
    term.do(bus_answers.BacklogCounted("results", 1))
    assert not term.decider.engine.core.results_drained
    term.do(bus_answers.BacklogCounted("results", 0))
    assert term.decider.engine.core.results_drained


def count_on(term: Term, key: effects.ConsumerKey, unacked: int, seconds: float) -> list[effects.ResetConsumer]:
    """Let time pass in which each count says the same."""
    end = term.mono + seconds
    while term.mono < end:
        term.do(bus_answers.BacklogCounted(key, unacked))
        term.tick(COUNT_S)
    return term.take(effects.ResetConsumer)


@pytest.mark.parametrize("key", ["results", "normal"])
def test_what_a_former_leader_pulled_once_more_is_asked_for_again(key: effects.ConsumerKey) -> None:
    term = Term(counted=False)
    assert count_on(term, key, 2, STALLED_S - COUNT_S) == []
    assert count_on(term, key, 2, 2 * COUNT_S) == [effects.ResetConsumer(key)]


def test_nothing_is_asked_for_again_while_reading_pauses() -> None:
    term = Term(counted=False, index_cap=1)
    term.do(bus_answers.BacklogCounted("normal", 3))
    term.read("j1")
    assert count_on(term, "normal", 3, 3 * STALLED_S) == []


def test_a_count_that_a_broken_connection_took_is_asked_again() -> None:
    term = Term(counted=False)
    term.do(bus_answers.BacklogCounted("normal", 1))
    assert counts(term) == ["normal"]
    term.do(events.Disconnected())
    assert counts(term) == []
    assert effects.CountBacklog("normal") in term.do(events.Connected())


def test_an_award_that_was_refused_is_reported_as_refused(term: Term) -> None:
    term.hear()
    term.queue("j1")
    term.bid()
    message = term.one(effects.SendAwardMessage)
    term.do(events.AwardsRefused("a1", tuple(a.token for a in message.awards), "stale"))
    assert term.decider.engine.record("j1") is not None
    assert term.decider.engine.core.jobs["j1"].state is JobState.QUEUED
    assert term.take(effects.ProveLeadership) == [effects.ProveLeadership()]


def test_first_events_wait_until_a_leader_that_slept_has_proven_its_lead() -> None:
    """They carry no fence: seed 600252 of the simulation stored one after the next leader had looked for stories."""
    term = Term()
    term.mono += 60.0
    term.read("j1")
    assert term.take(effects.PublishQueued) == []
    assert term.take(effects.ProveLeadership)
    term.do(events.LeadershipProven())
    assert [each.status.job_id for each in term.take(effects.PublishQueued)] == ["j1"]


def test_the_end_of_a_removed_job_makes_the_sweep_suspect_no_others() -> None:
    term = Term()
    term.queue("gone")
    term.queue("stays")
    term.do(events.MessagesLooked((), (effects.JobMessage("gone", term.seq_of("gone")),)))
    term.do(bus_answers.RequestRead(term.one(effects.ReadRequest).seq, None))
    result = term.one(effects.StoreResult).result
    term.do(events.ResultSeen(result, 9))
    assert len(term.take(AppendBatch)) == 1
    term.do(BatchStored())
    (deleted,) = term.take(effects.DeleteJob)
    term.do(events.JobAcked(deleted.job_id, deleted.seq))
    sweep = term.decider._sweep
    assert (sweep._acks_sent, sweep._acks_confirmed) == (1, 1)


def test_stories_that_seem_unfinished_are_read(term: Term) -> None:
    term.do(events.StoriesListed((), 7))
    assert term.take(effects.ReadLastEvent) == []
    term.do(events.StoriesListed(("gone",), 0))
    assert term.one(effects.ReadLastEvent).job_id == "gone"
