"""What each recipe must keep to, so that next month's environment is this month's and its packages fit each other.

Nothing is installed: these are rules over the values. `pip install --dry-run` of a recipe asks the indexes.
"""

from __future__ import annotations

import importlib
import re

import pytest

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    each: importlib.import_module(each).RECIPE for each in sorted({a.recipe for a in BUILTIN_ADAPTERS if a.recipe})
}
#: The CUDA version of the build that PyPI has of a torch version (torch's release notes).
CUDA_ON_PYPI = {"2.4.0": "121", "2.5.1": "124", "2.6.0": "124"}
#: Requirements that PyPI does not have in that version, and the index that does.
ELSEWHERE = {
    r"bpy==4\.[01]\.": "download.blender.org/pypi",
    r"torch-(scatter|cluster)==.*\+pt": "data.pyg.org/whl",
    r"kaolin==": "nvidia-kaolin",
}
#: A torch and a CUDA version in what is built for one of each.
BUILT_FOR = (
    re.compile(r"torch-(?P<torch>[\d.]+)[+_]cu(?P<cuda>\d+)"),
    re.compile(r"\+pt(?P<torch>\d+)cu(?P<cuda>\d+)"),
    re.compile(r"cu(?P<cuda>\d+)torch(?P<torch>[\d.]+)cxx"),
    re.compile(r"-cu(?P<cuda>\d+)(==|$)"),
)

each_recipe = pytest.mark.parametrize(
    "recipe", RECIPES.values(), ids=[name.removesuffix(".recipe") for name in RECIPES]
)


def all_lines(recipe: Recipe) -> list[str]:
    """Everything that pip is given, in order."""
    return [*recipe.torch, *recipe.requirements, *recipe.compiled]


def torch_version(recipe: Recipe) -> str:
    (version,) = [each.removeprefix("torch==") for each in recipe.torch if each.startswith("torch==")]
    return version


@each_recipe
def test_torch_and_torchvision_are_pinned_to_versions_that_belong_together(recipe: Recipe) -> None:
    pins = dict(each.split("==") for each in recipe.torch if not each.startswith("-"))
    assert sorted(pins) == ["torch", "torchvision"]
    major, minor, patch = pins["torch"].split("+")[0].split(".")
    # torchvision 0.(n + 15).p is built for torch 2.n.p.
    assert (major, pins["torchvision"].split("+")[0]) == ("2", f"0.{int(minor) + 15}.{patch}")


@each_recipe
def test_nothing_else_asks_for_another_torch(recipe: Recipe) -> None:
    asked = [each for each in all_lines(recipe)[len(recipe.torch) :] if re.match(r"torch(vision|audio)?\b(?!-)", each)]
    assert asked == []


@each_recipe
def test_what_is_built_for_one_torch_and_cuda_fits_the_ones_of_the_recipe(recipe: Recipe) -> None:
    version = torch_version(recipe)
    cuda = CUDA_ON_PYPI[version]
    for line in all_lines(recipe):
        for pattern in BUILT_FOR:
            for found in pattern.finditer(line):
                named = found.groupdict()
                if named.get("torch"):
                    assert version.replace(".", "").startswith(named["torch"].replace(".", "")), line
                # Within one major version of CUDA the runtime that torch brings serves all.
                assert named["cuda"][:2] == cuda[:2], line
                if "+" in line:
                    assert named["cuda"] in (cuda, cuda[:2]), line


@each_recipe
def test_what_pypi_does_not_have_comes_after_the_index_that_has_it(recipe: Recipe) -> None:
    lines = all_lines(recipe)
    for number, line in enumerate(lines):
        for pattern, index in ELSEWHERE.items():
            if re.match(pattern, line):
                options = [each for each in lines[:number] if each.startswith(("--find-links", "--extra-index-url"))]
                assert any(index in each for each in options), line
        # A local version is never on PyPI.
        assert "+" not in line.split(" @ ")[0] or line.startswith("-") or any(re.match(p, line) for p in ELSEWHERE), (
            line
        )


@each_recipe
def test_a_wheel_by_address_is_for_all_interpreters_of_the_recipe(recipe: Recipe) -> None:
    for line in all_lines(recipe):
        for tag in re.findall(r"-cp(\d)(\d+)-cp\d+-linux", line):
            assert {".".join(tag)} == set(recipe.python), line


@each_recipe
def test_code_is_fetched_at_one_commit(recipe: Recipe) -> None:
    for checkout in recipe.checkouts:
        assert re.fullmatch(r"[0-9a-f]{40}", checkout.revision), checkout.url
    for line in all_lines(recipe):
        assert "git+" not in line or re.search(r"\.git@[0-9a-f]{40}$", line), line


@each_recipe
def test_compilers_are_asked_for_where_something_is_compiled(recipe: Recipe) -> None:
    assert bool(recipe.compiled) == any("nvcc" in note for note in recipe.notes)
