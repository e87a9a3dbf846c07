"""The environment of Hunyuan3D 2.0 with the text-to-image model that text-to-mesh needs besides."""

from __future__ import annotations

import msgspec

from ...catalogue.recipe import Weights
from . import recipe, text_to_image

_IMAGES = Weights(
    repository=text_to_image.REPOSITORY,
    folder="text-to-image",
    # Nobody names a commit of it.
    revision="main",
    # Estimated: a transformer of 1.5 billion parameters, mT5-XL and CLIP encoders in single precision, VAE.
    size_mb=14000,
    estimated=True,
)

RECIPE = msgspec.structs.replace(
    recipe.RECIPE,
    weights=(*recipe.RECIPE.weights, _IMAGES),
    config={**recipe.RECIPE.config, "text_to_image_model": "{root}/text-to-image"},
)
