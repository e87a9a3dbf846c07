"""What each node of the reduced copy was made of, by a name that is its own. Pure."""

from __future__ import annotations

from collections import Counter
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
