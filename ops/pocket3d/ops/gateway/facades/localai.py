"""LocalAI's `/3d/generations`: its request as a plan, our result as its answer. Pure.

Source: core/http/endpoints/localai/model3d.go and docs/content/features/3d-generation.md of mudler/LocalAI (4192325).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.codec import decode, encode

from ..errors import HttpError, Told
from . import embedded_files
from .parameters import Wanted, available, fit
from .plans import Plan, Step

#: Says as `model` that any adapter will do.
ANY_MODEL: Final = "auto"
_QUALITIES = ("", "auto", "coarse", "512", "1024")
_BACKGROUNDS = ("", "auto", "keep", "black", "white")
_FORMATS = ("", "url", "b64_json")


class Model3DRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `/3d/generations`. A number that is 0 and a text that is empty were not given, as in the original."""

    model: str = ""
    image: str = ""
    images: list[str] = []
    seed: int = 0
    step: int = 0
    cfg_scale: float = 0
    texture_steps: int = 0
    quality: str = ""
    background: str = ""
    response_format: str = ""
    params: dict[str, str] = {}


def _read(data: bytes) -> Model3DRequest:
    """The request, judged as the original does."""
    request = decode(Model3DRequest, data)
    if not request.model:
        raise HttpError(400, f"model is required: an adapter's id, or {ANY_MODEL}", "model")
    if request.images:
        raise HttpError(400, "several views are not supported here: send one image", "images")
    if not request.image:
        raise HttpError(400, "image is required: 3D generation is image-conditioned", "image")
    for field, known in (("quality", _QUALITIES), ("background", _BACKGROUNDS), ("response_format", _FORMATS)):
        value = getattr(request, field)
        if value not in known:
            raise HttpError(400, f"invalid {field} {value[:80]!r}: must be one of {', '.join(known[1:])}", field)
    if request.params.get("components", "all") != "all":
        raise HttpError(400, "components other than `all` are not supported here", "params.components")
    other = sorted(set(request.params) - {"texture_size", "components"})
    if other:
        raise HttpError(400, f"{', '.join(other)[:200]}: not supported here", "params")
    return request


def plan(data: bytes, features: FeatureList) -> Plan:
    """The one job of a request.

    Raises:
        WireError: not such a request.
        HttpError: a value that the original refuses too, or that cannot be kept here; a picture that cannot be taken,
            a model that is not there, no adapter.
    """
    request = _read(data)
    picture = embedded_files.image(request.image, "image")
    model = None if request.model == ANY_MODEL else request.model
    size = request.params.get("texture_size")
    if size is not None and not (size.isascii() and size.isdecimal() and len(size) < 6):
        raise HttpError(400, "want a number of pixels", "params.texture_size")
    wanted = [
        Wanted("seed", request.seed or None),
        # What TRELLIS.2 calls the steps of its shape and of its material.
        Wanted("step", request.step or None, ("num_inference_steps", "shape_slat_steps", "slat_steps", "steps")),
        Wanted("cfg_scale", request.cfg_scale or None, ("guidance_scale", "shape_slat_guidance", "slat_cfg_strength")),
        Wanted("texture_steps", request.texture_steps or None, ("tex_slat_steps",)),
        Wanted("params.texture_size", int(size) if size is not None else None, ("texture_resolution",)),
        # `keep` takes the picture's own alpha; the other words tell the backend how to find the background.
        Wanted("background", False if request.background == "keep" else None, ("preprocess_image",)),
        Wanted("output_format", "glb"),
    ]
    fitted = fit(features, "image_to_mesh", wanted, preference=model)
    ignored = [name for name in fitted.ignored if name != "output_format"]
    if request.background in ("black", "white"):
        ignored.append("background")
    variant = _variant(features, model, request.quality)
    if request.quality in ("coarse", "512", "1024") and variant is None:
        ignored.append("quality")
    step = Step("image_to_mesh", {"image_path": picture, **fitted.inputs}, model, variant)
    return Plan((step,), tuple(ignored), request.response_format == "b64_json")


def _variant(features: FeatureList, model: str | None, quality: str) -> str | None:
    """The quality, where the adapters have a size of that name."""
    adapters = [each for each in available(features, "image_to_mesh") if model in (None, each.adapter_id)]
    known = {variant.name for adapter in adapters for variant in adapter.variants}
    return quality if quality in known else None


def answer(uid: str, created: int, url: str) -> dict[str, Any]:
    """The answer with an address."""
    return {"created": created, "id": uid, "data": [{"url": url}]}


def around_base64(uid: str, created: int) -> tuple[bytes, bytes]:
    """What stands around the base64 of the file in the other answer."""
    head = encode({"created": created, "id": uid})[:-1]
    return head + b',"data":[{"b64_json":"', b'"}]}'


def error(told: Told) -> bytes:
    """An error in the shape that LocalAI has from OpenAI."""
    field = f"{told.field}: " if told.field else ""
    return encode({"error": {"code": told.code, "message": f"{field}{told.message}", "type": ""}})
