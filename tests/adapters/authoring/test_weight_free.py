"""Adapters without weights, and the end of a job that wrote a mesh."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pocket3d.adapters.authoring.mesh_job import finish_mesh
from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.authoring.weight_free import WeightFreeModel
from pocket3d.adapters.base import JobCancelled
from pocket3d.adapters.catalogue.class_loading import build
from pocket3d.adapters.errors import AdapterUnavailable
from pocket3d.adapters.mesh_models import TextToMeshModel


class Brick(WeightFreeModel, TextToMeshModel):
    adapter_id = "brick"
    default_vram_mb = 128
    needs: ClassVar[tuple[str, ...]] = ("json",)
    imports = (".weight_free_only",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = super()._process_request(inputs)
        return answer


class Lacking(Brick):
    needs = ("json", "a_package_that_nobody_has")


def test_the_class_says_what_the_constructor_need_not() -> None:
    brick = Brick()
    assert (brick.model_id, brick.vram_requirement, brick.max_concurrent) == ("brick", 128, 1)
    assert (brick.feature_type, Brick.devices) == ("text_to_mesh", ("cuda", "cpu"))
    other = Brick("other", 256, 2, "text_to_painting")
    assert (other.model_id, other.vram_requirement, other.max_concurrent) == ("other", 256, 2)
    assert other.feature_type == "text_to_painting"
    assert other.constructor_arguments == {
        "model_id": "other",
        "vram_requirement": 256,
        "max_concurrent": 2,
        "feature_type": "text_to_painting",
    }


def test_a_configuration_that_means_nothing_to_it_is_refused() -> None:
    with pytest.raises(AdapterUnavailable, match="takes no argument 'model_path'"):
        build(Brick, "brick", {"model_path": "/weights"})


def test_it_is_available_where_its_packages_are() -> None:
    assert Brick().check_available() is None
    missing = Lacking().check_available()
    assert missing is not None and "a_package_that_nobody_has" in missing and "json" not in missing


async def test_a_load_imports_what_works_from_beside_the_class_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "bricks_for_this_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "weight_free_only.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Brick, "__module__", "bricks_for_this_test.adapter")
    lacking = Lacking()
    assert "bricks_for_this_test.weight_free_only" not in sys.modules
    await lacking.load()
    assert "bricks_for_this_test.weight_free_only" in sys.modules
    await lacking.unload()


def test_a_step_tells_where_it_is_and_ends_a_cancelled_job(tmp_path: Path) -> None:
    told: list[tuple[float | None, str | None]] = []
    run = RunContext(output_dir=tmp_path, on_progress=lambda *report: told.append((report[0], report[1])))
    token = current_run.set(run)
    try:
        brick = Brick()
        brick.step(0.25, "laying")
        brick.steps_within(0.5, 0.9)(0.5, "plastering")
        run.cancel()
        with pytest.raises(JobCancelled):
            brick.step(0.95, "painting")
    finally:
        current_run.reset(token)
    assert told == [(0.25, "laying"), (pytest.approx(0.7), "plastering")]


def test_a_finished_mesh_is_counted_again_and_its_answer_complete(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("scipy")
    told: list[tuple[float | None, str | None]] = []
    run = RunContext(output_dir=tmp_path, on_progress=lambda *report: told.append((report[0], report[1])))
    token = current_run.set(run)
    try:
        brick = Brick()
        response = brick._create_common_response({}, "obj")
        response["generation_info"] = {"input_type": "text", "success": True}
        trimesh.creation.box((1, 2, 3)).export(response["output_mesh_path"])
        facts = {"model": "bricks", "vertex_count": 99}
        answer = finish_mesh(brick, response, "generation_info", facts, [tmp_path / "brick.mtl"])
    finally:
        current_run.reset(token)
    info = answer["generation_info"]
    assert (info["input_type"], info["success"], info["model"], info["output_format"]) == (
        "text",
        True,
        "bricks",
        "obj",
    )
    assert info["statistics"]["extents"] == [1, 2, 3] and info["statistics"]["bodies"] == 1
    # What the adapter counted itself stands.
    assert (info["face_count"], info["vertex_count"]) == (12, 99)
    assert answer["extra_paths"] == [str(tmp_path / "brick.mtl")]
    assert answer["thumbnail_path"] is None or (tmp_path / answer["thumbnail_path"]).is_file()
    assert told == [(1.0, "done")]
    json.dumps(answer)
