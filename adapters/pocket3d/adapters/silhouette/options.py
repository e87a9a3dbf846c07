"""What a request may choose about its photograph: the schema's part of it, and the values read. No heavy imports."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import InvalidInput
from ..input_checks import whole_number

MAX_SEED = 2**32 - 1
_MASK_METHODS = ("auto", "alpha", "grabcut", "grabcut-centre")
_DEPTH = (0.05, 2.0)
_DEFAULT_DEPTH = 0.6
_RESOLUTION = (48, 384)
_DEFAULT_RESOLUTION = 192
_TEXTURE = (64, 4096)
_DEFAULT_TEXTURE = 1024


class PhotoOptions(NamedTuple):
    """Checked values of one request."""

    mask_method: str
    #: 1 makes a disc a ball, less is flatter.
    depth_scale: float
    #: Long side of the grid of mask and mesh, pixels.
    resolution: int
    #: Long side of the texture, pixels.
    texture_resolution: int
    seed: int


def option_properties() -> dict[str, Any]:
    """JSON Schemas by key."""
    return {
        "mask_method": {
            "type": "string",
            "enum": list(_MASK_METHODS),
            "default": "auto",
            "description": "auto: the alpha channel if it says anything, else grabcut; grabcut-centre suits a subject"
            " that fills the frame",
        },
        "depth_scale": {
            "type": "number",
            "minimum": _DEPTH[0],
            "maximum": _DEPTH[1],
            "default": _DEFAULT_DEPTH,
            "description": "1 makes a disc a ball, less is flatter",
        },
        "resolution": {
            "type": "integer",
            "minimum": _RESOLUTION[0],
            "maximum": _RESOLUTION[1],
            "default": _DEFAULT_RESOLUTION,
            "description": "long side of the grid of mask and mesh, pixels",
        },
        "texture_resolution": {
            "type": "integer",
            "minimum": _TEXTURE[0],
            "maximum": _TEXTURE[1],
            "default": _DEFAULT_TEXTURE,
            "description": "long side of the texture, pixels",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_SEED,
            "default": 0,
            "description": "the same seed gives the same mesh",
        },
    }


def read_options(inputs: dict[str, Any]) -> PhotoOptions:
    """The values, defaults for what is absent.

    Raises:
        InvalidInput: of the wrong type or out of range; names the key.
    """
    method = inputs.get("mask_method")
    if method is not None and method not in _MASK_METHODS:
        raise InvalidInput(f"mask_method is {method!r}; want one of {', '.join(_MASK_METHODS)}", "mask_method")
    depth = inputs.get("depth_scale")
    if depth is None:
        depth = _DEFAULT_DEPTH
    if isinstance(depth, bool) or not isinstance(depth, (int, float)) or not _DEPTH[0] <= depth <= _DEPTH[1]:
        raise InvalidInput(f"depth_scale is {depth!r}; want a number from {_DEPTH[0]} to {_DEPTH[1]}", "depth_scale")
    return PhotoOptions(
        str(method or _MASK_METHODS[0]),
        float(depth),
        whole_number(inputs, "resolution", _DEFAULT_RESOLUTION, *_RESOLUTION),
        whole_number(inputs, "texture_resolution", _DEFAULT_TEXTURE, *_TEXTURE),
        whole_number(inputs, "seed", 0, 0, MAX_SEED),
    )
