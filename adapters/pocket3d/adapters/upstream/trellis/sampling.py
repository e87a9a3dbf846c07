"""Reports and stops TRELLIS's two samplers, and adds the checks that they lack. Needs neither torch nor TRELLIS."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

#: Takes (fraction of the whole request 0..1, what is being done); raises to stop.
Report = Callable[[float, str], None]

#: What upstream's `inject_sampler_multi_image` puts on a sampler, and leaves there if sampling raises.
_LEFT_BY_UPSTREAM = ("_inference_model", "_old_inference_model")


class TrellisFailed(RuntimeError):
    """TRELLIS ended without a usable result; where it would say nothing itself, this says what happened."""


class Span(NamedTuple):
    """The part of a request's progress that one stage takes, fractions of 1."""

    start: float
    end: float

    def at(self, done: int, total: int) -> float:
        """The request's fraction after `done` of `total` steps."""
        return self.start + (self.end - self.start) * min(done, total) / max(total, 1)


class Stage(NamedTuple):
    """The share of one sampler."""

    #: Attribute of the pipeline.
    sampler: str
    name: str
    span: Span
    steps: int


@contextlib.contextmanager
def watched(pipeline: Any, stages: list[Stage], decoding_at: float, report: Report) -> Iterator[None]:
    """While inside, `report` hears of every sampling step of the stages; what it raises ends the sampling.

    `FlowEulerSampler.sample` calls `self.sample_once` once a step (trellis/pipelines/samplers/flow_euler.py), so an
    attribute of the instance is enough; it is taken away again at the end, whatever happens.

    Raises:
        TrellisFailed: from inside the run, when there is no occupied voxel to go on with.
    """
    sample_slat, decode_slat = pipeline.sample_slat, pipeline.decode_slat

    def checked_sample_slat(cond: Any, coords: Any, *arguments: Any, **options: Any) -> Any:
        if coords.shape[0] == 0:
            raise TrellisFailed(
                "TRELLIS found no shape in this input: its first stage left every voxel empty; try another seed, more"
                " sampling steps, or a clearer prompt or image"
            )
        return sample_slat(cond, coords, *arguments, **options)

    def told_decode_slat(*arguments: Any, **options: Any) -> Any:
        report(decoding_at, "decoding the latent")
        return decode_slat(*arguments, **options)

    samplers = [(getattr(pipeline, stage.sampler), stage) for stage in stages]
    for sampler, stage in samplers:
        sampler.sample_once = _counted(sampler.sample_once, stage, report)
    pipeline.sample_slat, pipeline.decode_slat = checked_sample_slat, told_decode_slat
    try:
        yield
    finally:
        for name in ("sample_slat", "decode_slat"):
            vars(pipeline).pop(name, None)
        for sampler, _ in samplers:
            for name in ("sample_once", *_LEFT_BY_UPSTREAM):
                vars(sampler).pop(name, None)


def _counted(sample_once: Callable[..., Any], stage: Stage, report: Report) -> Callable[..., Any]:
    done = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        made = sample_once(*arguments, **options)
        done += 1
        report(stage.span.at(done, stage.steps), f"{stage.name} {done}/{stage.steps}")
        return made

    return counted
