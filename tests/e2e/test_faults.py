"""Adapters that misbehave: each job ends with its code, others go on, and the device takes the next job."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e

SUPPORT = str(Path(__file__).resolve().parents[1] / "support")
ECHO = "pocket3d.adapters.echo.EchoAdapter"
#: A fault's end must not wait for the defaults of production.
HASTE = {"POCKET3D_AGENT_CANCEL_GRACE_S": "0.5", "POCKET3D_AGENT_STOP_GRACE_S": "1"}

NONSENSE: tuple[str, ...] = ("none", "text", "bytes", "nan", "infinity", "object", "cycle", "huge", "surrogate")
NONSENSE += ("missing", "escape", "directory", "number")
#: Adapter -> class, inputs, limits, and the code with which its job ends (None: it succeeds).
FAULTS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str | None]] = {
    "import-fails": ("misbehaving_import.Adapter", {}, {}, "adapter_unavailable"),
    "no-such-class": ("misbehaving.Nobody", {}, {}, "adapter_unavailable"),
    "missing-weights": ("misbehaving.MissingWeightsAdapter", {}, {}, "adapter_unavailable"),
    "licensed": ("misbehaving.LicensedAdapter", {}, {}, "adapter_unavailable"),
    "load-fails": ("misbehaving.LoadFailsAdapter", {}, {}, "load_failed"),
    "load-out-of-memory": ("misbehaving.LoadOutOfMemoryAdapter", {}, {}, "out_of_memory"),
    "load-hangs": ("misbehaving.LoadHangsAdapter", {}, {"load_s": 2}, "timeout"),
    "crashes": ("misbehaving.CrashingAdapter", {}, {}, "worker_crashed"),
    "exits-with-0": ("misbehaving.CrashingAdapter", {"status": 0}, {}, "worker_crashed"),
    "segfaults": ("misbehaving.SegfaultingAdapter", {}, {}, "worker_crashed"),
    "out-of-memory": ("misbehaving.OutOfMemoryAdapter", {}, {}, "out_of_memory"),
    "torch-out-of-memory": ("misbehaving.TorchOutOfMemoryAdapter", {}, {}, "out_of_memory"),
    "hangs": ("misbehaving.HangingAdapter", {}, {"start_to_close_s": 1}, "timeout"),
    "blocks-its-loop": ("misbehaving.BlockingLoopAdapter", {}, {"start_to_close_s": 1}, "timeout"),
    "swallows-errors": ("misbehaving.SwallowingAdapter", {}, {"start_to_close_s": 1}, "timeout"),
    "prints-binary": ("misbehaving.PrintingAdapter", {}, {}, None),
    "raises": ("misbehaving.FailingAdapter", {}, {}, "adapter_error"),
    "raises-value-error": ("misbehaving.FailingAdapter", {"error": "value"}, {}, "adapter_error"),
    "calls-exit": ("misbehaving.FailingAdapter", {"error": "exit"}, {}, "adapter_error"),
    "says-no-success": ("misbehaving.FailingAdapter", {"error": "answered"}, {}, "adapter_error"),
    "foreign-path": ("misbehaving.ForeignPathAdapter", {"steal": "/etc/hostname"}, {}, "invalid_output"),
    **{f"nonsense-{kind}": ("misbehaving.NonsenseAdapter", {"kind": kind}, {}, "invalid_output") for kind in NONSENSE},
}


def misbehaving(class_path: str, **more: Any) -> dict[str, Any]:
    return {"class": class_path, "path": [SUPPORT], "feature": "misbehave", **more}


def echo(**more: Any) -> dict[str, Any]:
    return {"class": ECHO, "config": {"vram_requirement": 16, "max_concurrent": 4}, **more}


async def one_agent(fleet: FleetProcesses, adapters: dict[str, Any], devices: str = "cpu:4096", **env: str) -> None:
    fleet.coordinator(POCKET3D_COORDINATOR_UNAVAILABLE_WAIT_S="2")
    fleet.agent("host", devices, fleet.models("models", adapters), **{**HASTE, **env})
    await fleet.until_led(agents=1, timeout=60)


async def test_every_fault_ends_with_its_code_and_others_go_on(fleet: FleetProcesses) -> None:
    adapters = {name: misbehaving(fault[0]) for name, fault in FAULTS.items()}
    await one_agent(fleet, {**adapters, "echo": echo()})
    healthy = 0
    for name, (_, inputs, limits, _) in FAULTS.items():
        body = {"job_id": name, "inputs": inputs, "limits": limits, "model_preference": name}
        await fleet.submit("misbehave", {**body, "retry": {"max_attempts": 1}})
        for _ in range(2):
            await fleet.submit("echo", {"job_id": f"healthy-{healthy}", "inputs": {"sleep_s": 0.1}})
            healthy += 1
    results = {r["job_id"]: r for r in await fleet.until_results(len(FAULTS) + healthy, timeout=90)}
    for name, (_, _, _, code) in FAULTS.items():
        result = results[name]
        if code is None:
            assert result["status"] == "succeeded", result
            continue
        assert (result["status"], result["error"]["code"]) == ("failed", code), result
        assert result["error"]["message"], name
        if code != "adapter_unavailable":
            [attempt] = result["error"]["attempts"]
            assert (attempt["attempt"], attempt["agent_id"], attempt["code"]) == (1, "host", code)
    others = [results[f"healthy-{n}"] for n in range(healthy)]
    assert {(r["status"], r["attempt"]) for r in others} == {("succeeded", 1)}
    assert results["prints-binary"]["outputs"]["printed"] == 3 * 256 * 64
    assert await fleet.messages("P3D_RESULTS") == len(results), "one result per job"
    log = fleet.parts[-1].log.read_bytes()
    assert b"\x00\x01\x02" not in log, "binary noise of a model is escaped in the log"


async def test_a_crash_is_tried_again_and_every_attempt_is_told(fleet: FleetProcesses) -> None:
    await one_agent(fleet, {"crashes": misbehaving("misbehaving.CrashingAdapter"), "echo": echo()})
    retry = {"max_attempts": 3, "initial_s": 0.1, "factor": 1}
    await fleet.submit("misbehave", {"job_id": "again", "inputs": {}, "retry": retry})
    result = await fleet.result_of("again")
    assert (result["status"], result["error"]["code"], result["attempt"]) == ("failed", "worker_crashed", 3)
    assert [(a["attempt"], a["code"]) for a in result["error"]["attempts"]] == [
        (n, "worker_crashed") for n in (1, 2, 3)
    ]

    async def told() -> bool:
        return await fleet.story_of("again") == ["queued", *["started", "requeued"] * 2, "started", "failed"]

    await until(told, 10, "the whole story")
    [(_, letter)] = await fleet.read_stream("P3D_DEAD", "p3d.dead.misbehave.again")
    assert b'"again"' in letter


async def hang(fleet: FleetProcesses, folder: Path, job_id: str = "stuck") -> int:
    """Submit a job that hangs whatever is done; the pid of its worker, once it hangs."""
    mark = folder / f"marks-{job_id}"
    mark.mkdir()
    await fleet.submit("misbehave", {"job_id": job_id, "inputs": {"mark_dir": str(mark)}})
    path = mark / "started.txt"
    pid = int(await until(lambda: path.is_file() and path.read_text(), 30, "the hang"))
    await fleet.until_status(job_id, "running")
    return pid


async def test_cancel_ends_queued_and_running_jobs_and_the_device_takes_the_next(
    fleet: FleetProcesses, tmp_path: Path
) -> None:
    adapters = {"hangs": misbehaving("misbehaving.HangingAdapter"), "echo": echo()}
    await one_agent(fleet, adapters, devices="cpu:4096@1")
    pid = await hang(fleet, tmp_path)
    await fleet.submit("echo", {"job_id": "unwanted", "inputs": {}})
    await fleet.submit("echo", {"job_id": "next", "inputs": {}})
    await fleet.until_status("next", "queued")

    # One that waits ends at once, and never ran.
    await fleet.until_status("unwanted", "queued")
    await fleet.ask("cancel", {"job_id": "unwanted", "reason": "changed my mind"})
    result = await fleet.result_of("unwanted", timeout=3)
    assert (result["status"], result["error"]["code"], result["attempt"]) == ("cancelled", "cancelled", 0)
    assert "changed my mind" in result["error"]["message"]

    # One that hangs and hears nothing ends by signals, and its place is free for the next.
    assert (await fleet.ask("status", {"job_id": "next"}))["status"] == "queued"
    began = time.monotonic()
    await fleet.ask("cancel", {"job_id": "stuck"})
    result = await fleet.result_of("stuck", timeout=10)
    print(f"cancel of a job that ignores it: {time.monotonic() - began:.2f} s")
    assert (result["status"], result["attempt"], result["agent_id"]) == ("cancelled", 1, "host")
    assert (await fleet.result_of("next", timeout=15))["status"] == "succeeded"
    assert not psutil.pid_exists(pid)

    # One that listens ends within its grace, and its worker takes the next.
    await fleet.submit("echo", {"job_id": "polite", "inputs": {"sleep_s": 60}})
    await fleet.until_status("polite", "running")
    [worker] = await until(lambda: list(fleet.running_pids()), 10, "its run")
    await fleet.ask("cancel", {"job_id": "polite"})
    assert (await fleet.result_of("polite", timeout=5))["status"] == "cancelled"
    await fleet.submit("echo", {"job_id": "after", "inputs": {"sleep_s": 0.5}})
    assert await until(lambda: list(fleet.running_pids()), 10, "the next run") == [worker]
    assert (await fleet.result_of("after"))["status"] == "succeeded"

    async def statuses() -> bool:
        stories = {job_id: await fleet.story_of(job_id) for job_id in ("unwanted", "stuck", "polite")}
        return stories == {
            "unwanted": ["queued", "cancelled"],
            "stuck": ["queued", "started", "cancelled"],
            "polite": ["queued", "started", "cancelled"],
        }

    await until(statuses, 10, "the stories")
    for job_id in ("unwanted", "stuck", "polite"):
        assert (await fleet.ask("status", {"job_id": job_id}))["status"] == "cancelled"


async def test_a_hang_past_its_limit_is_killed_and_the_device_takes_the_next(fleet: FleetProcesses) -> None:
    adapters = {"hangs": misbehaving("misbehaving.HangingAdapter"), "echo": echo()}
    await one_agent(fleet, adapters, devices="cpu:4096@1")
    body = {"job_id": "stuck", "inputs": {}, "limits": {"start_to_close_s": 1}, "retry": {"max_attempts": 1}}
    await fleet.submit("misbehave", body)
    await fleet.until_status("stuck", "running")
    await fleet.submit("echo", {"job_id": "next", "inputs": {}})
    result = await fleet.result_of("stuck")
    assert (result["status"], result["error"]["code"]) == ("failed", "timeout")
    assert "start_to_close_s = 1" in result["error"]["message"]
    assert (await fleet.result_of("next", timeout=15))["status"] == "succeeded"
    assert (await fleet.result_of("next"))["timings"]["started_at"] >= result["timings"]["submitted_at"]


async def test_a_child_that_an_adapter_left_behind_ends_with_its_worker(fleet: FleetProcesses, tmp_path: Path) -> None:
    await one_agent(fleet, {"spawns": misbehaving("misbehaving.SpawningAdapter"), "echo": echo()})
    await fleet.submit("misbehave", {"job_id": "parent", "inputs": {"mark_dir": str(tmp_path)}})
    mark = tmp_path / "child.txt"
    child = int(await until(lambda: mark.is_file() and mark.read_text(), 30, "the child"))
    assert psutil.pid_exists(child)
    await fleet.ask("cancel", {"job_id": "parent"})
    assert (await fleet.result_of("parent", timeout=10))["status"] == "cancelled"
    await until(lambda: not psutil.pid_exists(child), 5, "the end of the child")


async def test_an_agent_that_fails_at_once_does_not_win_every_auction(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    good = fleet.models("good", {"model": echo(feature="work", config={"vram_requirement": 16, "max_concurrent": 2})})
    bad = fleet.models("bad", {"model": misbehaving("misbehaving.FailingAdapter", feature="work")})
    fleet.agent("bad", "cpu:4096", bad)
    fleet.agent("good", "cpu:4096", good)
    await fleet.until_led(agents=2, timeout=60)
    retry = {"max_attempts": 3, "initial_s": 0.1, "factor": 1}
    for n in range(60):
        await fleet.submit("work", {"job_id": f"w-{n}", "inputs": {"sleep_s": 0.1}, "retry": retry})

    async def benched() -> list[dict[str, Any]]:
        """What `explain` says of the bad agent for a job that waits for the good one."""
        for n in reversed(range(60)):
            explanation = await fleet.ask("explain", {"job_id": f"w-{n}"})
            found = [r for r in explanation.get("reasons", []) if (r["agent_id"], r["code"]) == ("bad", "benched")]
            if found:
                return found
        return []

    [reason] = await until(benched, 20, "the bad agent benched")
    assert reason["adapter_id"] == "model"
    results = await fleet.until_results(60, timeout=60)
    succeeded = [r for r in results if r["status"] == "succeeded"]
    assert {r["agent_id"] for r in succeeded} == {"good"}
    assert len(succeeded) >= 58, [r["error"] for r in results if r["status"] != "succeeded"]
    events = await fleet.read_stream("P3D_EVENTS", "p3d.events.work.*.requeued")
    assert len(events) <= 6, "the bad agent had its chances and no more"


async def test_healthy_jobs_overtake_a_benched_adapter(fleet: FleetProcesses) -> None:
    adapters = {"crashes": misbehaving("misbehaving.CrashingAdapter"), "echo": echo()}
    # The pause must outlast the test on a busy machine.
    fleet.coordinator(POCKET3D_COORDINATOR_BENCH_S="600")
    fleet.agent("host", "cpu:4096", fleet.models("models", adapters), **HASTE)
    await fleet.until_led(agents=1, timeout=60)
    bodies = [{"job_id": f"bad-{n}", "inputs": {}, "retry": {"max_attempts": 1}} for n in range(5)]
    await asyncio.gather(*(fleet.submit("misbehave", body, priority="high") for body in bodies))
    results = await fleet.until_results(3, timeout=30)
    assert {r["error"]["code"] for r in results} == {"worker_crashed"}
    for n in range(5):
        await fleet.submit("echo", {"job_id": f"good-{n}", "inputs": {}}, priority="low")
    results = await fleet.until_results(8, timeout=60)
    waiting = {f"bad-{n}" for n in range(5)} - {r["job_id"] for r in results}
    assert len(waiting) == 2, "the rest waits for the end of the pause"
    for job_id in waiting:

        async def reasons(job_id: str = job_id) -> list[dict[str, Any]]:
            return list((await fleet.ask("explain", {"job_id": job_id}))["reasons"])

        # There are none while a round is open or the agent's last word is on its way.
        [reason] = await until(reasons, 20, f"the reasons of {job_id}")
        assert (reason["agent_id"], reason["code"]) == ("host", "benched")
