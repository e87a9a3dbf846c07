"""Finds TRELLIS's weights and checks them file by file before upstream sees them.

Upstream's `Pipeline.from_pretrained` asks the hub for whatever it does not find, inside a bare `except` that hides the
first error. Here a missing file is named instead, and upstream gets a folder of links that holds just the models which
the adapter uses: those that it does not use (the radiance field decoder above all) take no VRAM.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import AdapterUnavailable
from ..code import replaced
from ..hub import Source, cached_file

_PIPELINE = "pipeline.json"
_PARTS = (".json", ".safetensors")
#: What torch.hub calls the folder of the code of DINOv2, by its default branch.
_DINO_FOLDERS = ("facebookresearch_dinov2_main", "facebookresearch_dinov2_master")


class Checkpoint(NamedTuple):
    """A pipeline's folder with what its `pipeline.json` says."""

    folder: Path
    settings: dict[str, Any]
    #: The file that says it.
    file: str = _PIPELINE


def missing_weights(source: Source, models: Sequence[str]) -> str | None:
    """What is missing in words, without fetching anything; None when a load would find all files."""
    quiet = source._replace(download=False)
    try:
        checkpoint = open_checkpoint(quiet)
    except AdapterUnavailable as error:
        return None if source.on_hub and source.download else str(error)
    listed = checkpoint.settings["models"]
    fetched = {name for name in models if source.download and str(listed.get(name, "")).count("/") > 1}
    try:
        model_files(checkpoint, quiet, [name for name in models if name not in fetched])
        condition_model(checkpoint, source)
    except AdapterUnavailable as error:
        return str(error)
    return None


def open_checkpoint(source: Source, pipeline: str = _PIPELINE) -> Checkpoint:
    """Find and read `pipeline.json`, or what it is called.

    Raises:
        AdapterUnavailable: it is not there, or cannot be read; names the places.
    """
    if source.on_hub:
        cached = cached_file(source.name, pipeline)
        if cached is None and not source.download:
            raise AdapterUnavailable(
                f"the weights of TRELLIS are missing: {source.name} is not in the hub's cache; {source.hint()}"
            )
        file = cached or Path(importlib.import_module("huggingface_hub").snapshot_download(source.name)) / pipeline
    else:
        places = [each / pipeline for each in source.folders()]
        found = [each for each in places if each.is_file()]
        if not found:
            named = " or ".join(map(str, places))
            raise AdapterUnavailable(f"the weights of TRELLIS are missing: there is no {named}; {source.hint()}")
        file = found[0]
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))["args"]
        if not isinstance(settings["models"], dict):
            raise ValueError("args.models is no object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterUnavailable(f"{file} is no pipeline of TRELLIS: {error!r}; {source.hint()}") from error
    return Checkpoint(file.parent, settings, pipeline)


def model_files(checkpoint: Checkpoint, source: Source, models: Sequence[str]) -> dict[str, Path]:
    """Name -> path of the model's two files without their suffix.

    Raises:
        AdapterUnavailable: files are missing; names all of them.
    """
    listed = checkpoint.settings["models"]
    absent = [name for name in models if name not in listed]
    if absent:
        raise AdapterUnavailable(
            f"{checkpoint.folder / checkpoint.file} lists no {', '.join(absent)}: it is another model; {source.hint()}"
        )
    stems = {name: _stem(checkpoint, str(listed[name]), source) for name in models}
    lost = [checkpoint.folder / str(listed[name]) for name, stem in stems.items() if stem is None]
    if lost:
        named = ", ".join(f"{path}{{.json,.safetensors}}" for path in lost)
        raise AdapterUnavailable(f"weights of TRELLIS are missing: {named}; {source.hint()}")
    return {name: stem for name, stem in stems.items() if stem is not None}


def condition_model(checkpoint: Checkpoint, source: Source) -> tuple[str, str]:
    """Key in `pipeline.json` and value to hand to upstream, of the model that reads the prompt or the image.

    Raises:
        AdapterUnavailable: it is neither here nor allowed to be fetched.
    """
    settings = checkpoint.settings
    if "image_cond_model" in settings:
        encoder = str(settings["image_cond_model"])
        lacking = None if source.download else _missing_dino(encoder)
        if lacking is not None:
            raise AdapterUnavailable(
                f"{lacking}: TRELLIS loads it with torch.hub (facebookresearch/dinov2); {source.hint()}, which fetches"
                " code and weights at the first load, or TORCH_HOME to a folder that has them"
            )
        return "image_cond_model", encoder
    name = str(settings.get("text_cond_model", ""))
    last = name.rsplit("/", 1)[-1]
    for folder in (checkpoint.folder / name, checkpoint.folder / last, checkpoint.folder.parent / last):
        if name and (folder / "config.json").is_file():
            return "text_cond_model", str(folder)
    cached = cached_file(name, "config.json")
    if cached is not None:
        return "text_cond_model", str(cached.parent)
    if not source.download:
        raise AdapterUnavailable(
            f"the text encoder {name or '(none named)'} is missing: there is no {checkpoint.folder.parent / last}, and"
            f" the hub's cache does not have it; {source.hint()}"
        )
    return "text_cond_model", name


def _missing_dino(encoder: str) -> str | None:
    if dino_code() is None:
        return f"the code of DINOv2 is not in {torch_hub()}"
    file = torch_hub() / "checkpoints" / dino_file(encoder)
    return None if file.is_file() else f"the weights of DINOv2 are missing: there is no {file}"


def dino_code() -> Path | None:
    """Where torch.hub has the code of DINOv2; None where it has not."""
    found = (torch_hub() / name for name in _DINO_FOLDERS)
    return next((each for each in found if (each / "hubconf.py").is_file()), None)


def dino_file(encoder: str) -> str:
    """The file that DINOv2's hubconf fetches for one of its names, such as `dinov2_vitl14_reg`: there are 4 registers
    where it has any.
    """
    return f"{encoder}4_pretrain.pth" if encoder.endswith("_reg") else f"{encoder}_pretrain.pth"


@contextlib.contextmanager
def local_hub(hub: Any) -> Iterator[None]:
    """Have `torch.hub` take DINOv2's code from its folder where it is there: asked for a repository it goes to GitHub
    even then, for the name of its branch. `hub` is the module.
    """
    code = dino_code()
    if code is None:
        yield
        return
    load = hub.load

    def load_here(_repository: str, name: str, **options: Any) -> Any:
        return load(str(code), name, **{**options, "source": "local"})

    with replaced(hub, load=load_here):
        yield


def torch_hub() -> Path:
    """torch.hub's folder, as `torch.hub.get_dir` determines it."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


@contextlib.contextmanager
def linked(source: Source, models: Sequence[str]) -> Iterator[Path]:
    """A folder for upstream's `from_pretrained`: `pipeline.json` and links to the wanted models' files. Gone at exit.

    Raises:
        AdapterUnavailable: something is missing.
    """
    checkpoint = open_checkpoint(source)
    stems = model_files(checkpoint, source, models)
    key, encoder = condition_model(checkpoint, source)
    with tempfile.TemporaryDirectory(prefix="pocket3d-trellis-") as name:
        folder = Path(name)
        for model, stem in stems.items():
            for suffix in _PARTS:
                (folder / f"{model}{suffix}").symlink_to(Path(f"{stem}{suffix}").absolute())
        # A name without a slash: upstream's second try after an error then fails at once instead of asking the hub.
        settings = {**checkpoint.settings, "models": {model: model for model in stems}, key: encoder}
        (folder / _PIPELINE).write_text(json.dumps({"args": settings}), encoding="utf-8")
        yield folder


def _stem(checkpoint: Checkpoint, reference: str, source: Source) -> Path | None:
    """A model lies in the pipeline's folder; or, named `owner/repository/path`, in that repository's folder beside it
    (the text pipelines share decoders with the image one) or in the hub's cache.
    """
    own = checkpoint.folder / reference
    owner, _, rest = reference.partition("/")
    name, _, path = rest.partition("/")
    beside = checkpoint.folder.parent / name / path
    for stem in (own, beside):
        if all(Path(f"{stem}{suffix}").is_file() for suffix in _PARTS):
            return stem
    if not path:
        return None
    repository = f"{owner}/{name}"
    files = [cached_file(repository, path + suffix) for suffix in _PARTS]
    if None in files and source.download:
        hub = importlib.import_module("huggingface_hub")
        files = [Path(hub.hf_hub_download(repository, path + suffix)) for suffix in _PARTS]
    found = files[0]
    return None if found is None or None in files else found.with_suffix("")
