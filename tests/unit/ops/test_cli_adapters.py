"""`pocket3d adapters`: what it lists, shows, writes, checks and converts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS, BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Recipe
from pocket3d.contracts.variants import Variant
from pocket3d.ops.cli import cli
from pocket3d.ops.cli.adapters import ADAPTER_COMMANDS
from pocket3d.ops.cli.output import requirement_cell

SUPPORT = Path(__file__).parents[2] / "support"


def run(*arguments: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(cli, ["adapters", *arguments])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    file = tmp_path / "models.yaml"
    entries = {
        "echo": {"config": {"vram_requirement": 99}},
        "licensed": {"class": "misbehaving.LicensedAdapter", "path": [str(SUPPORT)]},
        "weightless": {"class": "misbehaving.MissingWeightsAdapter", "path": [str(SUPPORT)]},
        "packageless": {"class": "misbehaving_import.Adapter", "path": [str(SUPPORT)]},
        "good": {"class": "checked.GoodAdapter", "path": [str(SUPPORT)], "config": {"step_s": 0}},
    }
    file.write_text(json.dumps({"adapters": entries}))
    return file


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> BuiltinAdapter:
    """A catalogue of one, not configured."""
    entry = BuiltinAdapter("big-cat", "checked_nowhere.Cat", "text_to_mesh", recipe="cats.recipe")
    monkeypatch.setattr("pocket3d.ops.installer.known_adapters.BUILTIN_ADAPTERS", (*BUILTIN_ADAPTERS[:1], entry))
    return entry


def test_every_command_has_help_and_group_options_have_their_place(models: Path) -> None:
    for name in ADAPTER_COMMANDS:
        result = run(name, "--help")
        assert result.exit_code == 0 and f"Usage: cli adapters {name}" in result.output
        assert name in run("--help").output
    misplaced = run("--json", "new", "x")
    assert misplaced.exit_code == 2 and "--json means nothing to pocket3d adapters new" in misplaced.output
    assert "Did you mean show?" in run("shwo").output


def test_options_in_front_of_a_command_count_for_it(models: Path) -> None:
    assert (
        run("--models", str(models), "--json", "list").output == run("list", "--models", str(models), "--json").output
    )
    assert "packageless" in run("--models", str(models), "show", "packageless").output


def test_the_list_tells_requirement_source_licence_and_every_reason(models: Path, recipe: BuiltinAdapter) -> None:
    found = {each["adapter_id"]: each for each in json.loads(run("--models", str(models), "--json").output)}
    echo, licensed = found["echo"], found["licensed"]
    assert (echo["available"], echo["vram_mb"], echo["source"]) == (True, 99, "models.yaml")
    assert "sleep_s" in echo["parameters"]["properties"]
    assert licensed["license"]["commercial_use"] is False and "accept_license: true" in licensed["reason"]
    assert "no weights at" in found["weightless"]["reason"]
    assert "package_that_nobody_has" in found["packageless"]["reason"]
    assert found["good"]["available"] is True
    assert (found["big-cat"]["source"], found["big-cat"]["available"]) == ("recipe", False)
    assert found["big-cat"]["reason"] == "not configured: pocket3d adapters install big-cat"
    table = run("list", POCKET3D_MODELS=str(models)).output
    assert table.startswith("ADAPTER ")
    (licensed_row,) = [line.split() for line in table.splitlines() if line.startswith("licensed ")]
    assert licensed_row[-6:] == ["no", "-", "Example-NC", "(to", "be", "accepted)"]
    assert "packageless: misbehaving_import needs the package package_that_nobody_has" in table
    assert table.endswith(
        "\n1 of them is not configured: `pocket3d adapters install ADAPTER` prepares one by its recipe\n"
    )
    assert "big-cat: not configured" not in table


def test_a_list_has_the_least_and_the_most_of_what_variants_need() -> None:
    sizes = [Variant(name=str(mb), vram_mb=mb, quality=mb) for mb in (6144, 11264, 512)]
    assert requirement_cell(512, sizes) == "512 MB to 11.0 GB"
    assert [requirement_cell(512, sizes[2:]), requirement_cell(2048, ()), requirement_cell(0, ())] == [
        "512 MB",
        "2.0 GB",
        None,
    ]


def test_what_a_file_drops_is_listed_with_that_reason(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("builtins: false\nadapters: {mine: {class: pocket3d.adapters.echo.EchoAdapter}}\n")
    found = {each["adapter_id"]: each for each in json.loads(run("list", "--models", str(file), "--json").output)}
    assert found["mine"]["available"]
    assert found["echo"]["reason"] == "not registered: models.yaml says builtins: false"
    file.write_text("adapters: {mine: {class: pocket3d.adapters.echo.EchoAdapter}}\nbuiltins: maybe\n")
    wrong = run("list", "--models", str(file))
    assert wrong.exit_code == 2 and f"{file}:2: builtins" in wrong.output


def test_the_list_can_be_of_those_for_commercial_use(models: Path, recipe: BuiltinAdapter) -> None:
    told = json.loads(run("list", "--models", str(models), "--json").output)
    sold = json.loads(run("list", "--models", str(models), "--json", "--commercial-only").output)
    assert {each["adapter_id"] for each in sold} == {each["adapter_id"] for each in told if each["commercial"] == "yes"}
    assert "echo" in {each["adapter_id"] for each in sold}
    assert "licensed" not in {each["adapter_id"] for each in sold}
    assert "licensed " not in run("--models", str(models), "--commercial-only").output
    misplaced = run("--commercial-only", "show", "echo")
    assert misplaced.exit_code == 2 and "adapters list --commercial-only" in misplaced.output


def test_show_has_the_parameters_with_type_default_range_and_description(models: Path) -> None:
    shown = run("show", "good", "--models", str(models)).output
    assert "licence of the code:    MIT" in shown and "territory:              no restriction stated" in shown
    (seed,) = [line for line in shown.splitlines() if line.startswith("seed")]
    assert seed.split() == ["seed", "integer", "0", "0..", "same", "seed,", "same", "mesh"]
    assert "further keys" not in shown
    assert "no: its licence must be accepted" in run("show", "licensed", "--models", str(models)).output
    unknown = run("show", "ecoh")
    assert unknown.exit_code == 2 and "did you mean echo?" in unknown.output


def test_new_writes_a_package_once_and_check_passes_it(tmp_path: Path) -> None:
    written = run("new", "my-cat", "--feature", "auto_rig", "--dir", str(tmp_path))
    assert written.exit_code == 0 and (tmp_path / "my-cat" / "src" / "my_cat" / "adapter.py").is_file()
    again = run("new", "my-cat", "--dir", str(tmp_path))
    assert again.exit_code == 1 and "nothing was written" in again.output
    assert "AutoRigModel" in (tmp_path / "my-cat" / "src" / "my_cat" / "adapter.py").read_text()
    assert run("new", "My Cat", "--dir", str(tmp_path)).exit_code == 2
    checked = run("check", "my_cat.adapter:MyCatAdapter", "--path", str(tmp_path / "my-cat" / "src"))
    assert checked.exit_code == 0, checked.output
    assert checked.output.startswith("my_cat.adapter:MyCatAdapter:\n") and "ok       invalid input" in checked.output
    assert "name the folder that has it" in run("check", "my_cat.adapter:MyCatAdapter", "--path", str(tmp_path)).output
    unknown = run("check", "my-cat")
    assert unknown.exit_code == 2 and "adapters check my_cat.adapter:CLASS --path FOLDER`" in unknown.output


def test_check_takes_an_id_of_a_file_and_inputs(models: Path, tmp_path: Path) -> None:
    checked = run("check", "good", "--models", str(models), "--input", "seed=3", "--json")
    assert checked.exit_code == 0, checked.output
    report = json.loads(checked.output)
    assert (report["adapter_id"], report["ok"]) == ("good", True)
    assert any("seed=3" in each["text"] for each in report["checks"] if each["name"] == "process")
    failed = run("check", "weightless", "--models", str(models))
    assert failed.exit_code == 1 and "no weights at" in failed.output
    assert run("check", "nobody").exit_code == 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert run("check", "echo", "--work-dir", str(tmp_path / "full")).exit_code == 2


def test_check_finds_a_module_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "beside_this_file.py").write_text((SUPPORT / "checked.py").read_text())
    file = tmp_path / "models.yaml"
    entry = {"class": "beside_this_file.GoodAdapter", "config": {"step_s": 0}}
    file.write_text(json.dumps({"adapters": {"mine": entry}}))
    checked = run("check", "mine", "--models", str(file))
    assert checked.exit_code == 0, checked.output


def test_check_imports_what_the_recipe_names(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Recipe(name="good", torch=("torch==2.6.0",), modules=("json", "misbehaving_import"))
    module = ModuleType("good_recipe")
    module.RECIPE = known  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "good_recipe", module)
    entry = BuiltinAdapter("good", "checked.GoodAdapter", "text_to_mesh", recipe="good_recipe")
    monkeypatch.setattr("pocket3d.ops.installer.known_adapters.BUILTIN_ADAPTERS", (*BUILTIN_ADAPTERS[:1], entry))
    checked = run("check", "good", "--models", str(models), "--json")
    assert checked.exit_code == 1, checked.output
    (found,) = [each for each in json.loads(checked.output)["checks"] if each["name"] == "imports"]
    assert found["level"] == "failed" and "package_that_nobody_has" in found["text"]
    assert found["advice"] == "mend the environment: pocket3d adapters install good"
    module.RECIPE = msgspec.structs.replace(known, modules=("json",))  # type: ignore[attr-defined]
    good = run("check", "good", "--models", str(models))
    assert good.exit_code == 0 and "1 modules import in" in good.output


def test_what_is_not_configured_cannot_be_checked(recipe: BuiltinAdapter) -> None:
    refused = run("check", "big-cat")
    assert refused.exit_code == 1 and "pocket3d adapters install big-cat" in refused.output


def test_the_parents_file_is_converted(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    old = {"image_to_raw_mesh": {"hunyuan3d_2_0_image_to_raw_mesh": {"vram_requirement": 5120, "model_path": "h"}}}
    file.write_text(yaml.safe_dump(old))
    printed = run("convert", str(file))
    # In the file, or in a note on what was left out.
    assert printed.exit_code == 0 and "hunyuan3d_2_0_image_to_raw_mesh" in printed.output
    target = tmp_path / "new.yaml"
    assert run("convert", str(file), "-o", str(target)).exit_code == 0
    assert "adapters" in yaml.safe_load(target.read_text())
    assert "nothing was written" in run("convert", str(file), "-o", str(target)).output
    file.write_text("- a\n")
    wrong = run("convert", str(file))
    assert wrong.exit_code == 2 and str(file) in wrong.output


def test_what_asks_for_a_yes_is_not_installed_without_it(tmp_path: Path) -> None:
    words = ("install", "partfield-segmentation", "--root", str(tmp_path), "--models", str(tmp_path / "models.yaml"))
    refused = run(*words)
    assert refused.exit_code == 1
    assert "commercial use:         no" in refused.output
    assert "NEEDED: its licence must be accepted" in refused.output and "--accept-license" in refused.output
    shown = run(*words, "--dry-run", "--accept-license")
    assert shown.exit_code == 0 and "must be accepted: read" not in shown.output
    assert "https://github.com/nv-tlabs/PartField" in shown.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", sorted({each.recipe for each in BUILTIN_ADAPTERS if each.recipe}))
def test_a_plan_has_no_unknown_size_and_ends_with_imports(tmp_path: Path, recipe: str) -> None:
    name = next(each.adapter_id for each in BUILTIN_ADAPTERS if each.recipe == recipe)
    words = ("--root", str(tmp_path), "--models", str(tmp_path / "models.yaml"), "--cuda-arch", "8.9", "--dry-run")
    shown = run("install", name, *words)
    assert shown.exit_code == 0, shown.output
    assert "not stated" not in shown.output.replace("licence: not stated", "")
    steps = [line for line in shown.output.splitlines() if re.match(r"\d+\. ", line)]
    assert any(re.match(r"\d+\. imports.*: import ", line) for line in steps)
