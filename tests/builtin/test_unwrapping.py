"""`xatlas-uv-unwrapping`, judged from the files: overlaps, distortion, charts, and where the old texture went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("xatlas")

from PIL import Image

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.appearance import texels
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.runtime.native_call import NativeCrashed
from pocket3d.adapters.weight_free.unwrapping import layout
from pocket3d.adapters.weight_free.unwrapping.adapter import XatlasUvUnwrappingAdapter
from pocket3d.adapters.weight_free.unwrapping.stretch import stretch
from support import tool_meshes
from support.adapter_run import run
from support.full_glb import see_through

pytestmark = pytest.mark.torch


def unwrapping(folder: Path, source: Path, **inputs: Any) -> dict[str, Any]:
    inputs.setdefault("texture_resolution", 256)
    return run(XatlasUvUnwrappingAdapter(), folder / "out", mesh_path=str(source), **inputs)


def test_a_box_is_laid_out_as_it_is(tmp_path: Path) -> None:
    trimesh.creation.box([1, 2, 3]).export(tmp_path / "box.stl")
    made = unwrapping(tmp_path, tmp_path / "box.stl")
    info = made["unwrapping_info"]
    assert (info["charts"], info["overlapping_texels"], info["flipped_faces"]) == (6, 0, 0)
    # Sides that are flat lie in the texture without distortion.
    assert info["l2_stretch"] == pytest.approx(1, abs=0.01) and info["angle_distortion"] == pytest.approx(1, abs=0.01)
    assert 20 < info["coverage_percent"] < 100 and info["warnings"] == []
    [box] = read_scene(Path(made["output_mesh_path"])).geometry.values()
    assert box.visual.uv.shape == (24, 2) and box.visual.uv.min() >= 0 and box.visual.uv.max() <= 1
    picture = np.asarray(Image.open(made["uv_layout_path"]))
    colours = {tuple(each) for each in picture.reshape(-1, 3)[::7].tolist()}
    assert len(colours) == 7, "six charts on black"


def test_a_ball_is_cut_into_charts_without_overlap(tmp_path: Path) -> None:
    tool_meshes.ball().export(tmp_path / "ball.glb")
    coarse, fine = (unwrapping(tmp_path / str(n), tmp_path / "ball.glb", allowed_stretch=n) for n in (8, 0.5))
    infos = [each["unwrapping_info"] for each in (coarse, fine)]
    assert all(info["overlapping_texels"] == 0 and info["flipped_faces"] == 0 for info in infos)
    assert infos[1]["charts"] > infos[0]["charts"] >= 2
    assert 1 <= infos[1]["l2_stretch"] < 1.2 and infos[0]["statistics"]["watertight"] is True


def test_the_old_texture_is_where_the_new_coordinates_are(tmp_path: Path) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    made = unwrapping(tmp_path, source)
    [sheet] = parts_of(read_scene(Path(made["output_mesh_path"])))
    assert sheet.texture is not None and sheet.uv is not None and made["unwrapping_info"]["texture_moved"] is True
    middles = sheet.vertices[sheet.faces].mean(axis=1)
    shown = texels(sheet.texture, sheet.uv[sheet.faces].mean(axis=1))
    left, right = middles[:, 0] < 0.9, middles[:, 0] > 1.1
    assert shown[left][:, 0].max() < 20 and shown[right][:, 0].min() > 235


@pytest.mark.parametrize("mode", ["BLEND", "MASK", "OPAQUE"])
def test_transparency_that_is_shown_moves_with_the_texture(mode: str, tmp_path: Path) -> None:
    made = unwrapping(tmp_path, see_through(mode).write(tmp_path / "pane.glb"))
    (mesh,) = read_scene(Path(made["output_mesh_path"])).geometry.values()
    picture = np.asarray(mesh.visual.material.baseColorTexture)
    assert picture.reshape(-1, picture.shape[2])[0].tolist() == [10, 200, 30, 51][: 3 if mode == "OPAQUE" else 4]
    assert (mesh.visual.material.alphaMode or "OPAQUE") == mode
    assert not any("transparency" in each for each in made["unwrapping_info"]["lost"])


def test_parts_share_one_texture_and_keep_their_colours(tmp_path: Path) -> None:
    source = tool_meshes.write_two_balls(tmp_path / "two.glb")
    made = unwrapping(tmp_path, source)
    assert made["unwrapping_info"]["overlapping_texels"] == 0
    scene = read_scene(Path(made["output_mesh_path"]))
    parts = {each.name: each for each in parts_of(scene)}
    assert parts["blue"].material.colour == pytest.approx((0, 0, 1), abs=0.01)
    assert all(len(mesh.visual.uv) == len(mesh.vertices) for mesh in scene.geometry.values())


def test_where_the_library_crashes_the_surface_is_cut_first(tmp_path: Path) -> None:
    """A ball of 81,920 faces ends xatlas 0.0.11 by a segmentation fault (its issue 146)."""
    ball = tool_meshes.part("ball", tool_meshes.ball())
    calls: list[int] = []

    def call(arrays: dict[str, Any], count: int) -> dict[str, Any]:
        calls.append(count)
        if count == 1:
            raise NativeCrashed("the library crashed (SIGSEGV)")
        made: dict[str, Any] = {"atlases": np.array(1)}
        for number in range(count):
            vertices = arrays[f"vertices_{number}"]
            made[f"source_{number}"] = np.arange(len(vertices))
            made[f"faces_{number}"], made[f"uv_{number}"] = arrays[f"faces_{number}"], vertices[:, :2]
        return made

    surface = (ball.vertices, ball.faces)
    [(source, faces, uv)], warnings = layout.laid_out([surface], call)
    assert calls == [1, 26] and "cut by direction" in warnings[0]
    assert np.array_equal(ball.vertices[source][faces], ball.vertices[ball.faces]), "each face is where it was"
    assert len(uv) == len(source) > len(ball.vertices)
    normals = np.cross(*(ball.vertices[ball.faces][:, n] - ball.vertices[ball.faces][:, 0] for n in (1, 2)))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for owned in layout.by_direction(surface):
        assert (normals[owned] @ normals[owned].T).min() > 0.5, "no two look further apart than 60 degrees"


@pytest.mark.parametrize("name", tool_meshes.SOUND_ENOUGH)
def test_strange_surfaces_are_laid_out(tmp_path: Path, name: str) -> None:
    tool_meshes.unsound(name).export(tmp_path / "mesh.ply")
    info = unwrapping(tmp_path, tmp_path / "mesh.ply")["unwrapping_info"]
    assert info["charts"] >= 1
    # Faces that lie on one another may be laid there, too; that is said.
    assert (info["overlapping_texels"] > 0) == any("two places" in each for each in info["warnings"])
    assert info["overlapping_texels"] == 0 or name == "faces twice"


@pytest.mark.parametrize(("name", "said"), [("no area", "encloses an area"), ("needle", "no surface")])
def test_what_has_no_surface_is_refused(tmp_path: Path, name: str, said: str) -> None:
    tool_meshes.unsound(name).export(tmp_path / "mesh.ply")
    with pytest.raises(InvalidInput, match=said):
        unwrapping(tmp_path, tmp_path / "mesh.ply")


def test_more_faces_than_the_limit_are_refused_before_the_work(tmp_path: Path) -> None:
    tool_meshes.ball().export(tmp_path / "ball.glb")
    model = XatlasUvUnwrappingAdapter(max_faces=1000)
    with pytest.raises(InvalidInput, match="1,280 faces, at most 1,000"):
        run(model, tmp_path / "out", mesh_path=str(tmp_path / "ball.glb"))
    assert model.constructor_arguments == {"max_faces": 1000}


def test_stretch_of_layouts_that_are_known() -> None:
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], [[1.0, 0, 0], [1, 1, 0], [0, 1, 0]]])
    corners = np.concatenate([corners, corners[:1] + np.array([2, 0, 0])])
    chart = np.zeros(3, dtype=int)
    kept = stretch(corners, corners[:, :, :2] / 4, chart)
    assert (kept["l2_stretch"], kept["angle_distortion"], kept["flipped_faces"]) == (1.0, 1.0, 0)
    # Half as wide: the two stretches are as 2 to 1, their root mean square over the scale is sqrt(5 / 4).
    halved = stretch(corners, corners[:, :, :2] * [0.5, 1.0], chart)
    assert halved["l2_stretch"] == pytest.approx((5 / 4) ** 0.5, abs=1e-4) and halved["angle_distortion"] == 2.0
    turned = corners[:, :, :2].copy()
    turned[1] = turned[1][::-1]
    assert stretch(corners, turned, chart)["flipped_faces"] == 1
    turned[1] = turned[1][0]
    assert stretch(corners, turned, chart)["collapsed_faces"] == 1
