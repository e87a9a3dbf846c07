"""Checks that the feature base classes share. Each returns the clean value or raises `InvalidInput` with the key; a
file that is not there is the host's fault and not the request's: `FileNotFoundError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InvalidInput


def required_text(inputs: dict[str, Any], key: str, purpose: str) -> str:
    """A text, stripped, not empty."""
    value = inputs.get(key)
    if value is None:
        raise InvalidInput(f"{key} is required for {purpose}", key)
    if not isinstance(value, str):
        raise InvalidInput(f"{key} must be a text, got {type(value).__name__}", key)
    text = value.strip()
    if not text:
        raise InvalidInput(f"{key} cannot be empty", key)
    return text


def required_file(inputs: dict[str, Any], key: str, formats: Sequence[str], purpose: str) -> Path:
    """A local file with one of the suffixes."""
    value = inputs.get(key)
    if value is None or value == "":
        raise InvalidInput(f"{key} is required for {purpose}", key)
    return checked_file(value, key, formats)


def checked_file(value: Any, key: str, formats: Sequence[str]) -> Path:
    """One value of a file input; see `required_file`."""
    if not isinstance(value, (str, Path)):
        raise InvalidInput(f"{key} must name a file, got {type(value).__name__}", key)
    path = Path(value)
    suffix = path.suffix.lower().removeprefix(".")
    if formats and suffix not in formats:
        more = "; export it as GLB" if "glb" in formats else ""
        raise InvalidInput(f"{key}: unsupported format {suffix!r}; want one of {', '.join(formats)}{more}", key)
    if not path.is_file():
        raise FileNotFoundError(f"{key}: there is no file {path}")
    return path


def image_files(inputs: dict[str, Any], formats: Sequence[str], max_images: int) -> list[Path]:
    """The images of `image_path` (one) or `image_paths` (one or a list); empty if neither is given."""
    for key in ("image_paths", "image_path"):
        value = inputs.get(key)
        if value is None or value == "" or value == []:
            continue
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        if len(values) > max_images:
            raise InvalidInput(f"{len(values)} images, at most {max_images} are taken", key)
        return [checked_file(each, key, formats) for each in values]
    return []


def mask_file(inputs: dict[str, Any], formats: Sequence[str]) -> Path | None:
    """The image of `mask_path`; None if it is not given."""
    value = inputs.get("mask_path")
    return None if value is None or value == "" else checked_file(value, "mask_path", formats)


def image_field(inputs: dict[str, Any]) -> str:
    """The key that names the images, for refusals of their content."""
    return "image_paths" if inputs.get("image_paths") else "image_path"


def whole_number(inputs: dict[str, Any], key: str, default: int, minimum: int, maximum: int) -> int:
    """A whole number within the limits (both included)."""
    value = inputs.get(key)
    if value is None:
        return default
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        raise InvalidInput(f"{key} must be a whole number, got {value!r}", key)
    if not minimum <= value <= maximum:
        raise InvalidInput(f"{key} is {value}; want {minimum} to {maximum}", key)
    return int(value)
