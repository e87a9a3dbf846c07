"""Parts that are put back into their own document are compared with what was meant, as other files are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("torch")

from pocket3d.adapters.authoring.mesh_job import write_kept
from pocket3d.adapters.mesh import glb_remade, skinned_copy
from pocket3d.adapters.mesh.glb_looks import Paint
from pocket3d.adapters.mesh.glb_remade import Remade
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.mesh_part import Material, MeshPart
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.read.glb_container import pack, unpack
from pocket3d.adapters.mesh.result import BrokenOutput
from pocket3d.adapters.mesh.skinned_copy import Rigged
from pocket3d.adapters.mesh.skinned_glb import Skeleton
from pocket3d.adapters.mesh.write import vertex_normals
from pocket3d.adapters.weight_free.rigging import rig
from pocket3d.adapters.weight_free.rigging.adapter import CurveSkeletonAutoRigAdapter
from support import mesh_files as files
from support.adapter_run import run
from support.full_glb import full
from support.tetrahedron import Tetrahedron

pytestmark = [pytest.mark.torch, pytest.mark.broken_glb("writers are patched to write wrong files")]

RED = np.full((4, 4, 3), (255, 0, 0), dtype=np.uint8)
SPLIT = np.array(files.FACES).reshape(-1)
BOTH, PICTURE = Paint(colour=True, surface=True), Paint()


def body(*, coloured: bool = False, pictured: bool = True, unread: int = 0) -> Tetrahedron:
    """Colours at its vertices, a picture and a map of normals where it lies; the first textures may be ones that cannot
    be read, as pictures in KTX2 where their decoder is not installed.
    """
    made = full()
    material = made.document["materials"][0]
    if coloured:
        colours = [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0.2, 0.4, 0.1, 1]]
        made.primitive["attributes"]["COLOR_0"] = made.add(colours, "VEC4")
    if not pictured:
        del material["pbrMetallicRoughness"]["baseColorTexture"]
    for texture in made.document["textures"][:unread]:
        del texture["source"]
    return made


def apart(part: MeshPart) -> Remade:
    """Its faces cut apart, on new coordinates."""
    uv = np.tile([[0.0, 0], [1, 0], [0, 1]], (4, 1))
    colours = None if part.colours is None else part.colours[SPLIT]
    faces = np.arange(12).reshape(-1, 3)
    normals = vertex_normals(part.vertices[SPLIT], faces)
    made = part._replace(vertices=part.vertices[SPLIT], faces=faces, normals=normals, uv=uv, colours=colours)
    return Remade(made, SPLIT, new_uv=True)


def painted(part: MeshPart) -> Remade:
    look = Material("red", (1.0, 1.0, 1.0), metallic=1.0, roughness=0.5)
    made = apart(part)
    return made._replace(part=made.part._replace(texture=RED, material=look))


def on_its_own(part: MeshPart) -> Remade:
    """A new picture on the old coordinates."""
    return Remade(part._replace(texture=RED), np.arange(4))


def fewer(part: MeshPart) -> Remade:
    """A new shape, which has the old picture and colours."""
    faces = part.faces[:3]
    return Remade(part._replace(faces=faces, normals=vertex_normals(part.vertices, faces)))


def bare(part: MeshPart) -> Remade:
    return Remade(part._replace(uv=None, texture=None))


WAYS: list[tuple[Callable[[MeshPart], Remade], Paint | None]] = [
    (apart, PICTURE),
    (painted, PICTURE),
    (painted, Paint(colour=True)),
    (painted, BOTH),
    (on_its_own, BOTH),
    (fewer, None),
    (bare, None),
]


def kept(made: Tetrahedron, folder: Path, how: Callable[[MeshPart], Remade], paint: Paint | None) -> Any:
    path = made.write(folder / "before.glb")
    scene = read_scene(path)
    adapter: Any = SimpleNamespace(step=lambda *_: None)
    response = {"output_mesh_path": str(folder / "after.glb")}
    return write_kept(adapter, response, path, scene, {part.name: how(part) for part in parts_of(scene)}, paint)


@pytest.mark.parametrize(
    "looks",
    [{}, {"coloured": True}, {"pictured": False}, {"unread": 1}, {"unread": 3}, {"pictured": False, "unread": 3}],
    ids=["picture", "colours", "map", "picture unread", "all unread", "map unread"],
)
@pytest.mark.parametrize(("how", "paint"), WAYS)
def test_what_is_kept_as_it_was_meant_passes(
    how: Callable[[MeshPart], Remade], paint: Paint | None, looks: dict[str, Any], tmp_path: Path
) -> None:
    for number, more in enumerate(({}, {"baseColorFactor": None}, {"material": None})):
        made = body(**looks)
        if "material" in more:
            del made.primitive["material"]
        elif "baseColorFactor" in more:
            del made.document["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"]
        (tmp_path / str(number)).mkdir()
        assert kept(made, tmp_path / str(number), how, paint) is not None


def other_factor(raw: dict[str, Any], _binary: bytearray) -> None:
    raw["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.25, 0.5, 0.125, 1]


def other_colours(raw: dict[str, Any], binary: bytearray) -> None:
    """Those of the first vertex are another's."""
    accessor = raw["accessors"][raw["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    start = raw["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
    binary[start : start + 16] = np.array([0, 1, 1, 1], "<f4").tobytes()


def other_picture(raw: dict[str, Any], _binary: bytearray) -> None:
    material = raw["materials"][0]
    material["pbrMetallicRoughness"]["baseColorTexture"]["index"] = material["normalTexture"]["index"]


def other_map(raw: dict[str, Any], _binary: bytearray) -> None:
    material = raw["materials"][0]
    material["normalTexture"]["index"] = material["pbrMetallicRoughness"]["baseColorTexture"]["index"]


def no_map(raw: dict[str, Any], _binary: bytearray) -> None:
    del raw["materials"][0]["normalTexture"]


SPOILED: list[tuple[Callable[[MeshPart], Remade], Paint | None, Any, str]] = [
    (painted, PICTURE, other_factor, "base colour"),
    (painted, BOTH, other_factor, "base colour"),
    (fewer, None, other_factor, "base colour"),
    (bare, None, other_factor, "base colour"),
    (fewer, None, other_colours, "its colours"),
    (painted, PICTURE, other_colours, "its colours"),
    (on_its_own, BOTH, other_picture, r"picture \(base\)"),
    (fewer, None, other_map, r"picture \(normalTexture\)"),
    (on_its_own, BOTH, no_map, r"picture \(normalTexture\) is not there"),
]


@pytest.mark.parametrize(("how", "paint", "spoil", "words"), SPOILED)
def test_looks_that_a_writer_spoils_are_found(
    how: Any, paint: Paint | None, spoil: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remade_copy = glb_remade.remade_copy

    def broken(*arguments: Any) -> bytes:
        raw, binary = unpack(remade_copy(*arguments) or b"")
        changed = bytearray(binary)
        spoil(raw, changed)
        return pack(raw, bytes(changed))

    monkeypatch.setattr(glb_remade, "remade_copy", broken)
    with pytest.raises(BrokenOutput, match=words):
        kept(body(coloured=spoil is other_colours), tmp_path, how, paint)


def two_bones(*_: Any) -> Any:
    """A rig that was found at no cost."""
    heads = np.array([[0.0, 0, 0], [0, 0.5, 0]])
    skeleton = Skeleton(("root", "bone"), np.array([-1, 0]), heads, heads + np.array([0, 0.5, 0]))
    surface = trimesh.creation.box([1, 1, 1])

    def weights_at(places: Any) -> Any:
        return np.tile([1, 0, 0, 0], (len(places), 1)), np.tile([1.0, 0, 0, 0], (len(places), 1))

    return SimpleNamespace(skeleton=skeleton, surface=surface, weights_at=weights_at, facts={})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(None, ""), (other_factor, "base colour"), (other_colours, "its colours"), (no_map, "normalTexture")],
)
def test_a_rigged_copy_is_compared_with_its_source(
    spoil: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = skinned_copy.skinned_copy

    def broken(*arguments: Any) -> Rigged | None:
        rigged = copied(*arguments)
        assert rigged is not None
        raw, binary = unpack(rigged.data)
        changed = bytearray(binary)
        if spoil is not None:
            spoil(raw, changed)
        return rigged._replace(data=pack(raw, bytes(changed)))

    monkeypatch.setattr(skinned_copy, "skinned_copy", broken)
    monkeypatch.setattr(rig, "make_rig", two_bones)
    path = body(coloured=True).write(tmp_path / "before.glb")
    if spoil is None:
        assert run(CurveSkeletonAutoRigAdapter(), tmp_path / "out", mesh_path=str(path))["bone_count"] == 2
        return
    with pytest.raises(BrokenOutput, match=words):
        run(CurveSkeletonAutoRigAdapter(), tmp_path / "out", mesh_path=str(path))
