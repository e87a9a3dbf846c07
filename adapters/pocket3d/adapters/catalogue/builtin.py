"""The adapters that come with the system, as data: nothing here imports one."""

from __future__ import annotations

from typing import NamedTuple


class BuiltinAdapter(NamedTuple):
    """One adapter of the catalogue; `class_path` is `module.Class`."""

    adapter_id: str
    class_path: str
    feature: str
    #: `module` that holds `RECIPE`, the environment it needs. Agents register these only if `models.yaml` names them.
    recipe: str | None = None


BUILTIN_ADAPTERS: tuple[BuiltinAdapter, ...] = (
    BuiltinAdapter("echo", "pocket3d.adapters.echo.EchoAdapter", "echo"),
    BuiltinAdapter(
        "procedural-text-to-mesh",
        "pocket3d.adapters.weight_free.procedural.adapter.ProceduralTextToMeshAdapter",
        "text_to_mesh",
    ),
    BuiltinAdapter(
        "silhouette-image-to-mesh",
        "pocket3d.adapters.weight_free.silhouette.adapter.SilhouetteImageToMeshAdapter",
        "image_to_mesh",
    ),
    BuiltinAdapter(
        "silhouette-multimodal-to-mesh",
        "pocket3d.adapters.weight_free.multimodal.adapter.SilhouetteMultimodalToMeshAdapter",
        "multimodal_to_mesh",
    ),
    BuiltinAdapter(
        "trimesh-mesh-conversion",
        "pocket3d.adapters.weight_free.conversion.adapter.TrimeshMeshConversionAdapter",
        "mesh_conversion",
    ),
    BuiltinAdapter(
        "shape-diameter-segmentation",
        "pocket3d.adapters.weight_free.segmentation.adapter.ShapeDiameterSegmentationAdapter",
        "mesh_segmentation",
    ),
    BuiltinAdapter(
        "hole-filling-part-completion",
        "pocket3d.adapters.weight_free.completion.adapter.HoleFillingPartCompletionAdapter",
        "part_completion",
    ),
    BuiltinAdapter(
        "unirig-auto-rigging",
        "pocket3d.adapters.upstream.unirig.adapter.UniRigAdapter",
        "auto_rig",
        recipe="pocket3d.adapters.upstream.unirig.recipe",
    ),
    BuiltinAdapter(
        "partfield-segmentation",
        "pocket3d.adapters.upstream.partfield.adapter.PartFieldSegmentationAdapter",
        "mesh_segmentation",
        recipe="pocket3d.adapters.upstream.partfield.recipe",
    ),
    BuiltinAdapter(
        "trellis-text-to-mesh",
        "pocket3d.adapters.upstream.trellis.adapter.TrellisTextToMeshAdapter",
        "text_to_mesh",
        recipe="pocket3d.adapters.upstream.trellis.recipe",
    ),
    BuiltinAdapter(
        "trellis-image-to-mesh",
        "pocket3d.adapters.upstream.trellis.adapter.TrellisImageToMeshAdapter",
        "image_to_mesh",
        recipe="pocket3d.adapters.upstream.trellis.recipe",
    ),
    BuiltinAdapter(
        "trellis-text-painting",
        "pocket3d.adapters.upstream.trellis.adapter.TrellisTextPaintingAdapter",
        "text_to_texture",
        recipe="pocket3d.adapters.upstream.trellis.recipe",
    ),
    BuiltinAdapter(
        "trellis-image-painting",
        "pocket3d.adapters.upstream.trellis.adapter.TrellisImagePaintingAdapter",
        "image_to_texture",
        recipe="pocket3d.adapters.upstream.trellis.recipe",
    ),
    BuiltinAdapter(
        "procedural-text-to-texture",
        "pocket3d.adapters.weight_free.texturing.adapter.ProceduralTextToTextureAdapter",
        "text_to_texture",
    ),
    BuiltinAdapter(
        "projection-image-to-texture",
        "pocket3d.adapters.weight_free.projection.adapter.ProjectionImageToTextureAdapter",
        "image_to_texture",
    ),
    BuiltinAdapter(
        "hunyuan3d-image-to-mesh",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DImageToMeshAdapter",
        "image_to_mesh",
        recipe="pocket3d.adapters.upstream.hunyuan3d.recipe",
    ),
    BuiltinAdapter(
        "hunyuan3d-text-to-mesh",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DTextToMeshAdapter",
        "text_to_mesh",
        recipe="pocket3d.adapters.upstream.hunyuan3d.recipe_text",
    ),
    BuiltinAdapter(
        "hunyuan3d-painting",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DPaintingAdapter",
        "image_to_texture",
        recipe="pocket3d.adapters.upstream.hunyuan3d.recipe",
    ),
    BuiltinAdapter(
        "hunyuan3d-2.1-image-to-mesh",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3D21ImageToMeshAdapter",
        "image_to_mesh",
        recipe="pocket3d.adapters.upstream.hunyuan3d.recipe_2_1",
    ),
    BuiltinAdapter(
        "hunyuan3d-2.1-painting",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3D21PaintingAdapter",
        "image_to_texture",
        recipe="pocket3d.adapters.upstream.hunyuan3d.recipe_2_1",
    ),
    BuiltinAdapter(
        "curve-skeleton-auto-rig",
        "pocket3d.adapters.weight_free.rigging.adapter.CurveSkeletonAutoRigAdapter",
        "auto_rig",
    ),
)
