"""A glTF document without compressed or quantised geometry, so that those who read it need to know of neither.

Meshopt (EXT_meshopt_compression) and quantisation (KHR_mesh_quantization) are undone here; Draco and pictures in KTX2
by packages where those are installed; without, these pictures are left out and named. What the document claims is
judged afterwards, as that of any other; here broken claims are `Refused` as they are met.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .glb_arrays import DTYPES, FLOAT, WIDTHS, inline
from .ktx2 import MAGIC, PACKAGE, can_decode, png_of_all
from .limits import MAX_IMAGES, MeshLimits, Refused

_DRACO = "KHR_draco_mesh_compression"
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_QUANTISED = "KHR_mesh_quantization"
_BASIS = "KHR_texture_basisu"
_GEOMETRY = (_DRACO, *_MESHOPT, _QUANTISED)
_ALL = (*_GEOMETRY, _BASIS)
#: Of all that a small file may unpack to, beside its own size.
_MOST_BYTES = 1024 * 1024 * 1024
_BROKEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
_Chunk = TypeVar("_Chunk", bytes, memoryview)


def plain_gltf(
    raw: dict[str, Any], binary: _Chunk, limits: MeshLimits, *, pictures: bool = True
) -> tuple[dict[str, Any], _Chunk | bytes, list[str]]:
    """Undo what is compressed.

    Args:
        raw: the JSON; it is changed.
        binary: the GLB's own chunk.
        limits: hold for what is unpacked.
        pictures: those in KTX2 too; else they stay as they are.

    Returns:
        The JSON, its one buffer, and what was left out, for people.

    Raises:
        Refused: broken, or a package is needed that is not installed.
    """
    named = [each for key in ("extensionsUsed", "extensionsRequired") for each in _list(raw, key)]
    undone = _ALL if pictures else _GEOMETRY
    if not any(each in undone for each in named):
        return raw, binary, []
    try:
        document = _Document(raw, binary, limits)
        document.unpack_views()
        document.unpack_draco()
        document.widen()
        ignored = document.unpack_pictures() if pictures else []
        plain, buffer = document.finished(undone)
    except Refused:
        raise
    except _BROKEN as error:
        raise Refused(f"its compressed geometry is broken: {type(error).__name__}: {str(error)[:200]}") from error
    return plain, buffer, ignored


def _list(owner: Any, key: str) -> list[Any]:
    found = owner.get(key) if isinstance(owner, dict) else None
    return found if isinstance(found, list) else []


class _Document:
    """The document while it is unpacked."""

    def __init__(self, raw: dict[str, Any], binary: bytes | memoryview, limits: MeshLimits) -> None:
        self.raw = raw
        self._limits = limits
        self._data = bytearray()
        #: Where each of the document's buffers begins in the one that is left.
        self._starts: list[int] = []
        for index, buffer in enumerate(_list(raw, "buffers")):
            self._starts.append(len(self._data))
            self._data += self._buffer(index, buffer, binary)
            self._data += b"\0" * (-len(self._data) % 4)
        for view in _list(raw, "bufferViews"):
            view["byteOffset"] = view.get("byteOffset", 0) + self._starts[view["buffer"]]
            view["buffer"] = 0

    @staticmethod
    def _buffer(index: int, buffer: dict[str, Any], binary: bytes | memoryview) -> bytes | memoryview:
        length = buffer["byteLength"]
        if any(buffer.get("extensions", {}).get(name, {}).get("fallback") for name in _MESHOPT):
            # Only readers without the extension would look there.
            return b""
        data = inline(buffer["uri"], f"buffer {index}") if "uri" in buffer else binary
        if "uri" not in buffer and index:
            raise Refused(f"buffer {index} has no data")
        if len(data) < length:
            raise Refused(f"buffer {index} announces {length:,} bytes, {len(data):,} are there")
        return data[:length]

    def _add(self, data: bytes) -> int:
        if len(self._data) + len(data) > self._limits.max_bytes + _MOST_BYTES:
            raise Refused("it unpacks to more than is taken; decimate it first")
        self._data += b"\0" * (-len(self._data) % 4)
        self.raw.setdefault("bufferViews", []).append(
            {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        )
        self._data += data
        return len(self.raw["bufferViews"]) - 1

    def unpack_views(self) -> None:
        """Decode the views that meshoptimizer compressed."""
        from .meshopt import decode

        unpacked = indices = 0
        for view in list(_list(self.raw, "bufferViews")):
            extensions = view.get("extensions", {})
            packed = next((extensions[name] for name in _MESHOPT if name in extensions), None)
            if packed is None:
                continue
            count, stride = int(packed["count"]), int(packed["byteStride"])
            # All together: views may name the same bytes.
            unpacked += max(count * stride, 0)
            indices += 0 if packed["mode"] == "ATTRIBUTES" else max(count, 0)
            self._limits.check_counts(count if packed["mode"] == "ATTRIBUTES" else 0, indices // 3)
            if unpacked > _MOST_BYTES // 2:
                raise Refused(f"it unpacks to {unpacked:,} bytes or more; decimate it first")
            start = self._starts[packed["buffer"]] + packed.get("byteOffset", 0)
            data = bytes(self._data[start : start + packed["byteLength"]])
            rows = decode(data, packed["mode"], count, stride, packed.get("filter", "NONE"))
            added = self.raw["bufferViews"][self._add(rows)]
            self.raw["bufferViews"].pop()
            view.update(byteOffset=added["byteOffset"], byteLength=len(rows))
            del view["extensions"]

    def unpack_draco(self) -> None:
        """Decode the primitives that Draco compressed."""
        from .draco import Compressed, decode_all

        found = [
            (primitive, primitive["extensions"].pop(_DRACO))
            for mesh in _list(self.raw, "meshes")
            for primitive in mesh["primitives"]
            if _DRACO in primitive.get("extensions", {})
        ]
        if not found:
            return
        for primitive, _ in found:
            position = self.raw["accessors"][primitive["attributes"]["POSITION"]]
            self._limits.check_counts(position["count"], 0)
        packed = [Compressed(self._view(each["bufferView"]), each["attributes"]) for _, each in found]
        for (primitive, each), arrays in zip(found, decode_all(packed), strict=True):
            for name in each["attributes"]:
                self._fill(primitive["attributes"][name], arrays[name])
            self._limits.check_counts(0, len(arrays["indices"]))
            if "indices" not in primitive:
                primitive["indices"] = len(self.raw["accessors"])
                self.raw["accessors"].append({"type": "SCALAR"})
            self._fill(primitive["indices"], arrays["indices"].astype("<u4").reshape(-1, 1))
            # Triangles are decoded, whatever they were.
            primitive["mode"] = 4

    def _view(self, index: int) -> bytes:
        view = self.raw["bufferViews"][index]
        return bytes(self._data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])

    def _fill(self, accessor: int, rows: npt.NDArray[Any]) -> None:
        entry = self.raw["accessors"][accessor]
        kind = rows.dtype.newbyteorder("<").str.lstrip("<|")
        components = {dtype.lstrip("<"): number for number, dtype in DTYPES.items()}
        if kind not in components:
            rows, kind = rows.astype("<f4"), "f4"
        if len(rows.shape) == 1:
            rows = rows.reshape(-1, 1)
        if rows.shape[1] != WIDTHS[entry["type"]]:
            raise ValueError(f"{rows.shape[1]} components where {entry['type']} is announced")
        entry.update(bufferView=self._add(_aligned(rows)), byteOffset=0, count=len(rows))
        self._stride(entry, rows)
        if components[kind] != entry.get("componentType"):
            entry.pop("normalized", None)
        entry["componentType"] = components[kind]

    def _stride(self, entry: dict[str, Any], rows: npt.NDArray[Any]) -> None:
        row = rows.dtype.itemsize * rows.shape[1]
        if row % 4 and rows.shape[1] > 1:
            self.raw["bufferViews"][entry["bufferView"]]["byteStride"] = row + -row % 4

    def widen(self) -> None:
        """Make floats of quantised places, directions and coordinates."""
        if not any(_QUANTISED in _list(self.raw, key) for key in ("extensionsUsed", "extensionsRequired")):
            return
        wide: dict[int, int] = {}
        for mesh in _list(self.raw, "meshes"):
            for primitive in mesh["primitives"]:
                for attributes in (primitive["attributes"], *_list(primitive, "targets")):
                    for name, index in attributes.items():
                        if name.startswith(("POSITION", "NORMAL", "TANGENT", "TEXCOORD_")):
                            attributes[name] = wide.setdefault(index, self._widened(index))

    def _widened(self, index: int) -> int:
        accessor = self.raw["accessors"][index]
        # Of what is stored in part its reader knows all kinds of numbers.
        if accessor["componentType"] == FLOAT or accessor.get("bufferView") is None or "sparse" in accessor:
            return index
        rows = self._rows(accessor)
        if accessor.get("normalized"):
            rows = np.maximum(rows / np.iinfo(rows.dtype).max, -1.0)
        floats = rows.astype("<f4")
        entry = {"type": accessor["type"], "componentType": FLOAT, "count": len(floats)}
        if len(floats):
            entry.update(min=floats.min(axis=0).tolist(), max=floats.max(axis=0).tolist())
        entry["bufferView"] = self._add(floats.tobytes())
        self.raw["accessors"].append(entry)
        return len(self.raw["accessors"]) - 1

    def _rows(self, accessor: dict[str, Any]) -> npt.NDArray[Any]:
        view = self.raw["bufferViews"][accessor["bufferView"]]
        dtype, width = np.dtype(DTYPES[accessor["componentType"]]), WIDTHS[accessor["type"]]
        stride = view.get("byteStride") or dtype.itemsize * width
        count, start = int(accessor["count"]), view["byteOffset"] + accessor.get("byteOffset", 0)
        if count < 1 or start + (count - 1) * stride + dtype.itemsize * width > len(self._data):
            raise ValueError("an accessor that reaches beyond its buffer")
        self._limits.check_counts(count, 0)
        # Its own bytes alone: each of many accessors may lie in a large buffer.
        own = bytes(memoryview(self._data)[start : start + (count - 1) * stride + dtype.itemsize * width])
        rows: npt.NDArray[Any] = np.ndarray((count, width), dtype, own, 0, (stride, dtype.itemsize))
        return rows

    def unpack_pictures(self) -> list[str]:
        """Decode pictures in KTX2 that a texture has no other picture for; those that cannot be read are left out."""
        images = _list(self.raw, "images")
        if len(images) > MAX_IMAGES:
            raise Refused(f"{len(images):,} images, at most {MAX_IMAGES} are taken")
        packed: dict[int, bytes] = {}
        for texture in _list(self.raw, "textures"):
            basis = (texture.get("extensions") or {}).pop(_BASIS, {}).get("source")
            source = texture.get("source", basis)
            if source in range(len(images)) and source not in packed and (data := self._picture(source)):
                packed[source] = data
            if source in packed:
                texture["source"] = source
        found: dict[int, bytes | str] = {}
        if packed and can_decode():
            found = dict(zip(packed, png_of_all(list(packed.values())), strict=True))
        told = []
        for index in packed:
            png = found.get(index, "")
            image = self.raw["images"][index]
            if isinstance(png, bytes):
                self.raw["images"][index] = {"bufferView": self._add(png), "mimeType": "image/png"}
                continue
            self.raw["images"][index] = {}
            if png:
                told.append(f"the picture {str(image.get('name', index))[:60]!r} in KTX2: {png}")
        if packed and not found:
            told.append(
                f"{len(packed)} pictures in KTX2, which are read where {PACKAGE} is installed; export them as PNG,"
                " JPEG or WebP to keep them"
            )
        return told

    def _picture(self, index: int) -> bytes:
        """The bytes of an image in KTX2 that is inside; empty for another one."""
        image, data = self.raw["images"][index], b""
        if image.get("bufferView") is not None:
            data = self._view(image["bufferView"])
        elif str(image.get("uri", "")).startswith("data:"):
            data = inline(image["uri"], f"image {index}")
        return data if data.startswith(MAGIC) else b""

    def finished(self, undone: Collection[str]) -> tuple[dict[str, Any], bytes]:
        """The document without the extensions that were undone, and its one buffer."""
        self.raw["buffers"] = [{"byteLength": len(self._data)}]
        for key in ("extensionsUsed", "extensionsRequired"):
            left = [each for each in _list(self.raw, key) if each not in undone]
            self.raw[key] = left
            if not left:
                del self.raw[key]
        return self.raw, bytes(self._data)


def _aligned(rows: npt.NDArray[Any]) -> bytes:
    """The bytes of rows, each beginning at a multiple of four where it has several components."""
    row = rows.dtype.itemsize * rows.shape[1]
    if row % 4 == 0 or rows.shape[1] == 1:
        return rows.astype(rows.dtype.newbyteorder("<")).tobytes()
    padded = np.zeros((len(rows), row + -row % 4), dtype=np.uint8)
    padded[:, :row] = (
        np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("<"))).view(np.uint8).reshape(len(rows), row)
    )
    return padded.tobytes()
