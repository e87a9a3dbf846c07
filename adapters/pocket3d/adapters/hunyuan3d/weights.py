"""Where Hunyuan3D's weights are, looked for before upstream is asked.

Upstream's `smart_load_model` goes to the network, silently, when a folder is not there, and then tells of the network.
Here the missing file is named. Upstream gets an absolute folder, which it takes as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import AdapterUnavailable

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w.-]+")
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


class Source(NamedTuple):
    """Where an adapter's weights may come from."""

    #: A folder, a hub id, or None for `repository`.
    model_path: str | None
    repository: str
    adapter_id: str
    #: Fetching from the hub is allowed.
    download: bool

    @property
    def name(self) -> str:
        """As a person knows it."""
        return self.model_path or self.repository

    def hint(self) -> str:
        """What to do where weights are missing."""
        return (
            f"run: pocket3d adapters install {self.adapter_id} - or set model_path in models.yaml to their folder,"
            " or download: true"
        )


def shape_checkpoint(source: Source, subfolder: str) -> Checkpoint:
    """The shape model's files.

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
    """The folder that has all parts: that of `model_path`, below `$HY3DGEN_MODELS`, or in the hub's cache.

    Args:
        source: where to look.
        parts: folder in the repository -> a file by which it is known, relative to the repository.

    Raises:
        AdapterUnavailable: a part is nowhere; names the places.
    """
    places = _places(source)
    for place in places:
        if all((place / known).is_file() for known in parts.values()):
            return place
    if is_hub_id(source.name):
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
        return None if source.download and is_hub_id(source.name) else str(error)
    return None


def is_hub_id(name: str) -> bool:
    """True if it means a repository on the hub, false if a folder."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).is_dir()


def _places(source: Source) -> list[Path]:
    given = Path(source.name).expanduser()
    if not is_hub_id(source.name):
        # The folder itself, or one that holds repositories by name.
        return [given.absolute(), (given / source.repository.rsplit("/", 1)[-1]).absolute()]
    models = Path(os.environ.get("HY3DGEN_MODELS", "~/.cache/hy3dgen")).expanduser()
    return [(models / given).absolute()]


def _cached(repository: str, file: str) -> Path | None:
    """The snapshot in the hub's cache that has this file."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    found = importlib.import_module("huggingface_hub").try_to_load_from_cache(repository, file)
    if not isinstance(found, str):
        return None
    return Path(found).parents[len(Path(file).parts) - 1]
