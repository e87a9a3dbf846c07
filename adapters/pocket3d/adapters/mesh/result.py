"""The last look at a mesh that an adapter wrote: the file is loaded again, counted, and drawn."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from .parts import leave_triangles, placed
from .plain_files import far_offset
from .read.found import scene_of
from .read.limits import MeshLimits
from .read.obj import read_obj
from .read.ply import read_ply
from .thumbnail import can_draw, draw_scene
from .triangles import body_labels
from .weld import weld_vertices
from .write import MeshPart, is_watertight

__all__ = ["ANY_SIZE", "BrokenOutput", "check_written", "describe_mesh", "parts_statistics", "scene_statistics"]

_DIGITS = 6
#: For files that we wrote ourselves.
ANY_SIZE = MeshLimits(max_bytes=2**62, max_vertices=2**62, max_faces=2**62)
#: Sides may differ by this share of the longest: single precision far from the origin, and digits of text.
_SAME_SIZE = 1e-4


class BrokenOutput(RuntimeError):
    """The adapter wrote a mesh that cannot be loaded again, or that is empty: the adapter's own failure."""


def describe_mesh(path: Path, output_dir: Path, scene: Any = None) -> dict[str, Any]:
    """Load a written mesh (any format trimesh reads) and say what is in the file.

    An OBJ's material library and textures are looked for beside it. The picture goes to `output_dir`. `scene` is what
    was read of the file already; a file that repeats what a stranger wrote is read by `read_scene` alone.

    Returns:
        `{"statistics": ..., "thumbnail_path": name in output_dir}`; `thumbnail_path` is None where embreex is
        not installed, or so many faces lie on one another that drawing would take too long. For the statistics see
        `scene_statistics`.

    Raises:
        BrokenOutput: the file is not there, does not load, has no triangles, or coordinates that are not finite.
    """
    if scene is None:
        scene = _load(path)
    described: dict[str, Any] = {"statistics": scene_statistics(scene), "thumbnail_path": None}
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
    low = np.min([vertices.min(axis=0) for vertices, _ in parts], axis=0)
    high = np.max([vertices.max(axis=0) for vertices, _ in parts], axis=0)
    offset = far_offset(low, high)
    if offset is not None:
        parts = [(vertices - offset, faces) for vertices, faces in parts]
    closed, bodies = _topology([(np.asarray(vertices, dtype=np.float32), faces) for vertices, faces in parts])
    return {
        "vertices": int(sum(len(vertices) for vertices, _ in parts)),
        "faces": int(sum(len(faces) for _, faces in parts)),
        "bodies": int(bodies),
        "watertight": bool(closed),
        "extents": _extents(high - low),
    }


#: The last triangles that were looked at, by their digest, and what was found: most files are judged when they are read
#: and when they were written.
_last: tuple[bytes, tuple[bool, int]] | None = None


def _topology(parts: list[tuple[Any, Any]]) -> tuple[bool, int]:
    """Whether the parts are closed, and how many bodies they have; see `scene_statistics`."""
    global _last
    digest = hashlib.blake2b(digest_size=16)
    for vertices, faces in parts:
        digest.update(len(faces).to_bytes(8, "little"))
        # Adding 0 makes 0 of -0.
        digest.update((vertices + np.float32(0))[faces])
    key = digest.digest()
    if _last is None or _last[0] != key:
        _last = key, _closed_and_bodies(parts)
    return _last[1]


def _closed_and_bodies(parts: list[tuple[Any, Any]]) -> tuple[bool, int]:
    merged = [_merged(vertices, faces) for vertices, faces in parts]
    closed = all(is_watertight(faces) for _, faces in merged)
    bodies = sum(_bodies(count, faces) for count, faces in merged)
    if not closed and len(parts) > 1:
        starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
        count, faces = _merged(
            np.concatenate([vertices for vertices, _ in parts]),
            np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=True)]),
        )
        closed, bodies = is_watertight(faces), _bodies(count, faces)
    return closed, bodies


def parts_statistics(parts: Sequence[MeshPart]) -> dict[str, Any]:
    """What `check_written` compares, of parts in world coordinates."""
    low = np.min([part.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.vertices.max(axis=0) for part in parts], axis=0)
    return {"faces": sum(len(part.faces) for part in parts), "extents": _extents(high - low)}


def check_written(meant: Mapping[str, Any], written: Mapping[str, Any], path: Path) -> None:
    """Compare the statistics of what was to be written with those of the file.

    Raises:
        BrokenOutput: it has other faces, or another size.
    """
    if meant["faces"] != written["faces"]:
        raise BrokenOutput(f"{path.name} has {written['faces']:,} faces, {meant['faces']:,} were to be written")
    sides = np.array(meant["extents"])
    if np.abs(sides - written["extents"]).max() > _SAME_SIZE * sides.max():
        raise BrokenOutput(f"{path.name} has the extents {written['extents']}, {meant['extents']} were to be written")


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
        own = {".obj": _obj_scene, ".ply": _ply_scene}.get(path.suffix.lower())
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
    return scene_of(read_obj(path.read_bytes(), ANY_SIZE, beside))


def _ply_scene(path: Path) -> Any:
    return scene_of(read_ply(path.read_bytes(), ANY_SIZE))


def _merged(vertices: Any, faces: Any) -> tuple[int, Any]:
    """Number of different positions, and faces between them without those that fall together. Positions are equal if
    they are so in single precision, which is what the formats store.
    """
    place, first = weld_vertices(vertices)
    joined = place[faces]
    a, b, c = joined.T
    whole = (a != b) & (b != c) & (c != a)
    return len(first), joined if whole.all() else joined[whole]


def _bodies(count: int, faces: Any) -> int:
    """Connected pieces among the vertices that faces use."""
    return int(body_labels(count, faces).max()) + 1 if len(faces) else 0
