"""A background remover for pictures with a plain background: what has the colour of the upper left corner goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image


class CornerRemover:
    """Configured by its dotted path, like any other remover."""

    def __call__(self, image: Image.Image) -> Image.Image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
        subject = np.abs(pixels - pixels[0, 0]).sum(axis=2) > 30
        if log := os.environ.get("CORNER_REMOVER_LOG"):
            with Path(log).open("a") as file:
                file.write(json.dumps({"mode": image.mode, "removed": int((~subject).sum())}) + "\n")
        return Image.fromarray(np.dstack([pixels, subject * 255]).astype(np.uint8))


class HalfRemover:
    """For pictures of noise: the left half is the subject."""

    def __call__(self, image: Image.Image) -> Image.Image:
        pixels = np.asarray(image.convert("RGBA")).copy()
        pixels[:, pixels.shape[1] // 2 :, 3] = 0
        return Image.fromarray(pixels)
