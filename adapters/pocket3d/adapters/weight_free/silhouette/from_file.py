"""Makes a solid of a photograph's file; each failure names the input that is at fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...errors import InvalidInput
from .mask import NoSubject
from .options import PhotoOptions
from .photo import UnreadablePhoto, read_photo
from .reconstruction import Reconstruction, Settings, reconstruct


class FromPhotograph(NamedTuple):
    """The reconstructed solid and the size of the file's image."""

    reconstruction: Reconstruction
    #: Width and height of the file, pixels.
    image_size: list[int]


def from_photograph(
    path: Path, field: str, options: PhotoOptions, device: str, step: Callable[[float, str], None]
) -> FromPhotograph:
    """Read a photograph and reconstruct its subject.

    Args:
        path: the photograph.
        field: of the inputs, for errors.
        options: of the request.
        device: of torch.
        step: called with (share, stage) before each step; may raise to end it.

    Raises:
        InvalidInput: it is no image, or nothing stands out in it.
    """
    settings = Settings(options.mask_method, options.depth_scale, options.resolution, options.seed)
    step(0.02, "reading the photograph")
    try:
        photo = read_photo(path, max(options.texture_resolution, options.resolution))
        reconstruction = reconstruct(photo, settings, device, step)
    except UnreadablePhoto as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except NoSubject as error:
        wrong = "mask_method" if settings.mask_method == "alpha" else field
        raise InvalidInput(f"{path.name}: {error}", wrong) from error
    return FromPhotograph(reconstruction, list(photo.original_size))
