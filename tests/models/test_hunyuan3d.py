"""Hunyuan3D's own shape pipeline (PyPI's `hy3dgen`, unmodified) and a diffusers text-to-image pipeline behind our
adapters, from `submit` to a GLB.

Random weights: the meshes are noise. What is shown is loading, sampling, decoding, clean-up, progress, cancelling, the
seed, that backgrounds are removed, and errors. Painting needs CUDA and is not here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw

from pocket3d.bus.client import Client
from pocket3d.bus.client.handle import JobHandle
from pocket3d.contracts.jobs import RetryPolicy
from pocket3d.contracts.messages import Result
from support.fleet_processes import FleetProcesses, until

HERE = Path(__file__).parent
STAND_INS = HERE / "hunyuan3d_stand_ins"
#: Threads that wait for each other in tiny products take ten times as long where other processes want the cores.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
WEIGHTS = "hunyuan3d-dit-v2-0/model.fp16.safetensors"
#: So many that some are told of on a fast machine too: a worker tells at most ten things a second.
STEPS = 20
#: 49^3 grid points in blocks of 8000.
QUICK = {"num_inference_steps": STEPS, "octree_resolution": 48, "num_chunks": 8000}
BLOCKS = 15


@pytest.fixture(scope="session")
def tiny(models_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in the released layout, written by upstream's own classes."""
    folder = tmp_path_factory.mktemp("hunyuan3d")
    done = subprocess.run(
        [models_python, str(HERE / "hunyuan3d_tiny.py"), str(folder)],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(STAND_INS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def opaque(tmp_path: Path) -> Path:
    """A photograph, as far as its alpha goes: none."""
    image = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 80, 85), fill="navy")
    image.save(tmp_path / "opaque.png")
    return tmp_path / "opaque.png"


@pytest.fixture
def cut_out(tmp_path: Path) -> Path:
    image = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(image).ellipse((20, 10, 80, 85), fill="crimson")
    image.save(tmp_path / "cut_out.png")
    return tmp_path / "cut_out.png"


def adapter(python: str, tiny: Path, remover: str = "corner_remover.CornerRemover", **config: Any) -> dict[str, Any]:
    """An operator's entry, but for the stand-ins in `path` and the CPU."""
    return {
        "python": python,
        "path": [str(STAND_INS)],
        "env": {**ENVIRONMENT, "CORNER_REMOVER_LOG": str(tiny / "removed.jsonl")},
        "devices": ["cpu"],
        "accept_license": True,
        "config": {
            "model_path": str(tiny / "weights"),
            "vram_requirement": 1024,
            "background_remover": remover,
            **config,
        },
    }


async def started(fleet: FleetProcesses, adapters: dict[str, dict[str, Any]]) -> None:
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)


async def succeeded(job: JobHandle) -> dict[str, Any]:
    result: Result = await job.result(timeout=60)
    assert result.status == "succeeded", result.error
    assert result.outputs is not None
    return result.outputs


async def mesh_of(job: JobHandle, folder: Path) -> Path:
    [path] = [each for each in await job.download(folder) if each.suffix == ".glb"]
    return path


def removals(tiny: Path) -> list[dict[str, Any]]:
    log = tiny / "removed.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_the_code_under_test_is_the_installed_package(tiny: Path, site_packages: Path) -> None:
    """With the stand-ins first on the path, as in the worker."""
    paths = [Path(each).resolve() for each in json.loads((tiny / "modules.json").read_text())]
    packages = [path.relative_to(site_packages).parts[0] for path in paths]
    assert packages == ["hy3dgen", "hy3dgen", "diffusers", "torchvision"]
    [known] = site_packages.glob("hy3dgen-*.dist-info")
    assert known.name == "hy3dgen-2.0.2.dist-info"


async def test_an_image_becomes_a_mesh_step_by_step_and_the_seed_decides_which(
    fleet: FleetProcesses, models_python: str, tiny: Path, opaque: Path, cut_out: Path, tmp_path: Path
) -> None:
    await started(fleet, {"hunyuan3d-image-to-mesh": adapter(models_python, tiny)})
    before = len(removals(tiny))
    async with Client.connect(fleet.url) as client:

        async def made(name: str, image: Path, **more: Any) -> tuple[dict[str, Any], Path]:
            job = await client.submit("image_to_mesh", {"image_path": image, **QUICK, **more}, job_id=name)
            return await succeeded(job), await mesh_of(job, tmp_path / "out" / name)

        job = await client.submit("image_to_mesh", {"image_path": opaque, "seed": 7, **QUICK}, job_id="first")
        seen = [(each.fraction, each.stage, each.message) async for each in job.progress()]
        outputs = await succeeded(job)
        path = await mesh_of(job, tmp_path / "out" / "first")

        # Steps of the sampler and blocks of the decoder, in order, never back. At most ten a second leave a worker, so
        # some of them.
        steps = [message for _, stage, message in seen if stage == "sampling"]
        blocks = [message for _, stage, message in seen if stage == "decoding the volume"]
        assert steps and steps == [each for n in range(STEPS + 1) if (each := f"step {n} of {STEPS}") in steps]
        assert blocks and blocks == [each for n in range(BLOCKS + 1) if (each := f"step {n} of {BLOCKS}") in blocks]
        fractions = [fraction for fraction, _, _ in seen if fraction is not None]
        assert fractions == sorted(fractions) and fractions[-1] == 1.0

        # What is told was counted in the file; +Y up, in upstream's cube.
        info = outputs["generation_info"]
        mesh = trimesh.load_scene(path).to_mesh()
        assert (info["vertex_count"], info["face_count"]) == (len(mesh.vertices), len(mesh.faces))
        assert info["face_count"] > 1000 and outputs["seed"] == info["seed"] == 7
        assert np.abs(mesh.bounds).max() <= 1.02 and mesh.extents.max() > 1.0
        assert info["num_inference_steps"] == STEPS and info["has_texture"] is False
        assert outputs["thumbnail_path"]

        # The opaque image went through the remover, in colour; and it told how much went.
        assert info["background"] == "removed by corner_remover.CornerRemover"
        [removed] = removals(tiny)[before:]
        with Image.open(opaque) as image:
            pixels = np.asarray(image)
        assert removed == {"mode": "RGB", "removed": int((pixels == 255).all(axis=2).sum())}

        _, again = await made("again", opaque, seed=7)
        assert again.read_bytes() == path.read_bytes()
        _, other = await made("other", opaque, seed=8)
        assert other.read_bytes() != path.read_bytes()

        # One with transparency keeps its own.
        told, _ = await made("cut-out", cut_out, seed=7)
        assert told["generation_info"]["background"] == "the image's own transparency"
        assert len(removals(tiny)) == before + 3

        # The triangles are reduced to what was asked for.
        told, _ = await made("few", opaque, seed=7, max_faces=500)
        assert told["generation_info"]["face_count"] < info["face_count"] / 3

        for name, bad in (("nothing", Image.new("RGBA", (40, 40))), ("plain", Image.new("RGB", (40, 40), "red"))):
            bad.save(tmp_path / f"{name}.png")
            job = await client.submit("image_to_mesh", {"image_path": tmp_path / f"{name}.png"}, job_id=name)
            result = await job.result(timeout=60)
            assert result.error is not None and result.error.code == "invalid_input", result.error
            assert result.error.field == "inputs.image_path"
    # One process, one load, for all of them; and nothing that upstream forgot lies in its folder.
    assert len(list(fleet.journal.glob("*.jsonl"))) == 1
    assert not list((fleet.folder / "state").rglob("*.ply"))


async def test_a_cancel_in_mid_sampling_ends_the_job_and_the_loaded_model_serves_the_next(
    fleet: FleetProcesses, models_python: str, tiny: Path, cut_out: Path
) -> None:
    await started(fleet, {"hunyuan3d-image-to-mesh": adapter(models_python, tiny)})
    async with Client.connect(fleet.url) as client:
        for number, (stage, long) in enumerate(
            (
                ("sampling", {"num_inference_steps": 200}),
                ("decoding the volume", {"num_inference_steps": 2, "octree_resolution": 384, "num_chunks": 500}),
            )
        ):
            job = await client.submit("image_to_mesh", {"image_path": cut_out, **long}, job_id=f"long-{number}")
            last = ""
            async for each in job.progress():
                if each.stage == stage and each.message != "step 0 of 200":
                    last = each.message or ""
                    await job.cancel("seen enough")
                    break
            result = await job.result(timeout=30)
            assert result.status == "cancelled", result
            done, total = (int(word) for word in last.removeprefix("step ").split(" of "))
            assert done < total
            short = await client.submit("image_to_mesh", {"image_path": cut_out, **QUICK}, job_id=f"short-{number}")
            await succeeded(short)
    # Nobody was killed: the process that was interrupted made the others.
    assert len(list(fleet.journal.glob("*.jsonl"))) == 1


async def test_a_prompt_becomes_an_image_and_the_image_a_mesh(
    fleet: FleetProcesses, models_python: str, tiny: Path, tmp_path: Path
) -> None:
    images = {
        "text_to_image_model": str(tiny / "text-to-image"),
        "text_to_image_steps": 40,
        "text_to_image_size": 64,
        # A tiny network's pictures are noise without a background.
        "remover": "corner_remover.HalfRemover",
    }
    await started(fleet, {"hunyuan3d-text-to-mesh": adapter(models_python, tiny, **images)})
    # From before the jobs are there: a warm model's first steps are over at once.
    stages: dict[str, set[str]] = {}

    async def on_progress(message: Any) -> None:
        told = json.loads(message.data)
        stages.setdefault(told["job_id"], set()).add(told["stage"])

    await fleet.nc.subscribe("p3d.progress.text_to_mesh.*", cb=on_progress)
    async with Client.connect(fleet.url) as client:
        pictures: dict[str, bytes] = {}
        meshes: dict[str, bytes] = {}
        for name, prompt, seed in (
            ("chair", "a chair", 5),
            ("again", "a chair", 5),
            ("cat", "a cat", 5),
            ("other", "a chair", 6),
        ):
            inputs = {"text_prompt": prompt, "seed": seed, **QUICK}
            job = await client.submit("text_to_mesh", inputs, job_id=name)
            outputs = await succeeded(job)
            info = outputs["generation_info"]
            assert (outputs["seed"], info["text_to_image_steps"]) == (seed, 40)
            assert info["background"] == "removed by corner_remover.HalfRemover"
            files = await job.download(tmp_path / "out" / name)
            [picture] = [each for each in files if each.name.endswith("prompt_image.png")]
            [mesh] = [each for each in files if each.suffix == ".glb"]
            with Image.open(picture) as image:
                assert image.size == (64, 64)
            pictures[name], meshes[name] = picture.read_bytes(), mesh.read_bytes()
        for name in pictures:
            await until(lambda name=name: "done" in stages.get(name, ()), 10, f"the last progress of {name}")
            assert {"making the image", "sampling"} <= stages[name]
        assert pictures["chair"] == pictures["again"] and meshes["chair"] == meshes["again"]
        assert len({pictures[name] for name in ("chair", "cat", "other")}) == 3
        assert len({meshes[name] for name in ("chair", "cat", "other")}) == 3


async def test_missing_and_broken_weights_and_empty_fields_are_named(
    fleet: FleetProcesses, models_python: str, tiny: Path, cut_out: Path, tmp_path: Path
) -> None:
    nowhere, copy = tmp_path / "nowhere", tmp_path / "copy"
    shutil.copytree(tiny / "weights", copy)
    image = "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DImageToMeshAdapter"
    await started(
        fleet,
        {
            "absent": {"class": image, **adapter(models_python, tiny, model_path=str(nowhere))},
            "no-rembg": {"class": image, **adapter(models_python, tiny, "hy3dgen.rembg.BackgroundRemover")},
            "hollow": {"class": image, **adapter(models_python, tiny, model_path=str(tiny / "hollow"))},
            "lost": {"class": image, **adapter(models_python, tiny, model_path=str(copy))},
            "hunyuan3d-text-to-mesh": adapter(models_python, tiny, text_to_image_model=str(nowhere)),
        },
    )
    # Not there: the agent offers it with the reason, the path and the command.
    [agent] = (await fleet.ask("agents"))["agents"]
    reasons = {each["adapter_id"]: each["reason"] for each in agent["adapters"]}
    assert reasons["hollow"] is None and reasons["lost"] is None
    assert f"there is no {nowhere}/hunyuan3d-dit-v2-0/config.yaml" in reasons["absent"]
    assert "pocket3d adapters install hunyuan3d-image-to-mesh" in reasons["absent"]
    assert "rembg is not installed" in reasons["no-rembg"]
    assert f"there is no {nowhere}/model_index.json" in reasons["hunyuan3d-text-to-mesh"]
    once = RetryPolicy(max_attempts=1)
    async with Client.connect(fleet.url) as client:
        await client.submit("text_to_mesh", {"text_prompt": "a chair"}, job_id="waits")

        async def explained() -> bool:
            return str(nowhere) in json.dumps(await fleet.ask("explain", {"job_id": "waits"}))

        await until(explained, 20, "the explanation")

        async def failed(adapter_id: str, name: str) -> Any:
            job = await client.submit(
                "image_to_mesh", {"image_path": cut_out, **QUICK}, job_id=name, retry=once, model_preference=adapter_id
            )
            result = await job.result(timeout=60)
            assert result.status == "failed" and result.error is not None, result
            return result.error

        # Upstream prints a traceback and returns [None].
        error = await failed("hollow", "empty")
        assert error.code == "adapter_error" and "decoded no surface" in error.message

        weights = copy / WEIGHTS
        whole = weights.read_bytes()
        weights.write_bytes(whole[:1000])
        error = await failed("lost", "broken")
        assert error.code == "load_failed" and str(weights) in error.message

        # Lost after the agent looked: upstream would ask the hub.
        weights.unlink()
        error = await failed("lost", "lost")
        assert error.code == "adapter_unavailable" and str(weights.parent) in error.message
