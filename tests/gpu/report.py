"""The report of a run, written after each test: a run that is cut off leaves what it has."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .card import Card

_PACKAGES = ("torch", "triton", "cupy-cuda13x", "cupy-cuda12x", "nvidia-ml-py", "numpy")


class Report:
    """Card, driver and packages, and of each test its name, outcome, seconds and figures."""

    def __init__(self, path: Path, *, rehearsal: bool) -> None:
        self.started = time.monotonic()
        self._path = path
        self._facts: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "rehearsal": rehearsal,
            "card": None,
            "driver": None,
            "python": platform.python_version(),
            "packages": {name: version for name in _PACKAGES if (version := _version(name))},
            "seconds": 0.0,
            "tests": [],
        }

    def about(self, card: Card) -> None:
        """Note the card."""
        self._facts["card"] = {"uuid": card.uuid, "name": card.name, "total_mb": card.total_mb}
        self._facts["driver"] = card.driver
        self._write()

    def add(self, name: str, outcome: str, seconds: float, figures: dict[str, Any], why: str) -> None:
        """Note a test's end; of one that was skipped, `why` is the reason."""
        test = {"name": name, "outcome": outcome, "seconds": round(seconds, 2), "figures": figures}
        if outcome == "skipped":
            test["outcome"] = f"not run: {why}"
        elif why:
            test["why"] = why[-1500:]
        self._facts["tests"].append(test)
        self._write()

    def _write(self) -> None:
        self._facts["seconds"] = round(time.monotonic() - self.started, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._facts, indent=1) + "\n")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
