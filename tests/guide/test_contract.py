"""Names, values and keys that an adapter's author reads in the guide, or knows from the former system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.base import BaseModel, ModelStatus
from pocket3d.adapters.mesh_models import ImageToMeshModel, MultiModalMeshModel, TextToMeshModel
from pocket3d.adapters.rig_models import AutoRigModel
from pocket3d.adapters.segment_models import MeshSegmentationModel
from pocket3d.adapters.texture_models import TextToTextureModel

COMMON = {"output_mesh_path", "success"}
#: Base class, inputs that it requires, and the keys of its own answer. What only a model can count (`bone_count`,
#: `part_labels`) is left to the adapter.
ANSWERS: list[tuple[type[BaseModel], dict[str, Any], set[str], str, set[str]]] = [
    (
        TextToMeshModel,
        {"text_prompt": "a chair"},
        {"text_prompt", "seed"},
        "generation_info",
        {"input_type", "prompt_length", "success"},
    ),
    (
        ImageToMeshModel,
        {"image_path": "in.png"},
        {"input_images", "num_input_images", "seed"},
        "generation_info",
        {"input_type", "num_images", "success"},
    ),
    (
        MultiModalMeshModel,
        {"image_path": "in.png", "text_prompt": "a chair"},
        {"text_prompt", "input_images", "num_input_images", "seed"},
        "generation_info",
        {"input_type", "num_images", "success"},
    ),
    (
        TextToTextureModel,
        {"mesh_path": "in.glb", "text_prompt": "rust"},
        {"text_prompt", "seed"},
        "painting_info",
        {"input_type", "input_mesh", "success"},
    ),
    (AutoRigModel, {"mesh_path": "in.glb"}, set(), "rig_info", {"rig_type", "symmetry", "success"}),
    (MeshSegmentationModel, {"mesh_path": "in.glb"}, {"num_parts"}, "segmentation_info", {"success"}),
]


def bare(base: type[BaseModel], **arguments: Any) -> BaseModel:
    """The base class with nothing of an adapter's own but a weightless model; async, as the guide writes them."""

    async def load(self: BaseModel) -> str:
        return "weights"

    async def unload(self: BaseModel) -> None:
        return None

    async def process(self: BaseModel, inputs: dict[str, Any]) -> Any:
        return base._process_request(self, inputs)

    made = type("Bare", (base,), {"_load_model": load, "_unload_model": unload, "_process_request": process})
    return made(model_id="bare", model_path="weights", vram_requirement=4096, **arguments)


def test_status_values_are_the_former_systems() -> None:
    assert {status.name: status.value for status in ModelStatus} == {
        "UNLOADED": "unloaded",
        "LOADING": "loading",
        "LOADED": "loaded",
        "PROCESSING": "processing",
        "ERROR": "error",
    }


@pytest.mark.parametrize(("base", "inputs", "keys", "info", "info_keys"), ANSWERS)
async def test_answers_have_the_keys_of_guide_and_former_system(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: type[BaseModel],
    inputs: dict[str, Any],
    keys: set[str],
    info: str,
    info_keys: set[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.png", "in.glb"):
        Path(name).touch()
    model = bare(base)
    assert await model.load(gpu_id=0) is True and (model.status, model.gpu_id) == (ModelStatus.LOADED, 0)
    answer = await model.process(inputs)
    assert set(answer) == COMMON | keys | {info} and set(answer[info]) == info_keys
    assert answer["success"] is True and answer[info]["success"] is True
    assert await model.unload() is True and (model.status, model.gpu_id, model.model) == (
        ModelStatus.UNLOADED,
        None,
        None,
    )


@pytest.mark.parametrize("base", [each[0] for each in ANSWERS])
def test_constructor_and_description_have_the_guides_names(base: type[BaseModel]) -> None:
    model = bare(base, max_concurrent=2, supported_output_formats=["obj", ".GLB"])
    assert (model.max_concurrent, model.supported_output_formats) == (2, ["obj", "glb"])
    assert model.get_info() == {
        "model_id": "bare",
        "feature_type": base.default_feature,
        "status": "unloaded",
        "gpu_id": None,
        "vram_requirement": 4096,
        "max_concurrent": 2,
        "supported_formats": {"input": list(base.default_input_formats), "output": ["obj", "glb"]},
        "processing_count": 0,
    }
    assert (
        model._validate_common_inputs({}) == "glb" and model._validate_common_inputs({"output_format": "OBJ"}) == "obj"
    )
    with pytest.raises(ValueError, match="Unsupported output format: 'fbx'"):
        model._validate_common_inputs({"output_format": "fbx"})
    common = model._create_common_response({}, "obj")
    assert set(common) == COMMON and Path(common["output_mesh_path"]).suffix == ".obj"
