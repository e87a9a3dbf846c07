"""Parts of a scene as they are written: world coordinates, surfaces that face outwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.parts import parts_of


@pytest.mark.parametrize("coloured", [False, True])
def test_a_mirrored_instance_faces_outwards_and_keeps_the_colours_of_its_faces(coloured: bool) -> None:
    box: Any = trimesh.creation.box()
    reds = np.arange(12) * 20
    if coloured:
        box.visual.face_colors = np.stack([reds, reds * 0, reds * 0, reds * 0 + 255], axis=1).astype(np.uint8)
    scene: Any = trimesh.Scene()
    scene.add_geometry(box, transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    (part,) = parts_of(scene)
    assert trimesh.Trimesh(part.vertices, part.faces, process=False).volume == pytest.approx(1)
    if coloured:
        assert part.colours is not None
        assert part.colours[part.faces][..., 0].tolist() == [[red] * 3 for red in reds.tolist()]
        there = part.vertices[part.faces].mean(axis=1)
        assert np.allclose(there, box.triangles_center * [-1, 1, 1])
