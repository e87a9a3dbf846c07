"""What a facade's request comes to: the ids, bodies and files of its jobs."""

from __future__ import annotations

from pocket3d.ops.gateway.facades.embedded_files import File
from pocket3d.ops.gateway.facades.plans import EARLIER, Step, body, files_of, job_id, with_references

FRONT, BACK, MESH = File(b"1", "front.png"), File(b"2", "back.png"), File(b"3", "mesh.glb")
STORED = {file: {"artifact": f"x/{file.filename}"} for file in (FRONT, BACK, MESH)}


def test_the_last_job_of_a_plan_has_the_id_that_the_client_is_told() -> None:
    assert [job_id("u", number, 3) for number in (1, 2, 3)] == ["u-1", "u-2", "u"]
    assert job_id("u", 1, 1) == "u"


def test_a_job_names_its_facade_and_only_what_was_wished() -> None:
    plain = {"job_id": "u", "feature": "auto_rig", "inputs": {"a": 1}, "metadata": {"facade": "localai"}}
    assert body("localai", Step("auto_rig", {}), "u", {"a": 1}) == plain
    wished = Step("auto_rig", {}, model_preference="m", variant="512")
    assert body("localai", wished, "u", {"a": 1}) == {**plain, "model_preference": "m", "variant": "512"}


def test_the_files_of_a_step_are_found_alone_and_in_lists_in_their_order() -> None:
    step = Step("image_to_mesh", {"seed": 3, "image_paths": [FRONT, "no file", BACK], "mesh_path": MESH, "x": EARLIER})
    assert files_of(step) == [FRONT, BACK, MESH]
    assert files_of(Step("text_to_mesh", {"text_prompt": "a chair"})) == []


def test_files_become_references_and_the_earlier_file_the_job_that_makes_it() -> None:
    inputs = {"mesh_path": EARLIER, "image_paths": [FRONT, BACK], "image_path": FRONT, "seed": 3, "views": ["a", "b"]}
    assert with_references(Step("image_to_texture", inputs), STORED, "u-1") == {
        "mesh_path": {"result": "u-1"},
        "image_paths": [{"artifact": "x/front.png"}, {"artifact": "x/back.png"}],
        "image_path": {"artifact": "x/front.png"},
        "seed": 3,
        "views": ["a", "b"],
    }
    assert inputs["image_path"] is FRONT, "the step stays as it is"
