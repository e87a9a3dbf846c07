"""What the readers of plain formats find in a file, as arrays; and the scene that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..plain_files import far_offset
from ..srgb import from_srgb
from .limits import MAX_COORDINATE, Refused


class FoundPart(NamedTuple):
    """A piece of surface of one look."""

    name: str
    #: (V, 3)
    vertices: npt.NDArray[np.float64]
    #: (F, 3)
    faces: npt.NDArray[np.int64]
    #: (V, 3); None: computed from the faces.
    normals: npt.NDArray[np.float64] | None = None
    #: (V, 2), origin at the lower left corner.
    uv: npt.NDArray[np.float64] | None = None
    #: (V, 4) sRGB with alpha, 0..1.
    colours: npt.NDArray[np.float64] | None = None
    #: (F, 4) sRGB with alpha, 0..1; not beside `uv`.
    face_colours: npt.NDArray[np.float64] | None = None
    #: The name of its material; its looks are in another file.
    material: str | None = None
    #: A material of trimesh; else one is made of the name.
    look: Any = None


class Found(NamedTuple):
    """A file's surface."""

    parts: Sequence[FoundPart]
    #: What was left out, for people.
    ignored: tuple[str, ...] = ()
    #: The length of one of its units in metres, where the format says it.
    unit: float | None = None


def scene_of(found: Found) -> Any:
    """Make a `trimesh.Scene` of what was found.

    What lies far from the origin for its size is moved there and its node says from where, so that nothing is lost
    where single precision is stored.

    Raises:
        Refused: coordinates that are not finite or beyond `MAX_COORDINATE`.
    """
    import trimesh

    offset = _offset(found.parts)
    scene = trimesh.Scene()
    for part in found.parts:
        vertices = part.vertices if offset is None else part.vertices - offset
        mesh = trimesh.Trimesh(vertices, part.faces, vertex_normals=part.normals, process=False)
        _dress(mesh, part)
        transform = np.eye(4)
        if offset is not None:
            transform[:3, 3] = offset
        name = trimesh.util.unique_name(part.name, scene.geometry)
        scene.add_geometry(mesh, node_name=name, geom_name=name, transform=transform)
    return scene


def _offset(parts: Sequence[FoundPart]) -> npt.NDArray[np.floating] | None:
    low = np.full(3, np.inf)
    high = np.full(3, -np.inf)
    for part in parts:
        if not np.isfinite(part.vertices).all():
            raise Refused(f"part {part.name!r} has coordinates that are not finite numbers")
        low = np.minimum(low, part.vertices.min(axis=0))
        high = np.maximum(high, part.vertices.max(axis=0))
    if not parts:
        raise Refused("no surface: there are no triangles in it")
    if float(np.abs([low, high]).max()) > MAX_COORDINATE:
        raise Refused(f"it has coordinates beyond {MAX_COORDINATE:g}")
    return far_offset(low, high)


def _dress(mesh: Any, part: FoundPart) -> None:
    import trimesh.visual.material

    visual: Any = trimesh.visual

    textured = part.uv is not None or part.material is not None or part.look is not None
    if textured:
        look = part.look if part.look is not None else visual.material.PBRMaterial(name=part.material)
        mesh.visual = visual.TextureVisuals(uv=part.uv, material=look)
        if part.colours is not None:
            # Beside a material they are as glTF has them: linear.
            linear = np.concatenate([from_srgb(part.colours[:, :3]), part.colours[:, 3:]], axis=1)
            mesh.visual.vertex_attributes["color"] = linear
    elif part.colours is not None:
        mesh.visual = visual.ColorVisuals(mesh, vertex_colors=_bytes(part.colours))
    elif part.face_colours is not None:
        mesh.visual = visual.ColorVisuals(mesh, face_colors=_bytes(part.face_colours))


def _bytes(colours: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return (colours.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def opaque(colours: npt.NDArray[Any], scale: float) -> npt.NDArray[np.float64]:
    """(N, 4) 0..1 from (N, 3) or (N, 4) of 0..`scale`."""
    values = np.asarray(colours, dtype=np.float64) / scale
    if values.shape[1] == 3:
        values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    return np.nan_to_num(values).clip(0, 1)


def fan(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(T, 3) the corners of triangles that polygons are cut into: each has `counts` corners from `starts` on."""
    if len(counts) and (counts == 3).all():
        return np.asarray(starts)[:, None] + np.arange(3)
    each = np.maximum(counts - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), each)
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(each) - each, each)
    first = np.asarray(starts)[polygon]
    return np.stack([first, first + step + 1, first + step + 2], axis=1)
