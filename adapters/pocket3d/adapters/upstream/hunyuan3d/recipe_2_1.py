"""The environment of Hunyuan3D 2.1, which does not go together with that of 2.0."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Extension, Part, Recipe, Weights
from ...catalogue.system_libraries import blender, opengl, opengl_of_pymeshlab
from ...catalogue.weight_files import U2NET, real_esrgan
from .versions import V21

#: The commit whose calls the adapters were written against.
REVISION = "5e3ec6def57591d22ff44722cfe9bea1266084b0"
#: The commit of the weights on the hub that other projects on GitHub pin; some state the sizes of its files.
WEIGHTS = "0b94677654c57bb9a6b6845cd7b704ccf551d327"
_PAINT = "Hunyuan3D-2.1/hy3dpaint"

TEXTURE = Part(
    name="texture",
    default=False,
    needed_by=("hunyuan3d-2.1-painting",),
    # Not open3d, which upstream lists: it is for reducing meshes of more than 40,000 faces by trimesh 4.4, and they are
    # reduced before by pymeshlab.
    requirements=(
        "pygltflib==1.16.3",
        "xatlas==0.0.9",
        # PyPI begins with Blender 4.2, for Python 3.11; painting writes its GLB with 4.0.
        "--extra-index-url https://download.blender.org/pypi/",
        "bpy==4.0.0",
        # Asked for by basicsr's setup.
        "cython",
        # Its headers compile mesh_inpaint_processor.
        "pybind11==2.13.4",
    ),
    compiled=(
        # Not compiled, but their setup asks for torch: with isolation pip fetches the newest, 3 GB, to build them. Old
        # and unkept, but what painting's upscaler is written against. They bring opencv-python beside the headless one,
        # which needs libGL.
        "basicsr==1.4.2",
        "realesrgan==0.3.0",
        f"{{root}}/{_PAINT}/custom_rasterizer",
    ),
    # Upstream falls back on a name that does not exist, after the whole diffusion.
    extensions=(Extension(source=f"{_PAINT}/DifferentiableRenderer/mesh_inpaint_processor.cpp"),),
    weights=(
        Weights(
            repository=V21.repository,
            folder="weights",
            revision=WEIGHTS,
            files=("hunyuan3d-paintpbr-v2-1/*",),
            # 6,887,587,640 bytes in its files at that commit.
            size_mb=6888,
        ),
        Weights(
            repository="facebook/dinov2-giant",
            folder="dinov2-giant",
            revision="611a9d42f2335e0f921f1e313ad3c1b7178d206d",
            # Not `*`: the hub has the weights a second time, as .bin.
            files=("config.json", "preprocessor_config.json", "model.safetensors"),
            # 4,546,006,416 bytes at that commit.
            size_mb=4546,
        ),
    ),
    files=(real_esrgan(f"{_PAINT}/ckpt"),),
    # Not basicsr and realesrgan: they import only with the adapter's stand-in for a module that torchvision dropped.
    modules=(
        "torch",
        *(each for each in V21.needed_for_paint if each not in ("basicsr", "realesrgan")),
        "cv2",
        "DifferentiableRenderer.mesh_inpaint_processor",
    ),
    module_path=(f"{{root}}/{_PAINT}",),
    libraries=(*opengl("opencv-python"), *blender()),
    config={"dino_path": "{root}/dinov2-giant"},
    notes=(
        "Blender as a module (bpy) is GPL-3.0, and comes from Blender's own package index.",
        "For textured meshes from images set texture: true in that adapter's config.",
        "It is compiled here: nvcc of CUDA 12.4, a C++ compiler and Python.h are needed.",
    ),
)

RECIPE = Recipe(
    name="hunyuan3d-2.1",
    # Blender 4.0 as a module, which upstream's painting writes GLB with, exists for 3.10 alone.
    python=("3.10",),
    # Upstream's own versions. PyPI's build of this torch is the one for CUDA 12.4.
    torch=("torch==2.5.1", "torchvision==0.20.1"),
    cuda="12.4",
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
        "trimesh==4.4.7",
        "pymeshlab==2022.2.post3",
        "omegaconf==2.3.0",
        "pyyaml==6.0.2",
        "tqdm",
        "timm",
        "torchdiffeq",
        "pytorch-lightning==1.9.5",
        "torchmetrics==1.6.0",
        "embreex",
    ),
    checkouts=(
        Checkout(url="https://github.com/Tencent-Hunyuan/Hunyuan3D-2.1", revision=REVISION, folder="Hunyuan3D-2.1"),
    ),
    weights=(
        Weights(
            repository=V21.repository,
            folder="weights",
            revision=WEIGHTS,
            files=("hunyuan3d-dit-v2-1/config.yaml", "hunyuan3d-dit-v2-1/model.fp16.ckpt"),
            # 7,366,391,846 bytes at that commit.
            size_mb=7366,
        ),
    ),
    files=(U2NET,),
    modules=(*V21.needed, "rembg", "onnxruntime", V21.shape_module),
    module_path=("{root}/Hunyuan3D-2.1/hy3dshape",),
    libraries=opengl_of_pymeshlab(),
    config={
        "hunyuan3d_root": "{root}/Hunyuan3D-2.1",
        "model_path": "{root}/weights",
    },
    env={"U2NET_HOME": "{root}/u2net"},
    parts=(TEXTURE,),
    notes=(
        (
            "Tencent's licence does not apply in the European Union, the United Kingdom and South Korea, and forbids"
            " some uses: read Hunyuan3D-2.1/LICENSE and set accept_license: true only if you are bound by it."
        ),
    ),
)
