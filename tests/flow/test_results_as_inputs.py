"""Jobs that name results of other jobs, from submit to result, through the real coordinator, agents and client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pocket3d.bus.client import JobRefused
from pocket3d.contracts.messages import Result
from pocket3d.coordinator.settings import CoordinatorSettings
from support.flow import Flow, play


def code_of(result: Result) -> tuple[str, str | None]:
    return result.status, result.error.code if result.error is not None else None


def test_a_row_of_jobs_hands_its_files_on(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chair = await flow.submit("text_to_mesh", "chair", inputs={"text_prompt": "a chair", "files": True})
        rigged = await flow.submit("auto_rig", "rigged", inputs={"mesh_path": chair, "files": True})
        last = await flow.submit("auto_rig", "last", inputs={"mesh_path": rigged.artifact("out.glb")})
        status = await last.status()
        assert (status.status, status.reason) == ("queued", "waits for rigged")
        assert (await last.explain()).waits_for == ["rigged"]
        listed = {job.job_id: job.reason for job in (await flow.client.list(status="queued")).jobs}
        assert listed["last"] == "waits for rigged"
        assert code_of(await last.result(timeout=120)) == ("succeeded", None)
        await flow.settled()
        assert flow.story("last") == ["queued", "requeued", "started", "succeeded"]
        # The worker of the last job got the bytes that the second one's had written.
        second = await rigged.result()
        assert flow.world.inputs["last"] == {"mesh_path": (second.token or "").encode()}
        assert flow.world.inputs["rigged"]["mesh_path"] == ((await chair.result()).token or "").encode()

    play(scenario, tmp_path)


def test_a_job_that_fails_fails_those_that_name_it(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chair = await flow.submit(job_id="chair", inputs={"behave": "bad_input"})
        rigged = await flow.submit("auto_rig", "rigged", inputs={"mesh_path": chair})
        last = await flow.submit("auto_rig", "last", inputs={"mesh_path": rigged})
        for handle, source in ((rigged, "chair"), (last, "rigged")):
            result = await handle.result(timeout=60)
            assert code_of(result) == ("failed", "input_failed")
            assert result.error is not None and f"job {source}, " in result.error.message
        assert set(flow.world.attempts) == {"chair"}

    play(scenario, tmp_path)


def test_a_job_that_was_never_published_is_missing(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit("auto_rig", inputs={"mesh_path": {"result": "nobody"}})
        assert code_of(await handle.result(timeout=60)) == ("rejected", "artifact_missing")

    play(scenario, tmp_path)


def test_a_job_published_before_the_one_that_it_names_waits_for_it(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        rigged = await flow.submit("auto_rig", "rigged", inputs={"mesh_path": {"result": "chair"}}, priority="high")
        await asyncio.sleep(3.0)
        await flow.submit(job_id="chair", inputs={"files": True})
        assert code_of(await rigged.result(timeout=60)) == ("succeeded", None)

    play(scenario, tmp_path)


def test_a_held_job_survives_its_leader(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chair = await flow.submit(job_id="chair", inputs={"files": True, "behave": "slow", "seconds": 30.0})
        rigged = await flow.submit("auto_rig", "rigged", inputs={"mesh_path": chair})
        await flow.running(chair)
        former = flow.leader()
        former.kill()
        await flow.until(lambda: flow.world.leader() not in (None, former))
        await flow.until(lambda: any(record.job_id == "rigged" for record in flow.leader().jobs))
        assert (await rigged.explain()).waits_for == ["chair"]
        assert code_of(await rigged.result(timeout=120)) == ("succeeded", None)
        assert flow.world.attempts["rigged"] == 1
        former.start()

    play(scenario, tmp_path, coordinators=2)


def test_a_file_that_an_ended_job_did_not_make_is_refused_before_anything_is_published(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chair = await flow.submit(job_id="chair", inputs={"files": True})
        await chair.result(timeout=60)
        with pytest.raises(JobRefused) as refused:
            await flow.client.submit("auto_rig", {"mesh_path": chair.artifact("other.glb")})
        assert (refused.value.code, refused.value.field) == ("artifact_missing", "inputs.mesh_path.name")
        with pytest.raises(JobRefused) as none_fits:
            await flow.client.submit("image_to_mesh", {"image_paths": [chair]})
        assert (none_fits.value.code, none_fits.value.field) == ("invalid_input", "inputs.image_paths[0].name")

    play(scenario, tmp_path)


def test_an_input_of_an_unfinished_job_is_no_orphan(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        server, subjects = flow.world.server, flow.world.subjects
        chair = await flow.submit(job_id="chair", inputs={"files": True})
        made = await chair.result(timeout=60)
        # All that may run is taken, so the job that names the file waits.
        busy = [await flow.submit(inputs={"behave": "slow", "seconds": 100.0}) for _ in range(2)]
        await flow.running(*busy)
        await flow.submit("auto_rig", "rigged", inputs={"mesh_path": chair})
        term = flow.leader().term
        assert term is not None
        await flow.until(lambda: term.engine.core.held.in_use(made.artifacts[0].object))
        # The id was taken again after the result had left the stream: the present one does not name the file.
        results = server.stream(subjects.results_stream)
        seq = next(seq for seq, each in results.messages.items() if each.subject.endswith(".chair"))
        stored = results.messages[seq]
        results.messages[seq] = stored._replace(data=stored.data.replace(b"out.glb", b"new.glb"))
        await asyncio.sleep(60.0)
        assert made.artifacts[0].object in server.bucket(subjects.outputs_bucket)
        results.messages[seq] = stored

    play(scenario, tmp_path, agents_mb=(7000,), coordinator=CoordinatorSettings(orphan_grace_s=10.0))


def test_a_job_that_asks_for_a_cached_result_gets_that_of_one_that_made_the_same(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        server, subjects = flow.world.server, flow.world.subjects
        first = await flow.submit(job_id="first", inputs={"files": True, "n": 1})
        made = await first.result(timeout=60)
        again = await (await flow.submit(job_id="again", inputs={"n": 1, "files": True}, cache=True)).result(timeout=60)
        assert (again.status, again.cached_from, again.artifacts) == ("succeeded", "first", made.artifacts)
        assert flow.story("again") == ["queued", "succeeded"]
        other = await (await flow.submit(job_id="other", inputs={"files": True, "n": 2}, cache=True)).result(timeout=60)
        assert (other.status, other.cached_from) == ("succeeded", None)
        files = {each.object: server.bucket(subjects.outputs_bucket).pop(each.object) for each in made.artifacts}
        gone = await (await flow.submit(job_id="gone", inputs={"files": True, "n": 1}, cache=True)).result(timeout=60)
        assert (gone.status, gone.cached_from) == ("succeeded", None)
        assert set(flow.world.attempts) == {"first", "other", "gone"}
        server.bucket(subjects.outputs_bucket).update(files)

    play(scenario, tmp_path)
