"""Reads images from strangers: what they claim is checked before they are decoded."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput
from ..runtime.memory_limit import limited_memory
from .read.limits import Refused

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP")
#: What Pillow's decoders and its reader of EXIF raise on broken data.
_BROKEN = (OSError, SyntaxError, EOFError, LookupError, ArithmeticError, ValueError, TypeError, struct.error)


#: The largest image that is read.
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000


def read_image(path: Path, field: str = "image_path") -> Image:
    """Decode an image: upright (EXIF), 8 bits a channel, RGB, or RGBA where it has transparency; of an animation the
    first frame.

    Raises:
        InvalidInput: no PNG, JPEG or WebP, broken, or too large.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InvalidInput(f"{path.name} has {size:,} bytes, at most {MAX_BYTES:,} are read", field)
    try:
        # Decoded pixels, a copy of them for each conversion, and room for the decoder.
        with limited_memory(24 * MAX_PIXELS // 2**20 + 256):
            image = open_image(path.read_bytes())
            with refusing():
                image.load()
                return plain(image)
    except Refused as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except MemoryError as error:
        raise InvalidInput(f"{path.name}: decoding it takes too much memory", field) from error


def open_image(data: bytes) -> Image:
    """Look at the head of an image; nothing is decoded.

    Raises:
        Refused: not an image that may be decoded.
    """
    from PIL import Image as pil

    with refusing():
        image = pil.open(BytesIO(data), formats=FORMATS)
        check_pixels(image)
        return image


def check_pixels(image: Image) -> None:
    """Refuse an image of too many pixels."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Refused(f"{width} x {height} is {width * height:,} pixels, at most {MAX_PIXELS:,} are read")


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Raise whatever Pillow dislikes in the block as the image's fault."""
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    try:
        yield
    except Refused:
        raise
    except (pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        raise Refused(f"too many pixels: {error}") from error
    except UnidentifiedImageError as error:
        raise Refused(f"not an image in one of the formats {', '.join(FORMATS)}") from error
    except _BROKEN as error:
        raise Refused(f"the image is broken: {error}") from error


def plain(image: Image) -> Image:
    """An image upright, with 8 bits a channel."""
    import numpy as np
    from PIL import Image as pil
    from PIL import ImageOps

    # Where its EXIF is broken, it stays as it lies.
    with contextlib.suppress(*_BROKEN):
        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        # Pillow clips 16-bit grey to 255 instead of scaling it.
        image = pil.fromarray((np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    transparent = "A" in image.getbands() or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")
