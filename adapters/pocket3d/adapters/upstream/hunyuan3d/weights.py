"""Finds Hunyuan3D's weights before upstream is asked.

Upstream's `smart_load_model` goes to the network, silently, when a folder is not there, and then tells of the network.
Here the missing file is named. Upstream gets an absolute folder, which it takes as it is.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import AdapterUnavailable
from ..hub import Source, cached_file

_SETTINGS = "config.yaml"


class Checkpoint(NamedTuple):
    """One model's files, in the terms of upstream's `from_pretrained`."""

    folder: Path
    subfolder: str
    file: str
    variant: str | None
    safetensors: bool


#: What upstream's file names can be; those that load faster and need no unpickling first.
_FILES = (
    ("model.fp16.safetensors", "fp16", True),
    ("model.safetensors", None, True),
    ("model.fp16.ckpt", "fp16", False),
    ("model.ckpt", None, False),
)


def shape_checkpoint(source: Source, subfolder: str) -> Checkpoint:
    """Find the shape model's files.

    Raises:
        AdapterUnavailable: they are not there; names the places.
    """
    folder = model_folder(source, {subfolder: f"{subfolder}/{_SETTINGS}"})
    inside = folder / subfolder
    for file, variant, safetensors in _FILES:
        if (inside / file).is_file():
            return Checkpoint(folder, subfolder, file, variant, safetensors)
    wanted = ", ".join(name for name, _, _ in _FILES)
    raise AdapterUnavailable(f"the weights of Hunyuan3D are missing: {inside} has none of {wanted}; {source.hint()}")


def model_folder(source: Source, parts: dict[str, str]) -> Path:
    """Find the folder that has all parts: that of `model_path`, below `$HY3DGEN_MODELS`, or in the hub's cache.

    `parts`: folder in the repository -> a file by which it is known, relative to the repository.

    Raises:
        AdapterUnavailable: a part is nowhere; names the places.
    """
    places = _places(source)
    for place in places:
        if all((place / known).is_file() for known in parts.values()):
            return place
    if source.on_hub:
        cached = [_cached(source.name, known) for known in parts.values()]
        found = [each for each in cached if each is not None]
        if found and len(found) == len(cached):
            return found[0]
        if source.download:
            hub = importlib.import_module("huggingface_hub")
            patterns = [f"{part}/*" for part in parts]
            return Path(hub.snapshot_download(source.name, allow_patterns=patterns))
        places = [*places, Path(f"the hub's cache of {source.name}")]
    lacking = [known for known in parts.values() if not any((place / known).is_file() for place in places)]
    named = " or ".join(str(place / each) for place in places for each in lacking[:1])
    raise AdapterUnavailable(f"the weights of Hunyuan3D are missing: there is no {named}; {source.hint()}")


def missing(source: Source, subfolder: str | None, parts: Sequence[dict[str, str]] = ()) -> str | None:
    """What is missing in words, without fetching anything; None when a load would find it or may fetch it."""
    local = source._replace(download=False)
    try:
        if subfolder is not None:
            shape_checkpoint(local, subfolder)
        for each in parts:
            model_folder(local, each)
    except AdapterUnavailable as error:
        return None if source.download and source.on_hub else str(error)
    return None


def _places(source: Source) -> list[Path]:
    if not source.on_hub:
        return source.folders()
    models = Path(os.environ.get("HY3DGEN_MODELS", "~/.cache/hy3dgen")).expanduser()
    return [(models / source.name).absolute()]


def _cached(repository: str, file: str) -> Path | None:
    """The snapshot in the hub's cache that has this file."""
    found = cached_file(repository, file)
    return None if found is None else found.parents[len(Path(file).parts) - 1]
