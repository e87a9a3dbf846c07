"""What operators remove from the streams while the system works."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.names import kv_stream
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.api import EmptyRequest
from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.coordinator.engine.admission import REMOVED
from pocket3d.coordinator.engine.events import EndedJobsRead, StoriesListed
from pocket3d.coordinator.io.status_bucket import read_ended
from pocket3d.ops.simulation.chaos import Chaos
from support.flow import Flow, play


async def drain(flow: Flow, verb: str = "drain") -> None:
    subject = flow.world.subjects.agent_control("agent0", verb)
    await flow.world.people.desk.request(subject, encode(EmptyRequest()), timeout=5.0)


def remove(flow: Flow, *handles: JobHandle) -> None:
    """As `nats stream rmm P3D_JOBS SEQ` does it."""
    stream = flow.world.server.stream(flow.world.subjects.jobs_stream)
    for message in list(stream.messages.values()):
        if any(f'"{handle.job_id}"'.encode() in message.data for handle in handles):
            stream.delete(message.seq)
            flow.world.note_removed(message)


def purge(flow: Flow, *handles: JobHandle) -> None:
    """What `pocket3d purge --jobs` removes of ended jobs."""
    subjects, server = flow.world.subjects, flow.world.server
    for handle in handles:
        for stream in (subjects.results_stream, kv_stream(subjects.status_bucket), subjects.events_stream):
            for message in list(server.stream(stream).messages.values()):
                if handle.job_id in message.subject.split("."):
                    server.stream(stream).delete(message.seq)
                    if stream == subjects.results_stream:
                        # It is compared with what is stored.
                        flow.world.listener.heard.remove((message.subject, message.data))
        flow.world.accepted.discard(handle.job_id)


async def ended(handle: JobHandle, within_s: float) -> tuple[str, str]:
    result = await handle.result(timeout=within_s)
    return result.status, result.error.message if result.error is not None else ""


def test_a_removed_job_that_waits_ends_within_a_minute_and_the_others_run(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        await drain(flow)
        handles = [await flow.submit() for _ in range(6)]
        await flow.until(lambda: flow.world.states()["queued"] == 6)
        remove(flow, *handles[::2])
        assert [await ended(handle, 60) for handle in handles[::2]] == [("cancelled", REMOVED)] * 3
        await drain(flow, "undrain")
        assert [await ended(handle, 60) for handle in handles[1::2]] == [("succeeded", "")] * 3

    play(scenario, tmp_path)


def test_ended_jobs_of_which_nothing_is_kept_are_listed_no_more(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 0.1}) for _ in range(6)]
        waits = await flow.submit("text_to_mesh", "waits", inputs={"text_prompt": "a chair"}, vram_mb=1_000_000)
        for handle in handles:
            await handle.result(timeout=60)
        await asyncio.sleep(15)
        purge(flow, *handles[:3])
        await asyncio.sleep(25)
        left = {handle.job_id for handle in (*handles[3:], waits)}
        assert {job.job_id for job in (await flow.client.list()).jobs} == left
        assert {job.job_id for job in (await flow.client.list(status="succeeded")).jobs} == left - {"waits"}
        await waits.cancel()

    play(scenario, tmp_path)


def test_a_removed_job_that_runs_runs_on(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"behave": "slow", "seconds": 40.0})
        await flow.running(handle)
        remove(flow, handle)
        assert await ended(handle, 100) == ("succeeded", "")
        assert flow.world.attempts == {handle.job_id: 1}

    play(scenario, tmp_path)


async def zombie(flow: Flow) -> JobHandle:
    """A job that waited, whose message was removed while nobody led."""
    await drain(flow)
    handle = await flow.submit()
    await flow.until(lambda: flow.world.states()["queued"] == 1)
    Chaos(flow.world).crash(flow.leader(), back_after_s=20.0)
    remove(flow, handle)
    await flow.until(lambda: flow.world.leader() is not None)
    return handle


def test_a_new_leader_ends_what_was_removed_while_nobody_led(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        assert await ended(await zombie(flow), 60) == ("cancelled", REMOVED)
        await drain(flow, "undrain")

    play(scenario, tmp_path)


@pytest.mark.parametrize("led", [True, False], ids=["the leader had it", "nobody led"])
def test_a_message_published_again_takes_the_removed_ones_place(led: bool, tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        await drain(flow)
        handle = await flow.submit(job_id="z-1")
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        if not led:
            Chaos(flow.world).crash(flow.leader(), back_after_s=20.0)
        remove(flow, handle)
        body = encode({"job_id": "z-1", "inputs": {"behave": "ok", "seconds": 0.5}})
        await flow.world.people.desk.append(flow.world.subjects.job("high", "echo"), body)
        await flow.until(lambda: flow.world.leader() is not None)
        await asyncio.sleep(60.0)
        assert flow.world.states()["queued"] == 1
        await drain(flow, "undrain")
        assert await ended(handle, 60) == ("succeeded", "")
        assert flow.world.attempts == {"z-1": 1}

    play(scenario, tmp_path)


def test_explain_and_cancel_of_a_story_that_nobody_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no leader has ended it: here its list of stories is kept from it."""

    async def scenario(flow: Flow) -> None:
        handle = await zombie(flow)
        explanation = await handle.explain()
        assert explanation.status == "queued"
        assert "its message was removed" in explanation.summary
        assert "ended" not in explanation.summary
        await handle.cancel("not wanted")
        assert await ended(handle, 10) == ("cancelled", "not wanted")
        assert (await handle.explain()).summary == "it has ended: cancelled, not wanted"
        await drain(flow, "undrain")

    async def none(bus: Any, subjects: Any, effect: Any) -> Any:
        return StoriesListed((), 1)

    async def without_stories(bus: Any, subjects: Any, effect: Any) -> Any:
        event = await read_ended(bus, subjects, effect)
        return event._replace(unfinished=()) if isinstance(event, EndedJobsRead) else event

    monkeypatch.setattr("pocket3d.coordinator.io.effect_runner.list_stories", none)
    monkeypatch.setattr("pocket3d.coordinator.io.effect_runner.read_ended", without_stories)
    play(scenario, tmp_path)


@pytest.mark.parametrize("coordinators", [1, 2])
@pytest.mark.parametrize(
    "bucket", ["KV_P3D_STATUS", "KV_P3D_AGENTS", "KV_P3D_LEADER", "OBJ_P3D_INPUTS", "OBJ_P3D_OUTPUTS"]
)
def test_a_removed_bucket_is_made_again_within_ten_seconds(bucket: str, coordinators: int, tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        server = flow.world.server
        server.remove_stream(bucket)
        handle = await flow.submit()
        removed_at = flow.world.loop.time()
        await flow.until(lambda: bucket in server.streams)
        assert flow.world.loop.time() - removed_at < 10.0
        assert await ended(handle, 60) == ("succeeded", "")
        await asyncio.sleep(20.0)
        told = [note.text for note in flow.world.story if "streams were removed from the server" in note.text]
        assert len(told) == 1
        assert bucket in told[0]

    play(scenario, tmp_path, coordinators=coordinators)


def test_a_removed_consumer_is_made_again_within_ten_seconds(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        subjects, server = flow.world.subjects, flow.world.server
        names = [coordinator_results(subjects), *(coordinator_jobs(subjects, priority) for priority in PRIORITIES)]
        for name in names:
            server.remove_consumer(name)
        removed_at = flow.world.loop.time()
        handle = await flow.submit()
        assert await ended(handle, 60) == ("succeeded", "")
        await flow.until(lambda: all(name.name in server.stream(name.stream).consumers for name in names))
        assert flow.world.loop.time() - removed_at < 10.0

    play(scenario, tmp_path)


@pytest.mark.parametrize("coordinators", [1, 2])
def test_of_a_removed_jobs_stream_what_runs_ends_and_nobody_gets_another_jobs_request(
    coordinators: int, tmp_path: Path
) -> None:
    async def scenario(flow: Flow) -> None:
        server, stream = flow.world.server, flow.world.subjects.jobs_stream
        runs = await flow.submit(inputs={"behave": "slow", "seconds": 40.0}, vram_mb=10_000)
        await flow.running(runs)
        waits = [await flow.submit(vram_mb=10_000) for _ in range(3)]
        await flow.until(lambda: flow.world.states()["queued"] == 3)
        for message in server.stream(stream).messages.values():
            flow.world.note_removed(message)
        server.remove_stream(stream)
        await flow.until(lambda: stream in server.streams)
        # Their sequences are those of the jobs before.
        bad = {"behave": "bad_input"}
        fresh = [await flow.submit(inputs=bad if number % 2 else {}, vram_mb=10_000) for number in range(4)]
        assert [await ended(handle, 60) for handle in waits] == [("cancelled", REMOVED)] * 3
        assert await ended(runs, 120) == ("succeeded", "")
        statuses = [(await handle.result(timeout=120)).status for handle in fresh]
        assert statuses == ["succeeded", "failed", "succeeded", "failed"]
        assert flow.world.attempts[runs.job_id] == 1

    play(scenario, tmp_path, coordinators=coordinators)
