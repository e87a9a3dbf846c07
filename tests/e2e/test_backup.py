"""A whole account is copied, lost and restored, and the system goes on from there."""

from __future__ import annotations

import json
from typing import Any

from support.account_backup import api, back_up, restore, stream_names
from support.fleet_processes import FleetProcesses

PROMPT = {"text_prompt": "a red chair"}


async def positions(fleet: FleetProcesses) -> dict[str, tuple[int, int]]:
    """Each stream's messages and last sequence, of those that nobody writes while agents are drained."""
    found = {}
    for name in await stream_names(fleet.nc):
        if name not in ("KV_P3D_LEADER", "KV_P3D_AGENTS"):
            state = (await api(fleet.nc, f"STREAM.INFO.{name}"))["state"]
            found[name] = (state["messages"], state["last_seq"])
    return found


async def test_a_restored_account_goes_on_where_it_was(fleet: FleetProcesses) -> None:
    coordinator = fleet.coordinator()
    agent = fleet.agent("gpu-07", "cpu:8192")
    await fleet.until_led(1)
    for number in range(2):
        await fleet.submit("text_to_mesh", {"job_id": f"old-{number}", "inputs": PROMPT})
    old = {result["job_id"]: result for result in await fleet.until_results(2, 120)}
    assert {result["status"] for result in old.values()} == {"succeeded"}
    await fleet.until_status("old-1", "succeeded")
    subscriber = await fleet.js.pull_subscribe("p3d.results.*.*", "thumbs", stream="P3D_RESULTS")
    (first,) = await subscriber.fetch(1, timeout=5)
    await first.ack_sync()
    await fleet.nc.request("p3d.agents.gpu-07.ctl.drain", b"", timeout=5)
    for number in range(3):
        await fleet.submit("text_to_mesh", {"job_id": f"new-{number}", "inputs": PROMPT})
        await fleet.until_status(f"new-{number}", "queued")

    names, before = await stream_names(fleet.nc), await positions(fleet)
    assert len(names) == 11
    snapshots = [await back_up(fleet.nc, name) for name in names]
    await agent.terminate()
    await coordinator.terminate()
    for name in names:
        await api(fleet.nc, f"STREAM.DELETE.{name}")
    assert await stream_names(fleet.nc) == []
    for snapshot in snapshots:
        await restore(fleet.nc, snapshot)
    assert await positions(fleet) == before

    fleet.coordinator()
    fleet.agent("gpu-07", "cpu:8192")
    results: dict[str, Any] = {result["job_id"]: result for result in await fleet.until_results(5, 120)}
    assert {job_id: result["status"] for job_id, result in results.items()} == dict.fromkeys(
        ("old-0", "old-1", "new-0", "new-1", "new-2"), "succeeded"
    )
    assert {job_id: results[job_id] for job_id in old} == old
    outputs = await fleet.js.object_store("P3D_OUTPUTS")
    for result in results.values():
        stored = await outputs.get(result["artifacts"][0]["object"])
        assert stored.data is not None
        assert stored.data.startswith(b"glTF")
    await fleet.until_status("new-2", "succeeded")
    status = await (await fleet.js.key_value("P3D_STATUS")).get("new-2")
    assert json.loads(status.value)["status"] == "succeeded", "the projection goes on"
    assert (await subscriber.consumer_info()).num_pending == 4, "the subscriber is where it was"
