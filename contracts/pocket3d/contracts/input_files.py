"""The files among a job's inputs: uploaded ones, ones inside the request itself, and those that another job made."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .artifact_names import is_artifact_name
from .failures import FailureCode
from .subjects import JOB_ID_PATTERN

_ARTIFACT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_=.-]{0,254}")
_FORMS = '{"artifact": name}, {"inline": base64, "filename": name} or {"result": job_id, "name": file}'
_FIELDS = frozenset({"artifact", "inline", "filename", "result", "name"})
#: What stands for the file of another job where schemas are asked: an upload, for that is what adapters know.
_ANY_UPLOAD = "sha256-" + 64 * "0"


class FileRef(msgspec.Struct, frozen=True):
    """A file among the inputs: an object in the inputs bucket, its bytes, or a file that another job made."""

    key: str
    #: Place in a `_paths` list, None for a single file.
    index: int | None
    artifact: str | None
    data: bytes | None
    filename: str | None
    #: The job whose result has the file.
    result: str | None = None
    #: Which of that job's artifacts it is; None for the only one that fits the key.
    name: str | None = None

    @property
    def field(self) -> str:
        """Where it stands in the job, e.g. `inputs.image_paths[0]`."""
        return f"inputs.{self.key}" + ("" if self.index is None else f"[{self.index}]")


class FileRefError(ValueError):
    """An input that should name a file does not."""

    def __init__(self, field: str, message: str, code: FailureCode = FailureCode.INVALID_INPUT) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.code = code


def is_file_key(key: str) -> bool:
    """True for inputs that are files: `*_path` and `*_paths`."""
    return key.endswith(("_path", "_paths"))


def file_refs(inputs: Mapping[str, Any]) -> Iterator[FileRef]:
    """The files among a job's inputs.

    Raises:
        FileRefError: a file input that is not `{"artifact": name}`, `{"inline": base64, "filename": name}` or
            `{"result": job_id, "name"?: file}`.
    """
    for key, value in inputs.items():
        if not is_file_key(key) or value is None:
            continue
        if key.endswith("_paths") and isinstance(value, list):
            for index, inner in enumerate(value):
                yield _file_ref(key, index, inner)
        else:
            yield _file_ref(key, None, value)


def result_refs(inputs: Mapping[str, Any]) -> list[FileRef]:
    """Those of the files that other jobs make; of inputs that were judged."""
    named = {key: value for key, value in inputs.items() if is_file_key(key) and _names_a_result(value)}
    return [ref for ref in file_refs(named) if ref.result is not None] if named else []


def as_uploads(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs as an adapter's schema is asked about them: the file of another job is a file like an upload."""
    named = {key: value for key, value in inputs.items() if is_file_key(key) and _names_a_result(value)}
    if not named:
        return inputs
    return {**inputs, **{key: _as_upload(value) for key, value in named.items()}}


def _names_a_result(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_names_a_result, value))
    return isinstance(value, Mapping) and "result" in value


def _as_upload(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_upload(inner) for inner in value]
    if not _names_a_result(value):
        return value
    name = value.get("name")
    named = {"filename": name.rpartition("/")[2]} if isinstance(name, str) else {}
    return {"artifact": _ANY_UPLOAD, **named}


def _file_ref(key: str, index: int | None, value: Any) -> FileRef:
    field = FileRef(key, index, None, None, None).field
    if isinstance(value, str):
        raise FileRefError(field, f"a path of a client is never opened; want {_FORMS}")
    if not isinstance(value, Mapping):
        raise FileRefError(field, f"expected an object that names a file, got {type(value).__name__}")
    unknown = sorted(set(value) - _FIELDS)
    if unknown:
        raise FileRefError(f"{field}.{unknown[0]}", f"unknown field; want {_FORMS}")
    forms = [form for form in ("artifact", "inline", "result") if value.get(form) is not None]
    if len(forms) != 1:
        raise FileRefError(field, "want exactly one of artifact, inline and result")
    if forms == ["result"]:
        return _result_ref(key, index, field, value)
    if value.get("name") is not None:
        raise FileRefError(f"{field}.name", "names a file of another job, beside result; want filename")
    artifact, inline, filename = value.get("artifact"), value.get("inline"), value.get("filename")
    if filename is not None:
        check_filename(f"{field}.filename", filename)
    if artifact is not None:
        if not isinstance(artifact, str) or not _ARTIFACT_PATTERN.fullmatch(artifact):
            raise FileRefError(f"{field}.artifact", "want the name of an uploaded artifact, e.g. sha256-<hex>")
        return FileRef(key, index, artifact, None, filename)
    if filename is None:
        raise FileRefError(f"{field}.filename", "an inline file needs a filename with its suffix")
    if not isinstance(inline, str):
        raise FileRefError(f"{field}.inline", f"expected base64 text, got {type(inline).__name__}")
    try:
        data = base64.b64decode(inline, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileRefError(f"{field}.inline", f"not base64: {error}") from error
    return FileRef(key, index, None, data, filename)


def _result_ref(key: str, index: int | None, field: str, value: Mapping[str, Any]) -> FileRef:
    source, name = value["result"], value.get("name")
    if not isinstance(source, str) or not JOB_ID_PATTERN.fullmatch(source):
        raise FileRefError(f"{field}.result", "want the id of a job, 1 to 64 of A-Z, a-z, 0-9, _ and -")
    if value.get("filename") is not None:
        raise FileRefError(f"{field}.filename", "a file of another job keeps its name; want name")
    if name is not None and not (isinstance(name, str) and is_artifact_name(name)):
        raise FileRefError(f"{field}.name", "want the name of one of that job's artifacts, e.g. chair.glb")
    return FileRef(key, index, None, None, None, source, name)


def check_filename(field: str, name: Any) -> None:
    """Refuse names that could leave the job's directory.

    Raises:
        FileRefError: separators, `..`, control characters, or not 1 to 255 characters.
    """
    if not isinstance(name, str):
        raise FileRefError(field, f"expected a string, got {type(name).__name__}")
    if "/" in name or "\\" in name or ".." in name:
        raise FileRefError(field, f"{name[:80]!r}: separators and .. are not allowed in a filename")
    if not 0 < len(name) <= 255 or len(name.encode()) > 255 or name == "." or any(ord(c) < 32 for c in name):
        raise FileRefError(field, f"{name[:80]!r} is not a filename")
