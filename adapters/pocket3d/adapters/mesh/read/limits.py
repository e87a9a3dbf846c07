"""Limits of a mesh's size, and the outcome of the formats' checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

MIB = 1024 * 1024
#: Beyond it squares of areas leave double precision.
MAX_COORDINATE = 1e15
#: Of one file.
MAX_IMAGES = 256
#: Of one file: attributes of vertices, and what morph targets have for them; each takes 16 bytes or less.
MAX_VALUES = 40_000_000


@dataclass(frozen=True)
class MeshLimits:
    """The largest mesh that is read, judged by what the file's headers claim, before decoding."""

    max_bytes: int = 256 * MIB
    #: Vertices, every instance of a part counted.
    max_vertices: int = 5_000_000
    #: Triangles, every instance of a part counted; a polygon of n corners is n - 2 of them.
    max_faces: int = 10_000_000

    def check_counts(self, vertices: int, faces: int) -> None:
        """Refuse a mesh of more vertices or faces than that.

        Raises:
            Refused: more than the limits.
        """
        if vertices > self.max_vertices:
            raise Refused(f"{vertices:,} vertices, at most {self.max_vertices:,} are taken; decimate it first")
        if faces > self.max_faces:
            raise Refused(f"{faces:,} faces, at most {self.max_faces:,} are taken; decimate it first")


class Refused(ValueError):
    """The file is not read; the message says why, without its name."""


class Checked(NamedTuple):
    """A file whose claims were found sound, in the form that is given to the parser."""

    data: bytes
    #: What the parser must find, at least.
    faces: int
    #: What was left out, for people.
    ignored: tuple[str, ...] = ()
    #: Of GLB: for each node that shows a mesh the node of the document, and the primitive of that node's mesh.
    origins: Mapping[str, tuple[int, int]] = MappingProxyType({})
    #: For the nodes of which a material states one, its base colour: linear, with alpha.
    factors: Mapping[str, Sequence[float]] = MappingProxyType({})


def bring_along(suffix: str) -> str:
    """What to do about a file that another one names and that is not there."""
    return f"give the {suffix} and its files as one zip, or to mesh_conversion as mesh_file_paths"
