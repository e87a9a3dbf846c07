"""Hunyuan3D's api_server: from the add-ons' requests to jobs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.contracts.codec import WireError
from pocket3d.ops.gateway.errors import HttpError, Told
from pocket3d.ops.gateway.facades import hunyuan
from pocket3d.ops.gateway.facades.embedded_files import File
from pocket3d.ops.gateway.facades.plans import EARLIER, Plan, Step
from support.facade_fleet import (
    CLASSICAL,
    GLB,
    GLB_64,
    HUNYUAN,
    MULTI_VIEW,
    PAINT_IMAGE,
    PNG,
    PNG_64,
    SILHOUETTE,
    adapter,
    fleet,
)

PICTURE = File(PNG, "image.png")
#: What Hunyuan's own Blender add-on sends beside its files.
ADD_ON = {"octree_resolution": 256, "num_inference_steps": 20, "guidance_scale": 5.5, "texture": False}
IGNORED = ("octree_resolution", "num_inference_steps", "guidance_scale")


def plan(body: dict[str, Any], known: Any = CLASSICAL) -> Plan:
    return hunyuan.plan(msgspec.json.encode(body), known)


def test_the_add_ons_picture_is_one_job() -> None:
    made = plan({"image": PNG_64, **ADD_ON})
    assert made == Plan((Step("image_to_mesh", {"image_path": PICTURE, "output_format": "glb"}),), IGNORED)


def test_a_fleet_with_hunyuan_gets_all_of_it() -> None:
    made = plan({"image": PNG_64, "face_count": 1000, **ADD_ON}, fleet(image_to_mesh=[SILHOUETTE, HUNYUAN]))
    (step,) = made.steps
    assert made.ignored == ()
    assert step.inputs == {
        "image_path": PICTURE,
        "octree_resolution": 256,
        "num_inference_steps": 20,
        "guidance_scale": 5.5,
        "max_faces": 1000,
        "texture": False,
        "output_format": "glb",
    }


def test_a_text_is_a_job_of_another_feature() -> None:
    made = plan({"text": "a red chair", "seed": 5, "type": "obj", **ADD_ON})
    assert made.steps == (Step("text_to_mesh", {"text_prompt": "a red chair", "seed": 5, "output_format": "obj"}),)


def test_a_picture_goes_before_a_text() -> None:
    assert plan({"text": "a red chair", "image": PNG_64}).steps[0].feature == "image_to_mesh"


def test_texture_is_a_second_job_on_the_first_ones_mesh() -> None:
    made = plan({"image": PNG_64, **ADD_ON, "texture": True, "type": "obj", "seed": 3})
    assert made.steps == (
        Step("image_to_mesh", {"image_path": PICTURE, "seed": 3, "output_format": "glb"}),
        Step("image_to_texture", {"mesh_path": EARLIER, "image_path": PICTURE, "output_format": "obj"}),
    )
    assert made.ignored == IGNORED, "the seed is not ignored: one of the two takes it"


def test_a_text_is_textured_by_its_words() -> None:
    made = plan({"text": "a red chair", "texture": True})
    assert [step.feature for step in made.steps] == ["text_to_mesh", "text_to_texture"]
    assert made.steps[1].inputs == {"mesh_path": EARLIER, "text_prompt": "a red chair", "output_format": "glb"}


def test_a_selected_mesh_is_textured_alone() -> None:
    with_picture = plan({"mesh": GLB_64, "image": PNG_64, **ADD_ON, "texture": True})
    assert with_picture.steps == (
        Step("image_to_texture", {"mesh_path": File(GLB, "mesh.glb"), "image_path": PICTURE, "output_format": "glb"}),
    )
    assert plan({"mesh": GLB_64, "text": "rust", "texture": True}).steps[0].feature == "text_to_texture"


def test_several_sides_go_to_an_adapter_that_tells_them_apart() -> None:
    sides = {"image": PNG_64, "image_left": PNG_64, "image_back": PNG_64}
    (step,) = plan(sides, fleet(image_to_mesh=[HUNYUAN, MULTI_VIEW])).steps
    assert step.inputs["views"] == ["front", "left", "back"]
    assert [file.filename for file in step.inputs["image_paths"]] == ["image.png", "image_left.png", "image_back.png"]
    with pytest.raises(HttpError, match="takes views"):
        plan(sides)
    painted = plan({**sides, "mesh": GLB_64, "texture": True}, fleet(image_to_texture=PAINT_IMAGE))
    assert len(painted.steps[0].inputs["image_paths"]) == 3


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ({}, 400, "no input"),
        ({"text": "  "}, 400, "no input"),
        ({"image": "https://example.com/a.png"}, 400, "addresses"),
        ({"image": PNG_64, "mesh": GLB_64}, 400, "texture true"),
        ({"image": PNG_64, "mesh": PNG_64, "texture": True}, 400, "no mesh"),
    ],
)
def test_what_cannot_be_made_is_refused(body: dict[str, Any], code: int, why: str) -> None:
    with pytest.raises(HttpError, match=why) as caught:
        plan(body)
    assert caught.value.code == code


def test_without_an_adapter_for_textures_none_is_promised() -> None:
    with pytest.raises(HttpError, match="no adapter for image_to_texture"):
        plan({"image": PNG_64, "texture": True}, fleet(image_to_mesh=SILHOUETTE))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"seed": "x"}', b'{"image": 5}'])
def test_what_is_no_request_names_its_field(body: bytes) -> None:
    with pytest.raises(WireError):
        hunyuan.plan(body, CLASSICAL)


def test_errors_are_in_the_originals_shape() -> None:
    assert msgspec.json.decode(hunyuan.error(Told(400, "no input", "image", {}))) == {
        "text": "image: no input",
        "error_code": 1,
    }


def test_one_picture_that_is_not_of_the_front_needs_an_adapter_that_knows_sides() -> None:
    known = fleet(image_to_mesh=[HUNYUAN, MULTI_VIEW])
    (step,) = plan({"image_left": PNG_64}, known).steps
    assert step.inputs["views"] == ["left"]
    (step,) = plan({"image_front": PNG_64}, known).steps
    assert step.inputs["image_path"] == File(PNG, "image_front.png") and "views" not in step.inputs


def test_the_formats_of_the_original_and_the_texture_are_never_told_as_ignored() -> None:
    knows_nothing = fleet(image_to_mesh=adapter("a", {}), image_to_texture=adapter("b", {}))
    assert plan({"image": PNG_64, "type": "obj"}, knows_nothing).ignored == ()
    assert plan({"image": PNG_64, "texture": True, "seed": 1}, knows_nothing).ignored == ("seed",)


def test_only_a_mesh_that_is_to_be_textured_is_taken_with_a_picture_or_a_text() -> None:
    with pytest.raises(HttpError) as caught:
        plan({"mesh": GLB_64, "texture": True})
    assert (caught.value.code, caught.value.field) == (400, "image")
    with pytest.raises(HttpError) as caught:
        plan({"mesh": GLB_64, "text": "rust"})
    assert (caught.value.code, caught.value.field) == (400, "texture")


def test_answers_have_the_originals_words() -> None:
    assert msgspec.json.decode(hunyuan.sent("u")) == {"uid": "u"}
    assert msgspec.json.decode(hunyuan.processing()) == {"status": "processing"}
    assert msgspec.json.decode(hunyuan.failed("no room")) == {"status": "error", "message": "no room"}
    head, tail = hunyuan.COMPLETED
    assert msgspec.json.decode(head + b"eA==" + tail) == {"status": "completed", "model_base64": "eA=="}
    assert msgspec.json.decode(hunyuan.error(Told(503, "no adapter", None, {})))["text"] == "no adapter"
