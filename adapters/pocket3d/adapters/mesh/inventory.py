"""What a mesh file has beside its triangles.

A GLB file is asked for what its document says, the files that we write for what stands in them, and other inputs for
what was read of them (their readers say themselves what they leave out).
"""

from __future__ import annotations

import hashlib
import html
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from .gltf_files import joined_glb
from .input import glb_bytes_of
from .parts import stored_normals
from .read.glb_container import look_into
from .read.gltf_plain import plain_gltf
from .read.limits import MeshLimits
from .usdz_again import label_of, usdz_layer, usdz_meshes

_OTHER_MAPS = ("normalTexture", "occlusionTexture", "emissiveTexture")
_INSTANCES = "EXT_mesh_gpu_instancing"
#: What we write when a surface says nothing of it.
_PLAIN_ROUGHNESS = 0.8
_OBJECT = re.compile(rb'<object id="\d+" type="model" name=["\'](.*?)["\'] pid')
_PLACES = ("matrix", "translation", "rotation", "scale")


class Inventory(NamedTuple):
    """One file's."""

    #: Suffix of its format.
    format: str
    #: How many there are of each kind: `parts`, `meshes` (fewer where some are shown several times), `groups` (nodes
    #: without a mesh), `hidden` (nodes with one that the scene does not show), and of parts or materials with a
    #: property: `normals`, `coordinates`, `colours`, `textures`, `alpha` (a picture whose alpha is shown), `maps`,
    #: `relief` (those of normals, occlusion, light), `stated` (any look at all), `surface` (metallic or rough), `shine`
    #: (light of its own), `cutout`, `sides` (both are shown).
    counts: Mapping[str, int]
    #: Of parts, with `_` for blanks.
    names: frozenset[str] = frozenset()
    #: A digest of each encoded image.
    images: frozenset[str] = frozenset()
    #: The JSON of a GLB file.
    document: Mapping[str, Any] | None = None


def inventory(path: Path, scene: Any = None) -> Inventory:
    """Ask a file.

    Args:
        path: a sound GLB file, or one in another format as we write it; any that is read, with a `scene`.
        scene: what `read_scene` found in a file of somebody else.
    """
    suffix = path.suffix.lower().removeprefix(".")
    data = glb_bytes_of(path) if scene is not None else joined_glb(path) if suffix == "gltf" else path.read_bytes()
    if data[:4] == b"glTF":
        limits = MeshLimits(max_bytes=max(len(data), MeshLimits().max_bytes))
        return _of_document(*plain_gltf(*look_into(data), limits, pictures=False)[:2])
    if scene is not None:
        return _of_scene(suffix, scene)
    if suffix == "usdz":
        return _of_usdz(usdz_layer(path))
    if suffix == "3mf":
        return _of_3mf(data)
    if suffix == "obj":
        return _of_obj(data, path.with_suffix(".mtl"))
    header = data[: data.find(b"end_header")] if suffix == "ply" else b""
    counts = {
        "parts": 1,
        "meshes": 1,
        "normals": b" nx\n" in header,
        "coordinates": b" s\n" in header,
        "colours": b" red\n" in header,
        "stated": b" red\n" in header,
    }
    return Inventory(suffix, {key: int(count) for key, count in counts.items()})


# ---------------------------------------------------------------- GLB


def _of_document(raw: dict[str, Any], binary: bytes | memoryview) -> Inventory:
    materials = list(_objects(raw, "materials"))
    nodes = list(_objects(raw, "nodes"))
    meshes = [
        [each for each in _objects(mesh, "primitives") if each.get("mode", 4) in (4, 5)]
        for mesh in _objects(raw, "meshes")
    ]
    counts: Counter[str] = Counter()
    names: set[str] = set()
    joints = {joint for skin in _objects(raw, "skins") for joint in skin.get("joints", ())}
    roots = _roots(raw)
    shown = _below(nodes, roots)
    used: set[int] = set()
    for index in shown:
        node = nodes[index]
        mesh = node.get("mesh")
        if mesh is None:
            whole = roots == [index] and not any(key in node for key in _PLACES)
            counts["groups"] += index not in joints and not whole and not ("camera" in node or "extensions" in node)
            continue
        # Copies are only counted; what is wrong with them is told by the reader.
        copies = _copies(raw, node)
        counts["parts"] += (1 if copies is None else copies) * len(meshes[mesh])
        used.add(mesh)
        if copies is None and node.get("name"):
            names.add(_plain(node["name"]))
    counts["hidden"] = sum("mesh" in node for index, node in enumerate(nodes) if index not in shown)
    for mesh in used:
        counts["meshes"] += len(meshes[mesh])
        for primitive in meshes[mesh]:
            _count_primitive(primitive, materials, counts)
            counts["alpha"] += _shows_alpha(raw, binary, primitive, materials)
    images = frozenset(hashlib.sha256(each).hexdigest() for each in _images(raw, binary))
    return Inventory("glb", counts, frozenset(names), images, raw)


def _roots(raw: Mapping[str, Any]) -> list[int]:
    scenes = list(_objects(raw, "scenes"))
    if scenes:
        return list(scenes[raw.get("scene") or 0].get("nodes", ()))
    below = {child for node in _objects(raw, "nodes") for child in node.get("children", ())}
    return [index for index, _ in enumerate(_objects(raw, "nodes")) if index not in below]


def _below(nodes: list[dict[str, Any]], roots: list[int]) -> set[int]:
    """The nodes that hang below some, with these. Nodes form a forest: the reader has refused what does not."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        index = waiting.pop()
        found.add(index)
        waiting += nodes[index].get("children", ())
    return found


def _count_primitive(primitive: Mapping[str, Any], materials: list[dict[str, Any]], counts: Counter[str]) -> None:
    attributes = primitive.get("attributes", {})
    counts["normals"] += "NORMAL" in attributes
    counts["coordinates"] += any(name.startswith("TEXCOORD_") for name in attributes)
    counts["colours"] += "COLOR_0" in attributes
    number = primitive.get("material")
    material = {} if number is None else materials[number]
    surface = material.get("pbrMetallicRoughness") or {}
    textured = "baseColorTexture" in surface
    counts["textures"] += textured
    relief = sum(key in material for key in _OTHER_MAPS)
    counts["relief"] += relief
    counts["maps"] += relief + ("metallicRoughnessTexture" in surface)
    counts["stated"] += textured or "baseColorFactor" in surface or "COLOR_0" in attributes
    counts["surface"] += bool(surface.get("metallicFactor")) or (
        surface.get("roughnessFactor", _PLAIN_ROUGHNESS) != _PLAIN_ROUGHNESS
    )
    counts["shine"] += any(material.get("emissiveFactor") or ())
    counts["cutout"] += material.get("alphaMode") == "MASK"
    counts["sides"] += bool(material.get("doubleSided"))


def _shows_alpha(
    raw: Mapping[str, Any],
    binary: bytes | memoryview,
    primitive: Mapping[str, Any],
    materials: list[dict[str, Any]],
) -> bool:
    """Whether the picture of the base colour has alpha, which its material shows."""
    material = materials[primitive["material"]] if primitive.get("material") is not None else {}
    picture = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
    if picture is None or material.get("alphaMode") not in ("MASK", "BLEND"):
        return False
    source = raw["textures"][picture["index"]].get("source")
    images = list(_objects(raw, "images"))
    # A texture whose picture is not there is read without.
    view = images[source].get("bufferView") if source in range(len(images)) else None
    if view is None:
        return False
    start = raw["bufferViews"][view].get("byteOffset", 0)
    try:
        with Image.open(BytesIO(binary[start : start + raw["bufferViews"][view]["byteLength"]])) as image:
            return bool(image.has_transparency_data)
    except OSError:
        # In a form that Pillow does not read.
        return False


def _copies(raw: Mapping[str, Any], node: Mapping[str, Any]) -> int | None:
    """How many copies a node shows by the extension; None without it."""
    if _INSTANCES not in (node.get("extensions") or {}) or "skin" in node:
        return None
    stated = node["extensions"][_INSTANCES]["attributes"]
    # What programs note at each copy nobody has judged.
    places = next(stated[key] for key in ("TRANSLATION", "ROTATION", "SCALE") if key in stated)
    return int(raw["accessors"][places]["count"])


def _images(raw: Mapping[str, Any], binary: bytes | memoryview) -> Iterator[bytes | memoryview]:
    for image in _objects(raw, "images"):
        if "bufferView" in image:
            view = raw["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            yield binary[start : start + view["byteLength"]]
        else:
            yield str(image.get("uri")).encode()


def _objects(raw: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    yield from (each for each in raw.get(key, ()) if isinstance(each, dict))


# ---------------------------------------------------------------- other formats


def _of_scene(suffix: str, scene: Any) -> Inventory:
    nodes = list(scene.graph.nodes_geometry)
    meshes = list(scene.geometry.values())
    counts = Counter(parts=len(nodes), meshes=len(meshes))
    for mesh in meshes:
        visual = mesh.visual
        material = getattr(visual, "material", None)
        coloured = visual.kind in ("vertex", "face") or "color" in getattr(visual, "vertex_attributes", {})
        counts["normals"] += stored_normals(mesh) is not None
        counts["coordinates"] += getattr(visual, "uv", None) is not None
        counts["colours"] += coloured
        stated = (getattr(material, key, None) for key in ("baseColorFactor", "baseColorTexture", "diffuse", "image"))
        counts["stated"] += coloured or any(each is not None for each in stated)
    # One mesh has the name of its file's format, as nobody named it.
    names = frozenset(_plain(str(node)) for node in nodes) if len(nodes) > 1 else frozenset()
    return Inventory(suffix, counts, names)


def _of_obj(data: bytes, library: Path) -> Inventory:
    # Other programs write a single mesh without a name.
    objects = (b"\n" + data).split(b"\no ")[1:] or [b"\n" + data]
    materials = library.read_bytes() if library.is_file() else b""
    counts = Counter(
        parts=len(objects),
        meshes=len(objects),
        normals=sum(b"\nvn " in each for each in objects),
        coordinates=sum(b"\nvt " in each for each in objects),
        colours=sum(_has_colours(each) for each in objects),
        textures=materials.count(b"map_Kd "),
        stated=materials.count(b"newmtl "),
        surface=materials.count(b"Pm "),
    )
    names = frozenset(each[: each.find(b"\n")].decode() for each in objects if not each.startswith(b"\n"))
    return Inventory("obj", counts, names)


def _of_usdz(layer: str) -> Inventory:
    meshes = usdz_meshes(layer)
    looks = layer[layer.index('def Scope "Looks"') :]
    counts = Counter(
        parts=len(meshes),
        meshes=len(meshes),
        normals=len(meshes),
        coordinates=sum("primvars:st" in each for each in meshes),
        colours=sum("primvars:displayColor" in each for each in meshes),
        textures=looks.count('"UsdUVTexture"'),
        stated=looks.count("def Material"),
        surface=looks.count("inputs:metallic"),
    )
    return Inventory("usdz", counts, frozenset(_plain(label_of(each)) for each in meshes))


def _of_3mf(data: bytes) -> Inventory:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        model = archive.read("3D/3dmodel.model")
    objects = [html.unescape(each.decode()) for each in _OBJECT.findall(model)]
    counts = Counter(
        parts=len(objects),
        meshes=len(objects),
        colours=model.count(b"<m:colorgroup "),
        stated=model.count(b"<base "),
    )
    return Inventory("3mf", counts, frozenset(_plain(each) for each in objects))


def _has_colours(piece: bytes) -> bool:
    start = piece.find(b"\nv ") + 1
    return len(piece[start : piece.find(b"\n", start)].split()) == 7


def _plain(name: str) -> str:
    return "_".join(name.split())
