"""Adapters of installed packages: read from metadata, never imported, each problem told in its place."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.entry_points import GROUP, installed_adapters
from pocket3d.adapters.catalogue.models_yaml import builtin_models, load_models_yaml
from pocket3d.adapters.registry import AdapterRegistry, register_all_adapters
from pocket3d.adapters.runtime.describe import describe_all


def install(site: Path, package: str, points: dict[str, str]) -> None:
    """What pip leaves of a package that has these entry points."""
    info = site / f"{package}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_packages_adapter_is_registered_and_its_module_is_not_imported(site: Path) -> None:
    install(site, "cats", {"cat-maker": "cats_never_imported.adapter:CatAdapter [gpu]"})
    (site / "cats_never_imported").mkdir()
    (site / "cats_never_imported" / "adapter.py").write_text("raise SystemExit('imported')")
    (found,) = installed_adapters()
    assert (found.adapter_id, found.package, found.problem) == ("cat-maker", "cats 1.5", None)
    spec = builtin_models().adapters[-1].spec
    assert (spec.adapter_id, spec.class_path) == ("cat-maker", "cats_never_imported.adapter.CatAdapter")
    registry = AdapterRegistry()
    register_all_adapters(registry)
    assert registry.spec("cat-maker").class_path == "cats_never_imported.adapter.CatAdapter"
    assert not [name for name in sys.modules if name.startswith("cats_never_imported")]


@pytest.mark.parametrize("value", ["no_such_module_here:Cat", "json:NoSuchClass", "json", "json:JSONDecoder"])
def test_a_broken_entry_point_is_that_adapters_reason(site: Path, value: str) -> None:
    install(site, "cats", {"cat-maker": value})
    described = describe_all([each.spec for each in builtin_models().adapters if each.spec.adapter_id != "echo"])
    broken = [each for each in described if not each.available and each.adapter_id == "cat-maker"]
    assert len(broken) == 1 and broken[0].reason
    assert value.partition(":")[0] in broken[0].reason


def test_ids_that_cannot_be_had_are_told_and_not_registered(site: Path) -> None:
    install(site, "a-dogs", {"dog": "a_dogs:Dog", "Big Dog": "a_dogs:Big", "echo": "a_dogs:Echo"})
    install(site, "b-dogs", {"dog": "b_dogs:Dog"})
    problems = {(each.adapter_id, each.package): each.problem for each in installed_adapters()}
    assert problems[("dog", "a-dogs 1.5")] is None
    assert "a-dogs 1.5 has an adapter of this id" in str(problems[("dog", "b-dogs 1.5")])
    assert "no adapter id" in str(problems[("Big Dog", "a-dogs 1.5")])
    assert "Pocket3DStudio itself" in str(problems[("echo", "a-dogs 1.5")])
    declared = {each.spec.adapter_id: each.spec.class_path for each in builtin_models().declared}
    assert declared["dog"] == "a_dogs.Dog" and "Big Dog" not in declared
    assert declared["echo"].startswith("pocket3d.")


def test_models_yaml_overrides_configures_and_drops_them(site: Path, tmp_path: Path) -> None:
    install(site, "cats", {"cat": "cats:Cat"})
    file = tmp_path / "models.yaml"
    file.write_text("adapters: {cat: {config: {whiskers: 3}}}\n")
    spec = {each.spec.adapter_id: each.spec for each in load_models_yaml(file).adapters}["cat"]
    assert (spec.class_path, spec.config) == ("cats.Cat", {"whiskers": 3})
    file.write_text("builtins: false\nadapters: {mine: {class: m.C}}\n")
    assert [each.spec.adapter_id for each in load_models_yaml(file).adapters] == ["mine"]


def test_an_entry_point_without_a_package_is_taken() -> None:
    point = metadata.EntryPoint(name="cat", value="cats:Cat", group=GROUP)
    (found,) = installed_adapters([point])
    assert (found.class_path, found.package) == ("cats.Cat", "an unnamed package")
