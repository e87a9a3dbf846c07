"""Reads images from strangers: what they claim is checked before they are decoded."""

from __future__ import annotations

import contextlib
import re
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

#: What may lie inside a GLB file.
FORMATS = ("PNG", "JPEG", "WEBP")
#: What else is read where Pillow knows it; HEIF by pillow-heif where that is installed.
_FURTHER = ("TIFF", "BMP", "GIF", "AVIF", "HEIF")
_HEIC = ("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1")
_AS = "save it as PNG or JPEG"
#: What Pillow's decoders and its reader of EXIF raise on broken data.
_BROKEN = (OSError, SyntaxError, EOFError, LookupError, ArithmeticError, ValueError, TypeError, struct.error)


#: The largest image that is read.
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000


def read_image(path: Path, field: str = "image_path") -> Image:
    """Decode an image: upright (EXIF), 8 bits a channel, RGB, or RGBA where it has transparency; of an animation the
    first frame. PNG, JPEG, WebP, TIFF, BMP, GIF; AVIF and HEIC where this host's Pillow knows them.

    Raises:
        InvalidInput: another format, broken, or too large.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InvalidInput(f"{path.name} has {size:,} bytes, at most {MAX_BYTES:,} are read", field)
    try:
        # Decoded pixels, a copy of them for each conversion, and room for the decoder.
        with limited_memory(24 * MAX_PIXELS // 2**20 + 256):
            data = path.read_bytes()
            check_readable(data)
            image = open_image(data, picture_formats())
            with refusing():
                image.load()
                return plain(image)
    except Refused as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except MemoryError as error:
        raise InvalidInput(f"{path.name}: decoding it takes too much memory", field) from error


def picture_formats() -> tuple[str, ...]:
    """The formats of pictures that are read here, as Pillow names them."""
    from PIL import Image as pil

    pil.init()
    if "HEIF" not in pil.OPEN:
        # Not installed, or its library does not load here.
        with contextlib.suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
    return (*FORMATS, *(each for each in _FURTHER if each in pil.OPEN))


def check_readable(head: bytes) -> None:
    """Refuse pictures of a known kind that is not read here, by their first bytes.

    Raises:
        Refused: what it is, and what to do.
    """
    brand = head[8:12].decode("latin-1") if head[4:8] == b"ftyp" else ""
    if brand in _HEIC and "HEIF" not in picture_formats():
        raise Refused(f"it is a HEIC picture, which is read where pillow-heif is installed; {_AS}")
    if brand in ("avif", "avis") and "AVIF" not in picture_formats():
        raise Refused(f"it is an AVIF picture, which is read where Pillow is 11.3 or later; {_AS}")
    start = head[:256].lstrip().lower()
    for beginning, kind in ((b"<svg", "SVG"), (b"<?xml", "SVG"), (b"8bps", "Photoshop"), (b"%pdf", "PDF")):
        if start.startswith(beginning):
            raise Refused(f"it is a {kind} file; {_AS}")


def open_image(data: bytes, formats: tuple[str, ...] = FORMATS) -> Image:
    """Look at the head of an image; nothing is decoded.

    Raises:
        Refused: not an image that may be decoded.
    """
    from PIL import Image as pil

    with refusing():
        image = pil.open(BytesIO(data), formats=formats)
        check_pixels(image)
        return image


def check_pixels(image: Image) -> None:
    """Refuse an image of too many pixels."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Refused(
            f"{width} x {height} is {width * height:,} pixels, at most {MAX_PIXELS:,} are read; make it smaller"
        )


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
        found = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(found[1]):,} pixels" if found else "too many pixels"
        raise Refused(f"{count}, at most {MAX_PIXELS:,} are read; make it smaller") from error
    except UnidentifiedImageError as error:
        known = ", ".join(picture_formats())
        raise Refused(f"not an image in one of the formats {known}; {_AS}") from error
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
