"""The base of adapters of foreign systems: their constructor's arguments are declared once, as a Struct."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from ..base import BaseModel
from ..errors import AdapterUnavailable
from . import card

#: How often a request that waits for its turn looks whether it was cancelled, seconds.
_LOOK_S = 0.1
_COMMON = ("model_id", "model_path", "feature_type", "max_concurrent", "supported_output_formats")


class UpstreamConfig(msgspec.Struct, kw_only=True):
    """The arguments that every one of them takes, as `config` in models.yaml states them."""

    #: Its name; by default the adapter's id.
    model_id: str | None = None
    #: The weights: a folder (or a file), or a repository on the hub; by default where upstream has them.
    model_path: str | Path | None = None
    #: MB; by default the adapter's own measurement.
    vram_requirement: int | None = None
    #: Requests that may be handed to it at once.
    max_concurrent: int = 1
    #: The feature; by default the class's own.
    feature_type: str | None = None


def folder(given: str | Path | None) -> Path | None:
    """An absolute path of one that a person wrote."""
    return None if given is None else Path(given).expanduser().absolute()


class UpstreamModel(BaseModel):
    """Put it before the feature's base class, and declare `config_type`, whose fields are its arguments.

    Raises:
        TypeError: an argument that is none of them.
        ValueError: one that `config_type` refuses.
    """

    config_type: ClassVar[type[UpstreamConfig]]
    config: UpstreamConfig

    def __init_subclass__(cls, **options: Any) -> None:
        """Show the fields as the arguments of the constructor."""
        super().__init_subclass__(**options)
        if "config_type" in vars(cls):
            signature = inspect.signature(cls.config_type)
        elif "__init__" in vars(cls):
            signature = inspect.signature(cls.__init__)
            signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        else:
            return
        cls.__signature__ = signature  # type: ignore[attr-defined]  # `inspect` reads it

    def __init__(self, **config: Any) -> None:
        self.config = self.config_type(**config)
        common = {name: getattr(self.config, name) for name in _COMMON if hasattr(self.config, name)}
        super().__init__(vram_requirement=self._vram_mb(), **common)
        self._one_at_a_time = threading.Lock()

    def require_available(self) -> None:
        """Raise AdapterUnavailable with what `check_available` says is missing."""
        missing = self.check_available()
        if missing is not None:
            raise AdapterUnavailable(missing)

    def require_card(self) -> tuple[int, int] | None:
        """The compute capability of this worker's GPU; None on the CPU.

        Raises:
            AdapterUnavailable: torch has no code for it.
        """
        if not self.device.startswith("cuda"):
            return None
        found = card.card()
        card.require(found)
        return found.capability

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One request after the other, since upstream's pipelines keep state. A cancel ends the wait."""
        while not self._one_at_a_time.acquire(timeout=_LOOK_S):
            self.check_cancelled()
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def _vram_mb(self) -> int | None:
        """MB of the model and one request, where the configuration decides; None for `default_vram_mb`."""
        return self.config.vram_requirement
