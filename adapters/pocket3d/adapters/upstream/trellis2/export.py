"""From what TRELLIS.2 returns to a mesh with +Y up. Needs numpy and trimesh, and upstream's packages."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..code import replaced
from ..trellis.export import TO_Y_UP, coloured
from ..trellis.progress_bar import Report, reporting_bar
from ..trellis.sampling import TrellisFailed

#: What upstream's example does before its export: the rasteriser numbers triangles in single precision.
_MOST_TRIANGLES = 16_777_216
_CUBE = [[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]]
#: The share of the cube that `Trellis2TexturingPipeline.preprocess_mesh` fills.
_FILLED = 0.99999


def check(mesh: Any) -> None:
    """Refuse a mesh without a surface.

    Raises:
        TrellisFailed: no triangles, or coordinates that are not finite.
    """
    if len(mesh.faces) == 0:
        raise TrellisFailed("TRELLIS.2 decoded an empty mesh; try another seed")
    if not bool(mesh.vertices.isfinite().all()):
        raise TrellisFailed(
            "TRELLIS.2 decoded a mesh with coordinates that are not finite: the weights or the half precision failed"
        )


def bake(mesh: Any, *, triangles: int, texture_size: int, remesh: bool, report: Report) -> Any:
    """Upstream's `to_glb` of a `MeshWithVoxel`: cleaned, simplified, unwrapped, its material in textures. +Y up.

    `report` hears of every step, and may raise.
    """
    postprocess: Any = importlib.import_module("o_voxel.postprocess")
    mesh.simplify(_MOST_TRIANGLES)
    with replaced(postprocess, tqdm=reporting_bar(report, {})):
        return postprocess.to_glb(
            vertices=mesh.vertices,
            faces=mesh.faces,
            attr_volume=mesh.attrs,
            coords=mesh.coords,
            attr_layout=mesh.layout,
            voxel_size=mesh.voxel_size,
            aabb=_CUBE,
            decimation_target=triangles,
            texture_size=texture_size,
            remesh=remesh,
            remesh_band=1,
            remesh_project=0,
            use_tqdm=True,
        )


def with_vertex_colours(mesh: Any, triangles: int) -> Any:
    """A `MeshWithVoxel` with the base colour of its voxels at its vertices. +Y up."""
    mesh.simplify(triangles)
    colours = mesh.query_vertex_attrs()[:, mesh.layout["base_color"]]
    vertices, shades = (each.detach().float().cpu().numpy().astype(np.float64) for each in (mesh.vertices, colours))
    faces = mesh.faces.detach().cpu().numpy().astype(np.int64)
    return coloured(vertices @ TO_Y_UP, faces, np.clip(np.nan_to_num(shades, nan=0.5), 0.0, 1.0))


def put_back(painted: Any, given: Any) -> Any:
    """A painted mesh, which upstream leaves in its cube, at the place and size of the given one."""
    low, high = given.bounds
    scale = float((high - low).max()) / _FILLED
    painted.vertices = np.asarray(painted.vertices, dtype=np.float64) * scale + (low + high) / 2
    return painted
