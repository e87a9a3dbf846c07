"""3DAIGC-API's requests as jobs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.contracts.features import is_built_in
from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.facades import aigc
from pocket3d.ops.gateway.facades.embedded_files import File
from pocket3d.ops.gateway.facades.plans import EARLIER, Plan, Step
from support.facade_fleet import CLASSICAL, GLB, GLB_64, PNG, PNG_64, adapter, fleet

GENERATE = "mesh-generation"


def plan(path: str, body: dict[str, Any], known: Any = CLASSICAL) -> Plan:
    return aigc.plan(aigc.ENDPOINTS[path], msgspec.json.encode(body), known)


def test_every_endpoint_is_a_feature_of_ours() -> None:
    assert all(is_built_in(endpoint.feature) for endpoint in aigc.ENDPOINTS.values())


def test_a_text_keeps_the_clients_name_of_its_feature() -> None:
    made = plan(
        f"{GENERATE}/text-to-raw-mesh", {"text_prompt": "a chair", "output_format": "glb", "model_parameters": {}}
    )
    inputs = {"text_prompt": "a chair", "output_format": "glb"}
    assert made.steps == (Step("text_to_raw_mesh", inputs),)


def test_an_upload_is_named_by_its_id() -> None:
    body = {"image_file_id": "sha256-ab", "texture_resolution": 1024, "model_preference": "silhouette-image-to-mesh"}
    (step,) = plan(f"{GENERATE}/image-to-textured-mesh", body).steps
    assert step.inputs == {"image_path": {"artifact": "sha256-ab"}, "texture_resolution": 1024}
    assert step.model_preference == "silhouette-image-to-mesh"


def test_a_textured_mesh_is_asked_of_an_adapter_that_can() -> None:
    raw = adapter("raw", {"image_path": {}, "texture": {"enum": [False]}})
    textured = adapter("textured", {"image_path": {}, "texture": {}})
    known, body = fleet(image_to_mesh=[raw, textured]), {"image_file_id": "sha256-ab"}
    assert plan(f"{GENERATE}/image-to-textured-mesh", body, known).steps[0].inputs["texture"] is True
    assert plan(f"{GENERATE}/image-to-raw-mesh", body, known).steps[0].inputs["texture"] is False


def test_a_picture_of_its_own_is_painted_by_a_second_job() -> None:
    body = {"image_base64": PNG_64, "texture_image_file_id": "sha256-ab", "output_format": "obj"}
    made = plan(f"{GENERATE}/image-to-textured-mesh", body)
    assert made.steps == (
        Step("image_to_textured_mesh", {"image_path": File(PNG, "image_base64.png"), "output_format": "glb"}),
        Step(
            "image_mesh_painting",
            {"mesh_path": EARLIER, "image_path": {"artifact": "sha256-ab"}, "output_format": "obj"},
        ),
    )


def test_painting_takes_mesh_and_picture() -> None:
    body = {"mesh_base64": GLB_64, "image_file_id": "sha256-ab"}
    (step,) = plan(f"{GENERATE}/image-mesh-painting", body).steps
    assert step.inputs == {"mesh_path": File(GLB, "mesh_base64.glb"), "image_path": {"artifact": "sha256-ab"}}


def test_vertices_become_faces() -> None:
    body = {"mesh_file_id": "sha256-ab", "target_vertex_count": 1000}
    path = "mesh-retopology/retopologize-mesh"
    quads = plan(path, {**body, "poly_type": "quad"})
    assert quads.steps[0].inputs == {"mesh_path": {"artifact": "sha256-ab"}, "target_faces": 1000, "polygons": "quads"}
    assert quads.ignored == ()
    assert plan(path, {**body, "poly_type": "tri"}).steps[0].inputs["target_faces"] == 2000


def test_what_no_adapter_takes_is_told() -> None:
    body = {"mesh_file_id": "sha256-ab", "rig_mode": "full", "output_format": "glb", "model_parameters": {"beams": 3}}
    made = plan("auto-rigging/generate-rig", body)
    assert made.steps[0].inputs == {"mesh_path": {"artifact": "sha256-ab"}, "output_format": "glb"}
    assert made.ignored == ("rig_mode", "beams")


def test_a_models_own_parameters_go_along() -> None:
    body = {"mesh_file_id": "sha256-ab", "model_parameters": {"bone_count": 12}}
    assert plan("auto-rigging/generate-rig", body).steps[0].inputs["bone_count"] == 12


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("text-to-raw-mesh", {"text_prompt": " "}, "text_prompt"),
        ("image-to-raw-mesh", {}, "image_file_id"),
        ("image-to-raw-mesh", {"image_file_id": "sha256-ab", "image_base64": PNG_64}, "image_file_id"),
        ("image-to-raw-mesh", {"image_path": "/etc/passwd"}, "image_path"),
        ("image-to-raw-mesh", {"image_base64": "/etc/passwd"}, "image_base64"),
        ("image-to-raw-mesh", {"image_file_id": "sha256-ab", "model_preference": "trellis"}, "model"),
        (
            "image-to-raw-mesh",
            {"image_file_id": "sha256-ab", "model_parameters": {"image_path": "/etc/passwd"}},
            "model_parameters.image_path",
        ),
        ("text-mesh-painting", {"text_prompt": "rust", "mesh_path": "/etc/passwd"}, "mesh_path"),
    ],
)
def test_what_cannot_be_made_names_its_field(path: str, body: dict[str, Any], field: str) -> None:
    with pytest.raises(HttpError) as caught:
        plan(f"{GENERATE}/{path}", body)
    assert (caught.value.code, caught.value.field) == (400, field)


def test_a_texture_of_its_own_has_the_resolution_and_the_shape_has_none() -> None:
    shape = adapter("shape", {"image_path": {}, "texture_resolution": {}, "texture": {}})
    paint = adapter("paint", {"mesh_path": {}, "image_path": {}, "texture_resolution": {}})
    body = {"image_base64": PNG_64, "texture_image_base64": PNG_64, "texture_resolution": 512}
    first, second = plan(
        f"{GENERATE}/image-to-textured-mesh", body, fleet(image_to_mesh=shape, image_to_texture=paint)
    ).steps
    assert "texture_resolution" not in first.inputs and first.inputs["texture"] is False, "it is painted over"
    assert second.inputs["texture_resolution"] == 512
    assert second.inputs["image_path"] == File(PNG, "texture_image_base64.png")


def test_a_path_on_the_server_is_no_texture_either() -> None:
    with pytest.raises(HttpError) as caught:
        plan(f"{GENERATE}/image-to-textured-mesh", {"image_base64": PNG_64, "texture_image_path": "/etc/passwd"})
    assert (caught.value.code, caught.value.field) == (400, "texture_image_path")


def test_a_picture_for_the_texture_of_a_mesh_without_one_makes_no_second_job() -> None:
    body = {"image_base64": PNG_64, "texture_image_file_id": "sha256-ab"}
    assert len(plan(f"{GENERATE}/image-to-raw-mesh", body).steps) == 1


def test_texts_that_are_empty_were_not_given() -> None:
    paint = adapter("paint", {"image_path": {}, "texture": {}, "texture_text_prompt": {}})
    body = {"image_file_id": "sha256-ab", "model_preference": "", "texture_prompt": ""}
    (step,) = plan(f"{GENERATE}/image-to-textured-mesh", body, fleet(image_to_mesh=paint)).steps
    assert step.model_preference is None and "texture_text_prompt" not in step.inputs
    (step,) = plan(
        f"{GENERATE}/image-to-textured-mesh", {**body, "texture_prompt": "rust"}, fleet(image_to_mesh=paint)
    ).steps
    assert step.inputs["texture_text_prompt"] == "rust"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"poly_type": "mixed"}, {"polygons": "mixed"}),
        ({"target_vertex_count": 7}, {"target_faces": 14}),
        ({"target_vertex_count": 7, "poly_type": "mixed"}, {"target_faces": 14, "polygons": "mixed"}),
    ],
)
def test_only_of_quadrilaterals_there_are_as_many_as_vertices(given: dict[str, Any], sent: dict[str, Any]) -> None:
    """A word that nobody knows is sent all the same, so that the refusal names it."""
    (step,) = plan("mesh-retopology/retopologize-mesh", {"mesh_file_id": "sha256-ab", **given}).steps
    assert step.inputs == {"mesh_path": {"artifact": "sha256-ab"}, **sent}


def test_the_prompt_is_no_parameter_of_a_model() -> None:
    body = {"text_prompt": "a chair", "model_parameters": {"text_prompt": "a table"}}
    with pytest.raises(HttpError) as caught:
        plan(f"{GENERATE}/text-to-raw-mesh", body)
    assert (caught.value.code, caught.value.field) == (400, "model_parameters.text_prompt")
