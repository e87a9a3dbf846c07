"""The end of a request whose file of Gaussians is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base import BaseModel

#: Rows times this: the axes of files as Kerbl et al.'s (+Y down) to +Y up, with +Z towards the viewer.
_FROM_Y_DOWN = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))


def finish_splat(
    adapter: BaseModel,
    response: dict[str, Any],
    facts: Mapping[str, Any],
    *,
    to_view: Sequence[Sequence[float]] = _FROM_Y_DOWN,
) -> dict[str, Any]:
    """Read the written file again, check it, count it, draw it, and complete the answer.

    Args:
        adapter: whose request it is; its progress becomes 1.
        response: the answer so far; `output_splat_path` is the written file, `.ply` or `.splat`.
        facts: what the adapter says under `generation_info`, beside what is there already; they stand against the
            counts.
        to_view: the rotation (3 rows) that takes the file's axes to +Y up and +Z towards the viewer, for the picture.

    Returns:
        The response. Under `generation_info` it has the facts, `output_format`, `gaussian_count`,
        `settled_opacities` (see `splat.files.settle_opacities`) and `statistics` (see `Gaussians.statistics`);
        besides, `thumbnail_path`.

    Raises:
        BrokenSplat: the file is not one that may be given to anybody.
    """
    import numpy as np

    from ..splat.files import read_gaussians, settle_opacities
    from ..splat.gaussians import BrokenSplat
    from ..splat.thumbnail import draw_gaussians

    target = Path(response["output_splat_path"])
    try:
        settled = settle_opacities(target) if target.is_file() else 0
        cloud = read_gaussians(target)
    except BrokenSplat as error:
        raise BrokenSplat(f"the written file {target.name} is broken: {error}") from error
    picture = adapter.output_dir / f"{target.stem}_thumbnail.png"
    draw_gaussians(cloud, np.asarray(to_view)).save(picture, format="PNG", optimize=True)
    statistics = cloud.statistics()
    response["generation_info"] = {
        **response.get("generation_info", {}),
        "gaussian_count": statistics["gaussians"],
        "output_format": target.suffix.lower().removeprefix("."),
        "settled_opacities": settled,
        **facts,
        "statistics": statistics,
    }
    response["thumbnail_path"] = str(picture)
    adapter.report_progress(1.0, "done")
    return response
