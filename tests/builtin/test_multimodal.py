"""`silhouette-multimodal-to-mesh` as a job meets it: the photograph decides the shape, the words the surface."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import read_mesh
from pocket3d.adapters.weight_free.multimodal.adapter import SilhouetteMultimodalToMeshAdapter
from pocket3d.adapters.weight_free.multimodal.making import without_subject
from pocket3d.adapters.weight_free.multimodal.two_sides import front_and_back
from pocket3d.adapters.weight_free.texturing.atlas import rasterise

pytestmark = pytest.mark.torch

COFFEE = Path(__file__).resolve().parents[2] / "examples" / "photos" / "coffee.png"
SMALL = {"resolution": 64, "texture_resolution": 256}


@pytest.fixture(scope="module")
def adapter() -> SilhouetteMultimodalToMeshAdapter:
    model = SilhouetteMultimodalToMeshAdapter()
    asyncio.run(model.load())
    return model


def run(model: SilhouetteMultimodalToMeshAdapter, folder: Path, **inputs: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    token = current_run.set(RunContext(output_dir=folder))
    try:
        result: dict[str, Any] = asyncio.run(model.process({**SMALL, **inputs}))
        return result
    finally:
        current_run.reset(token)


def colours(result: dict[str, Any]) -> Any:
    """Mean red, green, blue of the texels that are not black."""
    image = read_mesh(Path(result["output_mesh_path"])).visual.material.baseColorTexture.convert("RGB")
    texels = np.asarray(image).reshape(-1, 3).astype(float)
    return texels[texels.sum(axis=1) > 0].mean(axis=0)


def test_words_change_the_surface_and_not_the_shape(adapter: SilhouetteMultimodalToMeshAdapter, tmp_path: Path) -> None:
    photo = str(COFFEE)
    plain = run(adapter, tmp_path / "plain", image_path=photo)
    red = run(adapter, tmp_path / "red", image_path=photo, text_prompt="red checker")
    blue = run(adapter, tmp_path / "blue", image_path=photo, text_prompt="shiny blue stripes on my cup")

    infos = [each["generation_info"] for each in (plain, red, blue)]
    assert [each["input_type"] for each in infos] == ["image", "text+image", "text+image"]
    extents = [each["statistics"]["extents"] for each in infos]
    assert extents[1] == pytest.approx(extents[0], rel=1e-4) and extents[2] == pytest.approx(extents[0], rel=1e-4)
    assert infos[1]["understood"]["colours"] == ["red"] and infos[1]["overlapping_texels"] == 0
    assert "cup" in infos[2]["ignored"]
    assert colours(red)[0] > colours(red)[2] + 20 and colours(blue)[2] > colours(blue)[0] + 20
    assert (tmp_path / "red" / red["thumbnail_path"]).stat().st_size > 1000


def test_words_alone_are_built(adapter: SilhouetteMultimodalToMeshAdapter, tmp_path: Path) -> None:
    result = run(adapter, tmp_path / "chair", text_prompt="a red chair with four legs", seed=3)
    info = result["generation_info"]
    assert info["input_type"] == "text" and info["statistics"]["bodies"] >= 5 and result["seed"] == 3


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "text_prompt"),
        ({"text_prompt": "the meaning of it all"}, "text_prompt"),
        ({"text_prompt": "not red", "image_path": str(COFFEE)}, "text_prompt"),
        ({"image_path": str(COFFEE), "mask_method": "magic"}, "mask_method"),
        ({"image_path": str(COFFEE), "texture_resolution": 4096}, "texture_resolution"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_loaded(inputs: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        SilhouetteMultimodalToMeshAdapter().validate_inputs(inputs)
    assert refused.value.field == field


def test_other_keys_are_refused() -> None:
    schema = SilhouetteMultimodalToMeshAdapter().get_parameter_schema()
    assert schema is not None
    assert schema["additionalProperties"] is False and {"text_prompt", "image_path"} <= set(schema["properties"])


# ---------------------------------------------------------------- words that name the subject


def test_a_prompt_may_name_the_subject(adapter: SilhouetteMultimodalToMeshAdapter, tmp_path: Path) -> None:
    made = run(adapter, tmp_path / "named", image_path=str(COFFEE), text_prompt="a horse")
    info = made["generation_info"]
    assert info["surface"] == "the photograph's own colours" and info["ignored"] == ["horse"]
    red, green, blue = colours(made)
    assert red > green > blue


def test_one_colour_is_laid_over_the_photograph(adapter: SilhouetteMultimodalToMeshAdapter, tmp_path: Path) -> None:
    words = "a glossy blue coffee cup"
    made = run(adapter, tmp_path / "blue", image_path=str(COFFEE), text_prompt=words, resolution=128)
    info = made["generation_info"]
    assert info["surface"] == "the photograph, in another colour" and info["understood"]["roughness"] == 0.15
    assert info["ignored"] == ["coffee", "cup"]
    red, _, blue = colours(made)
    assert blue > red + 40
    image = np.asarray(read_mesh(Path(made["output_mesh_path"])).visual.material.baseColorTexture.convert("L"))
    assert image.std() > 20, "light and shade of the photograph stay"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("an orange", "an"),
        ("An orange on a table", "An on a table"),
        ("an orange cat", "an orange cat"),
        ("orange", "orange"),
        ("a rose, red", "a, red"),
    ],
)
def test_a_fruit_is_no_colour(text: str, left: str) -> None:
    assert without_subject(text) == left


def test_front_and_back_lie_beside_each_other() -> None:
    vertices = np.array([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0], [1, 0.5, 0.4], [1, 0.5, -0.4]])
    rim = [0, 1, 2, 3]
    front = [[rim[k], rim[(k + 1) % 4], 4] for k in range(4)]
    back = [[rim[(k + 1) % 4], rim[k], 5] for k in range(4)]
    faces = np.array([*front, *back])
    source, made, uv = front_and_back(vertices, faces)
    assert np.array_equal(source[made], faces)
    assert uv.min() > 0 and uv.max() < 1
    shown = rasterise(uv[made], 256, "cpu")
    assert shown.overlapping == 0 and len(shown.where) > 0.8 * 256**2
