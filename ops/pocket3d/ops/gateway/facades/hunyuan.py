"""The API of Hunyuan3D's api_server: its requests as plans, our results as its answers. Pure.

Source: api_server.py and blender_addon.py of Tencent-Hunyuan/Hunyuan3D-2 (9cc41a3, 1485e22), api_models.py of
Hunyuan3D-2.1, addon.py of ahujasid/blender-mcp.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.codec import decode, encode

from ..errors import HttpError, Told
from . import embedded_files
from .embedded_files import File
from .parameters import Wanted, fit
from .plans import EARLIER, Plan, Step

#: Key of a picture -> the side that it shows.
_SIDES = {
    "image": "front",
    "image_front": "front",
    "image_left": "left",
    "image_back": "back",
    "image_right": "right",
}


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `/generate` and `/send`. Other keys are passed over, as by the original."""

    image: str | None = None
    image_front: str | None = None
    image_left: str | None = None
    image_back: str | None = None
    image_right: str | None = None
    text: str | None = None
    #: A GLB, to be textured.
    mesh: str | None = None
    texture: bool = False
    seed: int | None = None
    octree_resolution: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    num_chunks: int | None = None
    #: Most faces of what is textured.
    face_count: int | None = None
    type: str = "glb"


def plan(data: bytes, features: FeatureList) -> Plan:
    """The jobs of a request.

    A shape is one job. `texture` makes it two: the shape, then its texture; with `mesh` only the texture.

    Args:
        data: the JSON of the request.
        features: of the fleet.

    Raises:
        WireError: not such a request.
        HttpError: a file is too large or none, nothing to make it from, or no adapter for it.
    """
    request = decode(GenerationRequest, data)
    pictures = _pictures(request)
    if not pictures and not (request.text or "").strip():
        raise HttpError(400, "no input: want image (base64) or text", "image")
    if request.mesh is None:
        shape, ignored = _shape(request, pictures, features)
        if not request.texture:
            return Plan((shape,), ignored)
        texture, more = _texture(request, pictures, features, EARLIER)
        # What one of the two takes is not ignored.
        return Plan((shape, texture), tuple(name for name in ignored if name in more))
    if not request.texture:
        raise HttpError(400, "a mesh is sent to be textured: want texture true", "texture")
    texture, ignored = _texture(request, pictures, features, embedded_files.mesh(request.mesh, "mesh"))
    return Plan((texture,), ignored)


def _pictures(request: GenerationRequest) -> dict[str, File]:
    """By side, the front first."""
    found: dict[str, File] = {}
    for key, side in _SIDES.items():
        text = getattr(request, key)
        if text:
            found[side] = embedded_files.image(text, key)
    return found


def _shape(
    request: GenerationRequest, pictures: dict[str, File], features: FeatureList
) -> tuple[Step, tuple[str, ...]]:
    wanted = [
        Wanted("seed", request.seed),
        Wanted("octree_resolution", request.octree_resolution),
        Wanted("num_inference_steps", request.num_inference_steps),
        Wanted("guidance_scale", request.guidance_scale),
        Wanted("num_chunks", request.num_chunks),
        Wanted("face_count", request.face_count, ("max_faces",)),
        # The texture is another job, of an adapter that does nothing else.
        Wanted("texture", False),
        Wanted("type", "glb" if request.texture else request.type, ("output_format",)),
    ]
    inputs: dict[str, Any]
    if not pictures:
        feature, inputs, needed = "text_to_mesh", {"text_prompt": request.text}, ""
    elif list(pictures) == ["front"]:
        feature, inputs, needed = "image_to_mesh", {"image_path": pictures["front"]}, ""
    else:
        feature, inputs = "image_to_mesh", {"image_paths": list(pictures.values()), "views": list(pictures)}
        needed = "views"
    fitted = fit(features, feature, wanted, needed=needed)
    return Step(feature, {**inputs, **fitted.inputs}), _told(fitted.ignored)


def _texture(
    request: GenerationRequest, pictures: dict[str, File], features: FeatureList, mesh: object
) -> tuple[Step, tuple[str, ...]]:
    wanted = [
        Wanted("seed", request.seed),
        Wanted("octree_resolution", request.octree_resolution),
        Wanted("num_inference_steps", request.num_inference_steps),
        Wanted("guidance_scale", request.guidance_scale),
        Wanted("num_chunks", request.num_chunks),
        Wanted("face_count", request.face_count, ("max_faces",)),
        Wanted("type", request.type, ("output_format",)),
    ]
    inputs: dict[str, Any] = {"mesh_path": mesh}
    feature = "image_to_texture" if pictures else "text_to_texture"
    if not pictures:
        inputs["text_prompt"] = request.text
    elif len(pictures) == 1:
        inputs["image_path"] = next(iter(pictures.values()))
    else:
        inputs["image_paths"] = list(pictures.values())
    fitted = fit(features, feature, wanted)
    return Step(feature, {**inputs, **fitted.inputs}), _told(fitted.ignored)


def _told(ignored: tuple[str, ...]) -> tuple[str, ...]:
    """Without what the client did not ask for, or gets anyway."""
    return tuple(name for name in ignored if name not in ("texture", "type"))


def sent(uid: str) -> bytes:
    """The answer of `/send`."""
    return encode({"uid": uid})


def processing() -> bytes:
    """The answer of `/status/{uid}` while the job has no result."""
    return encode({"status": "processing"})


#: What stands around the base64 of the file in the answer of `/status/{uid}` for a job that succeeded.
COMPLETED = (b'{"status":"completed","model_base64":"', b'"}')


def failed(reason: str) -> bytes:
    """The answer of `/status/{uid}` for a job that did not succeed, in the words of version 2.1. The first version
    says `processing` for ever.
    """
    return encode({"status": "error", "message": reason})


def error(told: Told) -> bytes:
    """An error in the original's shape, but with the reason as its text; add-ons show it."""
    field = f"{told.field}: " if told.field else ""
    return encode({"text": f"{field}{told.message}", "error_code": 1})
