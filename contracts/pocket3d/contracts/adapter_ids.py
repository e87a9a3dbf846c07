"""Adapter ids of the system that came before (3DAIGC-API and its fork): its clients go on asking by them."""

from __future__ import annotations

from collections.abc import Iterable

#: Its id -> ours, for the same model. Where its ids differ in how a model is configured (raw or textured), several
#: stand for one of ours.
FORMER_IDS: dict[str, str] = {
    "trellis_text_to_textured_mesh": "trellis-text-to-mesh",
    "trellis_image_to_textured_mesh": "trellis-image-to-mesh",
    "trellis_text_mesh_painting": "trellis-text-painting",
    "trellis_image_mesh_painting": "trellis-image-painting",
    "hunyuan3d_2_0_image_to_raw_mesh": "hunyuan3d-image-to-mesh",
    "hunyuan3d_2_0_image_to_textured_mesh": "hunyuan3d-image-to-mesh",
    "hunyuan3d_2_0_image_mesh_painting": "hunyuan3d-painting",
    "hunyuan3d_image_to_raw_mesh": "hunyuan3d-2.1-image-to-mesh",
    "hunyuan3d_image_to_textured_mesh": "hunyuan3d-2.1-image-to-mesh",
    "hunyuan3d_image_mesh_painting": "hunyuan3d-2.1-painting",
    "hunyuan3dv21_image_to_raw_mesh": "hunyuan3d-2.1-image-to-mesh",
    "hunyuan3dv21_image_to_textured_mesh": "hunyuan3d-2.1-image-to-mesh",
    "hunyuan3dv21_image_mesh_painting": "hunyuan3d-2.1-painting",
    "unirig_auto_rig": "unirig-auto-rigging",
    "partfield_mesh_segmentation": "partfield-segmentation",
}


def with_ours(adapter_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids in their order, each former one followed by ours: it stands for itself where an agent has an adapter of
    that very id, and for our adapter of that model elsewhere.
    """
    both: dict[str, None] = {}
    for adapter_id in adapter_ids:
        both[adapter_id] = None
        if adapter_id in FORMER_IDS:
            both[FORMER_IDS[adapter_id]] = None
    return tuple(both)
