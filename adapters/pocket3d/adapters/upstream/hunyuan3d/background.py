"""Cuts the subject out of a picture.

Upstream's examples turn every picture into RGBA and then remove the background of RGB pictures only: of none, so that
an opaque photograph goes in with its background. Here the alpha values decide.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from ...catalogue.needs import installed
from ...errors import AdapterUnavailable, InvalidInput
from ..rembg_network import missing_network

_OPAQUE = 255
NONE = "none"


class CutOut(NamedTuple):
    """A picture of the subject alone."""

    #: RGBA.
    image: Any
    #: Where its alpha comes from, in words.
    source: str


def missing_remover(path: str, upstream_remover: str, *, download: bool) -> str | None:
    """The reason why backgrounds cannot be removed here, or None. Imports nothing.

    `path` is the dotted path of the remover's class, or `none`; upstream's remover uses rembg, which with `download`
    may fetch its network.
    """
    if path == NONE:
        return None
    advice = (
        "set background_remover to another class, or to none where all images have a transparent background already"
    )
    if path != upstream_remover:
        top = path.split(".")[0]
        return None if installed(top) else f"background_remover {path}: there is no module {top}; {advice}"
    for module in ("rembg", "onnxruntime"):
        if not installed(module):
            return f"backgrounds cannot be removed: {module} is not installed; {advice}"
    missing = missing_network(download=download)
    return None if missing is None else f"backgrounds cannot be removed: {missing}; {advice}"


def load_remover(path: str) -> Any:
    """Make an object that takes a picture and gives it back with the background transparent; None for `none`.

    Raises:
        AdapterUnavailable: there is no such class.
    """
    if path == NONE:
        return None
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise AdapterUnavailable(f"background_remover {path} cannot be loaded: {error}") from error


def cut_out(image: Any, remover: Any, remover_name: str, field: str) -> CutOut:
    """Put the subject on a transparent background.

    The image is RGB or RGBA, `remover` is what `load_remover` gave, `field` is the input at fault if it is.

    Raises:
        InvalidInput: nothing is to be seen in the image, or it is opaque and no remover is configured.
        RuntimeError: the remover gave no transparency.
    """
    lowest, highest = image.getchannel("A").getextrema() if "A" in image.getbands() else (_OPAQUE, _OPAQUE)
    if highest == 0:
        raise InvalidInput("the image is fully transparent: there is nothing to make a mesh of", field)
    if lowest < _OPAQUE:
        return CutOut(image.convert("RGBA"), "the image's own transparency")
    if remover is None:
        raise InvalidInput(
            "the image is opaque and this adapter has no background remover (background_remover: none): give one with"
            " a transparent background",
            field,
        )
    cut = remover(image.convert("RGB"))
    if "A" not in cut.getbands():
        raise RuntimeError(f"{remover_name} gave an image without transparency ({cut.mode})")
    lowest, highest = cut.getchannel("A").getextrema()
    if highest == 0:
        raise InvalidInput(
            f"{remover_name} found no subject in the image; give one with a transparent background", field
        )
    if lowest == _OPAQUE:
        raise InvalidInput(
            f"{remover_name} found no background in the image; give one with a transparent background", field
        )
    return CutOut(cut.convert("RGBA"), f"removed by {remover_name}")
