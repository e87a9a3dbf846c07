"""A written file is compared with what was meant: place, colours, texture coordinates and pictures, in each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("torch")

from pocket3d.adapters.mesh import write
from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.mesh_part import png_bytes
from pocket3d.adapters.mesh.part_files import part_colour, write_parts
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import GlbBuffer, pack, unpack
from pocket3d.adapters.mesh.result import BrokenOutput, check_written, read_again
from pocket3d.adapters.mesh.self_check import check_surface, surface_of
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.upstream import mesh_file
from pocket3d.adapters.weight_free.conversion import convert
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter
from pocket3d.adapters.weight_free.procedural.adapter import ProceduralTextToMeshAdapter
from support import mesh_files as files
from support.adapter_run import run

pytestmark = [pytest.mark.torch, pytest.mark.broken_glb("writers are patched to write wrong files")]

FORMATS = ("glb", "gltf", "obj", "ply", "stl", "3mf", "usdz")
COLOURED = ("glb", "obj", "ply", "3mf", "usdz")
WITH_COORDINATES = ("glb", "obj", "ply", "usdz")
#: What writes each format, where its name does not say it.
WRITERS = {"obj": "write_obj", "gltf": "glb_bytes", "3mf": "threemf_bytes"}
Parts = list[MeshPart]


def tetrahedron(name: str, at: float, **more: Any) -> MeshPart:
    vertices = np.array(files.VERTICES) * (1, 2, 3) + (at, 0, 0)
    faces = np.array(files.FACES)
    material = more.pop("material", Material(name, (1.0, 1.0, 1.0)))
    return MeshPart(name, vertices, faces, vertex_normals(vertices, faces), material, **more)


def picture(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def pictured() -> Parts:
    """Two parts of one shape, each with a picture of its own."""
    uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.6], [0.6, 0.9]])
    return [tetrahedron(name, at, uv=uv, texture=picture(at)) for name, at in (("left", 0), ("right", 4))]


def coloured() -> Parts:
    """One with colours at its vertices, beside the colour of its material; one with the latter alone."""
    colours = np.array([[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [90, 90, 10, 255]], dtype=np.uint8)
    dark = Material("dark", (0.02, 0.5, 0.9))
    return [tetrahedron("many", 0, colours=colours), tetrahedron("one", 4, material=dark)]


def unwrapped() -> Parts:
    uv = np.array([[0.0, 0.0], [3.0, 0.1], [0.1, 0.6], [0.6, 0.9]])
    return [tetrahedron("skin", 0, uv=uv)]


def written_and_checked(parts: Parts, path: Path) -> None:
    write_mesh(parts, path)
    check_surface(surface_of(parts, path.suffix), surface_of(read_again(path), path.suffix), path)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("make", [pictured, coloured, unwrapped])
@pytest.mark.parametrize("scale", [1e-6, 1e5])
def test_what_is_written_as_it_was_meant_passes(
    form: str, make: Callable[[], Parts], scale: float, tmp_path: Path
) -> None:
    written_and_checked([part._replace(vertices=part.vertices * scale) for part in make()], tmp_path / f"a.{form}")


@pytest.mark.parametrize("form", FORMATS)
def test_parts_that_are_named_alike_pass(form: str, tmp_path: Path) -> None:
    first, second = pictured()
    third = tetrahedron("left", 9, material=Material("dark", (0.1, 0.2, 0.3)))
    written_and_checked([first, second._replace(name="left"), third], tmp_path / f"a.{form}")


def test_quadrilaterals_and_far_places_pass(tmp_path: Path) -> None:
    (part,) = unwrapped()
    quads = np.array([[0, 2, 1, 3], [3, 1, 2, 0]])
    faces = quads[:, [0, 1, 3, 1, 2, 3]].reshape(-1, 3)
    colours = np.array([[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [9, 9, 9, 255]], dtype=np.uint8)
    written_and_checked([part._replace(faces=faces, quads=quads, colours=colours)], tmp_path / "a.obj")
    for form in FORMATS:
        written_and_checked(
            [part._replace(vertices=part.vertices + np.array([4.5e5, 4.8e6, 35.3]))], tmp_path / f"a.{form}"
        )


def _each(**changes: Callable[[Any], Any]) -> Callable[[Parts], Parts]:
    return lambda parts: [part._replace(**{key: change(part) for key, change in changes.items()}) for part in parts]


def _swapped(parts: Parts) -> Parts:
    first, second = parts
    return [first._replace(texture=second.texture), second._replace(texture=first.texture)]


#: What a writer may do wrong: the parts, what it makes of them, and in which formats that can be seen.
FAULTS: dict[str, tuple[Callable[[], Parts], Callable[[Parts], Parts], tuple[str, ...]]] = {
    "colours dropped": (coloured, _each(colours=lambda p: None), COLOURED),
    "colours of the next vertex": (
        coloured,
        _each(colours=lambda p: None if p.colours is None else np.roll(p.colours, 1, axis=0)),
        COLOURED,
    ),
    "red and blue swapped": (
        coloured,
        _each(colours=lambda p: None if p.colours is None else p.colours[:, [2, 1, 0, 3]]),
        COLOURED,
    ),
    "base colours dropped": (
        coloured,
        _each(material=lambda p: p.material._replace(colour=(1.0, 1.0, 1.0))),
        COLOURED,
    ),
    "a dark base colour rounded to black": (
        coloured,
        _each(material=lambda p: p.material._replace(colour=(0.0, *p.material.colour[1:]))),
        ("glb", "obj"),
    ),
    "alpha dropped": (
        lambda: [tetrahedron("glass", 0, material=Material("glass", (0.5, 0.5, 0.5), alpha=0.3))],
        _each(material=lambda p: p.material._replace(alpha=1.0)),
        COLOURED,
    ),
    "pictures dropped": (pictured, _each(texture=lambda p: None), COLOURED),
    "pictures swapped": (pictured, _swapped, COLOURED),
    "pictures upside down": (pictured, _each(texture=lambda p: p.texture[::-1]), COLOURED),
    "pictures in half their size": (pictured, _each(texture=lambda p: p.texture[::2, ::2].copy()), ("glb", "obj")),
    "coordinates upside down": (unwrapped, _each(uv=lambda p: 1 - p.uv), WITH_COORDINATES),
    "coordinates dropped": (unwrapped, _each(uv=lambda p: None), WITH_COORDINATES),
    "coordinates beyond the edge cut": (
        unwrapped,
        _each(uv=lambda p: p.uv.clip(0, 1)),
        WITH_COORDINATES,
    ),
    "moved": (pictured, _each(vertices=lambda p: p.vertices + np.array([0, 0.01, 0])), FORMATS),
    "axes swapped": (pictured, _each(vertices=lambda p: p.vertices[:, [0, 2, 1]]), FORMATS),
    "a face dropped": (pictured, _each(faces=lambda p: p.faces[1:]), FORMATS),
    "parts swapped": (
        pictured,
        lambda parts: [parts[0]._replace(name="right"), parts[1]._replace(name="left")],
        ("glb",),
    ),
}


@pytest.mark.parametrize(("fault", "form"), [(name, form) for name, (_, _, forms) in FAULTS.items() for form in forms])
def test_a_writers_fault_is_found(fault: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, spoil, _ = FAULTS[fault]
    writer = WRITERS.get(form, f"{form}_bytes")
    sound = getattr(write, writer)
    monkeypatch.setattr(write, writer, lambda parts, *path: sound(spoil(list(parts)), *path))
    with pytest.raises(BrokenOutput, match=rf"a\.{form}"):
        written_and_checked(make(), tmp_path / f"a.{form}")


def test_three_numbers_where_four_are_announced_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = GlbBuffer.accessor

    def accessor(self: GlbBuffer, values: Any, kind: str, *more: Any, **named: Any) -> int:
        return sound(self, values[:, :3] if kind == "VEC4" else values, kind, *more, **named)

    monkeypatch.setattr(GlbBuffer, "accessor", accessor)
    with pytest.raises(BrokenOutput, match=r"a\.glb"):
        written_and_checked(coloured(), tmp_path / "a.glb")


def test_a_picture_that_does_not_decode_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "png_bytes", lambda pixels: png_bytes(pixels)[:-30])
    with pytest.raises(BrokenOutput, match=r"a\.glb"):
        written_and_checked(pictured(), tmp_path / "a.glb")


def test_a_copy_of_a_document_is_compared_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.glb"
    write_mesh(pictured(), path)

    def spoilt(data: bytes, matrix: Any) -> bytes | None:
        raw, binary = unpack(placed_copy(data, matrix) or b"")
        raw["materials"].reverse()
        return pack(raw, binary)

    monkeypatch.setattr(convert, "placed_copy", spoilt)
    with pytest.raises(BrokenOutput, match="picture"):
        run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb")


@pytest.mark.parametrize("form", FORMATS)
def test_conversions_are_checked(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.ply"
    write_mesh(coloured(), path)
    spoil = _each(vertices=lambda p: p.vertices + 0.1) if form == "stl" else _each(colours=lambda p: None)
    monkeypatch.setattr(convert, "write_mesh", lambda parts, *rest: write_mesh(spoil(parts), *rest))
    with pytest.raises(BrokenOutput):
        run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format=form)


def test_what_is_made_of_words_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = write.glb_bytes
    spoil = _each(material=lambda p: p.material._replace(colour=(1.0, 1.0, 1.0)))
    monkeypatch.setattr(write, "glb_bytes", lambda parts: sound(spoil(list(parts))))
    with pytest.raises(BrokenOutput, match="base colour"):
        run(ProceduralTextToMeshAdapter(), tmp_path, text_prompt="a red ball")


def test_parts_of_a_segmentation_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = trimesh.creation.box()
    labels = np.arange(12) // 6
    write_parts(box, labels, tmp_path / "a.glb")
    shown = {part.name: part.material.colour for part in parts_of(read_again(tmp_path / "a.glb"))}
    assert shown == {f"part_00{label}": pytest.approx(np.array(part_colour(label)) / 255) for label in (0, 1)}
    sound = write.glb_bytes
    spoil = _each(material=lambda p: p.material._replace(colour=(1.0, 1.0, 1.0)))
    monkeypatch.setattr(write, "glb_bytes", lambda parts: sound(spoil(list(parts))))
    with pytest.raises(BrokenOutput, match="base colour"):
        write_parts(box, labels, tmp_path / "a.glb")


def test_meshes_of_upstream_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = trimesh.creation.box()
    box.visual.vertex_colors = np.tile([200, 30, 30, 255], (8, 1))
    mesh_file.write(box, tmp_path / "a.glb")
    monkeypatch.setattr(mesh_file, "_glb", lambda mesh: trimesh.creation.box().export(file_type="glb"))
    with pytest.raises(BrokenOutput, match="base colour"):
        mesh_file.write(box, tmp_path / "a.glb")


def test_a_refusal_of_the_written_file_is_not_the_producers_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    path.write_bytes(files.glb()[:-40])
    with pytest.raises(BrokenOutput, match=r"the written mesh is broken: a\.glb"):
        read_again(path)


def test_what_stl_rounds_far_from_the_origin_is_no_fault(tmp_path: Path) -> None:
    corners = np.array(files.VERTICES) * (0.7, 1.3, 2.1) + (450_001.3, 4_800_002.7, 35.1)
    lines = ["v " + " ".join(f"{c:.12g}" for c in corner) for corner in corners]
    lines += ["f " + " ".join(str(corner + 1) for corner in face) for face in files.FACES]
    path = tmp_path / "far.obj"
    path.write_text("\n".join(lines))
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="stl")
    assert "precision" in answer["generation_info"]["lost"][0]
    with pytest.raises(BrokenOutput, match="extents"):
        check_written({"faces": 4, "extents": [1, 1, 2]}, {"faces": 4, "extents": [1, 1, 1]}, Path("a.stl"), 4e6)


def test_ply_shows_material_picture_and_vertex_colours_together(tmp_path: Path) -> None:
    (part, _) = pictured()
    half = Material("half", (0.5, 1.0, 1.0))
    white = np.full((4, 4, 3), 255, dtype=np.uint8)
    colours = np.array([[255, 255, 0, 255]] * 4, dtype=np.uint8)
    write_mesh([part._replace(material=half, texture=white, colours=colours)], tmp_path / "a.ply")
    (mesh,) = read_again(tmp_path / "a.ply").geometry.values()
    assert np.unique(mesh.visual.vertex_colors, axis=0).tolist() == [[128, 255, 0, 255]]


def test_thumbnails_of_an_obj_have_its_pictures(tmp_path: Path) -> None:
    """They were drawn of the file alone, without its materials."""
    path = tmp_path / "in.glb"
    write_mesh([part._replace(texture=np.full((4, 4, 3), (250, 0, 0), dtype=np.uint8)) for part in pictured()], path)
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="obj")
    from PIL import Image

    seen = np.asarray(Image.open(tmp_path / "out" / answer["thumbnail_path"])).astype(int)
    assert (seen[..., 0] - seen[..., 1] > 60).mean() > 0.02
