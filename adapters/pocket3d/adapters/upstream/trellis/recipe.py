"""The environment of TRELLIS: upstream's `setup.sh` for Python 3.10, torch 2.4.0 and CUDA 12.1, as a value.

Written from upstream's files; not performed here, where there is no GPU. Nothing of it is shipped.
"""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights

#: The commit whose calls the adapters were written against.
REVISION = "6b0d64751ad54d9c32d7b05fec482eb29178f56f"
_RASTERISER = "mip-splatting/submodules/diff-gaussian-rasterization"

RECIPE = Recipe(
    name="trellis",
    python=("3.10",),
    # PyPI's build of this version is the one for CUDA 12.1, for which upstream's other wheels are made.
    torch=("torch==2.4.0", "torchvision==0.19.0"),
    requirements=(
        "xformers==0.0.27.post2",
        "spconv-cu120",
        # FlexiCubes imports one function of it.
        "--find-links https://nvidia-kaolin.s3.us-east-2.amazonaws.com/torch-2.4.0_cu121.html",
        "kaolin==0.17.0",
        "utils3d @ git+https://github.com/EasternJournalist/utils3d.git@9a4eb15e4021b67b12c460c7057d642626897ec8",
        # It is asked for the CLIP text encoder; version 5 wants a newer torch.
        "transformers>=4.41,<5",
        "pillow>=10.1",
        "imageio",
        "imageio-ffmpeg",
        "tqdm",
        "easydict",
        "plyfile",
        "opencv-python-headless",
        "scipy>=1.10",
        "rembg",
        "onnxruntime",
        "trimesh>=4.4,<6",
        "networkx>=3",
        "embreex",
        "open3d",
        "xatlas",
        "pyvista",
        "pymeshfix",
        "igraph",
        "safetensors",
    ),
    # Only the baked texture needs these two.
    compiled=("{root}/nvdiffrast", f"{{root}}/{_RASTERISER}"),
    checkouts=(
        Checkout(url="https://github.com/microsoft/TRELLIS", revision=REVISION, folder="TRELLIS", submodules=True),
        Checkout(
            url="https://github.com/NVlabs/nvdiffrast",
            revision="729261dc64c4241ea36efda84fbf532cc8b425b8",
            folder="nvdiffrast",
        ),
        Checkout(
            url="https://github.com/autonomousvision/mip-splatting",
            revision="dda02ab5ecf45d6edb8c540d9bb65c7e451345a9",
            folder="mip-splatting",
        ),
        # Where torch.hub looks for it, so that the code is this revision and not whatever is on the branch.
        Checkout(
            url="https://github.com/facebookresearch/dinov2",
            revision="b8931f7bf91576930313be2c6d6af376033b35f0",
            folder="torch/hub/facebookresearch_dinov2_main",
        ),
    ),
    weights=(
        Weights(repository="microsoft/TRELLIS-image-large", folder="weights/TRELLIS-image-large"),
        Weights(repository="microsoft/TRELLIS-text-xlarge", folder="weights/TRELLIS-text-xlarge"),
        Weights(
            repository="openai/clip-vit-large-patch14",
            folder="weights/clip-vit-large-patch14",
            files=(
                "config.json",
                "model.safetensors",
                "merges.txt",
                "vocab.json",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
            ),
        ),
    ),
    env={"TORCH_HOME": "{root}/torch", "ATTN_BACKEND": "xformers"},
    # DINOv2's weights are not on the hub: torch.hub fetches them at the first load.
    config={"trellis_root": "{root}/TRELLIS", "model_path": "{root}/weights", "download": True},
    notes=(
        (
            "TRELLIS's code and weights are MIT, its FlexiCubes Apache-2.0. Baking textures uses nvdiffrast (NVIDIA"
            " Source Code License: research or evaluation, not commercial) and diff-gaussian-rasterization of"
            " mip-splatting (Gaussian-Splatting License of Inria and MPII: research or evaluation, not commercial). For"
            " other use set texture: false in the adapter's config: meshes then have vertex colours."
        ),
        "The first load of an image adapter fetches DINOv2's weights (Apache-2.0) from dl.fbaipublicfiles.com.",
        "The first image without a transparent background has rembg fetch its model u2net.",
        "open3d needs the system package libusb-1.0-0.",
        "nvdiffrast and diff-gaussian-rasterization are compiled here: nvcc of CUDA 12.1 is needed.",
    ),
)
