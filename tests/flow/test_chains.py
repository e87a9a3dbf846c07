"""Chains and groups through the real coordinator and agents: leaders die, steps fail, people change their minds."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.client.chain_handle import ChainHandle, GroupHandle
from pocket3d.bus.client.chain_submission import build_chain
from pocket3d.bus.client.errors import ApiRefused, ChainFailed, JobRefused
from pocket3d.bus.port import Append
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL, ChainIdRequest, ChainStatus
from pocket3d.contracts.codec import encode
from pocket3d.coordinator.settings import CoordinatorSettings, TenantSettings
from support.flow import Flow, play

FAILS_AT_ONCE = {"max_attempts": 1}


def step(name: str, *sources: str, **inputs: Any) -> dict[str, Any]:
    """A step of `echo` that makes a file, and takes those of others."""
    files = {"mesh_paths": [{"step": source} for source in sources]} if sources else {}
    return {"name": name, "feature": "echo", "inputs": {"seconds": 0.5, "files": True, **files, **inputs}}


async def submit(flow: Flow, *steps: dict[str, Any], chain_id: str = "dog", **more: Any) -> ChainHandle:
    flow.world.accepted |= {f"{chain_id}-{each['name']}" for each in steps}
    return await flow.client.submit_chain(steps, chain_id=chain_id, **more)


def jobs_known(flow: Flow) -> set[str]:
    events = flow.world.server.stream(flow.world.subjects.events_stream).messages.values()
    leader = flow.world.subjects.leader_record()
    return {each.subject.split(".")[3] for each in events if each.subject != leader}


def words(flow: Flow, name: str, kind: str = "chain") -> list[str]:
    """The events of one, in order."""
    stored = flow.world.server.stream(flow.world.subjects.chains_stream).messages.values()
    return [each.subject.rpartition(".")[2] for each in stored if f".{kind}s.{name}." in each.subject]


def states(status: ChainStatus) -> dict[str, str]:
    return {each.name: each.status for each in status.steps}


def test_a_chain_from_submit_to_its_files(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chain = await submit(flow, step("mesh"), step("skin", "mesh"), step("rig", "skin", "mesh"))
        seen = [each async for each in chain.follow(0.2)]
        assert [each.status for each in seen if each.status in CHAIN_TERMINAL] == ["succeeded"]
        assert {each.status for each in seen} >= {"running", "succeeded"}
        done = await chain.wait()
        assert states(done) == dict.fromkeys(("mesh", "skin", "rig"), "succeeded")
        assert [[a.name for a in each.artifacts] for each in done.steps] == [["out.glb"]] * 3
        files = await chain.download(tmp_path / "got")
        assert list(files) == ["mesh", "skin", "rig"]
        assert all(path.is_file() for paths in files.values() for path in paths)
        assert (await chain.status()).fraction == 1.0
        assert words(flow, "dog")[0] == "submitted"
        assert words(flow, "dog")[-1] == "succeeded"
        mesh, rig = [(await flow.client.job(f"dog-{name}").result()).timings for name in ("mesh", "rig")]
        assert (mesh.finished_at or "") <= (rig.started_at or "")
        assert await flow.client.chain("dog").wait() == done, "anybody who knows the id reads the same"
        assert [each.status async for each in chain.events()][-1] == "succeeded"

    play(scenario, tmp_path)


def test_the_same_chain_again_is_the_same_chain_and_another_is_refused(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        first = await submit(flow, step("mesh"))
        again = await submit(flow, step("mesh"))
        assert (await first.wait(60)).submitted_at == (await again.wait(60)).submitted_at
        again = await submit(flow, step("mesh"))
        assert (await again.status()).status == "succeeded", "also once it has ended"
        with pytest.raises(ApiRefused, match="known with another request") as refused:
            await submit(flow, step("mesh", seconds=9))
        assert refused.value.code == 409
        assert flow.world.attempts == {"dog-mesh": 1}

    play(scenario, tmp_path)


def test_a_failed_step_and_a_retry(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        bad = {**step("skin", "mesh", behave="error"), "retry": FAILS_AT_ONCE}
        chain = await submit(flow, step("mesh"), bad, step("rig", "skin"), step("parts", "mesh"))
        flow.world.accepted -= {"dog-rig"}
        ended = await chain.wait(120)
        assert (ended.status, states(ended)) == (
            "failed",
            {"mesh": "succeeded", "skin": "failed", "rig": "cancelled", "parts": "succeeded"},
        )
        assert "dog-rig" not in jobs_known(flow), "what will never run leaves no job behind"
        with pytest.raises(ChainFailed, match="skin failed"):
            await chain.download(tmp_path / "got")
        assert list(await chain.download(tmp_path / "got", partial=True)) == ["mesh", "parts"]
        flow.world.accepted |= {"dog-skin-r2"}
        again = await chain.retry()
        assert (again.round, states(again)["skin"]) == (2, "queued")
        assert (await chain.retry()).round == 2, "of one that runs nothing changes"
        ended = await chain.wait(120)
        assert (ended.status, ended.round) == ("failed", 2)
        assert {each.name: each.job_id for each in ended.steps} == {
            "mesh": "dog-mesh",
            "skin": "dog-skin-r2",
            "rig": "dog-rig-r2",
            "parts": "dog-parts",
        }
        assert flow.world.attempts["dog-mesh"] == flow.world.attempts["dog-parts"] == 1
        assert [word for word in words(flow, "dog") if word != "step"] == ["submitted", "failed", "retried", "failed"]

    play(scenario, tmp_path)


def test_a_chain_is_cancelled_whole_and_can_be_retried(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chain = await submit(flow, step("mesh"), step("skin", "mesh", seconds=5), step("rig", "skin"))
        flow.world.accepted -= {"dog-rig"}
        await flow.running(flow.client.job("dog-skin"))
        told = await chain.cancel("changed my mind")
        assert told.cancelling
        ended = await chain.wait(60)
        assert (ended.status, ended.reason) == ("cancelled", "changed my mind")
        assert states(ended) == {"mesh": "succeeded", "skin": "cancelled", "rig": "cancelled"}
        assert (await flow.client.job("dog-skin").result()).status == "cancelled"
        assert (await chain.cancel()).status == "cancelled", "of one that has ended nothing changes"
        flow.world.accepted |= {"dog-skin-r2", "dog-rig-r2"}
        await chain.retry()
        assert (await chain.wait(120)).status == "succeeded"

    play(scenario, tmp_path)


@pytest.mark.parametrize("after", ["submitted", "mesh", "cancelled", "retried"])
def test_the_leader_dies_in_the_midst(tmp_path: Path, after: str) -> None:
    async def scenario(flow: Flow) -> None:
        skin = step("skin", "mesh", seconds=3)
        if after == "retried":
            skin = {**step("skin", "mesh", behave="error"), "retry": FAILS_AT_ONCE}
        chain = await submit(flow, step("mesh", seconds=2), skin, step("rig", "skin"))
        if after in ("cancelled", "retried"):
            flow.world.accepted -= {"dog-rig"}
        if after == "mesh":
            await flow.running(flow.client.job("dog-skin"))
        elif after == "cancelled":
            await flow.running(flow.client.job("dog-mesh"))
            flow.world.accepted -= {"dog-skin"}
            await chain.cancel("no")
        elif after == "retried":
            assert (await chain.wait(60)).status == "failed"
            flow.world.accepted |= {"dog-skin-r2"}
            await chain.retry()
        leader = flow.leader()
        leader.kill()
        await flow.until(lambda: flow.world.leader() not in (None, leader))
        ended = await chain.wait(300)
        wanted = {"cancelled": "cancelled", "retried": "failed"}.get(after, "succeeded")
        assert ended.status == wanted
        await flow.settled()
        assert set(flow.world.attempts.values()) == {1}, "no step runs twice"
        ends = Counter(word for word in words(flow, "dog") if word in CHAIN_TERMINAL)
        assert ends == ({"failed": 2} if after == "retried" else {wanted: 1})
        term = flow.leader().term
        assert term is not None
        assert not term.chains.engine.chains, "what has ended is forgotten"

    play(scenario, tmp_path, coordinators=2)


@pytest.mark.parametrize("asked_again", [True, False])
def test_one_that_was_stored_by_nobody_who_is_there_is_begun(tmp_path: Path, asked_again: bool) -> None:
    """By a leader that died, or by an append that the server carried out late."""

    async def scenario(flow: Flow) -> None:
        flow.world.accepted |= {"dog-mesh"}
        request = build_chain([step("mesh")], {"chain_id": "dog"})
        flow.world.server.append(Append("p3d.chains.dog.submitted", encode(request)))
        if asked_again:
            assert (await (await submit(flow, step("mesh"))).wait(5)).status == "succeeded"
        else:
            assert (await flow.client.chain("dog").wait(30)).status == "succeeded"

    play(scenario, tmp_path)


def test_what_is_wrong_with_a_chain_is_told_before_anything_is_stored(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        with pytest.raises(JobRefused) as wrong:
            await submit(flow, step("mesh", "nobody"))
        assert wrong.value.field == "steps.mesh.inputs.mesh_paths[0].step"
        with pytest.raises(JobRefused, match="cannot read") as wrong:
            await flow.client.submit_chain([step("mesh", image_path=tmp_path / "none.png")])
        assert wrong.value.field == "steps.mesh.inputs.image_path"
        with pytest.raises(JobRefused, match="uploaded first") as wrong:
            await flow.client.submit_chain([step("mesh", image_path={"artifact": "sha256-11"})])
        assert wrong.value.field == "steps.mesh.inputs.image_path.artifact"
        with pytest.raises(ApiRefused) as unknown:
            await flow.client.chain("nobody").status()
        assert unknown.value.code == 404
        with pytest.raises(ApiRefused) as bad:
            await flow.client.api("chain_status", ChainIdRequest(chain_id="a b"), ChainStatus)
        assert (bad.value.code, bad.value.field) == (400, "chain_id")
        assert not flow.world.server.stream(flow.world.subjects.chains_stream).messages
        flow.world.accepted.clear()

    play(scenario, tmp_path)


def test_a_step_whose_id_is_taken_by_another_job_fails(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        await (await flow.submit(job_id="dog-mesh", inputs={"seconds": 0.1})).result(timeout=60)
        chain = await submit(flow, step("mesh"))
        ended = await chain.wait(60)
        assert ended.steps[0].error is not None
        assert (ended.status, ended.steps[0].error.code) == ("failed", "invalid_input")
        assert "known with another request" in ended.steps[0].error.message

    play(scenario, tmp_path)


def test_why_a_step_that_is_no_job_yet_waits_can_be_asked(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        bad = {**step("skin", "mesh", behave="error"), "retry": FAILS_AT_ONCE}
        chain = await submit(flow, step("mesh", seconds=5), bad, step("rig", "skin", "mesh"))
        flow.world.accepted -= {"dog-rig"}
        await flow.running(flow.client.job("dog-mesh"))
        told = await flow.client.job("dog-rig").explain()
        assert (told.status, told.waits_for, told.tenant) == ("waiting", ["dog-skin", "dog-mesh"], "default")
        assert told.summary.startswith("step rig of the chain dog: waits for skin (job dog-skin) and mesh")
        assert "; dog-mesh: runs on agent0/" in told.summary
        with pytest.raises(ApiRefused, match="no job 'dog-rig' is known"):
            await flow.client.job("dog-rig").status()
        assert (await chain.wait(120)).status == "failed"
        told = await flow.client.job("dog-rig").explain()
        assert (told.status, told.waits_for) == ("cancelled", [])
        assert "it has ended: cancelled, the step skin, whose file it takes, failed" in told.summary
        for other in ("dog-wing", "dog", "cat-rig", "dog-rig-r2"):
            with pytest.raises(ApiRefused, match="is known"):
                await flow.client.job(other).explain()
        flow.world.accepted |= {"dog-skin-r2"}
        await chain.retry()
        await chain.wait(120)
        assert "tried anew as the job dog-rig-r2" in (await flow.client.job("dog-rig").explain()).summary

    play(scenario, tmp_path)


def test_files_of_this_machine_are_uploaded(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        photo = tmp_path / "cat.png"
        photo.write_bytes(b"a cat")
        chain = await submit(flow, step("mesh", image_path=photo))
        assert (await chain.wait(60)).status == "succeeded"
        lot = await flow.client.submit_group([{"feature": "echo", "inputs": {"image_path": photo}}], group_id="lot")
        flow.world.accepted |= {"lot-1"}
        assert (await lot.wait(60)).status == "succeeded"

    play(scenario, tmp_path)


def test_a_group_is_one_status_and_one_event(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        jobs = [{"feature": "echo", "inputs": {"seconds": 0.2}} for _ in range(20)]
        jobs[7]["retry"] = FAILS_AT_ONCE
        jobs[7]["inputs"] = {"behave": "error"}
        flow.world.accepted |= {f"lot-{n}" for n in range(1, 21)}
        group: GroupHandle = await flow.client.submit_group(jobs, group_id="lot", tenant="north")
        assert (await group.status()).counts.keys() <= {"queued", "running", "succeeded"}
        ended = await group.wait(120)
        assert (ended.status, ended.counts) == ("failed", {"succeeded": 19, "failed": 1})
        assert (ended.jobs[7].job_id, ended.jobs[7].code) == ("lot-8", "adapter_error")
        assert words(flow, "lot", "group") == ["submitted", "failed"]
        assert [handle.job_id for handle in await group.jobs()][:2] == ["lot-1", "lot-2"]
        assert (await (await group.jobs())[0].result()).tenant == "north"
        flow.world.accepted |= {"lot-8-r2"}
        await group.retry()
        assert (await group.wait(60)).counts == {"succeeded": 19, "failed": 1}
        assert {job: n for job, n in flow.world.attempts.items() if n > 1} == {}

    play(scenario, tmp_path, agents_mb=(16_000, 16_000))


def test_a_group_survives_its_leader_and_can_be_cancelled(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        jobs = [{"feature": "echo", "inputs": {"seconds": 3}} for _ in range(8)]
        flow.world.accepted |= {f"lot-{n}" for n in range(1, 9)}
        group = await flow.client.submit_group(jobs, group_id="lot")
        await flow.running(flow.client.job("lot-1"))
        leader = flow.leader()
        leader.kill()
        await flow.until(lambda: flow.world.leader() not in (None, leader))
        assert (await group.cancel("enough")).status in ("running", "cancelled")
        ended = await group.wait(120)
        assert (ended.status, ended.reason) == ("cancelled", "enough")
        assert sum(ended.counts.values()) == 8
        assert "cancelled" in ended.counts

    play(scenario, tmp_path, coordinators=2)


def test_chains_are_listed_the_newest_first_in_pages(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        for number in range(5):
            tenant = "north" if number % 2 else "default"
            await submit(flow, step("mesh", seconds=0.1), chain_id=f"c{number}", tenant=tenant)
        for number in range(5):
            await flow.client.chain(f"c{number}").wait(60)
        page = await flow.client.chains(limit=2)
        assert [each.chain_id for each in page.chains] == ["c4", "c3"]
        names = [each.chain_id for each in page.chains]
        while page.next:
            page = await flow.client.chains(limit=2, after=page.next)
            names += [each.chain_id for each in page.chains]
        assert names == ["c4", "c3", "c2", "c1", "c0"]
        assert [each.chain_id for each in (await flow.client.chains(tenant="north")).chains] == ["c3", "c1"]
        assert (await flow.client.chains(status="failed")).chains == []
        assert (await flow.client.groups()).groups == []
        with pytest.raises(ApiRefused, match="limit"):
            await flow.client.chains(limit=0)
        with pytest.raises(
            ApiRefused, match="status 'ended': want one of queued, running, succeeded, failed, cancelled"
        ):
            await flow.client.chains(status="ended")

    play(scenario, tmp_path)


def test_steps_wait_for_room_where_a_tenant_may_have_few_waiting(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        jobs = [{"feature": "echo", "inputs": {"seconds": 1}} for _ in range(12)]
        flow.world.accepted |= {f"lot-{n}" for n in range(1, 13)}
        group = await flow.client.submit_group(jobs, group_id="lot")
        # Three have room, whichever come first.
        told = ""
        for number in itertools.cycle(range(1, 13)):
            told = (await flow.client.job(f"lot-{number}").explain()).summary
            if "max_queued" in told:
                break
        assert told.startswith(f"job {number} of the group lot: ")
        assert (await group.wait(300)).counts == {"succeeded": 12}

    few = CoordinatorSettings(tenants={"default": TenantSettings(max_queued=3)})
    play(scenario, tmp_path, coordinator=few)


def test_a_leader_that_slept_writes_nothing_over_what_its_successor_stored(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        chain = await submit(flow, step("mesh", seconds=2), step("rig", "mesh"))
        leader = flow.leader()
        await flow.running(flow.client.job("dog-mesh"))
        leader.pause(60.0)
        assert (await chain.wait(300)).status == "succeeded"
        await flow.until(lambda: leader.awake)
        await asyncio.sleep(30)
        assert Counter(words(flow, "dog"))["succeeded"] == 1
        assert (await chain.status()).status == "succeeded"

    play(scenario, tmp_path, coordinators=2)
