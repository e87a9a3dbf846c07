"""Which tests execute which lines, and how long each takes: one run of the fast tests with coverage's contexts.

A pytest plugin (`-p mutants.baseline`); it writes what it saw to the file that `MUTANTS_BASELINE` names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.import_graph import modules
from support.purity import deciding

#: Names the file to be written.
FILE_VARIABLE = "MUTANTS_BASELINE"
#: A test that took longer is not fast, seconds.
_FAST_S = 5.0


class Baseline(NamedTuple):
    """What the fast tests do without any mutant."""

    #: Test -> seconds, of those that passed and are fast.
    durations: dict[str, float]
    #: File -> line -> numbers of the tests that execute it (into the order of `durations`).
    lines: dict[str, dict[str, list[int]]]

    def tests_of(self, file: str, line: int, *, at_import: bool) -> list[str]:
        """The tests that execute a line, quick ones first. A line that is executed when its module is imported
        belongs to every test that executes anything of the module, not to the one that imported it first.
        """
        names = list(self.durations)
        of_file = self.lines.get(file, {})
        if at_import:
            numbers = {number for of_line in of_file.values() for number in of_line}
        else:
            numbers = set(of_file.get(str(line), ()))
        return sorted((names[number] for number in numbers), key=lambda name: (self.durations[name], name))


def load(paths: Iterable[Path]) -> Baseline:
    """What several runs of different tests wrote, as one."""
    together = Baseline({}, {})
    for path in paths:
        one = Baseline(**json.loads(path.read_text(encoding="utf-8")))
        before = len(together.durations)
        together.durations.update(one.durations)
        for file, of_file in one.lines.items():
            merged = together.lines.setdefault(file, {})
            for line, numbers in of_file.items():
                merged.setdefault(line, []).extend(number + before for number in numbers)
    return together


class _Recorder:
    def __init__(self, target: Path) -> None:
        import coverage

        self._target = target
        files = [str(modules()[name].path) for name in deciding()]
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=files)
        # Tests of a folder may execute nothing that decides.
        self._coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self._durations: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        result = yield
        self._coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._durations[report.nodeid] = self._durations.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        fast = {
            name: round(seconds, 3)
            for name, seconds in self._durations.items()
            if name not in self._failed and seconds <= _FAST_S
        }
        numbers = {name: number for number, name in enumerate(fast)}
        lines: dict[str, dict[str, list[int]]] = {}
        data = self._coverage.get_data()
        for file in data.measured_files():
            of_file = {
                str(line): sorted(numbers[name] for name in contexts if name in numbers)
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            lines[file] = {line: found for line, found in of_file.items() if found}
        self._target.write_text(json.dumps(Baseline(fast, lines)._asdict()), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Recorder(Path(os.environ[FILE_VARIABLE])))
