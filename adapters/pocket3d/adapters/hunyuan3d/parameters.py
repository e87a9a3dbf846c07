"""The options of a request, as JSON Schema and as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidInput
from ..input_checks import whole_number
from .shape import ShapeSettings

_MAX_SEED = 2**32 - 1
#: The former system's, so that its clients get what they got.
DEFAULT_SEED = 12345
_STEPS = (1, 200)
_GUIDANCE = (0.0, 30.0)
_DEFAULT_GUIDANCE = 5.0
_RESOLUTION = (16, 768)
_DEFAULT_RESOLUTION = 380
_CHUNKS = (500, 500_000)
_DEFAULT_CHUNKS = 20_000
_FACES = (100, 5_000_000)
#: Upstream's FaceReducer's own default.
DEFAULT_FACES = 40_000

IMAGE: dict[str, Any] = {
    "image_path": {"description": "an image of the subject: png, jpg or webp; its background is removed if opaque"},
    "image_paths": {"description": "the same as a list of one"},
}
PROMPT: dict[str, Any] = {
    "text_prompt": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "the thing to make"}
}


def _seed_schema() -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": _MAX_SEED,
        "default": DEFAULT_SEED,
        "description": "of torch's generator; the same seed gives the same mesh on the same device",
    }


def shape_schema(
    files: dict[str, Any], required: Sequence[str], formats: Sequence[str], *, steps: int, can_paint: bool
) -> dict[str, Any]:
    """JSON Schema of the inputs of the adapters that make shapes.

    Args:
        files: the feature's own keys.
        required: those of them that must be there.
        formats: output formats, the default first.
        steps: default of the sampler.
        can_paint: the painting model is loaded too.
    """
    texture: dict[str, Any] = {
        "type": "boolean",
        "default": can_paint,
        "description": "paint the mesh with the image"
        if can_paint
        else "this adapter was configured without the painting model (texture: false)",
    }
    if not can_paint:
        texture["enum"] = [False]
    properties = {
        **files,
        "output_format": {
            "type": "string",
            "enum": list(formats),
            "default": formats[0],
            "description": "ply has no place for a texture",
        },
        "texture": texture,
        "seed": _seed_schema(),
        "num_inference_steps": _integer(_STEPS, steps, "steps of the shape's sampler; 5 are enough for turbo weights"),
        "guidance_scale": {
            "type": "number",
            "minimum": _GUIDANCE[0],
            "maximum": _GUIDANCE[1],
            "default": _DEFAULT_GUIDANCE,
            "description": "how closely the shape follows the image",
        },
        "octree_resolution": _integer(
            _RESOLUTION, _DEFAULT_RESOLUTION, "grid cells along a side; time and memory grow with its cube"
        ),
        "num_chunks": _integer(_CHUNKS, _DEFAULT_CHUNKS, "grid points that are decoded at once; fewer take less VRAM"),
        "max_faces": _integer(
            _FACES, DEFAULT_FACES, "triangles to which the mesh is reduced (quadric edge collapse); 0 keeps all"
        ),
    }
    properties["max_faces"]["minimum"] = 0
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def read_shape(inputs: dict[str, Any], default_steps: int) -> ShapeSettings:
    """The options of a shape.

    Raises:
        InvalidInput: of a wrong type or out of range.
    """
    faces = whole_number(inputs, "max_faces", DEFAULT_FACES, 0, _FACES[1])
    if 0 < faces < _FACES[0]:
        raise InvalidInput(f"max_faces is {faces}; want 0 (all) or {_FACES[0]} to {_FACES[1]}", "max_faces")
    return ShapeSettings(
        seed=read_seed(inputs),
        steps=whole_number(inputs, "num_inference_steps", default_steps, *_STEPS),
        guidance_scale=_number(inputs, "guidance_scale", _DEFAULT_GUIDANCE, _GUIDANCE),
        octree_resolution=whole_number(inputs, "octree_resolution", _DEFAULT_RESOLUTION, *_RESOLUTION),
        num_chunks=whole_number(inputs, "num_chunks", _DEFAULT_CHUNKS, *_CHUNKS),
        max_faces=faces or None,
    )


def read_seed(inputs: dict[str, Any]) -> int:
    """The seed.

    Raises:
        InvalidInput: of a wrong type or out of range.
    """
    return whole_number(inputs, "seed", DEFAULT_SEED, 0, _MAX_SEED)


def read_texture(inputs: dict[str, Any], output_format: str, *, can_paint: bool) -> bool:
    """Whether to paint.

    Raises:
        InvalidInput: no boolean; or there is no painting model; or the format holds no texture.
    """
    wanted = inputs.get("texture")
    if wanted is None:
        wanted = can_paint
    if not isinstance(wanted, bool):
        raise InvalidInput(f"texture is {wanted!r}; want true or false", "texture")
    if wanted and not can_paint:
        raise InvalidInput(
            "this adapter was configured without the painting model: leave texture out, or set texture: true in its"
            " config in models.yaml",
            "texture",
        )
    if wanted and output_format == "ply":
        raise InvalidInput("ply has no place for a texture: want glb or obj, or texture: false", "output_format")
    return wanted


def _integer(limits: tuple[int, int], default: int, description: str) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": limits[0],
        "maximum": limits[1],
        "default": default,
        "description": description,
    }


def _number(inputs: dict[str, Any], key: str, default: float, limits: tuple[float, float]) -> float:
    value = inputs.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not limits[0] <= value <= limits[1]:
        raise InvalidInput(f"{key} is {value!r}; want a number from {limits[0]} to {limits[1]}", key)
    return float(value)
