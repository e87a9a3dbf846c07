"""The effect runner: for each effect one call on the bus, and one event for whatever comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from pocket3d.bus.jetstream.objects.layout import ArtifactBroken
from pocket3d.bus.port import (
    TEMPORARILY_UNAVAILABLE,
    BusError,
    Conflict,
    Disconnected,
    Msg,
    NoResponders,
    ObjectInfo,
    OutcomeUnknown,
    Refused,
    Stored,
    TooLarge,
)
from pocket3d.bus.proposals import Proposals
from pocket3d.bus.tasks import TaskPool
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import (
    Award,
    AwardJobs,
    AwardsAnswered,
    Cancel,
    CancelsNoted,
    CommandRefused,
    LeaderRecord,
    OutcomesNoted,
    ReportState,
    StateReported,
)
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Artifact, DeadLetter, Result
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.history import BATCH_HEADER
from pocket3d.coordinator.engine.result_cache import Made
from pocket3d.coordinator.io.effect_runner import _CALLS, EffectRunner, Links
from pocket3d.coordinator.leadership import bus_answers, event_log
from pocket3d.coordinator.leadership.ended_sweep import EndedLooked, LookAtEnded
from pocket3d.coordinator.leadership.leader_record import (
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    ReadLeaderRecord,
    WriteLeaderRecord,
)
from pocket3d.coordinator.leadership.request_fingerprint import REQUEST_DIGEST_HEADER
from support.coordinator_desk import AgentDouble, last_status

SUBJECTS = Subjects()
RECORD = LeaderRecord(coordinator_id="one", epoch=7)
#: What may come of any call.
LOST: list[BusError] = [OutcomeUnknown("no answer"), Disconnected("no connection"), Refused("full", code=10077)]


class ScriptedBus:
    """Answers every call with the next of the script, or raises it; notes the calls."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            self.calls.append((name, arguments, more))
            answer = self.script.pop(0) if self.script else None
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


class Stage:
    """A runner on a scripted bus."""

    def __init__(self) -> None:
        self.bus = ScriptedBus()
        self.tasks = TaskPool(16)
        self.fed: asyncio.Queue[Any] = asyncio.Queue()
        self.done: list[str] = []

        links = Links(
            self.fed.put_nowait,
            lambda: self.done.append("lease renewed"),
            lambda: self.done.append("fenced out"),
            lambda effect: self.done.append(f"read {effect.priority}" if effect.more else f"pause {effect.priority}"),
            lambda message: message.data.decode(),
        )
        self.runner = EffectRunner(self.bus, SUBJECTS, RECORD, 3.0, self.tasks, links)

    async def run(self, effect: Any, *script: Any, calls: int = 1) -> Any:
        """The one event that answers an effect."""
        self.bus.script = list(script)
        self.bus.calls = []
        self.runner.run(effect)
        event = await asyncio.wait_for(self.fed.get(), 5)
        assert self.fed.empty(), "one event per effect"
        assert len(self.bus.calls) == calls
        return event

    async def run_silently(self, effect: Any, *script: Any) -> None:
        """An effect that nothing is said of."""
        self.bus.script = list(script)
        self.bus.calls = []
        self.runner.run(effect)
        while self.tasks._tasks:
            await asyncio.sleep(0)
        assert self.fed.empty()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    made.runner.acks.close()
    await made.tasks.close()


def stored(data: bytes, headers: dict[str, str] | None = None, *, seq: int = 9) -> Stored:
    return Stored("S", "p3d.results.echo.j1", seq, data, headers or {}, 0.0)


def reply(message: Any) -> Msg:
    return Msg("_INBOX", message if isinstance(message, bytes) else encode(message), {}, "")


def award(token: str = "7-1") -> Award:
    return Award(
        job_id="j1",
        feature="echo",
        attempt=1,
        token=token,
        adapter_id="echo",
        device="d",
        job=Job(inputs={}),
        submitted_at="t",
        queued_s=0.0,
    )


def result(status: str = "failed") -> Result:
    return Result(job_id="j1", feature="echo", status=status)


def test_every_effect_has_its_call() -> None:
    kinds = {kind for kind in vars(effects).values() if isinstance(kind, type) and issubclass(kind, tuple)}
    kinds -= {
        effects.AwardItem,
        effects.JobMessage,
        effects.Again,
        Made,
        effects.SendAwards,
        effects.PublishEvent,
        effects.PublishDead,
    }
    local = {effects.NoteStep, effects.ProveLeadership, effects.ReadJobs, effects.AckJob, effects.AckResult}
    assert kinds - local <= set(_CALLS)


# ---------------------------------------------------------------- events


QUEUED = effects.PublishQueued(last_status(), 12, "abc")


async def test_the_queued_event_carries_the_sequence_of_its_message(stage: Stage) -> None:
    assert await stage.run(QUEUED, 1) == events.QueuedStored("j1")
    ((name, arguments, more),) = stage.bus.calls
    assert (name, arguments[0]) == ("append", "p3d.events.echo.j1.queued")
    assert more["headers"] == {JOB_SEQ_HEADER: "12", REQUEST_DIGEST_HEADER: "abc"}
    assert more["expect"] == (0, "p3d.events.*.j1.*")


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Conflict("x"), events.QueuedConflict("j1")),
        (OutcomeUnknown("x"), events.QueuedUnknown("j1")),
        (Disconnected("x"), bus_answers.EffectFailed(QUEUED, "x")),
        (Refused("x"), bus_answers.EffectFailed(QUEUED, "x")),
    ],
)
async def test_what_comes_of_a_queued_event(stage: Stage, error: BusError, event: Any) -> None:
    assert await stage.run(QUEUED, error) == event


async def test_a_batch_of_queued_events_expects_none_of_each_id(stage: Stage) -> None:
    both = (QUEUED, effects.PublishQueued(last_status("j2"), 13))
    batch = effects.PublishQueuedBatch("normal", both)
    assert await stage.run(batch, 2) == bus_answers.QueuedBatchStored(batch)
    ((name, (messages,), _),) = stage.bus.calls
    assert name == "append_batch"
    assert [message.subject for message in messages] == ["p3d.events.echo.j1.queued", "p3d.events.echo.j2.queued"]
    assert [message.expect for message in messages] == [(0, "p3d.events.*.j1.*"), (0, "p3d.events.*.j2.*")]
    assert messages[0].headers == {JOB_SEQ_HEADER: "12", REQUEST_DIGEST_HEADER: "abc"}
    assert await stage.run(batch, Conflict("x")) == bus_answers.QueuedBatchConflict(batch)
    assert await stage.run(batch, OutcomeUnknown("x")) == bus_answers.QueuedBatchUnknown(batch)
    for error in (Disconnected("x"), Refused("x"), TooLarge(9, 8)):
        assert await stage.run(batch, error) == bus_answers.EffectFailed(batch, str(error))


async def test_the_last_event(stage: Stage) -> None:
    effect = effects.ReadLastEvent("j1", "low", 7)
    assert await stage.run(effect, None) == events.LastEventRead("j1", None, None, asked_for=7)
    found = stored(encode(last_status()), {JOB_SEQ_HEADER: "4"})._replace(subject="p3d.events.echo.j1.queued")
    assert await stage.run(effect, found) == events.LastEventRead("j1", last_status(), 4, asked_for=7)
    broken = events.LastEventRead("j1", None, None, unreadable=True, asked_for=7)
    assert await stage.run(effect, stored(b"x")) == broken
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))


async def test_a_batch_is_fenced_by_its_first_message_alone(stage: Stage) -> None:
    published = tuple(effects.PublishEvent(word, last_status(), 12) for word in ("started", "succeeded"))
    batch = event_log.AppendBatch("one-7-1", published, (b"a", b"b"), 5)
    assert await stage.run(batch, 9) == event_log.BatchStored()
    ((name, (messages,), _),) = stage.bus.calls
    assert name == "append_batch"
    assert [(m.subject, m.data) for m in messages] == [
        ("p3d.events.echo.j1.started", b"a"),
        ("p3d.events.echo.j1.succeeded", b"b"),
    ]
    assert [m.expect for m in messages] == [(5, "p3d.events.leader"), None]
    assert [m.headers for m in messages] == [{JOB_SEQ_HEADER: "12", BATCH_HEADER: "one-7-1"}] * 2
    assert await stage.run(batch, Conflict("x")) == event_log.BatchConflict()
    assert await stage.run(batch, OutcomeUnknown("x")) == event_log.BatchUnknown()
    for error in (Disconnected("x"), Refused("x"), TooLarge(9, 8)):
        assert isinstance(await stage.run(batch, error), event_log.BatchUnsent)


async def test_a_batch_is_read_back_by_its_last_event(stage: Stage) -> None:
    effect = event_log.ReadBatchEnd(effects.PublishEvent("succeeded", last_status(), 12))
    found = stored(b"", {BATCH_HEADER: "one-7-1"})
    assert await stage.run(effect, found) == event_log.BatchEndRead("one-7-1")
    assert stage.bus.calls[0][1] == ("P3D_EVENTS", "p3d.events.echo.j1.succeeded")
    assert await stage.run(effect, stored(b"")) == event_log.BatchEndRead(None)
    assert await stage.run(effect, None) == event_log.BatchEndRead(None)
    assert await stage.run(effect, OutcomeUnknown("x")) == event_log.BatchEndUnread()


async def test_the_leader_record(stage: Stage) -> None:
    assert await stage.run(ReadLeaderRecord(), None) == LeaderRecordRead(None, 0)
    assert await stage.run(ReadLeaderRecord(), stored(encode(RECORD), seq=4)) == LeaderRecordRead(RECORD, 4)
    assert await stage.run(ReadLeaderRecord(), stored(b"x", seq=4)) == LeaderRecordRead(None, 4)
    assert await stage.run(ReadLeaderRecord(), OutcomeUnknown("x")) == LeaderRecordUnread()
    write = WriteLeaderRecord(RECORD, 4)
    assert await stage.run(write, 8) == LeaderRecordWritten(7, 8)
    assert stage.bus.calls[0][2]["expect"] == (4, None)
    for error in (Conflict("x"), *LOST):
        assert await stage.run(write, error) == LeaderRecordNotWritten()


async def test_a_dead_letter_that_stands_already_is_stored(stage: Stage) -> None:
    letter = DeadLetter(job_id="j1", feature="echo", priority="low", request=None, at="t")
    effect = effects.StoreDeadLetter(letter)
    assert await stage.run(effect, 1) == events.DeadStored("j1")
    assert await stage.run(effect, Conflict("x", last=4)) == events.DeadStored("j1")
    rival = Conflict("a rival is in process (10164)")
    assert await stage.run(effect, rival) == bus_answers.EffectFailed(effect, str(rival)), "it may fail itself"
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))


# ---------------------------------------------------------------- requests, results, acks


async def test_a_request(stage: Stage) -> None:
    effect = effects.ReadRequest(12)
    assert await stage.run(effect, stored(b"body")) == bus_answers.RequestRead(12, b"body")
    assert await stage.run(effect, None) == bus_answers.RequestRead(12, None)
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))


async def test_a_proposed_result_comes_back_by_itself_or_is_in_doubt(stage: Stage) -> None:
    effect = effects.StoreResult(result(), 12)
    await stage.run_silently(effect, ["p3d.propose.*.*"], 5)
    asked, (name, arguments, more) = stage.bus.calls
    assert asked == ("stream_takes", ("P3D_RESULTS",), {})
    assert (name, arguments[0], more["expect"]) == ("append", "p3d.propose.echo.j1", (0, "p3d.results.*.j1"))
    assert await stage.run(effect, Conflict("x")) == events.ResultConflict("j1")
    for error in LOST:
        assert await stage.run(effect, error) == events.ResultUnknown("j1")


async def test_a_stored_result(stage: Stage) -> None:
    effect = effects.ReadResult("j1")
    assert await stage.run(effect, None) == events.ResultRead("j1", None)
    assert await stage.run(effect, stored(encode(result()))) == events.ResultRead("j1", result())
    found = await stage.run(effect, stored(b"x"))
    assert isinstance(found, events.ResultUnreadable)
    assert (found.job_id, found.subject, found.seq) == ("j1", "p3d.results.echo.j1", 9)
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))


async def test_bytes_that_are_no_result_are_deleted_by_sequence(stage: Stage) -> None:
    effect = effects.DeleteResult("j1", "p3d.results.echo.j1", 9, "x")
    for there in (True, False):
        assert await stage.run(effect, there) == events.ResultDeleted("j1", 9)
    assert stage.bus.calls == [("delete", ("P3D_RESULTS", 9), {})]
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))


async def test_acks_go_to_their_consumers(stage: Stage) -> None:
    job = effects.AckJob("high", 12, "j1", answer=True)
    assert await stage.run(job, None) == events.JobAcked("j1", 12)
    assert stage.bus.calls == [("ack", (coordinator_jobs(SUBJECTS, "high"), 12), {})]
    second = effects.AckJob("high", 13)
    assert await stage.run(second, None) == events.JobAcked("", 13)
    assert await stage.run(job, OutcomeUnknown("x")) == bus_answers.EffectFailed(job, "x")
    assert await stage.run(effects.AckResult(9), None) == bus_answers.ResultAcked(9)
    assert stage.bus.calls == [("ack", (coordinator_results(SUBJECTS), 9), {})]


async def test_a_job_is_deleted_by_sequence_where_its_ack_was_not_confirmed(stage: Stage) -> None:
    effect = effects.DeleteJob(6, "j1")
    assert await stage.run(effect, stored(b"j1"), True, calls=2) == events.JobAcked("j1", 6)
    assert [name for name, _, _ in stage.bus.calls] == ["get", "delete"]
    assert stage.bus.calls[-1] == ("delete", ("P3D_JOBS", 6), {})
    for error in LOST:
        assert await stage.run(effect, error) == bus_answers.EffectFailed(effect, str(error))
    second = effects.DeleteJob(7, "")
    assert await stage.run(second, True) == events.JobAcked("", 7)


@pytest.mark.parametrize("there", [None, stored(b"another")])
async def test_another_job_that_has_the_sequence_of_an_ended_one_is_not_deleted(
    stage: Stage, there: Stored | None
) -> None:
    assert await stage.run(effects.DeleteJob(6, "j1"), there) == events.JobAcked("j1", 6)
    assert [name for name, _, _ in stage.bus.calls] == ["get"]


async def test_a_message_is_there_if_it_is_that_job(stage: Stage) -> None:
    wanted = tuple(effects.JobMessage(f"j{seq}", seq) for seq in (1, 2, 3))
    found = await stage.run(effects.FindMessages(wanted), stored(b"j1"), None, stored(b"j8"), calls=3)
    assert found == events.MessagesLooked(wanted[:1], wanted[1:])


async def test_an_ended_job_without_a_status_and_a_result_is_gone(stage: Stage) -> None:
    wanted = tuple(effects.JobMessage(f"j{seq}", seq) for seq in (1, 2, 3))
    answers = (stored(b"{}"), None, None, stored(b"{}"), None, 7)
    assert await stage.run(LookAtEnded(wanted), *answers, calls=6) == EndedLooked(7, wanted[2:])
    places = [("KV_P3D_STATUS", f"$KV.P3D_STATUS.j{seq}") for seq in (1, 2, 3)]
    places += [("P3D_RESULTS", SUBJECTS.result_of(job_id)) for job_id in ("j2", "j3")]
    assert [args for _, args, _ in stage.bus.calls] == [*places, ("KV_P3D_STATUS",)]
    for error in LOST:
        assert await stage.run(LookAtEnded(), error) == EndedLooked(None)


async def test_what_is_left_to_be_acked(stage: Stage) -> None:
    for key, consumer in (("results", "coordinator"), ("low", "coordinator-low")):
        effect = effects.CountBacklog(key)  # type: ignore[arg-type]
        assert await stage.run(effect, 3) == bus_answers.BacklogCounted(effect.consumer, 3)
        assert stage.bus.calls[0][1][0].name == consumer
        for error in LOST:
            assert await stage.run(effect, error) == bus_answers.BacklogUncounted(effect.consumer)


# ---------------------------------------------------------------- commands


AWARDS = effects.SendAwardMessage("a1", "1000-x", (award("7-1"), award("7-2")))
TOKENS = ("7-1", "7-2")
IDENTITY: dict[str, Any] = {"agent_id": "a1", "incarnation": "1000-x", "seq": 3}


async def test_an_award_is_a_command_of_this_leader_for_one_life_of_the_agent(stage: Stage) -> None:
    answer = AwardsAnswered(answers=[], **IDENTITY)
    assert await stage.run(AWARDS, reply(answer)) == events.AwardsReturned(answer)
    ((_, (subject, data), more),) = stage.bus.calls
    command = decode(AwardJobs, data)
    assert (subject, more["timeout"]) == ("p3d.agents.a1.cmd", 3.0)
    assert (command.coordinator_id, command.epoch, command.incarnation) == ("one", 7, "1000-x")
    assert [a.token for a in command.awards] == list(TOKENS)


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        (reply(CommandRefused(code="stale", message="m", epoch=8, **IDENTITY)), ("AwardsRefused", "stale")),
        (reply(CancelsNoted(**IDENTITY)), ("AwardsUnanswered", True)),
        (reply(b"x"), ("AwardsUnanswered", True)),
        (OutcomeUnknown("x"), ("AwardsUnanswered", True)),
        (Refused("x"), ("AwardsUnanswered", True)),
        (Disconnected("x"), ("AwardsUnanswered", False)),
        (NoResponders("x"), ("AwardsUnanswered", False)),
        (TooLarge(9, 8), ("AwardsUnanswered", False)),
    ],
)
async def test_what_comes_of_an_award(stage: Stage, answer: Any, event: tuple[str, Any]) -> None:
    kind, fact = event
    assert await stage.run(AWARDS, answer) == getattr(events, kind)("a1", TOKENS, fact)


async def test_an_agents_state(stage: Stage) -> None:
    effect = effects.AskState("a1")
    advert = AgentDouble().advert()
    state = StateReported(advert=advert, **IDENTITY)
    assert await stage.run(effect, reply(state)) == events.AdvertReceived(advert, answers_question=True)
    assert decode(ReportState, stage.bus.calls[0][1][1]).epoch == 7
    refused = CommandRefused(code="stale", message="m", epoch=8, **IDENTITY)
    assert await stage.run(effect, reply(refused)) == events.AwardsRefused("a1", (), "stale")
    assert await stage.run(effect, NoResponders("x")) == events.AgentSilent("a1", no_responders=True)
    for lost in (*LOST, reply(b"x")):
        assert await stage.run(effect, lost) == events.AgentSilent("a1", no_responders=False)


async def test_calls_and_cancels_want_no_answer(stage: Stage) -> None:
    call = effects.SendCall("a1", 4, (), 0.0)
    assert await stage.run(call, TooLarge(9, 8)) == events.CallTooLarge(4, 9, 8)
    cancels = effects.SendCancels("a1", (Cancel(job_id="j1", token="7-1"),))
    for effect in (call, cancels):
        for outcome in (None, *LOST):
            await stage.run_silently(effect, outcome)
            assert stage.bus.calls[0][:2] == ("publish", ("p3d.agents.a1.cmd", stage.bus.calls[0][1][1]))


async def test_a_report_of_outcomes_is_answered_once(stage: Stage) -> None:
    asked = Msg("p3d.agents.a1.outcome", b"", {}, "_INBOX.1")
    number = stage.runner.expect_answer(asked)
    assert stage.runner.expect_answer(asked) != number
    await stage.run_silently(effects.NoteOutcomes(number, ("7-1/attempt_started",)))
    ((name, (msg, data), _),) = stage.bus.calls
    assert (name, msg) == ("respond", asked)
    assert decode(OutcomesNoted, data).noted == ["7-1/attempt_started"]
    assert list(stage.runner._requests) == [number + 1]


async def test_what_is_no_call_on_the_bus(stage: Stage) -> None:
    for effect in (
        effects.ProveLeadership(),
        event_log.FencedOut(),
        effects.ReadJobs(False, "low"),
        effects.ReadJobs(True, "high"),
        effects.NoteStep(effects.PublishEvent("started", last_status("j1", "running"), 1)),
    ):
        await stage.run_silently(effect)
        assert stage.bus.calls == []
    assert stage.done == ["lease renewed", "fenced out", "pause low", "read high"]


async def test_what_is_written_for_eyes_may_get_lost(stage: Stage) -> None:
    for outcome in (None, *LOST):
        await stage.run_silently(effects.ForgetAgent("a1"), outcome)
        assert stage.bus.calls == [("kv_delete", ("P3D_AGENTS", "a1"), {})]


# ---------------------------------------------------------------- cached results


CACHED = effects.ReadCached("j2", "j1", Made(b"key", "alpha", "1"))
CHAIR = Result(
    job_id="j1",
    feature="echo",
    status="succeeded",
    artifacts=[Artifact(name="c", bucket="B", object="o", size=1, sha256="00", media_type="m")],
)


@pytest.mark.parametrize(
    ("found", "event"),
    [
        (ObjectInfo("B", "o", 1, "00", {}, 0.0), events.CachedRead(*CACHED, CHAIR)),
        (None, events.CachedRead(*CACHED, None)),
        (Refused("no such bucket", code=10059), events.CachedRead(*CACHED, None)),
        (Refused("'$JS...' is no subject"), events.CachedRead(*CACHED, None)),
        (ArtifactBroken("its record is none"), events.CachedRead(*CACHED, None)),
        (Refused("no leader", code=TEMPORARILY_UNAVAILABLE), bus_answers.EffectFailed(CACHED, "no leader")),
        (NoResponders("no JetStream"), bus_answers.EffectFailed(CACHED, "no JetStream")),
        (OutcomeUnknown("no answer"), bus_answers.EffectFailed(CACHED, "no answer")),
        (Disconnected("no connection"), bus_answers.EffectFailed(CACHED, "no connection")),
    ],
    ids=str,
)
async def test_a_job_waits_for_no_file_that_cannot_come(stage: Stage, found: Any, event: Any) -> None:
    assert await stage.run(CACHED, stored(encode(CHAIR)), found, calls=2) == event


# ---------------------------------------------------------------- lanes


#: What a producer costs that publishes one job again and again.
SECOND = effects.AckJob("normal", 2, second_of="j1")
FOUND = effects.FindMessages((effects.JobMessage("j1", 1),))


class SlowBus(ScriptedBus):
    """Answers no append and no read of a message until the end."""

    def __init__(self) -> None:
        super().__init__()
        self.end = asyncio.Event()

    async def append(self, subject: str, data: bytes, **more: Any) -> int:
        self.calls.append(("append", (subject,), {}))
        await self.end.wait()
        return 1

    async def get(self, stream: str, seq: int) -> None:
        self.calls.append(("get", (stream, seq), {}))
        await self.end.wait()

    async def stream_takes(self, stream: str) -> list[str]:
        return [SUBJECTS.all_proposals()]

    async def settled(self) -> int:
        """How many calls were made, once no more are."""
        before = -1
        while before != len(self.calls):
            before = len(self.calls)
            for _ in range(20):
                await asyncio.sleep(0)
        return before


@pytest.mark.parametrize(
    ("crowd", "other"),
    [
        (effects.StoreResult(result(), 1, "low"), effects.StoreResult(result(), 2, "high")),
        (effects.StoreResult(result(), 1, "low"), QUEUED),
        (effects.StoreResult(result(), 1, "low"), effects.ReadRequest(2)),
        (effects.StoreResult(result(), 1, "low"), effects.DeleteJob(2, "j1")),
        (effects.StoreResult(result(), 1, "low"), effects.ReadLastEvent("j1", "high")),
        (QUEUED, effects.StoreResult(result(), 2, "normal")),
        (QUEUED, effects.ReadLastEvent("j1", "high")),
        (QUEUED, effects.ReadResult("j1")),
        (QUEUED, effects.ForgetAgent("a1")),
        (SECOND, effects.DeleteJob(1, "j1")),
        (SECOND, FOUND._replace(sweep=True)),
        (FOUND, effects.DeleteJob(1, "j1")),
    ],
)
async def test_what_waits_for_the_server_holds_up_nothing_of_another_kind(
    stage: Stage, crowd: effects.Effect, other: effects.Effect
) -> None:
    stage.bus = bus = SlowBus()
    stage.runner._bus = cast(Any, bus)
    stage.runner.proposals = Proposals(cast(Any, bus), SUBJECTS)
    for _ in range(40):
        stage.runner.run(crowd)
    assert await bus.settled() == 16, "one lane is full"
    stage.runner.run(other)
    assert await bus.settled() == 17
    bus.end.set()
