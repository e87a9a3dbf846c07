"""The check kit: an adapter that keeps the contract passes, and each fault is found by the check that is for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.check import Check, Report, check_adapter
from pocket3d.adapters.kit.samples import (
    sample_inputs,
    spoiled_inputs,
    write_sample_image,
    write_sample_mesh,
    write_sample_splat,
)
from pocket3d.adapters.kit.skeleton import skeleton_files
from support.worker_driver import SUPPORT, worker_path


def check(name: str, tmp_path: Path, **options: Any) -> dict[str, Check]:
    return named(check_adapter(f"checked.{name}", path=[SUPPORT], work_dir=tmp_path / "work", **options))


def named(report: Report) -> dict[str, Check]:
    return {each.name: each for each in report.checks}


def test_an_adapter_that_keeps_the_contract_passes_every_check(tmp_path: Path) -> None:
    report = check_adapter("checked:GoodAdapter", path=[SUPPORT], work_dir=tmp_path)
    levels = {each.name: each.level for each in report.checks}
    assert report.ok
    assert levels == dict.fromkeys(
        (
            "description",
            "licence",
            "parameters",
            "load",
            "process",
            "progress",
            "result",
            "invalid input",
            "cancel",
            "unload",
            "working directory",
            "second load",
            "seed",
        ),
        "ok",
    ), report.text()
    found = named(report)
    assert "sampling, done" in found["progress"].text
    assert "inputs.text_prompt" in found["invalid input"].text
    assert "text_prompt='a red chair with four legs', seed=7" in found["process"].text
    assert report.text().count("\n") == len(report.checks)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("DeafAdapter", {"cancel": ("note", "went on to its end")}),
        ("BackwardsAdapter", {"progress": ("failed", "it goes back")}),
        (
            "WrongAnswersAdapter",
            {
                "licence": ("note", "no commercial use"),
                "parameters": ("failed", "no JSON Schema"),
                "result": ("failed", "no output_mesh_path"),
                "invalid input": ("failed", "answered all the same"),
                "unload": ("failed", "cannot let go"),
                "working directory": ("note", "scratch.npy"),
            },
        ),
        (
            "CarelessAdapter",
            {
                "parameters": ("failed", "refuses the inputs"),
                "result": ("failed", "is empty"),
                "invalid input": ("failed", "adapter_error without a field"),
            },
        ),
        ("DiceAdapter", {"seed": ("note", "other files"), "result": ("note", "forgotten.ply")}),
        ("GpuAdapter", {"device": ("failed", "this machine has none")}),
    ],
)
@pytest.mark.broken_glb("adapters that break the contract write four bytes")
def test_each_fault_is_found_and_comes_with_advice(
    name: str, wanted: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    if name == "GpuAdapter" and Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a GPU")
    # Long enough for a cancel and for several reports where those are what is tried.
    slow = name in ("DeafAdapter", "BackwardsAdapter")
    found = check(name, tmp_path, config={"step_s": 0.03 if slow else 0.0})
    for check_name, (level, says) in wanted.items():
        seen = found[check_name]
        assert (seen.level, bool(seen.advice)) == (level, True), seen
        assert says in seen.text
    others = {each.name: each.level for each in found.values() if each.name not in wanted}
    assert set(others.values()) <= {"ok", "skipped"}, others


def test_an_adapter_that_cannot_be_loaded_twice_is_found(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    found = check("OnceAdapter", tmp_path, config={"lock": lock})
    assert found["load"].level == "ok"
    assert (found["second load"].level, "locked by another" in found["second load"].text) == ("failed", True)
    assert "checked.py" in str(found["second load"].advice)


@pytest.mark.parametrize(
    ("name", "check_name", "says"),
    [
        ("misbehaving.CrashingAdapter", "process", "exit status 9"),
        ("misbehaving.LoadFailsAdapter", "load", "load_failed: Failed to load my model: the checkpoint is truncated"),
        ("misbehaving_import.Adapter", "description", "package_that_nobody_has"),
    ],
)
def test_one_that_does_not_get_that_far_is_told_where_it_ends(
    name: str, check_name: str, says: str, tmp_path: Path
) -> None:
    report = check_adapter(name, path=[SUPPORT], work_dir=tmp_path / "work")
    assert not report.ok
    assert report.checks[-1].name in (check_name, "licence")
    assert says in named(report)[check_name].text


def test_a_request_that_hangs_is_ended(tmp_path: Path) -> None:
    report = check_adapter("misbehaving.HangingAdapter", path=[SUPPORT], work_dir=tmp_path, run_timeout_s=0.3)
    assert [each.name for each in report.checks if each.level == "failed"] == ["process"]
    assert report.checks[-1].text == "no end within 0.3 s"


def test_inputs_and_configuration_can_be_given(tmp_path: Path) -> None:
    report = check_adapter(
        "pocket3d.adapters.echo.EchoAdapter", config={"max_concurrent": 2}, inputs={"sleep_s": 0.05}, work_dir=tmp_path
    )
    found = named(report)
    assert report.ok and "up to 2 at once" in found["description"].text and "sleep_s=0.05" in found["process"].text


def test_a_class_that_no_other_process_can_import_is_refused() -> None:
    class Local:
        pass

    with pytest.raises(ValueError, match="top level of a module"):
        check_adapter(Local)  # type: ignore[arg-type]  # it does not come so far as to look
    with pytest.raises(ValueError, match=r"module\.Class"):
        check_adapter("NoModule")


def test_samples_fit_the_feature_and_what_is_given_stands(tmp_path: Path) -> None:
    schema = {"properties": {"seed": {}, "size": {"enum": ["s", "m"]}}, "required": ["size"]}
    found = sample_inputs("text_to_texture", schema, tmp_path)
    assert found == {
        "mesh_path": str(tmp_path / "dumbbell.glb"),
        "text_prompt": "a red chair with four legs",
        "size": "s",
        "seed": 7,
    }
    assert sample_inputs("image_to_mesh", None, tmp_path, {"image_paths": ["/a.png"]}) == {"image_paths": ["/a.png"]}
    assert sample_inputs("text_to_mesh", schema, tmp_path, {"seed": None, "size": "m"}).keys() == {
        "text_prompt",
        "size",
    }
    spoiled = spoiled_inputs("image_to_mesh", None, {"image_paths": ["/a.png"], "seed": 1})
    assert spoiled == ({"seed": 1}, "without image_path and image_paths")
    assert spoiled_inputs("my_own", {"required": ["size"]}, {"size": "s"}) == ({}, "without size")
    assert spoiled_inputs("echo", None, {"a": 1}) is None


@pytest.mark.torch
def test_the_sample_files_are_what_they_say(tmp_path: Path) -> None:
    import trimesh
    from PIL import Image

    from pocket3d.adapters.splat.files import read_gaussians

    mesh: Any = trimesh.load(write_sample_mesh(tmp_path / "a.glb"), force="mesh")
    assert (len(mesh.vertices), len(mesh.faces), mesh.body_count) == (1506, 3008, 1)
    assert mesh.is_watertight and mesh.volume > 0
    assert mesh.extents[0] == pytest.approx(2.0)
    ball = read_gaussians(write_sample_splat(tmp_path / "a.ply"))
    assert ball.statistics()["gaussians"] == ball.statistics()["visible"] == 500
    with Image.open(write_sample_image(tmp_path / "a.png")) as image:
        assert (image.size, image.mode) == ((256, 256), "RGB")
        assert image.getpixel((100, 100)) != image.getpixel((5, 5))


@pytest.fixture(params=["text_to_mesh", "image_to_splat", "mesh_segmentation", "my_feature"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    for name, text in skeleton_files("my-model.2", request.param).items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield tmp_path / "package"


def test_a_new_package_passes_its_own_test(package: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore::pytest.PytestDeprecationWarning",
        ],
        cwd=package,
        env={"PYTHONPATH": worker_path(), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    points = (package / "pyproject.toml").read_text()
    assert '[project.entry-points."pocket3d.adapters"]\n"my-model.2" = "my_model_2.adapter:MyModel2Adapter"' in points


@pytest.mark.parametrize(("name", "feature"), [("My Model", "f"), ("2fast", "f"), ("", "f"), ("ok", "Bad Feature")])
def test_a_name_of_which_no_package_can_be_made_is_refused(name: str, feature: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        skeleton_files(name, feature)
