"""The reader's adapter through the scheduler, and the guide's bare methods, each called in a worker process."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.messages import Result
from pocket3d.ops.scheduler import GPUMonitor, JobRequest, ModelScheduler
from support.guide_source import adapted, run

from .conftest import Reader

pytestmark = [pytest.mark.e2e, pytest.mark.torch]

WAIT_S = 120.0


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[ModelScheduler]:
    """Started, on one simulated GPU: the guide's adapters run on GPUs only."""
    async with ModelScheduler(GPUMonitor(devices="fixed:24576"), outputs=tmp_path / "results") as started:
        yield started


async def test_blocks_2_to_4_a_readers_adapter_runs_in_a_worker(
    reader: Reader, scheduler: ModelScheduler, tmp_path: Path
) -> None:
    reader.write_my_model_adapter()
    await run(adapted(3))
    names = await run(adapted(4), scheduler=scheduler)
    result = await scheduler.wait(names["job_id"], WAIT_S)

    assert result.status == "succeeded" and result.outputs is not None, result.error
    assert result.outputs["success"] is True and result.adapter_id == "my-model"
    assert result.outputs["generation_info"] == {
        "model": "MyModel",
        "prompt": "A beautiful 3D model",
        "vertex_count": 8,
        "face_count": 12,
    }
    mesh = Path(result.outputs["output_mesh_path"])
    assert mesh.is_relative_to(tmp_path / "results" / names["job_id"])
    assert mesh.name.startswith("mymodel_A_beautiful_3D_model_") and mesh.read_bytes() == b"glTF a mesh"

    again = await scheduler.schedule_job(
        JobRequest("text_to_mesh", {"text_prompt": "another"}, model_preference="my-model-adapter")
    )
    assert (await scheduler.wait(again, WAIT_S)).status == "succeeded"

    await scheduler.stop()
    first, *rest = reader.calls()
    assert (first["call"], first["path"], first["custom_param"]) == (
        "from_pretrained",
        "/opt/weights/my-model",
        "my_value",
    )
    assert [(call["call"], call.get("quality")) for call in rest] == [
        ("generate", "high"),
        ("generate", "medium"),
        ("cpu", None),
    ]
    assert {call["pid"] for call in rest} == {first["pid"]} and first["pid"] != os.getpid()


AROUND = """
import logging
import warnings

from support.guide_around import Around

# A module may hold its adapter and the program that uses it.
from pocket3d.ops.scheduler import ModelScheduler

logger = logging.getLogger(__name__)
"""


async def test_blocks_10_to_13_the_methods_work_in_a_worker(
    reader: Reader, scheduler: ModelScheduler, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    bound = {
        10: "class Model(Around):\n    _unload_model = _unload_model\n",
        11: "class Model(Around):\n    _process_request = _process_request\n",
        # torch deprecates the guide's call, and says that this machine has no GPU for it.
        12: "class Model(OptimizedAdapter, Around):\n    pass\n"
        "warnings.filterwarnings('ignore', '.*torch.cuda.amp.autocast', FutureWarning)\n"
        "warnings.filterwarnings('ignore', '.*CUDA is not available', UserWarning)\n",
        13: "class Model(Around):\n    _process_request = _process_request\n",
    }
    for number, model in bound.items():
        reader.write(f"block_{number}", f"{adapted(number)}{AROUND}\n{model}")
        module = importlib.import_module(f"block_{number}")
        scheduler.register_model(module.Model(model_id=f"block-{number}", journal=str(journal)))

    async def ask(number: int, prompt: str, **inputs: Any) -> Result:
        request = JobRequest(
            "text_to_mesh",
            {"text_prompt": prompt, **inputs},
            model_preference=f"block-{number}",
            retry={"max_attempts": 1},
        )
        return await scheduler.wait(await scheduler.schedule_job(request), WAIT_S)

    cleaned = await ask(10, "a chair")
    assert cleaned.status == "succeeded", cleaned.error

    careful = await ask(11, "a chair", output_format="obj")
    assert careful.outputs is not None and careful.outputs["output_format"] == "obj", careful.error
    for prompt, code, message in (
        ("a shape I do not know", "invalid_input", "there is no such shape"),
        ("too slow", "adapter_error", "Model processing timed out"),
        ("break", "adapter_error", "Model processing failed: the model broke"),
    ):
        failed = await ask(11, prompt)
        assert failed.error is not None and (failed.status, failed.error.code) == ("failed", code)
        assert message in failed.error.message
    refused = await ask(11, "a chair", output_format="exe")
    assert refused.error is not None and refused.error.field == "inputs.output_format"

    twice = [await ask(12, "a boat", seed=seed) for seed in (1, 2)]
    assert [each.outputs for each in twice] == [
        {"success": True, "result": "mesh of <a boat>", "seed": seed} for seed in (1, 2)
    ]

    assert (await ask(13, "a cup")).status == "succeeded"
    assert (await ask(13, "break")).status == "failed"
    counted = (await ask(13, "a cup")).outputs
    assert counted is not None
    metrics = counted["metrics"]
    assert (metrics["successes"], metrics["failures"], metrics["last_error"]) == (1, 1, "the model broke")
    assert metrics["processing_s"] > 0

    await scheduler.stop()
    noted = [tuple(line.split()) for line in journal.read_text().splitlines()]
    steps = {number: [what for model, what, _ in noted if model == f"block-{number}"] for number in bound}
    assert steps[10] == ["load", "cpu"]
    assert steps[11][0] == "load" and steps[11][-1] == "unload"
    assert steps[12] == ["load", "preprocess", "run", "run", "unload"]
    assert steps[13][0] == "load" and steps[13][-1] == "unload"
    workers = {pid: model for model, _, pid in noted}
    assert str(os.getpid()) not in workers and set(workers.values()) == {f"block-{number}" for number in bound}
    assert all(workers[pid] == model for model, _, pid in noted)
