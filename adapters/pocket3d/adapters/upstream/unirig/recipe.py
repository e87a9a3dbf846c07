"""The environment of UniRig. Nothing of it is shipped; part of its tree, and Blender as a module, are GPL-3.0."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights
from ...catalogue.system_libraries import blender, open3d
from .adapter import NEEDED

#: The commit whose commands the adapter was written against and run with.
REVISION = "ed4acacd0867b0df60b4131a3e49b33d8224e37f"

RECIPE = Recipe(
    name="unirig",
    # Blender 4.2 as a module exists for 3.11 alone.
    python=("3.11",),
    # PyPI's build of this version is the one for CUDA 12.4, the newest that spconv is built for.
    torch=("torch==2.6.0", "torchvision==0.21.0"),
    cuda="12.4",
    requirements=(
        "bpy==4.2.0",
        # Blender's own modules are compiled against numpy 1.
        "numpy==1.26.4",
        "transformers==4.51.3",
        "lightning",
        "pytorch_lightning",
        "python-box",
        "einops",
        "omegaconf",
        "addict",
        "timm",
        "fast-simplification",
        # Imported by upstream's merge; needs the system's libusb-1.0.
        "open3d",
        "pyrender",
        "huggingface_hub",
        # Imported by upstream's run.py; it is not used, and switched off by the adapter.
        "wandb",
        "pyyaml",
        "scipy",
        "tqdm",
        "trimesh>=4.5",
        "pillow",
        "embreex",
        "nvidia-ml-py",
        # `spconv` without a suffix is the CPU's.
        "spconv-cu124==2.3.8",
        # PyPI has their sources only, which take hours to compile, and become the CPU's where no GPU is seen.
        "--find-links https://data.pyg.org/whl/torch-2.6.0+cu124.html",
        "torch-scatter==2.1.2+pt26cu124",
        "torch-cluster==1.6.3+pt26cu124",
        (
            "flash-attn @ https://github.com/Dao-AILab/flash-attention/releases/download/v2.7.4.post1/"
            "flash_attn-2.7.4.post1%2Bcu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
        ),
    ),
    checkouts=(Checkout(url="https://github.com/VAST-AI-Research/UniRig", revision=REVISION, folder="UniRig"),),
    weights=(
        Weights(
            repository="VAST-AI/UniRig",
            folder="weights",
            # The commit that other projects on GitHub pin.
            revision="36842e2b5947e9e60f89275b83208c8e74071c63",
            files=("skeleton/articulation-xl_quantization_256/model.ckpt", "skin/articulation-xl/model.ckpt"),
            # Others tell of 1.4 GB and of 4.1 to 4.6 GB.
            size_mb=6000,
            estimated=True,
        ),
        # Only the settings of the language model whose shape the skeleton's has: without them upstream asks the hub.
        Weights(
            repository="facebook/opt-350m",
            folder="weights/opt-350m",
            revision="08ab08cc4b72ff5593870b5d527cf4230323703c",
            files=("config.json",),
            # Less than a kilobyte.
            size_mb=0,
        ),
    ),
    modules=NEEDED,
    libraries=(*open3d(), *blender()),
    # flash-attn's kernels are for Ampere and later (its README).
    least_capability="8.0",
    config={"unirig_root": "{root}/UniRig", "model_path": "{root}/weights"},
    notes=(
        (
            "UniRig's code is MIT; src/model/michelangelo in it and Blender's Python module (bpy) are GPL-3.0. They run"
            " as processes of their own and nothing of them is part of Pocket3DStudio."
        ),
        "The weights' licence is the one on their page, https://huggingface.co/VAST-AI/UniRig.",
        (
            "torch-scatter and torch-cluster come from data.pyg.org and flash-attn from its releases on GitHub, built"
            " for this torch and CUDA 12.4. flash-attn needs a GPU of the Ampere generation or later."
        ),
    ),
)
