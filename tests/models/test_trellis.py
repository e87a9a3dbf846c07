"""TRELLIS's own pipelines (PyPI's `trellis-3d-ms`, unmodified) behind our adapters, from `submit` to a GLB.

Random weights and stand-ins for what needs CUDA (trellis_stand_ins/README.md): the meshes are noise. What is shown is
loading, both sampling stages, progress, cancelling, the seed, and errors.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trimesh
from PIL import Image, ImageDraw

from pocket3d.bus.client import Client
from pocket3d.bus.client.handle import JobHandle
from pocket3d.contracts.jobs import RetryPolicy
from pocket3d.contracts.messages import Result
from support.fleet_processes import ROOT, FleetProcesses, until

HERE = Path(__file__).parent
STAND_INS = HERE / "trellis_stand_ins"
#: spconv's CPU build adds up in several threads without a lock: with two, the same input gave other sums each time.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
#: Of the weights' own pipeline.json.
STEPS = 5
#: At most ten messages a second leave a worker, and the tiny models take milliseconds for a step.
MANY = {"sparse_structure_steps": 300, "slat_steps": 100}


@pytest.fixture(scope="session")
def tiny(models_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in the released layout, written by TRELLIS's own classes."""
    folder = tmp_path_factory.mktemp("trellis")
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(STAND_INS), "ATTN_BACKEND": "xformers"}
    done = subprocess.run(
        [models_python, str(HERE / "trellis_tiny.py"), str(folder)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two images with a transparent background."""
    paths = []
    for name, colour in (("front", "crimson"), ("side", "navy")):
        image = Image.new("RGBA", (96, 96))
        ImageDraw.Draw(image).ellipse((20, 10, 80, 85), fill=colour)
        image.save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    return paths


def adapter(python: str, tiny: Path, **config: Any) -> dict[str, Any]:
    """An operator's entry, but for the stand-ins in `path` and the CPU."""
    return {
        "python": python,
        "path": [str(STAND_INS)],
        "env": {**ENVIRONMENT, "TORCH_HOME": str(tiny / "torch"), "U2NET_HOME": str(tiny / "u2net")},
        "devices": ["cpu"],
        "accept_license": True,
        "config": {"model_path": str(tiny / "weights"), "vram_requirement": 1024, **config},
    }


async def started(fleet: FleetProcesses, adapters: dict[str, dict[str, Any]]) -> None:
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", adapters))
    await fleet.until_led(agents=1, timeout=60)


async def succeeded(job: JobHandle) -> Result:
    result = await job.result(timeout=60)
    assert result.status == "succeeded", result.error
    return result


def mesh_of(files: list[Path]) -> Path:
    [path] = [each for each in files if each.suffix == ".glb"]
    return path


def only_mesh(path: Path) -> trimesh.Trimesh:
    [mesh] = trimesh.load_scene(path).geometry.values()
    return mesh


def colours_of(mesh: trimesh.Trimesh) -> list[list[int]]:
    """COLOR_0, beside a material that says it is no metal."""
    assert mesh.visual.material.metallicFactor == 0.0
    return mesh.visual.vertex_attributes["color"].tolist()


def stages_of(seen: list[tuple[float | None, str | None]], name: str, steps: int) -> list[int]:
    """Numbers of the steps of one sampling stage that a subscriber heard of."""
    heard = [stage.removeprefix(f"{name} ").split("/") for _, stage in seen if stage and stage.startswith(f"{name} ")]
    assert all(of == str(steps) for _, of in heard)
    numbers = [int(number) for number, _ in heard]
    assert numbers == sorted(set(numbers)), "steps told twice or out of order"
    return numbers


async def watched(job: JobHandle) -> list[tuple[float | None, str | None]]:
    return [(each.fraction, each.stage) async for each in job.progress()]


def test_the_code_under_test_is_the_installed_package(tiny: Path, site_packages: Path) -> None:
    """With the stand-ins first on the path, as in the worker."""
    assert not (STAND_INS / "trellis").exists()
    paths = [Path(each).resolve() for each in json.loads((tiny / "modules.json").read_text())]
    packages = [path.relative_to(site_packages).parts[0] for path in paths]
    assert packages == ["trellis", "trellis", "spconv", "torchvision"]


def test_the_baking_that_cannot_run_here_calls_what_is_there(site_packages: Path) -> None:
    """Upstream's export needs CUDA on import; its functions' parameters can be read."""
    tree = ast.parse((site_packages / "trellis" / "utils" / "postprocessing_utils.py").read_text())
    taken = {
        each.name: [argument.arg for argument in each.args.args]
        for each in tree.body
        if isinstance(each, ast.FunctionDef)
    }
    imported = {name.name for each in tree.body if isinstance(each, ast.ImportFrom) for name in each.names}
    called = ast.parse((ROOT / "adapters" / "pocket3d" / "adapters" / "trellis" / "export.py").read_text())
    calls = {
        each.func.attr: each
        for each in ast.walk(called)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id == "processing"
    }
    assert set(calls) == {"to_glb", "parametrize_mesh", "render_multiview", "bake_texture"}
    assert "render_multiview" in imported and "tqdm" in imported
    for name in set(calls) - {"render_multiview"}:
        assert {word.arg for word in calls[name].keywords} <= set(taken[name]), name
    assert taken["to_glb"][:2] == ["app_rep", "mesh"] and taken["parametrize_mesh"] == ["vertices", "faces"]
    order = ["vertices", "faces", "uvs", "observations", "masks", "extrinsics", "intrinsics"]
    assert taken["bake_texture"][:7] == order and len(calls["bake_texture"].args) == 7


async def test_images_become_a_mesh_step_by_step_and_the_seed_decides_which(
    fleet: FleetProcesses, models_python: str, tiny: Path, pictures: list[Path], tmp_path: Path
) -> None:
    await started(fleet, {"trellis-image-to-mesh": adapter(models_python, tiny)})
    async with Client.connect(fleet.url) as client:

        async def made(name: str, **inputs: Any) -> tuple[Result, Path]:
            job = await client.submit("image_to_mesh", inputs, job_id=name)
            result = await succeeded(job)
            return result, mesh_of(await job.download(tmp_path / "out" / name))

        job = await client.submit("image_to_mesh", {"image_path": pictures[0], **MANY}, job_id="slow")
        seen = await watched(job)
        assert stages_of(seen, "structure", 300) and stages_of(seen, "surface and colour", 100)
        fractions = [fraction for fraction, _ in seen if fraction is not None]
        assert fractions == sorted(fractions) and fractions[-1] == 1.0

        result, path = await made("first", image_path=pictures[0], seed=7)

        # What is told was counted in the file; the file is +Y up, coloured, in TRELLIS's unit cube.
        outputs = result.outputs
        assert outputs is not None
        info = outputs["generation_info"]
        mesh = only_mesh(path)
        assert (info["vertex_count"], info["face_count"]) == (len(mesh.vertices), len(mesh.faces))
        assert info["face_count"] > 1000 and outputs["seed"] == info["seed"] == 7
        assert info["colour"] == "vertex colours" and "cpu" in info["colour_reason"]
        assert len({tuple(each) for each in colours_of(mesh)}) > 100
        assert 0.5 < mesh.extents.max() < 1.1
        assert info["samplers"]["slat"]["steps"] == STEPS and info["samplers"]["slat"]["cfg_strength"] == 5.0
        assert outputs["thumbnail_path"]

        _, again = await made("again", image_path=pictures[0], seed=7)
        assert again.read_bytes() == path.read_bytes()
        _, other = await made("other", image_path=pictures[0], seed=8)
        assert other.read_bytes() != path.read_bytes()

        # Several images are all looked at: changing the second one changes the mesh.
        told, both = await made("both", image_paths=pictures, seed=7, slat_steps=6)
        assert told.outputs is not None and told.outputs["generation_info"]["num_images"] == 2
        assert told.outputs["generation_info"]["samplers"]["slat"]["steps"] == 6
        _, twice = await made("twice", image_paths=[pictures[0], pictures[0]], seed=7, slat_steps=6)
        assert both.read_bytes() != twice.read_bytes()

        # Transparent all over: the producer's mistake, not tried again.
        Image.new("RGBA", (40, 40)).save(tmp_path / "nothing.png")
        job = await client.submit("image_to_mesh", {"image_path": tmp_path / "nothing.png"}, job_id="nothing")
        refused = await job.result(timeout=60)
        assert refused.error is not None and refused.error.code == "invalid_input"
        assert "no subject" in refused.error.message and refused.error.field == "inputs.image_path"
    # One process, one load, for all of them.
    assert len(list(fleet.journal.glob("*.jsonl"))) == 1


async def test_a_cancel_in_mid_sampling_ends_the_job_and_the_loaded_model_serves_the_next(
    fleet: FleetProcesses, models_python: str, tiny: Path, pictures: list[Path], tmp_path: Path
) -> None:
    await started(fleet, {"trellis-image-to-mesh": adapter(models_python, tiny)})
    async with Client.connect(fleet.url) as client:
        steps = {"sparse_structure_steps": 500, "slat_steps": 500}
        for name, images, stage in (
            ("one", {"image_path": pictures[0]}, "surface and colour"),
            # Here upstream leaves its changed sampler behind when sampling is interrupted.
            ("many", {"image_paths": pictures}, "structure"),
        ):
            job = await client.submit("image_to_mesh", {**images, **steps}, job_id=f"long-{name}")
            last = ""
            async for each in job.progress():
                last = each.stage or ""
                if last.startswith(stage):
                    await job.cancel("seen enough")
                    break
            result = await job.result(timeout=30)
            assert result.status == "cancelled", result
            assert last.startswith(stage) and not last.endswith("500/500")

            short = await client.submit("image_to_mesh", {**images, "seed": 3}, job_id=f"short-{name}")
            await succeeded(short)
            await short.download(tmp_path / "out" / f"short-{name}")

        fresh = await client.submit("image_to_mesh", {"image_paths": pictures, "seed": 3}, job_id="fresh")
        await succeeded(fresh)
        unmoved = mesh_of(await fresh.download(tmp_path / "out" / "fresh"))
        assert unmoved.read_bytes() == mesh_of(list((tmp_path / "out" / "short-many").iterdir())).read_bytes()
    # Nobody was killed: the process that was interrupted made the others.
    assert len(list(fleet.journal.glob("*.jsonl"))) == 1


async def test_a_prompt_becomes_a_mesh_and_given_meshes_are_painted(
    fleet: FleetProcesses, models_python: str, tiny: Path, pictures: list[Path], tmp_path: Path
) -> None:
    names = ("trellis-text-to-mesh", "trellis-text-painting", "trellis-image-painting")
    await started(fleet, {name: adapter(models_python, tiny) for name in names})
    tall = trimesh.creation.capsule(height=3.0, radius=0.5)
    tall.apply_translation((5.0, 0.0, 0.0))
    tall.export(tmp_path / "tall.ply")
    async with Client.connect(fleet.url) as client:
        job = await client.submit("text_to_mesh", {"text_prompt": "a red chair", **MANY}, job_id="slow")
        seen = await watched(job)
        assert stages_of(seen, "structure", 300) and stages_of(seen, "surface and colour", 100)
        meshes: dict[str, Path] = {}
        for name, prompt in (("chair", "a red chair"), ("again", "a red chair"), ("cat", "a cat")):
            job = await client.submit("text_to_mesh", {"text_prompt": prompt, "seed": 5}, job_id=name)
            result = await succeeded(job)
            assert result.outputs is not None and result.outputs["seed"] == 5
            meshes[name] = mesh_of(await job.download(tmp_path / "out" / name))
        assert meshes["chair"].read_bytes() == meshes["again"].read_bytes() != meshes["cat"].read_bytes()

        colours = {}
        for feature, given in (
            ("text_to_texture", {"text_prompt": "rusty iron"}),
            ("image_to_texture", {"image_path": pictures[1]}),
        ):
            job = await client.submit(feature, {"mesh_path": tmp_path / "tall.ply", "seed": 5, **given}, job_id=feature)
            result = await succeeded(job)
            assert result.outputs is not None
            info = result.outputs["painting_info"]
            painted = only_mesh(mesh_of(await job.download(tmp_path / "out" / feature)))
            # The shape is the given one, where it was; its colours are new.
            assert (info["vertex_count"], info["face_count"]) == (len(tall.vertices), len(tall.faces))
            assert abs(painted.bounds - tall.bounds).max() < 1e-5
            assert list(info["samplers"]) == ["slat"]
            colours[feature] = colours_of(painted)
            assert len({tuple(each) for each in colours[feature]}) > 50
        assert colours["text_to_texture"] != colours["image_to_texture"]

        # An OBJ takes its colours along.
        job = await client.submit("text_to_mesh", {"text_prompt": "a cup", "output_format": "obj"}, job_id="cup")
        await succeeded(job)
        [obj] = [each for each in await job.download(tmp_path / "out" / "cup") if each.suffix == ".obj"]
        assert len(obj.read_text().splitlines()[4].split()) in (4, 7)


async def test_missing_and_broken_weights_are_named(
    fleet: FleetProcesses, models_python: str, tiny: Path, pictures: list[Path], tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    copy = tmp_path / "copy"
    shutil.copytree(tiny / "weights", copy)
    broken = copy / "TRELLIS-image-large" / "ckpts" / "slat_decoder_mesh.safetensors"
    broken.write_bytes(broken.read_bytes()[:1000])
    await started(
        fleet,
        {
            "trellis-text-to-mesh": adapter(models_python, tiny, model_path=str(nowhere)),
            "trellis-image-to-mesh": adapter(models_python, tiny, model_path=str(copy)),
        },
    )
    # Not there: the agent offers it with the reason, and a job that waits for it is told.
    [agent] = (await fleet.ask("agents"))["agents"]
    reasons = {each["adapter_id"]: each["reason"] for each in agent["adapters"]}
    assert reasons["trellis-image-to-mesh"] is None
    assert f"there is no {nowhere}/pipeline.json" in reasons["trellis-text-to-mesh"]
    assert "pocket3d adapters install trellis-text-to-mesh" in reasons["trellis-text-to-mesh"]
    async with Client.connect(fleet.url) as client:
        await client.submit("text_to_mesh", {"text_prompt": "a chair"}, job_id="waits")

        async def explained() -> bool:
            return str(nowhere) in json.dumps(await fleet.ask("explain", {"job_id": "waits"}))

        await until(explained, 20, "the explanation")

        # There, but broken: upstream's own error would be that the hub has no such repository.
        once = RetryPolicy(max_attempts=1)
        job = await client.submit("image_to_mesh", {"image_path": pictures[0]}, job_id="broken", retry=once)
        result = await job.result(timeout=60)
        assert result.error is not None and result.error.code == "load_failed"
        assert "cannot load its weights" in result.error.message and "SafetensorError" in result.error.message

        # Lost after the agent looked: the file is named.
        broken.unlink()
        job = await client.submit("image_to_mesh", {"image_path": pictures[0]}, job_id="lost", retry=once)
        result = await job.result(timeout=60)
        assert result.error is not None and result.error.code == "adapter_unavailable"
        assert str(broken.with_suffix("")) in result.error.message
