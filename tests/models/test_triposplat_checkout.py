"""A real checkout of TripoSplat behind our adapter, from `submit` to files, on a CPU with tiny random weights.

Needs, beside POCKET3D_MODELS_PYTHON, TRIPOSPLAT_CHECKOUT: a clone of https://github.com/VAST-AI-Research/TripoSplat.
The Gaussians are noise. What is shown is loading, all stages, progress, cancelling, the seed, and both formats.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
from PIL import Image, ImageDraw

from pocket3d.adapters.splat.files import read_gaussians
from pocket3d.bus.client import Client
from support.fleet_processes import FleetProcesses

HERE = Path(__file__).parent
#: PyPI's torchvision beside a CPU torch.
STAND_INS = HERE / "hunyuan3d_stand_ins"
CHECKOUT = os.environ.get("TRIPOSPLAT_CHECKOUT")
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="TRIPOSPLAT_CHECKOUT names no checkout of TripoSplat")
FEW = 32_768
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def tiny(models_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triposplat")
    done = subprocess.run(
        [models_python, str(HERE / "triposplat_tiny.py"), str(CHECKOUT), str(folder)],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(STAND_INS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


async def test_an_image_becomes_gaussians_in_both_formats_and_a_cancel_ends_it(
    fleet: FleetProcesses, models_python: str, tiny: Path, tmp_path: Path
) -> None:
    image = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(image).ellipse((20, 10, 80, 85), fill="crimson")
    image.save(tmp_path / "ball.png")
    entry = {
        "python": models_python,
        "path": [str(STAND_INS)],
        "env": ENVIRONMENT,
        "devices": ["cpu"],
        "config": {
            "triposplat_root": str(tiny / "checkout"),
            "model_path": str(tiny / "weights"),
            "vram_requirement": 1024,
        },
    }
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", {"triposplat-image-to-splat": entry}))
    await fleet.until_led(agents=1, timeout=60)
    async with Client.connect(fleet.url) as client:

        async def made(name: str, **inputs: Any) -> tuple[dict[str, Any], Path]:
            given = {"image_path": tmp_path / "ball.png", "num_gaussians": FEW, "steps": 4, **inputs}
            job = await client.submit("image_to_splat", given, job_id=name)
            result = await job.result(timeout=300)
            assert result.status == "succeeded", result.error
            assert result.outputs is not None
            types = {each.name.rpartition(".")[2]: each.media_type for each in result.artifacts}
            assert types["png"] == "image/png" and types.get("ply", "model/ply") == "model/ply"
            files = await job.download(tmp_path / "out" / name)
            [path] = [each for each in files if each.suffix in (".ply", ".splat")]
            return result.outputs, path

        outputs, first = await made("first", seed=7)
        info = outputs["generation_info"]
        assert outputs["output_splat_path"] == first.name and outputs["thumbnail_path"]
        assert info["gaussian_count"] == len(read_gaussians(first).positions) == FEW
        # Upstream's own writer gave them as infinite logits.
        assert info["settled_opacities"] > 0
        assert (await made("again", seed=7))[1].read_bytes() == first.read_bytes()
        assert (await made("other", seed=8))[1].read_bytes() != first.read_bytes()
        outputs, small = await made("small", seed=7, output_format="splat")
        assert small.stat().st_size == 32 * FEW == 32 * outputs["generation_info"]["gaussian_count"]

        job = await client.submit("image_to_splat", {"image_path": tmp_path / "ball.png", "steps": 200}, job_id="long")
        seen = []
        async for each in job.progress():
            seen.append(each.stage or "")
            if each.stage and each.stage.startswith("sampling"):
                await job.cancel()
        assert (await job.result(timeout=60)).status == "cancelled"
        assert "encoding the image" in seen
        await made("after")
    # One process, one load, for all of them: nobody was killed.
    assert len(list(fleet.journal.glob("*.jsonl"))) == 1
