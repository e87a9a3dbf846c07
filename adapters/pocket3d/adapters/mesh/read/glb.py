"""GLB: everything its JSON claims is judged, and a reduced copy is made for the parser.

The copy holds geometry, the node tree, materials and images that lie inside the file, nothing else: what was judged is
what is parsed, byte for byte (two JSON readers may differ over doubled keys), and no address of anything outside is in
it. What the parser (trimesh) does not know is worked into the numbers: skins and places of textures. Whatever is
broken, too large, points to what is not there or lies in another file is `Refused`, here and in all modules `glb_*`.
Judged against the glTF 2.0 specification (Khronos 2017), sections 3.5 to 3.9 and 4.4.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np

from .glb_arrays import FLOAT, Arrays
from .glb_container import look_into, pack
from .glb_document import Document, Primitive
from .glb_instances import count_instances, spread_instances
from .glb_left_out import left_out
from .glb_morphs import shape_by_weights, values_of
from .glb_origins import base_colours, name_nodes
from .glb_skins import put_where_joints_hold
from .glb_split import split_primitives
from .glb_surface import Mapping, Surface
from .glb_tree import Tree
from .gltf_plain import plain_gltf
from .limits import MAX_VALUES, Checked, MeshLimits, Refused

_TRIANGLES, _STRIP = 4, 5


def check_glb(data: bytes, limits: MeshLimits) -> Checked:
    """Judge a GLB file and reduce it."""
    raw, binary, packed = plain_gltf(*look_into(data), limits)
    try:
        document = msgspec.convert(raw, Document)
    except msgspec.ValidationError as error:
        raise Refused(f"its JSON is no glTF: {error}") from error
    arrays = Arrays(document, binary, limits)
    surface = Surface(document, arrays)
    meshes = _Meshes(document, arrays, surface.mappings, limits)
    _dress(meshes.plain, surface.materials)
    tree = Tree(document)
    copies = count_instances(document, arrays)
    shown = tree.shown(meshes.sizes, limits, copies)
    _check_values(document, {document.nodes[index].mesh for index in shown}, meshes.sources)
    nodes, roots = put_where_joints_hold(document, arrays, tree, shown, meshes.plain, meshes.sources)
    shape_by_weights(document, arrays, nodes, shown, meshes.plain, meshes.sources)
    spread_instances(document, arrays, nodes, copies)
    split_primitives(nodes, meshes.plain)
    ignored = [f"{meshes.skipped} primitives of points, lines or fans"] if meshes.skipped else []
    if meshes.pointless:
        ignored.append(f"normals of {meshes.pointless} primitives: some have no length, so all are computed anew")
    ignored += left_out(raw)
    origins = name_nodes(document, nodes, meshes.numbers)
    numbers, joined = arrays.reduced()
    reduced = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": roots}],
        "nodes": nodes,
        "meshes": meshes.plain,
        "materials": surface.materials,
        "textures": surface.textures,
        "images": surface.images,
        **numbers,
    }
    told = (*packed, *ignored, *surface.ignored)[:10]
    return Checked(pack(reduced, joined), 0, told, origins, base_colours(document, origins))


def _check_values(document: Document, shown: Collection[int | None], sources: list[list[Primitive]]) -> None:
    """Refuse more at the vertices of meshes than can be held: a small file may name one accessor many times."""
    values = 0
    for mesh in shown:
        for primitive in [] if mesh is None else sources[mesh]:
            count = document.accessors[primitive.attributes["POSITION"]].count
            values += count * values_of(primitive.attributes, primitive.targets)
    if values > MAX_VALUES:
        raise Refused(
            f"{values:,} attributes and morph targets of vertices, at most {MAX_VALUES:,} are taken; export it with"
            " fewer morph targets"
        )


def _dress(meshes: list[dict[str, Any]], materials: list[dict[str, Any]]) -> None:
    """Give a material to what has texture coordinates alone: without one the parser leaves them out."""
    bare = [
        each
        for mesh in meshes
        for each in mesh["primitives"]
        if "material" not in each and "TEXCOORD_0" in each["attributes"]
    ]
    for primitive in bare:
        primitive["material"] = len(materials)
    if bare:
        materials.append({"name": "plain"})


class _Meshes:
    """The triangles of one document, reduced."""

    def __init__(self, document: Document, arrays: Arrays, mappings: list[Mapping], limits: MeshLimits) -> None:
        self._arrays = arrays
        self._mappings = mappings
        self._limits = limits
        #: Vertices and faces of all primitives so far. Parts that no node shows are parsed as well.
        self._vertices = self._faces = 0
        self._moved: dict[tuple[int, Mapping], int] = {}
        self.plain: list[dict[str, Any]] = []
        #: What the primitives of each were made of.
        self.sources: list[list[Primitive]] = []
        #: The numbers of these among the document's.
        self.numbers: list[list[int]] = []
        #: Vertices and faces of each mesh.
        self.sizes: list[tuple[int, int]] = []
        #: Primitives that are no triangles, and those with normals of no length.
        self.skipped = self.pointless = 0
        for mesh in document.meshes:
            before = self._vertices, self._faces
            triangles = [each for each in enumerate(mesh.primitives) if each[1].mode in (_TRIANGLES, _STRIP)]
            self.skipped += len(mesh.primitives) - len(triangles)
            kept = [(*each, plain) for each in triangles if (plain := self._primitive(each[1])) is not None]
            self.sources.append([source for _, source, _ in kept])
            self.numbers.append([number for number, _, _ in kept])
            named = {"name": mesh.name} if mesh.name else {}
            self.plain.append({"primitives": [plain for _, _, plain in kept], **named})
            self.sizes.append((self._vertices - before[0], self._faces - before[1]))

    def _primitive(self, primitive: Primitive) -> dict[str, Any] | None:
        """Reduce a primitive; None if it has no triangle."""
        arrays = self._arrays
        position = arrays.accessor(primitive.attributes.get("POSITION"), "POSITION", ("VEC3",))
        if position.componentType != FLOAT:
            raise Refused("POSITION is not made of floats; export it without quantisation")
        plain: dict[str, Any] = {"mode": primitive.mode}
        mapping = Mapping()
        if primitive.material is not None:
            if primitive.material >= len(self._mappings):
                raise Refused(f"a primitive points to material {primitive.material}, which is not there")
            plain["material"] = primitive.material
            mapping = self._mappings[primitive.material]
        corners = position.count
        if primitive.indices is not None:
            indices = arrays.accessor(primitive.indices, "indices", ("SCALAR",))
            if indices.componentType not in (5121, 5123, 5125):
                raise Refused("indices are not made of unsigned whole numbers")
            corners = indices.count
        if primitive.mode == _TRIANGLES and corners % 3:
            raise Refused(f"{corners} corners make no whole number of triangles")
        faces = corners // 3 if primitive.mode == _TRIANGLES else max(corners - 2, 0)
        self._vertices += position.count
        self._faces += faces
        self._limits.check_counts(self._vertices, self._faces)
        coordinates = f"TEXCOORD_{mapping.coordinates}"
        if coordinates not in primitive.attributes:
            coordinates = "TEXCOORD_0"
        attributes: dict[str, int] = {}
        for name, kinds in (
            ("POSITION", ("VEC3",)),
            ("NORMAL", ("VEC3",)),
            (coordinates, ("VEC2",)),
            ("COLOR_0", ("VEC3", "VEC4")),
        ):
            index = primitive.attributes.get(name)
            if index is None:
                continue
            if arrays.accessor(index, name, kinds).count != position.count:
                raise Refused(f"{name} has another count than POSITION")
            if name == "NORMAL" and not np.logical_or.reduce(arrays.rows(index).T != 0).all():
                # One without a length points nowhere: they are computed anew.
                self.pointless += 1
                continue
            if name == coordinates:
                attributes["TEXCOORD_0"] = self._coordinates(index, mapping)
            else:
                attributes[name] = arrays.keep(index)
        if not position.count or not faces:
            return None
        if primitive.indices is not None:
            plain["indices"] = arrays.keep(primitive.indices)
        return {**plain, "attributes": attributes}

    def _coordinates(self, index: int, mapping: Mapping) -> int:
        """Keep texture coordinates as floats, moved as the mapping says; primitives that share both share them."""
        rows = self._arrays.rows(index)
        if rows.dtype == np.float32 and not mapping.moves:
            return self._arrays.keep(index)
        key = (index, mapping)
        if key not in self._moved:
            with np.errstate(all="ignore"):
                self._moved[key] = self._arrays.add(mapping.apply(rows), "VEC2")
        return self._moved[key]
