"""Turns what an adapter returned into what may cross the wire: a JSON object whose paths are names of artifacts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import msgspec

from pocket3d.contracts.codec import is_wire_integer
from pocket3d.contracts.jobs import MAX_RESULT_BYTES, is_file_key
from pocket3d.contracts.worker_frames import OutputFile

from .output_files import InvalidOutput, OutputFiles

_MAX_DEPTH = 64
#: An array of more bytes could never fit into a result as text.
_MAX_ARRAY_BYTES = 4 * MAX_RESULT_BYTES
#: What `is_small` takes for few and for short.
_SMALL_VALUES = 64
_SMALL_TEXT = 256


def clean_outputs(
    returned: Any, *, output_dir: Path, inputs: Mapping[str, Any], published: Mapping[str, Any] | None, started_ns: int
) -> tuple[dict[str, Any], list[OutputFile]]:
    """Check and convert what `process` returned: the outputs, and the files that they name. Reads and may copy files:
    not for the event loop.

    `inputs` are what the adapter was given, with local paths, `published` what the producer published, where that
    differs; `started_ns` is the wall clock at the start of the request.

    Raises:
        InvalidOutput: not a dict, not JSON, too large, or a file that is not there or not this request's.
    """
    if not isinstance(returned, dict):
        raise InvalidOutput(f"the adapter returned {type(returned).__name__}, want a dict")
    given = [Path(text) for text in _file_inputs(inputs)]
    files = OutputFiles(output_dir, given, started_ns)
    echoed = published if published is not None else (inputs if not given else None)
    outputs: dict[str, Any] = {}
    for key, value in returned.items():
        name = _key(key, "outputs")
        # What the producer wrote himself goes back as it came, even where it looks like a path.
        same = name == "inputs" and echoed is not None and value == echoed
        outputs[name] = _clean(value, None if same else files, f"outputs.{name}", is_file_key(name), 1)
    try:
        size = len(msgspec.json.encode(outputs))
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidOutput(f"the outputs are not JSON: {error}") from error
    if size > MAX_RESULT_BYTES:
        raise InvalidOutput(f"the outputs are {size} bytes of JSON, at most {MAX_RESULT_BYTES}; put data into files")
    return outputs, files.files


def is_small(returned: Any) -> bool:
    """True if `clean_outputs` would neither look at a file nor at much data: a few short plain values."""
    left = [_SMALL_VALUES]

    def small(value: Any, key: Any) -> bool:
        left[0] -= 1
        if left[0] < 0 or (isinstance(key, str) and is_file_key(key)):
            return False
        if isinstance(value, dict):
            return all(small(each, name) for name, each in value.items())
        if isinstance(value, (list, tuple)):
            return all(small(each, None) for each in value)
        if isinstance(value, str):
            # A text with a separator may mention a file.
            return len(value) <= _SMALL_TEXT and "/" not in value
        return value is None or isinstance(value, (bool, int, float))

    return small(returned, None)


def _file_inputs(inputs: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in inputs.items():
        if is_file_key(key):
            found += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    return found


def _clean(value: Any, files: OutputFiles | None, place: str, is_path: bool, depth: int) -> Any:
    """Walk a value; `files` is None where texts are never paths."""
    if depth > _MAX_DEPTH:
        raise InvalidOutput(f"{place[:200]}: nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, PurePath):
        value, is_path = str(value), True
    if value is None:
        return None
    if isinstance(value, dict):
        return {
            (name := _key(key, place)): _clean(each, files, f"{place}.{name}", is_file_key(name), depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(each, files, f"{place}[{i}]", is_path, depth + 1) for i, each in enumerate(value)]
    if isinstance(value, str):
        text = str(value)
        if files is None:
            return text
        if is_path:
            # An adapter that made no thumbnail may say so with an empty text as well as with None.
            return files.take(text, place) if text else None
        mentioned = files.mention(text)
        return text if mentioned is None else mentioned
    if is_path and files is not None:
        raise InvalidOutput(f"{place}: want a path, got {type(value).__name__}")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not is_wire_integer(int(value)):
            raise InvalidOutput(f"{place}: a whole number of more than 64 bits; return it as a text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidOutput(f"{place}: {value} is no JSON number")
        return float(value)
    return _clean(_from_array(value, place), files, place, is_path, depth + 1)


def _key(key: Any, place: str) -> str:
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return str(key)
    raise InvalidOutput(f"{place[:200]}: a key is {type(key).__name__}, want texts")


def _from_array(value: Any, place: str) -> Any:
    """Scalars and arrays of numpy, and single values of torch, without importing either."""
    family = type(value).__module__.partition(".")[0]
    if family == "numpy" and hasattr(value, "tolist"):
        if getattr(value, "nbytes", 0) > _MAX_ARRAY_BYTES:
            raise InvalidOutput(f"{place}: an array of {value.nbytes} bytes; put data into files")
        plain = value.tolist()
        if type(plain) is not type(value):
            return plain
    if family == "torch" and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    raise InvalidOutput(f"{place}: {type(value).__name__} is no JSON value")
