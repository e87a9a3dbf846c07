"""Imports TRELLIS's own code, sets what its import depends on, and tells its errors plainly."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ...catalogue.needs import compiled_inside, installed
from ...errors import AdapterUnavailable
from ..card import FLASH_ATTN
from ..code import import_module, loading, put_on_path

#: Importing either pipeline imports both, so all of these are needed always (top-level modules).
NEEDED = (
    "torch",
    "torchvision",
    "numpy",
    "PIL",
    "trimesh",
    "safetensors",
    "easydict",
    "tqdm",
    "transformers",
    "open3d",
    "scipy",
    "rembg",
    "spconv",
)
#: Import-time needs of upstream's `postprocessing_utils` and of the Gaussian renderer.
NEEDED_FOR_TEXTURE = (
    "nvdiffrast",
    "diff_gaussian_rasterization",
    "utils3d",
    "xatlas",
    "pyvista",
    "pymeshfix",
    "igraph",
    "cv2",
)
_FLEXICUBES = Path("trellis/representations/mesh/flexicubes/flexicubes.py")
DENSE_ATTENTION = ("flash_attn", "xformers", "sdpa", "naive")
SPARSE_ATTENTION = ("flash_attn", "xformers")
CONVOLUTIONS = ("auto", "native", "implicit_gemm")


class Backends(NamedTuple):
    """The variables that TRELLIS reads when it is imported; None leaves a variable as it is."""

    attention: str | None = None
    sparse_attention: str | None = None
    convolution: str | None = None

    def variables(self, capability: tuple[int, int] | None = None) -> dict[str, str]:
        """Names and values. Without `ATTN_BACKEND` the first one of flash_attn and xformers is taken that is installed
        and has kernels for a GPU of that compute capability (None for one that is not known): upstream would fail on a
        flash_attn that is missing or is not made for the card.
        """
        attention = self.attention or os.environ.get("ATTN_BACKEND")
        if attention is None:
            too_old = capability is not None and capability < FLASH_ATTN
            usable = SPARSE_ATTENTION[1:] if too_old else SPARSE_ATTENTION
            attention = next((each for each in usable if installed(each)), None)
        wanted = {
            "ATTN_BACKEND": attention,
            "SPARSE_ATTN_BACKEND": self.sparse_attention,
            "SPCONV_ALGO": self.convolution,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def missing_code(
    root: Path | None, backends: Backends, adapter_id: str, capability: tuple[int, int] | None = None
) -> str | None:
    """What is missing of TRELLIS and of what it imports, in words, or None. Imports nothing. For `capability` see
    `Backends.variables`.
    """
    install = f"run `pocket3d adapters install {adapter_id}`"
    if root is not None:
        if not (root / "trellis" / "__init__.py").is_file():
            return f"trellis_root {root} is no checkout of TRELLIS: it has no trellis/__init__.py; {install}"
        if not (root / _FLEXICUBES).is_file():
            return f"{root} lacks its submodule FlexiCubes: run `git submodule update --init` there, or {install}"
    elif not installed("trellis"):
        return f"TRELLIS is not installed in {sys.executable}: set trellis_root to a checkout, or {install}"
    variables = backends.variables(capability)
    attention = variables.get("ATTN_BACKEND")
    if attention is None:
        which = "neither flash_attn nor xformers is installed"
        if installed("flash_attn"):
            which = "xformers is not installed, and flash_attn has no kernels for this GPU,"
        return f"{which} in {sys.executable}; {install}"
    sparse = variables.get("SPARSE_ATTN_BACKEND") or os.environ.get("SPARSE_ATTN_BACKEND") or attention
    if sparse not in SPARSE_ATTENTION:
        return (
            f"attention {sparse!r} cannot be used for sparse tensors: set sparse_attn_backend to flash_attn or xformers"
        )
    if capability is not None and capability < FLASH_ATTN and "flash_attn" in (attention, sparse):
        return (
            "flash_attn needs a GPU of compute capability 8.0 or higher: set attn_backend and sparse_attn_backend to"
            " xformers (or ATTN_BACKEND and SPARSE_ATTN_BACKEND, where those say flash_attn)"
        )
    modules = dict.fromkeys((*NEEDED, *(each for each in (attention, sparse) if each in SPARSE_ATTENTION)))
    lacking = [name for name in modules if not installed(name)]
    return f"TRELLIS needs {', '.join(lacking)}, which {sys.executable} lacks; {install}" if lacking else None


def missing_for_texture() -> list[str]:
    """Modules that the textured export needs and that are not installed."""
    return [name for name in NEEDED_FOR_TEXTURE if not installed(name)]


def missing_compiled() -> str | None:
    """In words that a package of the textured export is installed without its compiled module, or None."""
    if installed("nvdiffrast") and not installed("_nvdiffrast_c"):
        return (
            f"nvdiffrast in {sys.executable} has no compiled module (_nvdiffrast_c), and one before 0.4 compiles itself"
            " within a job"
        )
    rasteriser = "diff_gaussian_rasterization"
    if installed(rasteriser) and not compiled_inside(rasteriser, "_C"):
        return f"{rasteriser} in {sys.executable} has no compiled module (_C)"
    return None


def import_pipelines(
    root: Path | None, backends: Backends, adapter_id: str, capability: tuple[int, int] | None = None
) -> Any:
    """`trellis.pipelines`, with its variables set first.

    Raises:
        AdapterUnavailable: something is missing or does not import; says what.
    """
    problem = missing_code(root, backends, adapter_id, capability)
    if problem is not None:
        raise AdapterUnavailable(problem)
    os.environ.update(backends.variables(capability))
    if root is not None:
        put_on_path(root)
    return import_module("trellis.pipelines", adapter_id)


def load_pipeline(pipeline_class: Any, folder: Path) -> Any:
    """Upstream's own `from_pretrained`. It loads each model in `try: ... except: <ask the hub>`; the error that counts
    is the first.

    Raises:
        RuntimeError: a checkpoint does not load; says why, not that the hub lacks it.
    """
    with loading(f"{pipeline_class.__name__} cannot load its weights", first=True):
        return pipeline_class.from_pretrained(str(folder))
