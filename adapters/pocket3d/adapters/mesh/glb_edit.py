"""A GLB document in which a few primitives get other vertices; all the rest stays as it is, byte for byte.

Whatever a primitive has at its vertices (coordinates, colours, joints, weights, morph targets, attributes of programs)
is gathered for the new ones, in the numbers in which it is stored.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .glb_references import references
from .glb_unread import is_sound
from .read.glb_arrays import FLOAT, Array, Arrays, as_floats
from .read.glb_container import pack, unpack
from .read.glb_document import Document
from .read.glb_morphs import values_of
from .read.glb_sparse import dense, is_dense
from .read.gltf_plain import plain_gltf
from .read.limits import MAX_VALUES, MeshLimits
from .triangles import IntArray, bounds

_BYTE, _SHORT, _UINT = 5121, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_TRIANGLES, _STRIP = 4, 5


class CannotKeep(ValueError):
    """The document cannot be changed in the way that is asked for: the file has to be written anew."""


class GlbEdit:
    """One document while it is changed. Buffers in data addresses and the binary chunk are read, the latter is written.

    Args:
        raw: the JSON, which is copied.
        binary: the chunk beside it.
        document: the JSON, typed and found sound.
        arrays: its numbers.
    """

    def __init__(self, raw: Mapping[str, Any], binary: bytes, document: Document, arrays: Arrays) -> None:
        self.raw: dict[str, Any] = copy.deepcopy(dict(raw))
        self.document = document
        self._binary = binary
        self.arrays = arrays
        self._accessors: list[dict[str, Any]] = self.raw["accessors"]
        self._views: list[dict[str, Any]] = self.raw["bufferViews"]
        #: Contents of views, and rows of accessors, that differ from the file's.
        self._contents: dict[int, bytes] = {}
        self._made: dict[int, Array] = {}
        #: What meshes have at their vertices that were doubled.
        self._copied = 0
        named = list(references(self.raw))
        #: How often something names each accessor, and each view. Unknown extensions have accessors of their own.
        self._users = Counter(each.holder[each.key] for each in named if each.kind == "accessors")
        self._view_users = Counter(each.holder[each.key] for each in named if each.kind == "bufferViews")

    @classmethod
    def of(cls, data: bytes) -> GlbEdit | None:
        """Begin with a GLB file that `check_glb` found sound; None for another one, and for one that has parts in other
        files, which a copy would name, or is broken where nobody has read it.
        """
        if data[:4] != b"glTF":
            return None
        limits = MeshLimits(max_bytes=max(len(data), MeshLimits().max_bytes))
        raw, binary, _ = plain_gltf(*unpack(data), limits, pictures=False)
        uris = [each.get("uri") for key in ("images", "buffers") for each in raw.get(key, ())]
        if any(uri is not None and not uri.startswith("data:") for uri in uris) or not is_sound(raw):
            return None
        document = msgspec.convert(raw, Document)
        return cls(raw, binary, document, Arrays(document, binary, limits))

    def primitive(self, node: int, number: int) -> dict[str, Any]:
        """The entry of a primitive, by a node that shows its mesh."""
        found: dict[str, Any] = self.raw["meshes"][self.raw["nodes"][node]["mesh"]]["primitives"][number]
        return found

    def own_mesh(self, node: int) -> None:
        """Let a node show a mesh of its own, like the one that it has.

        Raises:
            CannotKeep: all such meshes together have too much at their vertices.
        """
        for primitive in self.raw["meshes"][self.raw["nodes"][node]["mesh"]]["primitives"]:
            position = primitive["attributes"].get("POSITION")
            count = self._accessors[position]["count"] if position in range(len(self._accessors)) else 0
            self._copied += count * values_of(primitive["attributes"], primitive.get("targets"))
        if self._copied > MAX_VALUES:
            raise CannotKeep("copies of its meshes have too much at their vertices")
        mesh = copy.deepcopy(self.raw["meshes"][self.raw["nodes"][node]["mesh"]])
        self.raw["nodes"][node]["mesh"] = len(self.raw["meshes"])
        self.raw["meshes"].append(mesh)
        named = references({"meshes": [mesh]})
        self._users.update(each.holder[each.key] for each in named if each.kind == "accessors")

    def stored(self, index: int) -> Array:
        """(count, components) of an accessor, as stored."""
        return self._made[index] if index in self._made else dense(self.document, self.arrays, index)

    def rows(self, index: int) -> Array:
        """(count, components) of an accessor, normalised whole numbers as floats."""
        rows = self.stored(index)
        return as_floats(rows) if self._accessors[index].get("normalized") else rows

    def is_readable(self, index: int | None) -> bool:
        """Whether an accessor is there and has its numbers; of points and lines nobody has judged it."""
        return index in self._made or (index is not None and is_dense(self.document, self.arrays, index))

    def state_bounds(self, index: int) -> None:
        """Write down the least and largest position, which many files state not at all, or rounded."""
        rows = self.stored(index)
        if len(rows) and self._accessors[index]["componentType"] == FLOAT:
            low, high = bounds([rows])
            self._accessors[index] |= {"min": low.tolist(), "max": high.tolist()}

    def faces(self, primitive: Mapping[str, Any]) -> IntArray | None:
        """(F, 3) of a primitive as it is in the file; None if it is not made of triangles."""
        mode, number = primitive.get("mode", _TRIANGLES), primitive.get("indices")
        if mode not in (_TRIANGLES, _STRIP):
            return None
        if number is None:
            corners = np.arange(len(self.stored(primitive["attributes"]["POSITION"])))
        else:
            corners = self.stored(number).reshape(-1).astype(np.int64)
        if mode == _TRIANGLES:
            return corners.reshape(-1, 3)
        # Every second triangle of a strip is turned round.
        strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        strip[1::2] = strip[1::2][:, [1, 0, 2]]
        return strip

    def reshape(
        self,
        primitive: dict[str, Any],
        source: IntArray,
        faces: IntArray,
        computed: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        """Give a primitive of `raw` other vertices.

        Args:
            primitive: its entry, which is changed.
            source: (N,) for each new vertex the old one that it is made of.
            faces: (F, 3) between the new ones.
            computed: (N, K) floats in place of what would be gathered, by the attribute's name.

        Raises:
            CannotKeep: something at its vertices is stored in a way that is not read, or is not there for each.
        """
        computed = computed or {}
        count = len(self.stored(primitive["attributes"]["POSITION"]))
        for attributes in (primitive["attributes"], *primitive.get("targets", ())):
            for name, index in attributes.items():
                if not self.is_readable(index) or len(self.stored(index)) != count:
                    raise CannotKeep(f"{name} is not there, or not for each vertex")
        for attributes in (primitive["attributes"], *primitive.get("targets", ())):
            own = computed if attributes is primitive["attributes"] else {}
            for name in [*attributes, *(key for key in own if key not in attributes)]:
                if name in own:
                    attributes[name] = self.floats(own[name], attributes.get(name), bounds=name == "POSITION")
                else:
                    attributes[name] = self._put(attributes[name], self.stored(attributes[name])[source])
        self.index(primitive, faces)

    def floats(self, rows: npt.NDArray[Any], replaced: int | None = None, *, bounds: bool = False) -> int:
        """Put floats (N, K) in the place of an accessor, or of none; returns the number of the one that has them."""
        values = np.asarray(rows, dtype="<f4")
        entry: dict[str, Any] = {"componentType": FLOAT, "type": f"VEC{values.shape[1]}", "count": len(values)}
        if bounds:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return self._place(replaced, entry, values, _ARRAY_BUFFER)

    def joints(self, rows: npt.NDArray[Any]) -> int:
        """Add numbers of joints (N, 4); returns the number of their accessor."""
        wide = len(rows) > 0 and int(rows.max()) > 255
        entry = {"componentType": _SHORT if wide else _BYTE, "type": "VEC4", "count": len(rows)}
        return self._place(None, entry, rows.astype("<u2" if wide else "u1"), _ARRAY_BUFFER)

    def matrices(self, rows: npt.NDArray[Any]) -> int:
        """Add matrices (N, 4, 4), column by column; returns the number of their accessor."""
        entry = {"componentType": FLOAT, "type": "MAT4", "count": len(rows)}
        return self._place(None, entry, rows.reshape(len(rows), 16).astype("<f4"), None)

    def view(self, data: bytes) -> int:
        """Add bytes, such as an image; returns the number of their view."""
        self._views.append({"buffer": 0, "byteLength": len(data)})
        self._contents[len(self._views) - 1] = data
        return len(self._views) - 1

    def packed(self) -> bytes:
        """The file as it is now."""
        return pack(*self.parts())

    def parts(self) -> tuple[dict[str, Any], bytes]:
        """Its JSON and its bytes."""
        if not self._contents:
            return self.raw, self._binary
        data = bytearray()
        for index, view in enumerate(self._views):
            if view["buffer"] != 0 and index not in self._contents:
                continue
            content = self._contents.get(index)
            if content is None:
                content = self.arrays.view(index, f"bufferView {index}")
            data.extend(b"\0" * (-len(data) % 4))
            view |= {"buffer": 0, "byteOffset": len(data), "byteLength": len(content)}
            data.extend(content)
        buffers: list[dict[str, Any]] = self.raw["buffers"]
        buffers[0] = {key: value for key, value in buffers[0].items() if key != "uri"} | {"byteLength": len(data)}
        return self.raw, bytes(data)

    def _put(self, index: int, rows: Array) -> int:
        """Other rows of the same kind for an accessor."""
        entry = {key: value for key, value in self._accessors[index].items() if key not in ("min", "max", "sparse")}
        if "min" in self._accessors[index] or "max" in self._accessors[index]:
            entry |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        return self._place(index, entry | {"count": len(rows)}, rows, _ARRAY_BUFFER)

    def index(self, primitive: dict[str, Any], faces: IntArray) -> None:
        """Give a primitive other faces (F, 3) between its vertices."""
        corners = np.asarray(faces).reshape(-1, 1)
        entry = {"componentType": _UINT, "type": "SCALAR", "count": len(corners)}
        primitive["indices"] = self._place(
            primitive.get("indices"), entry, corners.astype("<u4"), _ELEMENT_ARRAY_BUFFER
        )
        if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
            primitive["mode"] = _TRIANGLES

    def _place(self, index: int | None, entry: dict[str, Any], rows: Array, target: int | None) -> int:
        """Store rows: where the old ones were if nothing else needs those, else beside them."""
        data, stride = _padded(rows, target)
        entry = {key: value for key, value in entry.items() if key not in ("byteOffset", "bufferView")}
        alone = index is not None and self._users[index] == 1
        number = self._accessors[index].get("bufferView") if alone and index is not None else None
        if number is None or self._view_users[number] != 1:
            number = self.view(data)
            self._view_users[number] = 1
        self._contents[number] = data
        view: dict[str, Any] = {"buffer": 0, "byteLength": len(data)} | ({} if target is None else {"target": target})
        named = {key: value for key, value in self._views[number].items() if key in ("name", "extras")}
        self._views[number] = named | view | ({} if stride is None else {"byteStride": stride})
        if alone and index is not None:
            self._accessors[index] = entry | {"bufferView": number}
            self._made[index] = rows
            return index
        if index is not None:
            self._users[index] -= 1
        self._accessors.append(entry | {"bufferView": number})
        self._users[len(self._accessors) - 1] = 1
        self._made[len(self._accessors) - 1] = rows
        return len(self._accessors) - 1


def _padded(rows: Array, target: int | None) -> tuple[bytes, int | None]:
    """The bytes of rows, and their distance where it is more than their width: glTF wants whole words at vertices."""
    width = rows.dtype.itemsize * rows.shape[1]
    if target != _ARRAY_BUFFER or width % 4 == 0:
        return rows.tobytes(), None
    stride = width + -width % 4
    padded = np.zeros((len(rows), stride), dtype=np.uint8)
    padded[:, :width] = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), width)
    return padded.tobytes(), stride
