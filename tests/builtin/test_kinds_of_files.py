"""Each kind of input that real files taught us, by the value that is right (`support.kinds_of_files`)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")
pytest.importorskip("torch")

from PIL import Image

from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.input import ignored_parts, read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.result import read_again
from pocket3d.adapters.weight_free.completion.holes import close_part
from pocket3d.adapters.weight_free.completion.kept import closed_copy
from pocket3d.adapters.weight_free.conversion.convert import write
from support import mesh_files as files
from support.kinds_of_files import KINDS
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

UV = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]])
#: Of the picture's quarters, in the order of UV.
QUARTERS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]


def test_every_kind_has_tests_of_its_own() -> None:
    here = Path(__file__).parent
    for kind, tests in KINDS.items():
        for each in tests:
            name, _, function = each.partition("::")
            assert f"def {function}(" in (here / name).read_text(encoding="utf-8"), (kind, each)


#: Faces, extents, and words of what is told; by the name of the file.
VALUES: dict[str, tuple[int, list[float], str]] = {
    **dict.fromkeys(KINDS, (4, [1, 1, 1], "")),
    "georef_double.ply": (4, [1, 3, 2.5], ""),
    "gpu_instancing.glb": (12, [7, 1, 1], ""),
    "material_extensions.glb": (4, [1, 1, 1], "KHR_materials_transmission"),
    "ply_tristrips.ply": (2, [1, 1, 0], ""),
    "sampler_clamp_nearest.glb": (4, [1, 1, 1], "1 samplers"),
    "scale_1e-6.obj": (4, [1e-6] * 3, ""),
    "skin_armature_turned.glb": (28, [0.6, 3, 0.6], "where their joints hold them"),
    "stl_no_endsolid.stl": (4, [1, 1, 1], "missing endsolid"),
    "stl_trailing_bytes.stl": (4, [1, 1, 1], "37 bytes behind"),
    "two_objects_names.obj": (8, [6, 1, 1], ""),
    "two_primitives.glb": (8, [1, 1, 1], ""),
    "usemtl_names.obj": (4, [1, 1, 1], "material library 'a.mtl'"),
}


@pytest.mark.parametrize("name", [name for name in KINDS if not name.endswith(".png")])
def test_files_as_met_are_read_as_they_are_meant(name: str) -> None:
    scene = read_scene(files.case(name))
    faces, extents, words = VALUES[name]
    assert sum(len(part.faces) for part in parts_of(scene)) == faces
    assert np.ptp(scene.bounds, axis=0) == pytest.approx(extents, rel=1e-6, abs=1e-12)
    told = ignored_parts(scene)
    assert told == [] if not words else words in told[0]


# ---------------------------------------------------------------- pictures


def put_picture(body: Tetrahedron, data: bytes, kind: str, uv: Any) -> dict[str, Any]:
    """Paint it with an encoded image; returns the material."""
    material = body.texture()
    document = body.document
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(body.binary), "byteLength": len(data)})
    body.binary += data + b"\0" * (-len(data) % 4)
    document["buffers"][0]["byteLength"] = len(body.binary)
    document["images"] = [{"bufferView": len(document["bufferViews"]) - 1, "mimeType": kind}]
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(uv, "VEC2")
    return material


def encoded(pixels: Any, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(buffer, format=form, **options)
    return buffer.getvalue()


def quartered(uv: Any) -> Tetrahedron:
    body = Tetrahedron()
    put_picture(body, encoded(np.reshape(QUARTERS, (2, 2, 3)), "PNG"), "image/png", uv)
    return body


@pytest.mark.parametrize("shift", [[1, 1], [-3, 0], [0, 7], "as met"])
def test_colours_of_a_picture_that_repeats(shift: Any, tmp_path: Path) -> None:
    if shift == "as met":
        path = files.case("uv_beyond_one.glb")
    else:
        path = quartered(UV + np.array(shift)).write(tmp_path / "a.glb")
    scene = read_scene(path)
    write(scene, tmp_path / "b.ply")
    (mesh,) = read_again(tmp_path / "b.ply").geometry.values()
    assert mesh.visual.vertex_colors[:, :3].tolist() == QUARTERS
    # What is written anew repeats it too.
    assert sampler_of_new_file(scene, tmp_path / "c.obj", tmp_path / "c.zip") == (10497, 10497)


def sampler_of_new_file(scene: Any, obj: Path, archive: Path) -> tuple[int, int]:
    """As OBJ with its files, in a zip, and from there as GLB: how the picture repeats."""
    import zipfile

    extra = write(scene, obj)
    with zipfile.ZipFile(archive, "w") as packed:
        for each in (obj, *extra):
            packed.write(each, each.name)
    target = obj.with_suffix(".glb")
    write(read_scene(archive), target)
    (sampler,) = unpack(target.read_bytes())[0]["samplers"]
    return sampler["wrapS"], sampler["wrapT"]


SAMPLERS = {
    "clamped": {"wrapS": 33071, "wrapT": 33071},
    "mirrored, nearest": {"wrapS": 33648, "wrapT": 10497, "magFilter": 9728, "minFilter": 9728},
    "smooth mipmaps": {"magFilter": 9729, "minFilter": 9987},
}


@pytest.mark.parametrize("name", [*SAMPLERS, "as met"])
def test_how_a_picture_repeats_is_kept(name: str, tmp_path: Path) -> None:
    if name == "as met":
        path = files.case("sampler_clamp_nearest.glb")
    else:
        body = quartered(UV)
        body.document["samplers"] = [SAMPLERS[name]]
        body.document["textures"][0]["sampler"] = 0
        path = body.write(tmp_path / "a.glb")
    before = unpack(path.read_bytes())[0]
    for data in (copied(path), completed(path)):
        after = unpack(data)[0]
        assert (after["samplers"], after["textures"]) == (before["samplers"], before["textures"])


def copied(path: Path) -> bytes:
    """What conversion to GLB makes of a file, twice as large."""
    made = placed_copy(path.read_bytes(), np.diag([2.0, 2, 2, 1]))
    assert made is not None
    return made


def completed(path: Path) -> bytes:
    """What part completion makes of a file whose parts are closed."""
    scene = read_scene(path)
    made = closed_copy(path.read_bytes(), scene, [close_part(part) for part in parts_of(scene)])
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("kind", "options"),
    [("noise", {"quality": 95}), ("grey", {"quality": 30}), ("noise", {"quality": 60, "progressive": True})],
    ids=["fine", "grey, coarse", "progressive"],
)
def test_photographs_keep_their_bytes(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    picture = encoded(pixels if kind == "noise" else pixels[..., 0], "JPEG", **options)
    body = Tetrahedron()
    put_picture(body, picture, "image/jpeg", UV)
    path = body.write(tmp_path / "a.glb")
    assert picture in copied(path) and picture in completed(path)


# ---------------------------------------------------------------- materials and coordinates

EXTENSIONS: dict[str, dict[str, Any]] = {
    "car paint": {
        "KHR_materials_clearcoat": {"clearcoatFactor": 1, "clearcoatRoughnessFactor": 0.1},
        "KHR_materials_iridescence": {"iridescenceFactor": 0.5},
    },
    "glass": {
        "KHR_materials_transmission": {"transmissionFactor": 0.9},
        "KHR_materials_volume": {"thicknessFactor": 0.2, "attenuationColor": [0.1, 0.9, 0.2]},
        "KHR_materials_ior": {"ior": 1.52},
    },
    "lamp": {"KHR_materials_emissive_strength": {"emissiveStrength": 12}, "KHR_materials_unlit": {}},
}


@pytest.mark.parametrize("name", [*EXTENSIONS, "as met"])
def test_extensions_of_materials_are_kept_or_named(name: str, tmp_path: Path) -> None:
    if name == "as met":
        path, wanted = files.case("material_extensions.glb"), {"KHR_materials_ior": {"ior": 1.4}}
    else:
        wanted = EXTENSIONS[name]
        body = Tetrahedron()
        body.document["materials"] = [{"name": name, "extensions": wanted}]
        body.document["extensionsUsed"] = sorted(wanted)
        body.primitive["material"] = 0
        path = body.write(tmp_path / "a.glb")
    before = unpack(path.read_bytes())[0]
    assert before["materials"][0]["extensions"].items() >= wanted.items()
    for data in (copied(path), completed(path)):
        after = unpack(data)[0]
        assert (after["materials"], after["extensionsUsed"]) == (before["materials"], before["extensionsUsed"])
    (told,) = ignored_parts(read_scene(path))
    assert all(extension in told for extension in wanted)


@pytest.mark.parametrize("form", ["glb", "obj", "ply"])
@pytest.mark.parametrize("name", ["no material", "a material without a picture", "as met"])
def test_coordinates_of_a_glb_without_a_picture_are_kept(name: str, form: str, tmp_path: Path) -> None:
    if name == "as met":
        path, uv = files.case("uv_no_texture.glb"), np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    else:
        body, uv = Tetrahedron(), UV * [1, 3]
        body.primitive["attributes"]["TEXCOORD_0"] = body.add(uv, "VEC2")
        if name != "no material":
            body.document["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}]
            body.primitive["material"] = 0
        path = body.write(tmp_path / "a.glb")
    write(read_scene(path), tmp_path / f"b.{form}")
    (part,) = parts_of(read_again(tmp_path / f"b.{form}"))
    assert part.texture is None
    order = [int(np.abs(part.vertices - place).sum(axis=1).argmin()) for place in files.VERTICES]
    assert np.asarray(part.uv)[order] == pytest.approx(uv, abs=1e-6)


def test_two_primitives_as_met_give_the_same_bytes_each_time(tmp_path: Path) -> None:
    path = files.case("two_primitives.glb")
    for form in ("glb", "obj", "ply"):
        made = []
        for run in ("first", "second"):
            target = tmp_path / run / f"a.{form}"
            target.parent.mkdir(exist_ok=True)
            write(read_scene(path), target)
            made.append(target.read_bytes())
        assert made[0] == made[1], form
