"""A GLB file is read in the shape of its default weights, as glTF says, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.input import ignored_parts, read_scene
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import unread
from pocket3d.adapters.mesh.read.glb_container import unpack
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

#: Widens a tetrahedron to twice its length along x, or z.
WIDE, DEEP = ([[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0]] * 3 + [[0, 0, 1]])


def morphing(of_mesh: Any = None, **node: Any) -> Tetrahedron:
    body = Tetrahedron()
    body.primitive["targets"] = [
        {"POSITION": body.add(rows, "VEC3", min=[0, 0, 0], max=np.max(rows, axis=0).tolist())} for rows in (WIDE, DEEP)
    ]
    if of_mesh is not None:
        body.document["meshes"][0]["weights"] = of_mesh
    body.document["nodes"][0] |= node
    return body


def extents(body: Tetrahedron, folder: Path) -> list[float]:
    found: list[float] = np.ptp(read_scene(body.write(folder / "a.glb")).bounds, axis=0).round(6).tolist()
    return found


@pytest.mark.parametrize(
    ("mesh", "node", "wanted"),
    [
        (None, None, [1, 1, 1]),
        ([0, 0], None, [1, 1, 1]),
        ([0.5, 0], None, [1.5, 1, 1]),
        ([0.5, 0], [0, 1], [1, 1, 2]),
        ([1, 1], [0, 0], [1, 1, 1]),
        ([0.25], None, [1.25, 1, 1]),
    ],
    ids=["none", "zeros", "of the mesh", "of the node", "zeros of the node", "too few"],
)
def test_default_weights_shape_what_is_read(mesh: Any, node: Any, wanted: list[float], tmp_path: Path) -> None:
    body = morphing(mesh, **({} if node is None else {"weights": node}))
    assert extents(body, tmp_path) == wanted
    (told,) = ignored_parts(read_scene(tmp_path / "a.glb"))
    shaped = any(mesh or () if node is None else node)
    assert told.endswith("in the shape of their default weights" if shaped else "without them")


def test_nodes_that_share_a_mesh_have_shapes_of_their_own(tmp_path: Path) -> None:
    body = morphing([1, 0])
    body.document["nodes"] += [
        {"name": "plain", "mesh": 0, "weights": [0, 0]},
        {"name": "deep", "mesh": 0, "weights": [0, 1]},
    ]
    body.document["nodes"].append({"name": "again", "mesh": 0, "translation": [9, 0, 0]})
    body.document["scenes"][0]["nodes"] = [0, 1, 2, 3]
    scene = read_scene(body.write(tmp_path / "a.glb"))
    spans = {
        name: np.ptp(scene.geometry[scene.graph[name][1]].vertices, axis=0).tolist()
        for name in ("body", "plain", "deep", "again")
    }
    assert spans == {"body": [2, 1, 1], "plain": [1, 1, 1], "deep": [1, 1, 2], "again": [2, 1, 1]}
    assert scene.graph["body"][1] == scene.graph["again"][1], "the same shape is read once"


def test_a_skin_holds_the_shape_of_the_weights(tmp_path: Path) -> None:
    body = morphing([1, 0], skin=0)
    attributes = body.primitive["attributes"]
    attributes["JOINTS_0"] = body.add(np.zeros((4, 4)), "VEC4", 5121, "u1")
    attributes["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    attributes["NORMAL"] = body.add([[0, 0, 1]] * 4, "VEC3")
    body.primitive["targets"][0]["NORMAL"] = body.add([[0, 1, -1]] * 4, "VEC3")
    body.document["nodes"].append({"name": "hip", "translation": [0, 7, 0]})
    body.document["scenes"][0]["nodes"] = [0, 1]
    body.document["skins"] = [{"joints": [1]}]
    assert extents(body, tmp_path) == [2, 1, 1]
    (mesh,) = read_scene(tmp_path / "a.glb").geometry.values()
    assert mesh.vertex_normals.tolist() == [[0, 1, 0]] * 4 and mesh.vertices[:, 1].min() == 7


def test_normals_are_turned_by_their_targets(tmp_path: Path) -> None:
    body = morphing([1, 0])
    body.primitive["attributes"]["NORMAL"] = body.add([[0, 0, 1]] * 4, "VEC3")
    body.primitive["targets"][0]["NORMAL"] = body.add([[0, 1, 0], [0, 0, -1], [0, 0, 1], [0, 3, 3]], "VEC3")
    (mesh,) = read_scene(body.write(tmp_path / "a.glb")).geometry.values()
    half = 0.5**0.5
    # One that comes to nothing stays as it was.
    wanted = np.array([[0, half, half], [0, 0, 1], [0, 0, 1], [0, 0.6, 0.8]])
    assert mesh.vertex_normals == pytest.approx(wanted)


def sparse(body: Tetrahedron, number: int, at: Any, rows: Any, base: bool) -> None:
    """Store of the target only some rows, over zeros or others."""
    indices, values = body.add(at, "SCALAR", 5123, "<u2"), body.add(rows, "VEC3")
    accessors = body.document["accessors"]
    accessor = accessors[body.primitive["targets"][number]["POSITION"]]
    if not base:
        del accessor["bufferView"]
    accessor["sparse"] = {
        "count": len(at),
        "indices": {"bufferView": accessors[indices]["bufferView"], "componentType": 5123},
        "values": {"bufferView": accessors[values]["bufferView"]},
    }


@pytest.mark.parametrize("base", [True, False])
def test_targets_of_which_some_rows_are_stored(base: bool, tmp_path: Path) -> None:
    body = morphing([1, 0])
    sparse(body, 0, [2], [[0, 3, 0]], base)
    assert extents(body, tmp_path) == ([2, 4, 1] if base else [1, 4, 1])


@pytest.mark.parametrize("base", [True, False])
def test_quantised_targets_of_which_some_rows_are_stored(base: bool, tmp_path: Path) -> None:
    """32767 stands for 1."""
    body = morphing([1, 0])
    whole = body.add(np.array(WIDE) * 32767, "VEC3", 5122, "<i2")
    body.primitive["targets"][0]["POSITION"] = whole
    sparse(body, 0, [2], [[0, 0, 0]], base)
    accessors = body.document["accessors"]
    values = body.add([[0, 32767, 0]], "VEC3", 5122, "<i2")
    accessors[whole]["sparse"]["values"]["bufferView"] = accessors[values]["bufferView"]
    accessors[whole]["normalized"] = True
    body.document["extensionsUsed"] = ["KHR_mesh_quantization"]
    assert extents(body, tmp_path) == ([2, 2, 1] if base else [1, 2, 1])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda body: body.primitive["targets"][0].update(POSITION=99), "accessor 99"),
        (lambda body: body.primitive["targets"][0].update(POSITION="no"), "accessor no"),
        (lambda body: body.primitive["targets"][0].update(POSITION=1), "another count"),
        (lambda body: sparse(body, 0, [9], [[0, 3, 0]], True), "is not there or broken"),
        (lambda body: body.document["meshes"][0].update(weights=["x"]), "not finite numbers"),
        (lambda body: body.document["meshes"][0].update(weights=[1e39]), "finite"),
    ],
    ids=["points nowhere", "no number", "count", "sparse row beyond", "word", "beyond single precision"],
)
def test_broken_targets_are_the_files_fault(spoil: Any, said: str, tmp_path: Path) -> None:
    body = morphing([1, 0])
    spoil(body)
    with pytest.raises(InvalidInput, match=said):
        read_scene(body.write(tmp_path / "a.glb"))


def test_targets_that_weigh_nothing_are_not_looked_at(tmp_path: Path) -> None:
    body = morphing([0, 1])
    body.primitive["targets"][0]["POSITION"] = 99
    assert extents(body, tmp_path) == [1, 1, 2]


def test_copies_keep_targets_and_weights(tmp_path: Path) -> None:
    path = morphing([0.5, 0], weights=[0.25, 0]).write(tmp_path / "a.glb")
    (tmp_path / "b.glb").write_bytes(placed_copy(path.read_bytes(), np.diag([2.0, 2, 2, 1])) or b"")
    raw = unpack((tmp_path / "b.glb").read_bytes())[0]
    assert raw["meshes"][0]["weights"] == [0.5, 0] and raw["nodes"][0]["weights"] == [0.25, 0]
    assert np.ptp(read_scene(tmp_path / "b.glb").bounds, axis=0).tolist() == [2.5, 2, 2]
    before, after = inventory(path, read_scene(path)), inventory(tmp_path / "b.glb")
    assert unread(before, after, ignored_parts(read_scene(path))) == []
