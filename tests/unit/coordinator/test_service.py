"""The coordinator as a process sees it, on the bus in memory: leaders, standbys, and what must not end them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import structlog

from pocket3d.bus import topology
from pocket3d.bus.jetstream_away import NO_JETSTREAM
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import WallClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import BusError, Conflict, Msg, NoResponders, OutcomeUnknown, Refused
from pocket3d.bus.topology import Topology
from pocket3d.contracts.api import AgentList, ApiError, CoordinatorStatus
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import LeaderRecord, OutcomesReported
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import DeadLetter, Result, Status
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.io import leader_record_io
from pocket3d.coordinator.io.leader_record_io import LEADER_KEY
from pocket3d.coordinator.io.leader_term import EngineFault
from pocket3d.coordinator.leadership.leader_record import LeaderRecordRead
from pocket3d.coordinator.leadership.lease_events import LeaseRead
from pocket3d.coordinator.service import CoordinatorService
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, offer
from support.scripted_agent import ScriptedAgent

SUBJECTS = Subjects()
SETTINGS = CoordinatorSettings(leader_lease_s=0.6, leader_renew_s=0.15, tick_s=0.05, recovery_answers_s=0.3)


async def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Wait until that is true; its value."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, "it did not happen"
        await asyncio.sleep(0.01)


class Stage:
    """A server, coordinators that may fail, and agents."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.bus = MemoryBus(server)
        self.stop = asyncio.Event()
        self.coordinators: list[tuple[CoordinatorService, asyncio.Task[None]]] = []
        self.agents: list[ScriptedAgent] = []

    async def coordinator(self, name: str) -> CoordinatorService:
        service = CoordinatorService(MemoryBus(self.server), SUBJECTS, SETTINGS, coordinator_id=name)
        self.coordinators.append((service, asyncio.ensure_future(service.run(self.stop))))
        return service

    async def leader(self) -> CoordinatorService:
        def found() -> CoordinatorService | None:
            return next((service for service, task in self.coordinators if service.leading and not task.done()), None)

        leader: CoordinatorService = await eventually(found)
        return leader

    def ended(self, service: CoordinatorService) -> asyncio.Task[None]:
        return next(task for each, task in self.coordinators if each is service)

    async def agent(self, name: str = "a1", *, schema: dict[str, Any] | None = None, **more: Any) -> ScriptedAgent:
        double = AgentDouble(name, adapters=[msgspec.structs.replace(offer(max_concurrent=64), parameters=schema)])
        agent = ScriptedAgent(MemoryBus(self.server), double, **more)
        await agent.start()
        self.agents.append(agent)
        return agent

    async def publish(self, job_id: str, feature: str = "echo", **job: Any) -> int:
        job.setdefault("inputs", {})
        return await self.bus.append(SUBJECTS.job("normal", feature), encode(Job(job_id=job_id, **job)))

    async def result(self, job_id: str) -> Result:
        async def read() -> Result | None:
            found = await self.bus.last(SUBJECTS.results_stream, SUBJECTS.result_of(job_id))
            try:
                return decode(Result, found.data) if found is not None else None
            except ValueError:
                return None

        result: Result = await eventually(read)
        return result

    async def events(self, job_id: str) -> list[str]:
        pages = await self.bus.pages(SUBJECTS.events_stream, SUBJECTS.events_of(job_id), start=1, limit=100)
        return [SUBJECTS.parse_story(stored.subject).event or "" for stored in pages]

    async def status(self, job_id: str) -> Status | None:
        found = await self.bus.last(SUBJECTS.events_stream, SUBJECTS.events_of(job_id))
        return decode(Status, found.data) if found is not None else None

    async def until_status(self, job_id: str, word: str) -> Status:
        async def read() -> Status | None:
            status = await self.status(job_id)
            return status if status is not None and status.status == word else None

        status: Status = await eventually(read)
        return status

    async def close(self) -> None:
        self.stop.set()
        for agent in self.agents:
            await agent.close()
        await asyncio.gather(*(task for _, task in self.coordinators), return_exceptions=True)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage(MemoryServer(WallClock()))
    await made.coordinator("one")
    await made.leader()
    yield made
    await made.close()


async def test_a_job_from_its_publication_to_its_last_ack(stage: Stage) -> None:
    agent = await stage.agent()
    await stage.publish("j1")
    award = await eventually(lambda: agent.award_of("j1"))
    await stage.until_status("j1", "running")
    await agent.finish(award)
    await stage.until_status("j1", "succeeded")
    assert await stage.events("j1") == ["queued", "started", "succeeded"]
    await eventually(lambda: not stage.server.streams[SUBJECTS.jobs_stream].messages)
    leader = await stage.leader()
    await eventually(lambda: leader.term is not None and not leader.term.engine.core.jobs)
    results = stage.server.streams[SUBJECTS.results_stream].consumers["coordinator"]
    await eventually(lambda: results.backlog() == 0)


async def test_nothing_stays_open_when_it_ends() -> None:
    server = MemoryServer(WallClock())
    stage = Stage(server)
    before = await stage.coordinator("one")
    await stage.leader()
    await stage.coordinator("two")
    assert server._literal or server._wild
    await stage.close()
    assert (server._literal, server._wild) == ({}, [])
    assert not before.leading
    assert [consumer.listeners for stream in server.streams.values() for consumer in stream.consumers.values()] == [
        set()
    ] * 4


async def test_a_leader_that_ends_gives_the_lease_back() -> None:
    stage = Stage(MemoryServer(WallClock()))
    await stage.coordinator("one")
    await stage.leader()
    stage.stop.set()
    await asyncio.gather(*(task for _, task in stage.coordinators))
    assert await stage.bus.kv_get(SUBJECTS.leader_bucket, "leader") is None


async def test_bytes_that_are_no_result_disturb_nothing_else(stage: Stage) -> None:
    agent = await stage.agent()
    await stage.coordinator("two")
    for job_id in ("running", "bystander"):
        await stage.publish(job_id)
    await stage.publish("queued", model_preference="nobody_has_it")
    award = await eventually(lambda: agent.award_of("running"))
    bystander = await eventually(lambda: agent.award_of("bystander"))
    await stage.until_status("queued", "queued")
    await stage.until_status("running", "running")
    for job_id in ("unknown", "queued", "running"):
        await stage.bus.publish(SUBJECTS.proposal("echo", job_id), b"x")
    for job_id in ("queued", "running"):
        result = await stage.result(job_id)
        assert (result.status, result.error and result.error.code) == ("failed", "invalid_result")
        await stage.until_status(job_id, "failed")
    await eventually(lambda: award.token in agent.cancelled)
    results = stage.server.streams[SUBJECTS.results_stream]
    await eventually(lambda: not any(message.data == b"x" for message in results.messages.values()))
    assert not any(task.done() for _, task in stage.coordinators)
    await agent.finish(bystander)
    await stage.until_status("bystander", "succeeded")


async def test_bytes_that_a_former_leader_left_do_not_end_the_next(stage: Stage) -> None:
    first = await stage.leader()
    await stage.publish("j1")
    await stage.until_status("j1", "queued")
    await stage.bus.publish(SUBJECTS.event("echo", "j1", "queued"), b"x")
    await stage.bus.kv_put(SUBJECTS.agents_bucket, "a0", b"x")
    await stage.bus.publish(SUBJECTS.advert("a0"), b"x")
    await stage.bus.publish(SUBJECTS.outcome("a0"), b"x")
    await stage.bus.publish(SUBJECTS.bids("one"), b"x")
    await stage.coordinator("two")
    stage.stop.set()
    await asyncio.wait_for(stage.ended(first), 10)
    stage.coordinators.pop(0)
    stage.stop.clear()
    await stage.bus.publish(SUBJECTS.proposal("echo", "j0"), b"x")
    await stage.coordinator("three")
    agent = await stage.agent()
    award = await eventually(lambda: agent.award_of("j1"))
    await agent.finish(award)
    await stage.until_status("j1", "succeeded")


async def test_a_mistake_of_the_engine_ends_the_process_and_a_standby_takes_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stage.leader()
    second = await stage.coordinator("two")
    await stage.publish("j1")
    await stage.until_status("j1", "queued")
    assert first.term is not None
    monkeypatch.setattr(first.term.engine.core.fleet, "update", _mistake)
    await stage.agent()
    with pytest.raises(EngineFault, match="could not be handled") as caught:
        await asyncio.wait_for(stage.ended(first), 10)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert await stage.leader() is second


def _mistake(*arguments: Any) -> None:
    raise ZeroDivisionError


class Leaderless(MemoryBus):
    """JetStream that is there only after a while: its cluster elects a leader, or somebody switches it on."""

    error: BusError = Refused("JetStream system temporarily unavailable", code=10008)
    refusals = 3

    async def ensure(self, topology: Topology) -> list[str]:
        if self.refusals:
            self.refusals -= 1
            raise self.error
        return await super().ensure(topology)


@pytest.mark.parametrize("error", [Leaderless.error, NoResponders(NO_JETSTREAM)], ids=["no leader", "off"])
async def test_a_coordinator_waits_for_jetstream_and_says_so_once(error: BusError) -> None:
    stop = asyncio.Event()
    bus = Leaderless(MemoryServer(WallClock()))
    bus.error = error
    service = CoordinatorService(bus, SUBJECTS, SETTINGS, coordinator_id="one")
    with structlog.testing.capture_logs() as lines:
        running = asyncio.ensure_future(service.run(stop))
        await eventually(lambda: service.leading)
        stop.set()
        await running
    assert [line["log_level"] for line in lines if "waiting for the server" in line["event"]] == ["warning"]


class Full(MemoryBus):
    """A server that answers, and stores no lease: its disk is full."""

    full = False
    asked = 0

    async def kv_update(self, bucket: str, key: str, value: bytes, *, last: int) -> int:
        if self.full:
            self.asked += 1
            raise OutcomeUnknown("no answer within 5 s")
        return await super().kv_update(bucket, key, value, last=last)

    async def request(self, subject: str, data: bytes, **more: Any) -> Msg:
        if subject.startswith("$JS.API."):
            return Msg(subject, b"{}", {}, "")
        return await super().request(subject, data, **more)


async def test_a_leader_whose_server_stores_nothing_says_so_once_and_once_when_it_does() -> None:
    stop = asyncio.Event()
    bus = Full(MemoryServer(WallClock()))
    service = CoordinatorService(bus, SUBJECTS, SETTINGS, coordinator_id="one")

    def said(lines: Any) -> list[tuple[str, str]]:
        return [(line["log_level"], line.get("why", "")) for line in lines if "JetStream" in line["event"]]

    with structlog.testing.capture_logs() as lines:
        running = asyncio.ensure_future(service.run(stop))
        await eventually(lambda: service.leading)
        bus.full = True
        await eventually(lambda: bus.asked > 8)
        bus.full = False
        await eventually(lambda: len(said(lines)) > 1 and service.leading)
        stop.set()
        await running
    (warning, why), (info, _) = said(lines)
    assert (warning, info) == ("warning", "info") and "stores nothing: its disk is full" in why


async def test_a_coordinator_that_is_refused_for_good_ends() -> None:
    bus = Leaderless(MemoryServer(WallClock()))
    bus.error = Refused("insufficient resources", code=10023)
    service = CoordinatorService(bus, SUBJECTS, SETTINGS, coordinator_id="one")
    with pytest.raises(Refused):
        await service.run(asyncio.Event())


async def test_nobody_speaks_for_another_agent(stage: Stage) -> None:
    await stage.leader()
    agent = await stage.agent()
    await stage.publish("j1")
    award = await eventually(lambda: agent.award_of("j1"))
    with structlog.testing.capture_logs() as lines:
        advert = agent.double.advert()
        await stage.bus.publish(SUBJECTS.advert("nobody"), encode(advert))
        report = OutcomesReported(agent_id="a1", incarnation="1-x", seq=99, outcomes=[])
        await stage.bus.publish(SUBJECTS.outcome("nobody"), encode(report))
        await eventually(lambda: len([line for line in lines if "its subject's agent" in line["event"]]) == 2)
    await agent.finish(award)
    await stage.until_status("j1", "succeeded")


async def test_every_coordinator_says_whether_it_leads(stage: Stage) -> None:
    standby = await stage.coordinator("two")

    async def roles() -> dict[str, str]:
        found: dict[str, str] = {}
        for service, task in stage.coordinators:
            if not task.done():
                subject = SUBJECTS.coordinator_control(service.coordinator_id, "status")
                answer = decode(CoordinatorStatus, (await stage.bus.request(subject, b"", timeout=5)).data)
                assert (answer.epoch is not None) == (answer.role == "leading")
                found[answer.coordinator_id] = answer.role
        return found

    async def metadata() -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = []

        async def note(msg: Msg) -> None:
            body = msgspec.json.decode(msg.data)
            told.append((body["metadata"]["coordinator_id"], body["metadata"]["role"]))

        listening = await stage.bus.subscribe("roles", note)
        stage.server.publish(Msg(f"$SRV.INFO.{SUBJECTS.coordinator_service}", b"", {}, "roles"))
        await eventually(lambda: len(told) == len([task for _, task in stage.coordinators if not task.done()]))
        await listening.close()
        return sorted(told)

    async def standing() -> dict[str, str] | None:
        try:
            return await roles()
        except NoResponders:
            return None

    assert await eventually(standing) == {"one": "leading", "two": "standby"}
    assert await metadata() == [("one", "leading"), ("two", "standby")]
    first = await stage.leader()
    stage.ended(first).cancel()
    await asyncio.wait({stage.ended(first)})
    await eventually(lambda: standby.leading)
    assert await roles() == {"two": "leading"}
    assert await metadata() == [("two", "leading")]


async def test_a_known_id_with_another_request_is_told(stage: Stage) -> None:
    """It was acked and dropped without a trace."""
    agent = await stage.agent(run=None)
    await stage.publish("j1", inputs={"text_prompt": "a chair"})
    await eventually(lambda: agent.award_of("j1"))
    with structlog.testing.capture_logs() as lines:
        await stage.publish("j1", inputs={"text_prompt": "a chair"})
        second = await stage.publish("j1", inputs={"text_prompt": "a lamp"})
        await eventually(lambda: len(stage.server.streams[SUBJECTS.jobs_stream].messages) == 1)
        (letter,) = await stage.bus.pages(SUBJECTS.dead_stream, SUBJECTS.all_dead(), start=1, limit=10)
    (warning,) = [line for line in lines if line["log_level"] == "warning"]
    assert (warning["job_id"], warning["seq"]) == ("j1", second)
    dead = decode(DeadLetter, letter.data)
    assert dead.job_id != "j1" and warning["dead_letter"] == dead.job_id
    assert dead.request is not None and dead.request["inputs"] == {"text_prompt": "a lamp"}
    assert dead.error is not None and (dead.error.code, dead.error.field) == ("invalid_input", "job_id")
    assert await stage.events("j1") == ["queued", "started"]


async def test_what_no_adapter_takes_is_refused_by_the_api_at_once(stage: Stage) -> None:
    schema = {"type": "object", "properties": {"seed": {"type": "integer"}}, "additionalProperties": False}
    await stage.leader()
    await stage.agent(schema=schema)

    async def known() -> bool:
        answer = await stage.bus.request(SUBJECTS.api("agents"), b"{}", timeout=5)
        return any(agent.adapters for agent in decode(AgentList, answer.data).agents)

    await eventually(known)

    async def submit(**inputs: Any) -> Msg:
        request = encode({"feature": "echo", "inputs": inputs})
        return await stage.bus.request(SUBJECTS.api("submit"), request, timeout=5)

    refused = await submit(colour="red")
    assert refused.headers["Nats-Service-Error-Code"] == "400"
    error = decode(ApiError, refused.data)
    assert (error.field, "unknown parameter" in error.error) == ("inputs.colour", True)
    assert stage.server.streams[SUBJECTS.jobs_stream].messages == {}
    assert decode(Status, (await submit(seed=7)).data).status == "submitted"


# ---------------------------------------------------------------- a server that takes little


async def test_a_small_server_gets_split_awards_and_what_cannot_be_sent_fails_its_job() -> None:
    limit = 8192
    stage = Stage(MemoryServer(WallClock(), max_payload=limit))
    await stage.coordinator("one")
    await stage.leader()
    for number in range(12):
        await stage.publish(f"j{number}", inputs={"text_prompt": "x" * 3000})
    await stage.publish("large", inputs={"text_prompt": "x" * (limit - 300)})
    await stage.until_status("large", "queued")
    agent = await stage.agent(run=None)
    for number in range(12):
        award = await eventually(partial(agent.award_of, f"j{number}"))
        await agent.finish(award)
    result = await stage.result("large")
    assert (result.status, result.error and result.error.code) == ("failed", "too_large")
    assert max(agent.award_messages) <= limit
    await stage.until_status("large", "failed")
    await stage.close()


async def test_an_event_that_is_too_large_does_not_hold_up_the_others() -> None:
    stage = Stage(MemoryServer(WallClock(), max_payload=8192))
    await stage.coordinator("one")
    leader = await stage.leader()
    # The name of the field at fault is in the reason, the field and the message of the event.
    body = b'{"inputs": {}, "' + b"x" * 6000 + b'": 1}'
    await stage.bus.append(SUBJECTS.job("normal", "echo"), body, headers={"Nats-Msg-Id": "bad"})
    await stage.publish("good")
    status = await stage.until_status("bad", "rejected")
    assert "shortened" in (status.error.message if status.error else "")
    await stage.until_status("good", "queued")
    result = await stage.result("bad")
    assert result.status == "rejected"
    await eventually(lambda: leader.term is not None and leader.term.engine.record("bad") is None)
    await stage.close()


async def test_each_step_of_a_job_is_one_line(stage: Stage) -> None:
    agent = await stage.agent()
    with structlog.testing.capture_logs() as lines:
        await stage.publish("j1", retry={"max_attempts": 2, "initial_s": 0.01})
        first = await eventually(lambda: agent.award_of("j1"))
        agent.double.running.clear()
        await agent.report(agent.failed(first, "adapter_error", "it broke"))
        second = await eventually(lambda: agent.awards[1:])
        await agent.finish(second[0])
        await stage.until_status("j1", "succeeded")
        await stage.publish("j2", feature="Bad.Feature"[:3])
        await stage.until_status("j2", "rejected")
    of_job = {job_id: [each for each in lines if each.get("job_id") == job_id] for job_id in ("j1", "j2")}
    words = ["queued", "awarded", "started", "requeued", "awarded", "started", "ended"]
    assert [each["event"] for each in of_job["j1"]] == [f"job {word}" for word in words]
    assert {each["log_level"] for each in of_job["j1"]} == {"info"}
    assert [each.get("attempt") for each in of_job["j1"]] == [None, 1, 1, 1, 2, 2, 2]
    assert [each.get("agent_id") for each in of_job["j1"][1:3]] == ["a1", "a1"]
    assert "it broke" in of_job["j1"][3]["why"]
    assert of_job["j1"][-1]["status"] == "succeeded"
    (ended,) = of_job["j2"]
    assert (ended["event"], ended["status"], ended["code"]) == ("job ended", "rejected", "invalid_input")


async def test_a_lease_that_is_anothers_by_now_is_not_given_back() -> None:
    bus, subjects = MemoryBus(MemoryServer(WallClock())), SUBJECTS
    await bus.ensure(topology.build(subjects, topology.TopologySettings()))
    mine = await bus.kv_put(subjects.leader_bucket, LEADER_KEY, encode(LeaderRecord(coordinator_id="one", epoch=1)))
    await bus.kv_put(subjects.leader_bucket, LEADER_KEY, encode(LeaderRecord(coordinator_id="two", epoch=2)))
    with pytest.raises(Conflict):
        await leader_record_io.give_lease_back(bus, subjects, mine)
    found = await leader_record_io.read_lease(bus, subjects)
    assert found.record is not None
    assert found.record.coordinator_id == "two"


@pytest.mark.parametrize("epoch", [2**53 - 1, 2**63, -1])
async def test_an_epoch_that_no_clock_made_is_no_leaders(epoch: int) -> None:
    # The next epoch would be no number that messages can carry: no agent would take a command of any leader again.
    bus, subjects = MemoryBus(MemoryServer(WallClock())), SUBJECTS
    await bus.ensure(topology.build(subjects, topology.TopologySettings()))
    junk = f'{{"coordinator_id":"zz","epoch":{epoch}}}'.encode()
    seq = await bus.append(subjects.leader_record(), junk)
    assert await leader_record_io.read_leader_record(bus, subjects) == LeaderRecordRead(None, seq)
    revision = await bus.kv_put(subjects.leader_bucket, LEADER_KEY, junk)
    assert await leader_record_io.read_lease(bus, subjects) == LeaseRead(None, revision)
