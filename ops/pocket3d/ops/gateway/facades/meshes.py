"""SGLang's `/v1/meshes`: its requests as plans, our statuses and results as its answers. Pure.

Source: python/sglang/multimodal_gen/runtime/entrypoints/openai/mesh_api.py and protocol.py of sgl-project/sglang
(1023e12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.messages import Result, Status

from ..errors import HttpError, Told
from ..result_files import main_file, why
from . import embedded_files
from .embedded_files import File
from .parameters import Wanted, available, fit
from .plans import Plan, Step

#: Ids of jobs that were made here begin with it, so that the list holds them alone.
ID_PREFIX = "mesh_"
#: What a client gets that names no other: the original's default, which says nothing.
_NO_PROMPT = "generate 3d mesh"
_FORMATS = ("glb", "obj")
_WORDS = {"submitted": "queued", "queued": "queued", "awarded": "queued", "running": "in_progress"}


class MeshRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the creation. Unknown keys are passed over, as by the original."""

    prompt: str = _NO_PROMPT
    input_image: str | None = None
    model: str | None = None
    seed: int | list[int] | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    output_format: str | None = "glb"


def read(data: bytes) -> tuple[MeshRequest, File]:
    """The request and its picture, from JSON.

    Raises:
        WireError: not such a request.
        HttpError: no picture, or one that cannot be taken.
    """
    request = decode(MeshRequest, data)
    if not request.input_image:
        raise HttpError(422, "an input image is required: input_image, in base64 or as a data URI", "input_image")
    return request, embedded_files.image(request.input_image, "input_image")


def read_form(fields: Mapping[str, str]) -> MeshRequest:
    """The request from the texts of a form; its picture is a part of its own.

    Raises:
        WireError: a field is not of its kind.
        HttpError: an address in place of a picture.
    """
    if "url" in fields or "url[]" in fields:
        raise HttpError(400, "addresses are not fetched: send the picture as the part `image`", "url")
    kept = {key: value for key, value in fields.items() if key in MeshRequest.__struct_fields__ and value != ""}
    try:
        return msgspec.convert(kept, MeshRequest, strict=False)
    except msgspec.ValidationError as error:
        raise WireError("body", str(error)) from error


def plan_json(data: bytes, features: FeatureList) -> Plan:
    """The one job of a request in JSON. Errors as `read` and `plan`."""
    return plan(*read(data), features)


def plan(request: MeshRequest, picture: File | dict[str, str], features: FeatureList) -> Plan:
    """The one job of a request. Its picture is the file, or a reference to the upload.

    Raises:
        HttpError: no adapter for it, or several seeds.
    """
    if isinstance(request.seed, list) and len(request.seed) != 1:
        raise HttpError(422, "want one seed: each request makes one mesh", "seed")
    seed = request.seed[0] if isinstance(request.seed, list) else request.seed
    wanted_format = (request.output_format or "glb").lower()
    wanted = [
        Wanted("seed", seed),
        Wanted("num_inference_steps", request.num_inference_steps),
        Wanted("guidance_scale", request.guidance_scale),
        Wanted("negative_prompt", request.negative_prompt),
        Wanted("prompt", None if request.prompt == _NO_PROMPT else request.prompt, ("text_prompt",)),
        Wanted("output_format", wanted_format if wanted_format in _FORMATS else "glb"),
    ]
    adapters = {adapter.adapter_id for adapter in available(features, "image_to_mesh")}
    # The original serves one model and passes over the name; here it chooses among those that there are.
    model = request.model if request.model in adapters else None
    fitted = fit(features, "image_to_mesh", wanted, preference=model)
    ignored = fitted.ignored if model == request.model else (*fitted.ignored, "model")
    return Plan((Step("image_to_mesh", {"image_path": picture, **fitted.inputs}, model),), ignored)


def answer(status: Status, result: Result | None) -> dict[str, Any]:
    """A job as a mesh object. Null fields are those of the original that we do not know."""
    shown: dict[str, Any] = {
        "id": status.job_id,
        "object": "mesh",
        "model": status.adapter_id or "",
        "status": _word(status, result),
        "progress": 0,
        "created_at": _seconds(status.submitted_at or status.at) or 0,
        "format": "glb",
        "url": None,
        "completed_at": None,
        "expires_at": None,
        "error": None,
        "file_path": None,
        "file_size_bytes": None,
        "peak_memory_mb": None,
        "inference_time_s": None,
    }
    if result is None:
        return shown
    if result.timings.finished_at is not None:
        shown["completed_at"] = _seconds(result.timings.finished_at)
    shown["model"] = result.adapter_id or shown["model"]
    if result.status != "succeeded":
        shown["error"] = {"message": why(result), "code": result.error.code if result.error else result.status}
        return shown
    made = main_file(result)
    shown |= {
        "progress": 100,
        "format": PurePosixPath(made.name).suffix[1:].lower(),
        "file_size_bytes": made.size,
        "peak_memory_mb": result.vram_peak_mb,
        "inference_time_s": result.timings.run_s,
    }
    return shown


def _seconds(text: str) -> int | None:
    """A time as the original tells it; None for a text that is none: statuses and results may be anybody's."""
    try:
        return int(parse_rfc3339(text))
    except ValueError:
        return None


def listed(status: Status) -> dict[str, Any]:
    """A job in the list, where its result is not read."""
    shown = answer(status, None)
    if shown["status"] == "completed":
        shown |= {"progress": 100, "completed_at": _seconds(status.at)}
    elif shown["status"] == "failed" and status.error is not None:
        shown["error"] = {"message": status.error.message, "code": status.error.code}
    return shown


def page(found: Sequence[Status], after: str | None, limit: int, *, ascending: bool) -> list[dict[str, Any]]:
    """A page of the list. `found` has the newest first; `after` is the id of the last one of the page before."""
    ordered = list(reversed(found)) if ascending else list(found)
    ids = [each.job_id for each in ordered]
    start = ids.index(after) + 1 if after in ids else 0
    return [listed(each) for each in ordered[start : start + limit]]


def _word(status: Status, result: Result | None) -> str:
    word = result.status if result is not None else status.status
    if word == "succeeded":
        return "completed"
    return _WORDS.get(word, "failed")


def error(told: Told) -> bytes:
    """An error as FastAPI tells it."""
    field = f"{told.field}: " if told.field else ""
    return encode({"detail": f"{field}{told.message}"})
