"""What stands in the chains stream may come from anybody: it is planned only if it can be, and if it is its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pocket3d.contracts.codec import WireError, encode
from pocket3d.coordinator.chains.record import ChainKey
from pocket3d.coordinator.chains.story import StoryEvent, read_status, record_from, record_of, status_of
from support.chain_desk import AT, chain_of, group_of

DOG, LOT = ChainKey("chain", "dog"), ChainKey("group", "lot")
SUBMITTED = {DOG: encode(chain_of({"mesh": [], "rig": ["mesh"]})), LOT: encode(group_of(2))}


def step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "feature": "echo", **more}


def chain(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"chain_id": "dog", "steps": list(steps), **more}


def group(*jobs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"group_id": "lot", "jobs": [{"feature": "echo", "inputs": {}, **job} for job in jobs], **more}


def first(data: bytes) -> StoryEvent:
    return StoryEvent("submitted", data, 1, AT)


@pytest.mark.parametrize(
    ("key", "request_", "field"),
    [
        (DOG, chain(), "steps"),
        (DOG, chain(*[step(f"s{number}") for number in range(33)]), "steps"),
        (DOG, chain(step("a", inputs={"mesh_path": {"step": "nobody"}})), "steps.a.inputs.mesh_path.step"),
        (DOG, chain(step("a", inputs={"mesh_path": {"step": "a"}})), "steps.a.inputs"),
        (DOG, chain(step("a", inputs={"mesh_path": {"step": 1}})), "steps.a.inputs.mesh_path.step"),
        (DOG, chain(step("a"), step("a")), "steps.a.name"),
        (DOG, chain(step("a.b")), "steps[0].name"),
        (DOG, chain(step("a", feature="e cho")), "steps.a.feature"),
        (DOG, chain(step("a"), priority="urgent"), "priority"),
        (DOG, chain(step("a"), v=99), "v"),
        (DOG, chain(step("a"), chain_id="cat"), "chain_id"),
        (DOG, {"steps": [step("a")]}, "chain_id"),
        (ChainKey("chain", "*"), chain(step("a"), chain_id="*"), "chain_id"),
        (LOT, group(), "jobs"),
        (LOT, group(*[{}] * 1001), "jobs"),
        (LOT, group({"job_id": "j1"}, {"job_id": "j1"}), "jobs[1].job_id"),
        (LOT, group({"job_id": "*"}), "jobs[0].job_id"),
        (LOT, group({"priority": "urgent"}), "jobs[0].priority"),
        (LOT, group({}, group_id="x"), "group_id"),
        (LOT, {"jobs": []}, "group_id"),
    ],
)
def test_a_request_that_cannot_be_planned_is_none(key: ChainKey, request_: dict[str, Any], field: str) -> None:
    told = first(json.dumps(request_).encode())
    with pytest.raises(WireError) as raised:
        record_from(key, told, told)
    assert raised.value.field == field


@pytest.mark.parametrize("key", [DOG, LOT])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"round": 0}, "round"),
        ({"round": 10}, "round"),
        ({"chain_id": "cat", "group_id": "cat"}, "id"),
        ({"steps": [], "jobs": []}, "steps"),
        ({"job_id": "*"}, "job_id"),
        ({"job_id": "of-another"}, "job_id"),
        ({"job_id": "dog-mesh-r2"}, "job_id"),
    ],
)
def test_a_status_that_is_not_of_its_request_is_none(key: ChainKey, change: dict[str, Any], field: str) -> None:
    submitted = first(SUBMITTED[key])
    status = json.loads(encode(status_of(record_from(key, submitted, submitted), AT)))
    word = "steps" if key == DOG else "jobs"
    if "job_id" in change:
        status[word][0] |= change
    else:
        status |= {name: value for name, value in change.items() if name in status}
    with pytest.raises(WireError) as raised:
        record_from(key, submitted, StoryEvent("step", json.dumps(status).encode(), 2, AT))
    assert raised.value.field.endswith(field)


def test_the_status_of_another_is_not_told() -> None:
    cat = chain_of({"mesh": []}, "cat")
    ended = encode(status_of(record_of(ChainKey("chain", "cat"), cat, 1, AT), AT))
    assert read_status(ChainKey("chain", "cat"), ended).status == "queued"
    with pytest.raises(WireError, match="the subject says 'dog', the message 'cat'"):
        read_status(DOG, ended)
