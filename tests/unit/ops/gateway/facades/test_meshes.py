"""SGLang's `/v1/meshes`: from its requests to jobs, from jobs to its objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.contracts.codec import WireError
from pocket3d.contracts.messages import Artifact, JobError, Result, Status, Timings
from pocket3d.ops.gateway.errors import HttpError, Told
from pocket3d.ops.gateway.facades import meshes
from pocket3d.ops.gateway.facades.embedded_files import File
from pocket3d.ops.gateway.facades.plans import Plan, Step
from support.facade_fleet import CLASSICAL, HUNYUAN, PNG, PNG_64, SILHOUETTE, adapter, fleet

PICTURE = File(PNG, "input_image.png")
FILE = Artifact(
    name="m.glb", bucket="P3D_OUTPUTS", object="x/m.glb", size=99, sha256="0" * 64, media_type="model/gltf-binary"
)


def plan(body: dict[str, Any], known: Any = CLASSICAL) -> Plan:
    return meshes.plan(*meshes.read(msgspec.json.encode(body)), known)


def status(word: Any, **more: Any) -> Status:
    given: dict[str, Any] = {
        "job_id": "mesh_1",
        "feature": "image_to_mesh",
        "priority": "normal",
        "tenant": "default",
        "status": word,
        "attempt": 1,
        "at": "2026-11-28T04:22:49.878Z",
        "submitted_at": "2026-11-28T04:22:36.858Z",
    }
    return Status(**{**given, **more})


def result(word: str, **more: Any) -> Result:
    timings = Timings(finished_at="2026-11-28T04:22:49.878Z", run_s=12.5)
    return Result(job_id="mesh_1", feature="image_to_mesh", status=word, timings=timings, **more)


def test_a_request_is_one_job() -> None:
    made = plan({"prompt": "generate 3d mesh", "input_image": PNG_64, "seed": 3, "guidance_scale": 5.0})
    inputs = {"image_path": PICTURE, "seed": 3, "output_format": "glb"}
    assert made == Plan((Step("image_to_mesh", inputs),), ("guidance_scale",))


def test_a_model_that_is_there_is_chosen_and_another_passed_over() -> None:
    known = fleet(image_to_mesh=[SILHOUETTE, HUNYUAN])
    named = plan({"input_image": PNG_64, "model": "silhouette-image-to-mesh", "seed": [4]}, known)
    assert (named.steps[0].model_preference, named.steps[0].inputs["seed"]) == ("silhouette-image-to-mesh", 4)
    foreign = plan({"input_image": PNG_64, "model": "tencent/Hunyuan3D-2"}, known)
    assert (foreign.steps[0].model_preference, foreign.ignored) == (None, ("model",))


def test_a_form_says_the_same() -> None:
    form = {"seed": "3", "guidance_scale": "5.5", "model": "", "output_format": "obj", "generator_device": "cuda"}
    request = meshes.read_form(form)
    assert (request.seed, request.guidance_scale, request.model, request.output_format) == (3, 5.5, None, "obj")
    with pytest.raises(WireError):
        meshes.read_form({"seed": "three"})
    with pytest.raises(HttpError, match="addresses are not fetched"):
        meshes.read_form({"url": "https://example.com/a.png"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 422),
        ({"input_image": ""}, 422),
        ({"input_image": "http://127.0.0.1/a.png"}, 400),
        ({"input_image": "/etc/passwd"}, 400),
        ({"input_image": PNG_64, "seed": [1, 2]}, 422),
    ],
)
def test_what_cannot_be_made_is_refused(body: dict[str, Any], code: int) -> None:
    with pytest.raises(HttpError) as caught:
        plan(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("word", "told"), [("queued", "queued"), ("awarded", "queued"), ("running", "in_progress"), ("cancelled", "failed")]
)
def test_a_job_without_a_result_is_a_mesh_to_be(word: str, told: str) -> None:
    shown = meshes.answer(status(word), None)
    assert (shown["id"], shown["object"], shown["status"], shown["progress"]) == ("mesh_1", "mesh", told, 0)
    assert shown["created_at"] == 1795839756


def test_a_job_that_succeeded_is_a_mesh() -> None:
    done = result("succeeded", adapter_id="a", artifacts=[FILE], outputs={"output_mesh_path": "m.glb"}, vram_peak_mb=7)
    # Its event may come later than its result.
    shown = meshes.answer(status("running"), done)
    assert shown == {
        **meshes.answer(status("running"), None),
        "status": "completed",
        "progress": 100,
        "model": "a",
        "completed_at": 1795839769,
        "file_size_bytes": 99,
        "format": "glb",
        "peak_memory_mb": 7,
        "inference_time_s": 12.5,
    }


def test_a_job_that_failed_says_why() -> None:
    error = JobError(code="out_of_memory", message="no room")
    shown = meshes.answer(status("failed"), result("failed", error=error))
    assert shown["status"] == "failed"
    assert shown["error"] == {"message": "the job ended as failed: no room (out_of_memory)", "code": "out_of_memory"}
    assert meshes.listed(status("failed", error=error))["error"] == {"message": "no room", "code": "out_of_memory"}


def test_a_list_takes_a_jobs_event_for_its_end() -> None:
    shown = meshes.listed(status("succeeded"))
    assert (shown["status"], shown["progress"], shown["completed_at"]) == ("completed", 100, 1795839769)


def test_a_time_that_is_none_costs_its_mesh_the_time_alone() -> None:
    shown = meshes.listed(status("succeeded", at="yesterday", submitted_at="9999-99-99T00:00:00Z"))
    assert (shown["status"], shown["created_at"], shown["completed_at"]) == ("completed", 0, None)
    ended = Result(job_id="mesh_1", feature="image_to_mesh", status="failed", timings=Timings(finished_at="x"))
    assert meshes.answer(status("failed"), ended)["completed_at"] is None


@pytest.mark.parametrize("word", ["queued", "running", "succeeded", "failed", "cancelled"])
def test_a_list_tells_an_error_where_a_job_failed_and_says_why(word: str) -> None:
    assert meshes.listed(status(word))["error"] is None
    # An attempt may have failed of a job that goes on.
    told = meshes.listed(status(word, error=JobError(code="timeout", message="too slow")))["error"]
    assert told == ({"message": "too slow", "code": "timeout"} if word in ("failed", "cancelled") else None)


@pytest.mark.parametrize(
    ("after", "limit", "ascending", "wanted"),
    [
        (None, 9, False, "cba"),
        (None, 9, True, "abc"),
        (None, 2, False, "cb"),
        ("c", 2, False, "ba"),
        ("c", 1, False, "b"),
        ("a", 9, True, "bc"),
        ("c", 9, True, ""),
        ("gone", 2, False, "cb"),
    ],
)
def test_a_page_begins_after_the_last_mesh_of_the_page_before(
    after: str | None, limit: int, ascending: bool, wanted: str
) -> None:
    newest_first = [status("queued", job_id=name) for name in "cba"]
    page = meshes.page(newest_first, after, limit, ascending=ascending)
    assert "".join(each["id"] for each in page) == wanted


def test_a_mesh_is_as_old_as_its_submission_and_else_as_what_is_known_of_it() -> None:
    assert meshes.answer(status("queued", submitted_at=None), None)["created_at"] == 1795839769


def test_a_mesh_names_the_adapter_of_its_result_and_before_that_the_one_that_runs_it() -> None:
    assert meshes.answer(status("queued"), None)["model"] == ""
    running = status("running", adapter_id="first")
    assert meshes.answer(running, None)["model"] == "first"
    assert meshes.answer(running, result("failed"))["model"] == "first"
    assert meshes.answer(running, result("failed", adapter_id="second"))["model"] == "second"


def test_a_job_that_ended_without_an_error_of_its_own_has_its_word_as_the_code() -> None:
    assert meshes.answer(status("cancelled"), result("cancelled"))["error"]["code"] == "cancelled"


@pytest.mark.parametrize(
    ("wanted", "made"), [(None, "glb"), ("", "glb"), ("GLB", "glb"), ("OBJ", "obj"), ("ply", "glb"), ("usdz", "glb")]
)
def test_a_format_that_the_original_does_not_have_is_its_default(wanted: str | None, made: str) -> None:
    assert plan({"input_image": PNG_64, "output_format": wanted}).steps[0].inputs["output_format"] == made


def test_a_prompt_that_a_client_wrote_goes_to_an_adapter_that_takes_one_and_the_default_to_none() -> None:
    takes = fleet(image_to_mesh=adapter("takes", {"text_prompt": {}}))
    assert plan({"input_image": PNG_64, "prompt": "a chair"}, takes).steps[0].inputs["text_prompt"] == "a chair"
    assert "text_prompt" not in plan({"input_image": PNG_64}, takes).steps[0].inputs
    assert plan({"input_image": PNG_64, "prompt": "a chair"}).ignored == ("prompt",)


@pytest.mark.parametrize("field", ["url", "url[]"])
def test_a_form_with_an_address_is_refused_though_it_has_all_else(field: str) -> None:
    with pytest.raises(HttpError, match="send the picture as the part `image`") as caught:
        meshes.read_form({"prompt": "a chair", field: "https://example.com/a.png"})
    assert (caught.value.code, caught.value.field) == (400, "url")


def test_errors_are_as_fastapi_tells_them() -> None:
    assert msgspec.json.decode(meshes.error(Told(404, "Mesh not found", None, {}))) == {"detail": "Mesh not found"}
    told = meshes.error(Told(400, "want one", "seed", {}))
    assert msgspec.json.decode(told) == {"detail": "seed: want one"}
