"""The TripoSplat adapter against a stand-in for its checkout (`fake_triposplat`)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pil = pytest.importorskip("PIL.Image")

from pocket3d.adapters.catalogue.class_loading import build
from pocket3d.adapters.check import check_adapter
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.splat.files import read_gaussians
from pocket3d.adapters.splat.gaussians import BrokenSplat
from pocket3d.adapters.upstream.triposplat import adapter as module
from pocket3d.adapters.upstream.triposplat.adapter import WEIGHTS, TripoSplatAdapter
from pocket3d.adapters.upstream.triposplat.recipe import RECIPE
from support.heard_run import HeardRun

FAKE = Path(__file__).parent / "fake_triposplat"
FEW = 32_768


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty modules for what upstream imports and this interpreter lacks."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in module.NEEDED:
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").touch()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for file in WEIGHTS.values():
        path = tmp_path / "weights" / "TripoSplat" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    return tmp_path / "weights"


@pytest.fixture
def adapter(packages: Path, weights: Path) -> Iterator[TripoSplatAdapter]:
    path, before = list(sys.path), set(sys.modules)
    made = TripoSplatAdapter(model_path=weights, triposplat_root=FAKE)
    made.device = "cpu"
    yield made
    sys.path[:] = path
    for name in {"triposplat", "model"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "apple.png"
    pixels = np.zeros((64, 64, 4), dtype=np.uint8)
    pixels[8:56, 8:56] = (230, 30, 20, 255)
    pil.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("kind", ["ply", "splat"])
async def test_an_image_becomes_gaussians_that_are_counted_and_drawn(
    adapter: TripoSplatAdapter, picture: Path, tmp_path: Path, kind: str
) -> None:
    assert adapter.check_available() is None
    await adapter.load()
    run = HeardRun(tmp_path / "out")
    asked = {"image_path": str(picture), "output_format": kind, "num_gaussians": FEW + 5, "steps": 4, "seed": 3}
    answer = await run.of(adapter, asked)
    path = Path(answer["output_splat_path"])
    info = answer["generation_info"]
    assert path.suffix == f".{kind}" and path.parent == tmp_path / "out"
    # Upstream rounds to a multiple of 32; what is told was counted in the file.
    assert info["gaussian_count"] == info["statistics"]["gaussians"] == len(read_gaussians(path).positions) == FEW
    assert (info["requested_gaussians"], info["output_format"], answer["seed"]) == (FEW + 5, kind, 3)
    assert info["settled_opacities"] == (1 if kind == "ply" else 0)
    assert info["statistics"]["extents"] == pytest.approx([1, 1, 1], abs=0.01)
    with pil.open(answer["thumbnail_path"]) as drawn:
        red, green, _ = drawn.convert("RGB").getpixel((128, 128))
        assert red > 100 > green
    assert run.stages == [
        *("reading the image", "cutting out the subject", "encoding the image"),
        *(f"sampling {number}/4" for number in (1, 2, 3, 4)),
        *("decoding the Gaussians", "writing the file", "looking at the result", "done"),
    ]
    assert run.fractions == sorted(run.fractions) and run.fractions[-1] == 1.0


async def test_the_seed_decides_also_what_upstream_draws_from_torchs_own_generator(
    adapter: TripoSplatAdapter, picture: Path, tmp_path: Path
) -> None:
    await adapter.load()
    made = []
    for number, seed in enumerate((7, 7, 8)):
        inputs = {"image_path": str(picture), "num_gaussians": FEW, "seed": seed, "steps": 1}
        answer = await HeardRun(tmp_path / str(number)).of(adapter, inputs)
        made.append(Path(answer["output_splat_path"]).read_bytes())
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("stage", ["cutting out", "encoding", "sampling 2/", "decoding", "writing"])
async def test_a_cancel_is_heard_in_every_stage_and_the_model_serves_the_next(
    adapter: TripoSplatAdapter, picture: Path, tmp_path: Path, stage: str
) -> None:
    await adapter.load()
    inputs = {"image_path": str(picture), "num_gaussians": FEW, "steps": 5}
    run = HeardRun(tmp_path / "cancelled", stage)
    with pytest.raises(JobCancelled):
        await run.of(adapter, inputs)
    # What the next step would have been was not begun.
    assert run.stages[-1].startswith(stage)
    assert not {"preprocess_image", "encode_image", "decode_latent"} & set(vars(adapter.model))
    await HeardRun(tmp_path / "next").of(adapter, inputs)


async def test_images_without_a_subject_are_the_producers_mistake(adapter: TripoSplatAdapter, tmp_path: Path) -> None:
    await adapter.load()
    pil.new("RGBA", (40, 40)).save(tmp_path / "nothing.png")
    pil.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
    for name, reason in (("nothing", "fully transparent"), ("white", "background is taken away")):
        with pytest.raises(InvalidInput, match=reason) as told:
            await HeardRun(tmp_path / "out").of(adapter, {"image_paths": [str(tmp_path / f"{name}.png")]})
        assert told.value.field == "image_paths"


async def test_what_no_viewer_could_draw_fails_the_job(
    adapter: TripoSplatAdapter, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await adapter.load()
    decode = type(adapter.model).decode_latent

    def broken(self: Any, *given: Any, **options: Any) -> Any:
        gaussians = decode(self, *given, **options)
        gaussians.table[5, 0] = np.nan
        return gaussians

    monkeypatch.setattr(type(adapter.model), "decode_latent", broken)
    with pytest.raises(BrokenSplat, match=r"generated_splat_.*\.ply is broken: 1 of 32,768 Gaussians have positions"):
        await HeardRun(tmp_path / "out").of(adapter, {"image_path": str(picture), "num_gaussians": FEW, "steps": 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_gaussians", FEW - 1), ("num_gaussians", 262_145), ("steps", 0), ("shift", 0.5), ("output_format", "glb")],
)
async def test_what_upstream_would_not_take_is_refused_before_it(
    adapter: TripoSplatAdapter, picture: Path, tmp_path: Path, key: str, value: Any
) -> None:
    await adapter.load()
    with pytest.raises(InvalidInput) as told:
        await HeardRun(tmp_path / "out").of(adapter, {"image_path": str(picture), key: value})
    assert told.value.field == key


def test_what_is_missing_is_named_with_the_command_that_brings_it(packages: Path, weights: Path) -> None:
    reason = TripoSplatAdapter().check_available()
    assert reason is not None and "triposplat_root is not set" in reason
    assert "pocket3d adapters install triposplat-image-to-splat" in reason
    decoder = weights / "TripoSplat" / WEIGHTS["decoder_path"]
    decoder.unlink()
    for given in (weights, weights / "TripoSplat"):
        reason = TripoSplatAdapter(model_path=given, triposplat_root=FAKE).check_available()
        assert reason is not None and "decoder_path" in reason and WEIGHTS["decoder_path"] in reason
    reason = TripoSplatAdapter(triposplat_root=FAKE).check_available()
    assert reason is not None and "the weights of ckpt_path" in reason
    assert TripoSplatAdapter(triposplat_root=FAKE, download=True).check_available() is None


async def test_weights_that_do_not_load_are_told_in_upstreams_words(adapter: TripoSplatAdapter, weights: Path) -> None:
    (weights / "TripoSplat" / WEIGHTS["rmbg_path"]).write_bytes(b"")
    with pytest.raises(
        RuntimeError, match=r"TripoSplat cannot load its weights: ValueError: Error while deserializing"
    ):
        await adapter.load()


def test_the_recipe_makes_what_the_class_takes() -> None:
    made = build(TripoSplatAdapter, "triposplat-image-to-splat", RECIPE.config)
    assert made.vram_requirement == 10240 and made.devices == ("cuda",)
    assert set(RECIPE.weights[0].files) == set(WEIGHTS.values())


def test_it_keeps_the_contract_in_a_worker(packages: Path, weights: Path, tmp_path: Path) -> None:
    report = check_adapter(
        TripoSplatAdapter,
        config={"model_path": str(weights), "triposplat_root": str(FAKE)},
        inputs={"num_gaussians": FEW},
        path=[packages],
        device="cpu",
        work_dir=tmp_path / "check",
    )
    assert report.ok, report.text()
    assert any(check.name == "seed" and check.level == "ok" for check in report.checks), report.text()
