"""G11: memory of PartField's points, by upstream's own code, beside what our adapter reckons with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu.card import HERE, Card
from gpu.upstream import MODELS, found
from pocket3d.adapters.upstream.partfield.adapter import PartFieldConfig
from pocket3d.adapters.upstream.partfield.upstream import BYTES_A_POINT

_MB = 2**20
_POINTS = 1000


@pytest.mark.timeout(180)
@pytest.mark.parametrize("faces", [20_000, 40_000, 100_000])
def test_g11_partfields_points_take_what_is_reckoned(
    card: Card, figures: dict[str, Any], tmp_path: Path, faces: int
) -> None:
    scatter = MODELS / "partfield_stand_ins" / "torch_scatter"
    upstream = found("partfield", card, tmp_path / "partfield", (), [scatter], checkout_needed=True)
    program = str(HERE / "models" / "partfield_points.py")
    counted, points = (faces, _POINTS) if card.real else (faces // 100, 20)
    budget = PartFieldConfig().points_mb
    # As upstream calls it, in double precision: what a host of 24 GB cannot hold is left out.
    needed = 2 * BYTES_A_POINT * counted * points // _MB
    if card.reading().free_mb > needed + 2048:
        told = json.loads(upstream.run(card, program, str(upstream.checkout), str(counted), str(points), "0")[-1])
        figures["upstreams_own"] = told
    told = json.loads(upstream.run(card, program, str(upstream.checkout), str(counted), str(points), str(budget))[-1])
    figures.update(ours=told, stand_ins=[*upstream.stand_ins, *told["stand_ins"]])
    assert told["features"] == [counted, 448]
    if card.real:
        own = figures.get("upstreams_own")
        assert own is None or own["points_mb"] <= 1.1 * needed + 64
        # Beside the points there are the features, a block of samples and the planes.
        assert told["points_mb"] <= budget * 1.1 + 512
