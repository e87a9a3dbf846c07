"""Reads images from strangers: what they claim is checked before they are decoded."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput
from ..runtime.memory_limit import limited_memory

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "ImageLimits", "check_embedded", "read_image"]

FORMATS = ("PNG", "JPEG", "WEBP")
#: What Pillow's decoders and its reader of EXIF raise on broken data.
_BROKEN = (OSError, SyntaxError, EOFError, LookupError, ArithmeticError, ValueError, TypeError, struct.error)


@dataclass(frozen=True)
class ImageLimits:
    """The largest image that is read."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 50_000_000


def read_image(path: Path, limits: ImageLimits | None = None, field: str = "image_path") -> Image:
    """Decode an image: upright (EXIF), 8 bits a channel, RGB, or RGBA where it has transparency; of an animation the
    first frame.

    Raises:
        InvalidInput: no PNG, JPEG or WebP, broken, or beyond the limits.
    """
    limits = limits or ImageLimits()
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise InvalidInput(f"{path.name} has {size:,} bytes, at most {limits.max_bytes:,} are read", field)
    try:
        # Decoded pixels, a copy of them for each conversion, and room for the decoder.
        with limited_memory(24 * limits.max_pixels // 2**20 + 256):
            image = _open(path.read_bytes(), limits)
            with _refusing():
                return _eight_bits(_upright(image))
    except _Refused as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except MemoryError as error:
        raise InvalidInput(f"{path.name}: decoding it takes too much memory", field) from error


def check_embedded(data: bytes, limits: ImageLimits | None = None) -> tuple[int, int]:
    """Look at the head of an image inside another file: (width, height).

    Raises:
        ValueError: not an image that may be decoded.
    """
    return _open(data, limits or ImageLimits(), decode=False).size


class _Refused(ValueError):
    """The image is not read; the message says why."""


def _open(data: bytes, limits: ImageLimits, *, decode: bool = True) -> Image:
    from PIL import Image as pil

    with _refusing():
        image = pil.open(BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > limits.max_pixels:
            raise _Refused(f"{width} x {height} is {width * height:,} pixels, at most {limits.max_pixels:,} are read")
        if decode:
            image.load()
        return image


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Raise whatever Pillow dislikes in the block as the image's fault."""
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    try:
        yield
    except _Refused:
        raise
    except (pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        raise _Refused(f"too many pixels: {error}") from error
    except UnidentifiedImageError as error:
        raise _Refused(f"not an image in one of the formats {', '.join(FORMATS)}") from error
    except _BROKEN as error:
        raise _Refused(f"the image is broken: {error}") from error


def _upright(image: Image) -> Image:
    """Turn the image as its EXIF says; where that is broken, it stays as it lies."""
    from PIL import ImageOps

    try:
        upright: Image = ImageOps.exif_transpose(image)
    except _BROKEN:
        return image
    return upright


def _eight_bits(image: Image) -> Image:
    import numpy as np
    from PIL import Image as pil

    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        # Pillow clips 16-bit grey to 255 instead of scaling it.
        image = pil.fromarray((np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    transparent = "A" in image.getbands() or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")
