"""`echo`: gives back what it was given. For benches, tests and the question whether the system is alive."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import BaseModel
from .errors import InvalidInput

#: Longest `sleep_s`, seconds.
MAX_SLEEP_S = 86_400
_STEPS = 10


class EchoAdapter(BaseModel):
    """Options among the inputs: `sleep_s`, how long it takes; `vram_mb`, the peak that it reports.

    Args:
        vram_requirement: MB.
        load_s: how long its load takes, seconds.
        options: see `BaseModel`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_feature: ClassVar[str] = "echo"
    default_output_formats: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model_id: str = "echo",
        vram_requirement: int = 16,
        max_concurrent: int = 16,
        load_s: float = 0.0,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )
        self.load_s = load_s

    async def _load_model(self) -> str:
        if self.load_s > 0:
            await self.sleep(self.load_s)
        return "echo"

    async def _unload_model(self) -> None:
        """There is nothing to free."""

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """`sleep_s` in seconds and `vram_mb` in MB, if given."""
        _number(inputs, "sleep_s", MAX_SLEEP_S)
        _number(inputs, "vram_mb", 10_000_000)

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        peak = _number(inputs, "vram_mb", 10_000_000)
        if peak:
            self.report_vram_peak(peak)
        seconds = _number(inputs, "sleep_s", MAX_SLEEP_S)
        self.check_cancelled()
        if seconds:
            for step in range(_STEPS):
                self.report_progress(step / _STEPS, "sleeping")
                await self.sleep(seconds / _STEPS)
        self.report_progress(1.0, "done")
        published = self.published_inputs
        return {"success": True, "inputs": inputs if published is None else published}

    def get_parameter_schema(self) -> dict[str, Any]:
        """Any keys are taken; two of them mean something."""
        return {
            "type": "object",
            "properties": {
                "sleep_s": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": MAX_SLEEP_S,
                    "default": 0,
                    "description": "how long it takes, seconds",
                },
                "vram_mb": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 10_000_000,
                    "description": "the peak that it reports, MB",
                },
            },
            "additionalProperties": True,
        }


def _number(inputs: dict[str, Any], key: str, maximum: float) -> float:
    value = inputs.get(key)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= maximum:
        raise InvalidInput(f"{key} is {value!r}; want a number from 0 to {maximum}", key)
    return float(value)
