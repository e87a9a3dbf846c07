"""What the fake gateway knows and does: the wire's own types, jobs that end when they are told to. Thread-safe."""

from __future__ import annotations

import hashlib
import itertools
import json
import queue
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from pocket3d.contracts.api import Explanation, FeatureAdapter, FeatureInfo
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.jobs import Job, SubmitRequest
from pocket3d.contracts.labels import job_label
from pocket3d.contracts.lifecycle import StatusWord
from pocket3d.contracts.messages import (
    AdapterOffer,
    Advert,
    Artifact,
    DeviceState,
    Progress,
    Resident,
    Result,
    RunningJob,
    Status,
    Timings,
)
from web.sample_glb import sample_glb

_FILES = {"description": "a file"}
_PROMPT = {"type": "string", "minLength": 1, "description": "what to make"}
_SEED = {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0, "description": "of the noise"}
_FEATURES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "text_to_mesh": (["text_prompt"], {"text_prompt": _PROMPT, "seed": _SEED}),
    "image_to_mesh": (["image_path|image_paths"], {"image_path": _FILES, "image_paths": _FILES, "seed": _SEED}),
    "text_to_texture": (["mesh_path", "text_prompt"], {"mesh_path": _FILES, "text_prompt": _PROMPT}),
    "auto_rig": (["mesh_path"], {"mesh_path": _FILES}),
    "mesh_conversion": (
        ["mesh_path", "output_format"],
        {"mesh_path": _FILES, "output_format": {"type": "string", "enum": ["glb", "obj"]}},
    ),
}
#: A prompt with this word makes a job that runs until it is cancelled.
HELD = "forever"


def _time(of: datetime) -> str:
    return of.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class FakeFleet:
    """Jobs, one agent, and whoever listens."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.statuses: dict[str, Status] = {}
        self.requests: dict[str, SubmitRequest] = {}
        self.results: dict[str, Result] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.draining = False
        self._running: dict[str, RunningJob] = {}
        self._listeners: list[queue.SimpleQueue[bytes | None]] = []
        self._numbers = itertools.count(1)
        self._events = itertools.count(1)
        self._started = datetime.now(timezone.utc)

    def listen(self) -> queue.SimpleQueue[bytes | None]:
        """The events from now on, as lines of a stream; None ends it."""
        with self.lock:
            listener: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            self._listeners.append(listener)
            return listener

    def end_streams(self) -> None:
        with self.lock:
            for each in self._listeners:
                each.put(None)
            self._listeners.clear()

    def _tell(self, event: str, body: msgspec.Struct) -> None:
        data = msgspec.json.encode(body)
        line = b"event: %s\nid: %d\ndata: %s\n\n" % (event.encode(), next(self._events), data)
        for each in self._listeners:
            each.put(line)

    def keep_file(self, name: str, data: bytes) -> dict[str, Any]:
        artifact = f"sha256-{hashlib.sha256(data).hexdigest()}"
        with self.lock:
            self.files[artifact] = data
        return {"artifact": artifact, "size": len(data), "media_type": "application/octet-stream", "name": name}

    def submit(self, body: bytes) -> Status:
        """Raises msgspec.ValidationError, KeyError for a file that is not there."""
        wanted = json.loads(body)
        with self.lock:
            wanted.setdefault("job_id", f"job-{next(self._numbers)}")
            request = msgspec.convert(wanted, SubmitRequest)
            for key, value in request.inputs.items():
                if key.endswith("_path"):
                    if "result" in value:
                        self.results[value["result"]]
                    else:
                        self.files[value["artifact"]]
            job_id = str(request.job_id)
            self.requests[job_id] = request
            label = job_label(Job(job_id=job_id, inputs=request.inputs)) or request.feature
            submitted = self._say(job_id, "queued", feature=request.feature, label=label)
            self._run(submitted)
            return submitted

    def _run(self, status: Status) -> None:
        job_id, adapter = status.job_id, f"fake-{status.feature.replace('_', '-')}"
        running = RunningJob(job_id=job_id, attempt=1, token=f"1-{job_id}", adapter_id=adapter, device="GPU-1")
        self._running[job_id] = running
        self._say(job_id, "running", agent_id="gpu-07", device="GPU-1", adapter_id=adapter, attempt=1)
        self._tell("advert", self.advert())
        now = _time(datetime.now(timezone.utc))
        for fraction, stage in ((0.0, "loading"), (0.4, "sampling")):
            told = Progress(
                job_id=job_id,
                feature=status.feature,
                attempt=1,
                agent_id="gpu-07",
                fraction=fraction,
                stage=stage,
                at=now,
            )
            self._tell("progress", told)
        if HELD not in str(self.requests[job_id].inputs.get("text_prompt", "")):
            self.finish(job_id)

    def finish(self, job_id: str) -> None:
        with self.lock:
            status = self.statuses[job_id]
            del self._running[job_id]
            data = sample_glb(bones=status.feature == "auto_rig")
            artifact = Artifact(
                name="thing.glb",
                bucket="P3D_OUTPUTS",
                object=f"{job_id}/1/thing.glb",
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                media_type="model/gltf-binary",
            )
            self.files[artifact.object] = data
            facts = {"vertex_count": 16, "face_count": 24, "ignored": ["wings"], "lost": []}
            self.results[job_id] = Result(
                job_id=job_id,
                feature=status.feature,
                status="succeeded",
                attempt=1,
                token=f"1-{job_id}",
                agent_id="gpu-07",
                device="GPU-1",
                adapter_id=status.adapter_id,
                outputs={"success": True, "output_mesh_path": artifact.name, "generation_info": facts},
                artifacts=[artifact],
                timings=Timings(submitted_at=status.submitted_at, queued_s=0.1, load_s=0.0, run_s=1.5),
            )
            self._say(job_id, "succeeded")
            self._tell("result", self.results[job_id])
            self._tell("advert", self.advert())

    def cancel(self, job_id: str) -> Status:
        with self.lock:
            self._running.pop(job_id, None)
            return self._say(job_id, "cancelled", reason="asked for")

    def _say(self, job_id: str, status: StatusWord, **more: Any) -> Status:
        now = _time(datetime.now(timezone.utc))
        known = self.statuses.get(job_id)
        if known is None:
            told = Status(
                job_id=job_id,
                priority="normal",
                tenant="default",
                status=status,
                attempt=0,
                at=now,
                submitted_at=now,
                **{key: value for key, value in more.items() if key in Status.__struct_fields__},
            )
        else:
            told = msgspec.structs.replace(known, status=status, at=now, **more)
        self.statuses[job_id] = told
        self._tell("status", told)
        return told

    def fill(self, count: int, name: str, told: bool) -> None:
        """So many jobs that have ended, one after the other: `told` now to all listeners, or long ago to nobody."""
        with self.lock:
            # Times count milliseconds: jobs of one would stand in any order, and the last of them may not be drawn.
            apart = timedelta(milliseconds=1) if told else timedelta(seconds=1)
            last = datetime.now(timezone.utc) if told else self._started
            for at in range(count):
                when = _time(last - (count - at) * apart)
                job_id = f"{name}-{at}"
                status = Status(
                    job_id=job_id,
                    feature="text_to_mesh",
                    priority="normal",
                    tenant="default",
                    status="succeeded",
                    attempt=1,
                    agent_id="gpu-07",
                    device="GPU-1",
                    adapter_id="fake-text-to-mesh",
                    at=when,
                    submitted_at=when,
                )
                self.statuses[job_id] = status
                if told:
                    self._tell("status", status)

    def page(self, limit: int, cursor: str | None, status: str | None) -> dict[str, Any]:
        with self.lock:
            newest = sorted(self.statuses.values(), key=lambda each: str(each.submitted_at), reverse=True)
        found = [each for each in newest if status in (None, each.status)]
        start = int(cursor or 0)
        after = start + limit
        return {"jobs": found[start:after], "next": str(after) if after < len(found) else None}

    def features(self) -> list[FeatureInfo]:
        return [
            FeatureInfo(
                feature=feature,
                required=required,
                adapters=[
                    FeatureAdapter(
                        adapter_id=f"fake-{feature.replace('_', '-')}",
                        available=True,
                        parameters={"type": "object", "properties": properties, "additionalProperties": False},
                    )
                ],
            )
            for feature, (required, properties) in _FEATURES.items()
        ]

    def advert(self) -> Advert:
        with self.lock:
            resident = Resident(
                adapter_id="fake-text-to-mesh",
                device="GPU-1",
                pid=7,
                vram_mb=7421,
                idle_s=0.0 if self._running else 3.0,
            )
            offers = [
                AdapterOffer(
                    adapter_id=adapter.adapter_id,
                    feature=each.feature,
                    vram_mb=1024,
                    max_concurrent=1,
                    devices=["cuda"],
                    available=True,
                    commercial="yes",
                )
                for each in self.features()
                for adapter in each.adapters
            ]
            device = DeviceState(
                id="GPU-1",
                kind="cuda",
                name="NVIDIA L4",
                total_mb=23034,
                free_mb=15012,
                reserved_mb=512,
                buffer_mb=1024,
            )
            return Advert(
                agent_id="gpu-07",
                incarnation="1-a",
                seq=next(self._events),
                host="gpu-07.example",
                pid=1,
                version="0.1.0",
                draining=self.draining,
                devices=[device],
                residents=[resident],
                running=list(self._running.values()),
                adapters=offers,
            )

    def drain(self, draining: bool) -> None:
        with self.lock:
            self.draining = draining
            self._tell("advert", self.advert())

    def stats(self) -> dict[str, Any]:
        """Three intervals of ten seconds, and one between them in which nothing happened."""
        span = {"count": 2, "total_s": 3.0, "max_s": 2.0}
        each = {"jobs": {"succeeded": 3, "failed": 1}, "queued": span, "load": span, "run": span}
        return {"interval_s": 10.0, "intervals": [{"at": at, **each} for at in (1000.0, 1010.0, 1030.0)], "streams": 1}

    def explain(self, job_id: str) -> Explanation:
        reason = Reason(
            agent_id="laptop", device="cpu-0", code="vram_total", need_mb=20000, have_mb=8192, short_mb=11808
        )
        return Explanation(status=self.statuses[job_id].status, summary="it runs on gpu-07", reasons=[reason])
