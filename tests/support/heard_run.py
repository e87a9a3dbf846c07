"""One request to an adapter in this process, with what it reports, and a cancel at a given stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.base import BaseModel


class HeardRun:
    """A request whose files go to `folder`; `at` cancels it when a stage begins with that text."""

    def __init__(self, folder: Path, at: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._heard: list[tuple[float | None, str | None]] = []
        self._at = at
        self.context = RunContext(output_dir=folder, on_progress=self._hear)

    @property
    def stages(self) -> list[str]:
        """The stages that were reported, in order."""
        return [stage for _, stage in self._heard if stage is not None]

    @property
    def fractions(self) -> list[float]:
        """The fractions that were reported, in order."""
        return [fraction for fraction, _ in self._heard if fraction is not None]

    def _hear(self, fraction: float | None, stage: str | None, _: str | None) -> None:
        self._heard.append((fraction, stage))
        if self._at is not None and (stage or "").startswith(self._at):
            self.context.cancel()

    async def of(self, adapter: BaseModel, inputs: dict[str, Any]) -> dict[str, Any]:
        """The adapter's answer."""
        token = current_run.set(self.context)
        try:
            return await adapter.process(inputs)
        finally:
            current_run.reset(token)
