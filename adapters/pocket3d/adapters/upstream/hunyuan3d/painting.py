"""Painting: upstream's two texture pipelines, each behind one call. They need CUDA and compiled code.

Neither has a seed of its own: upstream fixes it to 0 (and 42 for the removal of light and shadow) inside its code.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ...errors import AdapterUnavailable
from ..code import import_module, put_into_package
from ..hub import Source
from .progress import Stage
from .shape import reduce_faces
from .versions import V20, V21
from .weights import model_folder

_DELIGHT = "hunyuan3d-delight-v2-0"
_PAINT = "hunyuan3d-paint-v2-0-turbo"
_PBR = "hunyuan3d-paintpbr-v2-1"
_UPSCALER = "hy3dpaint/ckpt/RealESRGAN_x4plus.pth"
#: Triangles to which upstream reduces a mesh before it paints it with 2.1.
REMESHED = 40_000
#: Shares of the painting that take its sampling steps; the rest is unwrapping, rendering and baking.
_SAMPLED = (0.1, 0.8)


class PaintFailed(RuntimeError):
    """Upstream ended without a painted mesh."""


class PaintSettings(NamedTuple):
    """The options of one request to 2.1."""

    max_num_view: int = 6
    resolution: int = 512
    remesh: bool = True


#: A loaded texture pipeline, which gives a mesh UVs and a texture: takes the mesh (trimesh.Trimesh, +Y up), the picture
#: (RGBA, the subject on a transparent background), the options, a folder of this job alone for upstream's files, and a
#: stage that hears of each sampling step and may raise; returns a trimesh.Trimesh.
Painter = Callable[[Any, Any, PaintSettings, Path, Stage], Any]
#: The parts of the weights that painting needs with 2.0 and with 2.1, see `weights.model_folder`.
PARTS_20 = {part: f"{part}/model_index.json" for part in (_DELIGHT, _PAINT)}
PARTS_21 = {_PBR: f"{_PBR}/model_index.json"}


class Painter20:
    """`hy3dgen.texgen`: one colour texture."""

    def __init__(self, source: Source) -> None:
        folder = model_folder(source, PARTS_20)
        put_into_package(V20.inpainting_package, V20.inpainting)
        pipelines = import_module("hy3dgen.texgen", source.adapter_id).Hunyuan3DPaintPipeline
        # The wheel on PyPI is older than the turbo weights and knows one folder only.
        if "subfolder" not in inspect.signature(pipelines.from_pretrained).parameters:
            raise AdapterUnavailable(
                "this hy3dgen is too old for painting (Hunyuan3DPaintPipeline.from_pretrained has no subfolder): set"
                f" hunyuan3d_root to a checkout, or run: pocket3d adapters install {source.adapter_id}"
            )
        self._pipeline = pipelines.from_pretrained(str(folder), subfolder=_PAINT)

    def __call__(self, mesh: Any, image: Any, settings: PaintSettings, folder: Path, stage: Stage) -> Any:
        """See `Painter`."""
        models = self._pipeline.models
        light = stage.part("removing light and shadow", 0.0, _SAMPLED[0])
        views = stage.part("painting views", *_SAMPLED)
        with (
            _reporting(models["delight_model"].pipeline, light),
            _reporting(models["multiview_model"].pipeline, views),
        ):
            painted = self._pipeline(mesh, image=image)
        if painted is None or len(painted.faces) == 0:
            raise PaintFailed("Hunyuan3D's painting returned no mesh")
        # What glTF takes where nothing is said is metal; 2.0 paints colour only.
        if hasattr(painted.visual.material, "to_pbr"):
            material = painted.visual.material = painted.visual.material.to_pbr()
            material.metallicFactor, material.roughnessFactor = 0.0, 1.0
        return painted


class Painter21:
    """`hy3dpaint`: colour, metalness and roughness. It exists only in the checkout `root`.

    `dino_path` is DINOv2 giant, a folder or a hub id; `upscaler_path` is RealESRGAN_x4plus.pth, by default where
    upstream's README puts it.
    """

    def __init__(self, source: Source, root: Path, dino_path: str, upscaler_path: Path | None) -> None:
        folder = model_folder(source, PARTS_21)
        upscaler = upscaler_of(root, upscaler_path)
        if not upscaler.is_file():
            raise AdapterUnavailable(f"the upscaler's weights are missing: there is no {upscaler}; {source.hint()}")
        with contextlib.suppress(ImportError):
            # Upstream's patch for the module that torchvision 0.17 dropped and its upscaler imports.
            importlib.import_module("torchvision_fix").apply_fix()
        put_into_package(V21.inpainting_package, V21.inpainting)
        module = import_module("textureGenPipeline", source.adapter_id)
        paint = root / "hy3dpaint"
        config = module.Hunyuan3DPaintConfig(PaintSettings().max_num_view, PaintSettings().resolution)
        config.multiview_cfg_path = str(paint / "cfgs" / "hunyuan-paint-pbr.yaml")
        config.custom_pipeline = str(paint / "hunyuanpaintpbr")
        config.multiview_pretrained_path = str(folder)
        config.dino_ckpt_path = dino_path
        config.realesrgan_ckpt_path = str(upscaler)
        # Upstream hands its path to the hub, which refuses folders.
        views: Any = sys.modules["utils.multiview_utils"]
        views.huggingface_hub = SimpleNamespace(snapshot_download=lambda repo_id, **_: repo_id)
        self._pipeline = module.Hunyuan3DPaintPipeline(config)

    def __call__(self, mesh: Any, image: Any, settings: PaintSettings, folder: Path, stage: Stage) -> Any:
        """See `Painter`."""
        import trimesh

        given, painted = folder / "given.obj", folder / "painted.obj"
        remesh = settings.remesh
        if remesh and len(mesh.faces) > REMESHED:
            # Upstream has trimesh do it, which needs open3d for that in the version that goes with 2.1.
            mesh = reduce_faces(V21, mesh, REMESHED, folder)
            remesh = len(mesh.faces) <= REMESHED
        mesh.export(given)
        self._pipeline.config.max_selected_view_num = settings.max_num_view
        self._pipeline.config.resolution = settings.resolution
        with _reporting(self._pipeline.models["multiview_model"].pipeline, stage.part("painting views", *_SAMPLED)):
            self._pipeline(
                mesh_path=str(given),
                image_path=image,
                output_mesh_path=str(painted),
                use_remesh=remesh,
                save_glb=True,
            )
        result = painted.with_suffix(".glb")
        if not result.is_file():
            raise PaintFailed("Hunyuan3D's painting wrote no file (upstream's conversion to GLB only prints its error)")
        return trimesh.load(result, force="mesh", process=False)


def upscaler_of(root: Path, upscaler_path: Path | None) -> Path:
    """The path at which RealESRGAN's weights are expected."""
    return upscaler_path if upscaler_path is not None else root / _UPSCALER


@contextlib.contextmanager
def _reporting(pipeline: Any, stage: Stage) -> Iterator[None]:
    """Count a diffusers pipeline's calls of its network; upstream gives it no callback. Raising there ends it."""
    done = 0

    def before_step(_module: Any, _inputs: Any) -> None:
        nonlocal done
        timesteps = getattr(pipeline.scheduler, "timesteps", None)
        total = None if timesteps is None else len(timesteps)
        stage(done, total, None if total else f"{done} steps")
        done += 1

    hook = pipeline.unet.register_forward_pre_hook(before_step)
    try:
        yield
    finally:
        hook.remove()
