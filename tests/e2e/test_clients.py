"""Programs that are not ours against a running system: curl at each facade, and the tools by the SDK's own client."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("litestar")
pytest.importorskip("uvicorn")
trimesh = pytest.importorskip("trimesh")

from support.command_line import ROOT, Up, command, environment, up
from support.pages import blocks

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("clients")]

FACADES = ROOT / "docs" / "http-facades.md"
#: Longer in base64 than one argument of a command may be.
PHOTO = ROOT / "examples" / "photos" / "camera.png"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("clients") / "store", "--gateway-port", "0") as running:
        yield running


def is_glb(path: Path) -> bool:
    """True for a GLB as long as it says, with a surface in it."""
    data = path.read_bytes()
    assert data[:4] == b"glTF", data[:200]
    assert int.from_bytes(data[8:12], "little") == len(data)
    meshes: dict[str, Any] = trimesh.load(path, process=False).geometry
    return sum(len(mesh.faces) for mesh in meshes.values()) > 100


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="no curl or jq")
def test_the_commands_of_the_page_of_facades_make_meshes(system: Up, tmp_path: Path) -> None:
    (block,) = [each.text for each in blocks(FACADES) if each.info == "console"]
    lines = [line.removeprefix("$ ") for line in block.splitlines()]
    assert lines[0] == "url=http://127.0.0.1:8080"
    script = "\n".join([f"url={system.page()}", *lines[1:]])
    shutil.copy(PHOTO, tmp_path / "cat.png")
    done = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    made = list(tmp_path.glob("*.glb"))
    assert {path.stem for path in made} == {"aigc", "hunyuan", "hunyuan-sent", "localai", "sglang"}
    assert all(map(is_glb, made))


async def test_an_agent_makes_meshes_over_stdin_and_stdout(system: Up, tmp_path: Path) -> None:
    mcp = pytest.importorskip("mcp")
    shutil.copy(PHOTO, tmp_path / "cat.png")
    program, *arguments = command("mcp", "--folder", str(tmp_path))
    server = mcp.StdioServerParameters(
        command=program, args=arguments, env={**os.environ, **environment(NATS_URL=system.url)}
    )
    async with mcp.Client(mcp.stdio_client(server)) as client:
        assert {"submit", "result", "download"} <= {tool.name for tool in (await client.list_tools()).tools}

        async def call(tool: str, **given: Any) -> Any:
            answer = await client.call_tool(tool, given)
            assert not answer.is_error, answer.content
            return answer.structured_content

        for feature, inputs in (
            ("text_to_mesh", {"text_prompt": "a wooden stool"}),
            ("image_to_mesh", {"image_path": "cat.png"}),
        ):
            job_id = (await call("submit", feature=feature, inputs=inputs))["job_id"]
            done = await call("result", job_id=job_id, wait_s=120)
            assert done["status"] == "succeeded", done
            assert done["outputs"]["output_mesh_path"] in [each["name"] for each in done["files"]]
            files = (await call("download", job_id=job_id))["files"]
            assert any(is_glb(tmp_path / name) for name in files if name.endswith(".glb"))
