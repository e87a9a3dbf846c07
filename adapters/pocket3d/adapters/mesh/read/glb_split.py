"""Meshes of several primitives as several meshes, under names that are the same each time. Pure.

trimesh does this by itself, with names that it draws by chance: the same file gave other bytes at every run.
"""

from __future__ import annotations

from itertools import count
from typing import Any


def split_primitives(nodes: list[dict[str, Any]], meshes: list[dict[str, Any]]) -> None:
    """Let each mesh have one primitive: the first keeps its number and name, a node below shows each further one.

    `origin` of a node, what it was made of, is handed down with the number of the primitive in place of 0.
    """
    names = {mesh["name"] for mesh in meshes if "name" in mesh}
    further: dict[int, list[int]] = {}
    for index, mesh in enumerate(list(meshes)):
        if len(mesh["primitives"]) < 2:
            continue
        first, *others = mesh["primitives"]
        further[index] = list(range(len(meshes), len(meshes) + len(others)))
        mesh["primitives"] = [first]
        base = mesh.setdefault("name", f"mesh_{index}")
        names.add(base)
        for primitive in others:
            name = next(each for number in count(1) if (each := f"{base}_{number}") not in names)
            names.add(name)
            meshes.append({"name": name, "primitives": [primitive]})
    for node in list(nodes):
        below = further.get(node.get("mesh", -1), ())
        if below:
            node["children"] = [*node.get("children", ()), *range(len(nodes), len(nodes) + len(below))]
        for place, number in enumerate(below, 1):
            made = {"name": f"{node['name']}_{meshes[number]['name']}", "mesh": number}
            nodes.append(made | ({"origin": (node["origin"][0], place)} if "origin" in node else {}))
