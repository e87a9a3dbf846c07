"""Following a job: its story, progress, result and files, each once and verified."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.bus.client import ApiRefused, Client, DurableInUse, JobFailed, NoLeader, WaitTimeout
from pocket3d.bus.jetstream.objects.layout import ArtifactBroken
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.clock import WallClock
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import ServiceError, ServiceSpec
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.api import CancelRequest, Explanation
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import Progress, Result, Status
from support.job_teller import Teller, serve_api

Tell = Callable[..., Teller]


async def collect(source: Any) -> list[Any]:
    return [item async for item in source]


async def started(task: asyncio.Task[Any], client: Client) -> None:
    """Wait until the task listens."""

    async def listening() -> None:
        while not any(watch.listening for watch in client.links.watches):
            assert not task.done(), task
            await asyncio.sleep(0.001)

    await asyncio.wait_for(listening(), 10)


# ---------------------------------------------------------------- events


async def test_events_from_the_beginning_to_the_end(client: Client, tell: Tell) -> None:
    job = tell()
    other = tell("other")
    before = [await job.event("queued"), await job.event("started", "running", agent_id="a")]
    await other.event("queued")
    following = asyncio.ensure_future(collect(client.job(job.job_id).events()))
    await started(following, client)
    await other.event("succeeded")
    after = [await job.event("requeued", "queued"), await job.event("started", "running"), await job.event("succeeded")]
    assert await asyncio.wait_for(following, 10) == before + after
    assert await asyncio.wait_for(collect(client.job(job.job_id).events()), 10) == before + after
    assert client.links.watches == set()


async def test_long_story_comes_whole(client: Client, tell: Tell) -> None:
    job = tell()
    story: list[Status] = []
    for _ in range(75):
        story.append(await job.event("started", "running"))
        story.append(await job.event("requeued", "queued"))
    story.append(await job.event("failed"))
    assert await asyncio.wait_for(collect(client.job(job.job_id).events()), 20) == story


async def test_status_is_the_last_event(client: Client, tell: Tell) -> None:
    job = tell()
    await job.event("queued")
    last = await job.event("started", "running", agent_id="gpu-07")
    assert await client.job(job.job_id).status() == last


async def test_status_before_the_first_event_is_the_coordinator_s(client: Client, tell: Tell) -> None:
    job = tell()
    submitted = job.status("submitted")

    async def status(request: dict[str, Any]) -> Status:
        if request["job_id"] != job.job_id:
            raise ServiceError(404, f"no job {request['job_id']}", field="job_id")
        return submitted

    await serve_api(client.bus, client.subjects, status=status)
    assert await client.job(job.job_id).status() == submitted
    with pytest.raises(ApiRefused, match="no job other") as caught:
        await client.job("other").status()
    assert (caught.value.code, caught.value.field) == (404, "job_id")


# ---------------------------------------------------------------- result


async def test_result_that_is_there(client: Client, tell: Tell) -> None:
    expected = await tell().result()
    assert await client.job("chair-0001").result(timeout=5) == expected


async def test_result_that_comes(client: Client, tell: Tell) -> None:
    job = tell()
    waiting = asyncio.ensure_future(client.job(job.job_id, "echo").result(timeout=10))
    await started(waiting, client)
    await tell("other").result()
    assert not waiting.done()
    expected = await job.result(job.make_result("failed"))
    assert await waiting == expected
    assert client.links.watches == set()


async def test_result_under_another_feature_is_found(client: Client, tell: Tell) -> None:
    """The id was used before, for another feature: that job is the one that stands."""
    expected = await tell(feature="text_to_mesh").result()
    handle = await client.submit("echo", job_id="chair-0001")
    assert await handle.result(timeout=5) == expected


@pytest.mark.e2e
@pytest.mark.parametrize("server_or_memory", ["jetstream"], indirect=True)
async def test_result_that_the_stream_did_not_admit_is_not_believed(
    client: Client, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tell()
    reads = 0
    read = client.bus.last

    async def counted(stream: str, subject: str) -> Any:
        nonlocal reads
        reads += 1
        return await read(stream, subject)

    monkeypatch.setattr(client.bus, "last", counted)
    waiting = asyncio.ensure_future(client.job(job.job_id).result(timeout=10))
    await started(waiting, client)
    # Heard by every core subscriber, stored nowhere: a publish past the proposals.
    subject = client.subjects.result("echo", job.job_id)
    before = reads
    forged = encode(job.make_result(token="forged"))
    await client.bus.publish(subject, forged)

    async def read_again() -> None:
        while reads == before:
            await asyncio.sleep(0.001)

    await asyncio.wait_for(read_again(), 10)
    assert await client.bus.last(client.subjects.results_stream, subject) is None
    assert not waiting.done()
    expected = await job.result(job.make_result(token="1-1"))
    assert await waiting == expected


async def test_timeout_says_where_the_job_stands(client: Client, tell: Tell) -> None:
    handle = client.job("chair-0001")
    with pytest.raises(WaitTimeout, match=r"no result after 0\.05 s; no coordinator has taken it yet"):
        await handle.result(timeout=0.05)
    await tell().event("queued", reason="waits for 4096 MB on gpu-07")
    with pytest.raises(TimeoutError, match=r"it is queued \(waits for 4096 MB on gpu-07\)"):
        await handle.result(timeout=0.05)
    with pytest.raises(WaitTimeout):
        await handle.result(timeout=0)


async def test_many_wait_at_once_without_consumers(client: Client, tell: Tell) -> None:
    handles = [client.job(f"j{number}") for number in range(50)]
    waiting = [asyncio.ensure_future(handle.result(timeout=20)) for handle in handles]
    await started(waiting[0], client)
    for number in range(50):
        await tell(f"j{number}").result()
    results = await asyncio.gather(*waiting)
    assert [result.job_id for result in results] == [handle.job_id for handle in handles]


# ---------------------------------------------------------------- progress


async def test_progress_latest_at_once_then_live_until_the_result(client: Client, tell: Tell) -> None:
    job = tell()
    await job.progress(0.1)
    latest = await job.progress(0.2)
    seen: list[Progress] = []
    first = asyncio.Event()

    async def follow() -> None:
        async for progress in client.job(job.job_id).progress():
            seen.append(progress)
            first.set()

    following = asyncio.ensure_future(follow())
    await asyncio.wait_for(first.wait(), 10)
    assert seen == [latest]
    final = await job.progress(1.0)
    await job.result()
    await asyncio.wait_for(following, 10)
    assert seen[-1] == final
    assert seen == sorted(seen, key=lambda p: p.at)
    assert len({p.at for p in seen}) == len(seen)


@pytest.mark.e2e
@pytest.mark.parametrize("server_or_memory", ["jetstream"], indirect=True)
async def test_each_progress_is_shown(client: Client, tell: Tell) -> None:
    job = tell()
    following = asyncio.ensure_future(collect(client.job(job.job_id).progress()))
    await started(following, client)
    sent = [await job.progress(number / 20) for number in range(20)]
    await job.result()
    seen = await asyncio.wait_for(following, 10)
    assert seen == sent


async def test_progress_of_an_ended_job_ends(client: Client, tell: Tell) -> None:
    await tell().result()
    assert await asyncio.wait_for(collect(client.job("chair-0001").progress()), 10) == []


async def test_what_is_no_progress_is_not_shown(client: Client, tell: Tell) -> None:
    job = tell()
    await client.bus.append(client.subjects.progress("echo", job.job_id), b"nonsense")
    await job.result()
    assert await asyncio.wait_for(collect(client.job(job.job_id).progress()), 10) == []


# ---------------------------------------------------------------- files


async def test_download_writes_the_files_checked(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    files = [await job.output("chair.glb", b"mesh"), await job.output("textures/wood.png", b"wood")]
    await job.result(job.make_result(artifacts=files))
    out = tmp_path / "new" / "out"
    paths = await client.job(job.job_id).download(out, timeout=5)
    assert paths == [out / "chair-0001" / "chair.glb", out / "chair-0001" / "textures" / "wood.png"]
    assert [path.read_bytes() for path in paths] == [b"mesh", b"wood"]
    assert sorted(p.name for p in out.rglob("*")) == ["chair-0001", "chair.glb", "textures", "wood.png"]


async def test_two_jobs_with_files_of_one_name_both_keep_theirs(client: Client, tell: Tell, tmp_path: Path) -> None:
    paths = []
    for job_id in ("chair-a", "chair-b"):
        job = tell(job_id)
        await job.result(job.make_result(artifacts=[await job.output("generated_mesh.glb", job_id.encode())]))
        paths += await client.job(job_id).download(tmp_path, timeout=5)
    assert [path.read_text() for path in paths] == ["chair-a", "chair-b"]


async def test_download_again_leaves_what_is_there_and_fetches_what_is_missing(
    client: Client, tell: Tell, tmp_path: Path
) -> None:
    job = tell()
    files = [await job.output("a.glb", b"mesh"), await job.output("b.png", b"picture")]
    await job.result(job.make_result(artifacts=files))
    kept, removed = await client.job(job.job_id).download(tmp_path, timeout=5)
    removed.unlink()
    before = kept.stat()
    assert await client.job(job.job_id).download(tmp_path) == [kept, removed]
    assert removed.read_bytes() == b"picture"
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_download_never_replaces_another_file_unless_told_to(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    files = [await job.output("a.glb", b"mesh"), await job.output("b.png", b"picture")]
    await job.result(job.make_result(artifacts=files))
    mine = tmp_path / job.job_id / "b.png"
    mine.parent.mkdir()
    mine.write_bytes(b"painted over by hand")
    with pytest.raises(FileExistsError, match=r"b\.png is another file than job chair-0001 made.*overwrite"):
        await client.job(job.job_id).download(tmp_path, timeout=5)
    assert mine.read_bytes() == b"painted over by hand"
    assert [path.name for path in mine.parent.iterdir()] == ["b.png"]
    paths = await client.job(job.job_id).download(tmp_path, overwrite=True)
    assert [path.read_bytes() for path in paths] == [b"mesh", b"picture"]


async def test_download_stays_inside_the_directory(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    names = ["../../evil", "/etc/passwd", "..\\..\\x.glb", "con.txt", "a.glb", "A.glb", "b", "b/c"]
    artifacts = [await job.output(f"{number}", name.encode()) for number, name in enumerate(names)]
    named = [msgspec.structs.replace(a, name=name) for a, name in zip(artifacts, names, strict=True)]
    await job.result(job.make_result(artifacts=named))
    out = tmp_path / "deep" / "out"
    paths = await client.job(job.job_id).download(out, timeout=5)
    assert all(path.resolve().is_relative_to(out.resolve()) for path in paths)
    assert [path.read_text() for path in paths] == names
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == set(paths)


async def test_download_of_another_file_than_the_result_s(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    await job.result(job.make_result(artifacts=[await job.output("a.glb", b"mesh", sha256="0" * 64)]))
    with pytest.raises(ArtifactBroken, match=r"a\.glb of job chair-0001 is not the file of its result"):
        await client.job(job.job_id).download(tmp_path, timeout=5)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


async def test_download_of_a_file_that_is_not_kept(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    artifact = await job.output("a.glb", b"mesh")
    await client.bus.delete_object(artifact.bucket, artifact.object)
    await job.result(job.make_result(artifacts=[artifact]))
    with pytest.raises(ArtifactBroken, match=r"is not in the bucket .* any more"):
        await client.job(job.job_id).download(tmp_path, timeout=5)


async def test_download_of_a_job_that_failed(client: Client, tell: Tell, tmp_path: Path) -> None:
    job = tell()
    await job.result(job.make_result("failed"))
    with pytest.raises(JobFailed, match="job chair-0001 failed: adapter_error: it broke") as caught:
        await client.job(job.job_id).download(tmp_path)
    assert caught.value.result.status == "failed"


# ---------------------------------------------------------------- the coordinator's answers


async def test_api_calls(client: Client, tell: Tell) -> None:
    job = tell()
    asked: list[tuple[str, dict[str, Any]]] = []

    def answering(verb: str, answer: Any) -> Any:
        async def handle(request: dict[str, Any]) -> Any:
            asked.append((verb, request))
            return answer

        return handle

    cancelled = job.status("cancelled")
    await serve_api(
        client.bus,
        client.subjects,
        cancel=answering("cancel", cancelled),
        explain=answering("explain", Explanation(status="queued", summary="no room")),
        list=answering("list", {"jobs": [cancelled], "next": "n"}),
        features=answering("features", {"features": [{"feature": "echo", "required": [], "adapters": []}]}),
        agents=answering("agents", {"agents": []}),
    )
    handle = client.job(job.job_id)
    assert await handle.cancel("changed my mind") == cancelled
    assert (await handle.explain()).summary == "no room"
    page = await client.list(feature="echo", limit=1)
    assert (page.jobs, page.next) == ([cancelled], "n")
    assert [feature.feature for feature in (await client.features()).features] == ["echo"]
    assert (await client.agents()).agents == []
    assert [verb for verb, _ in asked] == ["cancel", "explain", "list", "features", "agents"]
    assert asked[0][1] == {"v": 1, "job_id": job.job_id, "reason": "changed my mind"}
    assert asked[2][1]["feature"] == "echo"


async def test_nobody_leads(client: Client) -> None:
    with pytest.raises(NoLeader, match=r"no coordinator answered .*\.api\.cancel within 0\.3 s: "):
        await client.api("cancel", CancelRequest(job_id="a"), Status, timeout=0.3)


async def test_nobody_leads_yet_and_somebody_stands_by(client: Client, server_or_memory: EmbeddedServer | None) -> None:
    if server_or_memory is None:
        pytest.skip("without a server there is no JetStream that could be away")
    name = client.subjects.coordinator_service
    await client.bus.serve(ServiceSpec(name, "0.1.0", "stands by", endpoints=[]))
    with pytest.raises(NoLeader, match="one that stands by takes over within 15 s: try again") as caught:
        await client.api("cancel", CancelRequest(job_id="a"), Status, timeout=0.3)
    assert caught.value.standby


async def test_call_goes_through_when_a_leader_comes(client: Client, tell: Tell) -> None:
    asking = asyncio.ensure_future(client.agents())
    await asyncio.sleep(0)

    async def agents(request: dict[str, Any]) -> dict[str, Any]:
        return {"agents": []}

    await serve_api(client.bus, client.subjects, agents=agents)
    assert (await asyncio.wait_for(asking, 10)).agents == []


# ---------------------------------------------------------------- results of a feature


async def test_results_of_a_feature_in_order_and_across_iterations(client: Client, tell: Tell) -> None:
    for number in range(5):
        await tell(f"j{number}").result()
        await tell(f"other{number}", feature="text_to_mesh").result()
    seen: list[Result] = []
    async with aclosing(client.results("echo", durable="mine", ack_wait_s=1)) as feed:
        async for result in feed:
            seen.append(result)
            if len(seen) == 3:
                break
    assert [result.job_id for result in seen] == ["j0", "j1", "j2"]
    again: list[str] = []
    async with aclosing(client.results("echo", durable="mine", ack_wait_s=1)) as feed:
        async for result in feed:
            again.append(result.job_id)
            if set(again) >= {"j2", "j3", "j4"}:
                break
    # The third was left by `break`, so it was not confirmed and comes again; the first two do not.
    assert sorted(set(again)) == ["j2", "j3", "j4"]


async def test_results_live(client: Client, tell: Tell) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def follow() -> None:
        async for result in client.results("echo", durable="mine"):
            seen.put_nowait(result.job_id)

    following = asyncio.ensure_future(follow())
    for number in range(3):
        await tell(f"j{number}").result()
        assert await asyncio.wait_for(seen.get(), 10) == f"j{number}"
    following.cancel()
    await asyncio.wait({following})
    assert following.cancelled()


async def test_what_is_no_result_does_not_hold_up_the_next(client: Client, tell: Tell) -> None:
    await client.bus.append(client.subjects.proposal("echo", "bad"), b"nonsense")
    expected = await tell().result()
    async with aclosing(client.results("echo", durable="mine")) as feed:
        assert await asyncio.wait_for(feed.__anext__(), 10) == expected


async def test_durable_name_that_is_taken(client: Client, tell: Tell) -> None:
    await tell().result()
    async with aclosing(client.results("echo", durable="mine")) as feed:
        await feed.__anext__()
    with pytest.raises(DurableInUse, match="'mine' is there for something else"):
        await client.results("text_to_mesh", durable="mine").__anext__()
    with pytest.raises(DurableInUse, match="the coordinator's own"):
        await client.results("echo", durable="coordinator").__anext__()
    with pytest.raises(ValueError, match=re.escape("durable 'a.b'")):
        await client.results("echo", durable="a.b").__anext__()


# ---------------------------------------------------------------- connections that come and go


async def test_follows_over_a_cut_connection(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is heard while the link is down; all of it is read when it is back, without waiting for the slow look."""
    monkeypatch.setattr("pocket3d.bus.client.watch.BACKSTOP_S", 3600.0)
    server = MemoryServer(WallClock())
    ours, theirs = MemoryBus(server), MemoryBus(server)
    client = Client(ours, namespace)
    await theirs.ensure(build(client.subjects, TopologySettings()))
    job = Teller(theirs, client.subjects, "chair-0001")
    story = [await job.event("queued")]
    handle = client.job(job.job_id)
    ours.disconnect()
    following = [
        asyncio.ensure_future(collect(handle.events())),
        asyncio.ensure_future(handle.result()),
        asyncio.ensure_future(collect(handle.progress())),
    ]
    while len(client.links.watches) < 3:
        await asyncio.sleep(0)
    progress = await job.progress(0.5)
    story += [await job.event("started", "running"), await job.event("succeeded")]
    result = await job.result()
    ours.reconnect()
    assert await asyncio.wait_for(asyncio.gather(*following), 10) == [story, result, [progress]]
    await client.close()
    await theirs.close()


# ---------------------------------------------------------------- bytes that make no sense


async def test_what_is_no_event_is_passed_over(client: Client, tell: Tell) -> None:
    job = tell()
    first = await job.event("queued")
    await client.bus.append(client.subjects.event("echo", job.job_id, "started"), b"x")
    last = await job.event("failed")
    assert await asyncio.wait_for(collect(client.job(job.job_id).events()), 10) == [first, last]


async def test_the_status_behind_bytes_that_are_no_event_is_the_coordinators(client: Client, tell: Tell) -> None:
    job = tell()
    await job.event("queued")
    await client.bus.append(client.subjects.event("echo", job.job_id, "started"), b"x")

    async def answer(request: dict[str, Any]) -> Status:
        return job.status("running")

    served = await serve_api(client.bus, client.subjects, status=answer)
    assert (await client.job(job.job_id).status()).status == "running"
    await served.close()


async def test_what_is_no_result_is_waited_past(client: Client, tell: Tell) -> None:
    job = tell()
    seq = await client.bus.append(client.subjects.proposal("echo", job.job_id), b"x")
    waiting = asyncio.ensure_future(client.job(job.job_id).result(10))
    await started(waiting, client)
    with pytest.raises(WaitTimeout):
        await client.job(job.job_id).result(0.05)
    assert await client.bus.delete(client.subjects.results_stream, seq)
    stored = await job.result(job.make_result("failed"))
    assert await waiting == stored


async def test_a_later_versions_word_is_passed_on(client: Client, tell: Tell) -> None:
    job = tell()
    await job.result(job.make_result("superseded"))
    assert (await client.job(job.job_id).result(5)).status == "superseded"
    with pytest.raises(JobFailed, match="superseded"):
        await client.job(job.job_id).download("nowhere")
