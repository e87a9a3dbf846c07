"""`silhouette-image-to-mesh` as a job meets it: a photograph in, files out, judged from the files."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
Image = pytest.importorskip("PIL.Image")

from scipy import ndimage

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.weight_free.silhouette.adapter import SilhouetteImageToMeshAdapter
from support import glb_reading
from support.photo_making import noisy_scene, overlap

pytestmark = pytest.mark.torch

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


@pytest.fixture(scope="module")
def adapter() -> SilhouetteImageToMeshAdapter:
    model = SilhouetteImageToMeshAdapter()
    asyncio.run(model.load())
    return model


def _run(model: SilhouetteImageToMeshAdapter, folder: Path, **inputs: Any) -> dict[str, Any]:
    token = current_run.set(RunContext(output_dir=folder))
    try:
        return asyncio.run(model.process(inputs))
    finally:
        current_run.reset(token)


def _shadow(mesh: Any, width: int, height: int) -> Any:
    """Which pixels of a (height, width) grid over the mesh's box its triangles cover, seen along -Z."""
    low, high = mesh.bounds
    flat = (mesh.vertices[:, :2] - low[:2]) / (high - low)[:2] * [width, height]
    flat[:, 1] = height - flat[:, 1]
    a, b, c = (flat[mesh.faces[:, k]] for k in range(3))
    covered = np.zeros((height, width), dtype=bool)
    for p, q, r in zip(a, b, c, strict=True):
        x0, y0 = np.floor(np.minimum(np.minimum(p, q), r)).astype(int)
        x1, y1 = np.ceil(np.maximum(np.maximum(p, q), r)).astype(int)
        yy, xx = np.mgrid[max(y0, 0) : min(y1 + 1, height), max(x0, 0) : min(x1 + 1, width)]
        signs = [
            (v[0] - u[0]) * (yy + 0.5 - u[1]) - (v[1] - u[1]) * (xx + 0.5 - u[0]) for u, v in ((p, q), (q, r), (r, p))
        ]
        inside = np.all([s >= 0 for s in signs], axis=0) | np.all([s <= 0 for s in signs], axis=0)
        covered[max(y0, 0) : min(y1 + 1, height), max(x0, 0) : min(x1 + 1, width)] |= inside
    return covered


@pytest.mark.parametrize("name", ["coffee.png", "camera.png"])
def test_a_photograph_becomes_a_closed_textured_mesh(
    adapter: SilhouetteImageToMeshAdapter, tmp_path: Path, name: str
) -> None:
    result = _run(adapter, tmp_path, image_path=str(PHOTOS / name))
    info = result["generation_info"]
    path = Path(result["output_mesh_path"])
    assert result["success"] is True
    assert result["input_images"] == [name]
    assert info["mask_method"] == "grabcut"
    assert info["silhouette_iou"] >= 0.95
    assert info["watertight"] is True
    (mesh,) = glb_reading.load(path).values()
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert (len(mesh.vertices), len(mesh.faces)) == (info["vertex_count"], info["face_count"])
    assert mesh.extents == pytest.approx(info["extents_m"], abs=1e-5)
    assert max(mesh.extents[:2]) == pytest.approx(1)
    assert mesh.bounds[0][1] == pytest.approx(0, abs=1e-6)
    assert mesh.bounds[0][2] == pytest.approx(-mesh.bounds[1][2], abs=1e-6)
    texture = mesh.visual.material.baseColorTexture
    assert texture.size == tuple(info["texture_size"])
    document = glb_reading.json_chunk(path)
    assert document["images"][0]["mimeType"] == "image/png"
    assert "TEXCOORD_0" in document["meshes"][0]["primitives"][0]["attributes"]


def test_the_mesh_shows_the_subject_the_right_way_round(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    picture, truth = noisy_scene()
    source = tmp_path / "blob.png"
    Image.fromarray(picture).save(source)
    result = _run(adapter, tmp_path, image_path=str(source))
    (mesh,) = glb_reading.load(Path(result["output_mesh_path"])).values()
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    cut = truth[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # The bite at the upper right is where it was: neither mirrored nor upside down.
    assert overlap(_shadow(mesh, cut.shape[1], cut.shape[0]), cut) > 0.95
    # The front looks along +Z: the texture there is the photo's.
    front = mesh.vertices[:, 2] > 0.02
    uv = mesh.visual.uv[front]
    pixels = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    read = pixels[
        ((1 - uv[:, 1]) * pixels.shape[0]).astype(int).clip(0, pixels.shape[0] - 1),
        (uv[:, 0] * pixels.shape[1]).astype(int).clip(0, pixels.shape[1] - 1),
    ]
    low, high = mesh.bounds
    x = (mesh.vertices[front, 0] - low[0]) / (high - low)[0] * (cut.shape[1] - 1) + columns[0]
    y = (high[1] - mesh.vertices[front, 1]) / (high - low)[1] * (cut.shape[0] - 1) + rows[0]
    # Blurred, so that half a pixel of shift does not count.
    soft = ndimage.gaussian_filter(picture.astype(float), (2, 2, 0))
    expected = soft[np.rint(y).astype(int), np.rint(x).astype(int)]
    assert np.abs(read - expected).mean() < 14


def test_deepest_where_the_silhouette_is_widest(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    result = _run(adapter, tmp_path, image_path=str(PHOTOS / "camera.png"))
    (mesh,) = glb_reading.load(Path(result["output_mesh_path"])).values()
    width, height = 120, round(120 * mesh.extents[1] / mesh.extents[0])
    covered = _shadow(mesh, width, height)
    distance = ndimage.distance_transform_edt(np.pad(covered, 1))[1:-1, 1:-1]
    low, high = mesh.bounds
    front = mesh.vertices[:, 2] > 0
    column = ((mesh.vertices[front, 0] - low[0]) / (high - low)[0] * (width - 1)).round().astype(int)
    row = ((high[1] - mesh.vertices[front, 1]) / (high - low)[1] * (height - 1)).round().astype(int)
    depth = mesh.vertices[front, 2]
    assert distance[row[depth.argmax()], column[depth.argmax()]] >= 0.85 * distance.max()
    assert np.corrcoef(depth, distance[row, column])[0, 1] > 0.85


def test_depth_scale_and_resolution_do_what_they_say(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    def info(**options: Any) -> dict[str, Any]:
        answer = _run(adapter, tmp_path, image_path=str(PHOTOS / "coffee.png"), **options)["generation_info"]
        return dict(answer)

    flat, deep = info(depth_scale=0.2), info(depth_scale=0.4)
    assert deep["depth_m"] == pytest.approx(2 * flat["depth_m"], rel=1e-3)
    fine = info(resolution=256)
    assert fine["mask_size"] == [256, 171]
    assert fine["vertex_count"] > 1.5 * flat["vertex_count"]
    assert max(info(texture_resolution=256)["texture_size"]) < max(flat["texture_size"])


def test_an_alpha_channel_is_taken_at_its_word(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    rgba = np.full((100, 100, 4), [200, 40, 40, 0], dtype=np.uint8)
    yy, xx = np.mgrid[0:100, 0:100]
    rgba[(yy - 50) ** 2 + (xx - 50) ** 2 <= 30**2, 3] = 255
    source = tmp_path / "disc.webp"
    Image.fromarray(rgba).save(source, lossless=True)
    result = _run(adapter, tmp_path, image_path=str(source), depth_scale=1.0)
    info = result["generation_info"]
    assert info["mask_method"] == "alpha"
    # A disc with depth 1 is a ball.
    assert info["extents_m"] == pytest.approx([1, 1, 1], rel=0.03)
    (mesh,) = glb_reading.load(Path(result["output_mesh_path"])).values()
    assert mesh.volume == pytest.approx(np.pi / 6, rel=0.04)


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply", "stl"])
def test_every_format_holds_the_same_geometry(
    adapter: SilhouetteImageToMeshAdapter, tmp_path: Path, suffix: str
) -> None:
    result = _run(adapter, tmp_path, image_path=str(PHOTOS / "coffee.png"), output_format=suffix, resolution=64, seed=2)
    path = Path(result["output_mesh_path"])
    mesh = trimesh.load(path, force="mesh", process=False)
    assert len(mesh.faces) == result["generation_info"]["face_count"]
    assert mesh.extents == pytest.approx(result["generation_info"]["extents_m"], abs=1e-4)
    if suffix == "obj":
        library, texture = (Path(extra) for extra in result["extra_paths"])
        assert texture.name in library.read_text()
        with Image.open(texture) as image:
            assert image.size == tuple(result["generation_info"]["texture_size"])
    if suffix == "ply":
        red, green, blue = mesh.visual.vertex_colors[:, :3].mean(axis=0)
        assert red > green > blue


def test_the_same_input_gives_the_same_file(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        result = _run(adapter, tmp_path, image_path=str(PHOTOS / "coffee.png"), resolution=96)
        files.append(Path(result["output_mesh_path"]).read_bytes())
    assert files[0] == files[1]


def _png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "options", "field", "words"),
    [
        (_png(np.full((80, 80, 3), 128, dtype=np.uint8)), {}, "image_path", "one even colour"),
        (
            _png(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)),
            {},
            "image_path",
            "works best",
        ),
        (b"no picture", {}, "image_path", "not an image"),
        (_png(noisy_scene()[0]), {"mask_method": "alpha"}, "mask_method", "no alpha channel"),
        (_png(noisy_scene()[0]), {"mask_method": "magic"}, "mask_method", "grabcut"),
        (_png(noisy_scene()[0]), {"depth_scale": 0}, "depth_scale", "0.05"),
        (_png(noisy_scene()[0]), {"depth_scale": "deep"}, "depth_scale", "number"),
        (_png(noisy_scene()[0]), {"depth_scale": float("nan")}, "depth_scale", "number"),
        (_png(noisy_scene()[0]), {"resolution": 5000}, "resolution", "384"),
        (_png(noisy_scene()[0]), {"seed": 1.5}, "seed", "whole number"),
        (_png(noisy_scene()[0]), {"output_format": "fbx"}, "output_format", "glb"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(
    adapter: SilhouetteImageToMeshAdapter,
    tmp_path: Path,
    data: bytes,
    options: dict[str, Any],
    field: str,
    words: str,
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(data)
    with pytest.raises(InvalidInput) as refusal:
        _run(adapter, tmp_path, image_path=str(source), **options)
    assert refusal.value.field == field
    assert words in refusal.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_one_image_or_a_list_of_one(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    photo = str(PHOTOS / "coffee.png")
    assert _run(adapter, tmp_path, image_paths=[photo], resolution=64)["num_input_images"] == 1
    with pytest.raises(InvalidInput, match="at most 1"):
        _run(adapter, tmp_path, image_paths=[photo, photo])
    with pytest.raises(InvalidInput, match="required"):
        _run(adapter, tmp_path)


@pytest.mark.parametrize("stage", ["looking for the subject", "cutting the foreground", "inflating the silhouette"])
def test_a_cancelled_job_ends_between_stages(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path, stage: str) -> None:
    seen: list[str | None] = []

    def cancel(_fraction: float | None, now: str | None, _message: str | None) -> None:
        seen.append(now)
        if now == stage:
            run.cancel()

    run = RunContext(output_dir=tmp_path, on_progress=cancel)
    token = current_run.set(run)
    try:
        with pytest.raises(JobCancelled):
            asyncio.run(adapter.process({"image_path": str(PHOTOS / "coffee.png")}))
    finally:
        current_run.reset(token)
    assert seen[-1] == stage
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    seen: list[float] = []
    run = RunContext(output_dir=tmp_path, on_progress=lambda fraction, _stage, _message: seen.append(fraction or 0))
    token = current_run.set(run)
    try:
        asyncio.run(adapter.process({"image_path": str(PHOTOS / "coffee.png")}))
    finally:
        current_run.reset(token)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(set(seen)) >= 6


def test_the_schema_accepts_what_the_adapter_accepts(adapter: SilhouetteImageToMeshAdapter) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = adapter.get_parameter_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"image_path": {"artifact": "sha256-1"}, "depth_scale": 1, "mask_method": "auto"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"image_path": "a.png", "depth_scale": 7}, schema)


def test_a_job_is_quick(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    begun = time.perf_counter()
    _run(adapter, tmp_path, image_path=str(PHOTOS / "camera.png"))
    # The promise is about 3 s on a machine that does nothing else; this bound only catches a blow-up.
    assert time.perf_counter() - begun < 30
