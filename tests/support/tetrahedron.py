"""A GLB file that grows: a tetrahedron, to which arrays are added."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import mesh_files as files


class Tetrahedron:
    """A GLB file of a tetrahedron, to which arrays are added."""

    def __init__(self) -> None:
        self.document = files.gltf_document()
        self.binary = files.gltf_binary()

    def add(self, rows: Any, kind: str, component: int = 5126, dtype: str = "<f4", **more: Any) -> int:
        data = np.asarray(rows).astype(dtype).tobytes()
        data += b"\0" * (-len(data) % 4)
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data
        self.document["buffers"][0]["byteLength"] = len(self.binary)
        view = len(self.document["bufferViews"]) - 1
        self.document["accessors"].append(
            {"bufferView": view, "componentType": component, "count": len(rows), "type": kind, **more}
        )
        return len(self.document["accessors"]) - 1

    @property
    def primitive(self) -> dict[str, Any]:
        primitive: dict[str, Any] = self.document["meshes"][0]["primitives"][0]
        return primitive

    def texture(self, **info: Any) -> dict[str, Any]:
        """Paint it; what else the base colour's `textureInfo` says. Returns the material."""
        picture = io.BytesIO()
        Image.new("RGB", (2, 2), (200, 10, 10)).save(picture, format="PNG")
        data = picture.getvalue()
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        self.document["buffers"][0]["byteLength"] = len(self.binary)
        self.document["images"] = [
            {"bufferView": len(self.document["bufferViews"]) - 1, "mimeType": "image/png"},
        ]
        self.document["textures"] = [{"source": 0}]
        material: dict[str, Any] = {
            "name": "paint",
            "pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **info}},
        }
        self.document["materials"] = [material]
        self.primitive["material"] = 0
        return material

    def write(self, path: Path) -> Path:
        path.write_bytes(files.glb(self.document, self.binary))
        return path
