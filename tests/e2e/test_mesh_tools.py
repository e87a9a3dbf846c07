"""Jobs of the tools for meshes that exist, through real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.command_line import pocket3d

pytest.importorskip("trimesh")
pytest.importorskip("pynanoinstantmeshes")
pytest.importorskip("fast_simplification")

from support import tool_meshes
from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.torch


async def test_each_tool_gives_back_a_sound_mesh(fleet: FleetProcesses, tmp_path: Path) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    fleet.coordinator()
    fleet.agent("host", "cpu:6000")
    await fleet.until_led(agents=1, timeout=120)
    for feature, more in (
        ("mesh_retopology", ["target_faces=500"]),
        ("uv_unwrapping", ["texture_resolution=256"]),
        ("mesh_simplification", ["ratio=0.5"]),
    ):
        out = tmp_path / feature
        ran = await asyncio.to_thread(
            pocket3d,
            *("submit", "-s", fleet.url, feature, f"mesh_path={source}", *more, "--wait", "--download", str(out)),
            timeout=240,
        )
        assert ran.code == 0, ran
        # The session has Khronos' validator judge it (`support.glb_session`).
        [mesh] = out.rglob("generated_mesh_*.glb")
        assert mesh.stat().st_size > 1000
        [picture] = out.rglob("*thumbnail.png")
        assert picture.stat().st_size > 1000
    # What workers on the CPU lane take is measured, and booked for them.
    (agent,) = (await fleet.ask("agents"))["agents"]
    booked = {each["adapter_id"]: each["vram_mb"] for each in agent["residents"]}
    took = {result["adapter_id"]: result["vram_peak_mb"] for result in await fleet.results()}
    assert len(took) == 3 and booked, "the last one at least is still loaded"
    assert all(took[each] > 50 and booked[each] >= round(1.1 * took[each]) for each in booked)
