"""Turns a GLB from the frame of the input's camera to +Y up, as Pixal3D's own `inference.py` does. Pure."""

from __future__ import annotations

import math

from ...mesh.read.glb_container import pack, unpack
from ...mesh.read.limits import Refused

#: (x, y, z) -> (-x, -z, -y): half a turn about (0, 1, -1), as a quaternion [x, y, z, w].
_TURN = [0.0, math.sqrt(0.5), -math.sqrt(0.5), 0.0]


def stand_up(data: bytes) -> bytes:
    """The same file with one node above those of each scene; geometry and textures stay as they are.

    Raises:
        ValueError: not a GLB file with scenes.
    """
    try:
        document, binary = unpack(data)
    except Refused as error:
        raise ValueError(str(error)) from error
    nodes, scenes = document.setdefault("nodes", []), document.get("scenes")
    if not isinstance(nodes, list) or not isinstance(scenes, list) or not all(isinstance(s, dict) for s in scenes):
        raise ValueError("it has no scenes")
    for scene in scenes:
        roots = scene.get("nodes")
        if roots:
            nodes.append({"name": "upright", "rotation": _TURN, "children": roots})
            scene["nodes"] = [len(nodes) - 1]
    return pack(document, binary)
