"""The upstream models, run by adapters in an environment of their own: `make test-models` makes it and names its
interpreter in POCKET3D_MODELS_PYTHON. Without that all of this folder is skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.fleet_processes import FleetProcesses, fleet_processes

HERE = Path(__file__).parent
MODELS_PYTHON = "POCKET3D_MODELS_PYTHON"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("e2e")
            if MODELS_PYTHON not in os.environ:
                item.add_marker(pytest.mark.skip(reason=f"{MODELS_PYTHON} is not set: run `make test-models`"))


@pytest.fixture(scope="session")
def models_python() -> str:
    """The interpreter that has the upstream packages."""
    return os.environ[MODELS_PYTHON]


@pytest.fixture(scope="session")
def site_packages(models_python: str) -> Path:
    """Where pip put the upstream packages."""
    told = subprocess.run(
        [models_python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(told.stdout.strip()).resolve()


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetProcesses]:
    """A real server; coordinator and agents are started by the test."""
    async with fleet_processes(tmp_path) as running:
        yield running
