"""What the service says of a job before its end is decided."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Msg, ServiceError
from pocket3d.contracts.api import Explanation, JobList
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.jobs import generated_id
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Artifact, Result, Status
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.submit_quota import SubmitQuota
from pocket3d.coordinator.io.api import Api
from support.coordinator_desk import AgentDouble, Desk, last_status

SUBJECTS = Subjects()
#: When the jobs stream was made, Unix seconds.
MADE = 1_795_471_234


async def asks(desk: Desk, verb: str, body: dict[str, Any], bus: MemoryBus | None = None) -> bytes:
    if bus is None:
        bus = MemoryBus(MemoryServer())
        await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    quota = SubmitQuota(desk.engine.core)
    term: Any = SimpleNamespace(engine=desk.engine, generated_id=lambda seq: generated_id(MADE, seq), quota=quota)
    api = Api(bus, SUBJECTS, term, lambda: desk.now, version="0.1.0", coordinator_id="one")
    endpoint = next(each for each in api.service().endpoints if each.name == verb)
    return await endpoint.handler(Msg(endpoint.subject, encode(body), {}, "_INBOX.1"))


async def word(desk: Desk) -> str:
    return decode(Status, await asks(desk, "status", {"job_id": "j1"})).status


async def test_a_proposed_end_is_not_said_before_the_results_stream_has_decided(desk: Desk, agent: AgentDouble) -> None:
    desk.submit("j1")
    desk.do(events.CancelAsked("j1", "enough"))
    assert desk.state() is JobState.FINISHING
    assert desk.one(effects.StoreResult).result.status == "cancelled"
    assert await word(desk) == "queued"


async def test_a_running_job_whose_end_is_proposed_is_said_to_run(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, retry={"max_attempts": 1})
    desk.failed(agent, item, "adapter_error")
    assert desk.state() is JobState.FINISHING
    assert await word(desk) == "running"


async def test_bytes_that_are_no_status_do_not_hide_the_others() -> None:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    for job_id, data in (("j1", encode(last_status("j1"))), ("j2", b"x"), ("j3", encode(last_status("j3")))):
        await bus.append(SUBJECTS.event("echo", job_id, "queued"), data)
    desk = Desk()
    listed = decode(JobList, await asks(desk, "list", {}, bus))
    assert [status.job_id for status in listed.jobs] == ["j3", "j1"]
    with pytest.raises(ServiceError, match="cannot be read") as caught:
        await asks(desk, "status", {"job_id": "j2"}, bus)
    assert caught.value.code == 500


async def test_of_submits_of_one_id_at_once_all_but_one_are_refused() -> None:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    desk = Desk()
    bodies = [{"job_id": "j1", "feature": "echo", "inputs": {"n": number // 2}} for number in range(10)]
    answers = await asyncio.gather(*(asks(desk, "submit", body, bus) for body in bodies), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, ServiceError)]
    assert {error.code for error in refused} == {409}
    assert len(answers) - len(refused) == 2, "the one that was stored, and its equal"
    await bus.append(SUBJECTS.job("normal", "echo"), b"{}", headers={"Nats-Msg-Id": "j2"})
    with pytest.raises(ServiceError, match="another request"):
        await asks(desk, "submit", {"job_id": "j2", "feature": "echo", "inputs": {}}, bus)


async def test_an_id_that_the_stream_will_give_is_refused_and_natural_ones_are_taken() -> None:
    with pytest.raises(ServiceError, match="choose another") as caught:
        await asks(Desk(), "submit", {"job_id": generated_id(MADE, 12), "feature": "echo", "inputs": {}})
    assert caught.value.code == 400
    status = decode(Status, await asks(Desk(), "submit", {"job_id": "sculpture-1", "feature": "echo", "inputs": {}}))
    assert status.job_id == "sculpture-1"


async def test_a_job_that_a_new_leader_has_not_read_again_is_no_ended_one() -> None:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    await bus.append(SUBJECTS.event("echo", "j1", "queued"), encode(last_status("j1")))
    desk = Desk()
    desk.engine.core.jobs_indexed = False
    explanation = decode(Explanation, await asks(desk, "explain", {"job_id": "j1"}, bus))
    assert (explanation.status, explanation.summary) == (
        "queued",
        "a new leader is reading the jobs stream and has not come to it yet",
    )


async def test_a_submit_that_names_a_file_which_is_gone_is_refused() -> None:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    gone = Artifact(
        name="a.glb", bucket=SUBJECTS.outputs_bucket, object="chair/1-1/a.glb", size=4, sha256="00",
        media_type="model/gltf-binary",
    )  # fmt: skip
    made = Result(job_id="chair", feature="echo", status="succeeded", artifacts=[gone])
    await bus.append(SUBJECTS.proposal("echo", "chair"), encode(made))
    body = {"job_id": "rigged", "feature": "echo", "inputs": {"mesh_path": {"result": "chair"}}}
    with pytest.raises(ServiceError, match="not kept any more") as caught:
        await asks(Desk(), "submit", body, bus)
    assert (caught.value.code, caught.value.field) == (400, "inputs.mesh_path.result")
    later = {**body, "inputs": {"mesh_path": {"result": "table"}}}
    assert decode(Status, await asks(Desk(), "submit", later, bus)).status == "submitted"


async def test_how_large_artifacts_are_is_looked_up_when_a_job_is_submitted() -> None:
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(SUBJECTS, topology.TopologySettings()))
    await bus.put_object(SUBJECTS.inputs_bucket, "mine", b"glTF of a chair")
    for job_id, name in (("known", "mine"), ("unknown", "gone")):
        inputs = {"mesh_path": {"artifact": name}, "image_paths": [{"artifact": "mine"}]}
        await asks(Desk(), "submit", {"job_id": job_id, "feature": "echo", "inputs": inputs}, bus)
    stored = await bus.pages(SUBJECTS.jobs_stream, SUBJECTS.job("normal", "echo"), start=1, limit=9)
    assert [each.headers.get("P3d-Input-Bytes") for each in stored] == ["30", None]


async def test_a_held_job_is_listed_and_told_with_what_it_waits_for(desk: Desk) -> None:
    desk.submit("chair")
    desk.submit("rigged", inputs={"mesh_path": {"result": "chair"}})
    told = decode(Status, await asks(desk, "status", {"job_id": "rigged"}))
    assert (told.status, told.reason) == ("queued", "waits for chair")
    explained = decode(Explanation, await asks(desk, "explain", {"job_id": "rigged"}))
    assert explained.waits_for == ["chair"]
    listed = decode(JobList, await asks(desk, "list", {"status": "queued"}))
    assert [(job.job_id, job.reason) for job in listed.jobs] == [("rigged", "waits for chair"), ("chair", None)]
