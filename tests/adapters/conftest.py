"""Workers for tests, ended after each."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.worker_driver import WorkerDriver


@pytest.fixture
def new_worker(tmp_path: Path) -> Iterator[Callable[[], WorkerDriver]]:
    with contextlib.ExitStack() as made:
        numbers = itertools.count()

        def make() -> WorkerDriver:
            driver = WorkerDriver(tmp_path / f"worker-{next(numbers)}")
            made.enter_context(driver)
            return driver

        yield make


@pytest.fixture
def worker(new_worker: Callable[[], WorkerDriver]) -> WorkerDriver:
    return new_worker()
