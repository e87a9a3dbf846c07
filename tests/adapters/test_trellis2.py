"""The TRELLIS.2 adapters against a stand-in for its checkout (`fake_trellis2`), and the rasteriser that they put in the
place of nvdiffrast.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pil = pytest.importorskip("PIL.Image")

from pocket3d.adapters.catalogue.class_loading import build
from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput, JobCancelled
from pocket3d.adapters.upstream.hub import Source
from pocket3d.adapters.upstream.trellis.sampling import TrellisFailed
from pocket3d.adapters.upstream.trellis2 import family, weights
from pocket3d.adapters.upstream.trellis2.adapter import Trellis2ImageToMeshAdapter, Trellis2PaintingAdapter
from pocket3d.adapters.upstream.trellis2.recipe import RECIPE
from pocket3d.adapters.upstream.trellis2.uv_raster import UvRasteriser
from support.heard_run import HeardRun

FAKE = Path(__file__).parent / "fake_trellis2"
SHAPES = ("sparse_structure_flow_model", "shape_slat_decoder", "tex_slat_decoder")
FLOWS = [f"{kind}_slat_flow_model_{size}" for kind in ("shape", "tex") for size in (512, 1024)]
SAMPLER = {"name": "FlowEulerGuidanceIntervalSampler", "args": {}, "params": {"steps": 3, "guidance_strength": 7.5}}
ENCODER = {"name": "DinoV3FeatureExtractor", "args": {"model_name": "facebook/dinov3-vitl16-pretrain-lvd1689m"}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a load puts into the process is taken out again."""
    path, before = list(sys.path), set(sys.modules)
    for name in ("ATTN_BACKEND", "SPARSE_ATTN_BACKEND"):
        monkeypatch.setenv(name, "unset")
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("trellis2", "o_voxel", "nvdiffrast", *family.NEEDED):
            del sys.modules[name]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty modules for what upstream imports and this interpreter lacks, and the stand-in of o_voxel."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(FAKE / "packages")
    for name in (*family.NEEDED, "xformers"):
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").write_text("tqdm = None\n")
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The layout of the release: one decoder lies in TRELLIS's repository, two helpers in others."""
    root = tmp_path / "weights"
    own = {name: f"ckpts/{name}" for name in (*SHAPES, *FLOWS, "shape_slat_encoder")}
    listed = {**own, "sparse_structure_decoder": "microsoft/TRELLIS-image-large/ckpts/ss_dec"}
    samplers = {f"{stage}_sampler": SAMPLER for stage in ("sparse_structure", "shape_slat", "tex_slat")}
    rembg = {"name": "BiRefNet", "args": {"model_name": "briaai/RMBG-2.0"}}
    settings = {"models": listed, **samplers, "image_cond_model": ENCODER, "rembg_model": rembg}
    for file in ("pipeline.json", "texturing_pipeline.json"):
        write(root / "TRELLIS.2-4B" / file, json.dumps({"name": "x", "args": settings}))
    stems = [root / "TRELLIS.2-4B" / stem for stem in own.values()]
    for stem in (*stems, root / "TRELLIS-image-large" / "ckpts" / "ss_dec"):
        for suffix in (".json", ".safetensors"):
            write(stem.with_name(stem.name + suffix), stem.name)
    for helper in ("dinov3-vitl16-pretrain-lvd1689m", "BiRefNet"):
        write(root / helper / "config.json", "{}")
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "apple.png"
    pixels = np.zeros((64, 64, 4), dtype=np.uint8)
    pixels[8:56, 8:56] = (230, 30, 20, 255)
    pil.fromarray(pixels).save(path)
    return path


def made(cls: type[Any], released: Path, variant: str = "1024_cascade", **config: Any) -> Any:
    adapter = cls(model_path=released / "TRELLIS.2-4B", trellis2_root=FAKE, **config)
    adapter.device = "cpu"
    if adapter.variants:
        adapter.choose_variant(variant)
    return adapter


def seen() -> dict[str, Any]:
    found: dict[str, Any] = sys.modules["trellis2.pipelines"].SEEN
    return found


# ---------------------------------------------------------------- the rasteriser


def test_the_raster_is_nvdiffrasts_row_0_at_the_bottom_weights_of_two_corners_and_a_number() -> None:
    raster = UvRasteriser()
    shares: list[float] = []
    raster.between = shares.append
    # The lower left half of the square; then the upper right one.
    clip = torch.tensor([[[-1.0, -1, 0, 1], [1, -1, 0, 1], [-1, 1, 0, 1], [1, 1, 0, 1]]])
    triangles = torch.tensor([[0, 1, 2], [1, 3, 2]], dtype=torch.int32)
    rast, none = raster.rasterize(clip, triangles, resolution=[8, 8])
    assert none is None and rast.shape == (1, 8, 8, 4) and shares == [0.0]
    assert rast[0, 0, 0, 3] == 1 and rast[0, 7, 7, 3] == 2
    # The middle of the first texel is 1/16 from two sides.
    assert rast[0, 0, 0, :2].tolist() == pytest.approx([1 - 1 / 8, 1 / 16])
    places = torch.tensor([[[0.0, 0], [1, 0], [0, 1], [1, 1]]])
    found, none = raster.interpolate(places, rast, triangles)
    middles = (torch.arange(8) + 0.5) / 8
    assert none is None and found.shape == (1, 8, 8, 2)
    assert torch.allclose(found[0, :, :, 0], middles.expand(8, 8)) and torch.allclose(
        found[0, :, :, 1], middles[:, None].expand(8, 8)
    )


def test_where_there_is_no_triangle_there_is_nothing() -> None:
    raster = UvRasteriser()
    clip = torch.tensor([[[-1.0, -1, 0, 1], [0, -1, 0, 1], [-1, 0, 0, 1]]])
    triangle = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rast, _ = raster.rasterize(clip, triangle, resolution=[16, 16])
    found, _ = raster.interpolate(torch.ones((1, 3, 2)), rast, triangle)
    assert float((rast[0, :, 8:] != 0).sum()) == 0 and float(found[0, :, 8:].sum()) == 0
    assert float(found.sum()) == 2 * float((rast[..., 3] > 0).sum()) > 0
    with pytest.raises(ValueError, match="squares only"):
        raster.rasterize(clip, triangle, resolution=[16, 8])


# ---------------------------------------------------------------- weights


def wanted(released: Path, **changed: Any) -> weights.Wanted:
    source = Source(changed.pop("model_path", released / "TRELLIS.2-4B"), weights.REPOSITORY, "x", False)
    facts = {"image_encoder": weights.IMAGE_ENCODER, "background_model": weights.BACKGROUND_MODEL, **changed}
    return weights.Wanted(source, "pipeline.json", weights.models_for("512"), low_vram=True, **facts)


@pytest.mark.parametrize("inner", ["TRELLIS.2-4B", ""])
def test_upstream_gets_local_folders_in_place_of_what_is_gated(released: Path, inner: str) -> None:
    asked = wanted(released, model_path=released / inner)
    assert weights.missing_weights(asked) is None
    with weights.linked(asked) as folder:
        settings = json.loads((folder / "pipeline.json").read_text())["args"]
        encoder = str(released / "dinov3-vitl16-pretrain-lvd1689m")
        assert settings["image_cond_model"] == {"name": "DinoV3FeatureExtractor", "args": {"model_name": encoder}}
        assert settings["rembg_model"] == {"name": "BiRefNet", "args": {"model_name": str(released / "BiRefNet")}}
        assert settings["low_vram"] is True
        assert set(settings["models"]) == {*SHAPES, "sparse_structure_decoder", FLOWS[0], FLOWS[2]}
        assert (folder / "sparse_structure_decoder.safetensors").read_text() == "ss_dec"


def test_each_resolution_takes_the_models_that_upstream_asserts() -> None:
    assert set(weights.models_for("512")) & set(FLOWS) == {FLOWS[0], FLOWS[2]}
    assert set(weights.models_for("1024")) & set(FLOWS) == {FLOWS[1], FLOWS[3]}
    assert set(weights.models_for("1536_cascade")) & set(FLOWS) == {FLOWS[0], FLOWS[1], FLOWS[3]}


def test_each_missing_part_is_named(released: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    write(own / "config.json", "{}")
    (released / "BiRefNet" / "config.json").unlink()
    reason = weights.missing_weights(wanted(released))
    assert reason is not None and f"{weights.BACKGROUND_MODEL} of TRELLIS.2 is missing" in reason
    assert weights.missing_weights(wanted(released, background_model=str(own))) is None
    (released / "TRELLIS-image-large" / "ckpts" / "ss_dec.json").unlink()
    reason = weights.missing_weights(wanted(released, background_model=str(own)))
    assert reason is not None and "ckpts/ss_dec" in reason
    reason = weights.missing_weights(wanted(released, model_path=tmp_path / "nowhere"))
    assert reason is not None and "nowhere/pipeline.json" in reason
    # Of the hub's repositories neither is here, and nothing may be fetched.
    reason = weights.missing_weights(wanted(released, model_path=None))
    assert reason is not None and "is not in the hub's cache" in reason


# ---------------------------------------------------------------- an image to a mesh


async def test_an_image_becomes_a_mesh_with_a_baked_material(
    packages: Path, released: Path, picture: Path, tmp_path: Path
) -> None:
    adapter = made(Trellis2ImageToMeshAdapter, released)
    assert adapter.check_available() is None
    await adapter.load()
    assert seen()["rembg"] == "BiRefNet" and seen()["low_vram"] is True and seen()["attention"] == "xformers"
    run = HeardRun(tmp_path / "out")
    asked = {"image_path": str(picture), "seed": 5, "texture_resolution": 512, "decimation_target": 9000}
    answer = await run.of(adapter, {**asked, "shape_slat_steps": 2, "tex_slat_guidance": 1})
    path = Path(answer["output_mesh_path"])
    [mesh] = trimesh.load_scene(path).geometry.values()
    info = answer["generation_info"]
    assert info["face_count"] == len(mesh.faces) == 320 and answer["thumbnail_path"]
    assert (info["resolution"], info["texture_resolution"], answer["seed"]) == ("1024_cascade", 512, 5)
    assert info["samplers"]["shape_slat"] == {"steps": 2, "guidance_strength": 7.5}
    assert seen()["guidance"] == [7.5, 7.5, 7.5, 1] and seen()["cond"] == [512, 1024]
    assert seen()["simplified"] == [16_777_216]
    # Each texel has the colour of the place that it shows, in upstream's cube with +Z up: our rasteriser's work.
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(float)
    assert mesh.visual.material.metallicRoughnessTexture.size == (512, 512)
    centres = mesh.triangles_center
    uv = mesh.visual.uv[mesh.faces].mean(axis=1)
    pixels = texture[((1 - uv[:, 1]) * 512).astype(int), (uv[:, 0] * 512).astype(int)] / 255 - 0.5
    shown = np.stack([pixels[:, 0], pixels[:, 2], -pixels[:, 1]], axis=1)
    assert np.abs(shown - centres).max() < 0.02
    # The cascade samples the shape twice.
    stages = run.stages
    assert [each for each in stages if each.startswith("shape")] == [f"shape {n}/4" for n in (1, 2, 3, 4)]
    assert "decoding the material" in stages and "baking: Finalizing mesh 2/2" in stages
    assert run.fractions == sorted(run.fractions) and run.fractions[-1] == 1.0


async def test_the_seed_decides_and_vertex_colours_need_no_texture(
    packages: Path, released: Path, picture: Path, tmp_path: Path
) -> None:
    adapter = made(Trellis2ImageToMeshAdapter, released, "512")
    await adapter.load()
    files = []
    for number, seed in enumerate((7, 7, 8)):
        inputs = {"image_path": str(picture), "seed": seed, "texture": False}
        answer = await HeardRun(tmp_path / str(number)).of(adapter, inputs)
        files.append(Path(answer["output_mesh_path"]).read_bytes())
    assert files[0] == files[1] != files[2]
    assert answer["generation_info"]["colour"] == "vertex colours" and seen()["pipeline_type"] == "512"
    assert seen()["simplified"] == [500_000] * 3
    [mesh] = trimesh.load_scene(Path(answer["output_mesh_path"])).geometry.values()
    top = mesh.visual.vertex_attributes["color"][mesh.vertices[:, 1].argmax()]
    # +Y here is +Z of the cube: blue.
    assert top[2] > 180 and top[0] < 90


@pytest.mark.parametrize("stage", ["cutting", "encoding", "structure 2/", "shape 3/", "material", "decoding", "baking"])
async def test_a_cancel_is_heard_in_every_stage_and_the_model_serves_the_next(
    packages: Path, released: Path, picture: Path, tmp_path: Path, stage: str
) -> None:
    adapter = made(Trellis2ImageToMeshAdapter, released)
    await adapter.load()
    inputs = {"image_path": str(picture), "texture_resolution": 512}
    run = HeardRun(tmp_path / "cancelled", stage)
    with pytest.raises(JobCancelled):
        await run.of(adapter, inputs)
    assert run.stages[-1].startswith(stage)
    assert "sample_once" not in vars(adapter.model.shape_slat_sampler) and "get_cond" not in vars(adapter.model)
    assert "sample_sparse_structure" not in vars(adapter.model)
    await HeardRun(tmp_path / "next").of(adapter, inputs)


async def test_what_upstream_does_not_say_is_said(
    packages: Path, released: Path, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made(Trellis2ImageToMeshAdapter, released)
    await adapter.load()
    pil.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
    pil.new("RGBA", (40, 40)).save(tmp_path / "nothing.png")
    for name, reason in (("white", "background is taken away"), ("nothing", "fully transparent")):
        with pytest.raises(InvalidInput, match=reason) as told:
            await HeardRun(tmp_path / "out").of(adapter, {"image_path": str(tmp_path / f"{name}.png")})
        assert told.value.field == "image_path"
    for fault, reason in (("empty", "left every voxel empty"), ("no_surface", "decoded an empty mesh")):
        with monkeypatch.context() as faulty:
            faulty.setitem(seen(), fault, True)
            with pytest.raises(TrellisFailed, match=reason):
                await HeardRun(tmp_path / "out").of(adapter, {"image_path": str(picture)})


async def test_a_broken_file_is_told_and_not_that_the_hub_lacks_it(packages: Path, released: Path) -> None:
    (released / "TRELLIS.2-4B" / "ckpts" / "tex_slat_decoder.safetensors").write_text("broken")
    with pytest.raises(RuntimeError, match="cannot load its weights: ValueError: Error while deserializing header"):
        await made(Trellis2ImageToMeshAdapter, released).load()


@pytest.mark.parametrize(("variant", "runs"), [("512", 1), ("1024", 1), ("1024_cascade", 2), ("1536_cascade", 2)])
async def test_each_variant_loads_its_models_and_runs_its_pipeline(
    packages: Path, released: Path, picture: Path, tmp_path: Path, variant: str, runs: int
) -> None:
    adapter = made(Trellis2ImageToMeshAdapter, released, variant)
    await adapter.load()
    assert seen()["models"] == sorted(weights.models_for(variant))
    run = HeardRun(tmp_path / "out")
    answer = await run.of(adapter, {"image_path": str(picture), "texture": False})
    assert answer["generation_info"]["resolution"] == seen()["pipeline_type"] == variant
    assert [each for each in run.stages if each.startswith("shape")][-1] == f"shape {3 * runs}/{3 * runs}"


def test_the_variants_are_from_small_to_large() -> None:
    variants = Trellis2ImageToMeshAdapter.variants
    assert [each.name for each in variants] == list(weights.PIPELINE_TYPES)
    assert [each.quality for each in variants] == [1, 2, 3, 4]
    assert [each.vram_mb for each in variants] == sorted(each.vram_mb for each in variants)
    # A card of 12 GB takes the smallest.
    assert variants[0].vram_mb < 12 * 1024 < variants[1].vram_mb


# ---------------------------------------------------------------- an image onto a mesh


async def test_a_mesh_is_painted_where_it_stands(packages: Path, released: Path, picture: Path, tmp_path: Path) -> None:
    tall = trimesh.creation.capsule(height=3.0, radius=0.5, count=[8, 8])
    tall.apply_translation((5.0, 0.0, -2.0))
    tall.visual.vertex_colors = (200, 20, 20, 255)
    tall.export(tmp_path / "tall.ply")
    adapter = made(Trellis2PaintingAdapter, released)
    assert adapter.check_available() is None
    await adapter.load()
    assert seen()["models"] == sorted(weights.PAINTING_MODELS)
    run = HeardRun(tmp_path / "out")
    inputs = {"mesh_path": str(tmp_path / "tall.ply"), "image_path": str(picture), "resolution": 512}
    answer = await run.of(adapter, {**inputs, "texture_resolution": 512})
    [painted] = trimesh.load_scene(Path(answer["output_mesh_path"])).geometry.values()
    assert np.abs(painted.bounds - tall.bounds).max() < 1e-4
    assert answer["painting_info"]["face_count"] == len(tall.faces) and seen()["cond"] == [512]
    assert answer["painting_info"]["lost"] == ["its colours and textures: the new ones take their place"]
    assert answer["painting_info"]["ignored"] == []
    assert [stage for stage in run.stages if stage.startswith("material")][-1] == "material 3/3"
    assert run.fractions == sorted(run.fractions) and run.fractions[-1] == 1.0


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize("cls", [Trellis2ImageToMeshAdapter, Trellis2PaintingAdapter])
def test_what_is_missing_is_named_and_the_recipe_makes_what_the_class_takes(cls: type[Any], packages: Path) -> None:
    reason = cls().check_available()
    assert reason is not None and "trellis2_root is not set" in reason
    assert f"pocket3d adapters install {cls.adapter_id}" in reason
    adapter = build(cls, cls.adapter_id, RECIPE.config)
    assert adapter.vram_requirement in (24576, 32768) and adapter.devices == ("cuda",)
    assert adapter.license_info is not None
    # DINOv3's terms allow it within conditions.
    assert adapter.license_info.commercial == "unclear" and not adapter.license_info.requires_acceptance


@pytest.mark.parametrize("config", [{"attn_backend": "sdpa"}, {"attn_backend": ""}])
def test_an_unknown_setting_is_refused_at_construction(config: dict[str, Any]) -> None:
    with pytest.raises(AdapterUnavailable, match="want"):
        build(Trellis2ImageToMeshAdapter, "trellis2-image-to-mesh", config)


def test_nothing_of_the_environment_is_left(packages: Path) -> None:
    assert os.environ["ATTN_BACKEND"] == "unset" and "nvdiffrast" not in sys.modules
