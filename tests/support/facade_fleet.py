"""A fleet's features, pictures and meshes as the tests of facades want them."""

from __future__ import annotations

import base64
from typing import Any

from pocket3d.contracts.api import FeatureAdapter, FeatureInfo, FeatureList
from pocket3d.contracts.variants import Variant

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
GLB = b"glTF\x02\x00\x00\x00" + bytes(40)
PNG_64 = base64.b64encode(PNG).decode()
GLB_64 = base64.b64encode(GLB).decode()

_SEED = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_SAMPLING = {
    "seed": _SEED,
    "octree_resolution": {"type": "integer", "minimum": 16, "maximum": 768},
    "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 200},
    "guidance_scale": {"type": "number", "minimum": 0, "maximum": 30},
    "max_faces": {"type": "integer", "minimum": 0, "maximum": 5000000},
    "texture": {"type": "boolean", "enum": [False]},
}


def _format(*names: str) -> dict[str, Any]:
    return {"output_format": {"type": "string", "enum": list(names)}}


def adapter(adapter_id: str, properties: dict[str, Any] | None, *, available: bool = True) -> FeatureAdapter:
    schema = None if properties is None else {"type": "object", "properties": properties}
    return FeatureAdapter(adapter_id=adapter_id, parameters=schema, available=available)


SILHOUETTE = adapter(
    "silhouette-image-to-mesh",
    {
        "image_path": {},
        "seed": _SEED,
        "texture_resolution": {"type": "integer", "minimum": 64, "maximum": 4096},
        **_format("glb", "obj", "ply", "stl"),
    },
)
HUNYUAN = adapter("hunyuan3d-image-to-mesh", {"image_path": {}, **_SAMPLING, **_format("glb", "obj", "ply")})
MULTI_VIEW = adapter(
    "hunyuan3d-2mv-image-to-mesh", {"image_paths": {}, "views": {"type": "array"}, **_SAMPLING, **_format("glb", "obj")}
)
PROCEDURAL = adapter("procedural-text-to-mesh", {"text_prompt": {}, "seed": _SEED, **_format("glb", "obj")})
PAINT_TEXT = adapter(
    "procedural-text-to-texture", {"mesh_path": {}, "text_prompt": {}, "seed": _SEED, **_format("glb")}
)
PAINT_IMAGE = adapter("projection-image-to-texture", {"mesh_path": {}, "image_path": {}, **_format("glb", "obj")})
RIG = adapter("curve-skeleton-auto-rig", {"mesh_path": {}, "bone_count": {"type": "integer"}, **_format("glb")})
RETOPOLOGY = adapter(
    "instant-meshes-retopology",
    {
        "mesh_path": {},
        "target_faces": {"type": "integer", "minimum": 50, "maximum": 200000},
        "polygons": {"type": "string", "enum": ["quads", "triangles"]},
        **_format("glb", "obj"),
    },
)
SIZED = FeatureAdapter(
    adapter_id="trellis2-cpp-image-to-mesh",
    parameters={"type": "object", "properties": {"image_path": {}, "seed": _SEED, **_format("glb")}},
    available=True,
    variants=[Variant(name="512", vram_mb=6144, quality=1), Variant(name="1024", vram_mb=11264, quality=2)],
)


def fleet(**by_feature: FeatureAdapter | list[FeatureAdapter]) -> FeatureList:
    """Features with these adapters."""
    return FeatureList(
        features=[
            FeatureInfo(feature=name, required=[], adapters=each if isinstance(each, list) else [each])
            for name, each in by_feature.items()
        ]
    )


CLASSICAL = fleet(
    image_to_mesh=SILHOUETTE,
    text_to_mesh=PROCEDURAL,
    text_to_texture=PAINT_TEXT,
    image_to_texture=PAINT_IMAGE,
    auto_rig=RIG,
    mesh_retopology=RETOPOLOGY,
)
