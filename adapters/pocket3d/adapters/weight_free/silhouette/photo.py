"""Reads photographs safely: checks the size before decoding, turns them upright, keeps a real alpha channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from ...errors import InvalidInput
from ...mesh.image_input import check_readable, picture_formats, plain, read_image, refusing
from ...mesh.read.limits import Refused
from ...runtime.memory_limit import limited_memory

#: More than any camera's photo; a file that unpacks to more is refused before it is unpacked.
MAX_PIXELS = 64_000_000
#: Decoded pixels and a copy for each conversion.
_BYTES_PER_PIXEL = 24
MIN_SIDE = 16
MAX_ASPECT = 12
#: A pixel's colour is its own from this alpha on; below, another one may be mixed in.
_OPAQUE = 250
#: Proportions may differ by this share: programs round.
_SAME_PROPORTIONS = 0.02
#: An alpha channel says something if at least this share of the pixels is transparent.
_TRANSPARENT_SHARE = 0.005


class Photo(NamedTuple):
    """An upright image."""

    #: (H, W, 3) uint8 sRGB.
    rgb: npt.NDArray[np.uint8]
    #: (H, W) uint8, or None if no pixel is transparent.
    alpha: npt.NDArray[np.uint8] | None
    #: (width, height) of the file, upright.
    original_size: tuple[int, int]


def read_photo(path: Path, longest: int) -> Photo:
    """Decode an image, scaled down so that its long side is at most `longest` pixels. The first frame counts.

    Raises:
        Refused: another format, broken, too many pixels, too small or too narrow.
        OSError: the file cannot be opened: the host's fault.
    """
    with path.open("rb") as file:
        try:
            check_readable(file.read(256))
            file.seek(0)
            with refusing(), Image.open(file, formats=picture_formats()) as image:
                _check_size(image.size)
                with limited_memory(MAX_PIXELS * _BYTES_PER_PIXEL // 2**20 + 256):
                    return _decode(image, longest)
        except MemoryError as error:
            raise Refused("decoding it takes more memory than its size accounts for") from error


def visible_colours(photo: Photo) -> npt.NDArray[np.uint8]:
    """(H, W, 3): the photo's colours, with those of the nearest opaque pixel where it is transparent.

    What lies under transparent pixels is not seen, and whatever program wrote it put what it liked there.
    """
    if photo.alpha is None:
        return photo.rgb
    opaque = photo.alpha >= _OPAQUE
    if not opaque.any():
        opaque = photo.alpha >= photo.alpha.max()
    nearest = ndimage.distance_transform_edt(~opaque, return_distances=False, return_indices=True)
    seen: npt.NDArray[np.uint8] = photo.rgb[nearest[0], nearest[1]]
    return seen


def read_mask(path: Path, shape: tuple[int, int], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Read a subject's mask at `shape` (H, W): white pixels, or of an image with transparency those that are opaque.

    `size` is the (width, height) of the photograph it belongs to.

    Raises:
        InvalidInput: no image, or one of other proportions.
    """
    image = read_image(path, "mask_path")
    if abs(image.width * size[1] - image.height * size[0]) > _SAME_PROPORTIONS * image.width * size[1]:
        raise InvalidInput(
            f"{path.name}: {image.width} x {image.height} has other proportions than the image, {size[0]} x {size[1]}",
            "mask_path",
        )
    values = image.getchannel("A") if image.mode == "RGBA" else image.convert("L")
    return np.asarray(values.resize((shape[1], shape[0]), Image.Resampling.BOX)) > 127


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        count = f"{width} x {height} is {width * height:,} pixels"
        raise Refused(f"{count}, at most {MAX_PIXELS:,} are read; make it smaller")
    if min(width, height) < MIN_SIDE:
        raise Refused(f"{width} x {height} pixels; each side needs at least {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refused(f"{width} x {height} is too narrow; at most {MAX_ASPECT} to 1")


def _decode(image: Image.Image, longest: int) -> Photo:
    width, height = image.size
    image.draft("RGB", (2 * longest, 2 * longest))  # JPEG only: decodes at a fraction of the size
    upright = plain(image)
    if (upright.width > upright.height) != (width > height):
        width, height = height, width
    pixels = np.asarray(_shrink(upright.convert("RGBA"), longest))
    alpha = pixels[..., 3]
    real = bool(np.mean(alpha < 128) >= _TRANSPARENT_SHARE)
    return Photo(np.ascontiguousarray(pixels[..., :3]), alpha.copy() if real else None, (width, height))


def _shrink(image: Image.Image, longest: int) -> Image.Image:
    factor = longest / max(image.size)
    if factor >= 1:
        return image
    size = tuple(max(1, round(side * factor)) for side in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)


def resized(values: npt.NDArray[Any], longest: int, shortest: int = 0) -> npt.NDArray[np.float64]:
    """An (H, W) or (H, W, 3) uint8 image as 0..1, scaled to a long side of at most `longest` and at least `shortest`
    pixels: a small one is scaled up, smoothly, so that an outline can pass between its pixels.
    """
    image = _shrink(Image.fromarray(values), longest)
    factor = min(shortest, longest) / max(image.size)
    if factor > 1:
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float64) / 255
