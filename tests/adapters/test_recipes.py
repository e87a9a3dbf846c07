"""What each recipe must keep to, so that next month's environment is this month's and its packages fit each other.

Nothing is installed: these are rules over the values, and over the locks that `ops/lock_recipes.py` makes of them.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS, BuiltinAdapter
from pocket3d.adapters.catalogue.class_loading import load_class
from pocket3d.adapters.catalogue.recipe import Contents, Recipe
from pocket3d.ops.installer.compute_capability import architectures_of
from pocket3d.ops.installer.environments import entry
from pocket3d.ops.installer.locks import Lock, read_lock
from pocket3d.ops.installer.look import lock_file

RECIPES: dict[str, Recipe] = {
    each: importlib.import_module(each).RECIPE for each in sorted({a.recipe for a in BUILTIN_ADAPTERS if a.recipe})
}
#: Requirements that PyPI does not have in that version, and the index that does.
ELSEWHERE = {
    r"bpy==4\.[01]\.": "download.blender.org/pypi",
    r"torch-(scatter|cluster)==.*\+pt": "data.pyg.org/whl",
    r"kaolin==": "nvidia-kaolin",
}
#: Packages that are compiled against one torch or one CUDA: `>=` takes next month's.
COMPILED = re.compile(r"(spconv|cumm|xformers|flash-attn|torch-scatter|torch-cluster|torch-sparse|kaolin|natten|bpy)\b")
#: Packages whose wheels load libraries of the system, and one of these.
LOADS = {
    "pymeshlab": "libOpenGL.so.0",
    "open3d": "libusb-1.0.so.0",
    "vtk": "libXrender.so.1",
    "pyvista": "libXrender.so.1",
    "bpy": "libXxf86vm.so.1",
    "realesrgan": "libGL.so.1",
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


#: Those that bring a torch: a program with an HTTP endpoint needs none.
each_with_torch = pytest.mark.parametrize(
    "recipe", [recipe for recipe in RECIPES.values() if recipe.torch], ids=[n for n, r in RECIPES.items() if r.torch]
)


def contents(recipe: Recipe) -> list[Contents]:
    return [recipe, *recipe.parts]


def all_lines(recipe: Recipe) -> list[str]:
    """Everything that pip is given, in order."""
    rest = [line for each in contents(recipe) for line in (*each.requirements, *each.compiled)]
    return [*recipe.torch, *rest]


def torch_version(recipe: Recipe) -> str:
    (version,) = [each.removeprefix("torch==") for each in recipe.torch if each.startswith("torch==")]
    return version.split("+")[0]


def lock_of(recipe: Recipe) -> Lock:
    return read_lock(recipe.name, lock_file(recipe).read_text(encoding="utf-8"))


def name_of(line: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", line)
    assert found is not None, line
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@each_with_torch
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


@each_with_torch
def test_what_is_built_for_one_torch_and_cuda_fits_the_ones_of_the_recipe(recipe: Recipe) -> None:
    version = torch_version(recipe)
    assert recipe.cuda is not None
    cuda = recipe.cuda.replace(".", "")
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
    for checkout in [checkout for each in contents(recipe) for checkout in each.checkouts]:
        assert re.fullmatch(r"[0-9a-f]{40}", checkout.revision), checkout.url
    for line in all_lines(recipe):
        assert "git+" not in line or re.search(r"\.git@[0-9a-f]{40}$", line), line


@each_recipe
def test_what_is_compiled_against_torch_or_cuda_has_one_version(recipe: Recipe) -> None:
    for line in all_lines(recipe):
        if not line.startswith(("-", "{root}")) and COMPILED.match(line):
            assert re.search(r"==|@ https?://", line), line


@each_with_torch
def test_it_is_known_for_which_gpus_its_torch_is_built(recipe: Recipe) -> None:
    assert recipe.cuda is not None
    assert architectures_of(torch_version(recipe), recipe.cuda)


@each_recipe
def test_compilers_are_named_where_something_is_compiled(recipe: Recipe) -> None:
    for each in contents(recipe):
        notes = " ".join(each.notes)
        if any(line.startswith("{root}") for line in each.compiled):
            assert f"nvcc of CUDA {recipe.cuda}" in notes and "Python.h" in notes and "C++ compiler" in notes
        else:
            assert "nvcc" not in notes
        if each.extensions:
            assert "pybind11" in {name_of(line) for line in all_lines(recipe) if line[0] not in "-{"}


@each_recipe
def test_libraries_of_the_system_are_named(recipe: Recipe) -> None:
    for each in contents(recipe):
        named = {library.soname for library in each.libraries}
        lines = [line for line in (*each.requirements, *each.compiled) if line[0] not in "-{"]
        for package in {name_of(line) for line in lines} & set(LOADS):
            assert LOADS[package] in named, package
        for library in each.libraries:
            assert re.fullmatch(r"lib[\w.+-]+\.so(\.\d+)*", library.soname), library
            assert library.package and library.used_by


@each_recipe
def test_weights_have_a_revision_and_a_size(recipe: Recipe) -> None:
    for each in contents(recipe):
        for weights in each.weights:
            assert weights.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", weights.revision or ""), weights
            assert weights.size_mb is not None, weights
        for file in each.files:
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256), file


@each_recipe
def test_what_an_adapter_needs_is_imported_at_the_end(recipe: Recipe) -> None:
    """Of each part that installs packages: torch first, whose libraries the compiled ones find in its process."""
    for each in contents(recipe):
        if each.requirements or each.compiled or each.extensions:
            assert each.modules, each
            assert not recipe.torch or each.modules[0] == "torch"


@each_recipe
def test_parts_say_who_needs_them(recipe: Recipe) -> None:
    ids = {each.adapter_id for each in BUILTIN_ADAPTERS}
    for part in recipe.parts:
        assert set(part.needed_by) <= ids, part.name
        # What nobody needs and nobody gets by default is found by no one.
        assert part.default or part.needed_by, part.name


@each_with_torch
def test_the_lock_is_of_this_recipe(recipe: Recipe) -> None:
    """Made anew by `python ops/lock_recipes.py NAME` when a requirement changes."""
    lock = lock_of(recipe)
    assert lock.python == recipe.python[0]
    lost = {name_of(each) for each in lock.unresolved}
    for line in all_lines(recipe):
        if line[0] in "-{":
            continue
        name = name_of(line)
        assert name in lock.packages or name in lost, line
        pinned = re.fullmatch(r"[A-Za-z0-9._-]+==([\w.!]+)", line)
        if pinned is not None and name in lock.packages:
            assert lock.packages[name] == pinned[1], line
    assert set(lock.packages) & lost == set()
    # What the index itself says of that torch.
    (cuda,) = [v for n, v in lock.packages.items() if re.fullmatch(r"nvidia-cuda-runtime(-cu\d+)?", n)]
    assert cuda.startswith(f"{recipe.cuda}.")


def test_a_lock_is_read_as_it_is_written() -> None:
    lock = Lock(
        recipe="cat",
        python="3.10",
        machine="x86_64",
        date="2026-11-28",
        packages={"b": "2.0", "a": "1.0+cu124"},
        unresolved=("bpy==4.0.0 (download.blender.org)",),
        download_mb=12,
    )
    assert read_lock("cat", lock.text()) == lock
    assert lock.fits("3.10", "x86_64") and not lock.fits("3.11", "x86_64") and not lock.fits("3.10", "aarch64")
    with pytest.raises(ValueError, match="for which Python"):
        read_lock("cat", "a==1\n")
    with pytest.raises(ValueError, match="a line is no `name==version`"):
        read_lock("cat", lock.text() + "c>=3\n")
    silent = msgspec.structs.replace(lock, download_mb=None, unresolved=())
    assert read_lock("cat", silent.text() + "\n") == silent


@each_with_torch
def test_the_page_has_its_row(recipe: Recipe) -> None:
    """docs/models.md: parts, torch and CUDA, packages, and what the lock could not resolve."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{recipe.name}` |")]
    parts, torch, gpus, weights, packages, lost = [cell.strip() for cell in row.split("|")[2:-1]]
    lock = lock_of(recipe)
    assert parts == ", ".join(f"`{part.name}`" for part in recipe.parts)
    assert torch == f"{torch_version(recipe)}, {recipe.cuda}"
    built = architectures_of(torch_version(recipe), recipe.cuda or "")
    first, *_, last = [f"{each[3:-1]}.{each[-1]}" for each in built if each.startswith("sm_")]
    assert gpus == f"{recipe.least_capability or first} to {last}"
    assert packages == str(lock.download_mb) and lock.date in page
    assert lost == (", ".join(name_of(each) for each in lock.unresolved) or "nothing")
    for part in recipe.parts:
        size = sum(each.size_mb or 0 for each in part.weights) + sum(each.size_mb for each in part.files)
        assert size == 0 or str(size) in weights


@pytest.mark.parametrize("adapter", [a for a in BUILTIN_ADAPTERS if a.recipe], ids=lambda each: each.adapter_id)
@pytest.mark.parametrize("whole", [True, False], ids=["all parts", "no parts"])
def test_an_entry_has_only_arguments_that_its_class_takes(adapter: BuiltinAdapter, whole: bool) -> None:
    assert adapter.recipe is not None
    recipe = RECIPES[adapter.recipe]
    parts = [part.name for part in recipe.parts if whole or adapter.adapter_id in part.needed_by]
    told = entry(recipe, Path("/models/x"), accepted=True, parts=parts, adapter_id=adapter.adapter_id)
    load_class(adapter.class_path)(**told.get("config", {}))
