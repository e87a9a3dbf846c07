"""A real checkout of UniRig behind our adapter, from `submit` to a rigged GLB, on a CPU with tiny random weights.

Needs, beside POCKET3D_MODELS_PYTHON (an interpreter with bpy 4.2, numpy 1.26, transformers 4.51.3, spconv and the rest
of the recipe's requirements), UNIRIG_CHECKOUT: a clone of https://github.com/VAST-AI-Research/UniRig.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.rig_file import read_rig
from pocket3d.bus.client import Client
from pocket3d.contracts.jobs import RetryPolicy
from support.fleet_processes import FleetProcesses

HERE = Path(__file__).parent
STAND_INS = HERE / "unirig_stand_ins"
CHECKOUT = os.environ.get("UNIRIG_CHECKOUT")
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="UNIRIG_CHECKOUT names no checkout of UniRig")


@pytest.fixture(scope="session")
def tiny(models_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unirig")
    done = subprocess.run(
        [models_python, str(HERE / "unirig_tiny.py"), str(CHECKOUT), str(folder)],
        env={**os.environ, "PYTHONPATH": str(STAND_INS), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    from PIL import Image

    mesh = trimesh.creation.capsule(height=2, radius=0.4, count=[16, 16])
    picture = Image.fromarray((np.random.default_rng(0).random((32, 32, 3)) * 255).astype("u1"))
    uv = np.random.default_rng(1).random((len(mesh.vertices), 2))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    path = tmp_path / "figure.glb"
    mesh.export(path)
    return path


async def start(fleet: FleetProcesses, python: str, tiny: Path, weights: Path | None = None) -> None:
    entry: dict[str, Any] = {
        "python": python,
        "path": [str(STAND_INS)],
        "devices": ["cpu"],
        "config": {
            "unirig_root": str(tiny / "root"),
            "model_path": str(weights or tiny / "weights"),
            "vram_requirement": 1024,
        },
    }
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", {"unirig-auto-rigging": entry}))
    await fleet.until_led(agents=1, timeout=60)


async def test_a_mesh_gets_bones_and_keeps_its_texture(
    fleet: FleetProcesses, models_python: str, tiny: Path, figure: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny / "weights", weights)
    await start(fleet, models_python, tiny, weights)
    async with Client.connect(fleet.url) as client:
        job = await client.submit("auto_rig", {"mesh_path": figure})
        seen = [(each.fraction, each.stage) async for each in job.progress()]
        result = await job.result(timeout=200)
        assert result.status == "succeeded", result.error
        assert result.outputs is not None
        [made] = [path for path in await job.download(tmp_path / "out") if path.suffix == ".glb"]
        # The second job has them from memory: whoever reads these files fails.
        for file in weights.rglob("*.ckpt"):
            file.write_bytes(b"none")
        again = await (await client.submit("auto_rig", {"mesh_path": figure})).result(timeout=200)
        assert again.status == "succeeded", again.error
        assert again.outputs is not None and again.outputs["bone_count"] == result.outputs["bone_count"]
    rig = read_rig(made, skinned=True)
    assert result.outputs["bone_count"] == rig.bones > 1
    assert rig.most_influences <= 4
    given, after = (trimesh.load(path, force="mesh") for path in (figure, made))
    assert len(given.faces) == len(after.faces), "the mesh as it came, no ball for the bones"
    pictures = [np.asarray(each.visual.material.baseColorTexture.convert("RGB")) for each in (given, after)]
    assert np.array_equal(*pictures)
    assert len({fraction for fraction, stage in seen if stage == "generating the skeleton"}) > 1, "token by token"


async def test_a_cancel_within_the_skeletons_model(
    fleet: FleetProcesses, models_python: str, tiny: Path, figure: Path
) -> None:
    await start(fleet, models_python, tiny)
    async with Client.connect(fleet.url) as client:
        job = await client.submit("auto_rig", {"mesh_path": figure}, retry=RetryPolicy(max_attempts=1))
        async for each in job.progress():
            if each.stage == "generating the skeleton":
                await job.cancel()
        result = await job.result(timeout=100)
    assert result.status == "cancelled"
