"""The environment of SkinTokens. Nothing of it is shipped; part of its tree, and Blender as a module, are GPL-3.0.

Written from upstream's files; not performed here, where there is no GPU.
"""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights
from ...catalogue.system_libraries import blender, open3d
from .adapter import CHECKPOINT, NEEDED, SKIN_VAE

#: The commit whose calls the adapter was written against.
REVISION = "273b691d35989d71cd17ff2895fdc735097b92d1"
WEIGHTS_REVISION = "79736cad0fd84de384d5eede659b4ebd24effe33"

RECIPE = Recipe(
    name="skintokens",
    # Upstream wants 3.11 or later, and Blender 4.2 as a module exists for 3.11 alone.
    python=("3.11",),
    # Upstream's README has 2.7.0 and says to take what fits the driver; this one is that of the flash-attn below.
    # PyPI's build of this version is the one for CUDA 12.4.
    torch=("torch==2.6.0", "torchvision==0.21.0"),
    cuda="12.4",
    requirements=(
        "bpy==4.2.0",
        # Blender's own modules are compiled against numpy 1.
        "numpy==1.26.4",
        "transformers>=4.57,<5",
        "diffusers>=0.35,<0.36",
        "lightning",
        "python-box",
        "einops",
        "omegaconf",
        "addict",
        "fast-simplification",
        # For `postprocess`; needs the system's libusb-1.0.
        "open3d",
        "requests",
        "scipy",
        "tqdm",
        "trimesh>=4.5",
        "pillow",
        "embreex",
        (
            "flash-attn @ https://github.com/Dao-AILab/flash-attention/releases/download/v2.7.4.post1/"
            "flash_attn-2.7.4.post1%2Bcu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
        ),
    ),
    checkouts=(Checkout(url="https://github.com/VAST-AI-Research/SkinTokens", revision=REVISION, folder="SkinTokens"),),
    weights=(
        Weights(
            repository="VAST-AI/SkinTokens",
            folder="weights",
            revision=WEIGHTS_REVISION,
            files=(CHECKPOINT,),
            size_mb=1_132,
        ),
        Weights(
            repository="VAST-AI/SkinTokens",
            folder="weights",
            revision=WEIGHTS_REVISION,
            files=(SKIN_VAE,),
            size_mb=487,
        ),
        # Only the settings of the language model whose shape the rig's has: less than a kilobyte.
        Weights(
            repository="Qwen/Qwen3-0.6B",
            folder="weights/models/Qwen3-0.6B",
            revision="c1899de289a04d12100db370d81485cdf75e47ca",
            files=("config.json",),
            size_mb=0,
        ),
    ),
    modules=(*NEEDED, "src.server.spec", "src.data.dataset", "src.rig_package.parser.bpy"),
    module_path=("{root}/SkinTokens",),
    libraries=(*open3d(), *blender()),
    # flash-attn's kernels are for Ampere and later (its README).
    least_capability="8.0",
    config={"skintokens_root": "{root}/SkinTokens", "model_path": "{root}/weights"},
    notes=(
        (
            "SkinTokens' code and weights are MIT; src/model/michelangelo in it and Blender's Python module (bpy) are"
            " GPL-3.0. They run in a process of their own and nothing of them is part of Pocket3DStudio."
        ),
        "flash-attn comes from its releases on GitHub and needs a GPU of the Ampere generation or later.",
    ),
)
