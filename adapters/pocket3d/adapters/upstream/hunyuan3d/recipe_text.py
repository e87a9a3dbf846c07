"""The environment of Hunyuan3D 2.0 with the text-to-image model that text-to-mesh needs besides."""

from __future__ import annotations

import msgspec

from ...catalogue.recipe import Weights
from . import recipe, text_to_image

RECIPE = msgspec.structs.replace(
    recipe.RECIPE,
    weights=(*recipe.RECIPE.weights, Weights(repository=text_to_image.REPOSITORY, folder="text-to-image")),
    config={**recipe.RECIPE.config, "text_to_image_model": "{root}/text-to-image"},
)
