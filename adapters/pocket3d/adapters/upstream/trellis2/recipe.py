"""The environment of TRELLIS.2: upstream's `setup.sh` for Python 3.10, torch 2.6.0 and CUDA 12.4, as a value, without
nvdiffrast and nvdiffrec.

Written from upstream's files; not performed here, where there is no GPU. Nothing of it is shipped.
"""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights
from .family import NEEDED
from .uv_raster import IN_PLACE
from .weights import BACKGROUND_MODEL, IMAGE_ENCODER, REPOSITORY

#: The commit whose calls the adapters were written against.
REVISION = "5565d240c4a494caaf9ece7a554542b76ffa36d3"

RECIPE = Recipe(
    name="trellis2",
    python=("3.10",),
    # As upstream's setup.sh; PyPI's build of this version is the one for CUDA 12.4.
    torch=("torch==2.6.0", "torchvision==0.21.0"),
    cuda="12.4",
    requirements=(
        # The one that is built for torch 2.6.0; flash-attn, upstream's default, would be compiled for an hour.
        "xformers==0.0.29.post3",
        # DINOv3 came with 4.56; later versions moved `DINOv3ViTModel.layer`, which upstream reads.
        "transformers>=4.56,<4.58",
        "numpy>=1.26,<3",
        "pillow>=10.1",
        "opencv-python-headless",
        "trimesh>=4.4,<6",
        "networkx>=3",
        "embreex",
        "scipy>=1.10",
        "easydict",
        "plyfile",
        "zstandard",
        "tqdm",
        "safetensors",
        "accelerate",
        # BiRefNet's own code imports these.
        "kornia",
        "timm",
        "einops",
    ),
    # o-voxel names CuMesh and FlexGEMM by git address, at whatever their branches hold: without dependencies it takes
    # those of this recipe.
    compiled=("--no-deps", "{root}/CuMesh", "{root}/FlexGEMM", "{root}/TRELLIS.2/o-voxel"),
    checkouts=(
        Checkout(url="https://github.com/microsoft/TRELLIS.2", revision=REVISION, folder="TRELLIS.2", submodules=True),
        Checkout(
            url="https://github.com/JeffreyXiang/CuMesh",
            revision="cf1a2f07304b5fe388ed86a16e4a0474599df914",
            folder="CuMesh",
            submodules=True,
        ),
        Checkout(
            url="https://github.com/JeffreyXiang/FlexGEMM",
            revision="b1965ad0ae4bc8488d13b5280afb54439ce27359",
            folder="FlexGEMM",
        ),
    ),
    weights=(
        # 16.2 GB as others who pin this revision say.
        Weights(
            repository=REPOSITORY,
            folder="weights/TRELLIS.2-4B",
            revision="af44b45f2e35a493886929c6d786e563ec68364d",
            size_mb=16_200,
            estimated=True,
        ),
        # Its decoder of occupied voxels is what pipeline.json of TRELLIS.2-4B names; 74 M parameters in half precision.
        Weights(
            repository="microsoft/TRELLIS-image-large",
            folder="weights/TRELLIS-image-large",
            # As for TRELLIS itself.
            revision="25e0d31ffbebe4b5a97464dd851910efc3002d96",
            files=("ckpts/ss_dec_conv3d_16l8_fp16.*",),
            size_mb=150,
            estimated=True,
        ),
        # 303 M parameters in single precision (Simeoni et al. 2025, "DINOv3", table 3).
        Weights(
            repository=IMAGE_ENCODER,
            folder="weights/dinov3-vitl16-pretrain-lvd1689m",
            revision="3c276edd87d6f6e569ff0c4400e086807d0f3881",
            size_mb=1_220,
            estimated=True,
        ),
        # In single precision; in half precision, as TripoSplat has it, it takes 444 MB.
        Weights(
            repository=BACKGROUND_MODEL,
            folder="weights/BiRefNet",
            revision="26e7919b869d089e5096e898c0492898f935604c",
            files=("*.json", "*.py", "model.safetensors"),
            size_mb=890,
            estimated=True,
        ),
    ),
    # The last imports nearly all of upstream's code; o_voxel and it find our rasteriser by nvdiffrast's name.
    modules=(*NEEDED, "xformers.ops", "trellis2.pipelines.trellis2_texturing"),
    module_path=("{root}/TRELLIS.2", str(IN_PLACE)),
    # FlexGEMM's kernels are triton's, which has none for older ones (triton 3.2, that of this torch).
    least_capability="7.0",
    env={"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
    config={"trellis2_root": "{root}/TRELLIS.2", "model_path": "{root}/weights/TRELLIS.2-4B"},
    notes=(
        (
            "TRELLIS.2, CuMesh, FlexGEMM and BiRefNet are MIT. DINOv3's terms are Meta's DINOv3 License, which allows"
            " commercial use; it comes from a repository without the gate of facebook's. RMBG-2.0 (non-commercial) is"
            " replaced by BiRefNet, nvdiffrast (research alone) by a rasteriser of Pocket3DStudio's own."
        ),
        "The Python code that lies in BiRefNet's repository is run when the model is loaded.",
        (
            "CuMesh, FlexGEMM and o-voxel are compiled here: nvcc of CUDA 12.4, a C++ compiler that it takes (gcc 13)"
            " and Python.h are needed."
        ),
        "The models are kept in the host's memory while they do not run: 16 GB of it, besides what a mesh takes.",
    ),
)
