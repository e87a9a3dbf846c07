"""Which file of another job's result an input means: the named one, or the only one that fits the input's key. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from .failures import FailureCode
from .input_files import FileRef
from .jobs import Rejection
from .messages import Artifact, Result

#: Words of a key -> how the media types of its files begin. A key without any of these takes every file.
_KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("image", "mask", "photo", "picture", "texture"), "image/"),
    (("mesh", "model", "splat"), "model/"),
    (("video",), "video/"),
)
#: Materials: part of a mesh that another file is.
_NO_MESH = "model/mtl"
#: Files of models that have no registered media type.
_MODEL_SUFFIXES = frozenset({".fbx", ".splat", ".blend"})
#: Files that a rejection names.
_SHOWN = 20


def fits(key: str, artifact: Artifact) -> bool:
    """True if a file may stand under an input's key, by its media type: images under `image_path`, models under
    `mesh_path`. A key that says nothing of the kind takes all.
    """
    begins = next((begin for words, begin in _KINDS if any(word in key for word in words)), "")
    if begins == "model/" and PurePosixPath(artifact.name).suffix.lower() in _MODEL_SUFFIXES:
        return True
    return artifact.media_type.startswith(begins) and not (begins and artifact.media_type == _NO_MESH)


def choose(ref: FileRef, result: Result) -> Artifact | Rejection:
    """The file that an input means, of the result of the job that it names and that succeeded; or why there is none."""
    if ref.name is not None:
        named = next((each for each in result.artifacts if each.name == ref.name), None)
        if named is not None:
            return named
        text = f"job {result.job_id} made no file {ref.name!r}; it made {_names(result.artifacts)}"
        return Rejection(FailureCode.ARTIFACT_MISSING, f"{ref.field}.name", text)
    fitting = [each for each in result.artifacts if fits(ref.key, each)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        text = f"job {result.job_id} made several files that fit; say by `name` which one: {_names(fitting)}"
    else:
        text = f"job {result.job_id} made no file that fits {ref.key}; it made {_names(result.artifacts)}"
    return Rejection(FailureCode.INVALID_INPUT, f"{ref.field}.name", text)


def _names(artifacts: list[Artifact]) -> str:
    more = f" and {len(artifacts) - _SHOWN} more" if len(artifacts) > _SHOWN else ""
    return (", ".join(each.name for each in artifacts[:_SHOWN]) or "no file") + more
