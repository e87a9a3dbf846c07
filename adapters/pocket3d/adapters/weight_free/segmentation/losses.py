"""What a segmented file no longer has of the source."""

from __future__ import annotations

from typing import Any

from ...mesh.parts import is_linear, look_of


def losses(scene: Any) -> list[str]:
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
