"""The environment of PartField. Nothing of it is shipped: its licence is for non-commercial research only."""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights
from ...catalogue.system_libraries import opengl, opengl_of_pymeshlab, x11
from .adapter import NEEDED

#: The commit whose calls the adapter was written against and run with.
REVISION = "50d56ce445bdb74df3a719526e664f4a688586bd"

RECIPE = Recipe(
    name="partfield",
    python=("3.10", "3.11"),
    # PyPI's build of this version is the one for CUDA 12.8, the first with kernels for GPUs from Volta to Blackwell,
    # and one that torch-scatter is built for.
    torch=("torch==2.8.0", "torchvision==0.23.0"),
    cuda="12.8",
    requirements=(
        "lightning>=2.2",
        # Imported by upstream's modules at import, most of them without being used for this.
        "boto3",
        "h5py",
        "mesh2sdf",
        "tetgen",
        "vtk",
        "pymeshlab",
        "plyfile",
        "scikit-image",
        "loguru",
        "psutil",
        "einops",
        "yacs",
        "pytz",
        # pkg-resources and distutils, which upstream's helper module imports, left Python 3.12 and setuptools 82.
        "setuptools<81",
        "numpy>=2.0",
        "scipy",
        "scikit-learn>=1.4",
        "networkx",
        "trimesh>=4.5",
        "pillow",
        "embreex",
        "manifold3d",
        # PyPI has its sources only, which become the CPU's where no GPU is seen.
        "--find-links https://data.pyg.org/whl/torch-2.8.0+cu128.html",
        "torch-scatter==2.1.2+pt28cu128",
    ),
    checkouts=(Checkout(url="https://github.com/nv-tlabs/PartField", revision=REVISION, folder="PartField"),),
    weights=(
        Weights(
            repository="mikaelaangel/partfield-ckpt",
            folder="weights",
            # The commit that other projects on GitHub pin: 1,243,631,761 bytes there.
            revision="f8cda8fd7dcef0596654015a482cc89407977a29",
            files=("model_objaverse.ckpt",),
            size_mb=1244,
        ),
    ),
    # The last imports nearly all of upstream's code.
    modules=(*NEEDED, "partfield.model_trainer_pvcnn_only_demo"),
    module_path=("{root}/PartField",),
    libraries=(*opengl_of_pymeshlab(), *opengl("vtk"), *x11("vtk")),
    config={"partfield_root": "{root}/PartField", "model_path": "{root}/weights/model_objaverse.ckpt"},
    notes=(
        (
            "PartField's code and weights are under NVIDIA's licence for non-commercial research and education: read"
            " PartField/LICENSE and set accept_license: true only if your use is of that kind."
        ),
        "torch-scatter comes from data.pyg.org, built for this torch and CUDA 12.8.",
    ),
)
