"""Reports and stops TRELLIS.2's samplers and the calls between them. Needs neither torch nor TRELLIS.2."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..trellis.sampling import Report, Stage, TrellisFailed


@contextlib.contextmanager
def watched(
    pipeline: Any, stages: Sequence[Stage], calls: Mapping[str, tuple[float, str]], report: Report
) -> Iterator[None]:
    """While inside, `report` hears of every sampling step of the stages, and before each call of the pipeline's methods
    in `calls` (method -> fraction of the request, what it does); what it raises ends the run.

    `FlowEulerSampler.sample` calls `self.sample_once` once a step (trellis2/pipelines/samplers/flow_euler.py), and the
    pipelines call their own methods by `self`, so attributes of the instances are enough; they are taken away again at
    the end, whatever happens.

    Raises:
        TrellisFailed: from inside the run, when there is no occupied voxel to go on with.
    """
    with contextlib.ExitStack() as undo:
        for name, (fraction, words) in calls.items():
            _hide(undo, pipeline, name, _announced(getattr(pipeline, name), fraction, words, report))
        if hasattr(pipeline, "sample_sparse_structure"):
            _hide(undo, pipeline, "sample_sparse_structure", _not_empty(pipeline.sample_sparse_structure))
        for stage in stages:
            sampler = getattr(pipeline, stage.sampler)
            _hide(undo, sampler, "sample_once", _counted(sampler.sample_once, stage, report))
        yield


def _hide(undo: contextlib.ExitStack, owner: Any, name: str, method: Callable[..., Any]) -> None:
    """Put a method before the class's one until `undo` is closed."""
    setattr(owner, name, method)
    undo.callback(vars(owner).pop, name, None)


def _announced(method: Callable[..., Any], fraction: float, words: str, report: Report) -> Callable[..., Any]:
    def announced(*arguments: Any, **options: Any) -> Any:
        report(fraction, words)
        return method(*arguments, **options)

    return announced


def _not_empty(sample: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any, **options: Any) -> Any:
        coords = sample(*arguments, **options)
        if coords.shape[0] == 0:
            raise TrellisFailed(
                "TRELLIS.2 found no shape in this image: its first stage left every voxel empty; try another seed, more"
                " sampling steps, or a clearer image"
            )
        return coords

    return checked


def _counted(sample_once: Callable[..., Any], stage: Stage, report: Report) -> Callable[..., Any]:
    done = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        made = sample_once(*arguments, **options)
        done += 1
        report(stage.span.at(done, stage.steps), f"{stage.name} {done}/{stage.steps}")
        return made

    return counted
