"""A stranger's client: bare JSON over plain nats-py in, the wire's messages out."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import nats
import pytest

from pocket3d.bus.nats_server.embedded import EmbeddedServer
from support.fleet_processes import FleetProcesses, until

pytestmark = pytest.mark.e2e


async def running_fleet(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    fleet.agent("laptop", "cpu:4096")
    await fleet.until_led(agents=1, timeout=60)


async def result_of(fleet: FleetProcesses, job_id: str, timeout: float = 30) -> dict[str, Any]:
    async def stored() -> dict[str, Any] | None:
        found = await fleet.read_stream("P3D_RESULTS", f"p3d.results.*.{job_id}")
        return json.loads(found[-1][1]) if found else None

    return dict(await until(stored, timeout, f"the result of {job_id}"))


async def test_bare_json_gets_result_progress_events_and_status(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    progress: list[dict[str, Any]] = []

    async def on_progress(msg: Any) -> None:
        progress.append(json.loads(msg.data))

    await fleet.nc.subscribe("p3d.progress.>", cb=on_progress)
    await fleet.nc.flush()
    request = {"job_id": "hello-1", "inputs": {"sleep_s": 0.5, "note": "hi"}, "metadata": {"order": "4711"}}
    answer = await fleet.nc.request("p3d.jobs.normal.echo", json.dumps(request).encode(), timeout=3)
    assert json.loads(answer.data)["stream"] == "P3D_JOBS"
    result = await result_of(fleet, "hello-1")

    assert result["status"] == "succeeded" and result["error"] is None
    assert (result["v"], result["feature"], result["attempt"]) == (1, "echo", 1)
    assert result["outputs"] == {"success": True, "inputs": request["inputs"]}
    assert result["metadata"] == {"order": "4711"} and result["tenant"] == "default"
    assert (result["agent_id"], result["device"], result["adapter_id"]) == ("laptop", "cpu-0", "echo")
    epoch, number = result["token"].split("-")
    assert int(epoch) > 1_700_000_000_000 and int(number) >= 1
    assert 0.4 < result["timings"]["run_s"] < 5
    assert 5 < result["vram_peak_mb"] < 500, "of the host's memory"
    assert result["timings"]["submitted_at"] <= result["timings"]["started_at"] <= result["timings"]["finished_at"]

    async def story() -> list[str]:
        return [s.rsplit(".", 1)[1] for s, _ in await fleet.read_stream("P3D_EVENTS", "p3d.events.echo.hello-1.*")]

    async def told() -> bool:
        return await story() == ["queued", "started", "succeeded"]

    await until(told, 10, "the story queued, started, succeeded")
    await until(lambda: progress and progress[-1]["fraction"] == 1.0, 5, "the last progress")
    assert all(p["job_id"] == "hello-1" and p["attempt"] == 1 for p in progress)
    latest = await fleet.js.get_last_msg("P3D_PROGRESS", "p3d.progress.echo.hello-1")
    assert json.loads(latest.data)["fraction"] == 1.0
    entry = await (await fleet.js.key_value("P3D_STATUS")).get("hello-1")
    status = json.loads(entry.value)
    assert (status["status"], status["attempt"], status["agent_id"]) == ("succeeded", 1, "laptop")
    keys = {"v", "job_id", "feature", "priority", "tenant", "status", "attempt", "agent_id", "device", "adapter_id"}
    assert set(status) == keys | {"label", "variant", "reason", "error", "at", "submitted_at"}
    assert await fleet.ask("status", {"job_id": "hello-1"}) == status

    async def empty() -> bool:
        return await fleet.messages("P3D_JOBS") == 0

    await until(empty, 5, "an empty jobs stream")


async def test_a_job_without_an_id_is_named_by_its_sequence(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    await fleet.nc.publish("p3d.jobs.high.echo", b'{"inputs": {}}')
    [result] = await fleet.until_results(1, 30)
    assert result["status"] == "succeeded"
    assert result["job_id"].startswith("s") and result["job_id"].endswith("-1")
    await fleet.js.publish("p3d.jobs.low.echo", b'{"inputs": {}}', headers={"Nats-Msg-Id": "by-header"})
    assert (await result_of(fleet, "by-header"))["status"] == "succeeded"


BAD: dict[str, tuple[str, bytes, str, str]] = {
    "malformed JSON": ("text_to_mesh", b'{"inputs": ', "invalid_input", "body"),
    "not an object": ("text_to_mesh", b"[]", "invalid_input", "body"),
    "unknown field": ("text_to_mesh", b'{"inputs": {"text_prompt": "a"}, "colour": 1}', "invalid_input", "colour"),
    "wrong type": (
        "text_to_mesh",
        b'{"inputs": {"text_prompt": "a"}, "limits": {"load_s": "x"}}',
        "invalid_input",
        "limits.load_s",
    ),
    "missing input": ("text_to_mesh", b'{"inputs": {}}', "invalid_input", "inputs.text_prompt"),
    "bad job id": ("text_to_mesh", b'{"job_id": "a.b", "inputs": {"text_prompt": "a"}}', "invalid_input", "job_id"),
    "bad feature": ("Text-To-Mesh", b'{"inputs": {}}', "invalid_input", "subject"),
    "unknown feature": ("teleport", b'{"inputs": {}}', "unknown_feature", "subject"),
    "a path": ("image_to_mesh", b'{"inputs": {"image_path": "/etc/passwd"}}', "invalid_input", "inputs.image_path"),
    "a path in a filename": (
        "image_to_mesh",
        b'{"inputs": {"image_path": {"artifact": "sha256-00", "filename": "../a.png"}}}',
        "invalid_input",
        "inputs.image_path.filename",
    ),
    "a prompt of a million characters": (
        "text_to_mesh",
        json.dumps({"inputs": {"text_prompt": "x" * 1_000_000}}).encode(),
        "too_large",
        "inputs.text_prompt",
    ),
    "a long prompt": (
        "text_to_mesh",
        json.dumps({"inputs": {"text_prompt": "x" * 20_000}}).encode(),
        "too_large",
        "inputs.text_prompt",
    ),
    "an inline file that is too large": (
        "image_to_mesh",
        json.dumps(
            {"inputs": {"image_path": {"inline": base64.b64encode(b"0" * 300_000).decode(), "filename": "a.png"}}}
        ).encode(),
        "too_large",
        "inputs.image_path.inline",
    ),
}


async def test_bad_requests_are_rejected_by_field_and_the_next_job_runs(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    expected: dict[int, tuple[str, str, str]] = {}
    for name, (feature, data, code, field) in BAD.items():
        ack = await fleet.js.publish(f"p3d.jobs.normal.{feature}", data)
        expected[ack.seq] = (name, code, field)
    await fleet.submit("echo", {"job_id": "after-the-bad", "inputs": {"n": 1}})
    assert (await result_of(fleet, "after-the-bad"))["status"] == "succeeded"
    results = await fleet.until_results(len(BAD) + 1, 30)
    by_seq = {int(r["job_id"].rsplit("-", 1)[1]): r for r in results if r["job_id"] != "after-the-bad"}
    for seq, (name, code, field) in expected.items():
        result = by_seq[seq]
        assert result["status"] == "rejected", name
        assert (result["error"]["code"], result["error"]["field"]) == (code, field), name
        assert result["error"]["message"], name

    async def dead() -> bool:
        return await fleet.messages("P3D_DEAD") == len(BAD) and await fleet.messages("P3D_JOBS") == 0

    await until(dead, 10, "a dead letter for each, and an empty jobs stream")


async def test_a_missing_artifact_is_named(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    body = {"job_id": "no-file", "inputs": {"image_path": {"artifact": "sha256-" + "0" * 64, "filename": "a.png"}}}
    await fleet.submit("image_to_mesh", body)
    result = await result_of(fleet, "no-file")
    assert result["status"] in ("rejected", "failed")
    assert (result["error"]["code"], result["error"]["field"]) == ("artifact_missing", "inputs.image_path")


async def test_one_id_a_hundred_times_is_one_job(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    body = json.dumps({"job_id": "once", "inputs": {"sleep_s": 0.3}}).encode()
    # Without Nats-Msg-Id: JetStream stores them all, and the system has to see that they are one.
    await asyncio.gather(*(fleet.js.publish("p3d.jobs.normal.echo", body) for _ in range(100)))
    assert (await result_of(fleet, "once"))["status"] == "succeeded"

    async def empty() -> bool:
        return await fleet.messages("P3D_JOBS") == 0

    await until(empty, 20, "an empty jobs stream")
    assert len(await fleet.read_stream("P3D_RESULTS")) == 1
    starts = [s for s, _ in await fleet.read_stream("P3D_EVENTS", "p3d.events.echo.once.started")]
    assert len(starts) == 1


async def test_the_typo_in_a_priority_has_no_responders(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    import nats.errors

    with pytest.raises(nats.errors.NoRespondersError):
        await fleet.nc.request("p3d.jobs.urgent.echo", b'{"inputs": {}}', timeout=2)


async def test_operators_see_the_services(fleet: FleetProcesses) -> None:
    await running_fleet(fleet)
    inbox = fleet.nc.new_inbox()
    infos: list[dict[str, Any]] = []

    async def on_info(msg: Any) -> None:
        infos.append(json.loads(msg.data))

    await fleet.nc.subscribe(inbox, cb=on_info)
    await fleet.nc.publish("$SRV.INFO", b"", reply=inbox)
    await until(lambda: len(infos) >= 3, 5, "three services")
    by_name = {info["name"]: info for info in infos}
    assert set(by_name) == {"p3d-api", "p3d-agent", "p3d-coordinator"}
    assert by_name["p3d-agent"]["metadata"]["agent_id"] == "laptop"
    assert isinstance(fleet.server, EmbeddedServer)
    system = await nats.connect(fleet.url, user="sys", password=fleet.server.system_password)
    report = json.loads((await system.request("$SYS.REQ.SERVER.PING.CONNZ", b"{}", timeout=3)).data)
    await system.close()
    coordinator_id = by_name["p3d-coordinator"]["metadata"]["coordinator_id"]
    connected = {each.get("name") for each in report["data"]["connections"]}
    assert {f"coordinator:{coordinator_id}", "agent:laptop"} <= connected
    for info in infos:
        assert isinstance(info["description"], str) and info["description"]
        assert all(isinstance(v, str) for v in info["metadata"].values())
    features = (await fleet.ask("features"))["features"]
    assert {"echo", "text_to_mesh", "image_to_mesh"} <= {f["feature"] for f in features}
    refused = await fleet.nc.request("p3d.api.status", b'{"job_id": "nobody"}', timeout=3)
    assert refused.headers["Nats-Service-Error-Code"] == "404"
    assert json.loads(refused.data)["code"] == 404
