"""The base of adapters that compute without weights: packages are all they need."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from ..base import BaseModel
from ..catalogue.needs import missing_packages


class WeightFreeModel(BaseModel):
    """Nothing to load or to unload; put it before the feature's base class. Heavy imports belong in `_process_request`:
    the class can then be described without them.

        class BrickAdapter(WeightFreeModel, TextToTextureModel):
            adapter_id = "brick-texture"
            default_vram_mb = 512
            needs = ("numpy", "PIL")
            imports = (".painting",)

    Its arguments are those of `BaseModel` that have a meaning without weights.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    #: Packages (top-level modules) without which it is not available.
    needs: ClassVar[tuple[str, ...]] = ()
    #: Modules beside that of the class which import them, imported at load: a first request does not wait for them.
    imports: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model_id: str | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int | None = None,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(self.needs)

    def _load_model(self) -> Any:
        # Names are relative to the module of the class that declares them, not to that of a subclass.
        declaring = next(cls for cls in type(self).__mro__ if "imports" in vars(cls))
        for name in self.imports:
            importlib.import_module(name, declaring.__module__.rpartition(".")[0])

    def _unload_model(self) -> None:
        """There is nothing to free."""
