"""Gives each part of a scene new faces, keeps its colours, and judges the new surface by the old one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...mesh.appearance import colours_at
from ...mesh.clean import Clean, cleaned, compacted
from ...mesh.input import MeshLimits
from ...mesh.nearest import Surface, deviation
from ...mesh.triangles import BoolArray, FloatArray, IntArray, areas
from ...mesh.write import MeshPart, vertex_normals
from ...runtime.native_call import NativeFailed, call_native

METHOD = "Instant Meshes (pynanoinstantmeshes)"
SOURCE = "Jakob, Tarini, Panozzo and Sorkine-Hornung 2015 (Instant Field-Aligned Meshes)"
LIMITS = MeshLimits(max_faces=1_000_000, max_vertices=3_000_000)
MOST_PARTS = 256
#: Fewer faces than this make no closed surface of quadrilaterals.
_LEAST_FACES = 24
#: The library divides the input until its edges are about as long as the new ones; shorter than this share of the
#: scene's longest side, single precision cannot hold them apart.
_LEAST_EDGE = 1e-5
#: MB of the library's process: to start it, and for each thousand triangles of the divided input. Measured: 494 in all
#: for 200,000 quadrilaterals of a ball of 327,680 triangles, which is a third of a MB for each thousand.
_MEMORY_BASE, _MEMORY_PER_THOUSAND = 1024, 1
#: Triangles of the divided input for each new face: 6 for a quadrilateral, 12 for a triangle, as the library tells.
_DIVIDED = 12


class NoRetopology(ValueError):
    """The surface cannot be covered anew; the message says why."""


class Remade(NamedTuple):
    """The new parts, whose faces share vertices, and what was measured."""

    parts: list[MeshPart]
    facts: dict[str, Any]


def remake(
    parts: Sequence[MeshPart],
    *,
    target: int,
    corners: int,
    sharp_angle: float,
    borders: bool,
    folder: Path,
    step: Callable[[float, str], None],
    check: Callable[[], None],
) -> Remade:
    """Cover each part anew, with `target` faces of `corners` corners in all, by area.

    Edges sharper than `sharp_angle` degrees stay where they are. `step` is told (share, stage), `check` raises to end.

    Raises:
        NoRetopology: no area, too thin, too many parts, or the library gave up.
    """
    step(0.0, "cleaning the surface")
    clean = [cleaned(part.vertices, part.faces) for part in parts]
    there = [number for number, each in enumerate(clean) if len(each.faces)]
    shares = [float(areas(clean[number].vertices[clean[number].faces]).sum()) for number in there]
    _refuse(clean, shares, target)
    targets = [max(round(target * share / sum(shares)), _LEAST_FACES) for share in shares]
    step(0.1, "covering it anew")
    made = _called([clean[number] for number in there], targets, corners, sharp_angle, borders, folder, check)
    remade: list[MeshPart] = []
    shapes: list[tuple[FloatArray, IntArray]] = []
    warnings = _warnings(parts, clean)
    for index, (vertices, faces) in enumerate(made):
        step(0.6 + 0.2 * index / len(made), "measuring the new surface")
        part = parts[there[index]]
        if len(faces) == 0:
            warnings.append(f"{part.name}: its share of {targets[index]} faces is too small for it; it is left out")
            continue
        shapes.append((vertices, faces))
        remade.append(_part(part, vertices, faces))
    if not remade:
        raise NoRetopology("nothing came of it; ask for more faces")
    step(0.8, "measuring how far it is from the old one")
    before = np.concatenate([each.vertices[each.faces] for each in clean if len(each.faces)])
    after = np.concatenate([each.vertices[each.faces] for each in remade])
    facts = {
        "target_faces": target,
        "polygon_faces": int(sum(len(faces) for _, faces in shapes)),
        "polygon_vertices": int(sum(len(vertices) for vertices, _ in shapes)),
        "valence": valence(shapes, 4 if corners == 4 else 6),
        "deviation": deviation(before, after).facts(),
        "dropped_faces": int(sum(each.dropped for each in clean)),
        "warnings": warnings,
    }
    return Remade(remade, facts)


def valence(shapes: Sequence[tuple[FloatArray, IntArray]], regular: int) -> dict[str, Any]:
    """How many edges meet in the vertices that are not on a border: `regular_percent` have the wanted number."""
    counts = np.zeros(0, dtype=np.int64)
    for vertices, faces in shapes:
        sides = [faces[:, [side, (side + 1) % faces.shape[1]]] for side in range(faces.shape[1])]
        edges, used = np.unique(np.sort(np.concatenate(sides), axis=1), axis=0, return_counts=True)
        border = np.zeros(len(vertices), dtype=bool)
        border[edges[used == 1].reshape(-1)] = True
        found = np.bincount(edges.reshape(-1), minlength=len(vertices))
        counts = np.concatenate([counts, found[~border & (found > 0)]])
    if len(counts) == 0:
        return {"regular": regular, "interior_vertices": 0, "regular_percent": None, "least": None, "most": None}
    return {
        "regular": regular,
        "interior_vertices": len(counts),
        "regular_percent": round(100 * float((counts == regular).mean()), 2),
        "least": int(counts.min()),
        "most": int(counts.max()),
    }


def _refuse(clean: Sequence[Clean], shares: Sequence[float], target: int) -> None:
    if not shares:
        raise NoRetopology("no triangle of it encloses an area")
    if len(shares) > MOST_PARTS:
        raise NoRetopology(f"{len(shares)} parts, at most {MOST_PARTS} are taken; join them first")
    edge = (sum(shares) / target) ** 0.5 / _box(clean)[1]
    if edge < _LEAST_EDGE:
        raise NoRetopology(f"it is too thin: {target} faces would be {edge:.1g} of its length wide")


def _box(clean: Sequence[Clean]) -> tuple[FloatArray, float]:
    """The middle of the bounding box of all parts, and its longest side."""
    low = np.min([each.vertices.min(axis=0) for each in clean if len(each.faces)], axis=0)
    high = np.max([each.vertices.max(axis=0) for each in clean if len(each.faces)], axis=0)
    return (low + high) / 2, float((high - low).max())


def _called(
    clean: Sequence[Clean],
    targets: Sequence[int],
    corners: int,
    sharp_angle: float,
    borders: bool,
    folder: Path,
    check: Callable[[], None],
) -> list[tuple[FloatArray, IntArray]]:
    # The library computes in single precision, and divides without end what that cannot hold apart.
    centre, scale = _box(clean)
    arrays: dict[str, Any] = {}
    for number, each in enumerate(clean):
        arrays[f"vertices_{number}"] = (each.vertices - centre) / scale
        arrays[f"faces_{number}"] = each.faces
    crease = -1.0 if sharp_angle >= 180 else sharp_angle
    options = {"targets": list(targets), "corners": corners, "crease": crease, "borders": borders}
    triangles = sum(len(each.faces) for each in clean) + _DIVIDED * sum(targets)
    memory = _MEMORY_BASE + _MEMORY_PER_THOUSAND * triangles // 1000
    try:
        made = call_native(
            "pocket3d.adapters.weight_free.retopology.library:remesh",
            arrays,
            options,
            folder=folder,
            memory_mb=memory,
            check=check,
        )
    except NativeFailed as error:
        raise NoRetopology(f"Instant Meshes gave up: {error}") from error
    found = [(made[f"vertices_{number}"], made[f"faces_{number}"]) for number in range(len(clean))]
    return [_sound(vertices * scale + centre, faces) for vertices, faces in found]


def _sound(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Without faces that use a vertex twice or one that is nowhere, and without vertices that no face uses."""
    if len(faces) == 0:
        return vertices, faces
    finite: BoolArray = np.asarray(np.isfinite(vertices).all(axis=1))
    faces = faces[((faces >= 0) & (faces < len(vertices))).all(axis=1)]
    faces = faces[finite[faces].all(axis=1)]
    ordered = np.sort(faces, axis=1)
    return compacted(vertices, faces[(np.diff(ordered, axis=1) > 0).all(axis=1)])


def _part(before: MeshPart, vertices: FloatArray, faces: IntArray) -> MeshPart:
    """The part with new faces; colours of its vertices and its texture go to the new vertices."""
    triangles = faces if faces.shape[1] == 3 else divided(vertices, faces)
    colours = None
    if before.colours is not None or before.texture is not None:
        _, places = Surface(before.vertices[before.faces]).nearest(vertices)
        colours = colours_at(before, places)
    normals = vertex_normals(vertices, triangles)
    quads = None if faces.shape[1] == 3 else faces
    return MeshPart(before.name, vertices, triangles, normals, before.material, colours=colours, quads=quads)


def divided(vertices: FloatArray, quads: IntArray) -> IntArray:
    """(2Q, 3) the triangles of (Q, 4), along the shorter diagonal: those of quad i are i and Q + i."""
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    shorter = (first <= second)[:, None]
    one = np.where(shorter, quads[:, [0, 1, 2]], quads[:, [0, 1, 3]])
    other = np.where(shorter, quads[:, [0, 2, 3]], quads[:, [1, 2, 3]])
    return np.concatenate([one, other])


def _warnings(parts: Sequence[MeshPart], clean: Sequence[Clean]) -> list[str]:
    pairs = zip(parts, clean, strict=True)
    found = [f"{part.name}: no triangle of it encloses an area" for part, each in pairs if len(each.faces) == 0]
    if any(part.texture is not None for part in parts):
        found.append("textures and texture coordinates belong to the old faces; their colours are at the new vertices")
    return found
