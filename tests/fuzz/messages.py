"""Every message of the wire: what is decoded is decoded again from what it encodes to; all else is a `WireError`."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import Award
from pocket3d.contracts.jobs import Job, admit, file_refs
from pocket3d.contracts.schema_export import MESSAGES
from pocket3d.contracts.subjects import JOB_ID_PATTERN, Subjects
from pocket3d.contracts.worker_frames import FrameReader, RunJob, pack

from . import values

SUBJECTS = Subjects()
FALLBACK = "s0t2k3m-17"


def message(dice: random.Random) -> None:
    """One message of any type, sound or spoilt."""
    kind = MESSAGES[dice.choice(sorted(MESSAGES))]
    data = values.as_json(values.message(kind, dice, dice.choice((0.0, 0.03, 0.3))), dice)
    if dice.random() < 0.3:
        data = values.spoilt(data, dice)
    try:
        found = decode(kind, data)
    except WireError as error:
        assert error.field and error.message
        return
    again = decode(kind, encode(found))
    assert again == found, f"{found} became {again}"


def job(dice: random.Random) -> None:
    """What is admitted can be awarded and handed to a worker; all else names a field."""
    body = values.message(Job, dice, dice.choice((0.0, 0.03, 0.3)))
    if not isinstance(body, dict):
        body = {"inputs": body}
    if dice.random() < 0.1:
        body["inputs"] = {"a": values.deep(dice.choice((10, 33, 5000)))}
    if dice.random() < 0.7:
        body["tenant"], body["v"] = "default", 1
        body.pop("model_preference", None)
    # json.dumps refuses what is nested deeper than Python's own stack.
    data = msgspec.json.encode(body) if dice.random() < 0.1 and _encodes(body) else _written(body, dice)
    if dice.random() < 0.2:
        data = values.spoilt(data, dice)
    feature = dice.choice(("echo", "text_to_mesh", values.text(dice)))
    found = admit(feature, data, dice.choice((None, "j1", values.text(dice))), FALLBACK)
    assert JOB_ID_PATTERN.fullmatch(found.job_id)
    if found.job is None:
        assert found.rejection is not None and found.rejection.field and found.rejection.message
        encode(found.rejection.message)
        return
    list(file_refs(found.job.inputs))
    assert decode(Job, encode(found.job)) == found.job
    award = Award(
        job_id=found.job_id, feature=feature, attempt=1, token="7-1", adapter_id="a", device="d", job=found.job,
        submitted_at="", queued_s=0.0,
    )  # fmt: skip
    assert decode(Award, encode(award)) == award
    run = RunJob(
        run_id="7-1",
        job_id=found.job_id,
        attempt=1,
        feature=feature,
        inputs=found.job.inputs,
        job_dir="",
        output_dir="",
    )
    assert FrameReader(from_worker=False).feed(pack(run)) == [run]


def _encodes(body: Any) -> bool:
    try:
        msgspec.json.encode(body)
    except (OverflowError, RecursionError):
        return False
    return True


def _written(body: Any, dice: random.Random) -> bytes:
    try:
        return values.as_json(body, dice)
    except RecursionError:
        return b"[" * 5000


def subject(dice: random.Random) -> None:
    """Subjects are parsed, or refused as a `ValueError`."""
    sound = [
        SUBJECTS.job("high", "echo"),
        SUBJECTS.result("echo", "j1"),
        SUBJECTS.event("echo", "j1", "queued"),
        SUBJECTS.advert("a1"),
    ]
    text = dice.choice((*sound, values.text(dice)))
    if dice.random() < 0.7:
        text = values.spoilt(text.encode(), dice).decode("utf-8", "replace")
    for parse in (SUBJECTS.parse_job, SUBJECTS.parse_story, SUBJECTS.agent_of, Subjects):
        refused(partial(parse, text), ValueError)


def refused(call: Callable[[], Any], *kinds: type[Exception]) -> Any:
    """What the call gives; None where it refuses by one of these errors."""
    try:
        return call()
    except kinds as error:
        # A subclass of ValueError that is another program's says nothing to people.
        assert str(error).strip()
        assert not isinstance(error, UnicodeError), error
        return None
