"""The environment of Hunyuan3D 2.0. Nothing of it is shipped; its licence excludes the EU, the UK and South Korea."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights

#: The commit whose calls the adapters were written against.
REVISION = "9bcf3028145311cbea5c127aed19717833b3a35f"

RECIPE = Recipe(
    name="hunyuan3d",
    python=("3.11", "3.10"),
    # PyPI's build of this version is the one for CUDA 12.4.
    torch=("torch==2.6.0", "torchvision==0.21.0"),
    # Not upstream's list, which lacks scikit-image and pyyaml and has a web server.
    requirements=(
        # Of the time of that torch. Later ones want a newer torch, or a word of trust for painting's own pipeline.
        "transformers==4.51.3",
        "diffusers==0.33.1",
        "accelerate",
        "einops",
        "numpy",
        "scipy",
        "trimesh>=4.4",
        "scikit-image",
        "opencv-python-headless",
        "pillow",
        "pyyaml",
        "pymeshlab",
        "pygltflib",
        "xatlas",
        "omegaconf",
        "safetensors",
        "huggingface_hub",
        "tqdm",
        "embreex",
        "rembg",
        "onnxruntime",
        "sentencepiece",
        "pybind11",
    ),
    compiled=(
        "{root}/Hunyuan3D-2/hy3dgen/texgen/custom_rasterizer",
        "{root}/Hunyuan3D-2/hy3dgen/texgen/differentiable_renderer",
    ),
    checkouts=(
        Checkout(url="https://github.com/Tencent-Hunyuan/Hunyuan3D-2", revision=REVISION, folder="Hunyuan3D-2"),
    ),
    weights=(
        Weights(
            repository="tencent/Hunyuan3D-2",
            folder="weights",
            files=(
                "hunyuan3d-dit-v2-0/config.yaml",
                "hunyuan3d-dit-v2-0/model.fp16.safetensors",
                "hunyuan3d-delight-v2-0/*",
                "hunyuan3d-paint-v2-0-turbo/*",
            ),
        ),
    ),
    config={
        "hunyuan3d_root": "{root}/Hunyuan3D-2",
        "model_path": "{root}/weights",
    },
    env={"U2NET_HOME": "{root}/u2net"},
    notes=(
        (
            "Tencent's licence does not apply in the European Union, the United Kingdom and South Korea, and forbids"
            " some uses: read Hunyuan3D-2/LICENSE and set accept_license: true only if you are bound by it."
        ),
        (
            "The background remover is rembg; put its network u2net.onnx into the folder u2net beside the weights"
            " (it is a release file of github.com/danielgatis/rembg), or set download: true and it is fetched."
        ),
        "Painting is compiled here: nvcc of CUDA 12.4 and a C++ compiler are needed.",
    ),
)
