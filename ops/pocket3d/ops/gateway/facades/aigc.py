"""3DAIGC-API's `/api/v1`: its requests as plans. Pure.

Source: api/routers of FishWoWater/3DAIGC-API (8f51ce8), src/api/client.ts and src/types/api.ts of its client
FishWoWater/Open3DStudio.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.codec import decode
from pocket3d.contracts.jobs import is_file_key

from ..errors import HttpError
from . import embedded_files
from .embedded_files import File
from .parameters import Wanted, fit
from .plans import EARLIER, Plan, Step


class Endpoint(NamedTuple):
    """What one path of a job asks for."""

    #: As clients know it; most are other names of ours.
    feature: str
    text: bool = False
    image: bool = False
    mesh: bool = False


#: Path behind `/api/v1/` -> what it asks for.
ENDPOINTS = {
    "mesh-generation/text-to-raw-mesh": Endpoint("text_to_raw_mesh", text=True),
    "mesh-generation/text-to-textured-mesh": Endpoint("text_to_textured_mesh", text=True),
    "mesh-generation/image-to-raw-mesh": Endpoint("image_to_raw_mesh", image=True),
    "mesh-generation/image-to-textured-mesh": Endpoint("image_to_textured_mesh", image=True),
    "mesh-generation/text-mesh-painting": Endpoint("text_mesh_painting", text=True, mesh=True),
    "mesh-generation/image-mesh-painting": Endpoint("image_mesh_painting", image=True, mesh=True),
    "mesh-generation/part-completion": Endpoint("part_completion", mesh=True),
    "mesh-segmentation/segment-mesh": Endpoint("mesh_segmentation", mesh=True),
    "auto-rigging/generate-rig": Endpoint("auto_rig", mesh=True),
    "mesh-retopology/retopologize-mesh": Endpoint("mesh_retopology", mesh=True),
    "mesh-uv-unwrapping/unwrap-mesh": Endpoint("uv_unwrapping", mesh=True),
}


class AigcRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of all endpoints; each looks at its own fields. Others are passed over, as by the original."""

    text_prompt: str | None = None
    texture_prompt: str | None = None
    image_path: str | None = None
    image_base64: str | None = None
    image_file_id: str | None = None
    texture_image_path: str | None = None
    texture_image_base64: str | None = None
    texture_image_file_id: str | None = None
    mesh_path: str | None = None
    mesh_base64: str | None = None
    mesh_file_id: str | None = None
    texture_resolution: int | None = None
    num_parts: int | None = None
    rig_mode: str | None = None
    target_vertex_count: int | None = None
    poly_type: str | None = None
    seed: int | None = None
    distortion_threshold: float | None = None
    pack_method: str | None = None
    save_individual_parts: bool | None = None
    save_visuals: bool | None = None
    output_format: str | None = None
    model_preference: str | None = None
    model_parameters: dict[str, Any] | None = None


def plan(endpoint: Endpoint, data: bytes, features: FeatureList) -> Plan:
    """The jobs of a request: one, and one more where a picture of its own is the texture.

    Raises:
        WireError: not such a request.
        HttpError: a file is missing, none or too large, a parameter would replace one, no adapter.
    """
    request = decode(AigcRequest, data)
    inputs: dict[str, Any] = {}
    if endpoint.text:
        if not (request.text_prompt or "").strip():
            raise HttpError(400, "text_prompt is required and cannot be empty", "text_prompt")
        inputs["text_prompt"] = request.text_prompt
    if endpoint.image:
        inputs["image_path"] = _file(request, "image")
    if endpoint.mesh:
        inputs["mesh_path"] = _file(request, "mesh")
    painted = endpoint.feature == "image_to_textured_mesh" and any(
        getattr(request, f"texture_image_{form}") for form in ("path", "base64", "file_id")
    )
    preference = request.model_preference or None
    fitted = fit(features, endpoint.feature, _wanted(endpoint, request, painted), preference)
    step = Step(endpoint.feature, {**inputs, **fitted.inputs}, preference)
    if not painted:
        return Plan((step,), fitted.ignored)
    wanted = [Wanted("texture_resolution", request.texture_resolution), _format(request)]
    texture = fit(features, "image_mesh_painting", wanted)
    with_picture = {"mesh_path": EARLIER, "image_path": _file(request, "texture_image"), **texture.inputs}
    return Plan((step, Step("image_mesh_painting", with_picture)), fitted.ignored)


def _wanted(endpoint: Endpoint, request: AigcRequest, painted: bool) -> list[Wanted]:
    textured: bool | None = None
    if endpoint.feature.endswith("_textured_mesh"):
        textured = not painted
    elif endpoint.feature.endswith("_raw_mesh"):
        textured = False
    vertices = request.target_vertex_count
    quads = request.poly_type == "quad"
    polygons = {"quad": "quads", "tri": "triangles"}.get(request.poly_type or "", request.poly_type)
    wanted = [
        Wanted("texture", textured),
        Wanted("texture_prompt", request.texture_prompt or None, ("texture_text_prompt",)),
        Wanted("texture_resolution", None if painted else request.texture_resolution),
        Wanted("num_parts", request.num_parts),
        Wanted("rig_mode", request.rig_mode),
        Wanted("target_vertex_count", vertices),
        # A closed surface has as many quadrilaterals as vertices, and twice as many triangles (Euler).
        Wanted("target_vertex_count", vertices and (vertices if quads else 2 * vertices), ("target_faces",)),
        Wanted("poly_type", request.poly_type),
        Wanted("poly_type", polygons, ("polygons",)),
        Wanted("seed", request.seed),
        Wanted("distortion_threshold", request.distortion_threshold),
        Wanted("pack_method", request.pack_method),
        Wanted("save_individual_parts", request.save_individual_parts),
        Wanted("save_visuals", request.save_visuals),
        Wanted("output_format", "glb") if painted else _format(request),
    ]
    for key, value in (request.model_parameters or {}).items():
        if is_file_key(key) or key == "text_prompt":
            raise HttpError(400, "a parameter of a model is neither a file nor the prompt", f"model_parameters.{key}")
        wanted.append(Wanted(key, value))
    return wanted


def _format(request: AigcRequest) -> Wanted:
    return Wanted("output_format", request.output_format)


def _file(request: AigcRequest, kind: str) -> File | dict[str, str]:
    """The one file of a kind: an upload's id, or base64."""
    path, inside, file_id = (getattr(request, f"{kind}_{form}") for form in ("path", "base64", "file_id"))
    if path:
        raise HttpError(
            400, f"paths on the server are not opened: upload the file and send {kind}_file_id", f"{kind}_path"
        )
    if bool(inside) == bool(file_id):
        raise HttpError(400, f"want one of {kind}_file_id and {kind}_base64", f"{kind}_file_id")
    if file_id:
        return {"artifact": file_id}
    decode_file = embedded_files.mesh if kind == "mesh" else embedded_files.image
    return decode_file(inside, f"{kind}_base64")
