"""Outputs that no result names leave the store after a grace; what a result or an unfinished job may need stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pocket3d.bus.memory import MemoryBus
from pocket3d.coordinator.settings import CoordinatorSettings
from support.flow import Flow, play

GRACE_S = 20.0


def test_orphans_go_after_the_grace_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        server, subjects = flow.world.server, flow.world.subjects
        operator = MemoryBus(server)
        done = await flow.submit(inputs={"files": True})
        result = await done.result(timeout=60)
        kept = {artifact.object for artifact in result.artifacts}
        assert kept
        runs = await flow.submit(inputs={"behave": "slow", "seconds": 90.0})
        await flow.running(runs)
        lost = f"{done.job_id}/0-1/lost.glb"
        early = f"{runs.job_id}/0-1/early.glb"
        for name in (lost, early, "notes.txt"):
            await operator.put_object(subjects.outputs_bucket, name, b"x")
        half = {subjects.inputs_bucket: {"cut": 3}, subjects.outputs_bucket: {"torn": 2}}
        server.half_uploads.update(half)
        stored_at = flow.world.loop.time()

        await asyncio.sleep(GRACE_S - 1.0)
        assert server.bucket(subjects.outputs_bucket).keys() == {*kept, lost, early, "notes.txt"}
        await flow.until(lambda: lost not in server.bucket(subjects.outputs_bucket))
        await flow.until(lambda: not any(half.values()))
        assert flow.world.loop.time() - stored_at < 2 * GRACE_S
        await asyncio.sleep(GRACE_S)
        assert server.bucket(subjects.outputs_bucket).keys() == {*kept, early, "notes.txt"}

        last = await runs.result(timeout=120)
        named = kept | {artifact.object for artifact in last.artifacts}
        await flow.until(lambda: early not in server.bucket(subjects.outputs_bucket))
        assert server.bucket(subjects.outputs_bucket).keys() == {*named, "notes.txt"}
        await operator.delete_object(subjects.outputs_bucket, "notes.txt")

    play(scenario, tmp_path, coordinator=CoordinatorSettings(orphan_grace_s=GRACE_S))
