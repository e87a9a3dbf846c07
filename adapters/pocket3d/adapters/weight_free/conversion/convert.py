"""Places and sizes a scene, writes it, and says what the target format cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...mesh.glb_copy import placed_copy
from ...mesh.glb_merged import merged_copy
from ...mesh.gltf_files import write_gltf
from ...mesh.input import glb_bytes_of, unit_of
from ...mesh.parts import colour_bytes, is_linear, parts_of
from ...mesh.plain_files import far_offset
from ...mesh.threemf_file import UNITS
from ...mesh.write import write_mesh

#: From +Y up to +Z up: a quarter turn about x.
_Y_TO_Z = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


#: Formats that hold a glTF document, as suffixes.
DOCUMENTS = (".glb", ".gltf")
#: Formats whose lengths are metres.
_METRES = ("glb", "gltf", "usdz")


def units(scene: Any, target: str) -> tuple[float, float]:
    """What the numbers of a scene have to be multiplied with, and the unit that then holds, in metres.

    Where a format says what its unit is, lengths stay what they are. Numbers without a unit stay what they are; 3MF
    calls them millimetres, as printers do, the others metres.
    """
    held = unit_of(scene)
    if target in _METRES:
        return (1.0 if held is None else held), 1.0
    if target == "3mf":
        return 1.0, UNITS["millimeter"] if held is None else held
    return 1.0, 1.0


def place(scene: Any, options: Any, factor: float = 1.0) -> npt.NDArray[np.float64]:
    """Turn, move and scale a `trimesh.Scene` as the request's options say; returns the (4, 4) matrix applied. `factor`
    is for its unit, and goes before the rest.
    """
    matrix = np.eye(4)
    if options.input_up != options.output_up:
        matrix = _Y_TO_Z if options.output_up == "z" else _Y_TO_Z.T
    stays = options.size is None and options.centre == "none"
    turned = np.zeros((2, 3)) if stays else scene.bounds @ matrix[:3, :3].T
    low, high = turned.min(axis=0), turned.max(axis=0)
    longest = float((high - low).max())
    scale = factor if options.size is None or longest == 0 else options.size / longest
    offset = np.zeros(3)
    if options.centre != "none":
        offset = -(low + high) / 2 * scale
        if options.centre == "ground":
            up = 1 if options.output_up == "y" else 2
            offset[up] = -low[up] * scale
    move = np.diag([scale, scale, scale, 1.0])
    move[:3, 3] = offset
    applied: npt.NDArray[np.float64] = move @ matrix
    if not np.array_equal(applied, np.eye(4)):
        scene.apply_transform(applied)
    return applied


def merge(scene: Any) -> int:
    """Merge vertices of a scene that are equal in position, normal and texture coordinate; returns how many went."""
    gone = 0
    for mesh in scene.geometry.values():
        before = len(mesh.vertices)
        mesh.merge_vertices()
        gone += before - len(mesh.vertices)
    return gone


def precision(scene: Any, target: str) -> list[str]:
    """What the numbers of the target format cannot hold, as texts for people."""
    if target == "stl" and far_offset(*scene.bounds) is not None:
        return ["precision: the mesh lies far from the origin for its size; centre=bounds moves it there"]
    return []


def merged(source: Path) -> tuple[bytes, int] | None:
    """A GLB file with its equal vertices merged, and how many went; None if it is none, or has to be written anew."""
    return merged_copy(glb_bytes_of(source))


def copy_file(data: bytes, target: Path, matrix: npt.NDArray[np.float64]) -> list[Path] | None:
    """Write a GLB file once more as GLB or glTF, with everything in it, moved by `matrix`; returns further files that
    belong to it, or None if it is no GLB file, or one that has to be written anew.
    """
    copy = placed_copy(data, matrix)
    return None if copy is None else _write_document(copy, target)


def _write_document(glb: bytes, target: Path) -> list[Path]:
    if target.suffix == ".gltf":
        return write_gltf(glb, target)
    target.write_bytes(glb)
    return []


def write(scene: Any, path: Path, unit_m: float = 1.0) -> list[Path]:
    """Write in the format of the path's suffix; returns further files that belong to it. `unit_m` is the length of the
    scene's unit, in metres, where the format states one.
    """
    if path.suffix in DOCUMENTS and is_linear(scene):
        # From GLB to GLB trimesh keeps all of a material, and meshes that are shown several times.
        scene.metadata.clear()
        for mesh in scene.geometry.values():
            mesh.metadata.clear()
            colours = colour_bytes(mesh)
            if colours is not None:
                mesh.visual.vertex_attributes["color"] = colours
        return _write_document(scene.export(file_type="glb", unitize_normals=True), path)
    return write_mesh(parts_of(scene), path, unit_m)
