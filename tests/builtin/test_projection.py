"""`projection-image-to-texture` as a job meets it: colours looked up in the written file, at known places."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("xatlas")
from PIL import Image

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import read_mesh
from pocket3d.adapters.weight_free.projection.adapter import ProjectionImageToTextureAdapter

pytestmark = pytest.mark.torch
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A box 2 wide, 1 high, 1 deep; a picture of four quarters: red and green above, blue and transparent below."""
    trimesh.creation.box([2, 1, 1]).export(tmp_path / "box.glb")
    picture = np.zeros((100, 200, 4), dtype=np.uint8)
    picture[:50, :100], picture[:50, 100:], picture[50:, :100] = (*RED, 255), (*GREEN, 255), (*BLUE, 255)
    Image.fromarray(picture).save(tmp_path / "quarters.png")
    return tmp_path / "box.glb", tmp_path / "quarters.png"


def run(folder: Path, mesh: Path, picture: Path, **inputs: Any) -> dict[str, Any]:
    token = current_run.set(RunContext(output_dir=folder))
    model = ProjectionImageToTextureAdapter()

    async def job() -> dict[str, Any]:
        await model.load()
        given = {"mesh_path": str(mesh), "image_path": str(picture), "texture_resolution": 256, **inputs}
        result: dict[str, Any] = await model.process(given)
        return result

    try:
        return asyncio.run(job())
    finally:
        current_run.reset(token)


def colours_at(result: dict[str, Any], places: list[tuple[float, float, float]]) -> list[tuple[int, ...]]:
    """What the texture shows there: the point on the surface, its triangle, its texture coordinates, the texel."""
    mesh = read_mesh(Path(result["output_mesh_path"]))
    away = [
        np.linalg.norm(trimesh.triangles.closest_point(mesh.triangles, [each] * len(mesh.faces)) - each, axis=1)
        for each in places
    ]
    triangles = np.argmin(away, axis=1)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[triangles], places)
    uv = (mesh.visual.uv[mesh.faces[triangles]] * weights[..., None]).sum(axis=1)
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    rows = ((1 - uv[:, 1]) * image.shape[0]).astype(int)
    columns = (uv[:, 0] * image.shape[1]).astype(int)
    return [tuple(int(each) for each in image[row, column]) for row, column in zip(rows, columns, strict=True)]


def test_the_picture_covers_the_front_once(files: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(tmp_path, *files)
    assert result["painting_info"]["overlapping_texels"] == 0
    for side in (0.5, -0.5):
        places = [(-0.5, 0.25, side), (0.5, 0.25, side), (-0.5, -0.25, side), (0.5, -0.25, side)]
        assert colours_at(result, places) == [RED, GREEN, BLUE, WHITE]
    assert (tmp_path / result["thumbnail_path"]).stat().st_size > 1000


def test_on_a_box_it_is_on_all_sides_and_mirrored(files: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(tmp_path, *files, projection="box", tiles=2.0)
    # Half a tile lies on each side of the middle, then the picture comes again, mirrored: the longest side is 2.
    assert colours_at(result, [(-0.25, 0.12, 0.5), (0.25, 0.12, 0.5)]) == [RED, GREEN]
    assert colours_at(result, [(0.75, 0.12, 0.5), (-0.75, 0.12, 0.5)]) == [GREEN, RED]
    # And on the right side, its four quarters around the middle.
    assert len(set(colours_at(result, [(1.0, y, z) for y in (0.12, -0.12) for z in (0.25, -0.25)]))) == 4


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"projection": "sphere"}, "projection"),
        ({"tiles": 0}, "tiles"),
        ({"tiles": "many"}, "tiles"),
        ({"texture_resolution": 10}, "texture_resolution"),
        ({"image_path": None}, "image_path"),
    ],
)
def test_what_cannot_be_is_refused(files: tuple[Path, Path], inputs: dict[str, Any], field: str) -> None:
    given = {"mesh_path": str(files[0]), "image_path": str(files[1]), **inputs}
    with pytest.raises(InvalidInput) as refused:
        ProjectionImageToTextureAdapter().validate_inputs(given)
    assert refused.value.field == field
