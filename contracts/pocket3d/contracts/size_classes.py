"""Size classes: how large a job's input files are, in steps.

What a job costs follows, more than anything else that is known before it runs, how large its files are. Jobs of one
class bid alike, and agents remember what jobs of that class took.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any

from msgspec import Meta

from .bounds import decimal
from .input_files import file_refs, is_file_key

#: Header of a job's message: bytes of the artifacts among its inputs, all together, as its producer knows them.
INPUT_BYTES_HEADER = "P3d-Input-Bytes"
_MIB = 1024 * 1024
#: Name of each class and the most bytes that it holds: few, since each makes a lot of its own of an adapter's jobs.
_CLASSES = (("64KiB", 64 * 1024), ("1MiB", _MIB), ("8MiB", 8 * _MIB), ("64MiB", 64 * _MIB), ("512MiB", 512 * _MIB))
_LARGER = "larger"
SIZE_CLASSES = (*(name for name, _ in _CLASSES), _LARGER)

#: A class, by the most that its files have together; null where there are no files, or their size is not known.
SizeClass = Annotated[str, Meta(max_length=16, extra_json_schema={"examples": list(SIZE_CLASSES)})]


def size_class(total_bytes: int | None) -> str | None:
    """The class of files of so many bytes together; None for none, and where that is not known."""
    if not total_bytes:
        return None
    return next((name for name, most in _CLASSES if total_bytes <= most), _LARGER)


def known_class(name: str | None) -> str | None:
    """A class as it was told; None for a word of another version."""
    return name if name in SIZE_CLASSES else None


def in_words(name: str) -> str:
    """What a class holds, for people."""
    return f"files of more than {_CLASSES[-1][0]}" if name == _LARGER else f"files of up to {name}"


def bytes_of_artifacts(header: str | None) -> int | None:
    """What a job's message says of the size of its artifacts; None if it says nothing that can be read."""
    return None if header is None else decimal(header)


def size_header(inputs: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, str]:
    """The header by which a job's message says how large its artifacts are, of which the sizes are known by name; none
    without artifacts, and where one is not known.

    Raises:
        FileRefError: a file input that names no file.
    """
    named = [ref.artifact for ref in file_refs(inputs) if ref.artifact is not None]
    if not named or any(each not in sizes for each in named):
        return {}
    return {INPUT_BYTES_HEADER: str(sum(sizes[each] for each in named))}


def own_bytes(inputs: Mapping[str, Any], artifacts: int | None) -> int | None:
    """Bytes of the files among the inputs that are uploaded or in the request; 0 without any, None if not known.

    Files of other jobs are not counted. `artifacts` are the bytes of uploaded ones together, None if not known.
    """
    listed = (value if isinstance(value, list) else [value] for key, value in inputs.items() if is_file_key(key))
    total, uploaded = 0, False
    for file in chain.from_iterable(listed):
        if not isinstance(file, Mapping):
            continue
        inline = file.get("inline")
        # Base64 has four characters for three bytes.
        total += len(inline) * 3 // 4 if isinstance(inline, str) else 0
        uploaded = uploaded or file.get("artifact") is not None
    if not uploaded:
        return total
    return None if artifacts is None else total + artifacts
