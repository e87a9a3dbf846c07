"""3DAIGC-API's `/api/v1`: our statuses, results and features as its answers. Pure.

Sources as of `aigc`. A field of the original that we cannot know is left out or null, never made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from pocket3d.bus.port import ObjectInfo
from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.clock import parse_rfc3339, rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.features import KNOWN_FEATURES
from pocket3d.contracts.jobs import is_file_key
from pocket3d.contracts.messages import Advert, Artifact, Result, Status

from ..errors import HttpError, Told
from ..result_files import main_file, thumbnail, why
from .parameters import available

_MIB = 1 << 20
_WORDS = {
    "submitted": "queued",
    "queued": "queued",
    "awarded": "queued",
    "running": "processing",
    "succeeded": "completed",
    "cancelled": "cancelled",
}
#: HTTP status -> the original's word for it.
_CODES = {400: "INVALID_VALUE", 413: "FILE_UPLOAD_ERROR", 422: "INVALID_VALUE", 404: "NOT_FOUND"}
#: Prompts have a field of their own.
_NOT_PARAMETERS = frozenset({"text_prompt"})


def accepted(status: Status, ignored: Sequence[str]) -> dict[str, Any]:
    """The answer of an endpoint that made a job."""
    told = f"; no adapter takes {', '.join(ignored)}" if ignored else ""
    return {"job_id": status.job_id, "status": "queued", "message": f"Job queued{told}"}


def word(status: str) -> str:
    """A status as the original says it."""
    return _WORDS.get(status, "failed")


def job(status: Status, result: Result | None, base: str) -> dict[str, Any]:
    """`GET system/jobs/{id}`. `base` is the address of the gateway, with a slash at its end."""
    shown = listed(status, base)
    if result is None:
        return shown
    shown["status"] = word(result.status)
    shown["completed_at"] = result.timings.finished_at
    shown["processing_time"] = result.timings.run_s
    shown["model_preference"] = result.adapter_id
    if result.status != "succeeded":
        shown["error"] = why(result)
        return shown
    made, picture = main_file(result), thumbnail(result)
    outputs = result.outputs or {}
    shown["result"] = {
        **outputs,
        "output_mesh_path": made.name,
        "mesh_url": _url(base, status.job_id, "download"),
        "mesh_file_info": _file_info(made),
        "generation_info": _generation_info(result),
    }
    if picture is not None:
        shown["result"] |= {
            "thumbnail_path": picture.name,
            "thumbnail_url": _url(base, status.job_id, "thumbnail"),
            "thumbnail_file_info": _file_info(picture),
        }
    return shown


def listed(status: Status, base: str) -> dict[str, Any]:
    """A job as the history has it, where its result is not read."""
    shown: dict[str, Any] = {
        "job_id": status.job_id,
        "status": word(status.status),
        "feature": status.feature,
        "created_at": status.submitted_at or status.at,
        "completed_at": None,
        "model_preference": status.adapter_id,
    }
    if shown["status"] not in ("queued", "processing"):
        shown["completed_at"] = status.at
    if shown["status"] == "completed":
        shown["mesh_url"] = _url(base, status.job_id, "download")
    if status.error is not None:
        shown["error"] = status.error.message
    return shown


def is_listed(status: Status, wanted: str | None, until: str | None) -> bool:
    """True if the history's query means a job. Times are of one form, so they compare as text."""
    return (wanted is None or word(status.status) == wanted.lower()) and (
        until is None or (status.submitted_at or status.at) <= until
    )


def history(found: Sequence[Status], limit: int, offset: int, base: str, *, more: bool) -> dict[str, Any]:
    """A page of `GET system/jobs/history`. `total` counts those that were looked through.

    Args:
        found: that the query means, the newest first.
        limit: of the page.
        offset: how many are passed over.
        base: as of `job`.
        more: there are further ones, behind those that were looked through.
    """
    shown = [listed(each, base) for each in found[offset : offset + limit]]
    total = len(found)
    has_more = more or total > offset + limit
    return {"jobs": shown, "pagination": {"limit": limit, "offset": offset, "total": total, "has_more": has_more}}


def queue_stats(words: Sequence[str], now: float) -> dict[str, Any]:
    """`GET system/jobs/queue/stats`: of the jobs with these words."""
    counted = {
        "pending_jobs": words.count("queued"),
        "processing_jobs": words.count("processing"),
        "completed_jobs": words.count("completed"),
    }
    return {"success": True, "data": {**counted, "max_queue_size": None, "queue_utilization": None, "timestamp": now}}


def info(status: Status, result: Result | None) -> dict[str, Any]:
    """`GET system/jobs/{id}/info`."""
    if result is None:
        return {
            "job_id": status.job_id,
            "status": word(status.status),
            "has_result": False,
            "message": "No result available",
        }
    made = main_file(result)
    path = f"/api/v1/system/jobs/{result.job_id}"
    shown: dict[str, Any] = {
        "job_id": result.job_id,
        "status": word(result.status),
        "has_result": True,
        "created_at": result.timings.submitted_at,
        "completed_at": result.timings.finished_at,
        "processing_time": result.timings.run_s,
        "file_info": {**_file_info(made), "file_exists": True},
        "generation_info": _generation_info(result),
        "mesh_download_urls": _downloads(path, "download"),
        "thumbnail_download_urls": {},
    }
    if thumbnail(result) is not None:
        shown["thumbnail_download_urls"] = _downloads(path, "thumbnail")
    return shown


def around_base64(result: Result, artifact: Artifact, filename: str, now: float) -> tuple[bytes, bytes]:
    """What stands around the base64 of a file in a download with `format=base64`."""
    head = encode(
        {
            "job_id": result.job_id,
            "filename": filename,
            "content_type": artifact.media_type,
            "file_size_mb": artifact.size / _MIB,
            "generation_info": _generation_info(result),
            "download_time": rfc3339(now),
        }
    )
    return head[:-1] + b',"base64_data":"', b'"}'


def models(features: FeatureList) -> dict[str, list[str]]:
    """Feature -> ids of the adapters that serve it now, under each of its names."""
    aliases = {feature.name: feature.aliases for feature in KNOWN_FEATURES}
    return {
        name: [adapter.adapter_id for adapter in available(features, info.feature)]
        for info in features.features
        if info.feature != "echo" and available(features, info.feature)
        for name in (info.feature, *aliases.get(info.feature, ()))
    }


def all_models(features: FeatureList) -> dict[str, Any]:
    """`GET system/models`."""
    by_feature = models(features)
    different = {model for each in by_feature.values() for model in each}
    return {"available_models": by_feature, "total_features": len(by_feature), "total_models": len(different)}


def all_features(features: FeatureList) -> dict[str, Any]:
    """`GET system/features`."""
    shown = [{"name": name, "model_count": len(found), "models": found} for name, found in models(features).items()]
    return {"features": shown, "total_features": len(shown)}


def parameters(features: FeatureList, adverts: Sequence[Advert], model_id: str, now: float) -> dict[str, Any]:
    """`GET system/models/{model_id}/parameters`.

    Raises:
        HttpError: 404 no such model.
    """
    for about in features.features:
        for adapter in about.adapters:
            if adapter.adapter_id != model_id:
                continue
            schema = adapter.parameters or {}
            required = schema.get("required", [])
            sizes = [offer.vram_mb for each in adverts for offer in each.adapters or [] if offer.adapter_id == model_id]
            return {
                "model_id": model_id,
                "feature_type": about.feature,
                "vram_requirement": max(sizes, default=None),
                "schema": {
                    "parameters": {
                        key: _parameter(each, key in required)
                        for key, each in schema.get("properties", {}).items()
                        if not is_file_key(key) and key not in _NOT_PARAMETERS and isinstance(each, dict)
                    }
                },
                "timestamp": rfc3339(now),
            }
    raise HttpError(404, f"model {model_id[:80]!r} is not known", "model_id")


def _parameter(schema: dict[str, Any], required: bool) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), None)
    kept: dict[str, Any] = {key: schema[key] for key in ("default", "minimum", "maximum", "enum") if key in schema}
    return {"type": kind, "description": schema.get("description", ""), "required": required, **kept}


def devices(adverts: Sequence[Advert]) -> list[dict[str, Any]]:
    """The GPUs of all hosts, as `system/status` lists them; memory in MB."""
    return [
        {
            "id": number,
            "name": f"{device.name} ({advert.agent_id})",
            "memory_total": device.total_mb,
            "memory_used": device.total_mb - device.free_mb,
            "memory_free": device.free_mb,
            "memory_utilization": (device.total_mb - device.free_mb) / device.total_mb if device.total_mb else 0.0,
        }
        for number, (advert, device) in enumerate(
            (advert, device) for advert in adverts for device in advert.devices if device.kind == "cuda"
        )
    ]


def upload(stored: ObjectInfo, filename: str, kind: str) -> dict[str, Any]:
    """The answer to an upload, and to a question about one. `kind` is `image` or `mesh`."""
    return {
        "file_id": stored.name,
        "filename": filename,
        "file_type": kind,
        "file_size_mb": stored.size / _MIB,
        "upload_time": rfc3339(stored.stored_at),
        "expires_at": rfc3339(stored.kept_until) if stored.kept_until != float("inf") else None,
    }


def auth_status(tokens: bool, now: float) -> dict[str, Any]:
    """`GET system/auth-status`: there are tokens of the gateway, and no accounts."""
    return {
        "user_auth_enabled": False,
        "api_key_required": tokens,
        "mode": "api_key" if tokens else "simple",
        "description": "Authorization: Bearer TOKEN of this gateway" if tokens else "everybody may do everything",
        "features": {"job_isolation": tokens, "user_management": False, "role_based_access": tokens},
        "timestamp": rfc3339(now),
    }


def since(date: str) -> str:
    """A date of the history's query as we take it.

    Raises:
        HttpError: no date.
    """
    try:
        return rfc3339(parse_rfc3339(date))
    except ValueError as error:
        raise HttpError(400, f"not a time: {error}", "start_date") from error


def error(told: Told) -> bytes:
    """An error in the original's shape; its client shows `detail`."""
    field = f"{told.field}: " if told.field else ""
    text = f"{field}{told.message}"
    return encode({"error": _CODES.get(told.code, "API_ERROR"), "message": text, "detail": text})


def _generation_info(result: Result) -> dict[str, Any]:
    outputs = result.outputs or {}
    keys = ("generation_info", "painting_info", "rig_info", "segmentation_info", "completion_info")
    found: dict[str, Any] = next((outputs[key] for key in keys if isinstance(outputs.get(key), dict)), {})
    return {**found, "model_used": result.adapter_id, "processing_time": result.timings.run_s}


def _file_info(artifact: Artifact) -> dict[str, Any]:
    return {
        "filename": artifact.name,
        "file_size_bytes": artifact.size,
        "file_size_mb": artifact.size / _MIB,
        "content_type": artifact.media_type,
        "file_extension": PurePosixPath(artifact.name).suffix,
    }


def _downloads(path: str, what: str) -> dict[str, str]:
    return {"direct_download": f"{path}/{what}", "base64_download": f"{path}/{what}?format=base64"}


def _url(base: str, job_id: str, what: str) -> str:
    return f"{base}api/v1/system/jobs/{job_id}/{what}"
