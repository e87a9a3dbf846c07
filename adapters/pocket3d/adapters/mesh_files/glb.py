"""GLB: everything its JSON claims is judged, and a reduced copy is made for the parser.

The copy holds geometry, the node tree, materials and images that lie inside the file, nothing else: what was judged is
what is parsed, byte for byte (two JSON readers may differ over doubled keys), and no address of anything outside is in
it. Judged against the glTF 2.0 specification (Khronos 2017), sections 3.5 to 3.9 and 4.4.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from typing import Any

import msgspec

from ..image_input import ImageLimits, check_embedded
from .glb_document import Accessor, BufferView, Document, Node, Primitive
from .limits import MAX_COORDINATE, MIB, Checked, MeshLimits, Refused

_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_MAX_JSON_BYTES = 32 * MIB
_MAX_NODES = 100_000
#: The parser walks from the root to each node.
_MAX_DEPTH = 200
_MAX_IMAGES = 256
#: Pixels of all images of a file together.
_MAX_PIXELS = 200_000_000
_MAX_WALK = 5_000_000
_COMPONENTS = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TRIANGLES, _STRIP = 4, 5
_FLOAT = 5126
_TRANSFORMATIONS = (("matrix", 16), ("translation", 3), ("rotation", 4), ("scale", 3))
_UNREADABLE = {
    "KHR_draco_mesh_compression": "compressed with Draco",
    "EXT_meshopt_compression": "compressed with meshoptimizer",
    "KHR_meshopt_compression": "compressed with meshoptimizer",
    "KHR_mesh_quantization": "quantised",
    "KHR_texture_basisu": "textured with KTX2 images only",
}
_GEOMETRY = ("POSITION", "NORMAL", "TEXCOORD_0", "COLOR_0")
_MATERIAL_KEYS = (
    "name",
    "pbrMetallicRoughness",
    "normalTexture",
    "occlusionTexture",
    "emissiveTexture",
    "emissiveFactor",
    "alphaMode",
    "alphaCutoff",
    "doubleSided",
)


def check_glb(data: bytes, limits: MeshLimits, images: ImageLimits = ImageLimits()) -> Checked:  # noqa: B008  # frozen
    """Judge a GLB file and reduce it.

    Raises:
        Refused: broken, too large, compressed, or built from other files.
    """
    raw, binary = _chunks(data)
    try:
        document = msgspec.convert(raw, Document)
    except msgspec.ValidationError as error:
        raise Refused(f"its JSON is no glTF: {error}") from error
    return _Reader(raw, document, binary, limits, images).reduced()


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON document and the binary chunk (empty if there is none)."""
    if len(data) < 20 or data[:4] != b"glTF":
        raise Refused("no GLB file: it does not begin with 'glTF'")
    version, length, json_length, kind = struct.unpack_from("<IIII", data, 4)
    if version != 2:
        raise Refused(f"glTF version {version}; want 2")
    if length > len(data):
        raise Refused(f"it ends early: its header announces {length:,} bytes, {len(data):,} are there")
    if kind != _JSON_CHUNK or 20 + json_length > length:
        raise Refused("its first chunk is not the JSON one, or does not fit into the file")
    if json_length > _MAX_JSON_BYTES:
        raise Refused(f"{json_length:,} bytes of JSON, at most {_MAX_JSON_BYTES:,} are taken")
    binary = b""
    start = 20 + json_length
    while start + 8 <= length:
        size, kind = struct.unpack_from("<II", data, start)
        if start + 8 + size > length:
            raise Refused("it ends early: a chunk does not fit into the file")
        if kind == _BINARY_CHUNK:
            binary = data[start + 8 : start + 8 + size]
            break
        start += 8 + size
    try:
        raw = msgspec.json.decode(data[20 : 20 + json_length])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"its JSON is broken: {error}") from error
    if not isinstance(raw, dict):
        raise Refused("its JSON is no object")
    return raw, binary


class _Reader:
    """One file while it is judged."""

    def __init__(
        self, raw: dict[str, Any], document: Document, binary: bytes, limits: MeshLimits, images: ImageLimits
    ) -> None:
        self.raw = raw
        self.document = document
        self.limits = limits
        self.image_limits = images
        self.ignored: list[str] = []
        compressed = [_UNREADABLE[name] for name in document.extensionsRequired if name in _UNREADABLE]
        if compressed:
            raise Refused(f"it is {' and '.join(compressed)}; export it without, as plain glTF 2.0")
        self.buffers = [self._buffer(index, binary) for index in range(len(document.buffers))]

    def reduced(self) -> Checked:
        """The judged copy."""
        self._check_views()
        for index, accessor in enumerate(self.document.accessors):
            self._check_accessor(index, accessor)
        meshes, per_mesh = self._meshes()
        limits = self.limits
        # Parts that no node shows are parsed as well.
        limits.check_counts(sum(v for v, _ in per_mesh), sum(f for _, f in per_mesh))
        nodes, roots, vertices, faces = self._tree(per_mesh)
        limits.check_counts(vertices, faces)
        if faces == 0:
            raise Refused("no surface: no node of its scene shows triangles")
        for key in ("animations", "skins", "cameras"):
            if self.raw.get(key):
                self.ignored.append(f"{key}: only the geometry at rest is read")
        textures, images = self._textures()
        joined = b"".join(self.buffers)
        offsets = [0]
        for buffer in self.buffers:
            offsets.append(offsets[-1] + len(buffer))
        document = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": roots}],
            "nodes": nodes,
            "meshes": meshes,
            "accessors": [self._plain_accessor(accessor) for accessor in self.document.accessors],
            "bufferViews": [_plain_view(view, offsets[view.buffer]) for view in self.document.bufferViews],
            "buffers": [{"byteLength": len(joined)}],
            "materials": [self._material(each, len(textures)) for each in self.document.materials],
            "textures": textures,
            "images": images,
        }
        return Checked(_glb(document, joined), 0, 0, tuple(self.ignored[:10]))

    # ------------------------------------------------------------ bytes

    def _buffer(self, index: int, binary: bytes) -> bytes:
        buffer = self.document.buffers[index]
        if buffer.uri is None:
            if index != 0:
                raise Refused(f"buffer {index} has no data")
            data = binary
        else:
            data = self._inline(buffer.uri, f"buffer {index}")
        if len(data) < buffer.byteLength:
            raise Refused(f"buffer {index} announces {buffer.byteLength:,} bytes, {len(data):,} are there")
        return data[: buffer.byteLength]

    def _inline(self, uri: str, what: str) -> bytes:
        if not uri.startswith("data:"):
            raise Refused(
                f"{what} lies in another file ({uri[:80]!r}), which is never opened; export one GLB with all in it"
            )
        head, comma, text = uri.partition(",")
        if not comma or not head.endswith(";base64"):
            raise Refused(f"{what}: its data address is no base64")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"{what}: its base64 is broken: {error}") from error

    def _check_views(self) -> None:
        total = 0
        for index, view in enumerate(self.document.bufferViews):
            if view.buffer >= len(self.buffers):
                raise Refused(f"bufferView {index} points to buffer {view.buffer}, which is not there")
            if view.byteOffset + view.byteLength > len(self.buffers[view.buffer]):
                raise Refused(f"bufferView {index} reaches beyond its buffer")
            total += view.byteLength
        # The parser copies each view, so views that overlap multiply.
        if total > 2 * self.limits.max_bytes:
            raise Refused(
                f"its buffer views hold {total:,} bytes together, at most {2 * self.limits.max_bytes:,} are taken"
            )

    def _view(self, index: int, what: str) -> bytes:
        if index >= len(self.document.bufferViews):
            raise Refused(f"{what} points to bufferView {index}, which is not there")
        view = self.document.bufferViews[index]
        return self.buffers[view.buffer][view.byteOffset : view.byteOffset + view.byteLength]

    def _check_accessor(self, index: int, accessor: Accessor) -> None:
        what = f"accessor {index}"
        if accessor.componentType not in _COMPONENTS or accessor.type not in _WIDTHS:
            raise Refused(f"{what} has the unknown type {accessor.componentType} {accessor.type!r}")
        if accessor.bufferView is None:
            return
        if accessor.bufferView >= len(self.document.bufferViews):
            raise Refused(f"{what} points to bufferView {accessor.bufferView}, which is not there")
        view = self.document.bufferViews[accessor.bufferView]
        row = _COMPONENTS[accessor.componentType] * _WIDTHS[accessor.type]
        stride = view.byteStride or row
        if stride < row:
            raise Refused(f"{what}: rows of {row} bytes do not fit into a stride of {stride}")
        reach = accessor.byteOffset + (accessor.count - 1) * stride + row if accessor.count else 0
        if reach > view.byteLength:
            raise Refused(f"{what} announces {accessor.count:,} elements and reaches beyond its bufferView")

    def _plain_accessor(self, accessor: Accessor) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "componentType": accessor.componentType,
            "type": accessor.type,
            "count": accessor.count,
            "byteOffset": accessor.byteOffset,
        }
        if accessor.bufferView is None or accessor.sparse is not None:
            # Nothing that is kept uses it; the parser would make zeros of its count.
            return {**plain, "count": 0, "byteOffset": 0}
        return {**plain, "bufferView": accessor.bufferView}

    # ------------------------------------------------------------ geometry

    def _meshes(self) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
        meshes: list[dict[str, Any]] = []
        counts: list[tuple[int, int]] = []
        skipped = 0
        for mesh in self.document.meshes:
            kept: list[dict[str, Any]] = []
            vertices = faces = 0
            for primitive in mesh.primitives:
                if primitive.mode not in (_TRIANGLES, _STRIP):
                    skipped += 1
                    continue
                added = self._primitive(primitive, kept)
                vertices, faces = vertices + added[0], faces + added[1]
            meshes.append({"primitives": kept, **({"name": mesh.name} if mesh.name else {})})
            counts.append((vertices, faces))
        if skipped:
            self.ignored.append(f"{skipped} primitives of points, lines or fans")
        return meshes, counts

    def _primitive(self, primitive: Primitive, kept: list[dict[str, Any]]) -> tuple[int, int]:
        if any(name in _UNREADABLE for name in primitive.extensions):
            raise Refused("its geometry is compressed; export it without, as plain glTF 2.0")
        position = self._used(primitive.attributes.get("POSITION"), "POSITION", ("VEC3",))
        if position.componentType != _FLOAT:
            raise Refused("POSITION is not made of floats; export it without quantisation")
        attributes: dict[str, int] = {}
        for name in _GEOMETRY:
            index = primitive.attributes.get(name)
            if index is None:
                continue
            kinds = {"TEXCOORD_0": ("VEC2",), "COLOR_0": ("VEC3", "VEC4")}.get(name, ("VEC3",))
            if self._used(index, name, kinds).count != position.count:
                raise Refused(f"{name} has another count than POSITION")
            attributes[name] = index
        plain: dict[str, Any] = {"attributes": attributes, "mode": primitive.mode}
        corners = position.count
        if primitive.indices is not None:
            indices = self._used(primitive.indices, "indices", ("SCALAR",))
            if indices.componentType not in (5121, 5123, 5125):
                raise Refused("indices are not made of unsigned whole numbers")
            corners = indices.count
            plain["indices"] = primitive.indices
        if primitive.mode == _TRIANGLES and corners % 3:
            raise Refused(f"{corners} corners make no whole number of triangles")
        if primitive.material is not None:
            if primitive.material >= len(self.document.materials):
                raise Refused(f"a primitive points to material {primitive.material}, which is not there")
            plain["material"] = primitive.material
        faces = corners // 3 if primitive.mode == _TRIANGLES else max(corners - 2, 0)
        if position.count and faces:
            kept.append(plain)
        return position.count, faces

    def _used(self, index: int | None, what: str, kinds: tuple[str, ...]) -> Accessor:
        if index is None:
            raise Refused(f"a primitive lacks {what}")
        if index >= len(self.document.accessors):
            raise Refused(f"{what} points to accessor {index}, which is not there")
        accessor = self.document.accessors[index]
        if accessor.type not in kinds:
            raise Refused(f"{what} is {accessor.type}; want {' or '.join(kinds)}")
        if accessor.bufferView is None or accessor.sparse is not None:
            raise Refused(f"{what} is a sparse accessor or one without data, which is not supported")
        return accessor

    # ------------------------------------------------------------ the tree

    def _tree(self, per_mesh: list[tuple[int, int]]) -> tuple[list[dict[str, Any]], list[int], int, int]:
        """Nodes, roots, the vertices and faces that the scene shows. glTF wants a forest: anything else multiplies."""
        nodes = self.document.nodes
        if len(nodes) > _MAX_NODES:
            raise Refused(f"{len(nodes):,} nodes, at most {_MAX_NODES:,} are taken")
        roots = self._roots()
        seen: set[int] = set()
        waiting = [(root, 1, 1.0) for root in roots]
        vertices = faces = walk = 0
        while waiting:
            index, depth, reach = waiting.pop()
            if index >= len(nodes):
                raise Refused(f"the scene names node {index}, which is not there")
            if index in seen:
                raise Refused(f"node {index} hangs in the tree twice or below itself")
            seen.add(index)
            walk += depth
            if depth > _MAX_DEPTH or walk > _MAX_WALK:
                raise Refused(f"its nodes are nested deeper than {_MAX_DEPTH} levels, or too many of them deep")
            node = nodes[index]
            reach *= _growth(node, index)
            if reach > MAX_COORDINATE:
                raise Refused(f"the transformations down to node {index} lead beyond {MAX_COORDINATE:g}")
            if node.mesh is not None:
                if node.mesh >= len(per_mesh):
                    raise Refused(f"node {index} shows mesh {node.mesh}, which is not there")
                vertices += per_mesh[node.mesh][0]
                faces += per_mesh[node.mesh][1]
                self.limits.check_counts(vertices, faces)
            waiting += [(child, depth + 1, reach) for child in node.children]
        return [_plain_node(node, index) for index, node in enumerate(nodes)], roots, vertices, faces

    def _roots(self) -> list[int]:
        document = self.document
        if document.scenes:
            chosen = document.scene if document.scene is not None else 0
            if chosen >= len(document.scenes):
                raise Refused(f"it shows scene {chosen}, which is not there")
            return list(document.scenes[chosen].nodes)
        children = {child for node in document.nodes for child in node.children}
        return [index for index in range(len(document.nodes)) if index not in children]

    # ------------------------------------------------------------ materials

    def _textures(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Textures and the images that lie inside. A texture without a readable image has no source."""
        sources: dict[int, int] = {}
        kept: list[dict[str, Any]] = []
        if len(self.document.images) > _MAX_IMAGES:
            raise Refused(f"{len(self.document.images)} images, at most {_MAX_IMAGES} are taken")
        pixels = 0
        for index, image in enumerate(self.document.images):
            if image.bufferView is not None:
                data = self._view(image.bufferView, f"image {index}")
                entry: dict[str, Any] = {"bufferView": image.bufferView}
            elif image.uri is not None and image.uri.startswith("data:"):
                data = self._inline(image.uri, f"image {index}")
                entry = {"uri": "data:image/png;base64," + base64.b64encode(data).decode()}
            else:
                self.ignored.append(f"image {str(image.uri)[:80]!r}: only the GLB file itself is read")
                continue
            try:
                width, height = check_embedded(data, self.image_limits)
            except ValueError as error:
                raise Refused(f"its image {index}: {error}") from error
            pixels += width * height
            if pixels > _MAX_PIXELS:
                raise Refused(f"its images have more than {_MAX_PIXELS:,} pixels together")
            sources[index] = len(kept)
            kept.append(entry)
        textures: list[dict[str, Any]] = []
        for texture in self.document.textures:
            webp = texture.extensions.get("EXT_texture_webp")
            source = webp.get("source") if isinstance(webp, dict) else texture.source
            textures.append({"source": sources[source]} if source in sources else {})
        return textures, kept

    def _material(self, material: dict[str, Any], textures: int) -> dict[str, Any]:
        plain = {key: material[key] for key in _MATERIAL_KEYS if key in material}
        _check_material(plain, textures, 0)
        return plain


def _check_material(value: Any, textures: int, depth: int) -> None:
    """Numbers that are finite, and textures that are there."""
    if depth > 4:
        raise Refused("a material is nested too deep")
    if isinstance(value, dict):
        index = value.get("index")
        if "index" in value and (not isinstance(index, int) or not 0 <= index < textures):
            raise Refused(f"a material points to texture {index!r}, which is not there")
        for each in value.values():
            _check_material(each, textures, depth + 1)
    elif isinstance(value, list):
        if len(value) > 16:
            raise Refused("a material holds a list of more than 16 numbers")
        for each in value:
            _check_material(each, textures, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused("a material holds a number that is not finite")


def _plain_view(view: BufferView, offset: int) -> dict[str, Any]:
    plain: dict[str, Any] = {"buffer": 0, "byteOffset": view.byteOffset + offset, "byteLength": view.byteLength}
    if view.byteStride is not None:
        plain["byteStride"] = view.byteStride
    return plain


def _growth(node: Node, index: int) -> float:
    """A bound on how much further from the origin a point may lie after the node's transformation; 1 or more.

    Raises:
        Refused: not the right count of finite numbers.
    """
    growth = 1.0
    for key, length in _TRANSFORMATIONS:
        values = getattr(node, key)
        if values is None:
            continue
        if len(values) != length or not all(math.isfinite(each) for each in values):
            raise Refused(f"the {key} of node {index} is not {length} finite numbers")
        growth *= max(1.0, *(abs(each) for each in values))
    if node.rotation is not None and not any(node.rotation):
        raise Refused(f"the rotation of node {index} is zero")
    return growth


def _plain_node(node: Node, index: int) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": node.name or f"node_{index}"}
    if node.children:
        plain["children"] = node.children
    if node.mesh is not None:
        plain["mesh"] = node.mesh
    plain.update({key: getattr(node, key) for key, _ in _TRANSFORMATIONS if getattr(node, key) is not None})
    return plain


def _glb(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    body = struct.pack("<II", len(text), _JSON_CHUNK) + text + struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
