"""Meshes that a node shows several times, by the extension EXT_mesh_gpu_instancing.

Each attribute that places copies is an accessor of floats, or of normalised whole numbers for turns; what is not there
places nothing. Every copy becomes a node of its own below the one that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .glb_arrays import Arrays
from .glb_document import Document
from .limits import Refused

EXTENSION = "EXT_mesh_gpu_instancing"
_PLACES = (("TRANSLATION", "translation", "VEC3"), ("ROTATION", "rotation", "VEC4"), ("SCALE", "scale", "VEC3"))
#: Nodes are walked one by one.
_MOST = 100_000


def count_instances(document: Document, arrays: Arrays) -> dict[int, int]:
    """How many copies each node shows that has the extension. A skinned mesh stands where its joints hold it, once."""
    copies: dict[int, int] = {}
    for index, node in enumerate(document.nodes):
        if EXTENSION not in node.extensions or node.mesh is None or node.skin is not None:
            continue
        counts = {
            arrays.accessor(number, name, (kind,)).count for name, _, kind, number in _attributes(document, index)
        }
        if len(counts) != 1:
            raise Refused(f"the copies of node {index} ({EXTENSION}) have {len(counts) or 'no'} different counts")
        copies[index] = counts.pop()
    if sum(copies.values()) > _MOST:
        raise Refused(f"{sum(copies.values()):,} copies of meshes, at most {_MOST:,} are taken")
    return copies


def spread_instances(
    document: Document, arrays: Arrays, nodes: list[dict[str, Any]], copies: Mapping[int, int]
) -> None:
    """Give each copy a node of its own. `nodes` are those of the reduced copy, numbered as the document's."""
    for index, count in copies.items():
        mesh = nodes[index].pop("mesh")
        places = {key: arrays.rows(number).astype(np.float64) for _, key, _, number in _attributes(document, index)}
        if not all(np.isfinite(rows).all() for rows in places.values()):
            raise Refused(f"the copies of node {index} ({EXTENSION}) lie at places that are no numbers")
        if "rotation" in places:
            lengths = np.linalg.norm(places["rotation"], axis=1, keepdims=True)
            if not lengths.all():
                raise Refused(f"a copy of node {index} ({EXTENSION}) has a rotation that is zero")
            places["rotation"] = places["rotation"] / lengths
        first = len(nodes)
        for number in range(count):
            place = {key: [float(each) for each in rows[number]] for key, rows in places.items()}
            name = f"{nodes[index]['name']}_{number + 1}"
            nodes.append({"name": name, "mesh": mesh, "origin": (index, 0), **place})
        nodes[index]["children"] = [*nodes[index].get("children", ()), *range(first, first + count)]


def _attributes(document: Document, index: int) -> list[tuple[str, str, str, int]]:
    """Name, key of a node, kind and accessor of what places the copies of a node."""
    extension = document.nodes[index].extensions[EXTENSION]
    stated = extension.get("attributes") if isinstance(extension, dict) else None
    if not isinstance(stated, dict):
        raise Refused(f"the copies of node {index} ({EXTENSION}) have no attributes")
    found = [(name, key, kind, stated[name]) for name, key, kind in _PLACES if name in stated]
    if any(not isinstance(number, int) or number < 0 for *_, number in found):
        raise Refused(f"the copies of node {index} ({EXTENSION}) point to no accessor")
    return found
