"""The environment of TRELLIS: upstream's `setup.sh` for Python 3.10, torch 2.4.0 and CUDA 12.1, as a value.

Written from upstream's files; not performed here, where there is no GPU. Nothing of it is shipped.
"""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Part, Recipe, Weights
from ...catalogue.system_libraries import open3d, opengl, x11
from ...catalogue.weight_files import DINOV2_VITL14_REG, U2NET
from .upstream import NEEDED, NEEDED_FOR_TEXTURE

#: The commit whose calls the adapters were written against.
REVISION = "6b0d64751ad54d9c32d7b05fec482eb29178f56f"
_RASTERISER = "mip-splatting/submodules/diff-gaussian-rasterization"
#: Commits on the hub that other projects on GitHub pin, with their sizes.
_IMAGE_WEIGHTS = "25e0d31ffbebe4b5a97464dd851910efc3002d96"
_TEXT_WEIGHTS = "e0b00432b8e3a8ecee0df806ab1df9f7281f2be4"
_CLIP_WEIGHTS = "32bd64288804d66eefd0ccbe215aa642df71cc41"

IMAGE = Part(
    name="image",
    default=False,
    needed_by=("trellis-image-to-mesh", "trellis-image-painting"),
    checkouts=(
        # Where torch.hub looks for it, so that the code is this revision and not whatever is on the branch.
        Checkout(
            url="https://github.com/facebookresearch/dinov2",
            revision="b8931f7bf91576930313be2c6d6af376033b35f0",
            folder="torch/hub/facebookresearch_dinov2_main",
        ),
    ),
    files=(DINOV2_VITL14_REG, U2NET),
    notes=("DINOv2's code and weights are Apache-2.0.",),
)
TEXT = Part(
    name="text",
    default=False,
    needed_by=("trellis-text-to-mesh", "trellis-text-painting"),
    weights=(
        Weights(
            repository="microsoft/TRELLIS-text-xlarge",
            folder="weights/TRELLIS-text-xlarge",
            revision=_TEXT_WEIGHTS,
            # 4.13 GB at that commit.
            size_mb=4130,
        ),
        Weights(
            repository="openai/clip-vit-large-patch14",
            folder="weights/clip-vit-large-patch14",
            revision=_CLIP_WEIGHTS,
            files=(
                "config.json",
                "model.safetensors",
                "merges.txt",
                "vocab.json",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
            ),
            # Estimated: 428 million parameters in single precision.
            size_mb=1715,
            estimated=True,
        ),
    ),
)
TEXTURE = Part(
    name="texture",
    requirements=("xatlas", "pyvista", "pymeshfix", "igraph"),
    # nvdiffrast from 0.4 on compiles when it is installed; older ones did within the first textured job.
    compiled=("{root}/nvdiffrast", f"{{root}}/{_RASTERISER}"),
    checkouts=(
        Checkout(
            url="https://github.com/NVlabs/nvdiffrast",
            # v0.4.0.
            revision="253ac4fcea7de5f396371124af597e6cc957bfae",
            folder="nvdiffrast",
        ),
        Checkout(
            url="https://github.com/autonomousvision/mip-splatting",
            revision="dda02ab5ecf45d6edb8c540d9bb65c7e451345a9",
            folder="mip-splatting",
        ),
    ),
    modules=("torch", *NEEDED_FOR_TEXTURE, "nvdiffrast.torch", "trellis.utils.postprocessing_utils"),
    module_path=("{root}/TRELLIS",),
    libraries=(*opengl("pyvista"), *x11("pyvista")),
    without={"texture": False},
    notes=(
        (
            "nvdiffrast (NVIDIA Source Code License) and diff-gaussian-rasterization of mip-splatting"
            " (Gaussian-Splatting License of Inria and MPII) are for research or evaluation and not for commercial use:"
            " for that install --without texture, and meshes have vertex colours."
        ),
        "It is compiled here: nvcc of CUDA 12.1, a C++ compiler that it takes (gcc 12) and Python.h are needed.",
    ),
)

RECIPE = Recipe(
    name="trellis",
    python=("3.10",),
    # PyPI's build of this version is the one for CUDA 12.1, for which upstream's other wheels are made.
    torch=("torch==2.4.0", "torchvision==0.19.0"),
    cuda="12.1",
    requirements=(
        # What kaolin's wheel of that time was compiled against.
        "numpy==1.26.4",
        # Built for this very torch, and for every GPU since Volta, which flash-attn is not.
        "xformers==0.0.27.post2",
        # The newest that is built for CUDA 12.0 and 12.1; it brings no torch of its own.
        "spconv-cu120==2.3.6",
        # FlexiCubes imports one function of it. PyPI's kaolin is a placeholder.
        "--find-links https://nvidia-kaolin.s3.us-east-2.amazonaws.com/torch-2.4.0_cu121.html",
        "kaolin==0.17.0",
        "utils3d @ git+https://github.com/EasternJournalist/utils3d.git@9a4eb15e4021b67b12c460c7057d642626897ec8",
        # It is asked for the CLIP text encoder. Of the time of upstream's release; version 5 wants a newer torch.
        "transformers==4.46.3",
        "pillow>=10.1",
        "imageio",
        "imageio-ffmpeg",
        "tqdm",
        "easydict",
        "plyfile",
        # Version 5 came after all of this.
        "opencv-python-headless<5",
        "scipy>=1.10",
        "rembg",
        "onnxruntime",
        "trimesh>=4.4,<6",
        "networkx>=3",
        "embreex",
        "open3d",
        "safetensors",
    ),
    checkouts=(
        Checkout(url="https://github.com/microsoft/TRELLIS", revision=REVISION, folder="TRELLIS", submodules=True),
    ),
    # The text pipelines share its decoders.
    weights=(
        Weights(
            repository="microsoft/TRELLIS-image-large",
            folder="weights/TRELLIS-image-large",
            revision=_IMAGE_WEIGHTS,
            # 3,299,240,850 bytes at that commit.
            size_mb=3299,
        ),
    ),
    # The last imports both pipelines, and with them nearly all of upstream's code.
    modules=(*NEEDED, "xformers.ops", "kaolin", "trellis.pipelines"),
    module_path=("{root}/TRELLIS",),
    libraries=open3d(),
    env={"TORCH_HOME": "{root}/torch", "U2NET_HOME": "{root}/u2net", "ATTN_BACKEND": "xformers"},
    config={"trellis_root": "{root}/TRELLIS", "model_path": "{root}/weights"},
    parts=(IMAGE, TEXT, TEXTURE),
    notes=("TRELLIS's code and weights are MIT, its FlexiCubes Apache-2.0.",),
)
