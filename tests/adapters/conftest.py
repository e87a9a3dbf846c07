"""Workers for tests, ended after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.worker_driver import WorkerDriver


@pytest.fixture
def new_worker(tmp_path: Path) -> Iterator[Callable[[], WorkerDriver]]:
    made: list[WorkerDriver] = []

    def make() -> WorkerDriver:
        made.append(WorkerDriver(tmp_path / f"worker-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def worker(new_worker: Callable[[], WorkerDriver]) -> WorkerDriver:
    return new_worker()
