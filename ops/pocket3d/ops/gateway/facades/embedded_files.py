"""Files inside a facade's JSON: base64 or a data URI, judged before it is decoded. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import PurePosixPath
from typing import NamedTuple

from pocket3d.gpu_agents.io.file_kinds import MAGIC_BYTES, suffix_of

from ..errors import HttpError

MIB = 1 << 20
#: A picture and a mesh inside a request, decoded, bytes. Larger ones go to `/v1/files`.
MAX_IMAGE_BYTES = 32 * MIB
MAX_MESH_BYTES = 40 * MIB

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
MESH_SUFFIXES = frozenset(
    {".glb", ".gltf", ".obj", ".ply", ".stl", ".off", ".vrm", ".3mf", ".zip", ".fbx", ".dae", ".3ds"}
)

_URL = re.compile(r"[a-z][a-z0-9+.-]{0,15}://", re.IGNORECASE)
#: Characters of a data URI before its comma.
_LONGEST_HEAD = 200


class File(NamedTuple):
    """A file that came with a request."""

    data: bytes
    filename: str


def check_picture(filename: str) -> None:
    """Refuse a file whose name is that of no picture.

    Raises:
        HttpError: 400.
    """
    _check_suffix(filename, IMAGE_SUFFIXES, "image")


def check_mesh(filename: str) -> None:
    """Refuse a file whose name is that of no mesh. Errors as `check_picture`."""
    _check_suffix(filename, MESH_SUFFIXES, "mesh")


def kind_of(filename: str) -> str:
    """`image` or `mesh`, by a file's name."""
    return "image" if PurePosixPath(filename).suffix.lower() in IMAGE_SUFFIXES else "mesh"


def _check_suffix(filename: str, suffixes: frozenset[str], kind: str) -> None:
    if PurePosixPath(filename).suffix.lower() not in suffixes:
        known = ", ".join(sorted(suffix[1:] for suffix in suffixes))
        raise HttpError(400, f"{filename[-80:]!r} is no {kind}: want a file of {known}", "file")


def image(text: str, field: str) -> File:
    """A picture in base64 or as a data URI, named by what its first bytes say.

    Raises:
        HttpError: 413 too large; 400 an address, no base64, or no picture.
    """
    data = _decoded(text, field, MAX_IMAGE_BYTES)
    suffix = suffix_of(data[:MAGIC_BYTES])
    if suffix not in IMAGE_SUFFIXES:
        raise HttpError(400, "its first bytes are those of no picture (PNG, JPEG, WebP, BMP, GIF, TIFF)", field)
    return File(data, f"{field}{suffix}")


def mesh(text: str, field: str) -> File:
    """A mesh in base64 or as a data URI, named by what its first bytes say. Errors as `image`."""
    data = _decoded(text, field, MAX_MESH_BYTES)
    suffix = suffix_of(data[:MAGIC_BYTES])
    if suffix not in MESH_SUFFIXES:
        raise HttpError(400, "its first bytes are those of no mesh (GLB, glTF, OBJ, PLY, FBX, STL as text)", field)
    return File(data, f"{field}{suffix}")


def _decoded(text: str, field: str, limit: int) -> bytes:
    if _URL.match(text):
        raise HttpError(400, "addresses are not fetched: send the file itself, in base64 or as a data URI", field)
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",") if "," in text[:_LONGEST_HEAD] else (text[:_LONGEST_HEAD], "", "")
        if not comma or not head.lower().endswith(";base64"):
            raise HttpError(400, "a data URI must have its bytes in base64: data:image/png;base64,...", field)
    # Line breaks among them count, so that nothing is copied before it is known to be small enough.
    if len(text) // 4 * 3 > limit + limit // 32:
        raise HttpError(413, f"the file has more than {limit // MIB} MiB: upload it to /v1/files", field)
    if "\n" in text or "\r" in text:
        text = text.replace("\r", "").replace("\n", "")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HttpError(400, f"not base64: {error}", field) from error
    if not data:
        raise HttpError(400, "the file is empty", field)
    if len(data) > limit:
        raise HttpError(413, f"the file has {len(data)} bytes, at most {limit} are taken here", field)
    return data
