"""Hunyuan3D-2mv against a stand-in for upstream's package (`fake_hunyuan3d`)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
trimesh = pytest.importorskip("trimesh")
pil = pytest.importorskip("PIL.Image")

from pocket3d.adapters.catalogue.class_loading import build
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.upstream.hunyuan3d import recipe_mv
from pocket3d.adapters.upstream.hunyuan3d.multi_view import REPOSITORY, SUBFOLDER, Hunyuan3DMultiViewAdapter
from pocket3d.adapters.upstream.hunyuan3d.versions import V20
from support.heard_run import HeardRun

FAKE = Path(__file__).parent / "fake_hunyuan3d"
QUICK = {"num_inference_steps": 3, "octree_resolution": 16}


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hunyuan3DMultiViewAdapter]:
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in V20.needed:
        if importlib.util.find_spec(name) is None:
            (packages / f"{name}.py").touch()
    monkeypatch.syspath_prepend(packages)
    inside = tmp_path / "weights" / SUBFOLDER
    inside.mkdir(parents=True)
    for name in ("config.yaml", "model.fp16.safetensors"):
        (inside / name).touch()
    path, before = list(sys.path), set(sys.modules)
    made = Hunyuan3DMultiViewAdapter(model_path=tmp_path / "weights", hunyuan3d_root=FAKE, background_remover="none")
    made.device = "cpu"
    yield made
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("hy3dgen", *V20.needed):
            del sys.modules[name]


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Four cut-outs, each brighter than the one before."""
    made = []
    for number in range(4):
        image = pil.new("RGBA", (40, 40))
        image.paste((60 * number + 20,) * 3 + (255,), (5, 5, 35, 35))
        image.save(tmp_path / f"{number}.png")
        made.append(str(tmp_path / f"{number}.png"))
    return made


def seen() -> dict[str, Any]:
    found: dict[str, Any] = sys.modules["hy3dgen.shapegen"].SEEN
    return found


async def test_the_images_go_to_upstream_by_the_names_of_their_sides(
    adapter: Hunyuan3DMultiViewAdapter, pictures: list[str], tmp_path: Path
) -> None:
    assert adapter.check_available() is None
    await adapter.load()
    assert seen()["subfolder"] == SUBFOLDER and seen()["model_path"] == str(tmp_path / "weights")
    run = HeardRun(tmp_path / "out")
    answer = await run.of(adapter, {"image_paths": pictures, "seed": 3, **QUICK})
    means = seen()["means"]
    assert list(means) == ["front", "left", "back", "right"] and sorted(means.values()) == list(means.values())
    [mesh] = trimesh.load_scene(Path(answer["output_mesh_path"])).geometry.values()
    info = answer["generation_info"]
    assert info["face_count"] == len(mesh.faces) and info["views"] == list(means) and info["num_images"] == 4
    assert run.fractions == sorted(run.fractions) and run.fractions[-1] == 1.0
    assert "reading the image of the back" in run.stages
    # As many as there are, or as they are named.
    await HeardRun(tmp_path / "two").of(adapter, {"image_paths": pictures[:2], **QUICK})
    assert seen()["views"] == [0, 1]
    await HeardRun(tmp_path / "named").of(
        adapter, {"image_paths": pictures[:3], "views": ["back", "front", "right"], **QUICK}
    )
    assert seen()["views"] == [0, 2, 3] and seen()["means"]["back"] < seen()["means"]["front"]


@pytest.mark.parametrize(
    ("views", "count", "reason"),
    [
        (["front", "front"], 2, "each side once"),
        (["left", "back"], 2, "front among them"),
        (["front", "back"], 3, "2 views of 3 images"),
        (["front", "top"], 2, "want a list"),
    ],
)
async def test_sides_that_do_not_fit_are_refused(
    adapter: Hunyuan3DMultiViewAdapter, pictures: list[str], tmp_path: Path, views: list[str], count: int, reason: str
) -> None:
    await adapter.load()
    with pytest.raises(InvalidInput, match=reason) as told:
        await HeardRun(tmp_path / "out").of(adapter, {"image_paths": pictures[:count], "views": views, **QUICK})
    assert told.value.field == "views"


async def test_a_cancel_is_heard_between_the_images(
    adapter: Hunyuan3DMultiViewAdapter, pictures: list[str], tmp_path: Path
) -> None:
    await adapter.load()
    run = HeardRun(tmp_path / "out", "reading the image of the left")
    with pytest.raises(JobCancelled):
        await run.of(adapter, {"image_paths": pictures, **QUICK})
    assert run.stages[-1] == "reading the image of the left"


def test_missing_weights_are_those_of_its_own_repository() -> None:
    adapter = build(Hunyuan3DMultiViewAdapter, "hunyuan3d-2mv-image-to-mesh", {})
    reason = adapter.check_available()
    assert reason is not None and REPOSITORY in reason and SUBFOLDER in reason
    assert adapter.vram_requirement == 6144
    build(Hunyuan3DMultiViewAdapter, "hunyuan3d-2mv-image-to-mesh", recipe_mv.RECIPE.config)
