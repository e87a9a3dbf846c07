"""`echo`: gives back what it was given. For benches, tests and the question whether the system is alive."""

from __future__ import annotations

from typing import Annotated, Any

from .authoring.options import Meta, Options
from .authoring.weight_free import WeightFreeModel

#: Longest `sleep_s`, seconds.
MAX_SLEEP_S = 86_400
_STEPS = 10


class EchoOptions(Options, forbid_unknown_fields=False):
    """Any keys are taken; two of them mean something."""

    sleep_s: Annotated[float, Meta(ge=0, le=MAX_SLEEP_S, description="how long it takes, seconds")] = 0.0
    vram_mb: Annotated[float, Meta(ge=0, le=10_000_000, description="the peak that it reports, MB")] | None = None


class EchoAdapter(WeightFreeModel):
    """Options among the inputs: `sleep_s`, how long it takes; `vram_mb`, the peak that it reports.

    Args:
        load_s: how long its load takes, seconds.
        others: see `WeightFreeModel`.
    """

    adapter_id = "echo"
    default_vram_mb = 16
    default_max_concurrent = 16
    default_feature = "echo"
    default_output_formats = ()
    options_type = EchoOptions

    def __init__(
        self,
        model_id: str | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int | None = None,
        load_s: float = 0.0,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(model_id, vram_requirement, max_concurrent, feature_type)
        self.load_s = load_s

    async def _load_model(self) -> None:
        if self.load_s > 0:
            await self.sleep(self.load_s)

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        options = EchoOptions.read(inputs)
        if options.vram_mb:
            self.report_vram_peak(options.vram_mb)
        seconds = options.sleep_s
        self.check_cancelled()
        if seconds:
            for step in range(_STEPS):
                self.report_progress(step / _STEPS, "sleeping")
                await self.sleep(seconds / _STEPS)
        self.report_progress(1.0, "done")
        published = self.published_inputs
        return {"success": True, "inputs": inputs if published is None else published}
