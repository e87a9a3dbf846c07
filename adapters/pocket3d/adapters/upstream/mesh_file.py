"""Writes the meshes of foreign systems to files, +Y up, and ends their requests. Needs numpy and trimesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh

from ..authoring.mesh_job import finish_mesh
from ..base import BaseModel
from ..mesh.input import MeshLimits, ignored_parts, join_parts, read_scene
from ..mesh.inventory import Inventory, inventory
from ..mesh.losses import LOOKS
from ..mesh.parts import is_linear, look_of
from ..mesh.result import read_again
from ..mesh.self_check import check_surface, surface_of
from ..mesh.srgb import from_srgb
from ..mesh.write import Material, MeshPart, vertex_normals, write_mesh
from ..runtime.process_device import peak_mb

#: What a mesh without colour looks like.
_CLAY = Material("clay", (0.7, 0.7, 0.7), roughness=0.9)
#: trimesh leaves this untyped.
_gltf: Any = trimesh.exchange.gltf


class Given(NamedTuple):
    """A mesh that a request names."""

    #: A `trimesh.Trimesh`, all of the file in world coordinates.
    mesh: Any
    #: A `trimesh.Scene`, as it was read.
    scene: Any
    #: What the file has.
    held: Inventory

    def notes(self) -> list[str]:
        """What the reader left out, for people."""
        return ignored_parts(self.scene)

    def looks(self) -> list[str]:
        """What a new texture takes the place of, for people."""
        meshes = list(self.scene.geometry.values())
        lost = []
        if any(look_of(mesh, linear=is_linear(self.scene)).stated for mesh in meshes):
            lost.append("its colours and textures: the new ones take their place")
        if any(getattr(mesh.visual, "uv", None) is not None for mesh in meshes):
            lost.append("its texture coordinates: the new ones take their place")
        return lost


def read_given(path: Path, limits: MeshLimits | None = None) -> Given:
    """Read a file; errors are those of `read_mesh`."""
    scene = read_scene(path, limits or MeshLimits())
    # Asked first: joining may compute what the file has not.
    held = inventory(path, scene)
    return Given(join_parts(scene, path.name), scene, held)


def finish(
    adapter: BaseModel,
    mesh: Any,
    response: dict[str, Any],
    info: str,
    facts: dict[str, Any],
    given: Given | None = None,
) -> dict[str, Any]:
    """Write the mesh, look at the file, and complete the answer.

    Args:
        adapter: whose request it is.
        mesh: a `trimesh.Trimesh`, +Y up.
        response: the answer so far.
        info: the key under which the answer gets the facts, with device, VRAM and axis.
        facts: what is said there.
        given: the mesh that was painted, if there is one; what it had and the file has not is told.
    """
    adapter.step(0.96, "writing the file")
    extra = write(mesh, Path(response["output_mesh_path"]))
    adapter.step(0.97, "looking at the result")
    about = {**facts, "device": adapter.device, "vram_peak_mb": peak_mb(), "up_axis": "+Y"}
    if given is None:
        return finish_mesh(adapter, response, info, about, extra)
    about |= {"lost": given.looks(), "ignored": given.notes()}
    replaced = LOOKS | {"coordinates"}
    return finish_mesh(adapter, response, info, about, extra, source=given.held, replaced=replaced)


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
