"""Writes the source mesh as GLB in world coordinates with its materials; the skin is added to that."""

from __future__ import annotations

from typing import Any

from ...mesh.parts import colour_bytes, is_linear, parts_of
from ...mesh.write import glb_bytes


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
