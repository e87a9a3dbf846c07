"""The tools of agents, asked by the SDK's own client, upon the real coordinator and agents, in memory and in virtual
time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

import mcp

from pocket3d.ops.mcp.folder import Folder
from pocket3d.ops.mcp.server import MAX_UPLOAD_BYTES, build
from support.flow import Flow, play

TOOLS = {
    "list_features", "submit", "status", "result", "explain", "cancel", "list_jobs", "upload", "download",
    "chain", "chain_status", "cancel_chain",
}  # fmt: skip


class Agent:
    """A client of the tools."""

    def __init__(self, flow: Flow, client: mcp.Client) -> None:
        self.flow = flow
        self.client = client
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What a tool answers."""
        answer = await self.client.call_tool(tool, arguments, progress_callback=self._heard)
        assert not answer.is_error, answer.content
        told = answer.structured_content
        assert told is not None and json.loads(answer.content[0].text) == told  # type: ignore[union-attr]
        if "job_id" in told:
            self.flow.world.accepted.add(told["job_id"])
        return told

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Why a tool does not do it."""
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error, answer.content
        return str(answer.content[0].text)  # type: ignore[union-attr]

    async def _heard(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))


def play_agent(
    scenario: Callable[[Agent], Coroutine[Any, Any, None]], folder: Path, *, allowed: Path | None = None
) -> None:
    async def run(flow: Flow) -> None:
        server = build(flow.client, None if allowed is None else Folder(allowed))
        async with mcp.Client(server, raise_exceptions=True) as client:
            await scenario(Agent(flow, client))

    play(run, folder)


def test_an_agent_finds_out_what_there_is(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        listed = await agent.client.list_tools()
        tools = {tool.name: tool for tool in listed.tools}
        assert set(tools) == TOOLS
        assert all(tool.description for tool in tools.values())
        assert set(tools["submit"].input_schema["required"]) == {"feature", "inputs"}
        assert "self" not in tools["submit"].input_schema["properties"]
        about = tools["cancel"].annotations
        assert about is not None and about.destructive_hint
        found = await agent.call("list_features")
        assert {"feature": "echo", "required": [], "adapters": ["echo"]} in found["features"]
        assert "image_to_mesh" in found["not_served_now"]
        assert (await agent.call("list_features", feature="echo"))["adapters"][0]["adapter_id"] == "echo"
        assert "levitate" in await agent.refused("list_features", feature="levitate")

    play_agent(scenario, tmp_path)


def test_a_job_from_submit_to_its_file(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()

    async def scenario(agent: Agent) -> None:
        sent = await agent.call("submit", feature="echo", inputs={"seconds": 5, "files": True})
        job_id = sent["job_id"]
        assert sent["status"] in ("queued", "running")
        await agent.flow.running(agent.flow.client.job(job_id))
        stands = await agent.call("status", job_id=job_id)
        assert (stands["status"], stands["progress"]["fraction"]) == ("running", 0.5)
        assert (await agent.call("explain", job_id=job_id))["status"] == "running"
        assert "no result" in await agent.refused("download", job_id=job_id)
        done = await agent.call("result", job_id=job_id, wait_s=60)
        assert (done["status"], [each["name"] for each in done["files"]]) == ("succeeded", ["out.glb"])
        assert (0.5, 1.0, "half") in agent.progress
        got = await agent.call("download", job_id=job_id)
        assert got["files"] == [f"{job_id}/out.glb"]
        token = (await agent.flow.client.job(job_id).result()).token
        assert (allowed / got["files"][0]).read_bytes().decode() == token
        jobs = (await agent.call("list_jobs", feature="echo"))["jobs"]
        assert [each["job_id"] for each in jobs] == [job_id]

    play_agent(scenario, tmp_path, allowed=allowed)


def test_a_job_is_cancelled(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        job_id = (await agent.call("submit", feature="echo", inputs={"behave": "hang"}))["job_id"]
        await agent.flow.running(agent.flow.client.job(job_id))
        await agent.call("cancel", job_id=job_id, reason="no longer wanted")
        done = await agent.call("result", job_id=job_id, wait_s=60)
        assert (done["status"], done["error"]["code"]) == ("cancelled", "cancelled")

    play_agent(scenario, tmp_path)


def test_a_job_that_cannot_be_done_is_told(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        # A leader that is new waits for adverts before it knows that nobody does this.
        told = await agent.call("submit", feature="levitate", inputs={}, wait_s=30)
        assert (told["status"], told["error"]["code"]) == ("rejected", "unknown_feature")
        assert "text_prompt" in await agent.refused("submit", feature="text_to_mesh", inputs={})
        assert "no job" in await agent.refused("result", job_id="nothing", wait_s=600)
        assert "job id" in await agent.refused("status", job_id="a/b")

    play_agent(scenario, tmp_path)


def test_files_come_from_the_folder_alone(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "mesh.glb").write_bytes(b"glTF mesh")
    (tmp_path / "secret.glb").write_bytes(b"glTF secret")
    (allowed / "link.glb").symlink_to(tmp_path / "secret.glb")

    async def scenario(agent: Agent) -> None:
        told = await agent.call("submit", feature="auto_rig", inputs={"mesh_path": "mesh.glb"}, wait_s=60)
        assert told["status"] == "succeeded"
        stored = await agent.call("upload", file="mesh.glb")
        assert stored["filename"] == "mesh.glb"
        again = await agent.call("upload", data=base64.b64encode(b"glTF mesh").decode(), filename="x/../m.glb")
        assert again["artifact"] == stored["artifact"]
        assert again["filename"] == "x_._m.glb"
        for name in ("../secret.glb", str(tmp_path / "secret.glb"), "link.glb", "nothing.glb"):
            assert "glb" in await agent.refused("submit", feature="auto_rig", inputs={"mesh_path": name})
            assert "glb" in await agent.refused("upload", file=name)
        assert "MiB" in await agent.refused("upload", data="A" * (MAX_UPLOAD_BYTES * 4 // 3 + 8), filename="a.png")
        assert "base64" in await agent.refused("upload", data="!", filename="a.png")
        assert "one of" in await agent.refused("upload")

    play_agent(scenario, tmp_path, allowed=allowed)


def test_a_chain_is_submitted_at_once(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        steps = [
            {
                "name": "mesh",
                "feature": "text_to_mesh",
                "inputs": {"text_prompt": "a chair", "files": True, "seconds": 2},
            },
            {"name": "rig", "feature": "auto_rig", "inputs": {"mesh_path": {"step": "mesh"}, "files": True}},
        ]
        told = await agent.call("chain", steps=steps, chain_id="c1")
        assert (told["chain_id"], told["status"] in ("queued", "running")) == ("c1", True)
        agent.flow.world.accepted.update(step["job_id"] for step in told["steps"])
        done = await agent.call("chain_status", chain_id="c1", wait_s=120)
        assert (done["status"], [step["status"] for step in done["steps"]]) == ("succeeded", ["succeeded"] * 2)
        assert [step["job_id"] for step in done["steps"]] == ["c1-mesh", "c1-rig"]
        assert agent.progress, "how much is done was told meanwhile"
        rigged = await agent.call("result", job_id="c1-rig")
        assert [each["name"] for each in rigged["files"]] == ["out.glb"]
        unknown = [{"name": "rig", "feature": "auto_rig", "inputs": {"mesh_path": {"step": "nothing"}}}]
        assert "nothing" in await agent.refused("chain", steps=unknown)
        assert "--folder" in await agent.refused(
            "chain", steps=[{"name": "rig", "feature": "auto_rig", "inputs": {"mesh_path": "/etc/passwd"}}]
        )

    play_agent(scenario, tmp_path)


def test_a_chain_is_cancelled(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        steps = [{"name": "one", "feature": "echo", "inputs": {"behave": "hang"}}]
        told = await agent.call("chain", steps=steps, chain_id="c2")
        agent.flow.world.accepted.update(step["job_id"] for step in told["steps"])
        await agent.call("cancel_chain", chain_id="c2", reason="no longer wanted")
        done = await agent.call("chain_status", chain_id="c2", wait_s=120)
        assert done["status"] == "cancelled"

    play_agent(scenario, tmp_path)


def test_without_a_folder_no_file_is_touched(tmp_path: Path) -> None:
    async def scenario(agent: Agent) -> None:
        done = await agent.call("submit", feature="echo", inputs={"files": True}, wait_s=60)
        for refused in (
            await agent.refused("upload", file="cat.png"),
            await agent.refused("submit", feature="auto_rig", inputs={"mesh_path": "/etc/passwd"}),
            await agent.refused("download", job_id=done["job_id"]),
        ):
            assert "--folder" in refused

    play_agent(scenario, tmp_path)
