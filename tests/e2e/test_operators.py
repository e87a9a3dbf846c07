"""What operators remove behind the system's back, by the requests that the nats CLI sends, with real processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.account_backup import api
from support.fleet_processes import FleetProcesses, until

REMOVED = "its message was removed from the jobs stream"


async def remove_last_job(fleet: FleetProcesses) -> None:
    """`nats stream rmm P3D_JOBS SEQ`."""
    state = (await api(fleet.nc, "STREAM.INFO.P3D_JOBS"))["state"]
    await api(fleet.nc, "STREAM.MSG.DELETE.P3D_JOBS", {"seq": state["last_seq"]})


async def drain(fleet: FleetProcesses, verb: str = "drain") -> None:
    await fleet.nc.request(f"p3d.agents.gpu-07.ctl.{verb}", b"", timeout=5)


async def waiting(fleet: FleetProcesses, job_id: str) -> None:
    await fleet.submit("echo", {"job_id": job_id, "inputs": {}})
    await fleet.until_status(job_id, "queued")


def ended(result: dict[str, Any]) -> tuple[str, str]:
    return result["status"], result["error"]["message"]


async def test_removed_jobs_end_or_make_place(fleet: FleetProcesses) -> None:
    leader = fleet.coordinator()
    fleet.agent("gpu-07", "cpu:8192")
    await fleet.until_led(1)
    await drain(fleet)

    await waiting(fleet, "led")
    await remove_last_job(fleet)
    for number in range(5):
        await waiting(fleet, f"purged-{number}")
    await api(fleet.nc, "STREAM.PURGE.P3D_JOBS")
    results = await fleet.until_results(6, 60)
    assert {ended(result) for result in results} == {("cancelled", REMOVED)}

    # Removed while nobody leads: one is left, the other is published again.
    await waiting(fleet, "left")
    await waiting(fleet, "again")
    leader.kill()
    await remove_last_job(fleet)
    state = (await api(fleet.nc, "STREAM.INFO.P3D_JOBS"))["state"]
    await api(fleet.nc, "STREAM.MSG.DELETE.P3D_JOBS", {"seq": state["last_seq"] - 1})
    body = {"job_id": "again", "inputs": {"text": "second"}}
    await fleet.nc.request("p3d.jobs.high.echo", json.dumps(body).encode(), timeout=5)
    fleet.coordinator()
    assert ended(await fleet.result_of("left", 60)) == ("cancelled", REMOVED)
    await fleet.until_led(1)
    await drain(fleet, "undrain")
    again = await fleet.result_of("again", 60)
    assert (again["status"], again["outputs"]["inputs"]["text"]) == ("succeeded", "second")

    async def nothing_left() -> bool:
        return (await fleet.messages("P3D_JOBS")) == 0

    await until(nothing_left, 20, "the jobs stream is empty")


@pytest.mark.parametrize("what", ["consumers", "buckets"])
async def test_removed_consumers_and_buckets_are_made_again(fleet: FleetProcesses, what: str) -> None:
    fleet.coordinator(POCKET3D_TOPOLOGY_AGENTS_MAX_AGE_S="8")
    fleet.agent("gpu-07", "cpu:8192")
    await fleet.until_led(1)
    await fleet.submit("echo", {"job_id": "before", "inputs": {}})
    await fleet.result_of("before")
    places = {
        "consumers": ("CONSUMER.{}.P3D_JOBS.coordinator-normal", "CONSUMER.{}.P3D_RESULTS.coordinator"),
        "buckets": tuple(f"STREAM.{{}}.KV_P3D_{name}" for name in ("STATUS", "AGENTS", "LEADER")),
    }[what]
    for place in places:
        await api(fleet.nc, place.format("DELETE"))

    async def all_back() -> bool:
        answers = [await fleet.nc.request(f"$JS.API.{place.format('INFO')}", b"", timeout=5) for place in places]
        return all("error" not in json.loads(answer.data) for answer in answers)

    await until(all_back, 10, f"the {what} are back")
    await fleet.submit("echo", {"job_id": "after", "inputs": {}})
    assert (await fleet.result_of("after", 60))["status"] == "succeeded"
    if what == "buckets":
        await until(lambda: last_of(fleet, "KV_P3D_AGENTS", "$KV.P3D_AGENTS.gpu-07"), 10, "the agent is recorded again")
        # Made anew by the server, from the events.
        await until(lambda: last_of(fleet, "KV_P3D_STATUS", "$KV.P3D_STATUS.before"), 20, "the status is there again")


async def last_of(fleet: FleetProcesses, stream: str, subject: str) -> bool:
    """True if the stream has a message on that subject."""
    body = json.dumps({"last_by_subj": subject}).encode()
    answer = await fleet.nc.request(f"$JS.API.STREAM.MSG.GET.{stream}", body, timeout=5)
    return "message" in json.loads(answer.data)


async def test_orphans_are_removed_after_the_grace(fleet: FleetProcesses) -> None:
    fleet.coordinator(POCKET3D_COORDINATOR_ORPHAN_GRACE_S="2")
    fleet.agent("gpu-07", "cpu:8192")
    await fleet.until_led(1)
    await fleet.submit("text_to_mesh", {"job_id": "mesh", "inputs": {"text_prompt": "a red cup"}})
    result = await fleet.result_of("mesh", 120)
    kept = {artifact["object"] for artifact in result["artifacts"]}
    outputs = await fleet.js.object_store("P3D_OUTPUTS")
    await outputs.put("mesh/0-1/lost.glb", b"x" * 300_000)
    await outputs.put("unknown/0-1/of-no-job.glb", b"x")
    for subject in ("$O.P3D_OUTPUTS.C.torn", "$O.P3D_INPUTS.C.torn"):
        await fleet.js.publish(subject, b"y" * 1000)

    async def clean() -> bool:
        names = {info.name for info in await outputs.list(ignore_deletes=True)}
        torn = [
            (await api(fleet.nc, f"STREAM.INFO.OBJ_{bucket}", {"subjects_filter": f"$O.{bucket}.C.torn"}))["state"]
            for bucket in ("P3D_OUTPUTS", "P3D_INPUTS")
        ]
        return "mesh/0-1/lost.glb" not in names and not any(state.get("subjects") for state in torn)

    await until(clean, 30, "orphans are gone")
    names = {info.name for info in await outputs.list(ignore_deletes=True)}
    assert names == {*kept, "unknown/0-1/of-no-job.glb"}
    for name in kept:
        assert (await outputs.get(name)).data
