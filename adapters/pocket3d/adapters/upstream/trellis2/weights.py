"""Finds TRELLIS.2's weights, and the ungated and free models in place of two that its configuration names.

The released `pipeline.json` asks the hub for DINOv3 at facebook's repository, which is gated, and for RMBG-2.0, which
is gated and for non-commercial use. Upstream gets a folder of links here, with the models that an adapter uses, and a
`pipeline.json` that names local folders.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import AdapterUnavailable
from ..hub import Source, cached_file, is_hub_id
from ..trellis.weights import model_files, open_checkpoint

REPOSITORY = "microsoft/TRELLIS.2-4B"
#: The same weights as facebook/dinov3-vitl16-pretrain-lvd1689m, without its gate, under the same licence; Pixal3D's
#: authors name this one, too.
IMAGE_ENCODER = "camenduru/dinov3-vitl16-pretrain-lvd1689m"
#: Takes the place of briaai/RMBG-2.0, which is a BiRefNet with weights of its own.
BACKGROUND_MODEL = "ZhengPeng7/BiRefNet"
_PARTS = (".json", ".safetensors")
_COMMON = ("sparse_structure_flow_model", "sparse_structure_decoder", "shape_slat_decoder", "tex_slat_decoder")
#: What `Trellis2ImageTo3DPipeline.run` asserts for each pipeline type.
_FLOWS = {
    "512": ("shape_slat_flow_model_512", "tex_slat_flow_model_512"),
    "1024": ("shape_slat_flow_model_1024", "tex_slat_flow_model_1024"),
    "1024_cascade": ("shape_slat_flow_model_512", "shape_slat_flow_model_1024", "tex_slat_flow_model_1024"),
    "1536_cascade": ("shape_slat_flow_model_512", "shape_slat_flow_model_1024", "tex_slat_flow_model_1024"),
}
PIPELINE_TYPES = tuple(_FLOWS)
PAINTING_MODELS = ("shape_slat_encoder", "tex_slat_decoder", "tex_slat_flow_model_512", "tex_slat_flow_model_1024")


class Wanted(NamedTuple):
    """What an adapter needs of the weights."""

    source: Source
    #: The pipeline's description among them.
    pipeline: str
    models: Sequence[str]
    #: Folders or repositories on the hub.
    image_encoder: str
    background_model: str
    low_vram: bool


def models_for(pipeline_type: str) -> tuple[str, ...]:
    """The models that a pipeline type runs."""
    return (*_COMMON, *_FLOWS[pipeline_type])


def missing_weights(wanted: Wanted) -> str | None:
    """What is missing in words, without fetching anything; None when a load would find all files."""
    quiet = wanted.source._replace(download=False)
    try:
        if not (wanted.source.on_hub and wanted.source.download):
            checkpoint = open_checkpoint(quiet, wanted.pipeline)
            model_files(checkpoint, quiet, wanted.models)
        helpers(wanted, None)
    except AdapterUnavailable as error:
        return str(error)
    return None


def helpers(wanted: Wanted, folder: Path | None) -> tuple[str, str]:
    """The image encoder and the background model, as transformers' `from_pretrained` takes them: folders, or, where
    they may be fetched, the hub's names. `folder` is that of the weights, beside which they may lie.

    Raises:
        AdapterUnavailable: one is neither here nor allowed to be fetched.
    """
    beside = [folder] if folder is not None else [] if wanted.source.on_hub else wanted.source.folders()
    found = []
    for purpose, name in (("image encoder", wanted.image_encoder), ("background model", wanted.background_model)):
        last = name.rstrip("/").rsplit("/", 1)[-1]
        places = [Path(name).expanduser(), *(near for each in beside for near in (each / last, each.parent / last))]
        here = next((each for each in places if (each / "config.json").is_file()), None)
        cached = None if here is not None or not is_hub_id(name) else cached_file(name, "config.json")
        if here is not None:
            found.append(str(here.absolute()))
        elif cached is not None:
            found.append(str(cached.parent))
        elif wanted.source.download and is_hub_id(name):
            found.append(name)
        else:
            looked = " or ".join(str(each / "config.json") for each in places[1:] or places)
            raise AdapterUnavailable(
                f"the {purpose} {name} of TRELLIS.2 is missing: there is no {looked}; {wanted.source.hint()}"
            )
    return found[0], found[1]


@contextlib.contextmanager
def linked(wanted: Wanted) -> Iterator[Path]:
    """A folder for upstream's `from_pretrained`: the pipeline's description and links to the wanted models' files.
    Gone at exit.

    Raises:
        AdapterUnavailable: something is missing.
    """
    checkpoint = open_checkpoint(wanted.source, wanted.pipeline)
    stems = model_files(checkpoint, wanted.source, wanted.models)
    encoder, background = helpers(wanted, checkpoint.folder)
    given: dict[str, Any] = checkpoint.settings
    try:
        encoding = {**given["image_cond_model"], "args": {**given["image_cond_model"]["args"], "model_name": encoder}}
    except (KeyError, TypeError) as error:
        raise AdapterUnavailable(
            f"{checkpoint.folder / wanted.pipeline} is no pipeline of TRELLIS.2: its image_cond_model has no args;"
            f" {wanted.source.hint()}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="pocket3d-trellis2-") as name:
        folder = Path(name)
        for model, stem in stems.items():
            for suffix in _PARTS:
                (folder / f"{model}{suffix}").symlink_to(Path(f"{stem}{suffix}").absolute())
        settings = {
            **given,
            # A name without a slash: upstream's second try after an error then fails at once instead of asking the hub.
            "models": {model: model for model in stems},
            "image_cond_model": encoding,
            "rembg_model": {"name": "BiRefNet", "args": {"model_name": background}},
            "low_vram": wanted.low_vram,
        }
        (folder / wanted.pipeline).write_text(json.dumps({"args": settings}), encoding="utf-8")
        yield folder
