"""The adapters of trellis.cpp against a small server that behaves as its documentation says."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("PIL")

from PIL import Image

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.catalogue.class_loading import from_spec
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.runtime.describe import describe
from pocket3d.adapters.upstream.http_program.errors import OutOfMemoryError
from pocket3d.adapters.upstream.trellis_cpp.adapter import Pixal3DCppAdapter, Trellis2CppAdapter, TrellisCppAdapter
from pocket3d.adapters.upstream.trellis_cpp.recipe import RECIPE
from pocket3d.contracts.worker_frames import AdapterSpec, ConfiguredVariant, ModelLoaded, RunFinished
from support.worker_driver import WorkerDriver, alive, wait_until

SCRIPT = Path(__file__).parents[2] / "support" / "fake_trellis_server.py"
ORDER = ["structure", "shape", "fine shape", "decoding the shape", "colour"]
ADAPTERS: tuple[type[TrellisCppAdapter], ...] = (Trellis2CppAdapter, Pixal3DCppAdapter)
PATHS = {each: f"{each.__module__}.{each.__name__}" for each in ADAPTERS}


class Host:
    """A host on which the program and the weights are, and jobs for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "trellis-server"
        self.program.write_text(
            f"#!{sys.executable}\nimport runpy\nrunpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        )
        self.program.chmod(0o755)
        self.models = folder / "models"
        self.models.mkdir()
        for adapter in PATHS:
            for name in adapter.files:
                (self.models / name).touch()
        self.image = folder / "photo.webp"
        Image.new("RGBA", (64, 48), (200, 30, 30, 128)).save(self.image)
        self.progress: list[tuple[float | None, str | None, str | None]] = []

    @property
    def config(self) -> dict[str, Any]:
        return {"program": str(self.program), "model_path": str(self.models)}

    def make(self, cls: type[TrellisCppAdapter], variant: str | None = None, **config: Any) -> TrellisCppAdapter:
        made = cls(**{**self.config, **config})
        made.device = "cuda"
        if variant is not None:
            made.choose_variant(variant)
        return made

    def mode(self, word: str) -> None:
        (self.folder / "mode").write_text(word)

    def records(self, key: str) -> list[dict[str, Any]]:
        lines = (self.folder / "requests.jsonl").read_text().splitlines()
        return [each for each in map(json.loads, lines) if key in each]

    def run(self, adapter: TrellisCppAdapter, **inputs: Any) -> dict[str, Any]:
        output = self.folder / "out"
        output.mkdir(exist_ok=True)
        token = current_run.set(RunContext(output_dir=output, on_progress=lambda *told: self.progress.append(told)))
        try:
            asyncio.run(adapter.load())
            return asyncio.run(adapter.process({"image_path": str(self.image), **inputs}))
        finally:
            current_run.reset(token)
            asyncio.run(adapter.unload())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("FAKE_SERVER_FOLDER", str(tmp_path))
    yield Host(tmp_path)


def test_an_image_becomes_a_mesh_by_the_form_that_the_program_documents(host: Host) -> None:
    answer = host.run(host.make(Trellis2CppAdapter, "1024"), seed=7)
    (started,) = host.records("started")
    arguments = started["started"]
    assert arguments[:2] == ["--host", "127.0.0.1"]
    assert arguments[4:] == ["--models", str(host.models), "--gpu", "0", "--require-gpu"]
    (asked,) = host.records("path")
    assert asked["texts"] == {"model": "trellis", "seed": "7", "resolution": "1024", "uv": "xatlas", "webp": "off"}
    assert asked["files"] == {"image": ["image.png", "image/png"]}
    info = answer["generation_info"]
    assert (info["vertex_count"], info["face_count"], info["resolution"], info["model"]) == (4, 4, 1024, "trellis")
    assert info["statistics"]["watertight"]
    assert info["statistics"]["extents"] == [7.0, 7.0, 7.0]
    assert answer["seed"] == 7
    assert answer["thumbnail_path"] is None or (host.folder / "out" / answer["thumbnail_path"]).is_file()
    # The image that was sent is no result.
    assert not (host.folder / "out" / "input_image.png").exists()


def test_the_image_that_goes_out_is_a_png_with_its_transparency(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    adapter = host.make(Trellis2CppAdapter, "512")

    def keep(request: Any, target: Path, **_: Any) -> None:
        (file,) = [piece for piece in request.pieces if isinstance(piece, Path)]
        with Image.open(file) as image:
            sent.append((image.format, image.mode, image.size, image.getpixel((5, 5))[3]))
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter, "ask", keep)
    with pytest.raises(KeyboardInterrupt):
        host.run(adapter)
    assert sent == [("PNG", "RGBA", (64, 48), 128)]


def test_what_a_job_asks_for_is_in_the_form(host: Host) -> None:
    host.run(host.make(Trellis2CppAdapter, "512"), bg_removal="birefnet", uv="box", band=2, texture_format="webp")
    (asked,) = host.records("path")
    assert asked["texts"] == {
        "model": "trellis",
        "seed": "42",
        "resolution": "512",
        "bg_removal": "birefnet",
        "uv": "box",
        "band": "2",
        "webp": "on",
    }


def test_progress_comes_from_the_programs_own_lines(host: Host) -> None:
    host.run(host.make(Trellis2CppAdapter, "1024"))
    fractions = [fraction for fraction, _, _ in host.progress if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    stages = [stage for stage in dict.fromkeys(stage for _, stage, _ in host.progress) if stage in ORDER]
    # The last lines may be read after the answer.
    assert stages
    assert stages == ORDER[: len(stages)]


def test_pixal3d_is_told_its_camera_and_comes_upright(host: Host) -> None:
    answer = host.run(host.make(Pixal3DCppAdapter, "1024"), fov=38.5, seed=3)
    (asked,) = host.records("path")
    assert (asked["texts"]["model"], asked["texts"]["fov"]) == ("pixal3d", "38.5")
    # (x, y, z) -> (-x, -z, -y): the corners at +3 on each axis.
    mesh = trimesh.load_scene(answer["output_mesh_path"]).to_mesh()
    assert {tuple(each) for each in np.round(mesh.vertices, 4) + 0.0} == {(0, 0, 0), (-3, 0, 0), (0, 0, -3), (0, -3, 0)}
    assert mesh.volume > 0


@pytest.mark.parametrize(
    ("inputs", "field", "says"),
    [
        # The program makes one up in its place.
        ({"seed": 0}, "seed", "seed is 0; want a whole number from 1 to 2147483647"),
        ({"resolution": 512}, "resolution", "is no parameter"),
        ({"bg_removal": "rembg"}, "bg_removal", "want one of auto, birefnet, threshold"),
        ({"output_format": "obj"}, "output_format", "want one of glb"),
    ],
)
def test_what_the_program_would_misread_is_refused(host: Host, inputs: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        host.run(host.make(Trellis2CppAdapter, "512"), **inputs)
    assert caught.value.field == field


def test_a_full_device_is_told_as_such(host: Host) -> None:
    host.mode("full")
    with pytest.raises(OutOfMemoryError, match="cudaMalloc failed"):
        host.run(host.make(Trellis2CppAdapter, "1024"))


def test_what_is_missing_is_named(host: Host, tmp_path: Path) -> None:
    assert host.make(Trellis2CppAdapter, "512").check_available() is None
    (host.models / "shape_flow_1024.gguf").unlink()
    # 512 does without it.
    assert host.make(Trellis2CppAdapter, "512").check_available() is None
    missing = host.make(Trellis2CppAdapter, "1024").check_available()
    assert missing == (
        f"weights: {host.models} has no shape_flow_1024.gguf; run: pocket3d adapters install trellis2-cpp-image-to-mesh"
    )
    assert "model_path is not set" in str(Trellis2CppAdapter(program=str(host.program)).check_available())
    nothing = host.make(Trellis2CppAdapter, program=str(tmp_path / "nothing")).check_available()
    assert nothing == (
        f"there is no program {tmp_path}/nothing that may be run (command); run: pocket3d adapters install"
        " trellis2-cpp-image-to-mesh"
    )


def test_on_the_cpu_the_program_is_told_so(host: Host) -> None:
    adapter = host.make(Trellis2CppAdapter, "512", arguments=["--threads", "4"])
    adapter.device = "cpu"
    assert adapter._command()[7:] == ["--gpu", "-1", "--threads", "4"]


def test_the_resolution_is_that_of_the_variant(host: Host) -> None:
    spec = AdapterSpec(
        adapter_id="trellis2-cpp-image-to-mesh",
        class_path=PATHS[Trellis2CppAdapter],
        config=host.config,
        accept_license=True,
        variants=[
            ConfiguredVariant(name="512"),
            ConfiguredVariant(name="fine", vram_mb=20000, quality=9, config={"resolution": 1536}),
        ],
    )
    small, fine = from_spec(spec, "512"), from_spec(spec, "fine")
    assert isinstance(small, TrellisCppAdapter)
    assert isinstance(fine, TrellisCppAdapter)
    assert (small.resolution, small.vram_requirement) == (512, 6144)
    assert (fine.resolution, fine.vram_requirement) == (1536, 20000)
    with pytest.raises(ValueError, match="want 512, 1024 or 1536"):
        Trellis2CppAdapter(resolution=600)


@pytest.mark.parametrize("cls", PATHS, ids=lambda cls: str(cls.adapter_id))
def test_it_is_described_without_the_program(cls: type[TrellisCppAdapter]) -> None:
    spec = AdapterSpec(adapter_id=cls.adapter_id, class_path=PATHS[cls], accept_license=True)
    described = describe(spec)
    assert not described.available
    assert f"run: pocket3d adapters install {cls.adapter_id}" in str(described.reason)
    assert described.feature == "image_to_mesh"
    assert described.vram_mb == min(each.vram_mb for each in described.variants)
    assert described.license is not None
    assert described.license["requires_acceptance"]


def test_the_recipe_fetches_the_files_that_the_adapters_look_for() -> None:
    fetched = {name for each in (RECIPE, *RECIPE.parts) for weights in each.weights for name in weights.files}
    assert fetched == {name for adapter in PATHS for name in adapter.files}
    (part,) = RECIPE.parts
    assert part.needed_by == (Pixal3DCppAdapter.adapter_id,)
    assert {name for weights in RECIPE.weights for name in weights.files} == set(Trellis2CppAdapter.files)
    folders = {weights.folder for each in (RECIPE, *RECIPE.parts) for weights in each.weights}
    (file,) = RECIPE.files
    assert RECIPE.config["model_path"] == f"{{root}}/{folders.pop()}"
    assert RECIPE.config["program"] == f"{{root}}/{file.unpack}/trellis-server"
    assert not folders
    for cls in PATHS:
        config: Any = importlib.import_module(cls.__module__).TrellisCppConfig
        config(**RECIPE.config)


# ---------------------------------------------------------------- in a worker


@pytest.fixture
def worker(host: Host, tmp_path: Path) -> Iterator[WorkerDriver]:
    folder = tmp_path / "worker"
    folder.mkdir()
    driver = WorkerDriver(folder)
    with driver:
        yield driver


def loaded(host: Host, worker: WorkerDriver) -> int:
    """Load it; the program's id."""
    worker.begin(PATHS[Trellis2CppAdapter], config=host.config, accept_license=True)
    worker.next(ModelLoaded)
    return int(host.records("started")[-1]["pid"])


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_worker_serves_a_job_and_takes_the_program_with_it(host: Host, worker: WorkerDriver) -> None:
    program = loaded(host, worker)
    # So an agent finds it when it looks for what a worker holds.
    assert parent(program) == worker.process.pid
    worker.run("r1", "image_to_mesh", {"image_path": str(host.image), "seed": 5})
    ended = worker.ended("r1")
    assert isinstance(ended, RunFinished), ended
    assert ended.outputs["seed"] == 5
    assert "generated_mesh_trellis2-cpp-image-to-mesh.glb" in [each.name for each in ended.files]
    assert worker.leave() == 0
    assert not alive(program)
    assert any("[3/6] sparse-structure flow" in line for line in worker.log_lines())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's")
def test_a_worker_that_is_killed_takes_the_program_with_it(host: Host, worker: WorkerDriver) -> None:
    program = loaded(host, worker)
    os.kill(worker.process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(program), "the program has ended")


def test_a_cancelled_job_ends_soon_and_the_next_is_served(host: Host, worker: WorkerDriver) -> None:
    first = loaded(host, worker)
    host.mode("slow")
    worker.run("r1", "image_to_mesh", {"image_path": str(host.image)})
    wait_until(lambda: host.records("path"), "the program was asked")
    worker.cancel("r1")
    assert worker.ended("r1").code == "cancelled"
    assert not alive(first)
    host.mode("")
    worker.run("r2", "image_to_mesh", {"image_path": str(host.image)})
    assert isinstance(worker.ended("r2"), RunFinished)
