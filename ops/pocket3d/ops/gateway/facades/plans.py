"""What a facade's request comes to: one job, or several of which each takes the file of the one before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .embedded_files import File


class Earlier(NamedTuple):
    """Stands among a step's inputs for the file that the step before made."""


EARLIER: Final = Earlier()


class Step(NamedTuple):
    """One job. Its inputs hold a `File` (or a list of them) where a file goes."""

    feature: str
    inputs: dict[str, Any]
    model_preference: str | None = None
    variant: str | None = None


class Plan(NamedTuple):
    """The jobs of a request; the answer is the last one's."""

    steps: tuple[Step, ...]
    #: Names of parameters that are passed over.
    ignored: tuple[str, ...] = ()
    #: The client wants the file itself inside the answer, where there is a choice.
    file_inside: bool = False


def job_id(uid: str, number: int, steps: int) -> str:
    """The id of a plan's step, counted from 1. The last one has the id that the client is told."""
    return uid if number == steps else f"{uid}-{number}"


def body(facade: str, step: Step, job: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A step as `p3d.api.submit` takes it.

    Args:
        facade: goes into the metadata.
        step: whose inputs were replaced by `inputs`.
        job: its id.
        inputs: with references in place of files.
    """
    wanted: dict[str, Any] = {
        "job_id": job,
        "feature": step.feature,
        "inputs": dict(inputs),
        "metadata": {"facade": facade},
    }
    if step.model_preference is not None:
        wanted["model_preference"] = step.model_preference
    if step.variant is not None:
        wanted["variant"] = step.variant
    return wanted


def files_of(step: Step) -> list[File]:
    """The files among a step's inputs."""
    found = []
    for value in step.inputs.values():
        found += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, File)]
    return found


def with_references(step: Step, references: Mapping[File, Mapping[str, Any]], before: str | None) -> dict[str, Any]:
    """A step's inputs with references: of files to artifacts, of the earlier file to the job that makes it."""

    def put(value: Any) -> Any:
        if isinstance(value, File):
            return dict(references[value])
        if isinstance(value, Earlier):
            return {"result": before}
        return [put(each) for each in value] if isinstance(value, list) else value

    return {key: put(value) for key, value in step.inputs.items()}
