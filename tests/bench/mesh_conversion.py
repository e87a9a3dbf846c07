"""What a conversion costs beside trimesh's own load and export: CPU seconds, medians of alternating runs.

python tests/bench/mesh_conversion.py [FACES] [RUNS] [FORMAT ...]

The thumbnail is left out. One line for each format, read and written in the same one.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trimesh

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.mesh import result
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter


def plain(source: Path, target: Path) -> None:
    """What a script of two lines does."""
    trimesh.load(source).export(target)


def converted(adapter: TrimeshMeshConversionAdapter, source: Path, folder: Path) -> None:
    """A whole request: read, judged, counted, written, read again, counted."""
    token = current_run.set(RunContext(output_dir=folder))
    try:
        asyncio.run(adapter.process({"mesh_path": str(source), "output_format": source.suffix[1:]}))
    finally:
        current_run.reset(token)


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Of all threads of this process."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Print a line for each format."""
    faces = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    formats = sys.argv[3:] or ["glb", "obj", "ply", "stl"]
    side = round((faces / 4) ** 0.5)
    # It makes two faces for each pair of a parallel and half a meridian.
    ball = trimesh.creation.uv_sphere(count=[side, side])
    result.can_draw = lambda: False  # type: ignore[attr-defined]  # replaced where it is used
    adapter = TrimeshMeshConversionAdapter()
    asyncio.run(adapter.load())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in formats:
            source = folder / f"ball.{suffix}"
            ball.export(source)
            theirs: list[float] = []
            ours: list[float] = []
            for _ in range(runs):
                theirs.append(cpu_seconds(partial(plain, source, folder / f"plain.{suffix}")))
                ours.append(cpu_seconds(partial(converted, adapter, source, folder)))
            first, second = statistics.median(theirs), statistics.median(ours)
            print(
                f"{suffix}  faces={len(ball.faces)} trimesh={first:.2f}s ours={second:.2f}s ratio={second / first:.2f}"
            )


if __name__ == "__main__":
    main()
