"""The environment of Hunyuan3D 2.0. Nothing of it is shipped; its licence excludes the EU, the UK and South Korea."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Part, Recipe, Weights
from ...catalogue.system_libraries import opengl_of_pymeshlab
from ...catalogue.weight_files import U2NET
from . import text_to_image
from .versions import V20

#: The commit whose calls the adapters were written against.
REVISION = "9bcf3028145311cbea5c127aed19717833b3a35f"
#: The commit of the weights on the hub that other projects on GitHub pin; some state the sizes of its files.
WEIGHTS = "9cd649ba6913f7a852e3286bad86bfa9a2d83dcf"
_DELIGHT = "hunyuan3d-delight-v2-0"
_PAINT = "hunyuan3d-paint-v2-0-turbo"

TEXTURE = Part(
    name="texture",
    default=False,
    needed_by=("hunyuan3d-painting",),
    requirements=(
        "xatlas==0.0.11",
        "pygltflib",
        "omegaconf",
        # Its headers compile the second package.
        "pybind11",
    ),
    compiled=(
        "{root}/Hunyuan3D-2/hy3dgen/texgen/custom_rasterizer",
        "{root}/Hunyuan3D-2/hy3dgen/texgen/differentiable_renderer",
    ),
    weights=(
        Weights(
            repository=V20.repository,
            folder="weights",
            revision=WEIGHTS,
            # Not `*`: the hub has the network of painting a second time, as .bin.
            files=(
                f"{_DELIGHT}/*",
                f"{_PAINT}/model_index.json",
                f"{_PAINT}/feature_extractor/*",
                f"{_PAINT}/image_encoder/*",
                f"{_PAINT}/scheduler/*",
                f"{_PAINT}/text_encoder/*",
                f"{_PAINT}/tokenizer/*",
                f"{_PAINT}/unet/*.json",
                f"{_PAINT}/unet/*.py",
                f"{_PAINT}/unet/diffusion_pytorch_model.safetensors",
                f"{_PAINT}/vae/*",
            ),
            # Estimated: two pipelines of 1.3 billion parameters each (upstream's model zoo), half and single precision.
            size_mb=9000,
            estimated=True,
        ),
    ),
    # mesh_processor is the second compiled package: it lies beside hy3dgen, not in it.
    modules=("torch", *V20.needed_for_paint, "mesh_processor", "hy3dgen.texgen"),
    module_path=("{root}/Hunyuan3D-2",),
    notes=(
        "For textured meshes from images or text set texture: true in the config of their adapters.",
        "It is compiled here: nvcc of CUDA 12.8, a C++ compiler and Python.h are needed.",
    ),
)
TEXT = Part(
    name="text",
    default=False,
    needed_by=("hunyuan3d-text-to-mesh",),
    weights=(
        Weights(
            repository=text_to_image.REPOSITORY,
            folder="text-to-image",
            # Nobody names a commit of it.
            revision="main",
            # Estimated: a transformer of 1.5 billion parameters, mT5-XL and CLIP encoders in single precision, VAE.
            size_mb=14000,
            estimated=True,
        ),
    ),
    own_config={"text_to_image_model": "{root}/text-to-image"},
)

RECIPE = Recipe(
    name="hunyuan3d",
    python=("3.11", "3.10"),
    # PyPI's build of this version is the one for CUDA 12.8, the first with kernels for GPUs from Volta to Blackwell;
    # nothing else here is built for one torch.
    torch=("torch==2.8.0", "torchvision==0.23.0"),
    cuda="12.8",
    # Not upstream's list, which lacks scikit-image and pyyaml and has a web server.
    requirements=(
        # Of the time of upstream's last change. Later ones want a word of trust for painting's own pipeline.
        "transformers==4.51.3",
        "diffusers==0.33.1",
        "accelerate",
        "einops",
        "numpy",
        "scipy",
        "trimesh>=4.4",
        "scikit-image",
        # Version 5 came after all of this.
        "opencv-python-headless<5",
        "pillow",
        "pyyaml",
        "pymeshlab",
        "safetensors",
        "huggingface_hub",
        "tqdm",
        "embreex",
        "rembg",
        "onnxruntime",
        # Of the text-to-image model's tokenizer.
        "sentencepiece",
    ),
    checkouts=(
        Checkout(url="https://github.com/Tencent-Hunyuan/Hunyuan3D-2", revision=REVISION, folder="Hunyuan3D-2"),
    ),
    weights=(
        Weights(
            repository=V20.repository,
            folder="weights",
            revision=WEIGHTS,
            files=("hunyuan3d-dit-v2-0/config.yaml", "hunyuan3d-dit-v2-0/model.fp16.safetensors"),
            # 4,928,153,166 bytes at that commit.
            size_mb=4928,
        ),
    ),
    files=(U2NET,),
    modules=(*V20.needed, "rembg", "onnxruntime", V20.shape_module),
    module_path=("{root}/Hunyuan3D-2",),
    libraries=opengl_of_pymeshlab(),
    config={
        "hunyuan3d_root": "{root}/Hunyuan3D-2",
        "model_path": "{root}/weights",
    },
    env={"U2NET_HOME": "{root}/u2net"},
    parts=(TEXTURE, TEXT),
    notes=(
        (
            "Tencent's licence does not apply in the European Union, the United Kingdom and South Korea, and forbids"
            " some uses: read Hunyuan3D-2/LICENSE and set accept_license: true only if you are bound by it."
        ),
    ),
)
