"""A pytest plugin (`-p mutants.import_mutant`) that lets one module be imported as its mutant.

No file of the project is changed, so that several mutants can be tried at a time and an end in between leaves nothing
behind. `MUTANTS_TRIAL` names a JSON file: the module, its path, its mutated source, and the tests to run in order.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import pytest

#: Names the file with the trial.
FILE_VARIABLE = "MUTANTS_TRIAL"


class Trial(NamedTuple):
    """One mutant and the tests that it must survive."""

    module: str
    path: str
    source: str
    tests: list[str]


class _Mutated(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """Compile the mutant; never from or into a cache."""
        return compile(self._source, self.path, "exec", dont_inherit=True)


class Finder:
    """Finds one module as its mutant, and leaves all others to those behind it."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Called by the import system."""
        trial = self._trial
        if name != trial.module:
            return None
        package = [str(Path(trial.path).parent)] if Path(trial.path).name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, trial.path, loader=_Mutated(name, trial.path, trial.source), submodule_search_locations=package
        )


class _Selection:
    """Runs the tests of a trial, quick ones first, and no others."""

    def __init__(self, tests: list[str]) -> None:
        self._place = {name: place for place, name in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid]
        )


def _begin() -> Trial | None:
    """Take over the imports. When this plugin is imported: the conftest files come before any hook."""
    if FILE_VARIABLE not in os.environ:
        return None
    trial = Trial(**json.loads(Path(os.environ[FILE_VARIABLE]).read_text(encoding="utf-8")))
    assert trial.module not in sys.modules, f"{trial.module} was imported before its mutant could be"
    sys.meta_path.insert(0, Finder(trial))
    return trial


_TRIAL = _begin()


def pytest_configure(config: pytest.Config) -> None:
    if _TRIAL is not None:
        config.pluginmanager.register(_Selection(_TRIAL.tests))
