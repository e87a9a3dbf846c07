"""What differs between upstream's two code bases, as values."""

from __future__ import annotations

from typing import NamedTuple


class Version(NamedTuple):
    """One generation of Hunyuan3D: where its code and weights are."""

    name: str
    #: Top-level package of the shape pipeline.
    package: str
    #: Module with the pipeline and the post-processors.
    shape_module: str
    #: Folders of a checkout that go on sys.path, relative to it.
    folders: tuple[str, ...]
    #: A file by which a checkout is known, relative to it.
    landmark: str
    #: Weights on the hub, and the folders in them.
    repository: str
    subfolder: str
    #: Upstream's class that cuts out the subject.
    background_remover: str
    #: Modules that the shape pipeline imports, or that load it.
    needed: tuple[str, ...]
    #: Modules that painting imports besides; the first is compiled from upstream's CUDA code.
    needed_for_paint: tuple[str, ...]


_NEEDED = (
    "torch",
    "torchvision",
    "transformers",
    "diffusers",
    "accelerate",
    "einops",
    "numpy",
    "trimesh",
    "skimage",
    "cv2",
    "PIL",
    "yaml",
    "pymeshlab",
    "safetensors",
    "huggingface_hub",
    "tqdm",
)

V20 = Version(
    name="2.0",
    package="hy3dgen",
    shape_module="hy3dgen.shapegen",
    folders=(".",),
    landmark="hy3dgen/__init__.py",
    repository="tencent/Hunyuan3D-2",
    subfolder="hunyuan3d-dit-v2-0",
    background_remover="hy3dgen.rembg.BackgroundRemover",
    needed=_NEEDED,
    needed_for_paint=("custom_rasterizer", "xatlas", "omegaconf", "pygltflib"),
)

V21 = Version(
    name="2.1",
    package="hy3dshape",
    shape_module="hy3dshape",
    folders=("hy3dshape", "hy3dpaint", "."),
    landmark="hy3dshape/hy3dshape/__init__.py",
    repository="tencent/Hunyuan3D-2.1",
    subfolder="hunyuan3d-dit-v2-1",
    background_remover="hy3dshape.rembg.BackgroundRemover",
    needed=(*_NEEDED, "omegaconf", "timm"),
    needed_for_paint=("custom_rasterizer", "xatlas", "omegaconf", "pygltflib", "realesrgan", "basicsr", "bpy"),
)
