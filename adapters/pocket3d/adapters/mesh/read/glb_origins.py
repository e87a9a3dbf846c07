"""What each node of the reduced copy was made of, by a name that is its own. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .glb_document import Document


def name_nodes(document: Document, nodes: list[dict[str, Any]], numbers: list[list[int]]) -> dict[str, tuple[int, int]]:
    """Give each node of the reduced copy a name that no other has, and take `origin` out of it.

    Args:
        document: the file's.
        nodes: those of the reduced copy.
        numbers: for each mesh of the document, which of its primitives are in the copy.

    Returns:
        For the name of each node that shows a mesh the node, and the primitive of its mesh, that it was made of.
    """
    # The parser has a node of this name above all others.
    taken = {"world"}
    further: Counter[str] = Counter()
    origins: dict[str, tuple[int, int]] = {}
    for node in nodes:
        base = name = node["name"]
        while name in taken:
            further[base] += 1
            name = f"{base}_{further[base]}"
        taken.add(name)
        node["name"] = name
        number, place = node.pop("origin")
        mesh = document.nodes[number].mesh
        if "mesh" in node and mesh is not None and place < len(numbers[mesh]):
            origins[name] = number, numbers[mesh][place]
    return origins


def base_colours(document: Document, origins: Mapping[str, tuple[int, int]]) -> dict[str, list[float]]:
    """The base colour that a node's material states, linear with alpha, by the node's name: the parser rounds them to
    bytes, which makes dark ones black.
    """
    found: dict[str, list[float]] = {}
    for name, (node, number) in origins.items():
        mesh = document.nodes[node].mesh
        material = None if mesh is None else document.meshes[mesh].primitives[number].material
        surface = None if material is None else document.materials[material].pbrMetallicRoughness
        if surface is not None and surface.baseColorFactor is not None:
            found[name] = [*surface.baseColorFactor, 1.0][:4]
    return found
