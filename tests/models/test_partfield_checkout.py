"""A real checkout of PartField behind our adapter, from `submit` to parts, on a CPU with random weights of full size.

Needs, beside POCKET3D_MODELS_PYTHON (an interpreter with the recipe's requirements but torch-scatter),
PARTFIELD_CHECKOUT: a clone of https://github.com/nv-tlabs/PartField (NVIDIA's licence: research only).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.bus.client import Client
from support.fleet_processes import FleetProcesses

HERE = Path(__file__).parent
STAND_INS = HERE / "partfield_stand_ins"
CHECKOUT = os.environ.get("PARTFIELD_CHECKOUT")
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="PARTFIELD_CHECKOUT names no checkout of PartField")


@pytest.fixture(scope="session")
def weights(models_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("partfield") / "model_objaverse.ckpt"
    done = subprocess.run(
        [models_python, str(HERE / "partfield_random.py"), str(CHECKOUT), str(path)],
        env={**os.environ, "PYTHONPATH": str(STAND_INS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path


async def test_a_mesh_comes_apart_and_another_number_of_parts_is_cheap(
    fleet: FleetProcesses, models_python: str, weights: Path, tmp_path: Path
) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.6).apply_translation([2, 0, 0])
    mesh = tmp_path / "box_and_ball.glb"
    trimesh.util.concatenate([trimesh.creation.box().subdivide().subdivide(), ball]).export(mesh)
    entry = {
        "python": models_python,
        "path": [str(STAND_INS)],
        "devices": ["cpu"],
        "accept_license": True,
        "config": {"partfield_root": str(CHECKOUT), "model_path": str(weights), "vram_requirement": 1024},
    }
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", {"partfield-segmentation": entry}))
    await fleet.until_led(agents=1, timeout=60)
    async with Client.connect(fleet.url) as client:
        for wanted, reused in ((5, False), (3, True)):
            inputs = {"mesh_path": mesh, "num_parts": wanted, "points_per_face": 20}
            job = await client.submit("mesh_segmentation", inputs)
            result = await job.result(timeout=250)
            assert result.status == "succeeded", result.error
            assert result.outputs is not None
            files = await job.download(tmp_path / f"out-{wanted}")
            [labels] = [np.load(path, allow_pickle=False) for path in files if path.suffix == ".npy"]
            assert sorted(set(labels.tolist())) == list(range(wanted))
            assert len(labels) == 1472
            [scene] = [trimesh.load_scene(path) for path in files if path.suffix == ".glb"]
            assert len(scene.geometry) == wanted == result.outputs["num_parts"]
            assert result.outputs["generation_info"]["features_reused"] is reused
