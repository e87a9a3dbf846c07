"""3DAIGC-API's answers from our statuses, results and features."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.bus.port import ObjectInfo
from pocket3d.contracts.messages import AdapterOffer, Advert, Artifact, DeviceState, JobError, Result, Status, Timings
from pocket3d.ops.gateway.errors import HttpError, Told
from pocket3d.ops.gateway.facades import aigc_answers
from support.facade_fleet import CLASSICAL, RIG, adapter, fleet

BASE = "http://127.0.0.1:8080/"
FILE = Artifact(name="m.glb", bucket="b", object="x", size=1 << 20, sha256="0" * 64, media_type="model/gltf-binary")
PICTURE = Artifact(name="t.png", bucket="b", object="y", size=1 << 10, sha256="1" * 64, media_type="image/png")


def status(word: Any, **more: Any) -> Status:
    given: dict[str, Any] = {
        "job_id": "j1",
        "feature": "image_to_raw_mesh",
        "priority": "normal",
        "tenant": "default",
        "status": word,
        "attempt": 1,
        "at": "2026-11-28T04:22:49.878Z",
        "submitted_at": "2026-11-28T04:22:36.858Z",
    }
    return Status(**{**given, **more})


def result(word: str = "succeeded", **more: Any) -> Result:
    given: dict[str, Any] = {
        "outputs": {"output_mesh_path": "m.glb", "thumbnail_path": "t.png", "generation_info": {"seed": 1}},
        "artifacts": [PICTURE, FILE],
        "adapter_id": "silhouette-image-to-mesh",
    }
    timings = Timings(submitted_at="s", finished_at="f", run_s=2.5)
    return Result(job_id="j1", feature="image_to_raw_mesh", status=word, timings=timings, **{**given, **more})


def test_an_accepted_job_says_what_was_passed_over() -> None:
    assert aigc_answers.accepted(status("queued"), ()) == {"job_id": "j1", "status": "queued", "message": "Job queued"}
    assert aigc_answers.accepted(status("queued"), ("rig_mode",))["message"] == "Job queued; no adapter takes rig_mode"


def test_a_job_that_runs() -> None:
    assert aigc_answers.job(status("running", adapter_id="a"), None, BASE) == {
        "job_id": "j1",
        "status": "processing",
        "feature": "image_to_raw_mesh",
        "created_at": "2026-11-28T04:22:36.858Z",
        "completed_at": None,
        "model_preference": "a",
    }


def test_a_job_that_succeeded_has_addresses() -> None:
    shown = aigc_answers.job(status("succeeded"), result(), BASE)
    assert (shown["status"], shown["completed_at"], shown["processing_time"]) == ("completed", "f", 2.5)
    made = shown["result"]
    assert made["mesh_url"] == f"{BASE}api/v1/system/jobs/j1/download"
    assert made["thumbnail_url"] == f"{BASE}api/v1/system/jobs/j1/thumbnail"
    assert made["mesh_file_info"] == {
        "filename": "m.glb",
        "file_size_bytes": 1 << 20,
        "file_size_mb": 1.0,
        "content_type": "model/gltf-binary",
        "file_extension": ".glb",
    }
    assert made["generation_info"] == {"seed": 1, "model_used": "silhouette-image-to-mesh", "processing_time": 2.5}


def test_the_info_of_a_result_says_where_its_files_are() -> None:
    path = "/api/v1/system/jobs/j1"
    shown = aigc_answers.info(status("succeeded"), result())
    assert shown == {
        "job_id": "j1",
        "status": "completed",
        "has_result": True,
        "created_at": "s",
        "completed_at": "f",
        "processing_time": 2.5,
        "file_info": {
            "filename": "m.glb",
            "file_size_bytes": 1 << 20,
            "file_size_mb": 1.0,
            "content_type": "model/gltf-binary",
            "file_extension": ".glb",
            "file_exists": True,
        },
        "generation_info": {"seed": 1, "model_used": "silhouette-image-to-mesh", "processing_time": 2.5},
        "mesh_download_urls": {
            "direct_download": f"{path}/download",
            "base64_download": f"{path}/download?format=base64",
        },
        "thumbnail_download_urls": {
            "direct_download": f"{path}/thumbnail",
            "base64_download": f"{path}/thumbnail?format=base64",
        },
    }
    waiting = aigc_answers.info(status("running"), None)
    assert (waiting["status"], waiting["has_result"]) == ("processing", False)


def test_without_a_thumbnail_there_is_no_address_of_one() -> None:
    done = result(outputs={"output_mesh_path": "m.glb"})
    assert "thumbnail_url" not in aigc_answers.job(status("succeeded"), done, BASE)["result"]
    assert aigc_answers.info(status("succeeded"), done)["thumbnail_download_urls"] == {}


@pytest.mark.parametrize(
    ("word", "told"), [("failed", "failed"), ("rejected", "failed"), ("expired", "failed"), ("cancelled", "cancelled")]
)
def test_a_job_that_did_not_succeed_says_why(word: str, told: str) -> None:
    error = JobError(code="invalid_input", message="no face", field="inputs.mesh_path")
    shown = aigc_answers.job(status(word), result(word, error=error, artifacts=[], outputs=None), BASE)
    assert shown["status"] == told
    assert shown["error"] == f"the job ended as {word}: inputs.mesh_path: no face (invalid_input)"
    assert "result" not in shown


def test_the_history_needs_no_result() -> None:
    assert aigc_answers.listed(status("succeeded"), BASE)["mesh_url"] == f"{BASE}api/v1/system/jobs/j1/download"
    assert "mesh_url" not in aigc_answers.listed(status("failed"), BASE)


def test_a_result_in_base64_is_json() -> None:
    head, tail = aigc_answers.around_base64(result(), FILE, "my.glb", 0.0)
    told = msgspec.json.decode(head + b"eA==" + tail)
    assert (told["job_id"], told["filename"], told["base64_data"]) == ("j1", "my.glb", "eA==")


def test_features_go_under_all_their_names() -> None:
    known = aigc_answers.models(CLASSICAL)
    for name in ("image_to_mesh", "image_to_raw_mesh", "image_to_textured_mesh"):
        assert known[name] == ["silhouette-image-to-mesh"]
    assert known["auto_rigging"] == ["curve-skeleton-auto-rig"]
    assert aigc_answers.all_models(CLASSICAL)["total_models"] == 6
    shown = aigc_answers.all_features(fleet(auto_rig=RIG, uv_unwrapping=[adapter("x", None, available=False)]))
    assert [each["name"] for each in shown["features"]] == ["auto_rig", "auto_rigging"]


def test_parameters_are_without_files_and_prompts() -> None:
    advert = Advert(
        agent_id="a1",
        incarnation="i",
        seq=1,
        host="h",
        pid=1,
        version="1",
        draining=False,
        labels={},
        devices=[],
        residents=[],
        running=[],
        outcomes=[],
        adapters=[
            AdapterOffer(
                adapter_id=RIG.adapter_id,
                feature="auto_rig",
                vram_mb=1024,
                max_concurrent=1,
                devices=["cpu"],
                available=True,
            )
        ],
    )
    told = aigc_answers.parameters(CLASSICAL, [advert], RIG.adapter_id, 0.0)
    assert (told["feature_type"], told["vram_requirement"]) == ("auto_rig", 1024)
    assert told["schema"]["parameters"] == {
        "bone_count": {"type": "integer", "description": "", "required": False},
        "output_format": {"type": "string", "description": "", "required": False, "enum": ["glb"]},
    }
    assert aigc_answers.parameters(CLASSICAL, [], RIG.adapter_id, 0.0)["vram_requirement"] is None
    with pytest.raises(HttpError) as caught:
        aigc_answers.parameters(CLASSICAL, [], "trellis", 0.0)
    assert caught.value.code == 404


def test_memory_is_of_gpus_alone() -> None:
    gpu = DeviceState(id="GPU-1", kind="cuda", name="RTX", total_mb=1000, free_mb=250, reserved_mb=0, buffer_mb=0)
    lane = DeviceState(id="cpu-0", kind="cpu", name="CPU", total_mb=1000, free_mb=250, reserved_mb=0, buffer_mb=0)
    advert = Advert(
        agent_id="a1",
        incarnation="i",
        seq=1,
        host="h",
        pid=1,
        version="1",
        draining=False,
        labels={},
        devices=[lane, gpu],
        residents=[],
        running=[],
        outcomes=[],
    )
    (shown,) = aigc_answers.devices([advert])
    assert (shown["id"], shown["name"], shown["memory_used"], shown["memory_utilization"]) == (0, "RTX (a1)", 750, 0.75)


def test_an_upload_tells_until_when_it_is_kept() -> None:
    stored = ObjectInfo("P3D_INPUTS", "sha256-ab", 1 << 20, "ab", {}, 0.0, 60.0)
    told = aigc_answers.upload(stored, "cat.png", "image")
    assert (told["file_id"], told["file_size_mb"], told["expires_at"]) == ("sha256-ab", 1.0, "1970-01-01T00:01:00.000Z")
    assert aigc_answers.upload(stored._replace(kept_until=float("inf")), "cat.png", "image")["expires_at"] is None


def test_errors_have_what_the_client_shows() -> None:
    told = msgspec.json.decode(aigc_answers.error(Told(404, "no job", "job_id", {})))
    assert told == {"error": "NOT_FOUND", "message": "job_id: no job", "detail": "job_id: no job"}
