"""The environment of Hunyuan3D 2.0 with the weights of Hunyuan3D-2mv for its shapes."""

from __future__ import annotations

import msgspec

from ...catalogue.recipe import Weights
from . import recipe
from .multi_view import REPOSITORY, SUBFOLDER

_SHAPES = Weights(
    repository=REPOSITORY,
    folder="weights",
    # Nobody names a commit of it.
    revision="main",
    files=(f"{SUBFOLDER}/config.yaml", f"{SUBFOLDER}/model.fp16.safetensors"),
    # Estimated: as large as the shape model of 2.0, of which it has the parameters (1.1 billion, upstream's model zoo).
    size_mb=4928,
    estimated=True,
)

RECIPE = msgspec.structs.replace(recipe.RECIPE, weights=(_SHAPES,))
