"""What streams and buckets hold, which anybody may have put there: it is read as what it says of itself and of its
subject, or it is none, and what a new leader makes of it can be told again.
"""

from __future__ import annotations

import random
from typing import Any

import structlog

from pocket3d.bus.port import Stored
from pocket3d.contracts.chain_messages import ChainStatus, GroupStatus
from pocket3d.contracts.chains import ChainRequest, GroupRequest
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.jobs import SubmitRequest
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Status
from pocket3d.coordinator.chains import effects, events
from pocket3d.coordinator.chains.engine import ChainEngine
from pocket3d.coordinator.chains.record import ChainKey, Failure, StepState
from pocket3d.coordinator.chains.story import StoryEvent, record_from, status_of
from pocket3d.coordinator.engine.history import read_last_event, read_stored_result
from pocket3d.coordinator.io.leader_record_io import parse_leader_record

from . import values

AT = "2026-11-28T12:00:00.000Z"
_WALL = 1_795_000_000.0
_NAMES = ("a", "b", "c", "b", "r1", "x.y", "*", "", "x" * 30)
_IDS = ("dog", "dog-a", "dog-b", "dog-a-r2", "*", ">", "a b", "", "x" * 70)


def chain(dice: random.Random) -> None:
    """A chain or group of the stream: a new leader passes it over, or takes it to its end."""
    key = ChainKey(dice.choice(("chain", "group")), dice.choice(("dog", "dog", "dog", "*")))
    first = StoryEvent("submitted", _spoilt(_request(key, dice), dice), 1, AT)
    word = dice.choice(("submitted", "step", "cancelling", "retried", "failed"))
    last = first if word == "submitted" else StoryEvent(word, _spoilt(_status(key, dice), dice), 2, AT)
    try:
        record = record_from(key, first, last)
    except WireError as error:
        assert error.field and error.message
        return
    kind = ChainStatus if key.kind == "chain" else GroupStatus
    told = status_of(record, AT)
    assert decode(kind, encode(told)) == told
    if last.ends:
        return
    engine, mono = ChainEngine(), 100.0
    wanted = engine.handle(events.ChainFound(key, record), Now(mono, _WALL))
    for _ in range(500):
        if not wanted:
            break
        mono += 1.0
        answers = [_answer(each, dice) for each in wanted]
        wanted = [each for answer in answers if answer for each in engine.handle(answer, Now(mono, _WALL))]
        wanted += engine.handle(events.Tick(), Now(mono, _WALL))
    assert key not in engine.chains, "it has no end"


def _answer(effect: Any, dice: random.Random) -> events.ChainEvent | None:
    if isinstance(effect, effects.StoreEvent):
        return events.EventStored(effect.key, 3)
    if isinstance(effect, effects.StartStep):
        failed = Failure("invalid_input", "m")
        ended = events.JobEnded(effect.job_id, dice.choice((StepState.SUCCEEDED, StepState.FAILED)), failed)
        return dice.choice((ended, events.StepRefused(effect.key, effect.job_id, failed)))
    return None


def _request(key: ChainKey, dice: random.Random) -> Any:
    body: dict[str, Any] = {f"{key.kind}_id": key.name if dice.random() < 0.9 else dice.choice(_IDS)}
    if key.kind == "chain":
        body["steps"] = [_step(name, dice) for name in dice.sample(_NAMES[:3], dice.randrange(4))]
    else:
        body["jobs"] = [{"feature": "echo", "inputs": {}} for _ in range(dice.randrange(4))]
    if dice.random() < 0.2:
        kind = dice.choice((ChainRequest, GroupRequest, SubmitRequest))
        body |= values.message(kind, dice, 0.0)
    return body


def _step(name: str, dice: random.Random) -> dict[str, Any]:
    # Some steps name one that comes later, themselves, or none.
    named = dice.random() < 0.4
    inputs = {"mesh_path": {"step": dice.choice(_NAMES)}} if named else {}
    return {"name": name if dice.random() < 0.9 else dice.choice(_NAMES), "feature": "echo", "inputs": inputs}


def _status(key: ChainKey, dice: random.Random) -> Any:
    body = values.message(ChainStatus if key.kind == "chain" else GroupStatus, dice, 0.0)
    body |= {f"{key.kind}_id": key.name, "round": dice.choice((0, 1, 1, 2, 9, 10, 10**9)), "v": 1}
    for number, each in enumerate(body["steps" if key.kind == "chain" else "jobs"]):
        each["job_id"] = f"dog-{'abc'[number]}" if key.kind == "chain" else f"dog-{number + 1}"
        if dice.random() < 0.2:
            each["job_id"] = dice.choice(_IDS)
    return body


def _spoilt(body: Any, dice: random.Random) -> bytes:
    data = values.as_json(body, dice)
    return values.spoilt(data, dice) if dice.random() < 0.1 else data


def story(dice: random.Random) -> None:
    """A last event, a result, a leader record: what makes sense is of its own subject, and can be told again."""
    body = values.message(Status, dice, dice.choice((0.0, 0.05)))
    job_id, feature = dice.choice(_IDS), dice.choice(("echo", "e cho", "*", "f" * 70))
    if isinstance(body, dict):
        body |= {"job_id": job_id, "feature": feature if dice.random() < 0.7 else "echo"}
    data = _spoilt(body, dice)
    subject = f"p3d.events.{dice.choice((feature, 'echo'))}.{dice.choice((job_id, 'dog'))}.started"
    read = read_last_event(job_id, subject, data, {JOB_SEQ_HEADER: values.text(dice)})
    if read.status is not None:
        assert subject.split(".")[2:4] == [read.status.feature, read.status.job_id]
        assert decode(Status, encode(read.status)) == read.status
    read_stored_result(job_id, f"p3d.results.echo.{job_id}", 1, data)
    leader = values.message(LeaderRecord, dice, 0.05)
    stored = Stored("P3D_EVENTS", "p3d.events.leader", 1, values.as_json(leader, dice), {}, _WALL)
    with structlog.testing.capture_logs():
        found = parse_leader_record(stored)
    if found is not None:
        younger = LeaderRecord(coordinator_id="next", epoch=found.epoch + 1)
        assert decode(LeaderRecord, encode(younger)) == younger
