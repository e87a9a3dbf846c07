"""The metadata of listed jobs: of an unfinished one in its request, of an ended one in its result."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pocket3d.bus.client import Client
from pocket3d.bus.client.stored_request import stored_request
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Status

#: Jobs that are asked for side by side.
_AT_A_TIME = 64


class _Body(msgspec.Struct):
    metadata: dict[str, Any] = {}


async def having(client: Client, jobs: Sequence[Status], wanted: Mapping[str, str]) -> list[Status]:
    """Those of the jobs whose metadata has these values; numbers and words are compared as they are written in JSON.

    Raises:
        BusError: the streams cannot be read.
    """
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def fits(job: Status) -> bool:
        async with gate:
            metadata = await _metadata(client, job)
        return all(_text(metadata.get(key)) == value for key, value in wanted.items())

    fitting = await asyncio.gather(*map(fits, jobs))
    return [job for job, fit in zip(jobs, fitting, strict=True) if fit]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


async def _metadata(client: Client, job: Status) -> dict[str, Any]:
    bus, subjects = client.bus, client.subjects
    if job.status in TERMINAL:
        result = await bus.last(subjects.results_stream, subjects.result_of(job.job_id))
        return _read(result.data if result is not None else b"")
    request = await stored_request(bus, subjects, job.job_id)
    return _read(request.data if request is not None else b"")


def _read(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=_Body).metadata
    except msgspec.DecodeError:
        # Gone meanwhile, or something else stands there.
        return {}
