"""For all tests: the environment of whoever runs them decides nothing."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from support.glb_session import GlbSession, validator

HERE = Path(__file__).parent
#: What a process of the tests may allocate: a test that runs away ends with a MemoryError and its name, not with the
#: machine's memory and the process that ran the tests.
MOST_BYTES = 12 * 2**30
NEED_TORCH = ("torch", "trimesh", "scipy", "PIL")

#: Read by tests: the interpreter of tests/models (ops/test_models.sh), and how many seeds of the simulation.
KEPT = ("POCKET3D_MODELS_PYTHON", "POCKET3D_SIMULATION_SEEDS")

if sys.platform.startswith("linux"):
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))

for _name in [name for name in os.environ if name.startswith(("POCKET3D_", "NATS_")) and name not in KEPT]:
    del os.environ[_name]


if importlib.util.find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, settings

    # How long an example takes says what else the machine does.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gltf-validator",
        type=Path,
        metavar="FOLDER",
        help="have Khronos' validator, in this folder of node modules, judge the GLB files that adapters wrote",
    )


def pytest_configure(config: pytest.Config) -> None:
    modules = config.getoption("--gltf-validator")
    if modules is not None:
        config.pluginmanager.register(GlbSession(validator(modules)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/e2e is `e2e`; what is marked `torch` is skipped where that is not installed."""
    missing = [name for name in NEED_TORCH if importlib.util.find_spec(name) is None]
    for item in items:
        if item.path.is_relative_to(HERE / "e2e"):
            item.add_marker("e2e")
        if missing and item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = _waiting_among_computing(items)


def _waiting_among_computing(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same tests in another order: those of whole systems, which mostly wait, come evenly among those that compute.

    Processes that share the tests take them in this order. One after the other, all of them would wait at a time, and
    compete at another.
    """
    waiting = [item for item in items if item.path.is_relative_to(HERE / "e2e")]
    others = [item for item in items if not item.path.is_relative_to(HERE / "e2e")]
    computing = sum(_computes(item) for item in others)
    if not waiting or not computing:
        return items
    mixed: list[pytest.Item] = []
    passed = placed = 0
    for item in others:
        mixed.append(item)
        passed += _computes(item)
        due = len(waiting) * passed // computing
        mixed += waiting[placed:due]
        placed = due
    return mixed


def _computes(item: pytest.Item) -> bool:
    return item.get_closest_marker("torch") is not None or item.path.is_relative_to(HERE / "simulation")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands and embedded systems set logging up for their process; the next test gets the logging that it had."""
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
