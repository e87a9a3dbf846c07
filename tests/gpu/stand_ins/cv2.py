"""Stand-in: what Hunyuan3D's preparation of an image uses of OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

INTER_NEAREST, INTER_CUBIC, INTER_AREA = 0, 2, 3
_PILLOWS = {
    INTER_NEAREST: Image.Resampling.NEAREST,
    INTER_CUBIC: Image.Resampling.BICUBIC,
    INTER_AREA: Image.Resampling.BOX,
}


def resize(image: Any, size: tuple[int, int], interpolation: int = INTER_CUBIC) -> Any:
    """A picture of bytes, (height, width) or (height, width, channels); like OpenCV's, one channel loses its axis."""
    channels = [image] if image.ndim == 2 else [image[..., number] for number in range(image.shape[2])]
    scaled = [np.asarray(Image.fromarray(each).resize(size, _PILLOWS[interpolation])) for each in channels]
    return scaled[0] if len(scaled) == 1 else np.stack(scaled, axis=-1)
