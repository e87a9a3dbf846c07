"""Pictures in KTX2 (KHR_texture_basisu), decoded by opengl_basisu (Binomial's transcoder) in a process of its own."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.native_call import NativeFailed, call_native, deadline
from ..image_input import MAX_PIXELS
from .limits import Refused

PACKAGE = "opengl-basisu"
#: How a file begins.
MAGIC = b"\xabKTX 20\xbb"
_MEMORY_MB = 2048
_SECONDS = 120.0


def can_decode() -> bool:
    """Whether the decoder is installed."""
    return importlib.util.find_spec("opengl_basisu") is not None


def png_of_all(pictures: Sequence[bytes]) -> list[bytes | str]:
    """Each picture as PNG, or why it cannot be read.

    Raises:
        Refused: they are too large, or the decoder crashed.
    """
    arrays = {str(number): np.frombuffer(data, dtype=np.uint8) for number, data in enumerate(pictures)}
    try:
        found = call_native(
            f"{__name__}:decode_here",
            arrays,
            {"most_pixels": MAX_PIXELS},
            folder=Path(tempfile.gettempdir()),
            memory_mb=_MEMORY_MB,
            check=deadline(_SECONDS, Refused(f"decoding its KTX2 pictures takes more than {_SECONDS:.0f} s")),
        )
    except NativeFailed as error:
        raise Refused(f"its KTX2 pictures cannot be decoded: {error}; export them as PNG or JPEG") from error
    return [_answer(found, number) for number in range(len(pictures))]


def _answer(found: Mapping[str, Any], number: int) -> bytes | str:
    data: bytes = found[f"{number} png"].tobytes()
    return data or str(found[f"{number} why"])


def decode_here(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What runs in the other process: see `call_native`."""
    out: dict[str, Any] = {}
    for number, data in arrays.items():
        png, why = b"", ""
        try:
            png = _png(data.tobytes(), options["most_pixels"])
        except (ValueError, IndexError) as error:
            why = str(error)[:200]
        out[f"{number} png"] = np.frombuffer(png, dtype=np.uint8)
        out[f"{number} why"] = np.array(why)
    return out


def _png(data: bytes, most_pixels: int) -> bytes:
    import opengl_basisu
    from PIL import Image

    texture = opengl_basisu.open(data)
    if texture.width * texture.height > most_pixels:
        raise ValueError(f"{texture.width} x {texture.height} pixels, at most {most_pixels:,} are read")
    pixels = np.asarray(texture.transcode(opengl_basisu.Target.RGBA8).data)
    encoded = BytesIO()
    Image.fromarray(pixels if texture.has_alpha else pixels[..., :3]).save(encoded, format="PNG")
    return encoded.getvalue()
