"""LocalAI's `/3d/generations`: from its requests to jobs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.ops.gateway.errors import HttpError, Told
from pocket3d.ops.gateway.facades import localai
from pocket3d.ops.gateway.facades.embedded_files import File
from pocket3d.ops.gateway.facades.plans import Plan, Step
from support.facade_fleet import CLASSICAL, HUNYUAN, PNG, PNG_64, SILHOUETTE, SIZED, adapter, fleet

PICTURE = File(PNG, "image.png")
BASE = {"model": "auto", "image": PNG_64}


def plan(body: dict[str, Any], known: Any = CLASSICAL) -> Plan:
    return localai.plan(msgspec.json.encode(body), known)


def test_the_documented_request_is_one_job() -> None:
    made = plan({"model": "silhouette-image-to-mesh", "image": PNG_64, "quality": "512"})
    inputs = {"image_path": PICTURE, "output_format": "glb"}
    assert made == Plan((Step("image_to_mesh", inputs, "silhouette-image-to-mesh"),), ("quality",))


def test_the_file_inside_the_answer_is_asked_for() -> None:
    assert plan({**BASE, "response_format": "b64_json"}).file_inside
    assert not plan({**BASE, "response_format": "url"}).file_inside


def test_a_quality_is_a_variant_where_there_is_one() -> None:
    known = fleet(image_to_mesh=[SILHOUETTE, SIZED])
    assert plan({**BASE, "quality": "1024"}, known).steps[0].variant == "1024"
    assert plan({**BASE, "quality": "auto"}, known).steps[0].variant is None
    coarse = plan({**BASE, "quality": "coarse"}, known)
    assert (coarse.steps[0].variant, coarse.ignored) == (None, ("quality",))


def test_sampling_goes_under_the_adapters_own_names() -> None:
    sampling = {"step": 30, "cfg_scale": 6.5, "seed": 9}
    hunyuan = plan({**BASE, **sampling}, fleet(image_to_mesh=HUNYUAN))
    assert hunyuan.steps[0].inputs == {
        "image_path": PICTURE,
        "num_inference_steps": 30,
        "guidance_scale": 6.5,
        "seed": 9,
        "output_format": "glb",
    }
    trellis2 = adapter(
        "t2", {"shape_slat_steps": {}, "tex_slat_steps": {}, "texture_resolution": {}, "preprocess_image": {}}
    )
    body = {**BASE, "step": 5, "texture_steps": 6, "background": "keep", "params": {"texture_size": "2048"}}
    assert plan(body, fleet(image_to_mesh=trellis2)).steps[0].inputs == {
        "image_path": PICTURE,
        "shape_slat_steps": 5,
        "tex_slat_steps": 6,
        "texture_resolution": 2048,
        "preprocess_image": False,
    }


def test_zero_is_not_given() -> None:
    assert plan({**BASE, "seed": 0, "step": 0, "cfg_scale": 0}).steps[0].inputs == {
        "image_path": PICTURE,
        "output_format": "glb",
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": ""}, "model is required"),
        ({"model": "trellis2-4b"}, "available: silhouette-image-to-mesh"),
        ({"image": ""}, "image is required"),
        ({"image": "https://example.com/a.png"}, "addresses are not fetched"),
        ({"images": [PNG_64]}, "several views"),
        ({"quality": "best"}, "invalid quality"),
        ({"background": "green"}, "invalid background"),
        ({"response_format": "glb"}, "invalid response_format"),
        ({"params": {"print_remesh": "true"}}, "print_remesh"),
        ({"params": {"components": "largest"}}, "components"),
        ({"params": {"texture_size": "big"}}, "pixels"),
    ],
)
def test_what_cannot_be_kept_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(HttpError, match=why) as caught:
        plan({**BASE, **change})
    assert caught.value.code == 400


def test_answers_have_the_originals_shape() -> None:
    assert localai.answer("u", 5, "http://h/generated-3d/u.glb") == {
        "created": 5,
        "id": "u",
        "data": [{"url": "http://h/generated-3d/u.glb"}],
    }
    head, tail = localai.around_base64("u", 5)
    assert msgspec.json.decode(head + b"eA==" + tail) == {"created": 5, "id": "u", "data": [{"b64_json": "eA=="}]}
    assert msgspec.json.decode(localai.error(Told(400, "no", "model", {}))) == {
        "error": {"code": 400, "message": "model: no", "type": ""}
    }


@pytest.mark.parametrize(
    ("background", "ignored"),
    [("", ()), ("auto", ()), ("keep", ("background",)), ("black", ("background",)), ("white", ("background",))],
)
def test_a_background_that_nothing_comes_of_is_told(background: str, ignored: tuple[str, ...]) -> None:
    """An adapter that cuts the background out by itself knows no parameter for it."""
    assert plan({**BASE, "background": background}).ignored == ignored


@pytest.mark.parametrize(
    ("size", "taken"), [("1", True), ("99999", True), ("100000", False), ("", False), ("-1", False)]
)
def test_a_texture_has_a_size_of_one_to_five_digits(size: str, taken: bool) -> None:
    body = {**BASE, "params": {"texture_size": size}}
    if taken:
        assert plan(body).steps[0].inputs["texture_resolution"] == int(size)
        return
    with pytest.raises(HttpError, match="pixels") as caught:
        plan(body)
    assert caught.value.field == "params.texture_size"


def test_digits_of_other_scripts_are_no_size() -> None:
    for size in ("\u0661\u0662", "\u00b2", "1_0", " 1"):
        with pytest.raises(HttpError, match="pixels"):
            plan({**BASE, "params": {"texture_size": size}})


def test_a_quality_is_looked_for_at_the_named_adapter_only() -> None:
    known = fleet(image_to_mesh=[SILHOUETTE, SIZED])
    named = plan({**BASE, "model": "silhouette-image-to-mesh", "quality": "1024"}, known)
    assert (named.steps[0].variant, named.ignored) == (None, ("quality",))
    sized = plan({**BASE, "model": "trellis2-cpp-image-to-mesh", "quality": "512"}, known)
    assert (sized.steps[0].variant, sized.ignored) == ("512", ())


def test_all_components_are_what_there_is_and_need_not_be_told() -> None:
    assert plan({**BASE, "params": {"components": "all"}}).ignored == ()


def test_that_a_mesh_is_a_glb_was_not_asked_for_and_is_not_told_as_ignored() -> None:
    assert plan(BASE, fleet(image_to_mesh=adapter("one-format", {"seed": {}}))).ignored == ()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("quality", "auto, coarse, 512, 1024"),
        ("background", "auto, keep, black, white"),
        ("response_format", "url, b64_json"),
    ],
)
def test_a_word_that_is_none_of_a_fields_is_refused_with_those_that_are(field: str, words: str) -> None:
    with pytest.raises(HttpError) as caught:
        plan({**BASE, field: "best"})
    assert (caught.value.message, caught.value.field) == (f"invalid {field} 'best': must be one of {words}", field)


def test_an_error_without_a_field_is_the_message_alone() -> None:
    told = msgspec.json.decode(localai.error(Told(503, "no adapter", None, {})))
    assert told["error"]["message"] == "no adapter"
