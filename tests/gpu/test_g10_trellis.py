"""G10: TRELLIS's pipeline with tiny random weights: its backends, both samplers, cancel, seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu.card import HERE, Card
from gpu.upstream import MODELS, UpstreamWorker, found, picture, triangles
from gpu.workers import seconds_until

_ADAPTER = "pocket3d.adapters.upstream.trellis.adapter.TrellisImageToMeshAdapter"
_OURS = MODELS / "trellis_stand_ins"
_STEPS = {"sparse_structure_steps": 500, "slat_steps": 500}


@pytest.mark.timeout(240)
def test_g10_trellis_samples_twice_and_is_cancelled_in_each(
    card: Card, figures: dict[str, Any], tmp_path: Path
) -> None:
    names = ("xformers", "open3d", "trellis_on_cpu.py", "trellis_flexicubes.py", "utils3d", "rembg.py", "torchvision")
    stand_ins = [*(_OURS / each for each in names), *(HERE / "stand_ins" / each for each in ("spconv", "cv2.py"))]
    upstream = found(
        "trellis", card, tmp_path / "trellis", ("trellis.models", "easydict", "plyfile", "safetensors.torch"), stand_ins
    )
    figures["stand_ins"] = upstream.stand_ins
    tiny = upstream.folder / "tiny"
    upstream.run(card, str(MODELS / "trellis_tiny.py"), str(tiny), ATTN_BACKEND="xformers")
    image = picture(tmp_path / "image.png")
    before = card.reading().free_mb
    # Upstream looks at these variables while it is imported: the adapter has to set them before.
    homes = {"TORCH_HOME": str(tiny / "torch"), "U2NET_HOME": str(tiny / "u2net")}
    with UpstreamWorker(card, upstream, tmp_path / "worker", **homes) as worker:
        worker.loaded(
            _ADAPTER,
            {
                "model_path": str(tiny / "weights"),
                "trellis_root": None if upstream.checkout is None else str(upstream.checkout),
                "attn_backend": "xformers",
                "spconv_algo": "native",
                "texture": False,
            },
        )
        first, mesh = worker.made("first", "image_to_mesh", {**image, "seed": 7})
        printed = worker.log_lines()
        assert any("[SPARSE] Backend: spconv, Attention: xformers" in each for each in printed), printed
        assert any("[SPARSE][CONV] spconv algo: native" in each for each in printed), printed
        figures.update(triangles=triangles(mesh), first_s=first.run_s, peak_mb=first.vram_peak_mb)
        assert triangles(mesh) > 1000
        _, again = worker.made("again", "image_to_mesh", {**image, "seed": 7})
        _, other = worker.made("other", "image_to_mesh", {**image, "seed": 8})
        # Kernels may add up in another order: the same shape, not always the same bytes.
        figures["same_bytes"] = again == mesh
        assert abs(triangles(again) / triangles(mesh) - 1) < 0.01
        assert other != mesh
        for stage in ("structure", "surface and colour"):
            took = worker.cancelled_at(f"cancel-{stage}", "image_to_mesh", {**image, **_STEPS}, stage)
            figures[f"cancel_{stage}_s"] = took
            if card.real:
                assert took < 2
        _, after = worker.made("after", "image_to_mesh", {**image, "seed": 7})
        assert abs(triangles(after) / triangles(mesh) - 1) < 0.01
        assert worker.shut_down(30) == 0
    figures["free_after_s"] = seconds_until(lambda: card.reading().free_mb >= before - 64, 20)
