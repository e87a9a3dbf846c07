"""The environment of Hunyuan3D 2.1, which does not go together with that of 2.0."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights

#: The commit whose calls the adapters were written against.
REVISION = "5e3ec6def57591d22ff44722cfe9bea1266084b0"

RECIPE = Recipe(
    name="hunyuan3d-2.1",
    # Blender 4.0 as a module, which upstream writes GLB with, exists for 3.10 alone.
    python=("3.10",),
    # PyPI's build of this version is the one for CUDA 12.4.
    torch=("torch==2.5.1", "torchvision==0.20.1"),
    requirements=(
        "numpy==1.24.4",
        "transformers==4.46.0",
        "diffusers==0.30.0",
        "accelerate==1.1.1",
        "huggingface-hub==0.30.2",
        "safetensors==0.4.4",
        "scipy==1.14.1",
        "einops==0.8.0",
        "opencv-python-headless==4.10.0.84",
        "scikit-image==0.24.0",
        "rembg==2.0.65",
        "onnxruntime==1.16.3",
        "basicsr==1.4.2",
        "realesrgan==0.3.0",
        "trimesh==4.4.7",
        "pymeshlab==2022.2.post3",
        "pygltflib==1.16.3",
        "xatlas==0.0.9",
        "omegaconf==2.3.0",
        "pyyaml==6.0.2",
        "tqdm",
        "timm",
        "torchdiffeq",
        "pytorch-lightning==1.9.5",
        "torchmetrics==1.6.0",
        # trimesh 4.4 decimates by it, which painting does with a mesh of more than 40,000 faces.
        "open3d==0.18.0",
        # PyPI begins with Blender 4.2, for Python 3.11; painting writes its GLB with 4.0.
        "--extra-index-url https://download.blender.org/pypi/",
        "bpy==4.0.0",
        "embreex",
        "ninja==1.11.1.1",
        "pybind11==2.13.4",
    ),
    compiled=("{root}/Hunyuan3D-2.1/hy3dpaint/custom_rasterizer",),
    checkouts=(
        Checkout(url="https://github.com/Tencent-Hunyuan/Hunyuan3D-2.1", revision=REVISION, folder="Hunyuan3D-2.1"),
    ),
    weights=(
        Weights(
            repository="tencent/Hunyuan3D-2.1",
            folder="weights",
            files=("hunyuan3d-dit-v2-1/*", "hunyuan3d-paintpbr-v2-1/*"),
        ),
        Weights(repository="facebook/dinov2-giant", folder="dinov2-giant"),
    ),
    config={
        "hunyuan3d_root": "{root}/Hunyuan3D-2.1",
        "model_path": "{root}/weights",
        "dino_path": "{root}/dinov2-giant",
    },
    env={"U2NET_HOME": "{root}/u2net"},
    notes=(
        (
            "Tencent's licence does not apply in the European Union, the United Kingdom and South Korea, and forbids"
            " some uses: read Hunyuan3D-2.1/LICENSE and set accept_license: true only if you are bound by it."
        ),
        (
            "The background remover is rembg; put its network u2net.onnx into the folder u2net beside the weights"
            " (it is a release file of github.com/danielgatis/rembg), or set download: true and it is fetched."
        ),
        "Blender as a module (bpy) is GPL-3.0, and comes from Blender's own package index.",
        "open3d needs the system package libusb-1.0-0.",
        (
            "Painting wants RealESRGAN_x4plus.pth (a release file of github.com/xinntao/Real-ESRGAN) in"
            " Hunyuan3D-2.1/hy3dpaint/ckpt, and `bash compile_mesh_painter.sh` run in"
            " Hunyuan3D-2.1/hy3dpaint/DifferentiableRenderer."
        ),
        "Painting is compiled here: nvcc of CUDA 12.4 and a C++ compiler are needed.",
    ),
)
