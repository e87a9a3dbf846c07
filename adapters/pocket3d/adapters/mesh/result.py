"""The last look at a mesh that an adapter wrote: the file is loaded again, counted, and drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from ..errors import InvalidInput
from .gltf_files import joined_glb
from .input import read_data, read_scene
from .parts import leave_triangles, placed
from .plain_files import far_offset
from .read.found import scene_of
from .read.limits import MeshLimits
from .read.obj import read_obj
from .read.ply import read_ply
from .thumbnail import can_draw, draw_scene
from .topology import closed_and_bodies
from .triangles import bounds
from .usdz_again import read_usdz
from .write import MeshPart

__all__ = ["BrokenOutput", "check_written", "describe_mesh", "parts_statistics", "read_again", "scene_statistics"]

_DIGITS = 6
_ANY_SIZE = MeshLimits(max_bytes=2**62, max_vertices=2**62, max_faces=2**62)
#: Sides may differ by this share of the longest: single precision far from the origin, and digits of text.
_SAME_SIZE = 1e-4
_SINGLE = 2.0**-23


class BrokenOutput(RuntimeError):
    """The adapter wrote a mesh that cannot be loaded again, or that is empty: the adapter's own failure."""


def describe_mesh(
    path: Path, output_dir: Path, scene: Any = None, counted: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Load a written mesh (any format trimesh reads) and say what is in the file.

    An OBJ's material library and textures are looked for beside it. The picture goes to `output_dir`. `scene` is what
    was read of the file already; a file that repeats what a stranger wrote is read by `read_scene` alone. `counted` are
    the statistics of it.

    Returns:
        `{"statistics": ..., "thumbnail_path": name in output_dir}`; `thumbnail_path` is None where embreex is
        not installed, or so many faces lie on one another that drawing would take too long. For the statistics see
        `scene_statistics`.

    Raises:
        BrokenOutput: the file is not there, does not load, has no triangles, or coordinates that are not finite.
    """
    if scene is None:
        scene = _load(path)
    described: dict[str, Any] = {"statistics": counted or scene_statistics(scene), "thumbnail_path": None}
    drawn = draw_scene(scene) if can_draw() else None
    if drawn is not None:
        picture = output_dir / f"{path.stem}_thumbnail.png"
        drawn.save(picture, format="PNG", optimize=True)
        described["thumbnail_path"] = picture.name
    return described


def scene_statistics(scene: Any) -> dict[str, Any]:
    """Count a `trimesh.Scene`, every instance of a part.

    Returns:
        `vertices` and `faces` as stored; `extents` [x, y, z] in the file's units and axes, in world coordinates;
        `watertight`: equal positions merged, every edge joins two faces that run through it in opposite directions, in
        each part by itself or, where parts are pieces of one skin, over all parts together; `bodies`: connected pieces,
        counted in the same way as `watertight`.
    """
    parts = [(vertices, np.asarray(mesh.faces)) for mesh, vertices, _ in placed(scene)]
    low, high = bounds([vertices for vertices, _ in parts])
    offset = far_offset(low, high)
    if offset is not None:
        parts = [(vertices - offset, faces) for vertices, faces in parts]
    # What the formats store is single precision.
    closed, bodies = closed_and_bodies([(np.asarray(vertices, dtype=np.float32), faces) for vertices, faces in parts])
    return {
        "vertices": int(sum(len(vertices) for vertices, _ in parts)),
        "faces": int(sum(len(faces) for _, faces in parts)),
        "bodies": int(bodies),
        "watertight": bool(closed),
        "extents": _extents(high - low),
    }


def parts_statistics(parts: Sequence[MeshPart]) -> dict[str, Any]:
    """What `check_written` compares, of parts in world coordinates."""
    low, high = bounds([part.vertices for part in parts])
    return {"faces": sum(len(part.faces) for part in parts), "extents": _extents(high - low)}


def check_written(meant: Mapping[str, Any], written: Mapping[str, Any], path: Path, farthest: float = 0.0) -> None:
    """Compare the statistics of what was to be written with those of the file. `farthest` is the largest coordinate,
    which STL rounds to single precision.

    Raises:
        BrokenOutput: it has other faces, or another size.
    """
    if meant["faces"] != written["faces"]:
        raise BrokenOutput(f"{path.name} has {written['faces']:,} faces, {meant['faces']:,} were to be written")
    sides = np.array(meant["extents"])
    rounding = _SINGLE * farthest if path.suffix == ".stl" else 0.0
    if np.abs(sides - written["extents"]).max() > _SAME_SIZE * sides.max() + rounding:
        raise BrokenOutput(f"{path.name} has the extents {written['extents']}, {meant['extents']} were to be written")


def read_again(path: Path) -> Any:
    """A mesh that was just written, OBJ and glTF with the files beside them, by the readers that take files of
    strangers: they see what others let pass. USDZ, which is not read from strangers, by one of its own.

    Raises:
        BrokenOutput: they refuse it.
    """
    if path.suffix.lower() in _OWN:
        return _load(path)
    try:
        return read_scene(path, _ANY_SIZE)
    except InvalidInput as error:
        raise BrokenOutput(f"the written mesh is broken: {error.message}") from error


def _extents(sides: Any) -> list[float]:
    """Six digits behind the point, and more for what is smaller than 1."""
    longest = float(sides.max())
    digits = _DIGITS if longest <= 0 else _DIGITS + max(0, -math.floor(math.log10(longest)))
    return [round(float(each), digits) for each in sides]


def _load(path: Path) -> Any:
    if not path.is_file():
        raise BrokenOutput(f"the mesh {path.name} was not written")
    # Kept as stored, so that what is counted is what is in the file. GLB is by itself.
    options: dict[str, Any] = {} if path.suffix.lower() == ".glb" else {"process": False}
    try:
        # The parser of OBJ takes longer than all else together; that of PLY drops colours beside texture coordinates.
        own = _OWN.get(path.suffix.lower())
        scene = trimesh.load_scene(path, **options) if own is None else own(path)
    except MemoryError:
        raise
    except Exception as error:  # foreign code, which raises nearly anything on a broken file
        raise BrokenOutput(f"the written mesh {path.name} cannot be loaded again: {error}") from error
    try:
        leave_triangles(scene)
    except ValueError as error:
        raise BrokenOutput(f"the written mesh {path.name} is broken: {error}") from error
    if not list(scene.graph.nodes_geometry):
        raise BrokenOutput(f"the written mesh {path.name} has no triangles")
    return scene


def _obj_scene(path: Path) -> Any:
    """An OBJ with the materials and pictures that lie beside it."""
    kinds = (".mtl", ".png", ".jpg", ".jpeg")
    beside = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.suffix.lower() in kinds}
    return scene_of(read_obj(path.read_bytes(), _ANY_SIZE, beside))


def _ply_scene(path: Path) -> Any:
    return scene_of(read_ply(path.read_bytes(), _ANY_SIZE))


def _gltf_scene(path: Path) -> Any:
    return read_data(joined_glb(path), "glb", _ANY_SIZE)


def _3mf_scene(path: Path) -> Any:
    return read_data(path.read_bytes(), "3mf", _ANY_SIZE)


_OWN: dict[str, Callable[[Path], Any]] = {
    ".obj": _obj_scene,
    ".ply": _ply_scene,
    ".gltf": _gltf_scene,
    ".3mf": _3mf_scene,
    ".usdz": read_usdz,
}
