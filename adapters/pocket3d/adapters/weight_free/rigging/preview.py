"""Writes the source mesh as GLB in world coordinates, to which the skin is added, and draws the bones over it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ...mesh.parts import colour_bytes, is_linear, parts_of
from ...mesh.skinned_glb import Skeleton
from ...mesh.write import glb_bytes

_SIZE, _BORDER, _SAMPLES = 640, 24, 2
_BACKGROUND, _BODY, _BONE, _JOINT = (250, 250, 252), (203, 209, 219), (196, 60, 40), (30, 60, 130)


def draw_bones(surface: Any, skeleton: Skeleton) -> Image.Image:
    """A `PIL.Image.Image` (640 x 640, RGB): silhouette of a `trimesh.Trimesh`, bones thick at the head, joints."""
    # Up stays up; from the front unless the side shows more.
    across = 0 if surface.extents[0] >= surface.extents[2] else 2
    axes = [across, 1]
    if surface.extents[1] < 0.5 * min(surface.extents[0], surface.extents[2]):
        axes = [0, 2]
    flip = np.array([1.0, -1.0 if axes[1] == 1 else 1.0])
    side = _SIZE * _SAMPLES
    low, high = surface.bounds[0][axes], surface.bounds[1][axes]
    scale = (side - 2 * _BORDER * _SAMPLES) / float((high - low).max())

    def place(points: Any) -> Any:
        return (np.asarray(points)[..., axes] - (low + high) / 2) * scale * flip + side / 2

    picture = Image.new("RGB", (side, side), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for corners in place(surface.vertices)[surface.faces].reshape(-1, 6).tolist():
        draw.polygon(corners, fill=_BODY)
    heads, tails = place(skeleton.heads), place(skeleton.tails)
    wide = 5 * _SAMPLES
    for head, tail in zip(heads[1:], tails[1:], strict=True):
        line = tail - head
        normal = np.array([-line[1], line[0]]) / max(float(np.linalg.norm(line)), 1e-9) * wide
        middle = head + 0.15 * line
        draw.polygon([*head, *(middle + normal), *tail, *(middle - normal)], fill=_BONE)
    for x, y in heads:
        draw.ellipse([x - wide / 1.6, y - wide / 1.6, x + wide / 1.6, y + wide / 1.6], fill=_JOINT)
    return picture.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS)


def world_glb(scene: Any) -> bytes:
    """A `trimesh.Scene` as GLB bytes whose nodes have no transforms."""
    import trimesh

    if not is_linear(scene):
        return glb_bytes(parts_of(scene))
    # From GLB to GLB trimesh keeps all of a material; parts that are shown several times become several.
    flat = trimesh.Scene()
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        mesh = scene.geometry[name].copy()
        mesh.apply_transform(transform)
        mesh.metadata.clear()
        # Colours beside a material are lost in copying.
        colours = colour_bytes(scene.geometry[name])
        if colours is not None:
            mesh.visual.vertex_attributes["color"] = colours
        flat.add_geometry(mesh, node_name=str(node), geom_name=str(node))
    exported: bytes = flat.export(file_type="glb", unitize_normals=True)  # type: ignore[no-untyped-call]
    return exported
