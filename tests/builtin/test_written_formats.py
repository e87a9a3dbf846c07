"""3MF, USDZ and glTF as we write them, read by other readers: places, names, colours, pictures, units."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.gltf_files import joined_glb, write_gltf
from pocket3d.adapters.mesh.input import glb_bytes_of, read_scene, unit_of
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import pack, unpack
from pocket3d.adapters.mesh.result import read_again
from pocket3d.adapters.mesh.write import Material, MeshPart, glb_bytes, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.conversion.convert import units
from support import mesh_files as files

pytestmark = pytest.mark.torch

VERTICES = np.array(files.VERTICES)
FACES = np.array(files.FACES)
NAMES = ("left <&> 'one'", 'täfelung \\ "2"', "2 Räder")


def parts() -> list[MeshPart]:
    """Three tetrahedra: of one colour, with colours at the vertices, with a picture."""
    texture = np.full((4, 4, 3), 255, dtype=np.uint8)
    texture[:2] = (200, 10, 10)
    uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [2.5, 0.9]])
    looks: list[tuple[Material, Any, Any, Any]] = [
        (Material("red", (0.8, 0.1, 0.1), metallic=0.5, roughness=0.25), None, None, None),
        (Material("grey", (1.0, 1.0, 1.0), alpha=0.5), None, None, np.array([[255, 0, 0, 255], [0, 255, 0, 128]] * 2)),
        (Material("red", (1.0, 1.0, 1.0)), uv, texture, None),
    ]
    return [
        MeshPart(
            name,
            VERTICES + np.array([3 * number, 0, 0]),
            FACES,
            vertex_normals(VERTICES, FACES),
            material,
            picture_uv,
            texture,
            None if colours is None else colours.astype(np.uint8),
        )
        for number, (name, (material, picture_uv, texture, colours)) in enumerate(zip(NAMES, looks, strict=True))
    ]


# ---------------------------------------------------------------- 3MF


@pytest.mark.parametrize(("unit", "name"), [(1.0, "meter"), (0.001, "millimeter")])
def test_a_3mf_is_read_again_with_its_names_colours_and_unit(tmp_path: Path, unit: float, name: str) -> None:
    path = tmp_path / "a.3mf"
    assert write_mesh(parts(), path, unit) == []
    scene = read_scene(path)
    assert (scene.extents.tolist(), unit_of(scene)) == ([7, 1, 1], unit)
    found = dict(zip(scene.graph.nodes_geometry, parts_of(scene), strict=True))
    assert set(found) == set(NAMES) and inventory(path).names == {"_".join(each.split()) for each in NAMES}
    plain, coloured, textured = (found[each] for each in NAMES)
    assert plain.material.name == "red" and plain.material.colour == pytest.approx((0.8, 0.1, 0.1), abs=0.5 / 255)
    # With the material's opacity, which is a half.
    assert {tuple(each) for each in coloured.colours.tolist()} == {(255, 0, 0, 128), (0, 255, 0, 64)}
    assert {tuple(each) for each in textured.colours.tolist()} == {(200, 10, 10, 255), (255, 255, 255, 255)}
    with zipfile.ZipFile(path) as archive:
        assert f'unit="{name}"'.encode() in archive.read("3D/3dmodel.model")


def test_the_consortiums_reader_finds_nothing_wrong_in_a_3mf(tmp_path: Path) -> None:
    lib3mf = pytest.importorskip("lib3mf")
    path = tmp_path / "a.3mf"
    write_mesh(parts(), path, 0.001)
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(path))
    assert (reader.GetWarningCount(), model.GetUnit()) == (0, lib3mf.ModelUnit.MilliMeter)
    meshes = model.GetMeshObjects()
    found = []
    while meshes.MoveNext():
        mesh = meshes.GetCurrentMeshObject()
        found.append((mesh.GetName(), mesh.GetTriangleCount(), mesh.IsManifoldAndOriented()))
    assert found == [(name, 4, True) for name in NAMES]


@pytest.mark.parametrize(
    ("held", "target", "factor", "stated"),
    [
        (0.001, "glb", 0.001, 1.0),
        (0.001, "3mf", 1.0, 0.001),
        (1.0, "3mf", 1.0, 1.0),
        (None, "3mf", 1.0, 0.001),
        (0.0254, "usdz", 0.0254, 1.0),
        (0.001, "stl", 1.0, 1.0),
        (None, "glb", 1.0, 1.0),
    ],
)
def test_lengths_stay_what_they_are_where_formats_say_their_unit(
    held: float | None, target: str, factor: float, stated: float
) -> None:
    import trimesh

    scene: Any = trimesh.Scene()
    scene.metadata["pocket3d_unit"] = held
    assert units(scene, target) == (factor, stated)


# ---------------------------------------------------------------- USDZ


def test_files_in_a_usdz_are_stored_and_aligned_and_always_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "a.usdz", tmp_path / "b.usdz"
    write_mesh(parts(), one)
    write_mesh(parts(), two)
    data = one.read_bytes()
    assert data == two.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for number, entry in enumerate(archive.infolist()):
            name, extra = struct.unpack_from("<HH", data, entry.header_offset + 26)
            assert (entry.header_offset + 30 + name + extra) % 64 == 0 and entry.compress_type == 0
            assert number or entry.filename == "model.usda"


def test_a_usdz_is_read_again_for_its_check(tmp_path: Path) -> None:
    path = tmp_path / "a.usdz"
    write_mesh(parts(), path)
    scene = read_again(path)
    assert set(scene.geometry) == set(NAMES) and scene.extents.tolist() == [7, 1, 1]
    found = inventory(path)
    assert found.names == {"_".join(each.split()) for each in NAMES}
    assert {key: found.counts[key] for key in ("parts", "textures", "colours", "coordinates")} == {
        "parts": 3,
        "textures": 1,
        "colours": 1,
        "coordinates": 1,
    }


def test_usd_itself_reads_a_usdz_and_finds_nothing_wrong(tmp_path: Path) -> None:
    usd = pytest.importorskip("pxr.Usd")
    from pxr import UsdGeom, UsdShade

    path = tmp_path / "a.usdz"
    write_mesh(parts(), path)
    stage = usd.Stage.Open(str(path))
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == ("Y", 1)
    meshes = [UsdGeom.Mesh(each) for each in stage.Traverse() if each.IsA(UsdGeom.Mesh)]
    assert [each.GetPrim().GetDisplayName() for each in meshes] == list(NAMES)
    surfaces = []
    for number, mesh in enumerate(meshes):
        assert np.array(mesh.GetPointsAttr().Get()).tolist() == parts()[number].vertices.tolist()
        assert list(mesh.GetFaceVertexIndicesAttr().Get()) == FACES.reshape(-1).tolist()
        material, _ = UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()
        surfaces.append(material.ComputeSurfaceSource()[0])
    assert surfaces[0].GetInput("roughness").Get() == 0.25 and surfaces[1].GetInput("opacity").Get() == 0.5
    picture = UsdShade.Shader(surfaces[2].GetInput("diffuseColor").GetConnectedSource()[0])
    assert (picture.GetIdAttr().Get(), picture.GetInput("wrapS").Get()) == ("UsdUVTexture", "repeat")
    assert "textures/0.png" in picture.GetInput("file").Get().resolvedPath
    validation = pytest.importorskip("pxr.UsdValidation")
    context = validation.ValidationContext(validation.ValidationRegistry().GetOrLoadAllValidators())
    assert [each.GetMessage() for each in context.Validate(stage)] == []


# ---------------------------------------------------------------- glTF with its files


def test_a_gltf_and_the_files_beside_it_are_the_document_that_they_were_made_of(tmp_path: Path) -> None:
    glb = glb_bytes(parts())
    further = write_gltf(glb, tmp_path / "a.gltf")
    assert [each.name for each in further] == ["a.bin", "a_image0.png"]
    raw = json.loads((tmp_path / "a.gltf").read_text(encoding="utf-8"))
    assert raw["buffers"][0]["uri"] == "a.bin" and raw["images"] == [{"name": "red", "uri": "a_image0.png"}]
    # The picture lies beside the buffer and no longer in it.
    picture = further[1].read_bytes()
    assert picture.startswith(b"\x89PNG") and picture not in further[0].read_bytes()
    first, second = inventory(written(tmp_path, "b.glb", glb)), inventory(tmp_path / "a.gltf")
    assert (first.counts, first.names, first.images) == (second.counts, second.names, second.images)
    assert read_again(tmp_path / "a.gltf").extents.tolist() == [7, 1, 1]


def test_views_that_are_named_in_unknown_ways_keep_their_places(tmp_path: Path) -> None:
    raw, binary = unpack(glb_bytes(parts()))
    raw["extensionsUsed"] = ["EXT_structural_metadata"]
    (image,) = raw["images"]
    further = write_gltf(pack(raw, binary), tmp_path / "a.gltf")
    assert [each.name for each in further] == ["a.bin"]
    assert unpack(joined_glb(tmp_path / "a.gltf"))[0]["images"] == [image]


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_gltf_comes_back_in_a_zip(tmp_path: Path) -> None:
    further = write_gltf(glb_bytes(parts()), tmp_path / "a.gltf")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for each in (tmp_path / "a.gltf", *further):
            archive.write(each, each.name)
    scene = read_scene(tmp_path / "a.zip")
    assert set(scene.graph.nodes_geometry) == set(NAMES)
    assert glb_bytes_of(tmp_path / "a.zip")[:4] == b"glTF"
