"""The suite for a host with an NVIDIA GPU, which `make gpu` runs; elsewhere all of this folder is skipped.

`GPU_SUITE` names the report that is written. With `GPU_SUITE_REHEARSAL=1` there is no GPU: the driver is a stand-in,
the models hold host memory, and what only a GPU can show is left out; the report says so.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gpu.card import REHEARSAL, Card, find_card
from gpu.report import Report
from support.fleet_processes import FleetProcesses, fleet_processes

HERE = Path(__file__).parent
#: The whole suite ends within it: tests that would begin later are skipped, and the report says so.
BUDGET_S = 7 * 60.0
REPORT = pytest.StashKey[Report]()
FIGURES = pytest.StashKey[dict[str, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    if "GPU_SUITE" in os.environ:
        # The tests' own bound on memory, which their processes inherit, is none for what CUDA maps.
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        config.stash[REPORT] = Report(Path(os.environ["GPU_SUITE"]), rehearsal=REHEARSAL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("gpu")
            if REHEARSAL:
                # Whether it is in time says nothing on a machine that does other things as well.
                item.add_marker(pytest.mark.timeout(900), append=False)
            if "GPU_SUITE" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="run `make gpu` on a host with an NVIDIA GPU"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    report = item.config.stash.get(REPORT, None)
    if report is not None and not REHEARSAL and time.monotonic() - report.started > BUDGET_S:
        pytest.skip(f"the suite's {BUDGET_S:.0f} s are over")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    outcome = yield
    report = item.config.stash.get(REPORT, None)
    if report is not None and (outcome.when == "call" or outcome.outcome != "passed"):
        why = "" if outcome.outcome == "passed" else str(getattr(outcome, "longreprtext", "") or outcome.longrepr)
        if outcome.outcome == "skipped" and isinstance(outcome.longrepr, tuple):
            # File, line and the reason.
            why = str(outcome.longrepr[2]).removeprefix("Skipped: ")
        report.add(item.name, outcome.outcome, outcome.duration, item.stash.get(FIGURES, {}), why)
    return outcome


@pytest.fixture(scope="session")
def card(request: pytest.FixtureRequest) -> Card:
    """The first GPU that CUDA and the driver show."""
    found = find_card()
    report = request.config.stash.get(REPORT, None)
    if report is not None:
        report.about(found)
    return found


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the test measures: it is put into the report, also where the test fails."""
    kept: dict[str, Any] = {}
    request.node.stash[FIGURES] = kept
    return kept


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetProcesses]:
    async with fleet_processes(tmp_path) as running:
        yield running
