"""What the server takes at most: awards, calls and events are split or shortened by it, and nothing loops."""

from __future__ import annotations

import math

import msgspec
import pytest

from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import Award
from pocket3d.contracts.jobs import Job, admit
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import AttemptError, DeadLetter, JobError, Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.intake import ENTERING_CAP
from pocket3d.coordinator.leadership.message_limits import (
    MAX_PAYLOAD,
    fit_dead_letter,
    fit_result,
    fit_status,
    pack_awards,
    room_of,
)
from support.coordinator_desk import AgentDouble, Desk, last_status, offer

S = JobState
ROOM = 4000


def award(number: int, size: int) -> Award:
    return Award(
        job_id=f"j{number}",
        feature="echo",
        attempt=1,
        token=f"7-{number}",
        adapter_id="echo",
        device="fixed-0",
        job=Job(inputs={"text": "x" * size}),
        submitted_at="2026-01-01T00:00:00.000Z",
        queued_s=0.0,
    )


def long_error(attempts: int = 50, chars: int = 2000) -> JobError:
    one = AttemptError(attempt=1, agent_id="a1", device="d", code="adapter_error", message="m" * chars, at="t")
    return JobError(code="adapter_error", message="e" * chars, field="inputs." + "f" * chars, attempts=[one] * attempts)


# ---------------------------------------------------------------- awards


def test_awards_share_messages_in_their_order_and_none_is_too_large() -> None:
    awards = [award(number, 900) for number in range(12)]
    packed = pack_awards(awards, ROOM)
    assert packed.too_large == []
    assert [a.job_id for message in packed.messages for a in message] == [a.job_id for a in awards]
    per_message = ROOM // max(len(encode(a)) + 1 for a in awards)
    assert len(packed.messages) == math.ceil(len(awards) / per_message)
    for message in packed.messages:
        assert sum(len(encode(a)) + 1 for a in message) <= ROOM


def test_an_award_that_fits_nowhere_is_named_and_does_not_hold_up_the_rest() -> None:
    awards = [award(1, 10), award(2, ROOM), award(3, 10)]
    packed = pack_awards(awards, ROOM)
    assert [[a.job_id for a in message] for message in packed.messages] == [["j1", "j3"]]
    ((large, size),) = packed.too_large
    assert (large.job_id, size > ROOM) == ("j2", True)


def test_an_award_of_exactly_the_room_is_sent_and_of_one_byte_more_is_not() -> None:
    one = award(1, 100)
    size = len(encode(one)) + 1
    assert pack_awards([one], size).messages == [[one]]
    assert pack_awards([one], size - 1).too_large == [(one, size)]


def test_an_award_that_is_too_large_fails_its_job(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardTooLarge("j1", item.token, 70_000, 65_536))
    result = desk.one(effects.StoreResult).result
    assert result.error is not None
    assert (result.status, result.error.code, result.attempt) == ("failed", "too_large", 0)
    assert "70000" in result.error.message
    assert desk.take(effects.SendCall) == []


def test_a_cancelled_award_that_is_too_large_is_cancelled(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.CancelAsked("j1", "enough"))
    desk.do(events.AwardTooLarge("j1", item.token, 70_000, 65_536))
    assert desk.one(effects.StoreResult).result.status == "cancelled"


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize(("max_payload", "lots"), [(2048, 1), (4096, 2), (6144, 4)])
def test_a_call_holds_no_more_lots_than_fit_and_the_next_has_the_rest(max_payload: int, lots: int) -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(7, (), max_payload))
    desk.do(events.ResultsDrained())
    desk.do(events.JobsIndexed())
    names = [f"adapter-{number}-{'x' * 50}" for number in range(10)]
    agent = AgentDouble(adapters=[offer(name) for name in names])
    for number, name in enumerate(names):
        desk.submit(f"j{number}", model_preference=name)
    desk.hear(agent)
    called: list[int] = []
    for _ in range(len(names)):
        calls = desk.take(effects.SendCall)
        if not calls:
            break
        (call,) = calls
        assert len(encode(list(call.lots))) <= room_of(max_payload)
        called.append(len(call.lots))
        desk.effects += calls
        desk.answer_calls(agent)
    assert sum(called) == len(names)
    assert called[0] == max(called) == lots


def test_a_call_is_as_large_as_the_server_of_now_takes_it() -> None:
    desk, agent = Desk(), AgentDouble()
    for number in range(4):
        desk.submit(f"j{number}", vram_mb=2000 - number)
    desk.do(events.Disconnected())
    desk.do(events.Connected(max_payload=2048))
    desk.hear(agent)
    desk.do(events.LeadershipProven())
    assert [len(call.lots) for call in desk.take(effects.SendCall)] == [2]
    desk.do(events.Disconnected())
    desk.do(events.Connected(max_payload=None))
    desk.do(events.LeadershipProven())
    assert [len(call.lots) for call in desk.take(effects.SendCall)] == [2], "nobody said that it takes more"


def test_a_lot_that_no_longer_fits_is_first_in_the_next_call_and_none_overtakes_it() -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(7, (), 2048))
    desk.do(events.ResultsDrained())
    desk.do(events.JobsIndexed())
    agent = AgentDouble()
    desk.submit("first")
    desk.submit("long", model_preference=["echo", *(f"other-{number}-{'x' * 50}" for number in range(12))])
    desk.submit("short", vram_mb=5)
    desk.hear(agent)
    called = []
    while calls := desk.take(effects.SendCall):
        called.append([(lot.adapters is not None, lot.vram_mb) for lot in calls[0].lots])
        desk.effects += calls
        desk.answer_calls(agent, slots=0, est_queue_s=99.0)
    assert called == [[(False, None)], [(True, None)], [(False, 5)]]


def test_a_lot_that_cannot_be_called_for_fails_its_jobs(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1")
    call = desk.one(effects.SendCall)
    desk.do(events.CallTooLarge(call.call_id + 1, 70_000, 65_536))
    assert desk.state() is S.QUEUED, "it was another call"
    desk.do(events.CallTooLarge(call.call_id, 70_000, 65_536))
    result = desk.one(effects.StoreResult).result
    assert result.error is not None
    assert result.error.code == "too_large"
    desk.submit("j2", vram_mb=5)
    assert len(desk.take(effects.SendCall)) == 1, "nobody waits for answers to a call that was never sent"


# ---------------------------------------------------------------- events, results, dead letters


def test_what_fits_is_left_as_it_is() -> None:
    status = last_status("j1", "failed", error={"code": "x", "message": "y"})
    assert fit_status(status, ROOM) is status


@pytest.mark.parametrize("room", [ROOM, 2000, 1000])
def test_an_event_that_is_too_large_is_shortened_and_says_so(room: int) -> None:
    status = last_status("j1", "failed", reason="r" * 5000)
    status = msgspec.structs.replace(status, error=long_error())
    short = fit_status(status, room)
    assert len(encode(short)) <= room
    assert short.error is not None
    assert "shortened: the server takes" in short.error.message
    assert (short.error.code, short.job_id, short.status) == ("adapter_error", "j1", "failed")


def test_the_latest_attempts_are_kept_longest() -> None:
    attempts = [AttemptError(attempt=n, agent_id="a", device="d", code="c", message="m", at="t") for n in range(30)]
    error = JobError(code="c", message="e", attempts=attempts)
    status = msgspec.structs.replace(last_status("j1", "failed"), error=error)
    short = fit_status(status, 1500)
    assert short.error is not None
    assert [attempt.attempt for attempt in short.error.attempts] == list(range(20, 30))


def test_a_result_loses_its_metadata_only_when_the_error_alone_does_not_do() -> None:
    small = Result(job_id="j", feature="f", status="failed", metadata={"k": "v"}, error=long_error())
    short = fit_result(small, ROOM)
    assert short.metadata == {"k": "v"}
    assert len(encode(short)) <= ROOM
    large = Result(job_id="j", feature="f", status="failed", metadata={"k": "v" * ROOM}, error=long_error())
    short = fit_result(large, ROOM)
    assert short.metadata == {}
    assert short.error is not None
    assert "metadata" in short.error.message
    assert len(encode(short)) <= ROOM


def test_a_dead_letter_loses_its_request_first() -> None:
    letter = DeadLetter(job_id="j", feature="f", priority="low", request={"k": "v" * ROOM}, error=None, at="t")
    assert fit_dead_letter(letter, ROOM).request is None
    letter = DeadLetter(job_id="j", feature="f", priority="low", request={"k": 1}, error=long_error(), at="t")
    short = fit_dead_letter(letter, ROOM)
    assert len(encode(short)) <= ROOM
    assert short.error is not None


def test_the_room_leaves_headers_their_place() -> None:
    assert MAX_PAYLOAD - 2048 < room_of(MAX_PAYLOAD) < MAX_PAYLOAD


def test_a_backlog_of_one_priority_does_not_stop_the_reading_of_another() -> None:
    desk = Desk(index_cap=2)
    for number in range(2):
        desk.submit(f"low{number}", priority="low")
    assert desk.one(effects.ReadJobs) == effects.ReadJobs(False, "low")
    assert desk.engine.core.intake.full() == ["low"]
    for number in range(2):
        desk.submit(f"high{number}", priority="high")
    assert desk.one(effects.ReadJobs) == effects.ReadJobs(False, "high")


def test_jobs_are_not_read_faster_than_their_first_events_are_stored() -> None:
    desk = Desk()
    for number in range(ENTERING_CAP - 1):
        desk.engine.handle(job_read(f"j{number}", number + 2), desk.now)
    assert desk.read("the last") == 1
    assert desk.one(effects.ReadJobs) == effects.ReadJobs(False, "normal")
    assert desk.engine.core.intake.full() == [], "there is room, once they are known"
    for number in range(ENTERING_CAP // 2 + 1):
        assert desk.take(effects.ReadJobs) == []
        desk.effects += desk.engine.handle(events.QueuedStored(f"j{number}"), desk.now)
    assert desk.one(effects.ReadJobs) == effects.ReadJobs(True, "normal")
    desk.engine.check()


def test_a_producer_that_repeats_itself_is_not_read_faster_than_its_messages_leave_the_stream() -> None:
    desk = Desk()
    desk.submit("j1", seq=1)
    for seq in range(2, ENTERING_CAP + 1):
        assert effects.ReadJobs(False, "normal") not in desk.engine.handle(job_read("j1", seq), desk.now)
    assert effects.ReadJobs(False, "normal") in desk.engine.handle(job_read("j1", ENTERING_CAP + 1), desk.now)
    there = desk.engine.handle(events.MessagesLooked((effects.JobMessage("j1", 1),), (), False), desk.now)
    assert [each.seq for each in there if isinstance(each, effects.AckJob)] == list(range(2, ENTERING_CAP + 2))
    desk.engine.check()
    resumed = []
    for seq in range(2, ENTERING_CAP + 2):
        # Handed over again meanwhile: nothing is asked twice.
        assert desk.engine.handle(job_read("j1", seq), desk.now) == []
        resumed += desk.engine.handle(events.JobAcked("", seq), desk.now)
    assert resumed == [effects.ReadJobs(True, "normal")]
    desk.engine.check()


def job_read(job_id: str, seq: int) -> events.JobRead:
    data = encode(Job(job_id=job_id, inputs={}))
    return events.JobRead(seq, "normal", "echo", admit("echo", data, None, job_id), 0.0, data)


def test_reading_pauses_each_time_the_index_is_full() -> None:
    desk = Desk(index_cap=2)
    for turn in range(2):
        for number in range(2):
            desk.read(f"j{turn}-{number}", seq=10 * turn + number + 1)
            desk.do(events.QueuedStored(f"j{turn}-{number}"))
        assert [effect.more for effect in desk.take(effects.ReadJobs)] == [False], f"turn {turn}"
        for number in range(2):
            job_id = f"j{turn}-{number}"
            desk.do(events.CancelAsked(job_id, None))
            desk.see(desk.one(effects.StoreResult).result, seq=100 + 10 * turn + number)
            desk.do(events.EventsStored((job_id,)))
            desk.do(events.JobAcked(job_id, 10 * turn + number + 1))
        assert [effect.more for effect in desk.take(effects.ReadJobs)] == [True], f"turn {turn}"
