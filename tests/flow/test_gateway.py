"""The gateway's routes upon the real coordinator and agents, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("litestar")

from pocket3d.ops.gateway.app import create_app
from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.session import Session
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.tokens import Caller, Tokens, read_tokens
from pocket3d.ops.gateway.webhook_desk import Gone
from support.asgi import Http
from support.flow import Flow, play

TOKENS = {"alice": "studio submit", "eve": "lab submit", "reader": "studio read", "root": "ops admin"}


class Gateway:
    """A gateway in a flow, and its clients by their tokens."""

    def __init__(self, flow: Flow, session: Session) -> None:
        self.flow = flow
        self.session = session
        self.app = create_app(session, session.settings)
        self.anybody = Http(self.app)
        self.alice, self.eve, self.reader, self.root = (
            Http(self.app, {"authorization": f"Bearer {name}"}) for name in TOKENS
        )

    async def submit(self, http: Http, **inputs: Any) -> str:
        answer = await http.ask("POST", "/v1/jobs", {"feature": "echo", "inputs": inputs})
        assert answer.status == 202, answer.body
        job_id: str = answer.json()["job_id"]
        self.flow.world.accepted.add(job_id)
        return job_id


def play_gateway(
    scenario: Callable[[Gateway], Coroutine[Any, Any, None]],
    folder: Path,
    *,
    tokens: bool = False,
    agents_mb: tuple[int, ...] = (16_000,),
    **settings: Any,
) -> None:
    """Run a scenario with a gateway beside the system."""
    lines = "\n".join(f"{hashlib.sha256(name.encode()).hexdigest()} {what}" for name, what in TOKENS.items())

    async def run(flow: Flow) -> None:
        session = Session(flow.client, GatewaySettings(**settings), read_tokens(lines) if tokens else Tokens())
        await session.start()
        try:
            await scenario(Gateway(flow, session))
        finally:
            await session.close()

    play(run, folder, agents_mb=agents_mb)


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart form of (name, filename, data)."""
    body = b""
    for name, filename, data in parts:
        named = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += b"--BOUND\r\nContent-Disposition: " + named.encode() + b"\r\n\r\n" + data + b"\r\n"
    return body + b"--BOUND--\r\n", {"content-type": "multipart/form-data; boundary=BOUND"}


def test_a_job_by_http_from_submit_to_its_file(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        job_id = await gateway.submit(http, seconds=0.5, files=True)
        status = (await http.ask("GET", f"/v1/jobs/{job_id}")).json()
        assert (status["job_id"], status["tenant"]) == (job_id, "default")
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/result")).status == 404
        result = (await http.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")).json()
        assert result["status"] == "succeeded"
        (artifact,) = result["artifacts"]
        whole = await http.ask("GET", f"/v1/jobs/{job_id}/artifacts/{artifact['name']}")
        assert (whole.status, whole.headers["content-length"]) == (200, str(artifact["size"]))
        assert hashlib.sha256(whole.body).hexdigest() == artifact["sha256"]
        assert whole.headers["etag"] == f'"{artifact["sha256"]}"'
        main = await http.ask("GET", f"/v1/jobs/{job_id}/file")
        assert (main.status, main.body, main.headers["etag"]) == (200, whole.body, whole.headers["etag"])
        listed = (await http.ask("GET", f"/v1/jobs/{job_id}/artifacts")).json()
        assert listed == result["artifacts"]
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/artifacts/other.glb")).status == 404
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/artifacts/../../etc/passwd")).status == 404
        jobs = (await http.ask("GET", "/v1/jobs?limit=5")).json()["jobs"]
        assert [each["job_id"] for each in jobs] == [job_id]
        assert (await http.ask("GET", "/v1/jobs?limit=0")).json()["error"]["field"] == "limit"
        assert (await http.ask("GET", "/ready")).status == 200

    play_gateway(scenario, tmp_path)


def test_parts_of_a_file(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        job_id = await gateway.submit(http, seconds=0.1, files=True)
        result = (await http.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")).json()
        target = f"/v1/jobs/{job_id}/artifacts/{result['artifacts'][0]['name']}"
        whole = (await http.ask("GET", target)).body
        size, etag = len(whole), f'"{result["artifacts"][0]["sha256"]}"'

        async def part(**headers: str) -> Any:
            return await http.ask("GET", target, b"", {name.replace("_", "-"): text for name, text in headers.items()})

        answer = await part(range="bytes=2-4")
        assert (answer.status, answer.body, answer.headers["content-range"]) == (206, whole[2:5], f"bytes 2-4/{size}")
        assert (await part(range="bytes=-3")).body == whole[-3:]
        answer = await part(range=f"bytes={size}-")
        assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{size}")
        assert (await part(range="bytes=0-1,3-4")).status == 200, "several ranges are answered with the whole"
        assert (await part(range="bytes=0-1", if_range='"another"')).body == whole
        assert (await part(range="bytes=0-1", if_range=etag)).body == whole[:2]
        assert ((await part(if_none_match=etag)).status, (await part(if_none_match='"x"')).status) == (304, 200)
        head = await http.ask("HEAD", target)
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(size))

    play_gateway(scenario, tmp_path)


def test_files_that_are_sent_to_slow_readers_are_bounded_in_number(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        job_id = await gateway.submit(gateway.alice, seconds=0.1, files=True)
        await gateway.alice.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
        target = f"/v1/jobs/{job_id}/file"
        async with AsyncExitStack() as held:

            async def slow(http: Http) -> None:
                reader = http.open("GET", target)
                reader.takes.clear()
                await held.enter_async_context(reader)
                assert reader.status == 200

            await slow(gateway.alice)
            await slow(gateway.alice)
            mine = await gateway.alice.ask("GET", target)
            assert (mine.status, mine.headers["retry-after"]) == (429, "10"), mine.body
            await slow(gateway.reader)
            full = await gateway.root.ask("GET", f"/api/v1/system/jobs/{job_id}/download?format=base64")
            assert (full.status, full.headers["retry-after"]) == (503, "10"), full.body
            assert (await gateway.root.ask("GET", f"/v1/jobs/{job_id}")).status == 200, "others are not held up"
            assert (await gateway.root.ask("HEAD", target)).status == 200, "it sends no file"
        for http in (gateway.alice, gateway.root):
            assert [(await http.ask("GET", target)).status for _ in range(4)] == [200] * 4, "places are given back"

    play_gateway(scenario, tmp_path, tokens=True, downloads_max=3, downloads_per_token=2)


def test_a_file_that_is_gone_takes_no_place(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        job_id = await gateway.submit(http, seconds=0.1, files=True)
        await http.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
        caller = Caller("default", "admin", "127.0.0.1")
        artifact = await gateway.session.files.artifact(caller, job_id, None)
        for _ in range(2):
            with pytest.raises(HttpError, match="is not kept any more"):
                await gateway.session.files.open(caller, msgspec.structs.replace(artifact, object="gone"))
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/file")).status == 200

    play_gateway(scenario, tmp_path, downloads_max=1)


def test_uploads_are_stored_under_their_digest(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http, data = gateway.anybody, b"a mesh of sorts" * 20_000
        name = f"sha256-{hashlib.sha256(data).hexdigest()}"
        answer = await http.ask("POST", "/v1/files?name=chair.glb", data)
        wanted = {"artifact": name, "size": len(data), "media_type": "model/gltf-binary", "name": "chair.glb"}
        assert (answer.status, answer.json()) == (201, wanted)
        body, headers = form(("note", None, b"passed over"), ("file", "../../etc/chair.glb", data))
        answer = await http.ask("POST", "/v1/files", body, headers)
        assert answer.status == 201
        assert answer.json()["artifact"] == name
        assert "/" not in answer.json()["name"]
        info = await gateway.flow.client.bus.object_info(gateway.flow.client.subjects.inputs_bucket, name)
        assert info is not None and info.size == len(data)
        job: dict[str, Any] = {
            "feature": "auto_rig",
            "inputs": {"mesh_path": {"artifact": name, "filename": "chair.glb"}, "seconds": 0.1},
        }
        answer = await http.ask("POST", "/v1/jobs", job)
        gateway.flow.world.accepted.add(answer.json()["job_id"])
        result = await http.ask("GET", f"/v1/jobs/{answer.json()['job_id']}/result?wait=60")
        assert result.json()["status"] == "succeeded"
        job["inputs"]["mesh_path"] = {"artifact": "sha256-" + "0" * 64, "filename": "chair.glb"}
        answer = await http.ask("POST", "/v1/jobs", job)
        assert (answer.status, answer.json()["error"]["field"]) == (400, "inputs.mesh_path.artifact")

    play_gateway(scenario, tmp_path)


def test_a_form_is_a_job_with_its_files(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        job = b'{"feature": "auto_rig", "inputs": {"seconds": 0.1}}'
        body, headers = form(("mesh_path", "chair.glb", b"mesh" * 50_000), ("job", None, job))
        answer = await http.ask("POST", "/v1/jobs", body, headers)
        assert answer.status == 202, answer.body
        job_id = answer.json()["job_id"]
        gateway.flow.world.accepted.add(job_id)
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")).json()["status"] == "succeeded"
        asked = (await http.ask("GET", f"/v1/jobs/{job_id}/request")).json()
        assert asked["inputs"]["mesh_path"]["filename"] == "chair.glb"
        for parts, code, field in (
            ((("mesh_path", "a.glb", b"x"),), 400, "job"),
            ((("mesh_path", "a.glb", b"x"), ("feature", None, b"auto_rig")), 400, "feature"),
            ((("prompt", "a.glb", b"x"), ("job", None, job)), 400, "inputs.prompt"),
            ((("mesh_path", "a.glb", b"x"), ("mesh_path", "b.glb", b"y"), ("job", None, job)), 400, "inputs.mesh_path"),
            ((("mesh_path", "a.glb", b""), ("job", None, job)), 400, "file"),
            ((("job", None, b"[1"),), 400, "body"),
        ):
            body, headers = form(*parts)
            answer = await http.ask("POST", "/v1/jobs", body, headers)
            assert (answer.status, answer.json()["error"]["field"]) == (code, field)
        answer = await http.ask("POST", "/v1/jobs", body[:-20], headers)
        assert answer.status == 400

    play_gateway(scenario, tmp_path)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        read = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield b"x" * 10_000

        answer = await http.ask("POST", "/v1/files?name=a", endless(), {"content-length": "200000"})
        assert (answer.status, read) == (413, 0)
        answer = await http.ask("POST", "/v1/files?name=a", endless())
        assert (answer.status, read) == (413, 11), "without a length it is counted"
        answer = await http.ask("POST", "/v1/jobs", {"feature": "echo", "inputs": {"text": "x" * 30_000}})
        assert answer.status == 413

    play_gateway(scenario, tmp_path, upload_max_bytes=100_000, request_max_bytes=20_000)


def test_an_upload_that_stands_still_is_given_up(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        async def stuck() -> AsyncIterator[bytes]:
            yield b"the beginning"
            await asyncio.Event().wait()

        async def dripping() -> AsyncIterator[bytes]:
            while True:
                yield b"x"
                await asyncio.sleep(1)

        async def slow() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 70_000
                await asyncio.sleep(4)

        http = gateway.anybody
        answer = await http.ask("POST", "/v1/files?name=a", stuck())
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        answer = await http.ask("POST", "/v1/files?name=a", dripping())
        assert (answer.status, answer.json()["error"]["message"]) == (408, "only 5 bytes came in 5 s")
        assert (await http.ask("POST", "/v1/files?name=a", slow())).status == 201

    play_gateway(scenario, tmp_path, upload_idle_s=5.0)


def test_the_slow_uploads_of_one_leave_room_to_others(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        started = 0

        async def stuck() -> AsyncIterator[bytes]:
            nonlocal started
            started += 1
            yield b"the beginning"
            await asyncio.Event().wait()

        slow = [asyncio.ensure_future(gateway.alice.ask("POST", "/v1/files?name=a", stuck())) for _ in range(8)]
        while started < 3:
            await asyncio.sleep(0)
        answer = await gateway.eve.ask("POST", "/v1/files?name=b", b"of another token")
        assert (answer.status, started) == (201, 3)
        assert {(await each).status for each in slow} == {408}

    play_gateway(scenario, tmp_path, tokens=True, uploads_at_once=4)


def test_tenants_see_their_own_jobs_alone(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        job_id = await gateway.submit(gateway.alice, seconds=0.2, files=True)
        assert (await gateway.reader.ask("GET", f"/v1/jobs/{job_id}")).json()["tenant"] == "studio"
        result = (await gateway.reader.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")).json()
        name = result["artifacts"][0]["name"]
        for path in ("", "/result", "/explain", "/request", f"/artifacts/{name}", "/events"):
            answer = await gateway.eve.ask("GET", f"/v1/jobs/{job_id}{path}")
            assert answer.status == 404, path
        assert (await gateway.root.ask("GET", f"/v1/jobs/{job_id}/artifacts/{name}")).status == 200
        unknown = (await gateway.eve.ask("GET", "/v1/jobs/nothing")).json()["error"]["message"]
        others = (await gateway.eve.ask("GET", f"/v1/jobs/{job_id}")).json()["error"]["message"]
        assert others == unknown.replace("nothing", job_id), "an answer does not tell that the job is there"
        assert (await gateway.eve.ask("DELETE", f"/v1/jobs/{job_id}")).status == 404
        assert (await gateway.reader.ask("DELETE", f"/v1/jobs/{job_id}")).status == 403
        assert (await gateway.eve.ask("GET", "/v1/jobs")).json()["jobs"] == []
        assert (await gateway.eve.ask("GET", "/v1/jobs?tenant=studio")).status == 403
        assert len((await gateway.root.ask("GET", "/v1/jobs")).json()["jobs"]) == 1
        body = {"feature": "echo", "inputs": {}, "tenant": "studio"}
        answer = await gateway.eve.ask("POST", "/v1/jobs", body)
        assert (answer.status, answer.json()["error"]["field"]) == (403, "tenant")
        assert (await gateway.reader.ask("POST", "/v1/jobs", body)).status == 403
        body = {"feature": "auto_rig", "inputs": {"mesh_path": {"result": job_id}}}
        assert (await gateway.eve.ask("POST", "/v1/jobs", body)).status == 404, "nor is its result an input"
        assert (await gateway.alice.ask("POST", "/v1/agents/agent0/drain")).status == 403

    play_gateway(scenario, tmp_path, tokens=True)


def test_a_job_is_cancelled_explained_and_tried_again(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        first = await gateway.submit(http, behave="hang")
        await gateway.flow.running(gateway.flow.client.job(first))
        assert (await http.ask("GET", f"/v1/jobs/{first}/explain")).json()["status"] == "running"
        assert (await http.ask("POST", f"/v1/jobs/{first}/retry")).status == 409
        assert (await http.ask("DELETE", f"/v1/jobs/{first}?reason=enough")).status == 200
        assert (await http.ask("GET", f"/v1/jobs/{first}/result?wait=60")).json()["status"] == "cancelled"
        answer = await http.ask("POST", f"/v1/jobs/{first}/retry")
        assert answer.status == 202, answer.body
        second = answer.json()["job_id"]
        gateway.flow.world.accepted.add(second)
        assert second != first
        await gateway.flow.running(gateway.flow.client.job(second))
        await http.ask("DELETE", f"/v1/jobs/{second}")
        gateway.session.jobs._requests.clear()
        assert (await http.ask("GET", f"/v1/jobs/{first}/request")).status == 404
        failed = await gateway.submit(http, behave="bad_input")
        await http.ask("GET", f"/v1/jobs/{failed}/result?wait=60")
        await gateway.flow.settled()
        gateway.session.jobs._requests.clear()
        assert (await http.ask("GET", f"/v1/jobs/{failed}/request")).json()["inputs"] == {"behave": "bad_input"}

    play_gateway(scenario, tmp_path)


def test_the_wire_s_own_errors_come_with_their_code_and_field(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        for body, code, field in (
            ({"feature": "text_to_mesh", "inputs": {}}, 400, "inputs.text_prompt"),
            ({"feature": "echo", "inputs": {}, "limit": 3}, 400, "limit"),
            ({"feature": "echo", "inputs": {}, "priority": "urgent"}, 400, "priority"),
            ({"feature": "auto_rig", "inputs": {"mesh_path": "/etc/passwd"}}, 400, "inputs.mesh_path"),
            ({"inputs": {}}, 400, "feature"),
        ):
            answer = await http.ask("POST", "/v1/jobs", body)
            assert (answer.status, answer.json()["error"]["field"]) == (code, field)
        assert (await http.ask("POST", "/v1/jobs", b"{")).status == 400
        assert (await http.ask("GET", "/v1/jobs/no.id")).json()["error"]["field"] == "job_id"
        assert (await http.ask("GET", "/v1/jobs/nothing")).status == 404
        job = {"feature": "echo", "inputs": {"seconds": 0.1}, "job_id": "twice"}
        gateway.flow.world.accepted.add("twice")
        assert [(await http.ask("POST", "/v1/jobs", job)).status for _ in range(2)] == [202, 202]
        job["inputs"] = {"seconds": 0.2}
        assert (await http.ask("POST", "/v1/jobs", job)).status == 409
        await http.ask("GET", "/v1/jobs/twice/result?wait=30")

    play_gateway(scenario, tmp_path)


def test_the_fleet_and_an_operator_s_verbs(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        assert "echo" in [each["feature"] for each in (await http.ask("GET", "/v1/features")).json()["features"]]
        (agent,) = (await http.ask("GET", "/v1/agents")).json()["agents"]
        assert agent["agent_id"] == "agent0"
        assert (await http.ask("POST", "/v1/agents/agent0/drain")).json()["draining"] is True
        assert (await http.ask("POST", "/v1/agents/agent0/resume")).json()["draining"] is False
        answer = await http.ask("POST", "/v1/agents/agent0/load", {"adapter_id": "no such"})
        assert (answer.status, answer.json()["error"]["field"]) == (400, "adapter_id")
        answer = await http.ask("POST", "/v1/agents/agent0/load", {"adapter": "echo"})
        assert (answer.status, answer.json()["error"]["field"]) == (400, "adapter")

    play_gateway(scenario, tmp_path)


def test_an_agent_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        answer = await gateway.anybody.ask("POST", "/v1/agents/nobody/drain")
        assert (answer.status, answer.json()["error"]) == (
            404,
            {"code": 404, "message": "no agent 'nobody' answers; connected: agent0", "field": "agent_id"},
        )
        gateway.flow.agent("agent0").host.cut(30.0)
        answer = await gateway.anybody.ask("POST", "/v1/agents/agent0/drain")
        assert answer.json()["error"]["message"] == "no agent 'agent0' answers; none is connected"

    play_gateway(scenario, tmp_path)


def test_a_job_s_story_comes_as_events_and_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        job_id = await gateway.submit(http, seconds=3.0)
        heard = []
        async with http.open("GET", f"/v1/jobs/{job_id}/events") as stream:
            assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            while (event := await stream.event()) is not None:
                heard.append((event["event"], msgspec.json.decode(event["data"]).get("status"), event.get("id")))
        words = [(kind, word) for kind, word, _ in heard if kind != "progress"]
        assert words == [("status", "queued"), ("status", "running"), ("status", "succeeded"), ("result", "succeeded")]
        first, *_, last = [event_id for kind, _, event_id in heard if kind == "status"]
        assert first is not None and last is not None
        for header, query in (({"last-event-id": first}, ""), ({}, f"?last_event_id={first}")):
            async with http.open("GET", f"/v1/jobs/{job_id}/events{query}", b"", header) as stream:
                kinds = []
                while (event := await stream.event()) is not None:
                    kinds.append(msgspec.json.decode(event["data"])["status"])
                assert kinds == ["running", "succeeded", "succeeded"]
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/events", b"", {"last-event-id": last})).status == 204
        assert (await http.ask("GET", f"/v1/jobs/{job_id}/events", b"", {"last-event-id": "x"})).status == 400
        assert (await http.ask("GET", "/v1/jobs/nothing/events")).status == 404
        assert gateway.session.places.total == 0

    play_gateway(scenario, tmp_path)


def test_progress_comes_while_a_job_runs(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        job_id = await gateway.submit(gateway.anybody, seconds=5.0)
        async with gateway.anybody.open("GET", f"/v1/jobs/{job_id}/events") as stream:
            kinds = set()
            while (event := await stream.event()) is not None:
                kinds.add(event["event"])
        assert kinds == {"status", "progress", "result"}

    play_gateway(scenario, tmp_path)


def test_all_events_are_those_of_the_caller_s_tenant(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        async def until_result(http: Http, query: str = "") -> list[tuple[str, str]]:
            heard = []
            async with http.open("GET", f"/v1/events{query}") as stream:
                listening.set()
                while True:
                    event = await stream.event()
                    assert event is not None
                    heard.append((event["event"], msgspec.json.decode(event["data"]).get("job_id")))
                    if event["event"] == "result" and heard[-1][1] in job_ids:
                        return heard

        job_ids: list[str] = []
        tasks = []
        for http, query in (
            (gateway.reader, "?kinds=status,result"),
            (gateway.root, "?kinds=status,result"),
            (gateway.root, "?tenant=studio"),
            (gateway.root, "?access_token=ignored"),
        ):
            listening = asyncio.Event()
            tasks.append(asyncio.ensure_future(until_result(http, query)))
            await listening.wait()
        theirs = await gateway.submit(gateway.eve, seconds=0.2)
        await gateway.eve.ask("GET", f"/v1/jobs/{theirs}/result?wait=60")
        ours = await gateway.submit(gateway.alice, seconds=0.2)
        job_ids.append(ours)
        reader, root, of_studio, everything = await asyncio.gather(*tasks)
        story = ["status", "status", "status", "result"]
        assert reader == [(kind, ours) for kind in story]
        assert sorted(root) == sorted((kind, job_id) for kind in story for job_id in (ours, theirs))
        assert {job_id for _, job_id in of_studio} == {ours, None}
        assert {kind for kind, _ in everything} >= {"status", "result", "advert"}
        assert (await gateway.eve.ask("GET", "/v1/events?tenant=studio")).status == 403
        assert (await gateway.eve.ask("GET", "/v1/events?kinds=secrets")).status == 400
        assert (await gateway.anybody.ask("GET", "/v1/events")).status == 401
        async with gateway.anybody.open("GET", "/v1/events?access_token=alice&last_event_id=1") as stream:
            assert stream.status == 200
            event = await stream.event()
            assert event is not None and msgspec.json.decode(event["data"])["job_id"] == ours

    play_gateway(scenario, tmp_path, tokens=True)


def test_a_slow_reader_is_told_what_it_missed_and_holds_up_nobody(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        async with (
            http.open("GET", "/v1/events?kinds=status") as slow,
            http.open("GET", "/v1/events?kinds=status") as quick,
        ):
            slow.takes.clear()
            for _ in range(4):
                job_id = await gateway.submit(http, seconds=0.1)
                await http.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
            got = 0
            while got < 12:
                assert await quick.event() is not None
                got += 1
            slow.takes.set()
            last = None
            while (event := await slow.event()) is not None:
                last = event
            assert last is not None and last["event"] == "dropped"
            assert msgspec.json.decode(last["data"])["missed"] >= 5

    play_gateway(scenario, tmp_path, stream_queue=5)


def test_a_reader_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        async with gateway.anybody.open("GET", "/v1/events") as stream:
            stream.takes.clear()
            await stream.over()
        assert gateway.session.places.total == 0
        assert len(gateway.session.hub.fan) == 0

    play_gateway(scenario, tmp_path, send_timeout_s=20.0)


def test_streams_have_a_bound_and_a_quiet_one_is_kept_open(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        async with http.open("GET", "/v1/events?kinds=result") as one, http.open("GET", "/v1/events"):
            answer = await http.ask("GET", "/v1/events")
            assert (answer.status, answer.headers["retry-after"]) == (429, "10")
            assert await one.answered.get() == b"retry: 2000\n\n"
            assert await one.answered.get() == b": \n\n"
            assert (await http.ask("GET", "/v1/stats")).json()["streams"] == 2
        async with http.open("GET", "/v1/events") as again:
            assert again.status == 200

    play_gateway(scenario, tmp_path, streams_max=2)


def test_a_thousand_streams_are_one_subscription(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        listeners = gateway.flow.world.server._wild
        job_id = await gateway.submit(gateway.anybody, seconds=1000.0)
        before = len(listeners)
        streams = [gateway.anybody.open("GET", f"/v1/jobs/{job_id}/events") for _ in range(100)]
        for stream in streams:
            await stream.__aenter__()
        assert len(listeners) == before
        await gateway.anybody.ask("DELETE", f"/v1/jobs/{job_id}")
        for stream in streams:
            last = None
            while (event := await stream.event()) is not None:
                last = event
            assert last is not None and last["event"] == "result"
            await stream.__aexit__(None, None, None)

    play_gateway(scenario, tmp_path)


def test_the_history_is_filled_by_what_happens(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        job_id = await gateway.submit(gateway.alice, seconds=0.5)
        await gateway.alice.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
        await gateway.flow.settled()
        intervals = (await gateway.alice.ask("GET", "/v1/stats")).json()["intervals"]
        assert sum(each["jobs"].get("succeeded", 0) for each in intervals) == 1
        assert sum(each["run"]["count"] for each in intervals) == 1
        assert (await gateway.eve.ask("GET", "/v1/stats")).json()["intervals"] == []
        assert (await gateway.root.ask("GET", "/v1/stats")).json()["intervals"] == intervals

    play_gateway(scenario, tmp_path, tokens=True)


class Receiver:
    """Who is told results; what it answers is set."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str], bytes]] = []
        self.fails = 0
        self.gone = False

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.told.append((url, headers, body))
        if self.gone:
            raise Gone
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the receiver answered 500")


def receiver_of(gateway: Gateway) -> Receiver:
    receiver = Receiver()
    gateway.session.webhooks._send = receiver
    gateway.session.webhooks._clock = gateway.flow.world.loop.time
    return receiver


def test_a_webhook_is_told_its_tenant_s_results_until_it_is_removed(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        receiver = receiver_of(gateway)
        before = await gateway.submit(gateway.alice, seconds=0.1)
        await gateway.alice.ask("GET", f"/v1/jobs/{before}/result?wait=60")
        await asyncio.sleep(1)
        answer = await gateway.alice.ask("POST", "/v1/webhooks", {"url": "https://x.example/in"})
        assert answer.status == 201, answer.body
        hook = answer.json()
        assert hook["secret"].startswith("whsec_")
        assert (hook["tenant"], (await gateway.eve.ask("GET", "/v1/webhooks")).json()) == ("studio", {"webhooks": []})
        (shown,) = (await gateway.reader.ask("GET", "/v1/webhooks")).json()["webhooks"]
        assert (shown["webhook_id"], shown["secret"]) == (hook["webhook_id"], None)
        ours, theirs = await gateway.submit(gateway.alice, seconds=0.1), await gateway.submit(gateway.eve, seconds=0.1)
        for job_id in (ours, theirs):
            await gateway.root.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
        await gateway.flow.until(lambda: receiver.told)
        await asyncio.sleep(10)
        ((url, headers, body),) = receiver.told
        assert (url, headers["webhook-id"]) == ("https://x.example/in", f"msg_{ours}")
        assert msgspec.json.decode(body)["data"]["job_id"] == ours
        assert (await gateway.eve.ask("DELETE", f"/v1/webhooks/{hook['webhook_id']}")).status == 404
        assert (await gateway.alice.ask("DELETE", f"/v1/webhooks/{hook['webhook_id']}")).status == 204
        after = await gateway.submit(gateway.alice, seconds=0.1)
        await gateway.alice.ask("GET", f"/v1/jobs/{after}/result?wait=60")
        await asyncio.sleep(10)
        assert len(receiver.told) == 1
        assert (await gateway.alice.ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1/"})).status == 400
        misspelt = {"url": "https://x.example/in", "features": ["image_to_mehs"]}
        refused = await gateway.alice.ask("POST", "/v1/webhooks", misspelt)
        assert (refused.status, refused.json()["error"]["field"]) == (400, "features")
        assert (await gateway.reader.ask("POST", "/v1/webhooks", {"url": "https://x.example/"})).status == 403

    play_gateway(scenario, tmp_path, tokens=True)


def test_what_is_not_delivered_is_tried_again_by_whichever_gateway_lives(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        receiver = receiver_of(gateway)
        receiver.fails = 2
        await gateway.anybody.ask("POST", "/v1/webhooks", {"url": "https://x.example/in"})
        job_id = await gateway.submit(gateway.anybody, seconds=0.1)
        await gateway.flow.until(lambda: len(receiver.told) == 1)
        first = gateway.flow.world.loop.time()
        # The gateway that failed is gone; another one finds what is due.
        await gateway.session.close()
        other = Session(gateway.flow.client, gateway.session.settings, Tokens())
        gateway.session = other
        other.webhooks._send, other.webhooks._clock = receiver, gateway.flow.world.loop.time
        await other.start()
        await gateway.flow.until(lambda: len(receiver.told) == 3)
        assert gateway.flow.world.loop.time() - first >= 305
        assert {headers["webhook-id"] for _, headers, _ in receiver.told} == {f"msg_{job_id}"}
        await asyncio.sleep(30)
        assert len(receiver.told) == 3, "it is told once more and then no more"
        assert await gateway.flow.client.bus.kv_entries("P3D_WEBHOOKS_DUE") == []
        await other.close()

    play_gateway(scenario, tmp_path)


def test_a_receiver_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        receiver = receiver_of(gateway)
        receiver.gone = True
        await gateway.anybody.ask("POST", "/v1/webhooks", {"url": "https://x.example/in"})
        await gateway.submit(gateway.anybody, seconds=0.1)
        await gateway.flow.until(lambda: receiver.told)
        await asyncio.sleep(1)
        assert (await gateway.anybody.ask("GET", "/v1/webhooks")).json() == {"webhooks": []}

    play_gateway(scenario, tmp_path)


def test_a_chain_by_http(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        steps: list[dict[str, Any]] = [
            {"name": "mesh", "feature": "echo", "inputs": {"seconds": 0.2, "files": True}},
            {
                "name": "rig",
                "feature": "echo",
                "inputs": {"mesh_paths": [{"step": "mesh"}], "seconds": 0.2, "files": True},
            },
        ]
        gateway.flow.world.accepted.update({"c1-mesh", "c1-rig"})
        answer = await gateway.alice.ask("POST", "/v1/chains", {"chain_id": "c1", "steps": steps})
        assert answer.status == 202, answer.body
        assert (answer.json()["chain_id"], answer.json()["tenant"]) == ("c1", "studio")
        told = await gateway.reader.ask("GET", "/v1/jobs/c1-rig/explain")
        assert (told.status, told.json()["waits_for"]) == (200, ["c1-mesh"])
        hidden = (await gateway.eve.ask("GET", "/v1/jobs/c1-rig/explain")).json()["error"]["message"]
        unknown = (await gateway.eve.ask("GET", "/v1/jobs/c1-nose/explain")).json()["error"]["message"]
        assert hidden == unknown.replace("c1-nose", "c1-rig"), "an answer does not tell that the step is there"
        words = []
        async with gateway.reader.open("GET", "/v1/chains/c1/events") as stream:
            while (event := await stream.event()) is not None:
                assert event["event"] == "chain"
                words.append(msgspec.json.decode(event["data"])["status"])
        assert words[-1] == "succeeded"
        assert (await gateway.reader.ask("GET", "/v1/chains/c1")).json()["status"] == "succeeded"
        assert len((await gateway.reader.ask("GET", "/v1/chains")).json()["chains"]) == 1
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("GET", "/events")):
            assert (await gateway.eve.ask(method, f"/v1/chains/c1{path}")).status == 404
        assert (await gateway.eve.ask("GET", "/v1/chains")).json()["chains"] == []
        steps[1]["inputs"] = {"mesh_paths": [{"result": "c1-mesh"}]}
        assert (await gateway.eve.ask("POST", "/v1/chains", {"steps": steps[1:]})).status == 404
        steps[1]["inputs"] = {"mesh_paths": [{"step": "nothing"}]}
        answer = await gateway.alice.ask("POST", "/v1/chains", {"steps": steps})
        assert (answer.status, answer.json()["error"]["field"]) == (400, "steps.rig.inputs.mesh_paths[0].step")

    play_gateway(scenario, tmp_path, tokens=True)


def test_a_group_by_http(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        http = gateway.anybody
        gateway.flow.world.accepted.update({"g1-1", "g1-2"})
        jobs = [{"feature": "echo", "inputs": {"seconds": 0.1}} for _ in range(2)]
        answer = await http.ask("POST", "/v1/groups", {"group_id": "g1", "jobs": jobs})
        assert answer.status == 202, answer.body
        async with http.open("GET", "/v1/groups/g1/events") as stream:
            last = None
            while (event := await stream.event()) is not None:
                last = event
        assert last is not None
        assert msgspec.json.decode(last["data"])["counts"] == {"succeeded": 2}
        assert (await http.ask("GET", "/v1/groups/g1")).json()["status"] == "succeeded"
        assert (await http.ask("GET", "/v1/groups/nothing")).status == 404

    play_gateway(scenario, tmp_path)


def test_the_bids_for_a_job_are_overheard(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway) -> None:
        job_id = await gateway.submit(gateway.alice, seconds=0.2)
        await gateway.alice.ask("GET", f"/v1/jobs/{job_id}/result?wait=60")
        bids = (await gateway.alice.ask("GET", f"/v1/jobs/{job_id}/bids")).json()
        assert {bid["agent_id"] for bid in bids["bids"]} == {"agent0", "agent1"}
        (winner,) = [bid for bid in bids["bids"] if bid["won"]]
        assert (winner["agent_id"], winner["device"]) == (bids["agent_id"], bids["device"])
        assert "offer" in bids["reason"]
        assert (await gateway.eve.ask("GET", f"/v1/jobs/{job_id}/bids")).status == 404

    play_gateway(scenario, tmp_path, tokens=True, agents_mb=(16_000, 16_000))
