"""How large the artifacts are that a job names: looked up once, when it is submitted, so that no award waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.input_files import file_refs
from pocket3d.contracts.size_classes import size_header
from pocket3d.contracts.subjects import Subjects

log = structlog.get_logger(__name__)


async def look_up_sizes(bus: Bus, subjects: Subjects, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The header of the job's message that says it; none where there are no artifacts, or one is not known."""
    named = [ref.artifact for ref in file_refs(inputs) if ref.artifact is not None]
    try:
        found = await asyncio.gather(*(bus.object_info(subjects.inputs_bucket, each) for each in dict.fromkeys(named)))
    except BusError as error:
        # It is only an estimate: the job goes without.
        log.debug("the sizes of a job's artifacts are not known", error=str(error))
        return {}
    return size_header(inputs, {info.name: info.size for info in found if info is not None})
