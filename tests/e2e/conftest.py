"""A real fleet per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from support.fleet_processes import FleetProcesses, fleet_processes


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetProcesses]:
    async with fleet_processes(tmp_path) as running:
        yield running
