"""Plays coordinator and agent for tests of the client: tells a job's story on a bus, in the shapes of the wire."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pocket3d.bus.port import Bus, Closable, Endpoint, Expect, Msg, ServiceSpec
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import Artifact, JobError, Progress, Result, Status
from pocket3d.contracts.subjects import Subjects

_START = 1_795_000_000.0


class Teller:
    """Writes what the system would write about one job."""

    def __init__(self, bus: Bus, subjects: Subjects, job_id: str, feature: str = "echo") -> None:
        self.bus = bus
        self.subjects = subjects
        self.job_id = job_id
        self.feature = feature
        self._clock = itertools.count()

    def _at(self) -> str:
        return rfc3339(_START + next(self._clock))

    def status(self, word: str, **more: Any) -> Status:
        return Status(
            job_id=self.job_id,
            feature=self.feature,
            priority="normal",
            tenant="default",
            status=word,  # type: ignore[arg-type]
            attempt=more.pop("attempt", 0),
            at=self._at(),
            **more,
        )

    async def event(self, event: str, word: str | None = None, **more: Any) -> Status:
        status = self.status(word or event, **more)
        await self.bus.append(self.subjects.event(self.feature, self.job_id, event), encode(status))
        return status

    async def progress(self, fraction: float, attempt: int = 1) -> Progress:
        progress = Progress(
            job_id=self.job_id,
            feature=self.feature,
            attempt=attempt,
            agent_id="gpu-07",
            fraction=fraction,
            at=self._at(),
        )
        await self.bus.append(self.subjects.progress(self.feature, self.job_id), encode(progress))
        return progress

    def make_result(self, status: str = "succeeded", artifacts: list[Artifact] | None = None, **more: Any) -> Result:
        error = None if status == "succeeded" else JobError(code="adapter_error", message="it broke")
        return Result(
            job_id=self.job_id,
            feature=self.feature,
            status=status,
            attempt=1,
            artifacts=artifacts or [],
            error=error,
            **more,
        )

    async def result(self, result: Result | None = None) -> Result:
        """Store a result as the system does: the server admits one per job."""
        result = result or self.make_result()
        await self.bus.append(
            self.subjects.proposal(self.feature, self.job_id),
            encode(result),
            expect=Expect(0, self.subjects.result_of(self.job_id)),
        )
        return result

    async def output(self, name: str, data: bytes, *, sha256: str | None = None) -> Artifact:
        """Store an output file; `sha256` to claim another digest than it has."""
        stored = f"{self.job_id}/1-1/{name}"
        info = await self.bus.put_object(self.subjects.outputs_bucket, stored, data)
        return Artifact(
            name=name,
            bucket=self.subjects.outputs_bucket,
            object=stored,
            size=info.size,
            sha256=sha256 or hashlib.sha256(data).hexdigest(),
            media_type="model/gltf-binary",
        )


async def serve_api(bus: Bus, subjects: Subjects, **verbs: Callable[[dict[str, Any]], Awaitable[Any]]) -> Closable:
    """A coordinator's service of which each verb is a function from the request to the answer."""

    def endpoint(verb: str, answer: Callable[[dict[str, Any]], Awaitable[Any]]) -> Endpoint:
        async def handle(msg: Msg) -> bytes:
            return encode(await answer(msgspec.json.decode(msg.data)))

        return Endpoint(verb, subjects.api(verb), handle)

    endpoints = [endpoint(verb, answer) for verb, answer in verbs.items()]
    return await bus.serve(ServiceSpec(subjects.api_service, "1.0.0", "a coordinator for tests", endpoints))
