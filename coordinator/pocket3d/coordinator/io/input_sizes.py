"""How large the artifacts are that a job names: looked up once, when it is submitted, so that no award waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from pocket3d.bus.port import Bus, BusError, ObjectInfo
from pocket3d.contracts.input_files import file_refs
from pocket3d.contracts.size_classes import size_header
from pocket3d.contracts.subjects import Subjects

log = structlog.get_logger(__name__)

#: Files that are looked up at a time: a group may name tens of thousands, and the server answers in order, so that what
#: else is asked of it, renewals of the lease too, would wait for all of them.
AT_ONCE = 16


class InputSizes:
    """Looks up the sizes for one kind of submitter; others' questions do not wait for these."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._bucket = subjects.inputs_bucket
        self._places = asyncio.Semaphore(AT_ONCE)

    async def header(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """What a job's message says of its artifacts' size; nothing where there are none, or one is not known."""
        named = dict.fromkeys(ref.artifact for ref in file_refs(inputs) if ref.artifact is not None)
        try:
            found = await asyncio.gather(*map(self._look, named))
        except BusError as error:
            # It is only an estimate: the job goes without.
            log.debug("the sizes of a job's artifacts are not known", error=str(error))
            return {}
        return size_header(inputs, {info.name: info.size for info in found if info is not None})

    async def _look(self, name: str) -> ObjectInfo | None:
        async with self._places:
            return await self._bus.object_info(self._bucket, name)
