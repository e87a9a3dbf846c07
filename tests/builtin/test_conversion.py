"""`trimesh-mesh-conversion` as a job meets it, judged from the files."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import read_mesh, read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter
from support import glb_reading, mesh_files

pytestmark = pytest.mark.torch

FORMATS = ("glb", "obj", "ply", "stl")


@pytest.fixture(scope="module")
def adapter() -> TrimeshMeshConversionAdapter:
    model = TrimeshMeshConversionAdapter()
    asyncio.run(model.load())
    return model


def _run(model: TrimeshMeshConversionAdapter, folder: Path, **inputs: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    token = current_run.set(RunContext(output_dir=folder))
    try:
        return asyncio.run(model.process(inputs))
    finally:
        current_run.reset(token)


def _part(name: str, mesh: Any, colour: tuple[float, float, float], **more: Any) -> MeshPart:
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return MeshPart(name, mesh.vertices, mesh.faces, normals, Material(name, colour), **more)


@pytest.fixture
def two_parts(tmp_path: Path) -> Path:
    """A red box and a blue ball above it, not at the origin."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.5)
    ball.apply_translation([10, 3, 0])
    box = trimesh.creation.box([2, 4, 1])
    box.apply_translation([10, 0, 0])
    path = tmp_path / "two.glb"
    write_mesh([_part("box", box, (1.0, 0.0, 0.0)), _part("ball", ball, (0.0, 0.0, 1.0))], path)
    return path


@pytest.fixture
def textured(tmp_path: Path) -> Path:
    """A square whose left half is green and whose right half is white."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    texture = np.full((8, 8, 3), 255, dtype=np.uint8)
    texture[:, :4] = (0, 128, 0)
    uv = np.array([[0.01, 0.99], [0.99, 0.99], [0.99, 0.01], [0.01, 0.01]])
    normals = vertex_normals(vertices, faces)
    part = MeshPart("square", vertices, faces, normals, Material("paint", (1.0, 1.0, 1.0)), uv, texture)
    path = tmp_path / "square.glb"
    write_mesh([part], path)
    return path


@pytest.mark.parametrize(
    ("source", "target"),
    [*((source, "glb") for source in sorted(mesh_files.SOUND)), *(("text.ply", target) for target in FORMATS[1:])],
)
def test_every_format_in_and_out(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, source: str, target: str
) -> None:
    path = tmp_path / source
    path.write_bytes(mesh_files.SOUND[source])
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format=target)
    written = Path(result["output_mesh_path"])
    assert written.suffix == f".{target}"
    mesh = read_mesh(written)
    assert np.sort(mesh.triangles.reshape(-1, 9), axis=0) == pytest.approx(
        np.sort(read_mesh(path).triangles.reshape(-1, 9), axis=0), abs=1e-6
    )
    info = result["generation_info"]
    assert info["statistics"] == {
        "vertices": info["vertex_count"],
        "faces": 4,
        "bodies": 1,
        "watertight": True,
        "extents": [1.0, 1.0, 1.0],
    }
    assert info["lost"] == []
    assert (tmp_path / "out" / result["thumbnail_path"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("target", FORMATS)
def test_parts_names_and_colours_as_far_as_the_format_goes(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, two_parts: Path, target: str
) -> None:
    result = _run(adapter, tmp_path / "out", mesh_path=str(two_parts), output_format=target)
    path, lost = Path(result["output_mesh_path"]), " ".join(result["generation_info"]["lost"])
    assert result["generation_info"]["statistics"]["bodies"] == 2
    assert result["generation_info"]["input_statistics"]["faces"] == 12 + 320
    if target == "glb":
        assert sorted(read_scene(path).graph.nodes_geometry) == ["ball", "box"]
        assert glb_reading.main_colours(path) == {"box": (255, 0, 0, 255), "ball": (0, 0, 255, 255)}
        assert lost == ""
    elif target == "obj":
        text = path.read_text()
        assert "o box" in text and "o ball" in text
        (library,) = result["extra_paths"]
        assert "Kd 1.000000 0.000000 0.000000" in Path(library).read_text()
        assert lost == ""
    elif target == "ply":
        colours = {tuple(c) for c in read_mesh(path).visual.vertex_colors.tolist()}
        assert colours == {(255, 0, 0, 255), (0, 0, 255, 255)}
        assert "2 parts" in lost and "colours, materials" not in lost
    else:
        assert "2 parts" in lost and "colours, materials" in lost


def test_textures_come_along_or_are_reported_as_lost(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, textured: Path
) -> None:
    glb = _run(adapter, tmp_path / "glb", mesh_path=str(textured), output_format="glb")
    (mesh,) = read_scene(Path(glb["output_mesh_path"])).geometry.values()
    assert mesh.visual.material.baseColorTexture.getpixel((0, 0)) == (0, 128, 0)
    obj = _run(adapter, tmp_path / "obj", mesh_path=str(textured), output_format="obj")
    library, image = sorted(map(Path, obj["extra_paths"]), key=lambda p: p.suffix)
    assert f"map_Kd {image.name}" in library.read_text()
    again = trimesh.load(obj["output_mesh_path"])
    before = trimesh.load(textured, force="mesh").visual.to_color().vertex_colors
    assert sorted(map(tuple, again.visual.to_color().vertex_colors)) == sorted(map(tuple, before))
    ply = _run(adapter, tmp_path / "ply", mesh_path=str(textured), output_format="ply")
    assert "1 textures" in ply["generation_info"]["lost"][0]
    (part,) = parts_of(read_scene(Path(ply["output_mesh_path"])))
    found = {tuple(c) for c in np.asarray(part.colours)[:, :3].tolist()}
    assert found == {(0, 128, 0), (255, 255, 255)}


def test_vertex_colours_go_round(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    box = trimesh.creation.box()
    colours = np.array([[20 * i, 255 - 30 * i, 128, 255] for i in range(8)], dtype=np.uint8)
    trimesh.Trimesh(box.vertices, box.faces, vertex_colors=colours, process=False).export(tmp_path / "box.ply")
    path = tmp_path / "box.ply"
    for target in ("glb", "obj", "ply"):
        path = Path(_run(adapter, tmp_path / target, mesh_path=str(path), output_format=target)["output_mesh_path"])
        mesh = read_mesh(path)
        if target == "glb":
            # glTF's vertex colours are linear.
            raw = trimesh.load(path, force="mesh", process=False)
            assert glb_reading.json_chunk(path)["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"] is not None
            assert len(raw.vertices) == 8
    order = [int(np.argmin(np.abs(mesh.vertices - corner).sum(axis=1))) for corner in box.vertices]
    assert mesh.visual.vertex_colors[order] == pytest.approx(colours, abs=1)


@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize(("component", "dtype", "one"), [(5126, "<f4", 1.0), (5121, "u1", 255), (5123, "<u2", 65535)])
def test_vertex_colours_beside_a_material_of_any_form_stay(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, width: int, component: int, dtype: str, one: float
) -> None:
    colours = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])[:, :width]
    # Rows begin at multiples of four bytes.
    rows = np.zeros((4, 4), dtype)
    rows[:, :width] = colours * one
    document = mesh_files.gltf_document()
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.5, 0.5, 1]}}]
    document["meshes"][0]["primitives"][0].update(material=0, attributes={"POSITION": 0, "COLOR_0": 2})
    view = {"buffer": 0, "byteOffset": 96, "byteLength": rows.nbytes, "byteStride": rows.strides[0]}
    document["bufferViews"].append(view)
    normalized = dtype != "<f4"
    document["accessors"].append(
        {"bufferView": 2, "componentType": component, "count": 4, "type": f"VEC{width}", "normalized": normalized}
    )
    document["buffers"][0]["byteLength"] = 96 + rows.nbytes
    # A file that names others is taken apart, else it is copied.
    document["images"] = [{"uri": "elsewhere.png"}]
    path = tmp_path / "coloured.glb"
    path.write_bytes(mesh_files.glb(document, mesh_files.gltf_binary() + rows.tobytes()))
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format="glb")
    written = Path(result["output_mesh_path"])
    for accessor in glb_reading.json_chunk(written)["accessors"]:
        assert accessor["count"] == (12 if accessor["type"] == "SCALAR" else 4)
    (mesh,) = read_scene(written).geometry.values()
    shown = np.asarray(mesh.visual.vertex_attributes["color"])[:, :3] / 255
    order = [int(np.argmin(np.abs(mesh.vertices - place).sum(axis=1))) for place in mesh_files.VERTICES]
    assert shown[order].tolist() == colours[:, :3].tolist()


def test_three_numbers_a_colour_as_met_in_a_real_file(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    path = mesh_files.case("vcol_vec3.glb")
    result = _run(adapter, tmp_path, mesh_path=str(path), output_format="glb")
    (mesh,) = read_scene(Path(result["output_mesh_path"])).geometry.values()
    assert len(np.unique(np.asarray(mesh.visual.vertex_attributes["color"]), axis=0)) == 4


@pytest.mark.parametrize("target", ["glb", "obj", "ply"])
def test_texture_coordinates_without_a_texture_are_kept(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, target: str
) -> None:
    path = tmp_path / "unwrapped.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 3 0.25\nvt 0 1\nusemtl Skin\nf 1/1 2/2 3/3\n")
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format=target)
    (part,) = parts_of(read_scene(Path(result["output_mesh_path"])))
    assert sorted(np.asarray(part.uv).tolist()) == [[0.0, 0.0], [0.0, 1.0], [3.0, 0.75]]
    assert part.texture is None
    assert target == "ply" or part.material.name == "Skin"


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("name", ["city.obj", "georef_double.ply"])
def test_what_lies_far_off_keeps_its_shape_or_says_that_it_does_not(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, target: str, name: str
) -> None:
    if name == "city.obj":
        path = tmp_path / name
        lines = [f"v {450_000 + x * 4} {4_800_000 + y * 2} {z * 0.5}" for x, y, z in mesh_files.VERTICES]
        lines += ["f " + " ".join(str(corner + 1) for corner in face) for face in mesh_files.FACES]
        path.write_text("\n".join(lines))
    else:
        path = mesh_files.case(name)
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format=target)
    info = result["generation_info"]
    before, after = (read_mesh(each) for each in (path, Path(result["output_mesh_path"])))
    size = before.extents.max()
    wrong = np.abs(np.sort(after.vertices, axis=0) - np.sort(before.vertices, axis=0)).max() / size
    if target == "stl":
        assert "precision" in info["lost"][0]
    else:
        assert (wrong < 1e-5, info["lost"], info["statistics"]["bodies"]) == (True, [], 1)
        assert info["statistics"]["extents"] == pytest.approx(before.extents.tolist(), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e3])
def test_extents_are_told_with_enough_digits(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, scale: float
) -> None:
    path = tmp_path / "a.obj"
    lines = [f"v {x * scale:.9g} {y * scale:.9g} {z * scale / 3:.9g}" for x, y, z in mesh_files.VERTICES]
    path.write_text("\n".join(lines + ["f " + " ".join(str(c + 1) for c in face) for face in mesh_files.FACES]))
    info = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format="stl")["generation_info"]
    assert info["statistics"]["extents"] == pytest.approx([scale, scale, scale / 3], rel=1e-5)
    assert (info["statistics"]["bodies"], info["statistics"]["watertight"]) == (1, True)


@pytest.mark.parametrize("centre", ["none", "bounds", "ground"])
@pytest.mark.parametrize("output_up", ["y", "z"])
def test_placing(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, two_parts: Path, centre: str, output_up: str
) -> None:
    result = _run(
        adapter,
        tmp_path / "out",
        mesh_path=str(two_parts),
        output_format="glb",
        centre=centre,
        size=2.0,
        output_up=output_up,
    )
    before, after = read_mesh(two_parts), read_mesh(Path(result["output_mesh_path"]))
    assert after.extents.max() == pytest.approx(2.0, abs=1e-5)
    up = 1 if output_up == "y" else 2
    assert after.extents.argmax() == up
    if centre == "ground":
        assert after.bounds[0][up] == pytest.approx(0, abs=1e-6)
    if centre != "none":
        middle = np.delete(after.bounds.mean(axis=0), up if centre == "ground" else [])
        assert middle == pytest.approx(0, abs=1e-6)
    # Turned and scaled, not mirrored.
    assert after.volume == pytest.approx(before.volume * (2.0 / before.extents.max()) ** 3, rel=1e-4)
    matrix = np.array(result["generation_info"]["matrix"])
    moved = before.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    assert moved.min(axis=0) == pytest.approx(after.bounds[0], abs=1e-5)


def test_merging_is_counted(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    soup = tmp_path / "soup.obj"
    corners = [mesh_files.VERTICES[corner] for face in mesh_files.FACES for corner in face]
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    soup.write_text("\n".join(lines + [f"f {3 * i + 1} {3 * i + 2} {3 * i + 3}" for i in range(4)]))
    kept = _run(adapter, tmp_path / "a", mesh_path=str(soup), output_format="ply")["generation_info"]
    assert (kept["vertex_count"], kept["merged_vertices"]) == (12, 0)
    merged = _run(adapter, tmp_path / "b", mesh_path=str(soup), output_format="ply", merge_vertices=True)
    assert merged["generation_info"]["vertex_count"] == 4
    assert merged["generation_info"]["merged_vertices"] == 8


def test_what_was_left_out_is_told(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    path = tmp_path / "body.obj"
    path.write_bytes(mesh_files.obj(before="mtllib other.mtl"))
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format="glb")
    assert "other.mtl" in result["generation_info"]["ignored"][0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("output_format", "fbx"),
        ("output_format", None),
        ("centre", "middle"),
        ("size", 0),
        ("size", float("nan")),
        ("size", True),
        ("input_up", "x"),
        ("output_up", 1),
        ("merge_vertices", "yes"),
        ("mesh_path", None),
    ],
)
def test_wrong_options_are_named(
    adapter: TrimeshMeshConversionAdapter, tmp_path: Path, two_parts: Path, key: str, value: Any
) -> None:
    inputs = {"mesh_path": str(two_parts), "output_format": "glb", key: value}
    with pytest.raises(InvalidInput) as caught:
        _run(adapter, tmp_path / "out", **inputs)
    assert caught.value.field == key


def with_float_colours(path: Path, colours: Any) -> None:
    """A tetrahedron with a material and COLOR_0 as floats, which trimesh itself does not write."""
    import pygltflib as gltf

    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype="<f4")
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype="<u4")
    chunks = [corners.tobytes(), np.asarray(colours, dtype="<f4").tobytes(), faces.tobytes()]
    starts = np.cumsum([0, *map(len, chunks)])
    document = gltf.GLTF2(
        scene=0,
        scenes=[gltf.Scene(nodes=[0])],
        nodes=[gltf.Node(mesh=0)],
        materials=[gltf.Material(pbrMetallicRoughness=gltf.PbrMetallicRoughness(roughnessFactor=0.3))],
        meshes=[
            gltf.Mesh(
                primitives=[gltf.Primitive(attributes=gltf.Attributes(POSITION=0, COLOR_0=1), indices=2, material=0)]
            )
        ],
        accessors=[
            gltf.Accessor(bufferView=0, componentType=5126, count=4, type="VEC3", min=[0, 0, 0], max=[1, 1, 1]),
            gltf.Accessor(bufferView=1, componentType=5126, count=4, type="VEC4"),
            gltf.Accessor(bufferView=2, componentType=5125, count=12, type="SCALAR"),
        ],
        bufferViews=[
            gltf.BufferView(buffer=0, byteOffset=int(start), byteLength=len(chunk))
            for start, chunk in zip(starts[:-1], chunks, strict=True)
        ],
        buffers=[gltf.Buffer(byteLength=int(starts[-1]))],
        # A file that names others is taken apart, else it is copied.
        images=[gltf.Image(uri="elsewhere.png")],
    )
    document.set_binary_blob(b"".join(chunks))
    document.save(str(path))


async def test_float_colours_beside_a_material_survive(tmp_path: Path) -> None:
    """They came out as 0 and 1 of 255."""
    source = tmp_path / "colours.glb"
    with_float_colours(source, [[0.25, 0.5, 1.0, 1.0]] * 4)
    adapter = TrimeshMeshConversionAdapter()
    await adapter.load()
    answer = await adapter.process({"mesh_path": str(source), "output_format": "glb"})
    read = next(iter(trimesh.load(answer["output_mesh_path"], force="scene", process=False).geometry.values()))
    found = np.asarray(read.visual.vertex_attributes["color"])[0].astype(float) / 255
    assert found == pytest.approx([0.25, 0.5, 1.0, 1.0], abs=0.01)


def test_a_gltf_and_its_files_are_taken_one_by_one(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    path, folder = tmp_path / "a.gltf", tmp_path / "elsewhere"
    folder.mkdir()
    document = mesh_files.gltf_document()
    document["buffers"][0]["uri"] = "data/mesh.bin"
    path.write_text(json.dumps(document))
    (folder / "mesh.bin").write_bytes(mesh_files.gltf_binary())
    inputs = {"mesh_path": str(path), "output_format": "glb", "mesh_file_paths": [str(folder / "mesh.bin")]}
    # A zip knows no time before 1980, nor after 2107.
    for seconds in (0, 5_000_000_000):
        os.utime(folder / "mesh.bin", (seconds, seconds))
        answer = _run(adapter, tmp_path / "out", **inputs)
        info = answer["generation_info"]
        assert (info["face_count"], info["input_mesh"], info["input_format"]) == (4, "a.gltf", "gltf")
    for wrong, said in (
        ([str(path)], "is a mesh"),
        ([str(folder / "mesh.bin")] * 2, "two files are named"),
        ([""], "must name files"),
    ):
        with pytest.raises(InvalidInput, match=said):
            _run(adapter, tmp_path / "out", **(inputs | {"mesh_file_paths": wrong}))
    (folder / "other.bin").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"^a\.gltf with its files\.zip: buffer 0 lies in 'data/mesh\.bin'"):
        _run(adapter, tmp_path / "out", **(inputs | {"mesh_file_paths": str(folder / "other.bin")}))
    (tmp_path / "b.zip").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"b\.zip has its files in itself"):
        _run(adapter, tmp_path / "out", **(inputs | {"mesh_path": str(tmp_path / "b.zip")}))
    with pytest.raises(FileNotFoundError, match="mesh_file_paths: there is no file"):
        _run(adapter, tmp_path / "out", **(inputs | {"mesh_file_paths": str(folder)}))


def test_a_gltf_in_a_zip_keeps_its_document_as_a_glb(adapter: TrimeshMeshConversionAdapter, tmp_path: Path) -> None:
    import json
    import zipfile

    document = mesh_files.gltf_document()
    document["buffers"][0]["uri"] = "a.bin"
    document["materials"] = [{"name": "glass", "extensions": {"KHR_materials_ior": {"ior": 1.4}}}]
    document["extensionsUsed"] = ["KHR_materials_ior"]
    document["meshes"][0]["primitives"][0]["material"] = 0
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.gltf", json.dumps(document))
        archive.writestr("a.bin", mesh_files.gltf_binary())
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), output_format="glb")
    kept = glb_reading.json_chunk(Path(result["output_mesh_path"]))["materials"][0]
    assert kept == {"name": "glass", "extensions": {"KHR_materials_ior": {"ior": 1.4}}}
