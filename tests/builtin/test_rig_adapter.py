"""`curve-skeleton-auto-rig` as a job meets it: what it keeps of the source, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.rigging.adapter import CurveSkeletonAutoRigAdapter
from support import glb_reading, mesh_files
from support.posing import posed
from support.skinned_files import read_skinned

pytestmark = pytest.mark.torch


def _run(folder: Path, run: RunContext | None = None, **inputs: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    model = CurveSkeletonAutoRigAdapter()

    async def work() -> dict[str, Any]:
        await model.load()
        try:
            return await model.process(inputs)
        finally:
            await model.unload()

    token = current_run.set(run or RunContext(output_dir=folder))
    try:
        return asyncio.run(work())
    finally:
        current_run.reset(token)


def _part(name: str, mesh: Any, **more: Any) -> MeshPart:
    colour = Material(name, (0.8, 0.3, 0.2))
    return MeshPart(name, mesh.vertices, mesh.faces, vertex_normals(mesh.vertices, mesh.faces), colour, **more)


def _bar(shift: float) -> Any:
    bar = trimesh.creation.box([2.0, 0.3, 0.3]).subdivide().subdivide().subdivide()
    bar.apply_translation([shift, 5.0, 0])
    return bar


@pytest.fixture
def two_bars(tmp_path: Path) -> Path:
    """One with a texture, one with vertex colours; they overlap, so that they are one body of two parts."""
    first, second = _bar(0), _bar(1.9)
    uv = (first.vertices[:, :2] - first.bounds[0][:2]) / first.extents[:2]
    texture = np.random.default_rng(1).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    colours = np.tile(np.array([[10, 200, 30, 255]], dtype=np.uint8), (len(second.vertices), 1))
    path = tmp_path / "bars.glb"
    write_mesh([_part("painted", first, uv=uv, texture=texture), _part("dyed", second, colours=colours)], path)
    return path


def test_a_rigged_copy_keeps_all_of_the_source(two_bars: Path, tmp_path: Path) -> None:
    answer = _run(tmp_path / "out", mesh_path=str(two_bars))
    target = Path(answer["output_mesh_path"])
    before, after = glb_reading.load(two_bars), glb_reading.load(target)
    assert set(before) == set(after)
    for name, mesh in before.items():
        assert after[name].vertices == pytest.approx(mesh.vertices, abs=1e-6)
        assert (after[name].faces == mesh.faces).all()
    assert after["painted"].visual.uv == pytest.approx(before["painted"].visual.uv, abs=1e-6)
    pictures = [np.asarray(each["painted"].visual.material.baseColorTexture) for each in (before, after)]
    assert (pictures[0] == pictures[1]).all()
    colours = [np.asarray(each["dyed"].visual.vertex_attributes["color"], float) for each in (before, after)]
    scaled = [each / 255 if each.max() > 1 else each for each in colours]
    assert scaled[0] == pytest.approx(scaled[1], abs=1 / 255)
    assert np.ptp(scaled[1][0]) > 0.5
    file = read_skinned(target)
    assert {part.name for part in file.parts} == {"painted", "dyed"}
    for part in file.parts:
        assert posed(part, file) == pytest.approx(part.positions, abs=1e-5)
    assert file.rest @ file.inverse_bind == pytest.approx(np.tile(np.eye(4), (len(file.rest), 1, 1)), abs=1e-5)


def test_what_it_says_is_counted(two_bars: Path, tmp_path: Path) -> None:
    answer = _run(tmp_path / "out", mesh_path=str(two_bars), bone_count=6)
    file = read_skinned(Path(answer["output_mesh_path"]))
    info = answer["rig_info"]
    assert answer["bone_count"] == len(file.skeleton.names) == len(info["joints"]) <= 6
    assert [joint["name"] for joint in info["joints"]] == list(file.skeleton.names)
    assert info["rig_type"] == "other"
    assert "follow the shape alone" in info["notes"][0]
    assert info["max_influences"] <= 4
    assert info["bodies_before"] == 2 and info["fused"]
    assert info["height"] == pytest.approx(0.3)
    assert info["statistics"]["vertices"] > 0
    for key in ("thumbnail_path", "skeleton_preview_path"):
        assert (tmp_path / "out" / answer[key]).stat().st_size > 0


def test_a_ply_becomes_a_rigged_glb(tmp_path: Path) -> None:
    path = tmp_path / "bar.ply"
    mesh = _bar(0)
    write_mesh([_part("bar", mesh)], path)
    answer = _run(tmp_path / "out", mesh_path=str(path))
    file = read_skinned(Path(answer["output_mesh_path"]))
    assert file.parts[0].positions == pytest.approx(mesh.vertices, abs=1e-6)


def test_a_cancel_is_heard_between_stages(two_bars: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    folder = tmp_path / "out"
    folder.mkdir()

    def told(fraction: float | None, stage: str | None, message: str | None) -> None:
        stages.append(stage or "")
        if len(stages) == 4:
            run.cancel()

    run = RunContext(output_dir=folder, on_progress=told)
    with pytest.raises(JobCancelled):
        _run(folder, run, mesh_path=str(two_bars))
    assert len(stages) == 4
    assert not list(folder.glob("*.glb"))


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ({"output_format": "fbx"}, "output_format", "glb"),
        ({"bone_count": 2}, "bone_count", "3 to 256"),
        ({"bone_count": "many"}, "bone_count", "whole number"),
        ({"mesh_path": None}, "mesh_path", "required"),
    ],
)
def test_wrong_options_are_refused(
    two_bars: Path, tmp_path: Path, inputs: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        _run(tmp_path / "out", **{"mesh_path": str(two_bars), **inputs})
    assert caught.value.field == field


def test_a_flat_mesh_is_refused_with_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sheet.obj"
    path.write_bytes(mesh_files.obj(before="v 0 0 0\nv 1 0 0\nv 0 1 0\n", faces="f 1 2 3\n"))
    with pytest.raises(InvalidInput, match=r"sheet\.obj: a flat sheet") as caught:
        _run(tmp_path / "out", mesh_path=str(path))
    assert caught.value.field == "mesh_path"


def test_the_schema_refuses_other_keys() -> None:
    schema = CurveSkeletonAutoRigAdapter().get_parameter_schema()
    assert schema is not None
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"mesh_path", "output_format", "bone_count", "bone_names"}
