"""Processor time and coverage of texturing: a dense rough surface, and one of many small pieces.

python tests/bench/texturing.py [FACES] [RESOLUTION]

Processor seconds are those of this process and of the ones it starts; run it with another checkout's folders in
PYTHONPATH to compare two versions in one run.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.weight_free.texturing.adapter import ProceduralTextToTextureAdapter


def rough_body(faces: int, seed: int = 0) -> Any:
    """A lumpy ball with four limbs and a skin of scales, of about so many faces."""
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=3)
    while len(ball.faces) < faces:
        ball = ball.subdivide()
        ball.vertices /= np.linalg.norm(ball.vertices, axis=1, keepdims=True)
    points = np.asarray(ball.vertices)
    lumps: Any = sum(np.sin(points @ (4 * rng.normal(size=3)) + rng.uniform(0, 6)) for _ in range(24))
    scales: Any = sum(np.sin(points @ (70 * rng.normal(size=3)) + rng.uniform(0, 6)) for _ in range(8))
    moved = points * (1 + 0.04 * lumps + 0.001 * scales)[:, None]
    for _ in range(4):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        moved = moved + way * (np.clip((points @ way - 0.85) / 0.15, 0, 1) * 1.2)[:, None]
    body = trimesh.Trimesh(moved, ball.faces, process=False)
    if len(body.faces) > 1.3 * faces:
        body = body.simplify_quadric_decimation(face_count=faces)
    return body


def many_pieces(count: int = 60, seed: int = 0) -> Any:
    """Thin rods, boxes and small balls in all directions, as low-poly creatures and machines have them."""
    rng = np.random.default_rng(seed)
    pieces = []
    for number in range(count):
        kind = number % 3
        piece = (
            trimesh.creation.cylinder(radius=0.03, height=0.5, sections=8)
            if kind == 0
            else trimesh.creation.box([0.1, 0.06, 0.2])
            if kind == 1
            else trimesh.creation.icosphere(subdivisions=1, radius=0.08)
        )
        piece.apply_transform(trimesh.transformations.random_rotation_matrix(rng.random(3)))
        piece.apply_translation(rng.uniform(-0.5, 0.5, 3))
        pieces.append(piece)
    return trimesh.util.concatenate(pieces)


def _seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def textured(model: Any, mesh: Any, folder: Path, resolution: int) -> tuple[float, dict[str, Any]]:
    """Processor seconds of one job, and what it says."""
    source = folder / "mesh.ply"
    mesh.export(source)
    token = current_run.set(RunContext(output_dir=folder))
    begun = _seconds()
    try:
        inputs = {"mesh_path": str(source), "text_prompt": "wood", "texture_resolution": resolution}
        made = asyncio.run(model.process(inputs))
    finally:
        current_run.reset(token)
    return _seconds() - begun, made["painting_info"]


def main() -> None:
    faces = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    resolution = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
    model = ProceduralTextToTextureAdapter()
    asyncio.run(model.load())
    with tempfile.TemporaryDirectory() as name:
        for title, mesh, texels in (
            ("rough body", rough_body(faces), resolution),
            ("many pieces", many_pieces(), 512),
        ):
            spent, info = textured(model, mesh, Path(name), texels)
            print(
                f"{title}: {len(mesh.faces):,} faces, {texels} texels: {spent:.1f} s, {info['charts']} charts, coverage"
                f" {info['coverage']:.2f}, {info['overlapping_texels']} texels overlap",
                flush=True,
            )


if __name__ == "__main__":
    main()
