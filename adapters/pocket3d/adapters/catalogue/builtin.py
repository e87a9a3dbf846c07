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


_ROOT = "pocket3d.adapters"


def _free(adapter_id: str, path: str, feature: str) -> BuiltinAdapter:
    """An adapter that computes without weights: the class `name` of the family's module, from `family.name`."""
    family, name = path.split(".")
    return BuiltinAdapter(adapter_id, f"{_ROOT}.weight_free.{family}.adapter.{name}", feature)


def _upstream(adapter_id: str, path: str, feature: str, recipe: str = "recipe") -> BuiltinAdapter:
    """An adapter of a foreign system, in the same way, with the family's module that holds its recipe."""
    family, name = path.split(".")
    root = f"{_ROOT}.upstream.{family}"
    return BuiltinAdapter(adapter_id, f"{root}.adapter.{name}", feature, f"{root}.{recipe}")


BUILTIN_ADAPTERS: tuple[BuiltinAdapter, ...] = (
    BuiltinAdapter("echo", f"{_ROOT}.echo.EchoAdapter", "echo"),
    _free("procedural-text-to-mesh", "procedural.ProceduralTextToMeshAdapter", "text_to_mesh"),
    _free("silhouette-image-to-mesh", "silhouette.SilhouetteImageToMeshAdapter", "image_to_mesh"),
    _free("silhouette-multimodal-to-mesh", "multimodal.SilhouetteMultimodalToMeshAdapter", "multimodal_to_mesh"),
    _free("trimesh-mesh-conversion", "conversion.TrimeshMeshConversionAdapter", "mesh_conversion"),
    _free("shape-diameter-segmentation", "segmentation.ShapeDiameterSegmentationAdapter", "mesh_segmentation"),
    _free("hole-filling-part-completion", "completion.HoleFillingPartCompletionAdapter", "part_completion"),
    _upstream("skintokens-auto-rigging", "skintokens.SkinTokensAdapter", "auto_rig"),
    _free("instant-meshes-retopology", "retopology.InstantMeshesRetopologyAdapter", "mesh_retopology"),
    _free("xatlas-uv-unwrapping", "unwrapping.XatlasUvUnwrappingAdapter", "uv_unwrapping"),
    _free("quadric-mesh-simplification", "simplification.QuadricMeshSimplificationAdapter", "mesh_simplification"),
    _upstream("unirig-auto-rigging", "unirig.UniRigAdapter", "auto_rig"),
    _upstream("partfield-segmentation", "partfield.PartFieldSegmentationAdapter", "mesh_segmentation"),
    _upstream("trellis-text-to-mesh", "trellis.TrellisTextToMeshAdapter", "text_to_mesh"),
    _upstream("trellis-image-to-mesh", "trellis.TrellisImageToMeshAdapter", "image_to_mesh"),
    _upstream("trellis-text-painting", "trellis.TrellisTextPaintingAdapter", "text_to_texture"),
    _upstream("trellis-image-painting", "trellis.TrellisImagePaintingAdapter", "image_to_texture"),
    _upstream("trellis2-image-to-mesh", "trellis2.Trellis2ImageToMeshAdapter", "image_to_mesh"),
    _upstream("trellis2-image-painting", "trellis2.Trellis2PaintingAdapter", "image_to_texture"),
    _upstream("triposplat-image-to-splat", "triposplat.TripoSplatAdapter", "image_to_splat"),
    _free("procedural-text-to-texture", "texturing.ProceduralTextToTextureAdapter", "text_to_texture"),
    _free("projection-image-to-texture", "projection.ProjectionImageToTextureAdapter", "image_to_texture"),
    _upstream("hunyuan3d-image-to-mesh", "hunyuan3d.Hunyuan3DImageToMeshAdapter", "image_to_mesh"),
    BuiltinAdapter(
        "hunyuan3d-2mv-image-to-mesh",
        f"{_ROOT}.upstream.hunyuan3d.multi_view.Hunyuan3DMultiViewAdapter",
        "image_to_mesh",
        f"{_ROOT}.upstream.hunyuan3d.recipe_mv",
    ),
    _upstream("hunyuan3d-text-to-mesh", "hunyuan3d.Hunyuan3DTextToMeshAdapter", "text_to_mesh"),
    _upstream("hunyuan3d-painting", "hunyuan3d.Hunyuan3DPaintingAdapter", "image_to_texture"),
    _upstream("hunyuan3d-2.1-image-to-mesh", "hunyuan3d.Hunyuan3D21ImageToMeshAdapter", "image_to_mesh", "recipe_2_1"),
    _upstream("hunyuan3d-2.1-painting", "hunyuan3d.Hunyuan3D21PaintingAdapter", "image_to_texture", "recipe_2_1"),
    _upstream("trellis2-cpp-image-to-mesh", "trellis_cpp.Trellis2CppAdapter", "image_to_mesh"),
    _upstream("pixal3d-cpp-image-to-mesh", "trellis_cpp.Pixal3DCppAdapter", "image_to_mesh"),
    _free("curve-skeleton-auto-rig", "rigging.CurveSkeletonAutoRigAdapter", "auto_rig"),
)
