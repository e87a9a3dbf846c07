"""Whole jobs through the real coordinator and the real agents, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pocket3d.bus.client import JobIdTaken
from support.flow import Flow, play


def test_a_job_from_submit_to_result(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"seconds": 0.5, "files": True}, metadata={"n": 1})
        result = await handle.result(timeout=30)
        assert (result.status, result.attempt, result.agent_id) == ("succeeded", 1, "agent0")
        assert result.metadata == {"n": 1}
        await flow.settled()
        assert flow.story(handle.job_id) == ["queued", "started", "succeeded"]
        assert (await handle.status()).status == "succeeded"
        (path,) = await handle.download(tmp_path / "got")
        assert path.read_bytes().decode() == result.token

    play(scenario, tmp_path)


def test_a_quick_job_takes_less_than_a_tick_once_its_model_is_warm(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        await (await flow.submit(inputs={"seconds": 0.01})).result(timeout=30)
        begun = flow.world.loop.time()
        await (await flow.submit(inputs={"seconds": 0.01})).result(timeout=30)
        assert flow.world.loop.time() - begun < 0.25

    play(scenario, tmp_path)


def test_what_is_wrong_with_a_request_is_its_result(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit("levitate")
        result = await handle.result(timeout=30)
        assert (result.status, result.error.code if result.error else "") == ("rejected", "unknown_feature")
        handle = await flow.submit("text_to_mesh", inputs={"text_prompt": "a chair", "behave": "bad_input"})
        result = await handle.result(timeout=30)
        assert (result.status, result.error.code if result.error else "") == ("failed", "invalid_input")
        assert result.attempt == 1, "what is the producer's fault is not tried again"

    play(scenario, tmp_path)


def test_a_job_is_listed_with_a_label_wherever_it_stands(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        prompt = await flow.submit("text_to_mesh", inputs={"text_prompt": "a  red\nchair", "seconds": 1})
        await flow.running(prompt)
        assert (await prompt.status()).label == "a red chair"
        named = await flow.submit(inputs={"seconds": 0.1}, metadata={"label": "row 7"})
        bare = await flow.submit(inputs={"seconds": 0.1})
        for handle in (prompt, named, bare):
            await handle.result(timeout=30)
        await flow.settled()
        listed = {each.job_id: each.label for each in (await flow.client.list()).jobs}
        assert listed == {prompt.job_id: "a red chair", named.job_id: "row 7", bare.job_id: None}

    play(scenario, tmp_path)


def test_a_model_that_loads_is_the_first_stage_of_a_job(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        cold = await flow.submit(inputs={"seconds": 0.5})
        seen = [(each.stage, each.fraction) async for each in cold.progress()]
        assert seen[0] == ("loading", 0.0)
        warm = await flow.submit(inputs={"seconds": 0.5})
        assert "loading" not in [each.stage async for each in warm.progress()]
        latest = await warm.latest()
        assert latest is not None
        assert latest.job_id == warm.job_id

    play(scenario, tmp_path)


def test_one_id_is_one_job(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        first = await flow.submit(job_id="same", inputs={"seconds": 0.5})
        again = await flow.submit(job_id="same", inputs={"seconds": 0.5})
        assert (await first.result(timeout=30)).token == (await again.result(timeout=30)).token
        assert flow.world.attempts == {"same": 1}
        with pytest.raises(JobIdTaken, match=r"job same is known with another request \(echo: succeeded, submitted "):
            await flow.submit(job_id="same", inputs={"seconds": 0.6})
        with pytest.raises(JobIdTaken):
            await flow.submit("text_to_mesh", job_id="same", inputs={"text_prompt": "a chair"})
        known = (await flow.submit(job_id="same", inputs={"seconds": 0.5})).known
        assert known is not None
        assert known.status == "succeeded"
        await flow.settled()
        assert flow.world.attempts == {"same": 1}

    play(scenario, tmp_path)


def test_a_job_that_crashes_its_worker_runs_again(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"behave": "crash_once", "seconds": 0.2})
        result = await handle.result(timeout=60)
        assert (result.status, result.attempt) == ("succeeded", 2)
        await flow.settled()
        assert flow.story(handle.job_id) == ["queued", "started", "requeued", "started", "succeeded"]

    play(scenario, tmp_path)


def test_a_job_that_always_fails_ends_with_all_its_attempts(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        retry = {"max_attempts": 3, "initial_s": 0.2, "factor": 1, "cap_s": 1}
        handle = await flow.submit(inputs={"behave": "error", "seconds": 0.1}, retry=retry)
        result = await handle.result(timeout=60)
        assert result.status == "failed"
        assert result.error is not None
        assert [each.code for each in result.error.attempts] == ["adapter_error"] * 3
        await flow.settled()
        dead = flow.world.server.stream(flow.world.subjects.dead_stream).messages
        assert [each.subject.rpartition(".")[2] for each in dead.values()] == [handle.job_id]

    play(scenario, tmp_path)


def test_a_queued_job_is_cancelled_at_once(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        busy = await flow.submit("auto_rig", inputs={"mesh_path": {"artifact": "sha256-00"}, "seconds": 5.0})
        await flow.running(busy)
        waiting = await flow.submit("auto_rig", inputs={"mesh_path": {"artifact": "sha256-00"}, "seconds": 0.1})
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        begun = flow.world.loop.time()
        await waiting.cancel("not wanted")
        assert (await waiting.result(timeout=30)).status == "cancelled"
        assert flow.world.loop.time() - begun < 0.5
        assert (await busy.result(timeout=30)).status == "succeeded"

    play(scenario, tmp_path, agents_mb=(8000,))


@pytest.mark.parametrize("behave", ["hang", "deaf"])
def test_a_running_job_is_cancelled_whether_it_listens_or_not(tmp_path: Path, behave: str) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"behave": behave})
        await flow.running(handle)
        await handle.cancel()
        assert (await handle.result(timeout=60)).status == "cancelled"
        next_one = await flow.submit(inputs={"seconds": 0.1})
        assert (await next_one.result(timeout=60)).status == "succeeded", "the device is free again"

    play(scenario, tmp_path)


def test_progress_is_told_while_it_runs(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await flow.submit(inputs={"seconds": 2.0})
        told = [progress async for progress in handle.progress()]
        assert 0.5 in [progress.fraction for progress in told]
        assert "half" in [progress.stage for progress in told]
        assert (await handle.result(timeout=30)).status == "succeeded"

    play(scenario, tmp_path)


def test_a_durable_subscriber_gets_each_result_once(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await flow.submit(inputs={"seconds": 0.1}) for _ in range(5)]
        got: set[str] = set()
        async for result in flow.client.results("echo", durable="shop"):
            assert result.job_id not in got
            got.add(result.job_id)
            if len(got) == len(handles):
                break
        assert got == {handle.job_id for handle in handles}

    play(scenario, tmp_path)


def test_many_jobs_at_once(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = await asyncio.gather(*(flow.submit(inputs={"seconds": 0.2}) for _ in range(50)))
        results = await asyncio.gather(*(handle.result(timeout=300) for handle in handles))
        assert {(result.status, result.attempt) for result in results} == {("succeeded", 1)}
        assert {result.agent_id for result in results} == {"agent0", "agent1"}

    play(scenario, tmp_path, agents_mb=(8000, 16_000))
