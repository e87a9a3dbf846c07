"""Files of a segmentation: a scene with a node and a colour for each part, and the labels."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trimesh

from .losses import LOOKS
from .parts import is_linear, look_of
from .result import read_again
from .self_check import check_surface, surface_of
from .write import Material, MeshPart, vertex_normals, write_mesh

#: Parts, their names and looks are made anew: kinds of `mesh.losses` that `part_losses` tells itself.
PARTS = LOOKS | {"parts", "meshes", "names", "coordinates", "groups"}
#: Turn of the hue from one part to the next: the golden ratio's, which keeps neighbours in number far apart.
_HUE_STEP = 0.618033988749895


class WrittenParts(NamedTuple):
    """The files and parts that were written."""

    #: One for each part: label, node, faces, area, colour.
    parts: list[dict[str, Any]]
    #: `.npy`, int32 (F,), in the order of the faces of the mesh as it was read.
    labels: Path
    #: Where the description goes.
    info: Path

    def write_info(self, facts: dict[str, Any]) -> Path:
        """Write the description as JSON."""
        self.info.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        return self.info


def write_parts(mesh: Any, labels: Any, target: Path) -> WrittenParts:
    """Write the scene to `target` and the labels beside it.

    The mesh is a `trimesh.Trimesh` of F faces, the labels are (F,) of 0..k-1, the target is a `.glb`.
    """
    areas = np.asarray(mesh.area_faces)
    plain = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    pieces: list[MeshPart] = []
    parts: list[dict[str, Any]] = []
    for label in range(int(labels.max()) + 1):
        chosen = np.flatnonzero(labels == label)
        piece: Any = plain.submesh([chosen], append=True, repair=False)
        colour = part_colour(label)
        name = f"part_{label:03d}"
        red, green, blue = (each / 255 for each in colour)
        normals = vertex_normals(piece.vertices, piece.faces)
        pieces.append(MeshPart(name, piece.vertices, piece.faces, normals, Material(name, (red, green, blue))))
        parts.append(
            {
                "label": label,
                "node": name,
                "faces": len(chosen),
                "area": float(areas[chosen].sum()),
                "colour": list(colour),
            }
        )
    write_mesh(pieces, target)
    check_surface(surface_of(pieces, "glb"), surface_of(read_again(target), "glb"), target)
    names = target.with_name(f"{target.stem}_labels.npy")
    np.save(names, np.asarray(labels, dtype=np.int32))
    return WrittenParts(parts, names, target.with_name(f"{target.stem}_parts.json"))


def part_colour(label: int) -> tuple[int, int, int]:
    """The colour of a part: red, green, blue, sRGB, 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb((label * _HUE_STEP) % 1.0, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def part_losses(scene: Any) -> list[str]:
    """For people, what a `trimesh.Scene` has that the parts, each of one colour, do not; empty if nothing."""
    looks = [look_of(mesh, linear=is_linear(scene)) for mesh in scene.geometry.values()]
    objects = len(scene.graph.nodes_geometry)
    lost: list[str] = []
    if any(look.image is not None for look in looks):
        lost.append("materials, textures and texture coordinates: each part has one colour, which shows what it is")
    elif any(look.stated for look in looks):
        lost.append("colours and materials: each part has one colour, which shows what it is")
    if objects > 1:
        lost.append(f"the source's own {objects} objects and their names: parts are found anew")
    return lost
