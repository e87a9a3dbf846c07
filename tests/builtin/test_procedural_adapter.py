"""`procedural-text-to-mesh` as a job meets it: inputs in, files out, judged from the files."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.mesh.srgb import from_srgb
from pocket3d.adapters.weight_free.procedural.adapter import ProceduralTextToMeshAdapter
from support import glb_reading

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def adapter() -> ProceduralTextToMeshAdapter:
    model = ProceduralTextToMeshAdapter()
    asyncio.run(model.load())
    return model


def _run(model: ProceduralTextToMeshAdapter, folder: Path, **inputs: Any) -> dict[str, Any]:
    token = current_run.set(RunContext(output_dir=folder))
    try:
        return asyncio.run(model.process(inputs))
    finally:
        current_run.reset(token)


@pytest.mark.parametrize(("count", "word"), [(1, "one"), (2, "2"), (3, "three"), (4, "four"), (5, "five"), (7, "7")])
def test_as_many_loops_near_the_floor_as_legs(
    adapter: ProceduralTextToMeshAdapter, tmp_path: Path, count: int, word: str
) -> None:
    for noun in ("chair", "table", "stool"):
        result = _run(adapter, tmp_path, text_prompt=f"a {noun} with {word} legs")
        assert glb_reading.loops_at(Path(result["output_mesh_path"]), 0.03) == count, noun


def test_the_answer_says_what_was_made(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    prompt = "a beautiful chair with four legs and a red back"
    result = _run(adapter, tmp_path, text_prompt=prompt)
    info = result["generation_info"]
    assert result["success"] is True
    assert result["text_prompt"] == prompt
    assert result["seed"] == info["seed"] == 0
    assert info["understood"] == {
        "objects": [
            {
                "object": "chair",
                "count": 1,
                "parts": [{"part": "leg", "count": 4}, {"part": "back", "count": 1, "colours": ["red"]}],
            }
        ]
    }
    assert info["ignored"] == ["beautiful"]
    path = Path(result["output_mesh_path"])
    assert path.parent == tmp_path
    geometry = glb_reading.load(path)
    assert info["vertex_count"] == sum(len(mesh.vertices) for mesh in geometry.values())
    assert info["face_count"] == sum(len(mesh.faces) for mesh in geometry.values())
    assert info["part_count"] == len(geometry) == len(info["parts"])
    assert info["watertight"] is True
    assert all(part["watertight"] for part in info["parts"])
    assert all(mesh.is_watertight for mesh in geometry.values())
    assert info["extents_m"] == pytest.approx(glb_reading.whole(path).extents, abs=1e-5)
    assert glb_reading.whole(path).bounds[0][1] == pytest.approx(0, abs=1e-6)


def test_colours_are_in_the_file(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    result = _run(adapter, tmp_path, text_prompt="a blue chair with four lime legs and a red back")
    path = Path(result["output_mesh_path"])
    wanted = {"leg": (0, 255, 0, 255), "back": (255, 0, 0, 255), "seat": (0, 0, 255, 255)}
    read = glb_reading.main_colours(path)
    assert {name.split(" / ")[1].split()[0] for name in read} == set(wanted)
    for name, colour in read.items():
        assert colour == wanted[name.split(" / ")[1].split()[0]], name
    document = glb_reading.json_chunk(path)
    materials = {m["name"]: m["pbrMetallicRoughness"]["baseColorFactor"] for m in document["materials"]}
    assert materials == {"lime wood": [0, 1, 0, 1], "red wood": [1, 0, 0, 1], "blue wood": [0, 0, 1, 1]}
    by_mesh = {
        mesh["name"]: document["materials"][mesh["primitives"][0]["material"]]["name"] for mesh in document["meshes"]
    }
    assert by_mesh["chair / leg 3"] == "lime wood"


def test_factors_are_linear_as_the_format_wants(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    result = _run(adapter, tmp_path, text_prompt="an orange ball")
    (material,) = glb_reading.json_chunk(Path(result["output_mesh_path"]))["materials"]
    red, green, blue, alpha = material["pbrMetallicRoughness"]["baseColorFactor"]
    assert (red, blue, alpha) == (1, 0, 1)
    assert green == pytest.approx(float(from_srgb(np.array(165 / 255))), abs=1e-5) == pytest.approx(0.376, abs=1e-3)


def test_materials_reflect_as_they_are(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    result = _run(adapter, tmp_path, text_prompt="a golden sword, a glass bowl and a wooden cube")
    document = glb_reading.json_chunk(Path(result["output_mesh_path"]))
    by_name = {material["name"]: material for material in document["materials"]}
    assert by_name["gold"]["pbrMetallicRoughness"]["metallicFactor"] == 1
    assert by_name["gold"]["pbrMetallicRoughness"]["roughnessFactor"] < 0.3
    assert by_name["wood"]["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert by_name["glass"]["alphaMode"] == "BLEND"
    assert by_name["glass"]["pbrMetallicRoughness"]["baseColorFactor"][3] < 0.5


def test_normals_in_the_file_look_outwards(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    result = _run(adapter, tmp_path, text_prompt="a ball")
    (mesh,) = glb_reading.load(Path(result["output_mesh_path"])).values()
    outward = mesh.vertices - mesh.bounds.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert ((mesh.vertex_normals * outward).sum(axis=1) > 0.99).all()


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply", "stl"])
def test_every_format_holds_the_same_geometry(
    adapter: ProceduralTextToMeshAdapter, tmp_path: Path, suffix: str
) -> None:
    result = _run(adapter, tmp_path, text_prompt="a red table with six legs", output_format=suffix)
    path = Path(result["output_mesh_path"])
    assert path.suffix == f".{suffix}"
    mesh = trimesh.load(path, force="mesh")
    assert len(mesh.faces) == result["generation_info"]["face_count"]
    assert mesh.extents == pytest.approx(result["generation_info"]["extents_m"], abs=1e-4)
    if suffix == "ply":
        assert (mesh.visual.vertex_colors[:, :3] == [255, 0, 0]).all()
    if suffix == "obj":
        library = Path(result["extra_paths"][0])
        assert library.name in path.read_text()
        assert "Kd 1.000000 0.000000 0.000000" in library.read_text()
    if suffix == "stl":
        assert "none" in result["generation_info"]["colour"]


def test_same_seed_same_file_other_seed_other_file(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    def data(seed: int | None) -> bytes:
        folder = tmp_path / str(seed)
        folder.mkdir(exist_ok=True)
        result = _run(adapter, folder, text_prompt="a chair", seed=seed)
        return Path(result["output_mesh_path"]).read_bytes()

    assert data(3) == data(3)
    assert data(3) != data(4)
    assert data(None) == data(0)


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ({"text_prompt": "a stethoscope"}, "text_prompt", ["near it in meaning", "glasses", "no trained model"]),
        ({"text_prompt": "a chair with 0 legs"}, "text_prompt", ["1 to 12"]),
        ({"text_prompt": "   "}, "text_prompt", ["empty"]),
        ({"text_prompt": 7}, "text_prompt", ["text"]),
        ({}, "text_prompt", ["required"]),
        ({"text_prompt": "a chair", "output_format": "step"}, "output_format", ["step", "glb"]),
        ({"text_prompt": "a chair", "seed": -1}, "seed", ["0"]),
        ({"text_prompt": "a chair", "seed": "x"}, "seed", ["whole number"]),
    ],
)
def test_bad_input_is_refused_before_any_work(
    adapter: ProceduralTextToMeshAdapter, tmp_path: Path, inputs: dict[str, Any], field: str, words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        _run(adapter, tmp_path, **inputs)
    assert refusal.value.field == field
    for word in words:
        assert word in refusal.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_job_ends_between_stages(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    def cancel_at_a_stage(_fraction: float | None, stage: str | None, _message: str | None) -> None:
        if stage:
            run.cancel()

    run = RunContext(output_dir=tmp_path, on_progress=cancel_at_a_stage)
    token = current_run.set(run)
    try:
        with pytest.raises(JobCancelled):
            asyncio.run(adapter.process({"text_prompt": "a castle"}))
    finally:
        current_run.reset(token)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one_in_named_stages(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    seen: list[tuple[float | None, str | None]] = []
    run = RunContext(output_dir=tmp_path, on_progress=lambda fraction, stage, _message: seen.append((fraction, stage)))
    token = current_run.set(run)
    try:
        asyncio.run(adapter.process({"text_prompt": "two chairs next to a table"}))
    finally:
        current_run.reset(token)
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert {"building chair", "building table", "writing the file"} <= {stage for _, stage in seen}


def test_the_schema_accepts_what_the_adapter_accepts(adapter: ProceduralTextToMeshAdapter) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = adapter.get_parameter_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"text_prompt": "a chair", "seed": 4, "output_format": "stl"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"text_prompt": "a chair", "seed": -1}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"text_prompt": "a chair", "quality": "high"}, schema)


def test_the_largest_scene_is_quick(adapter: ProceduralTextToMeshAdapter, tmp_path: Path) -> None:
    # The processor's time, not the clock's: other processes of a busy machine do not count.
    begun = time.process_time()
    _run(adapter, tmp_path, text_prompt="twelve castles next to twelve airplanes", seed=1)
    # The promise is about 3 s; this bound only catches a blow-up.
    assert time.process_time() - begun < 30
