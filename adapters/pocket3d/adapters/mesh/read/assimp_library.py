"""What of assimp's C interface is needed to make a GLB file of another format. For a process of its own: see `assimp`.

The library comes with the package cmeel-assimp, as a file that is no Python module.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

PACKAGE = "cmeel-assimp"
#: What is counted before it is removed, by the names of the options' `counts`.
COUNTED = ("animations", "lights", "cameras", "skins", "targets")
_LIBRARY = re.compile(r"libassimp[.\d]*\.(so|dylib)[.\d]*$")
#: aiPostProcessSteps: no index may point nowhere; triangles from polygons; meshes of one kind of primitive; vertices
#: that are the same are one; what RVC_FLAGS names is removed.
_CHECK, _STEPS = 0x400, 0x8 | 0x8000 | 0x2 | 0x10
#: aiComponent: tangents, weights of bones, animations, lights, cameras.
_REMOVED = 0x4 | 0x20 | 0x40 | 0x100 | 0x200
_OPTIONS = {
    # Points and lines are removed.
    b"PP_SBP_REMOVE": 3,
    b"PP_RVC_FLAGS": _REMOVED,
    # One node for each of the file's, whose matrix has all that places it.
    b"IMPORT_FBX_PRESERVE_PIVOTS": 0,
    # Names as people gave them, not the XML's ids.
    b"IMPORT_COLLADA_USE_COLLADA_NAMES": 1,
}


#: aiMetadataType of numbers with a point.
_NUMBERS: dict[int, Any] = {3: ctypes.c_float, 4: ctypes.c_double}


class _Name(ctypes.Structure):
    """aiString."""

    _fields_ = (("length", ctypes.c_uint32), ("data", ctypes.c_char * 1024))


class _Node(ctypes.Structure):
    """The beginning of aiNode."""

    _fields_ = (("name", _Name), ("matrix", ctypes.c_float * 16))


class _Entry(ctypes.Structure):
    """aiMetadataEntry."""

    _fields_ = (("kind", ctypes.c_uint), ("data", ctypes.c_void_p))


class _Metadata(ctypes.Structure):
    """aiMetadata."""

    _fields_ = (("count", ctypes.c_uint), ("keys", ctypes.POINTER(_Name)), ("values", ctypes.POINTER(_Entry)))


class _Mesh(ctypes.Structure):
    """The beginning of aiMesh."""

    _fields_ = (
        ("primitives", ctypes.c_uint),
        ("vertex_count", ctypes.c_uint),
        ("face_count", ctypes.c_uint),
        # Vertices, normals, tangents, bitangents; eight sets of colours, eight of coordinates.
        ("arrays", ctypes.c_void_p * 20),
        ("coordinate_widths", ctypes.c_uint * 8),
        ("faces", ctypes.c_void_p),
        ("bone_count", ctypes.c_uint),
        ("bones", ctypes.c_void_p),
        ("material", ctypes.c_uint),
        ("name", _Name),
        ("target_count", ctypes.c_uint),
    )


class _Scene(ctypes.Structure):
    """The beginning of aiScene (assimp 5 and 6)."""

    _fields_ = (
        ("flags", ctypes.c_uint),
        ("root", ctypes.POINTER(_Node)),
        ("mesh_count", ctypes.c_uint),
        ("meshes", ctypes.POINTER(ctypes.POINTER(_Mesh))),
        ("material_count", ctypes.c_uint),
        ("materials", ctypes.c_void_p),
        ("animation_count", ctypes.c_uint),
        ("animations", ctypes.c_void_p),
        ("texture_count", ctypes.c_uint),
        ("textures", ctypes.c_void_p),
        ("light_count", ctypes.c_uint),
        ("lights", ctypes.c_void_p),
        ("camera_count", ctypes.c_uint),
        ("cameras", ctypes.c_void_p),
        ("metadata", ctypes.POINTER(_Metadata)),
    )


class _Blob(ctypes.Structure):
    """The beginning of aiExportDataBlob."""

    _fields_ = (("size", ctypes.c_size_t), ("data", ctypes.c_void_p))


def library_path() -> str | None:
    """Where the library lies; None where the package is not installed."""
    try:
        found = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [str(found.locate_file(each)) for each in found.files or () if _LIBRARY.search(str(each))]
    return min(paths, key=len, default=None)


def convert_here(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What runs in the other process: see `call_native`.

    Args:
        arrays: `data`, the file as uint8.
        options: `kind`, the suffix by which the importer is chosen; `library`, its path.

    Returns:
        `glb`, uint8; `counts` in the order of `COUNTED`; `unit`, the length of its unit in metres.
    """
    import numpy as np

    loaded = _load(options["library"])
    data = arrays["data"].tobytes()
    with _NoFiles():
        scene = loaded.read(data, options["kind"].encode())
        if not scene.contents.mesh_count:
            raise ValueError("there are no meshes in it")
        counts = _counts(scene.contents)
        unit = _centimetres(scene.contents) / 100 if options["kind"] == "fbx" else 1.0
        glb = loaded.written(scene)
    return {"glb": np.frombuffer(glb, dtype=np.uint8), "counts": np.array(counts), "unit": np.array(unit)}


class _NoFiles:
    """While it lasts this process can open no file at all, whatever the one in its memory refers to."""

    def __enter__(self) -> None:
        if sys.platform != "win32":
            import resource

            self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, self._before[1]))

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, self._before)


class _Library(NamedTuple):
    """The functions that are called, by their types; the end of the process frees all."""

    functions: Any

    def read(self, data: bytes, kind: bytes) -> Any:
        """A pointer to the scene of a file."""
        store = self.functions.aiCreatePropertyStore()
        for name, value in _OPTIONS.items():
            self.functions.aiSetImportPropertyInteger(store, name, value)
        scene = self.functions.aiImportFileFromMemoryWithProperties(data, len(data), _CHECK, kind, store)
        return self._checked(scene)

    def written(self, scene: Any) -> bytes:
        """The scene's geometry and materials as a GLB file."""
        self._checked(self.functions.aiApplyPostProcessing(scene, _STEPS))
        if not scene.contents.mesh_count:
            raise ValueError("there are no triangles in it")
        blob = self._checked(self.functions.aiExportSceneToBlob(scene, b"glb2", 0))
        return ctypes.string_at(blob.contents.data, blob.contents.size)

    def _checked(self, pointer: Any) -> Any:
        if not pointer:
            said = self.functions.aiGetErrorString().decode("utf-8", "replace").strip()
            raise ValueError(said or "the importer does not say why")
        return pointer


def _load(path: str) -> _Library:
    functions = ctypes.CDLL(path)
    scene = ctypes.POINTER(_Scene)
    for name, result, arguments in (
        ("aiCreatePropertyStore", ctypes.c_void_p, ()),
        ("aiSetImportPropertyInteger", None, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)),
        (
            "aiImportFileFromMemoryWithProperties",
            scene,
            (ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_char_p, ctypes.c_void_p),
        ),
        ("aiApplyPostProcessing", scene, (scene, ctypes.c_uint)),
        ("aiExportSceneToBlob", ctypes.POINTER(_Blob), (scene, ctypes.c_char_p, ctypes.c_uint)),
        ("aiGetErrorString", ctypes.c_char_p, ()),
    ):
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return _Library(functions)


def _counts(scene: _Scene) -> list[int]:
    meshes = [scene.meshes[index].contents for index in range(scene.mesh_count)]
    skins = sum(mesh.bone_count > 0 for mesh in meshes)
    targets = sum(mesh.target_count > 0 for mesh in meshes)
    return [scene.animation_count, scene.light_count, scene.camera_count, skins, targets]


def _centimetres(scene: _Scene) -> float:
    """The length of an FBX file's unit, as far as the importer has not scaled the root by it: not all versions do."""
    factor = 1.0
    metadata = scene.metadata.contents if scene.metadata else _Metadata()
    for index in range(metadata.count):
        entry = metadata.values[index]
        if metadata.keys[index].data == b"UnitScaleFactor" and entry.kind in _NUMBERS:
            factor = float(ctypes.cast(entry.data, ctypes.POINTER(_NUMBERS[entry.kind])).contents.value)
    matrix = scene.root.contents.matrix
    # Its first column; rows follow one another.
    done = math.hypot(*(matrix[row * 4] for row in range(3)))
    if not (factor > 0 and done > 0 and math.isfinite(factor / done)):
        raise ValueError("its unit has no length")
    return factor / done
