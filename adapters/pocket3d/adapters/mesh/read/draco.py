"""Geometry compressed with Draco, decoded by DracoPy (Google's library) in a process of its own."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...runtime.native_call import NativeFailed, call_native, deadline
from .limits import Refused

#: What the process may allocate for each byte that is compressed, and at least, MB.
_FACTOR, _FLOOR_MB, _MOST_MB = 400, 1024, 8192
_SECONDS = 120.0
#: Attribute data of DracoPy, by its own numbers of types.
_SEPARATOR = "/"


class Compressed(NamedTuple):
    """The geometry of one primitive."""

    data: bytes
    #: The numbers of the attributes inside, by their names in glTF.
    attributes: Mapping[str, int]


def decode_all(primitives: Sequence[Compressed]) -> list[dict[str, Any]]:
    """For each primitive its `indices` (F, 3) and its attributes by name, (V, N).

    Raises:
        Refused: DracoPy is not installed, or the data is broken or too large.
    """
    if importlib.util.find_spec("DracoPy") is None:
        raise Refused(
            "it is compressed with Draco, which is read where DracoPy is installed (pip install DracoPy); export it"
            " without, as plain glTF 2.0"
        )
    arrays = {str(n): np.frombuffer(each.data, dtype=np.uint8) for n, each in enumerate(primitives)}
    options = {"attributes": [dict(each.attributes) for each in primitives]}
    size = sum(len(each.data) for each in primitives)
    memory = min(_FLOOR_MB + size * _FACTOR // 2**20, _MOST_MB)
    try:
        found = call_native(
            f"{__name__}:decode_here",
            arrays,
            options,
            folder=Path(tempfile.gettempdir()),
            memory_mb=memory,
            check=deadline(_SECONDS, Refused(f"decoding its Draco data takes more than {_SECONDS:.0f} s")),
        )
    except NativeFailed as error:
        raise Refused(f"its Draco data cannot be decoded: {error}") from error
    decoded: list[dict[str, Any]] = [{} for _ in primitives]
    for key, values in found.items():
        number, _, name = key.partition(_SEPARATOR)
        decoded[int(number)][name] = values
    return decoded


def decode_here(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What runs in the other process: see `call_native`."""
    import DracoPy

    out: dict[str, Any] = {}
    for number, wanted in enumerate(options["attributes"]):
        mesh = DracoPy.decode(arrays[str(number)].tobytes())
        if not hasattr(mesh, "faces"):
            raise ValueError("it holds points, no triangles")
        out[f"{number}{_SEPARATOR}indices"] = np.asarray(mesh.faces)
        for name, identity in wanted.items():
            attribute = mesh.get_attribute_by_unique_id(identity)
            if attribute is None:
                raise ValueError(f"it lacks {name}")
            out[f"{number}{_SEPARATOR}{name}"] = np.asarray(attribute["data"])
    return out
