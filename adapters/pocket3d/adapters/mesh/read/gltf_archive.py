"""A .gltf with its files in one zip, or with all of them at data addresses, as the GLB that it could have been.

A zip's entries are read from the file alone: names in the document are looked up among them, and nothing is unpacked to
a folder. What is not there stays as it is named, and is judged as in any GLB.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from .glb_arrays import inline
from .glb_container import decoded, pack
from .limits import MeshLimits, Refused, bring_along

try:
    from lzma import LZMAError
except ImportError:
    # This Python was built without it.
    LZMAError = zlib.error  # type: ignore[misc, assignment]

_MAX_ENTRIES = 2_000
#: What `zipfile` raises, of which it documents the first alone: of methods and versions that it does not know
#: (RuntimeError), of what unpacks, and of names and offsets that it does not judge (from OSError on).
_BROKEN_ZIP = (
    zipfile.BadZipFile, RuntimeError, zlib.error, LZMAError, EOFError, OSError, ValueError, LookupError, OverflowError,
    struct.error,
)  # fmt: skip
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"\xabKTX": "image/ktx2"}
#: What a zip may hold, by suffix, the best first.
_MESHES = ("gltf", "glb", "vrm", "fbx", "dae", "obj", "ply", "stl", "off", "3ds")


def open_archive(data: bytes, limits: MeshLimits) -> dict[str, bytes]:
    """The files of a zip by their paths.

    Raises:
        Refused: no zip, too large, or encrypted.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [each for each in archive.infolist() if not each.is_dir() and "__MACOSX" not in each.filename]
            if len(entries) > _MAX_ENTRIES:
                raise Refused(f"{len(entries):,} files in it, at most {_MAX_ENTRIES:,} are taken")
            total = sum(each.file_size for each in entries)
            if total > limits.max_bytes:
                raise Refused(f"its files have {total:,} bytes, at most {limits.max_bytes:,} are taken")
            files: dict[str, bytes] = {}
            for entry in entries:
                if entry.flag_bits & 1:
                    raise Refused("it is encrypted; give it without a password")
                with archive.open(entry) as file:
                    content = file.read(entry.file_size + 1)
                if len(content) > entry.file_size:
                    raise Refused(f"{entry.filename[:80]!r} unpacks to more than it announces")
                files[str(PurePosixPath(entry.filename.replace("\\", "/")))] = content
    except Refused:
        raise
    except _BROKEN_ZIP as error:
        raise Refused(f"the zip is broken: {error}") from error
    return files


def main_file(files: Mapping[str, bytes]) -> str:
    """The path of the one mesh among the files of a zip.

    Raises:
        Refused: none or several.
    """
    for suffix in _MESHES:
        found = [path for path in files if PurePosixPath(path).suffix.lower() == f".{suffix}"]
        if len(found) > 1:
            names = ", ".join(sorted(found)[:5])
            raise Refused(f"{len(found)} meshes in one zip ({names[:200]}); give each by itself")
        if found:
            return found[0]
    raise Refused(f"no mesh in the zip; want a file of {', '.join(_MESHES)} in it")


def glb_of(text: bytes, files: Mapping[str, bytes], folder: str) -> bytes:
    """A glTF document with its buffers and images inside.

    Args:
        text: the JSON.
        files: by path.
        folder: in which the document lies among them; addresses are relative to it.

    Raises:
        Refused: no glTF.
    """
    document = decoded(text)
    try:
        binary = _joined(document, _Beside(files, folder))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"its JSON is no glTF: {type(error).__name__}: {str(error)[:200]}") from error
    return pack(document, binary)


def _joined(document: dict[str, Any], beside: _Beside) -> bytes:
    data = bytearray()
    starts = []
    for index, buffer in enumerate(document.get("buffers") or []):
        uri = buffer.pop("uri", None)
        content = b"" if uri is None else beside.content(uri, f"buffer {index}")
        length = buffer["byteLength"]
        if uri is not None and len(content) < length:
            raise Refused(f"buffer {index} announces {length:,} bytes, {len(content):,} are there")
        starts.append(len(data))
        data += content[:length]
        data += b"\0" * (-len(data) % 4)
    for view in document.get("bufferViews") or []:
        _shift(view, starts)
        for packed in (view.get("extensions") or {}).values():
            if isinstance(packed, dict) and "buffer" in packed:
                _shift(packed, starts)
    for image in document.get("images") or []:
        uri = image.get("uri")
        path = None if uri is None or uri.startswith("data:") else beside.found(uri)
        if path is None:
            continue
        content = beside.files[path]
        del image["uri"]
        kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), "image/png")
        views = document.setdefault("bufferViews", [])
        image.update(bufferView=len(views), mimeType=kind)
        image.setdefault("name", PurePosixPath(path).stem)
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(content)})
        data += content
        data += b"\0" * (-len(data) % 4)
    document["buffers"] = [{"byteLength": len(data)}]
    return bytes(data)


def _shift(view: dict[str, Any], starts: list[int]) -> None:
    view["byteOffset"] = view.get("byteOffset", 0) + starts[view["buffer"]]
    view["buffer"] = 0


class _Beside:
    """The files among which a document in a folder looks up its addresses."""

    def __init__(self, files: Mapping[str, bytes], folder: str) -> None:
        self.files = files
        self._folder = folder
        #: Paths by what they are in small letters, as Windows has them; None where several are alike.
        self._alike: dict[str, str | None] = {}
        for path in files:
            self._alike[path.lower()] = None if path.lower() in self._alike else path

    def found(self, uri: str) -> str | None:
        """The file of an address: by its path, or by its name where files came without their folders; decoded, or as
        it is written.
        """
        paths = [_path(each, self._folder) for each in (unquote(uri), uri)]
        wanted = [*paths, *(PurePosixPath(each).name for each in paths)]
        exact = [each for each in wanted if each in self.files]
        return next(iter(exact or filter(None, (self._alike.get(each.lower()) for each in wanted))), None)

    def content(self, uri: str, what: str) -> bytes:
        """The bytes of an address."""
        if uri.startswith("data:"):
            return inline(uri, what)
        path = self.found(uri)
        if path is None:
            raise Refused(f"{what} lies in {uri[:80]!r}, which did not come along; {bring_along('.gltf')}")
        return self.files[path]


def _path(address: str, folder: str) -> str:
    """The path of an address among the files, `..` resolved."""
    parts: list[str] = []
    for part in PurePosixPath(folder, address.replace("\\", "/")).parts:
        if part == "..":
            parts = parts[:-1]
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)
