"""G9: Hunyuan3D's shape pipeline with tiny random weights in half precision, and the compiled module of its texture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu.card import HERE, Card
from gpu.upstream import MODELS, Upstream, UpstreamWorker, found, picture, triangles
from gpu.workers import seconds_until

_SHAPES = "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DImageToMeshAdapter"
_OURS = MODELS / "hunyuan3d_stand_ins"
_QUICK = {"num_inference_steps": 20, "octree_resolution": 48, "num_chunks": 8000}
_LONG = {"num_inference_steps": 2, "octree_resolution": 384, "num_chunks": 500}
_JOBS = 20


@pytest.fixture(scope="module")
def upstream(card: Card, tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    stand_ins = (
        HERE / "stand_ins" / "cv2.py",
        HERE / "stand_ins" / "pymeshlab.py",
        _OURS / "torchvision",
        _OURS / "corner_remover.py",
    )
    folder = tmp_path_factory.mktemp("hunyuan3d")
    return found("hunyuan3d", card, folder, ("hy3dgen.shapegen", "diffusers", "safetensors.torch"), stand_ins)


@pytest.mark.timeout(240)
def test_g09_hunyuan3d_makes_shapes_in_half_precision(
    card: Card, figures: dict[str, Any], upstream: Upstream, tmp_path: Path
) -> None:
    figures["stand_ins"] = upstream.stand_ins
    upstream.run(card, str(MODELS / "hunyuan3d_tiny.py"), str(upstream.folder / "tiny"), "--only-shapes")
    image = picture(tmp_path / "image.png")
    before = card.reading().free_mb
    with UpstreamWorker(card, upstream, tmp_path / "worker") as worker:
        worker.loaded(
            _SHAPES,
            {
                "model_path": str(upstream.folder / "tiny" / "weights"),
                "background_remover": "corner_remover.CornerRemover",
                "hunyuan3d_root": None if upstream.checkout is None else str(upstream.checkout),
                "dtype": "float16",
            },
        )
        seven = {**image, **_QUICK, "seed": 7}
        first, mesh = worker.made("first", "image_to_mesh", seven)
        after_first = card.reading().free_mb
        figures.update(triangles=triangles(mesh), first_s=first.run_s, peak_mb=first.vram_peak_mb)
        assert triangles(mesh) > 1000
        _, again = worker.made("again", "image_to_mesh", seven)
        _, other = worker.made("other", "image_to_mesh", {**image, **_QUICK, "seed": 8})
        # Kernels may add up in another order: the same shape, not always the same bytes.
        figures["same_bytes"] = again == mesh
        assert abs(triangles(again) / triangles(mesh) - 1) < 0.01
        assert other != mesh
        for number in range(_JOBS if card.real else 1):
            last, _ = worker.made(f"job-{number}", "image_to_mesh", seven)
        figures.update(growth_mb=after_first - card.reading().free_mb, last_peak_mb=last.vram_peak_mb)
        sampling = {**image, **_QUICK, "num_inference_steps": 200}
        figures["cancel_sampling_s"] = worker.cancelled_at("sampling", "image_to_mesh", sampling, "sampling")
        decoding = {**image, **_LONG}
        figures["cancel_decoding_s"] = worker.cancelled_at("decoding", "image_to_mesh", decoding, "decoding the volume")
        worker.made("after", "image_to_mesh", seven)
        if card.real:
            assert figures["growth_mb"] < 32
            assert max(figures["cancel_sampling_s"], figures["cancel_decoding_s"]) < 2
        assert worker.shut_down(30) == 0
    figures["free_after_s"] = seconds_until(lambda: card.reading().free_mb >= before - 64, 20)


@pytest.mark.timeout(120)
def test_g09_hunyuan3d_fills_gaps_by_its_compiled_module(
    card: Card, figures: dict[str, Any], upstream: Upstream
) -> None:
    found("hunyuan3d", card, upstream.folder / "paint", ("mesh_processor", "custom_rasterizer", "xatlas"), ())
    text = (
        "from pocket3d.adapters.upstream.code import put_into_package\n"
        "from pocket3d.adapters.upstream.hunyuan3d.versions import V20\n"
        "put_into_package(V20.inpainting_package, V20.inpainting)\n"
        "from hy3dgen.texgen.differentiable_renderer.mesh_render import meshVerticeInpaint\n"
        "print(type(meshVerticeInpaint).__name__)"
    )
    figures["meshVerticeInpaint"] = upstream.run(card, "-c", text)[-1]
    assert figures["meshVerticeInpaint"] == "builtin_function_or_method"
