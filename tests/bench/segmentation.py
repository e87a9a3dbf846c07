"""`python tests/bench/segmentation.py [--set tuning|held-out|both|smooth] [--seeds N]`: parts found in unions of known
solids, and in smooth figures of one piece.

Prints the area-weighted adjusted Rand index and the processor time of each composition, with the number of parts left
to the method, and the mean of each set.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / c) for c in ("contracts", "adapters", "tests")]

import numpy as np

from pocket3d.adapters.weight_free.segmentation.partition import segment
from support import smooth_figures
from support.compositions import HELD_OUT, TUNING, area_weighted_ari, compose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=("tuning", "held-out", "both", "smooth"), default="both")
    parser.add_argument("--seeds", type=int, default=2, help="of each composition; odd ones are CAD triangles")
    parser.add_argument("--only", help="composition of this name")
    options = parser.parse_args()
    sets: dict[str, tuple[Any, ...]] = {"tuning": TUNING, "held-out": HELD_OUT, "smooth": smooth_figures.HELD_OUT}
    for name, recipes in sets.items():
        if options.set != name and (options.set != "both" or name == "smooth"):
            continue
        scores = []
        for number, recipe in enumerate(recipes):
            if options.only and recipe.__name__ != options.only:
                continue
            for seed in range(options.seeds):
                if name == "smooth":
                    made = smooth_figures.make(recipe, 11 + 100 * seed + number)
                else:
                    made = compose(recipe, 100 * number + seed, dense=seed % 2 == 0)
                before = time.process_time()
                found = segment(made.mesh, None, 0, lambda _fraction, _stage: None)
                spent = time.process_time() - before
                score = area_weighted_ari(made.truth, found.labels, made.mesh.area_faces)
                scores.append(score)
                print(
                    f"{made.name:20} {score:6.3f}  {found.labels.max() + 1:2} parts for"
                    f" {len(np.unique(made.truth)):2}  {len(made.mesh.faces):6} faces  {spent:6.2f} s"
                    f"  {found.facts['decided_by']}",
                    flush=True,
                )
        over = sum(score > 0.95 for score in scores)
        print(
            f"{name}: mean {statistics.mean(scores):.3f}, median {statistics.median(scores):.3f},"
            f" {over} of {len(scores)} above 0.95"
        )


if __name__ == "__main__":
    main()
