"""What differs between upstream's two code bases, as values, and what is missing of one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...catalogue.needs import compiled_in, installed


class Version(NamedTuple):
    """One generation of Hunyuan3D: where its code and weights are."""

    name: str
    #: Module with the pipeline and the post-processors.
    shape_module: str
    #: Folders of a checkout that go on sys.path, relative to it.
    folders: tuple[str, ...]
    #: A file by which a checkout is known, relative to it.
    landmark: str
    #: Weights on the hub, and the folders in them.
    repository: str
    subfolder: str
    #: Modules that the shape pipeline imports, or that load it.
    needed: tuple[str, ...]
    #: Modules that painting imports besides; the second is compiled from upstream's CUDA code, for the first.
    needed_for_paint: tuple[str, ...]
    #: The compiled module that fills the gaps of a texture: its name, the package that upstream imports it from, and
    #: where that package lies in a checkout. Without it 2.0 takes up to an hour of one core, and 2.1 fails after its
    #: whole diffusion.
    inpainting: str
    inpainting_package: str
    inpainting_folder: str

    @property
    def package(self) -> str:
        """Top-level package of the shape pipeline."""
        return self.shape_module.split(".")[0]

    @property
    def background_remover(self) -> str:
        """Upstream's class that cuts out the subject."""
        return f"{self.package}.rembg.BackgroundRemover"

    def folders_of(self, root: Path | None) -> list[Path]:
        """The folders of a checkout that go on sys.path; none where the package is installed."""
        return [] if root is None else [(root / each).resolve() for each in self.folders]

    def missing_inpainting(self, root: Path | None, adapter_id: str) -> str | None:
        """In words that the compiled module `inpainting` is missing, or None. Imports nothing."""
        if installed(self.inpainting):
            return None
        folder = self.inpainting_folder if root is None else str(root / self.inpainting_folder)
        if root is not None and compiled_in(root / self.inpainting_folder, self.inpainting):
            return None
        return (
            f"painting with Hunyuan3D {self.name} needs {self.inpainting} compiled for {sys.executable}, installed or"
            f" in {folder}; run: pocket3d adapters install {adapter_id}"
        )

    def missing_code(self, root: Path | None, modules: Sequence[str], adapter_id: str) -> str | None:
        """What is missing of Hunyuan3D and of what it imports, in words, or None. Imports nothing.

        `root` is a checkout, or None where the package is installed; `modules` are the top-level modules that are
        needed.
        """
        install = f"run: pocket3d adapters install {adapter_id}"
        if root is not None and not (root / self.landmark).is_file():
            return (
                f"hunyuan3d_root {root} is no checkout of Hunyuan3D {self.name}: it has no {self.landmark}; {install}"
            )
        if root is None and not installed(self.package):
            return (
                f"{self.package} is not installed in {sys.executable}: set hunyuan3d_root to a checkout, or {install}"
            )
        beside = self.folders_of(root)
        lacking = [name for name in dict.fromkeys(modules) if not installed(name) and not _lies_in(name, beside)]
        if lacking:
            return f"Hunyuan3D {self.name} needs {', '.join(lacking)}, which {sys.executable} lacks; {install}"
        return None


def _lies_in(module: str, folders: Sequence[Path]) -> bool:
    return any((each / module / "__init__.py").is_file() or (each / f"{module}.py").is_file() for each in folders)


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
    shape_module="hy3dgen.shapegen",
    folders=(".",),
    landmark="hy3dgen/__init__.py",
    repository="tencent/Hunyuan3D-2",
    subfolder="hunyuan3d-dit-v2-0",
    needed=_NEEDED,
    needed_for_paint=("custom_rasterizer", "custom_rasterizer_kernel", "xatlas", "omegaconf", "pygltflib"),
    inpainting="mesh_processor",
    inpainting_package="hy3dgen.texgen.differentiable_renderer",
    inpainting_folder="hy3dgen/texgen/differentiable_renderer",
)

V21 = Version(
    name="2.1",
    shape_module="hy3dshape",
    folders=("hy3dshape", "hy3dpaint", "."),
    landmark="hy3dshape/hy3dshape/__init__.py",
    repository="tencent/Hunyuan3D-2.1",
    subfolder="hunyuan3d-dit-v2-1",
    needed=(*_NEEDED, "omegaconf", "timm"),
    needed_for_paint=(
        "custom_rasterizer",
        "custom_rasterizer_kernel",
        "xatlas",
        "omegaconf",
        "pygltflib",
        "realesrgan",
        "basicsr",
        "bpy",
    ),
    inpainting="mesh_inpaint_processor",
    inpainting_package="DifferentiableRenderer",
    inpainting_folder="hy3dpaint/DifferentiableRenderer",
)
