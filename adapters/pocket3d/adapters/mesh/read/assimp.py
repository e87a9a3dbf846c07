"""FBX, COLLADA (.dae) and 3DS as the GLB files that they could have been: assimp reads them in a process of its own.

The importer sees the one file alone and can open no other. It has a bound on memory and time; what it makes is a
stranger's GLB file to all that follows. Lengths are in metres where the format says what its numbers are (FBX in
centimetres and a factor, COLLADA by its `unit`); +Y is up.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...runtime.native_call import NativeFailed, call_native, deadline
from .assimp_library import COUNTED, PACKAGE, convert_here, library_path
from .assimp_tidy import tidy
from .glb_container import pack
from .limits import Refused

#: Suffixes of what is read.
FORMATS = ("fbx", "dae", "3ds")
#: What the process may allocate for each byte of the file, and at least and at most, MB.
_FACTOR, _FLOOR_MB, _MOST_MB = 100, 1024, 8192
_SECONDS = 120.0
_TEXTS = {
    "animations": "{} animations: only the geometry at rest is read",
    "lights": "{} lights: only the geometry is read",
    "cameras": "{} cameras: only the geometry is read",
    "skins": "skins of {} meshes: they are read where their nodes place them; joints and weights are left out",
    "targets": "morph targets of {} meshes: the meshes are read without them",
}


class Imported(NamedTuple):
    """A file as GLB."""

    glb: bytes
    #: What was left out, for people.
    ignored: tuple[str, ...]


#: The last file that was converted, by its digest: a request looks at its input several times.
_last: tuple[bytes, Imported] | None = None


def import_glb(data: bytes, kind: str, files: Mapping[str, bytes]) -> Imported:
    """Convert a file.

    Args:
        data: all of it.
        kind: one of `FORMATS`.
        files: that came along, by their paths: pictures are looked up among them by their names.

    Raises:
        Refused: the importer is not installed, or it refused the file, crashed, or took too much memory or time.
    """
    global _last
    digest = hashlib.blake2b(kind.encode(), digest_size=16)
    for part in (data, *(item for path in sorted(files) for item in (path.encode(), files[path]))):
        digest.update(len(part).to_bytes(8, "little") + part)
    if _last is None or _last[0] != digest.digest():
        _last = digest.digest(), _import(data, kind, files)
    return _last[1]


def _import(data: bytes, kind: str, files: Mapping[str, bytes]) -> Imported:
    library = library_path()
    if library is None:
        raise Refused(f"{kind.upper()} is read where {PACKAGE} is installed (pip install {PACKAGE}); export it as GLB")
    memory = min(_FLOOR_MB + len(data) * _FACTOR // 2**20, _MOST_MB)
    try:
        made = call_native(
            f"{convert_here.__module__}:{convert_here.__name__}",
            {"data": np.frombuffer(data, dtype=np.uint8)},
            {"kind": kind, "library": library},
            folder=Path(tempfile.gettempdir()),
            memory_mb=memory,
            check=deadline(_SECONDS, Refused(f"reading it takes more than {_SECONDS:.0f} s; export it as GLB")),
        )
    except NativeFailed as error:
        raise Refused(f"it cannot be read as {kind.upper()}: {error}") from error
    raw, binary = _taken_apart(made["glb"].tobytes())
    raw, binary, told = tidy(raw, binary, files, float(made["unit"]))
    counts = zip(COUNTED, made["counts"].tolist(), strict=True)
    return Imported(pack(raw, binary), (*(_TEXTS[name].format(count) for name, count in counts if count), *told))


def _taken_apart(glb: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the bytes of assimp's file, which repeats names as it found them, in whatever encoding."""
    (length,) = struct.unpack_from("<I", glb, 12)
    try:
        return json.loads(glb[20 : 20 + length].decode("utf-8", "replace")), glb[28 + length :]
    except (ValueError, RecursionError) as error:
        raise Refused(f"its nodes or names make no glTF: {str(error)[:200]}") from error
