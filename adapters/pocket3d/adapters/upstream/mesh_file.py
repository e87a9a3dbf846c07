"""Writes the meshes of foreign systems to files, +Y up, and ends their requests. Needs numpy and trimesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from ..authoring.mesh_job import finish_mesh
from ..base import BaseModel
from ..mesh.result import read_again
from ..mesh.self_check import check_surface, surface_of
from ..mesh.srgb import from_srgb
from ..mesh.write import Material, MeshPart, vertex_normals, write_mesh
from ..runtime.process_device import peak_mb

#: What a mesh without colour looks like.
_CLAY = Material("clay", (0.7, 0.7, 0.7), roughness=0.9)
#: trimesh leaves this untyped.
_gltf: Any = trimesh.exchange.gltf


def finish(adapter: BaseModel, mesh: Any, response: dict[str, Any], info: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Write the mesh, look at the file, and complete the answer.

    The mesh is a `trimesh.Trimesh`, +Y up; under the key `info` the answer gets the facts, with device, VRAM and axis.
    """
    adapter.step(0.96, "writing the file")
    extra = write(mesh, Path(response["output_mesh_path"]))
    adapter.step(0.97, "looking at the result")
    about = {**facts, "device": adapter.device, "vram_peak_mb": peak_mb(), "up_axis": "+Y"}
    return finish_mesh(adapter, response, info, about, extra)


def write(mesh: Any, path: Path) -> list[Path]:
    """Write glb, obj or ply, by the suffix. Returns further files that belong to it (OBJ: material and texture).

    Raises:
        BrokenOutput: the file has not what was meant; looked at where the format has all of it.
    """
    if mesh.visual.kind is None:
        vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
        parts = [MeshPart("mesh", vertices, faces, vertex_normals(vertices, faces), _CLAY)]
        extra = write_mesh(parts, path)
        check_surface(surface_of(parts, path.suffix), surface_of(read_again(path), path.suffix), path)
        return extra
    before = set(path.parent.iterdir())
    if path.suffix == ".glb":
        path.write_bytes(_glb(mesh))
        check_surface(surface_of(trimesh.Scene(mesh), "glb"), surface_of(read_again(path), "glb"), path)
    else:
        mesh.export(path)
    return sorted(set(path.parent.iterdir()) - before - {path})


def _glb(mesh: Any) -> Any:
    written = mesh.copy()
    # Vertices of collapsed triangles alone have no normal of their own, and glTF takes none of length 0.
    written.vertex_normals = vertex_normals(mesh.vertices, mesh.faces)
    by_vertex = mesh.visual.kind == "vertex"
    if by_vertex:
        # glTF's COLOR_0 is linear light; alpha is so already.
        colours = mesh.visual.vertex_colors
        light = np.round(from_srgb(colours[:, :3] / 255) * 255).astype(np.uint8)
        written.visual.vertex_colors = np.column_stack([light, colours[:, 3]])

    def matte(tree: dict[str, Any]) -> None:
        # Without a material glTF's default counts, which is metal.
        tree["materials"] = [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}}]
        for each in tree["meshes"]:
            for primitive in each["primitives"]:
                primitive["material"] = 0

    return _gltf.export_glb(
        trimesh.Scene(written),
        include_normals=True,
        unitize_normals=True,
        tree_postprocessor=matte if by_vertex else None,
    )
