"""An adapter that needs a package of which two versions cannot live in one environment."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.catalogue.needs import missing_packages

_MEET_S = 60.0


class VersionAdapter(BaseModel):
    """Says which version of `catlib` it has, once its partner runs as well.

    Args:
        needs: packages that must be installed.
        weights: a file that must be there.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_feature: ClassVar[str] = "tell_version"

    def __init__(self, needs: str = "catlib", weights: str | None = None) -> None:
        super().__init__("version", vram_requirement=64)
        self.needs = needs
        self.weights = weights

    def check_available(self) -> str | None:
        if self.weights is not None and not Path(self.weights).is_file():
            return f"weights missing: {self.weights}; run: pocket3d adapters install cat"
        return missing_packages([self.needs])

    def _load_model(self) -> Any:
        return importlib.import_module("catlib")

    def _unload_model(self) -> None:
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        meeting = Path(inputs["meeting"])
        (meeting / inputs["me"]).touch()
        ends = time.monotonic() + _MEET_S
        # Both must run at once, or neither ends.
        while not (meeting / inputs["partner"]).exists():
            self.check_cancelled()
            if time.monotonic() > ends:
                raise RuntimeError(f"{inputs['partner']} never ran beside it")
            time.sleep(0.01)
        return {"success": True, "version": self.model.VERSION, "prefix": sys.prefix}
