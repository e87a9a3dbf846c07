"""The environment of TripoSplat: torch and what reads images and weights. Nothing of it is compiled, or shipped.

Written from upstream's README; not performed here, where there is no GPU.
"""

from __future__ import annotations

from ...catalogue.recipe import Checkout, Recipe, Weights
from .adapter import NEEDED, REPOSITORY, WEIGHTS

#: The commit whose calls the adapter was written against and run with.
REVISION = "a78fa12d06dbf1381ca548bfac32bb68cb8c451d"

RECIPE = Recipe(
    name="triposplat",
    python=("3.11", "3.10", "3.12"),
    # Upstream names no version, and nothing is compiled: one that has kernels for Blackwell, too. PyPI's build of it is
    # the one for CUDA 12.8.
    torch=("torch==2.8.0", "torchvision==0.23.0"),
    cuda="12.8",
    requirements=("numpy>=2.0,<3", "safetensors>=0.4", "pillow>=10.1", "tqdm"),
    checkouts=(Checkout(url="https://github.com/VAST-AI-Research/TripoSplat", revision=REVISION, folder="TripoSplat"),),
    weights=(
        Weights(
            repository=REPOSITORY,
            folder="weights/TripoSplat",
            revision="56a96e603204ec410c4da60c13ea4fa09a2169a9",
            files=tuple(WEIGHTS.values()),
            size_mb=3779,
        ),
    ),
    modules=(*NEEDED, "triposplat"),
    module_path=("{root}/TripoSplat",),
    config={"triposplat_root": "{root}/TripoSplat", "model_path": "{root}/weights/TripoSplat"},
    notes=(
        (
            "TripoSplat's code and weights are MIT. Its repository on the hub has further models: DINOv3, whose terms"
            " are Meta's DINOv3 License, FLUX.2's image encoder of Black Forest Labs, and BiRefNet (MIT)."
        ),
    ),
)
