"""Which file of a result was asked for. Pure."""

from __future__ import annotations

from pocket3d.contracts.features import output_key
from pocket3d.contracts.messages import Artifact, Result

from .errors import HttpError

#: Keys that name the file which was asked for, of features that are not in the table too.
_MAIN = ("output_mesh_path", "output_splat_path", "mesh_path", "output_path", "file_path")


def main_file(result: Result) -> Artifact:
    """The file that was asked for: a mesh, of most features; the only file where the outputs name none.

    Raises:
        HttpError: 409 the job did not succeed, 404 it made no such file.
    """
    if result.status != "succeeded":
        raise HttpError(409, why(result))
    outputs = result.outputs or {}
    for key in (output_key(result.feature), *_MAIN):
        found = _named(result, outputs.get(key)) if key is not None else None
        if found is not None:
            return found
    if len(result.artifacts) == 1:
        return result.artifacts[0]
    raise HttpError(404, f"job {result.job_id} made no file that its result names as its output")


def thumbnail(result: Result) -> Artifact | None:
    """The picture of what was made, if there is one."""
    return _named(result, (result.outputs or {}).get("thumbnail_path"))


def why(result: Result) -> str:
    """Why a job did not succeed, in one line."""
    if result.error is None:
        return f"the job ended as {result.status}"
    where = f"{result.error.field}: " if result.error.field else ""
    return f"the job ended as {result.status}: {where}{result.error.message} ({result.error.code})"


def _named(result: Result, name: object) -> Artifact | None:
    return next((artifact for artifact in result.artifacts if artifact.name == name), None)
