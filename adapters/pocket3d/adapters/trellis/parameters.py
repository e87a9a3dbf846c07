"""The options of a request, as JSON Schema and as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import InvalidInput
from ..input_checks import whole_number

#: Upstream's own default.
DEFAULT_SEED = 42
_MAX_SEED = 2**32 - 1
_STEPS = (1, 500)
_STRENGTH = (0.0, 30.0)
_SIMPLIFY = (0.0, 0.99)
_DEFAULT_SIMPLIFY = 0.95
_TEXTURES = (512, 1024, 2048, 4096)
_DEFAULT_TEXTURE = 1024
MODES = ("stochastic", "multidiffusion")
FIRST, SECOND = "sparse_structure", "slat"


class Settings(NamedTuple):
    """One request's options; None where the weights' own `pipeline.json` decides."""

    seed: int
    #: Sampler prefix -> what upstream's `..._sampler_params` gets.
    samplers: dict[str, dict[str, Any]]
    texture: bool
    texture_resolution: int
    simplify: float
    preprocess_image: bool
    multi_image_mode: str


def schema(files: dict[str, Any], required: Sequence[str], formats: Sequence[str], *, paints: bool) -> dict[str, Any]:
    """JSON Schema of `inputs`.

    Args:
        files: the feature's own keys.
        required: those of them that must be there.
        formats: output formats, the default first.
        paints: of a painting adapter, which keeps the shape.
    """
    properties: dict[str, Any] = {
        **files,
        "output_format": {"type": "string", "enum": list(formats), "default": formats[0]},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": _MAX_SEED,
            "default": DEFAULT_SEED,
            "description": "of torch's generator; the same seed gives the same mesh on the same device",
        },
    }
    if not paints:
        properties.update(_sampler(FIRST, "of the first stage, which finds the occupied voxels"))
    properties.update(_sampler(SECOND, "of the second stage, which finds surface and appearance"))
    properties["texture"] = {
        "type": "boolean",
        "default": True,
        "description": "bake a texture (needs CUDA); false, or where that cannot be: vertex colours",
    }
    properties["texture_resolution"] = {
        "type": "integer",
        "enum": list(_TEXTURES),
        "default": _DEFAULT_TEXTURE,
        "description": "side of the baked texture, pixels",
    }
    if not paints:
        properties["simplify"] = {
            "type": "number",
            "minimum": _SIMPLIFY[0],
            "maximum": _SIMPLIFY[1],
            "default": _DEFAULT_SIMPLIFY,
            "description": "share of the triangles to take away before baking; not used with vertex colours",
        }
    if "image_path" in files:
        properties["preprocess_image"] = {
            "type": "boolean",
            "default": True,
            "description": "cut the subject out (its alpha, else rembg) and centre it; false takes the image as is",
        }
        if not paints:
            properties["multi_image_mode"] = {
                "type": "string",
                "enum": list(MODES),
                "default": MODES[0],
                "description": "several images: each step looks at one in turn, or at the mean of all",
            }
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def read(inputs: dict[str, Any]) -> Settings:
    """The request's options.

    Raises:
        InvalidInput: of a wrong type or out of range.
    """
    size = whole_number(inputs, "texture_resolution", _DEFAULT_TEXTURE, _TEXTURES[0], _TEXTURES[-1])
    if size not in _TEXTURES:
        raise InvalidInput(f"texture_resolution is {size}; want one of {_TEXTURES}", "texture_resolution")
    mode = inputs.get("multi_image_mode")
    if mode is not None and mode not in MODES:
        raise InvalidInput(f"multi_image_mode is {mode!r}; want one of {', '.join(MODES)}", "multi_image_mode")
    return Settings(
        seed=whole_number(inputs, "seed", DEFAULT_SEED, 0, _MAX_SEED),
        samplers={name: _sampler_values(inputs, name) for name in (FIRST, SECOND)},
        texture=_flag(inputs, "texture"),
        texture_resolution=size,
        simplify=_number(inputs, "simplify", _DEFAULT_SIMPLIFY, _SIMPLIFY),
        preprocess_image=_flag(inputs, "preprocess_image"),
        multi_image_mode=str(mode or MODES[0]),
    )


def _sampler(name: str, what: str) -> dict[str, Any]:
    default = "default: what pipeline.json of the weights says"
    return {
        f"{name}_steps": {
            "type": "integer",
            "minimum": _STEPS[0],
            "maximum": _STEPS[1],
            "description": f"sampling steps {what}; {default}",
        },
        f"{name}_cfg_strength": {
            "type": "number",
            "minimum": _STRENGTH[0],
            "maximum": _STRENGTH[1],
            "description": f"strength of the guidance {what}; {default}",
        },
    }


def _sampler_values(inputs: dict[str, Any], name: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    steps, strength = f"{name}_steps", f"{name}_cfg_strength"
    if inputs.get(steps) is not None:
        values["steps"] = whole_number(inputs, steps, _STEPS[0], *_STEPS)
    if inputs.get(strength) is not None:
        values["cfg_strength"] = _number(inputs, strength, 0.0, _STRENGTH)
    return values


def _number(inputs: dict[str, Any], key: str, default: float, limits: tuple[float, float]) -> float:
    value = inputs.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not limits[0] <= value <= limits[1]:
        raise InvalidInput(f"{key} is {value!r}; want a number from {limits[0]} to {limits[1]}", key)
    return float(value)


def _flag(inputs: dict[str, Any], key: str) -> bool:
    value = inputs.get(key)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise InvalidInput(f"{key} is {value!r}; want true or false", key)
    return value
