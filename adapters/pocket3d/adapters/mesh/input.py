"""Read meshes that come from strangers, each from its one file, or from a zip with the files that belong to it.

What a file claims is judged before it is decoded (`read/`). OBJ, PLY, STL, OFF and 3MF have readers of our own; FBX,
COLLADA and 3DS become GLB in a process of its own; for GLB the parser (trimesh) gets bytes and a resolver that resolves
nothing. All run under a bound on memory, and what they make is checked again: finite coordinates, indices that point to
vertices. Every fault of the file is an `InvalidInput`.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..runtime.memory_limit import limited_memory
from .image_input import check_pixels, refusing
from .parts import leave_triangles
from .read.assimp import FORMATS as IMPORTED
from .read.assimp import import_glb
from .read.contents import kind_of
from .read.found import scene_of
from .read.glb import check_glb
from .read.gltf_archive import glb_of, main_file, open_archive
from .read.limits import MAX_COORDINATE, MIB, Checked, MeshLimits, Refused
from .read.obj import read_obj
from .read.off import read_off
from .read.ply import read_ply
from .read.stl import read_stl
from .read.threemf import model_path, read_3mf

__all__ = ["FORMATS", "MeshLimits", "ignored_parts", "join_parts", "origins", "read_mesh", "read_scene", "unit_of"]

_READERS = {"obj": read_obj, "ply": read_ply, "stl": read_stl, "off": read_off, "3mf": read_3mf}
#: Suffixes of what is read.
FORMATS = ("glb", *_READERS, "gltf", "vrm", *IMPORTED, "zip")
#: Text takes about this many bytes in the parser for each of its own.
_PARSER_FACTOR = 24
_PARSER_FLOOR = 512 * MIB
#: A vertex and a face take 24 bytes each: where the part lies, moved, and in the whole; and what is made on the way.
_JOIN_FACTOR = 24 * 4
_JOIN_FLOOR = 256 * MIB
_IGNORED = "pocket3d_ignored"
_ORIGINS = "pocket3d_origins"
_UNIT = "pocket3d_unit"
_DEFAULT = MeshLimits()


def read_scene(path: Path, limits: MeshLimits = _DEFAULT, field: str = "mesh_path") -> Any:
    """Read a file as a `trimesh.Scene` that holds triangle meshes only.

    Names, materials and colours are kept where the file has them. Vertices stay as they are, with one exception: STL
    has three of its own for each triangle, and equal ones are merged. Textures are decoded.

    Args:
        path: a local file whose suffix is one of `FORMATS`. No other file is opened, whatever this one refers to;
            `ignored_parts` tells what was left out.
        limits: judged by the file's own claims before anything is decoded.
        field: the input that named it, for the error.

    Raises:
        InvalidInput: another format, too large, broken, empty, or spread over several files.
        OSError: the file cannot be opened: the host's fault.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InvalidInput(f"{path.name}: unsupported format {suffix!r}; want one of {', '.join(FORMATS)}", field)
    size = path.stat().st_size
    try:
        if size > limits.max_bytes:
            raise Refused(f"{size:,} bytes, at most {limits.max_bytes:,} are taken; decimate it first")
        return read_data(path.read_bytes(), suffix, limits)
    except Refused as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except MemoryError as error:
        raise InvalidInput(f"{path.name}: reading it takes more memory than its size accounts for", field) from error


def read_data(data: bytes, suffix: str, limits: MeshLimits = _DEFAULT) -> Any:
    """What `read_scene` reads, of the file's bytes.

    Raises:
        Refused: in place of `InvalidInput`.
        MemoryError: it takes more than its size accounts for.
    """
    with limited_memory(_parser_mb(data)):
        opened = _open(data, suffix, limits)
    with limited_memory(_parser_mb(opened.data)):
        return _read(opened, limits)


def glb_bytes_of(path: Path, limits: MeshLimits = _DEFAULT) -> bytes:
    """A file that `read_scene` found sound, as a GLB file if it is glTF in another form; else as it is."""
    data = path.read_bytes()
    suffix = path.suffix.lower().removeprefix(".")
    opened = _open(data, suffix, limits)
    return opened.data if opened.kind in ("glb", "vrm") else data


def _parser_mb(data: bytes) -> int:
    return (_PARSER_FLOOR + _PARSER_FACTOR * len(data)) // MIB


def read_mesh(path: Path, limits: MeshLimits = _DEFAULT, field: str = "mesh_path") -> Any:
    """Read a file as one `trimesh.Trimesh`, all of the scene in world coordinates.

    Colours and textures are kept where the scene is a single part, and dropped where it has several. Arguments and
    errors are those of `read_scene`.
    """
    return join_parts(read_scene(path, limits, field), path.name, field)


def join_parts(scene: Any, name: str, field: str = "mesh_path") -> Any:
    """What `read_scene` read of a file of this name, as `read_mesh` gives it; the scene is as it was.

    Raises:
        InvalidInput: it takes too much memory.
    """
    parts = [scene.geometry[scene.graph[node][1]] for node in scene.graph.nodes_geometry]
    rows = sum(len(part.vertices) + len(part.faces) for part in parts)
    try:
        with limited_memory((_JOIN_FLOOR + _JOIN_FACTOR * rows) // MIB):
            return _joined(scene)
    except MemoryError as error:
        raise InvalidInput(f"{name}: joining its parts takes more memory than they account for", field) from error


def _joined(scene: Any) -> Any:
    import trimesh

    nodes = list(scene.graph.nodes_geometry)
    placed = []
    for transform, name in map(scene.graph.get, nodes):
        part = scene.geometry[name]
        mesh = part.copy() if len(nodes) == 1 else trimesh.Trimesh(part.vertices, part.faces, process=False)
        placed.append(mesh.apply_transform(transform))
    mesh = placed[0] if len(nodes) == 1 else trimesh.util.concatenate(placed)
    mesh.metadata[_IGNORED] = ignored_parts(scene)
    return mesh


def ignored_parts(read: Any) -> list[str]:
    """The parts of the file, or files that it refers to, that `read_scene` or `read_mesh` left out, for people."""
    return list(read.metadata.get(_IGNORED, ()))


def origins(scene: Any) -> dict[str, tuple[int, int]]:
    """For each node with a mesh that `read_scene` read of a GLB file, by name, the document's node and the primitive of
    its mesh that it was made of; empty for other formats.
    """
    return dict(scene.metadata.get(_ORIGINS, ()))


def unit_of(scene: Any) -> float | None:
    """The length in metres of one unit of what `read_scene` read; None where the format has no units."""
    found = scene.metadata.get(_UNIT)
    return None if found is None else float(found)


class _Opened(NamedTuple):
    """A mesh without what it was wrapped in."""

    #: Its format; what becomes GLB is that.
    kind: str
    data: bytes
    #: What lay beside it in a zip, by paths.
    files: dict[str, bytes]
    #: What was left out so far, for people.
    ignored: tuple[str, ...] = ()


def _read(opened: _Opened, limits: MeshLimits) -> Any:
    kind, data, files, ignored = opened
    if kind in _READERS:
        found = read_obj(data, limits, files) if kind == "obj" else _READERS[kind](data, limits)
        loaded, told, made_of, unit = scene_of(found), found.ignored, {}, found.unit
        _check_result(loaded, 0)
    else:
        checked = check_glb(data, limits)
        loaded, told, made_of, unit = _parse(checked), checked.ignored, dict(checked.origins), 1.0
        _check_result(loaded, checked.faces)
        _restore_colours(loaded, checked)
    counts = [loaded.geometry[loaded.graph[node][1]] for node in loaded.graph.nodes_geometry]
    limits.check_counts(sum(len(m.vertices) for m in counts), sum(len(m.faces) for m in counts))
    loaded.metadata.clear()
    loaded.metadata[_IGNORED] = [*ignored, *told]
    loaded.metadata[_ORIGINS] = made_of
    loaded.metadata[_UNIT] = unit
    return loaded


def _open(data: bytes, suffix: str, limits: MeshLimits) -> _Opened:
    """Take a file, or the mesh in a zip, out of what it is wrapped in; glTF and what assimp reads becomes a GLB."""
    if not data:
        raise Refused("the file is empty")
    kind = kind_of(data, suffix, FORMATS)
    ignored = () if kind == suffix else (f"the suffix .{suffix}: it is a file of {kind.upper()} and read as one",)
    files: dict[str, bytes] = {}
    path = ""
    if kind in ("zip", "3mf"):
        files = open_archive(data, limits)
        model = model_path(files)
        if model is not None:
            return _Opened("3mf", files[model], files, ignored)
        path = main_file(files)
        data = files[path]
        kind = kind_of(data, PurePosixPath(path).suffix.lower().removeprefix("."), FORMATS)
    if kind == "gltf":
        return _Opened("glb", glb_of(data, files, str(PurePosixPath(path).parent)), files, ignored)
    if kind in IMPORTED:
        found = import_glb(data, kind, files)
        return _Opened("glb", found.glb, files, (*ignored, *found.ignored))
    return _Opened(kind, data, files, ignored)


class _NothingOutside:
    """A resolver for which no file exists."""

    file_name = "mesh"

    def get(self, name: str) -> bytes:
        raise FileNotFoundError(f"{name!r}: other files are never opened")

    __getitem__ = get


def _parse(checked: Checked) -> Any:
    import trimesh

    nothing: Any = _NothingOutside()
    try:
        return trimesh.load_scene(BytesIO(checked.data), file_type="glb", resolver=nothing)
    except MemoryError:
        raise
    except Exception as error:  # foreign code, which raises nearly anything on a broken file
        raise Refused(f"it cannot be read as GLB: {type(error).__name__}: {str(error)[:300]}") from error


def _check_result(scene: Any, announced: int) -> None:
    try:
        leave_triangles(scene)
    except ValueError as error:
        raise Refused(str(error)) from error
    for name, geometry in scene.geometry.items():
        if np.abs(geometry.vertices).max() > MAX_COORDINATE:
            raise Refused(f"part {name!r} has coordinates beyond {MAX_COORDINATE:g}")
        _decode_textures(geometry)
    if not list(scene.graph.nodes_geometry):
        raise Refused("no surface: there are no triangles in it")
    faces = sum(len(geometry.faces) for geometry in scene.geometry.values())
    if faces < announced:
        raise Refused(f"{announced:,} faces are announced, only {faces:,} can be read")


def _restore_colours(scene: Any, checked: Checked) -> None:
    """Give materials the base colours of the file in place of those that the parser rounded to bytes."""
    for node in scene.graph.nodes_geometry:
        material = getattr(scene.geometry[scene.graph[node][1]].visual, "material", None)
        if node in checked.factors and material is not None:
            # Its property would round them as well.
            material._data["baseColorFactor"] = np.array(checked.factors[node])


def _decode_textures(mesh: Any) -> None:
    from PIL import Image

    material = getattr(mesh.visual, "material", None)
    for key in ("image", "baseColorTexture", "metallicRoughnessTexture", "normalTexture", "emissiveTexture"):
        image = getattr(material, key, None)
        if not isinstance(image, Image.Image):
            continue
        try:
            check_pixels(image)
            with refusing():
                image.load()
        except Refused as error:
            raise Refused(f"its texture: {error}") from error
