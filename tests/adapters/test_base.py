"""A model's life, and what belongs to one request."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.base import BaseModel, InvalidInput, JobCancelled, ModelStatus
from pocket3d.adapters.echo import EchoAdapter
from pocket3d.adapters.mesh_models import ImageToMeshModel, MultiModalMeshModel, TextToMeshModel
from pocket3d.adapters.metrics import ModelMetrics
from pocket3d.adapters.rig_models import AutoRigModel
from pocket3d.adapters.segment_models import MeshSegmentationModel, PartCompletionModel
from pocket3d.adapters.splat_models import ImageToSplatModel
from pocket3d.adapters.texture_models import ImageToTextureModel, TextToTextureModel


class Scripted(BaseModel):
    """Does what its functions say; sync."""

    def __init__(
        self, request: Any = None, loading: Any = None, unloading: Any = None, max_concurrent: int = 1
    ) -> None:
        super().__init__("scripted", vram_requirement=1, max_concurrent=max_concurrent)
        self.request, self.loading, self.unloading = request, loading, unloading

    def _load_model(self) -> Any:
        return self.loading() if self.loading else "the model"

    def _unload_model(self) -> Any:
        return self.unloading() if self.unloading else None

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        return self.request(inputs) if self.request else {"success": True}


def raising(error: BaseException) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


async def test_a_life_goes_through_its_states() -> None:
    seen: list[ModelStatus] = []
    model = Scripted()

    def note(answer: Any) -> Any:
        seen.append(model.status)
        return answer

    model.loading = lambda: note("weights")
    model.request = lambda _: note({"success": True})
    assert model.status is ModelStatus.UNLOADED
    assert await model.load(gpu_id=0) and await model.load(gpu_id=0)
    assert (model.status, model.model, model.gpu_id) == (ModelStatus.LOADED, "weights", 0)
    assert (await model.process({}))["success"] is True
    assert model.status is ModelStatus.LOADED and model.processing_count == 1
    assert await model.unload() and await model.unload()
    assert (model.status, model.model, model.gpu_id) == (ModelStatus.UNLOADED, None, None)
    assert seen == [ModelStatus.LOADING, ModelStatus.PROCESSING]


async def test_a_failed_load_keeps_its_error_and_can_be_tried_again() -> None:
    model = Scripted(loading=raising(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        await model.load()
    assert model.status is ModelStatus.ERROR
    with pytest.raises(RuntimeError, match="not loaded"):
        await model.process({})
    model.loading = None
    await model.load()
    assert model.status is ModelStatus.LOADED


async def test_a_failed_request_leaves_the_model_loaded_and_keeps_its_causes() -> None:
    def request(_: Any) -> Any:
        try:
            raise KeyError("mesh")
        except KeyError as error:
            raise RuntimeError("Generation failed") from error

    model = Scripted(request)
    await model.load()
    with pytest.raises(RuntimeError) as caught:
        await model.process({})
    assert isinstance(caught.value.__cause__, KeyError) and model.status is ModelStatus.LOADED


async def test_a_failed_unload_is_an_error() -> None:
    model = Scripted(unloading=raising(OSError("stuck")))
    await model.load()
    with pytest.raises(OSError, match="stuck"):
        await model.unload()
    assert model.status is ModelStatus.ERROR


async def test_a_running_model_is_not_unloaded() -> None:
    inside, leave = threading.Event(), threading.Event()

    def request(_: Any) -> Any:
        inside.set()
        assert leave.wait(10)
        return {}

    model = Scripted(request)
    await model.load()
    task = asyncio.create_task(model.process({}))
    await asyncio.to_thread(inside.wait, 10)
    assert model.status is ModelStatus.PROCESSING
    with pytest.raises(RuntimeError, match="idle"):
        await model.unload()
    leave.set()
    await task
    await model.unload()


async def test_sync_requests_run_side_by_side_each_with_its_own_context(tmp_path: Path) -> None:
    count = 8  # more than the default pool of a small host has threads
    barrier = threading.Barrier(count)
    reports: dict[str, list[Any]] = {}

    def request(inputs: dict[str, Any]) -> Any:
        barrier.wait(10)
        model.report_progress(0.5, inputs["name"])
        barrier.wait(10)
        return {"dir": str(model.output_dir)}

    model = Scripted(request, max_concurrent=count)
    await model.load()

    async def one(name: str) -> Any:
        reports[name] = []
        run = RunContext(output_dir=tmp_path / name, on_progress=lambda *what: reports[name].append(what))
        current_run.set(run)
        return await model.process({"name": name})

    names = [str(i) for i in range(count)]
    answers = await asyncio.gather(*(asyncio.create_task(one(name)) for name in names))
    assert [each["dir"] for each in answers] == [str(tmp_path / name) for name in names]
    assert reports == {name: [(0.5, name, None)] for name in names}


async def test_outside_a_job_every_request_has_a_fresh_folder_and_the_rest_does_nothing() -> None:
    def request(_: Any) -> Any:
        model.report_progress(0.5)
        model.check_cancelled()
        model.report_vram_peak(5)
        return {"dirs": [model.output_dir, model.output_dir]}

    model = Scripted(request)
    await model.load()
    first = (await model.process({}))["dirs"]
    second = (await model.process({}))["dirs"]
    assert first[0] == first[1] != second[0] and first[0].is_dir()
    model.report_progress(0.1)
    model.check_cancelled()
    assert model.output_dir == model.output_dir and model.output_dir not in (first[0], second[0])


async def test_a_thread_of_the_models_own_belongs_to_the_only_request() -> None:
    run = RunContext()
    run.cancel()
    caught: list[BaseException] = []

    def callback() -> None:
        try:
            model.check_cancelled()
        except JobCancelled as error:
            caught.append(error)

    def request(_: Any) -> Any:
        thread = threading.Thread(target=callback)
        thread.start()
        thread.join()
        return {}

    model = Scripted(request)
    await model.load()
    token = current_run.set(run)
    await model.process({})
    current_run.reset(token)
    assert len(caught) == 1


async def test_a_decorated_async_method_is_awaited() -> None:
    async def later(_: Any) -> Any:
        await asyncio.sleep(0)
        return {"success": True}

    model = Scripted(lambda inputs: later(inputs))
    await model.load()
    assert await model.process({}) == {"success": True}


@pytest.mark.parametrize("before", [True, False])
async def test_cancel_ends_a_sleep_whenever_it_comes(before: bool) -> None:
    echo = EchoAdapter()
    await echo.load()
    run = RunContext(on_progress=lambda *_: run.cancel())
    if before:
        run.cancel()
    token = current_run.set(run)
    with pytest.raises(JobCancelled):
        await asyncio.wait_for(echo.process({"sleep_s": 3600}), 10)
    current_run.reset(token)
    assert echo.status is ModelStatus.LOADED


def test_progress_is_clipped_and_nan_is_unknown() -> None:
    seen: list[Any] = []
    run = RunContext(on_progress=lambda *what: seen.append(what))
    for fraction in (-1, 2, float("nan"), None, 0.25):
        run.progress(fraction, None, None)
    assert [each[0] for each in seen] == [0.0, 1.0, None, None, 0.25]


def test_the_arguments_of_a_construction_are_remembered() -> None:
    class Outer(Scripted):
        def __init__(self, colour: str = "red", *, size: int, **rest: Any) -> None:
            super().__init__(**rest)

    assert Outer("blue", size=3, max_concurrent=2).constructor_arguments == {
        "colour": "blue",
        "size": 3,
        "max_concurrent": 2,
    }
    assert EchoAdapter().constructor_arguments == {}

    class Positional(Scripted):
        def __init__(self, *paths: str) -> None:
            super().__init__()

    with pytest.raises(TypeError, match="cannot be built again"):
        _ = Positional("a", "b").constructor_arguments


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "needs vram_requirement"),
        ({"vram_requirement": -1}, "want MB"),
        ({"vram_requirement": float("nan")}, "want MB"),
        ({"vram_requirement": 1, "max_concurrent": 0}, "want 1 or more"),
    ],
)
def test_impossible_numbers_are_refused(arguments: dict[str, Any], says: str) -> None:
    class Plain(Scripted):
        def __init__(self, **rest: Any) -> None:
            BaseModel.__init__(self, **rest)

    with pytest.raises(ValueError, match=says):
        Plain(**arguments)


def test_device_is_the_adapters_to_narrow() -> None:
    model = Scripted()
    assert model.device in ("cpu", "cuda")
    model.device = "cuda:0"
    assert model.device == "cuda:0"


# ---------------------------------------------------------------- features


def concrete(base: type[BaseModel], **arguments: Any) -> Any:
    class Concrete(base):  # type: ignore[misc, valid-type]
        def _load_model(self) -> Any:
            return None

        def _unload_model(self) -> Any:
            return None

        def _process_request(self, inputs: dict[str, Any]) -> Any:
            return super()._process_request(inputs)

    return Concrete(vram_requirement=1, **arguments)


@pytest.mark.parametrize(
    ("base", "feature"),
    [
        (TextToMeshModel, "text_to_mesh"),
        (ImageToMeshModel, "image_to_mesh"),
        (ImageToSplatModel, "image_to_splat"),
        (MultiModalMeshModel, "multimodal_to_mesh"),
        (TextToTextureModel, "text_to_texture"),
        (ImageToTextureModel, "image_to_texture"),
        (AutoRigModel, "auto_rig"),
        (MeshSegmentationModel, "mesh_segmentation"),
        (PartCompletionModel, "part_completion"),
    ],
)
def test_features_are_the_canonical_ones(base: type[BaseModel], feature: str) -> None:
    model = concrete(base)
    assert model.feature_type == feature and model.get_info()["feature_type"] == feature


async def test_text_to_mesh_answers_in_the_guides_keys() -> None:
    model = concrete(TextToMeshModel)
    await model.load()
    answer = await model.process({"text_prompt": " a chair ", "seed": 3})
    assert answer["success"] is True and answer["text_prompt"] == "a chair" and answer["seed"] == 3
    assert Path(answer["output_mesh_path"]).name == "generated_mesh_concrete.glb"
    assert answer["generation_info"] == {"input_type": "text", "prompt_length": 7, "success": True}
    assert model.get_supported_formats() == {"input": ["text"], "output": ["glb", "obj"]}


@pytest.mark.parametrize(
    ("base", "inputs", "field"),
    [
        (TextToMeshModel, {"text_prompt": ""}, "text_prompt"),
        (ImageToMeshModel, {"image_path": "in.glb"}, "image_path"),
        (MultiModalMeshModel, {}, "text_prompt"),
        (MeshSegmentationModel, {"mesh_path": 5}, "mesh_path"),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": 0}, "num_parts"),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": 1001}, "num_parts"),
        (PartCompletionModel, {"mesh_path": "in.png"}, "mesh_path"),
    ],
)
def test_bad_inputs_are_seen_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: type[BaseModel], inputs: dict[str, Any], field: str
) -> None:
    """An adapter checks in `validate_inputs`: its own `_process_request` may look at an input only after minutes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.glb").touch()
    with pytest.raises(InvalidInput) as caught:
        concrete(base).validate_inputs(inputs)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("base", "inputs", "field"),
    [
        (TextToMeshModel, {}, "text_prompt"),
        (TextToMeshModel, {"text_prompt": 5}, "text_prompt"),
        (TextToMeshModel, {"text_prompt": " \n"}, "text_prompt"),
        (TextToMeshModel, {"text_prompt": "x", "output_format": "exe"}, "output_format"),
        (TextToMeshModel, {"text_prompt": "x", "output_format": 4}, "output_format"),
        (TextToMeshModel, {"text_prompt": "x", "output_format": ["glb"]}, "output_format"),
        (ImageToMeshModel, {}, "image_path"),
        (ImageToMeshModel, {"image_paths": []}, "image_path"),
        (ImageToMeshModel, {"image_path": "in.psd"}, "image_path"),
        (ImageToMeshModel, {"image_paths": ["in.png"] * 5}, "image_paths"),
        (ImageToMeshModel, {"image_path": {"artifact": "x"}}, "image_path"),
        (MultiModalMeshModel, {}, "text_prompt"),
        (MultiModalMeshModel, {"text_prompt": " ", "image_path": "in.png"}, "text_prompt"),
        (TextToTextureModel, {"mesh_path": "in.glb"}, "text_prompt"),
        (TextToTextureModel, {"text_prompt": "x"}, "mesh_path"),
        (ImageToTextureModel, {"mesh_path": "in.glb"}, "image_path"),
        (AutoRigModel, {"mesh_path": "in.png"}, "mesh_path"),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": 0}, "num_parts"),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": 2.5}, "num_parts"),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": True}, "num_parts"),
        (PartCompletionModel, {}, "mesh_path"),
    ],
)
async def test_bad_inputs_are_refused_with_their_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: type[BaseModel], inputs: dict[str, Any], field: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.glb", "in.png", "in.psd"):
        (tmp_path / name).touch()
    model = concrete(base)
    await model.load()
    with pytest.raises(InvalidInput) as caught:
        await model.process(inputs)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("base", "inputs", "expect"),
    [
        (ImageToMeshModel, {"image_path": "in.PNG"}, {"input_images": ["in.PNG"], "num_input_images": 1}),
        (ImageToMeshModel, {"image_paths": ["in.PNG", "in.PNG"]}, {"num_input_images": 2}),
        (ImageToMeshModel, {"image_paths": "in.PNG"}, {"num_input_images": 1}),
        (MultiModalMeshModel, {"text_prompt": "x"}, {"num_input_images": 0, "text_prompt": "x"}),
        (MultiModalMeshModel, {"image_path": "in.PNG"}, {"num_input_images": 1, "text_prompt": None}),
        (TextToTextureModel, {"mesh_path": "in.glb", "text_prompt": "rust"}, {"text_prompt": "rust"}),
        (ImageToTextureModel, {"mesh_path": "in.glb", "image_path": "in.PNG"}, {"input_images": ["in.PNG"]}),
        (MeshSegmentationModel, {"mesh_path": "in.glb"}, {"num_parts": 8}),
        (MeshSegmentationModel, {"mesh_path": "in.glb", "num_parts": 3.0}, {"num_parts": 3}),
        (PartCompletionModel, {"mesh_path": "in.glb"}, {"completion_info": {"success": True}}),
    ],
)
async def test_sound_inputs_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: type[BaseModel], inputs: dict[str, Any], expect: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.glb", "in.PNG"):
        (tmp_path / name).touch()
    model = concrete(base)
    await model.load()
    answer = await model.process(inputs)
    assert answer | expect == answer and answer["success"] is True


async def test_a_rig_keeps_the_format_it_was_given_where_it_can(tmp_path: Path) -> None:
    model = concrete(AutoRigModel)
    await model.load()
    for name, suffix in (("a.fbx", ".fbx"), ("a.obj", ".glb")):
        (tmp_path / name).touch()
        answer = await model.process({"mesh_path": str(tmp_path / name)})
        assert Path(answer["output_mesh_path"]).suffix == suffix


async def test_a_file_that_vanished_is_not_the_producers_fault(tmp_path: Path) -> None:
    model = concrete(AutoRigModel)
    await model.load()
    with pytest.raises(FileNotFoundError, match="mesh_path"):
        await model.process({"mesh_path": str(tmp_path / "gone.glb")})


def test_metrics_count_per_model() -> None:
    ModelMetrics.reset()
    ModelMetrics.record_success("m", 1.5)
    ModelMetrics.record_success("m", 0.5)
    ModelMetrics.record_failure("m", "broken")
    assert ModelMetrics.get("m") == {"successes": 2, "failures": 1, "processing_s": 2.0, "last_error": "broken"}
    assert ModelMetrics.get("other")["successes"] == 0
