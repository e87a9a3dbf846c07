"""Normals of a file go from format to format as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import missing
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.write import write_mesh
from support import mesh_files as files
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

#: One for each corner, none of which the faces would give.
NORMALS = np.array([[0.6, 0.8, 0], [0, 0.6, 0.8], [0.8, 0, 0.6], [0, 0, 1]])


def source(kind: str, folder: Path) -> Path:
    path = folder / f"source.{kind}"
    if kind == "glb":
        body = Tetrahedron()
        body.primitive["attributes"]["NORMAL"] = body.add(NORMALS, "VEC3")
        return body.write(path)
    rows = [" ".join(map(str, each)) for each in files.VERTICES]
    normals = [" ".join(map(str, each)) for each in NORMALS.tolist()]
    if kind == "obj":
        lines = [f"v {row}" for row in rows] + [f"vn {row}" for row in normals]
        lines += ["f " + " ".join(f"{corner + 1}//{corner + 1}" for corner in face) for face in files.FACES]
    else:
        lines = ["ply", "format ascii 1.0", "element vertex 4"]
        lines += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
        lines += ["element face 4", "property list uchar int vertex_indices", "end_header"]
        lines += [f"{row} {normal}" for row, normal in zip(rows, normals, strict=True)]
        lines += ["3 " + " ".join(map(str, face)) for face in files.FACES]
    path.write_text("\n".join(lines) + "\n")
    return path


def written(path: Path, target: Path) -> tuple[Any, list[str]]:
    """What is read of the file that a mesh was written to, and what is lost."""
    scene = read_scene(path)
    held = inventory(path, scene)
    write_mesh(parts_of(scene), target)
    return read_scene(target), missing(held, inventory(target))


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
@pytest.mark.parametrize("target", ["glb", "obj", "ply"])
def test_they_are_kept(kind: str, target: str, tmp_path: Path) -> None:
    scene, lost = written(source(kind, tmp_path), tmp_path / f"made.{target}")
    (mesh,) = scene.geometry.values()
    corner = [int(np.abs(np.array(files.VERTICES) - place).sum(axis=1).argmin()) for place in mesh.vertices]
    assert mesh.vertex_normals == pytest.approx(NORMALS[corner], abs=1e-4)
    assert not any("normals" in each for each in lost)


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_what_has_no_room_for_them_is_told(kind: str, tmp_path: Path) -> None:
    _, lost = written(source(kind, tmp_path), tmp_path / "made.stl")
    assert lost == ["normals at the vertices of 1 parts: they are not in the file"]


def test_none_are_lost_where_there_were_none(tmp_path: Path) -> None:
    path = tmp_path / "bare.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    _, lost = written(path, tmp_path / "made.stl")
    assert lost == []


def test_they_are_turned_with_their_part_and_put_right(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["NORMAL"] = body.add([[2, 0, 0], [0, 3, 0], [0, 0, 1], [1, 1, 0]], "VEC3")
    body.document["nodes"][0] |= {"scale": [-2, 1, 1]}
    (part,) = parts_of(read_scene(body.write(tmp_path / "a.glb")))
    slant = np.array([-0.5, 1, 0]) / np.linalg.norm([0.5, 1])
    assert part.normals == pytest.approx(np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1], slant]))
