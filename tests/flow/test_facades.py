"""The facades' routes with their clients' own requests, upon the real coordinator and agents, in memory and in virtual
time.

The requests are those of the clients' sources: method, path, headers and body.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("litestar")

from support.facade_fleet import CLASSICAL, GLB, GLB_64, PNG, PNG_64, SILHOUETTE, fleet
from support.facade_gateway import Gateway, play_facade

#: What Python's requests sends with `json=`.
REQUESTS = {"content-type": "application/json", "accept": "*/*", "user-agent": "python-requests/2.32.3"}


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart form of (name, filename, data)."""
    body = b""
    for name, filename, data in parts:
        named = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += b"--BOUND\r\nContent-Disposition: " + named.encode() + b"\r\n\r\n" + data + b"\r\n"
    return body + b"--BOUND--\r\n", {"content-type": "multipart/form-data; boundary=BOUND"}


# -- Hunyuan3D: blender_addon.py of Tencent-Hunyuan/Hunyuan3D-2, addon.py of ahujasid/blender-mcp

_SLIDERS = {"octree_resolution": 256, "num_inference_steps": 20, "guidance_scale": 5.5}


@pytest.mark.parametrize(
    ("body", "feature"),
    [
        ({"image": PNG_64, **_SLIDERS, "texture": False}, "image_to_mesh"),
        ({"text": "a red chair", **_SLIDERS, "texture": False}, "text_to_mesh"),
        ({"mesh": GLB_64, "image": PNG_64, **_SLIDERS, "texture": True}, "image_to_texture"),
        ({"mesh": GLB_64, "text": "old brick", **_SLIDERS, "texture": True}, "text_to_texture"),
        ({**_SLIDERS, "texture": False, "text": "a chair", "image": PNG_64}, "image_to_mesh"),
    ],
    ids=["picture", "text", "mesh and picture", "mesh and text", "blender-mcp"],
)
def test_an_add_on_gets_a_file(
    body: dict[str, Any], feature: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(gateway: Gateway) -> None:
        answer = await gateway.ask("POST", "/generate", body, REQUESTS)
        assert (answer.status, answer.headers["content-type"]) == (200, "model/gltf-binary")
        ((job_id, request),) = gateway.requests().items()
        assert (request["feature"], request["metadata"]) == (feature, {"facade": "hunyuan3d"})
        assert answer.body.decode() == (await gateway.flow.client.job(job_id).result()).token
        assert answer.headers["x-pocket3d-ignored"] == "octree_resolution, num_inference_steps, guidance_scale"

    play_facade(scenario, tmp_path, monkeypatch)


def test_a_textured_mesh_is_two_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        body = {"image": PNG_64, **_SLIDERS, "texture": True}
        answer = await gateway.ask("POST", "/generate", body, REQUESTS)
        assert answer.status == 200, answer.body
        uid = answer.headers["x-pocket3d-job"]
        shape, texture = gateway.requests().items()
        assert (shape[0], shape[1]["feature"]) == (f"{uid}-1", "image_to_mesh")
        assert (texture[0], texture[1]["feature"]) == (uid, "image_to_texture")
        assert texture[1]["inputs"]["mesh_path"] == {"result": f"{uid}-1"}
        assert texture[1]["inputs"]["image_path"] == shape[1]["inputs"]["image_path"], "it is uploaded once"
        assert answer.body.decode() == (await gateway.flow.client.job(uid).result()).token

    play_facade(scenario, tmp_path, monkeypatch)


def test_a_job_is_sent_and_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        sent = await gateway.ask("POST", "/send", {"image": PNG_64, "seed": 1234}, REQUESTS)
        uid = sent.json()["uid"]
        assert sent.json() == {"uid": uid}
        first = await gateway.ask("GET", f"/status/{uid}")
        assert (first.status, first.json()) == (200, {"status": "processing"})

        async def completed() -> bool:
            return bool((await gateway.ask("GET", f"/status/{uid}")).json()["status"] == "completed")

        await gateway.until(completed)
        answer = await gateway.ask("GET", f"/status/{uid}")
        model = base64.b64decode(answer.json()["model_base64"])
        assert model.decode() == (await gateway.flow.client.job(uid).result()).token
        unknown = await gateway.ask("GET", "/status/0b0e6ae6-3b57-4b4f-a7a6-000000000000")
        assert (unknown.status, unknown.json()["error_code"]) == (404, 1)

    play_facade(scenario, tmp_path, monkeypatch)


def test_a_job_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        uid = (await gateway.ask("POST", "/send", {"image": PNG_64})).json()["uid"]
        await gateway.flow.client.job(uid).cancel("by a test")

        async def ended() -> bool:
            return bool((await gateway.ask("GET", f"/status/{uid}")).json()["status"] != "processing")

        await gateway.until(ended)
        told = (await gateway.ask("GET", f"/status/{uid}")).json()
        assert told["status"] == "error"
        assert "cancelled" in told["message"]

    play_facade(scenario, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"image": "https://example.com/cat.png"}, 400, "image: addresses are not fetched"),
        ({}, 400, "no input"),
        ({"image": PNG_64, "texture": True}, 503, "no adapter for image_to_texture"),
        ({"text": "a chair"}, 503, "no adapter for text_to_mesh"),
        ({"image": PNG_64, "type": "fbx"}, 400, "inputs.output_format"),
        ({"seed": "x"}, 400, "seed"),
    ],
)
def test_an_add_on_is_told_why_there_is_no_file(
    body: dict[str, Any], status: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(gateway: Gateway) -> None:
        answer = await gateway.ask("POST", "/generate", body, REQUESTS)
        assert answer.status == status
        told = answer.json()
        assert (told["error_code"], why in told["text"]) == (1, True), told

    play_facade(scenario, tmp_path, monkeypatch, fleet(image_to_mesh=SILHOUETTE))


# -- SGLang: mesh_api.py, and the requests of its documentation


def test_a_mesh_is_created_polled_and_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        created = await gateway.ask(
            "POST",
            "/v1/meshes",
            {"prompt": "generate 3d mesh", "input_image": f"data:image/png;base64,{PNG_64}", "seed": 0},
        )
        mesh = created.json()
        assert (created.status, mesh["object"], mesh["status"]) == (200, "mesh", "queued")
        target = f"/v1/meshes/{mesh['id']}"
        early = await gateway.ask("GET", f"{target}/content")
        assert (early.status, early.json()) == (404, {"detail": "Generation is still in-progress"})

        async def completed() -> bool:
            return bool((await gateway.ask("GET", target)).json()["status"] == "completed")

        await gateway.until(completed)
        mesh = (await gateway.ask("GET", target)).json()
        assert (mesh["progress"], mesh["format"], mesh["model"]) == (100, "glb", "silhouette-image-to-mesh")
        content = await gateway.ask("GET", f"{target}/content")
        assert (content.headers["content-type"], len(content.body)) == ("model/gltf-binary", mesh["file_size_bytes"])
        assert (await gateway.ask("DELETE", target)).status == 409, "what has ended is removed by age"

    play_facade(scenario, tmp_path, monkeypatch)


def test_a_form_makes_a_mesh_and_the_list_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        ids = []
        for seed in (b"1", b"2"):
            body, headers = form(("image", "cat.png", PNG), ("seed", None, seed), ("output_format", None, b"glb"))
            created = await gateway.ask("POST", "/v1/meshes", body, headers)
            assert created.status == 200, created.body
            ids.append(created.json()["id"])
        other = await gateway.ask("POST", "/send", {"image": PNG_64})
        listed = (await gateway.ask("GET", "/v1/meshes?limit=10")).json()
        assert listed["object"] == "list"
        assert [each["id"] for each in listed["data"]] == ids[::-1], "those of others are not in the list"
        assert other.json()["uid"] not in ids
        first = (await gateway.ask("GET", "/v1/meshes?limit=1&order=asc")).json()["data"]
        assert [each["id"] for each in first] == ids[:1]
        after = (await gateway.ask("GET", f"/v1/meshes?after={ids[1]}")).json()["data"]
        assert [each["id"] for each in after] == ids[:1]
        deleted = (await gateway.ask("DELETE", f"/v1/meshes/{ids[1]}")).json()
        assert deleted["status"] == "deleted"
        result = await gateway.flow.client.job(ids[1]).result(timeout=60)
        assert result.status == "cancelled"
        gone = (await gateway.ask("GET", f"/v1/meshes/{ids[1]}")).json()
        assert (gone["status"], gone["error"]["code"]) == ("failed", "cancelled")

    play_facade(scenario, tmp_path, monkeypatch)


def test_what_is_no_mesh_is_told_as_fastapi_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        for target in ("/v1/meshes/nothing", "/v1/meshes/mesh_nothing", "/v1/meshes/..%2fjobs"):
            answer = await gateway.ask("GET", target)
            assert (answer.status, answer.json()) == (404, {"detail": "Mesh not found"}), target
        body, headers = form(("image", "notes.txt", b"hello"))
        assert (await gateway.ask("POST", "/v1/meshes", body, headers)).status == 400
        body, headers = form(("url", None, b"http://169.254.169.254/"))
        refused = await gateway.ask("POST", "/v1/meshes", body, headers)
        assert (refused.status, "not fetched" in refused.json()["detail"]) == (400, True)
        assert (await gateway.ask("POST", "/v1/meshes", {})).status == 422
        assert (await gateway.ask("GET", "/v1/meshes?limit=1000")).status == 400

    play_facade(scenario, tmp_path, monkeypatch)


# -- LocalAI: docs/content/features/3d-generation.md


def test_a_generation_is_an_address_or_base64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        body = {"model": "silhouette-image-to-mesh", "image": PNG_64, "quality": "512"}
        answer = await gateway.ask("POST", "/3d/generations", body)
        assert (answer.status, answer.headers["x-pocket3d-ignored"]) == (200, "quality")
        told = answer.json()
        assert (sorted(told), len(told["data"])) == (["created", "data", "id"], 1)
        base, _, name = told["data"][0]["url"].partition("/generated-3d/")
        assert (base, name) == ("http://127.0.0.1:8080", f"{told['id']}.glb")
        file = await gateway.ask("GET", f"/generated-3d/{name}")
        assert (file.status, file.headers["content-type"]) == (200, "model/gltf-binary")
        inside = (await gateway.ask("POST", "/3d/generations", {**body, "response_format": "b64_json"})).json()
        model = base64.b64decode(inside["data"][0]["b64_json"])
        assert model.decode() == (await gateway.flow.client.job(inside["id"]).result()).token
        for missing in ("x.glb", "x", "../../etc/passwd"):
            assert (await gateway.ask("GET", f"/generated-3d/{missing}")).status == 404
        wrong = await gateway.ask("POST", "/3d/generations", {**body, "model": "trellis2-4b"})
        assert (wrong.status, wrong.json()["error"]["code"]) == (400, 400)

    play_facade(scenario, tmp_path, monkeypatch)


# -- 3DAIGC-API: src/api/client.ts, App.tsx, BottomBar.tsx and useTaskPolling.ts of FishWoWater/Open3DStudio


def test_the_studio_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        assert (await gateway.ask("GET", "/health")).json()["status"] == "healthy"
        auth = (await gateway.ask("GET", "/api/v1/system/auth-status")).json()
        assert (auth["user_auth_enabled"], auth["mode"]) == (False, "simple")
        (gpu,) = (await gateway.ask("GET", "/api/v1/system/status")).json()["gpu"]
        assert (gpu["name"], gpu["memory_total"]) == ("dev-0 (agent0)", 16_000)
        history = (await gateway.ask("GET", "/api/v1/system/jobs/history?limit=100&offset=0")).json()
        assert (history["jobs"], history["pagination"]["has_more"]) == ([], False)
        features = (await gateway.ask("GET", "/api/v1/system/features")).json()
        models = (await gateway.ask("GET", "/api/v1/system/models")).json()
        assert {each["name"] for each in features["features"]} == set(models["available_models"])
        assert models["total_models"] == 6
        one = (await gateway.ask("GET", "/api/v1/system/models?feature=auto_rig")).json()
        assert one == {"feature": "auto_rig", "models": ["curve-skeleton-auto-rig"]}
        shown = (await gateway.ask("GET", "/api/v1/system/models/silhouette-image-to-mesh/parameters")).json()
        assert shown["schema"]["parameters"]["seed"]["maximum"] == 4294967295
        retopology = (await gateway.ask("GET", "/api/v1/mesh-retopology/available-models")).json()
        assert retopology["available_models"] == ["instant-meshes-retopology"]
        stats = (await gateway.ask("GET", "/api/v1/system/jobs/queue/stats")).json()
        assert (stats["success"], stats["data"]["pending_jobs"]) == (True, 0)
        unknown = await gateway.ask("GET", "/api/v1/system/models?feature=levitate")
        assert (unknown.status, unknown.json()["error"]) == (404, "NOT_FOUND")

    play_facade(scenario, tmp_path, monkeypatch)


def test_the_studio_makes_a_mesh_of_an_upload_and_rigs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def upload(gateway: Gateway, kind: str, filename: str, data: bytes) -> str:
        body, headers = form(("file", filename, data))
        answer = await gateway.ask("POST", f"/api/v1/file-upload/{kind}", body, headers)
        assert answer.status == 200, answer.body
        told = answer.json()
        assert (told["filename"], told["file_type"]) == (filename, kind)
        metadata = (await gateway.ask("GET", f"/api/v1/file-upload/metadata/{told['file_id']}")).json()
        assert metadata == {**told, "is_available": True}
        file_id: str = told["file_id"]
        return file_id

    async def done(gateway: Gateway, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await gateway.ask("POST", f"/api/v1/{path}", body)
        assert (answer.status, answer.json()["status"]) == (200, "queued"), answer.body
        target = f"/api/v1/system/jobs/{answer.json()['job_id']}"

        async def completed() -> bool:
            return bool((await gateway.ask("GET", target)).json()["status"] == "completed")

        await gateway.until(completed)
        job: dict[str, Any] = (await gateway.ask("GET", target)).json()
        info = (await gateway.ask("GET", f"{target}/info")).json()
        assert info["mesh_download_urls"]["direct_download"] == f"{target}/download"
        assert info["file_info"]["file_extension"] == ".glb"
        address = job["result"]["mesh_url"].removeprefix("http://127.0.0.1:8080")
        file = await gateway.ask("GET", address)
        assert len(file.body) == job["result"]["mesh_file_info"]["file_size_bytes"]
        inside = (await gateway.ask("GET", f"{address}?format=base64&filename=my.glb")).json()
        assert (base64.b64decode(inside["base64_data"]), inside["filename"]) == (file.body, "my.glb")
        assert (await gateway.ask("GET", f"{target}/thumbnail")).status == 404, "this one made none"
        return job

    async def scenario(gateway: Gateway) -> None:
        picture = await upload(gateway, "image", "cat.png", PNG)
        body = {
            "image_file_id": picture,
            "texture_resolution": 1024,
            "output_format": "glb",
            "model_preference": "silhouette-image-to-mesh",
            "model_parameters": {},
        }
        job = await done(gateway, "mesh-generation/image-to-textured-mesh", body)
        assert (job["feature"], job["model_preference"]) == ("image_to_textured_mesh", "silhouette-image-to-mesh")
        mesh = await upload(gateway, "mesh", "cat.glb", GLB)
        rig = {
            "mesh_file_id": mesh,
            "rig_mode": "full",
            "output_format": "glb",
            "model_preference": "curve-skeleton-auto-rig",
        }
        await done(gateway, "auto-rigging/generate-rig", rig)
        history = (await gateway.ask("GET", "/api/v1/system/jobs/history?limit=1&status=completed")).json()
        assert [each["feature"] for each in history["jobs"]] == ["auto_rig"]
        assert history["pagination"]["has_more"] is True
        stats = (await gateway.ask("GET", "/api/v1/system/jobs/queue/stats")).json()
        assert stats["data"]["completed_jobs"] == 2

    play_facade(scenario, tmp_path, monkeypatch)


def test_the_studio_is_refused_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        base = "/api/v1/mesh-generation/image-to-raw-mesh"
        for wrong in (
            {"image_path": "/etc/passwd"},
            {"image_file_id": "sha256-none"},
            {"image_file_id": "../P3D_OUTPUTS/x"},
            {"image_base64": PNG_64, "model_preference": "trellis"},
        ):
            answer = await gateway.ask("POST", base, wrong)
            assert (answer.status, bool(answer.json()["detail"])) == (400, True), wrong
        sent = (await gateway.ask("POST", base, {"image_base64": PNG_64})).json()
        target = f"/api/v1/system/jobs/{sent['job_id']}"
        assert (await gateway.ask("GET", f"{target}/download")).status == 400, "it is not completed yet"
        assert (await gateway.ask("DELETE", target)).json()["status"] == "cancelled"
        await gateway.flow.client.job(sent["job_id"]).result(timeout=60)
        assert (await gateway.ask("DELETE", target)).status == 409
        assert (await gateway.ask("GET", target)).json()["status"] == "cancelled"
        body, headers = form(("file", "cat.exe", b"MZ"))
        refused = await gateway.ask("POST", "/api/v1/file-upload/image", body, headers)
        assert (refused.status, "is no image" in refused.json()["detail"]) == (400, True)
        assert (await gateway.ask("GET", "/api/v1/system/jobs/nothing")).json()["error"] == "NOT_FOUND"
        assert (await gateway.ask("POST", "/api/v1/users/login", {})).status == 404

    play_facade(scenario, tmp_path, monkeypatch, CLASSICAL)


def test_a_body_too_large_is_refused_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        length = {"content-length": str(1 << 40)}
        for target in ("/generate", "/3d/generations", "/v1/meshes", "/api/v1/mesh-generation/text-to-raw-mesh"):
            answer = await gateway.ask("POST", target, b"{", {"content-type": "application/json", **length})
            assert answer.status == 413, target
        assert gateway.requests() == {}

    play_facade(scenario, tmp_path, monkeypatch)
