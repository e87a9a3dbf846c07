"""The source mesh as GLB in world coordinates, with all that it looks like: what a skin is then added to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mesh_output import glb_bytes
from ..mesh_parts import is_linear, parts_of


def world_glb(scene: Any) -> bytes:
    """A `trimesh.Scene` as a GLB whose nodes place nothing."""
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
        # Colours beside a material are lost in copying, and would be cut to 0 and 1 in writing.
        colours = getattr(scene.geometry[name].visual, "vertex_attributes", {}).get("color")
        if mesh.visual.kind == "texture" and colours is not None and len(colours) == len(mesh.vertices):
            mesh.visual.vertex_attributes["color"] = np.rint(_unit(colours) * 255).astype(np.uint8)
        flat.add_geometry(mesh, node_name=str(node), geom_name=str(node))
    exported: bytes = flat.export(file_type="glb", unitize_normals=True)  # type: ignore[no-untyped-call]
    return exported


def _unit(colours: Any) -> Any:
    """Floats 0..1 from glTF's COLOR_0: floats, or whole numbers scaled."""
    values = np.asarray(colours)
    return values / np.iinfo(values.dtype).max if values.dtype.kind in "ui" else values
