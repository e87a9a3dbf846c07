"""How well image_to_mesh finds subjects whose masks are known: intersection over union of the mesh's silhouette.

python tests/bench/silhouettes.py [FOLDER]

With a folder the worst pictures are written there, each beside its mask and the silhouette.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.silhouettes import measured
from support.subject_pictures import gallery

_WORST = 8


def main() -> None:
    found: list[tuple[float, Any, Any]] = []
    right = 0
    begun = time.process_time()
    for each in gallery():
        judged = measured(each)
        found.append((judged.overlap, each, judged))
        right += judged.holes == each.holes
        print(f"{judged.overlap:.3f} {judged.holes} of {each.holes} holes, {judged.level:6} {each.name}", flush=True)
    values = np.array([value for value, _, _ in found])
    print(
        f"{len(values)} pictures: mean {values.mean():.4f}, median {np.median(values):.4f}, least {values.min():.3f},"
        f" holes right in {right}, {(time.process_time() - begun) / len(values):.2f} s each"
    )
    if len(sys.argv) > 1:
        for place, (_, each, judged) in enumerate(sorted(found, key=lambda one: one[0])[:_WORST]):
            truth, made = (np.repeat(mask[..., None] * np.uint8(255), 3, axis=2) for mask in (each.truth, judged.made))
            Image.fromarray(np.concatenate([each.rgb, truth, made], axis=1)).save(Path(sys.argv[1]) / f"{place}.png")


if __name__ == "__main__":
    main()
