"""GLB files of few bytes that name the same ones many times: each is refused before it costs more than it weighs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.glb_edit import CannotKeep, GlbEdit
from pocket3d.adapters.mesh.input import MeshLimits, read_scene
from support import mesh_files as files

pytestmark = pytest.mark.torch


def long_document(vertices: int) -> tuple[dict[str, Any], bytes]:
    """A tetrahedron, and vertices that no triangle uses."""
    document, places = files.gltf_document(), np.zeros((vertices, 3), "<f4")
    places[:4] = files.VERTICES
    corners = np.array(files.FACES, "<u4").tobytes()
    document["accessors"][0]["count"] = vertices
    document["bufferViews"] = [
        {"buffer": 0, "byteOffset": 0, "byteLength": places.nbytes},
        {"buffer": 0, "byteOffset": places.nbytes, "byteLength": len(corners)},
    ]
    document["buffers"] = [{"byteLength": places.nbytes + len(corners)}]
    return document, places.tobytes() + corners


def read(folder: Path, document: dict[str, Any], binary: bytes, limits: MeshLimits | None = None) -> Any:
    path = folder / "a.glb"
    path.write_bytes(files.glb(document, binary))
    return read_scene(path, limits or MeshLimits())


@pytest.mark.parametrize("kind", ["targets", "attributes"])
def test_one_accessor_for_thousands_at_each_vertex(kind: str, tmp_path: Path) -> None:
    document, binary = long_document(100_000)
    mesh = document["meshes"][0]
    if kind == "targets":
        mesh |= {"weights": [1e-9] * 500}
        mesh["primitives"][0]["targets"] = [{"POSITION": 0}] * 500
    else:
        mesh["primitives"][0]["attributes"] |= {f"_A{number}": 0 for number in range(500)}
    with pytest.raises(InvalidInput, match="attributes and morph targets of vertices, at most 40,000,000"):
        read(tmp_path, document, binary)


def test_meshes_that_are_doubled_for_their_nodes_are_counted() -> None:
    document, binary = long_document(100_000)
    document["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": 0}] * 150
    edit = GlbEdit.of(files.glb(document, binary))
    assert edit is not None
    edit.own_mesh(0)
    edit.own_mesh(0)
    with pytest.raises(CannotKeep, match="copies of its meshes"):
        edit.own_mesh(0)


def test_views_that_meshopt_compressed_are_counted_together(tmp_path: Path) -> None:
    document, binary = long_document(4)
    packed = b"\xe1" + b"\xf0" * 8 + b"\0" * 16
    entry = {"buffer": 0, "byteOffset": len(binary), "byteLength": len(packed), "byteStride": 4, "count": 24}
    document["buffers"][0]["byteLength"] += len(packed)
    document["extensionsUsed"] = ["EXT_meshopt_compression"]
    document["bufferViews"] += [
        {"buffer": 0, "byteLength": 96, "extensions": {"EXT_meshopt_compression": {**entry, "mode": "TRIANGLES"}}}
    ] * 2
    assert read(tmp_path, document, binary + packed, MeshLimits(max_faces=16)) is not None
    with pytest.raises(InvalidInput, match="16 faces, at most 15"):
        read(tmp_path, document, binary + packed, MeshLimits(max_faces=15))


def test_quantised_primitives_cost_their_own_bytes(tmp_path: Path) -> None:
    """Not all of the buffer in which each lies."""
    document, binary = long_document(4)
    document["extensionsUsed"] = document["extensionsRequired"] = ["KHR_mesh_quantization"]
    size, much = 64_000_000, 400
    places = np.zeros((size // 8, 4), "<i2")
    places[: 4 * much, :3] = np.tile((np.array(files.VERTICES) * 100), (much, 1))
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": size, "byteStride": 8})
    document["buffers"][0]["byteLength"] += size
    for number in range(much):
        at = {"bufferView": 2, "componentType": 5122, "count": 4, "type": "VEC3", "byteOffset": number * 32}
        document["accessors"].append(at)
    document["meshes"][0]["primitives"] = [
        {"attributes": {"POSITION": 2 + number}, "indices": 1} for number in range(much)
    ]
    start = time.process_time()
    scene = read(tmp_path, document, binary + places.tobytes())
    assert len(scene.geometry) == much
    assert time.process_time() - start < 5
