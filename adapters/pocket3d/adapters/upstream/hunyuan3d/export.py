"""Writes Hunyuan3D's meshes to files. Its space has +Y up and the front at +Z, as glTF has, so nothing is turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...mesh.write import Material, MeshPart, vertex_normals, write_mesh

UP_AXIS = "+Y"
_CLAY = Material("clay", (0.7, 0.7, 0.7), roughness=0.9)


def write(mesh: Any, path: Path) -> list[Path]:
    """Write glb, obj or ply, by the suffix.

    Args:
        mesh: trimesh.Trimesh, with UVs and a texture or without.
        path: the file.

    Returns:
        Further files that belong to it (OBJ: material and texture).
    """
    if getattr(mesh.visual, "kind", None) != "texture":
        vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
        part = MeshPart("mesh", vertices, faces, vertex_normals(vertices, faces), _CLAY)
        return write_mesh([part], path)
    material = mesh.visual.material
    if hasattr(material, "to_pbr"):
        # What glTF takes where nothing is said is metal; 2.0 paints colour only.
        material = material.to_pbr()
        material.metallicFactor, material.roughnessFactor = 0.0, 1.0
        mesh.visual.material = material
    before = set(path.parent.iterdir())
    if path.suffix == ".glb":
        mesh.export(path, include_normals=True, unitize_normals=True)
    else:
        mesh.export(path)
    return sorted(set(path.parent.iterdir()) - before - {path})
