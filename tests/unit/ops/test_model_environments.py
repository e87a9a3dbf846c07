"""The steps of a model's environment, as values: their order, what is done, what a change repeats, what is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Checkout, Extension, File, Part, Recipe, SystemLibrary, Weights
from pocket3d.ops.installer.compute_capability import Card
from pocket3d.ops.installer.environments import (
    BY_DEFAULT,
    Choice,
    Facts,
    chosen,
    chosen_parts,
    entry,
    modules_of,
    plan,
    steps,
)
from pocket3d.ops.installer.locks import Lock
from pocket3d.ops.installer.needs import license_need, needs
from pocket3d.ops.installer.steps import CheckImports, CloneCode, FetchFile, FetchWeights, MakeVenv, PipInstall
from pocket3d.ops.installer.toolkits import Build, Toolkit

FOLDER = Path("/models/cat")
RECIPE = Recipe(
    name="cat",
    python=("3.11", "3.10"),
    torch=("torch==2.6.0", "torchvision==0.21.0", "--index-url https://example.org/cu124"),
    cuda="12.4",
    requirements=("numpy<2", "-r {root}/Cat/requirements.txt"),
    compiled=("torch-scatter", "{root}/Cat/kernels"),
    checkouts=(Checkout(url="https://example.org/cat", revision="abc123", folder="Cat", submodules=True),),
    weights=(
        Weights(repository="me/cat", folder="weights/cat", files=("a.ckpt",), size_mb=400),
        Weights(repository="me/tail", folder="weights/tail"),
    ),
    path=("{root}/Cat", "/opt/shared"),
    env={"CAT_HOME": "{root}/weights"},
    config={"cat_root": "{root}/Cat", "options": {"files": ["{root}/a"]}, "size": 3},
    notes=("Feed the cat.",),
)
ORDER = [
    "environment",
    "code Cat",
    "worker packages",
    "torch",
    "packages",
    "compiled packages",
    "weights me/cat",
    "weights me/tail",
]


CUDA = Toolkit("/usr/local/cuda-12.4", "12.4")
RTX_4090 = Card("NVIDIA GeForce RTX 4090", "8.9", "550.54.14")
GL = SystemLibrary(soname="libGL.so.1", package="libgl1", used_by="pymeshlab")
#: As a machine with that GPU compiles.
HERE = Choice(build=Build(home=CUDA.home, architectures=("8.9",)))


def facts(**more: Any) -> Facts:
    known = Facts(
        "/usr/bin/python3.11",
        "3.11",
        git=True,
        compiler=True,
        free_mb=10_000,
        gcc="13.3.0",
        toolkits=(CUDA,),
        cards=(RTX_4090,),
    )
    return known._replace(**more)


def all_done(recipe: Recipe = RECIPE, choice: Choice = BY_DEFAULT) -> Facts:
    planned = plan(recipe, FOLDER, facts(), choice)
    return facts(stamps={each.name: each.key for each in planned}, present=frozenset(each.name for each in planned))


def undone(recipe: Recipe, known: Facts, choice: Choice = BY_DEFAULT) -> list[str]:
    return [each.name for each in plan(recipe, FOLDER, known, choice) if not each.done]


def told(known: Facts, recipe: Recipe = RECIPE, choice: Choice = HERE, *, elsewhere: bool = False) -> dict[bool, str]:
    """What stops everything, and what is only told, each as one text."""
    found = needs(recipe, plan(recipe, FOLDER, known, choice), known, choice, elsewhere=elsewhere)
    return {blocking: "\n".join(each.text for each in found if each.blocking is blocking) for blocking in (True, False)}


def test_the_steps_and_what_each_calls() -> None:
    found = steps(RECIPE, FOLDER, "/usr/bin/python3.11")
    assert list(found) == ORDER
    assert found["environment"] == MakeVenv(python="/usr/bin/python3.11", folder="/models/cat/venv")
    torch, packages, compiled = found["torch"], found["packages"], found["compiled packages"]
    assert isinstance(torch, PipInstall) and isinstance(packages, PipInstall) and isinstance(compiled, PipInstall)
    # Together, so that one does not bring another torch; options are split, requirements are not.
    assert torch.arguments() == ["torch==2.6.0", "torchvision==0.21.0", "--index-url", "https://example.org/cu124"]
    assert torch.pins and not packages.pins
    assert packages.arguments() == ["numpy<2", "-r", "/models/cat/Cat/requirements.txt"]
    assert compiled.arguments() == ["--no-build-isolation", "torch-scatter", "/models/cat/Cat/kernels"]
    assert "huggingface_hub" in found["worker packages"].says() and "ninja" in found["worker packages"].says()
    assert isinstance(found["code Cat"], CloneCode)
    assert found["code Cat"].says() == (
        "git clone https://example.org/cat at abc123 with submodules into /models/cat/Cat"
    )
    assert isinstance(found["weights me/cat"], FetchWeights)
    assert "me/cat (a.ckpt), 400 MB into /models/cat/weights/cat" in found["weights me/cat"].says()
    assert "size not stated" in found["weights me/tail"].says()


def test_what_a_recipe_does_not_have_is_no_step() -> None:
    found = steps(Recipe(name="small", torch=()), FOLDER, "python")
    assert list(found) == ["environment", "worker packages"]
    assert found["worker packages"].says() == "pip install 'msgspec>=0.19,<1' 'structlog>=24.1'"


def test_a_repository_may_be_named_twice() -> None:
    twice = Recipe(
        name="x", weights=(Weights(repository="me/a", folder="one"), Weights(repository="me/a", folder="two"))
    )
    assert list(steps(twice, FOLDER, "python"))[-2:] == ["weights me/a", "weights me/a in two"]


def test_what_is_done_stays_done() -> None:
    assert undone(RECIPE, facts()) == ORDER
    assert undone(RECIPE, all_done()) == []


def test_it_goes_on_where_it_stopped() -> None:
    known = all_done()
    kept = {name: key for name, key in known.stamps.items() if name in ORDER[:4]}
    assert undone(RECIPE, known._replace(stamps=kept)) == ORDER[4:]


def test_a_change_repeats_what_it_touches_and_nothing_else() -> None:
    known = all_done()
    numpy = msgspec.structs.replace(RECIPE, requirements=("numpy<3", "-r {root}/Cat/requirements.txt"))
    assert undone(numpy, known) == ["packages", "compiled packages"]
    moved = msgspec.structs.replace(
        RECIPE, checkouts=(msgspec.structs.replace(RECIPE.checkouts[0], revision="def456"),)
    )
    # Its requirements file and its kernels may have changed with it, and what was installed after them.
    assert undone(moved, known) == ["code Cat", "packages", "compiled packages"]
    weights = msgspec.structs.replace(
        RECIPE, weights=(RECIPE.weights[0], Weights(repository="me/tail", folder="weights/tail", revision="v2"))
    )
    assert undone(weights, known) == ["weights me/tail"]
    other = known._replace(python="/usr/bin/python3.10", python_version="3.10")
    assert undone(RECIPE, other) == [name for name in ORDER if not name.startswith(("code", "weights"))]


@pytest.mark.parametrize("lost", ["environment", "code Cat", "weights me/cat"])
def test_what_somebody_removed_is_made_again(lost: str) -> None:
    known = all_done()
    again = undone(RECIPE, known._replace(present=known.present - {lost}))
    assert again[0] == lost
    assert again == (
        [name for name in ORDER if "code" not in name and "weights" not in name] if "env" in lost else [lost]
    )


def test_what_is_needed_of_the_person() -> None:
    bare = facts(python=None, python_version=None, git=False, compiler=False, toolkits=(), cards=(), free_mb=100)
    found = needs(RECIPE, plan(RECIPE, FOLDER, bare), bare)
    said = told(bare, choice=Choice())
    for says in (
        "Python 3.11 or 3.10",
        "git is not on PATH",
        "no C++ compiler",
        "400 MB of weights and 1 of a size",
        "there is no nvcc",
        "--cuda-arch 8.9",
    ):
        assert says in said[True], says
    assert "Feed the cat." in said[False]
    # What stops everything is told first.
    assert [need.blocking for need in found] == sorted((need.blocking for need in found), reverse=True)


def test_what_is_there_or_done_is_not_asked_for() -> None:
    assert told(facts())[True] == ""
    done = all_done(choice=HERE)._replace(git=False, compiler=False, toolkits=(), free_mb=0)
    assert told(done) == {True: "", False: "Feed the cat."}
    strange = facts(python="/opt/python3.13", python_version="3.13")
    assert "is Python 3.13" in told(strange)[False] and told(strange)[True] == ""


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ({"toolkits": ()}, "there is no nvcc, and torch is built for CUDA 12.4"),
        ({"toolkits": (Toolkit("/usr/local/cuda", "13.0"),)}, "another major version (13.0 in /usr/local/cuda)"),
        ({"headers": False}, "has no Python.h, which compiling wants: apt install python3.11-dev"),
        ({"gcc": "14.2.0"}, "takes gcc 13 at most, and this is 14.2.0: apt install g++-13"),
    ],
)
def test_what_compiling_lacks_stops_everything_before_it_begins(lacks: dict[str, Any], says: str) -> None:
    assert says in told(facts(**lacks))[True]
    # Where nothing is compiled nobody asks.
    plain = msgspec.structs.replace(RECIPE, compiled=())
    assert says not in told(facts(**lacks), plain)[True]


def test_a_toolkit_of_the_same_major_version_is_taken_with_a_word() -> None:
    older = facts(toolkits=(Toolkit("/usr/local/cuda-13.0", "13.0"), Toolkit("/usr/local/cuda-12.6", "12.6")))
    assert "compiled with nvcc 12.6 of /usr/local/cuda-12.6; torch is built for CUDA 12.4" in told(older)[False]
    assert told(older)[True] == ""


def test_compiling_is_told_for_which_gpus_and_that_it_is_for_cuda() -> None:
    compiled = steps(RECIPE, FOLDER, "python", HERE)["compiled packages"]
    assert isinstance(compiled, PipInstall)
    # Without the first, torch-scatter becomes the CPU's where no GPU is seen.
    assert compiled.env == {"FORCE_CUDA": "1", "CUDA_HOME": CUDA.home, "TORCH_CUDA_ARCH_LIST": "8.9"}
    assert "TORCH_CUDA_ARCH_LIST=8.9 pip install --no-build-isolation" in compiled.says()
    # Another GPU is another build.
    other = Choice(build=Build(home=CUDA.home, architectures=("8.6",)))
    assert undone(RECIPE, all_done(choice=HERE), other) == ["compiled packages"]


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (Card("NVIDIA GeForce RTX 5090", "12.0", "570.86"), "compute capability 12.0, and torch 2.6.0 for CUDA 12.4"),
        (Card("Tesla K80", "3.7", "470.256"), "has driver 470.256; CUDA 12.4 wants 525 or later"),
        (Card("Tesla V100", "7.0", "550.54"), "the recipe's kernels want 8.0 or later"),
    ],
)
def test_a_gpu_that_cannot_run_it_is_told_before_anything_is_downloaded(card: Card, says: str) -> None:
    ampere = msgspec.structs.replace(RECIPE, least_capability="8.0")
    assert says in told(facts(cards=(card,)), ampere)[True]
    # Beside one that can it is only told; and an environment for another machine asks nothing of this one's.
    both = told(facts(cards=(card, RTX_4090)), ampere)
    assert says in both[False] and both[True] == ""
    assert says not in told(facts(cards=(card,)), ampere, elsewhere=True)[True]


def test_a_missing_system_library_is_told_with_its_package() -> None:
    headless = msgspec.structs.replace(RECIPE, libraries=(GL,))
    said = told(facts(lost_libraries=frozenset({"libGL.so.1"})), headless)
    assert "pymeshlab needs libGL.so.1, which is not here: apt install libgl1" in said[False]
    assert "libGL" not in told(facts(), headless)[False]


TEXTURE = Part(
    name="texture",
    default=False,
    needed_by=("cat-paint",),
    requirements=("paint==1.0",),
    compiled=("{root}/Cat/brush",),
    extensions=(Extension(source="Cat/inpaint.cpp"),),
    weights=(Weights(repository="me/cat", folder="weights/cat", files=("paint.ckpt",), size_mb=900, estimated=True),),
    files=(File(url="https://example.org/upscaler.pth", path="Cat/upscaler.pth", size_mb=67),),
    modules=("torch", "brush"),
    config={"paint_path": "{root}/weights"},
    without={"texture": False},
    notes=("Mind the paint.",),
)
PARTED = msgspec.structs.replace(RECIPE, compiled=(), modules=("torch", "cat"), parts=(TEXTURE,))
ALL = HERE._replace(parts=("texture",))


def test_a_part_comes_after_all_else_and_keeps_what_is_there() -> None:
    found = steps(PARTED, FOLDER, "/usr/bin/python3.11", ALL)
    assert list(found)[list(found).index("weights me/tail") + 1 :] == [
        "imports",
        "packages (texture)",
        "compiled packages (texture)",
        "module inpaint (texture)",
        "weights me/cat (texture)",
        "file upscaler.pth (texture)",
        "imports (texture)",
    ]
    packages, painting, base = found["packages (texture)"], found["compiled packages (texture)"], found["packages"]
    assert isinstance(packages, PipInstall) and isinstance(painting, PipInstall) and isinstance(base, PipInstall)
    assert packages.part and painting.part and base.pins == "all"
    check, file = found["imports (texture)"], found["file upscaler.pth (texture)"]
    assert isinstance(check, CheckImports) and check.cuda == "12.4" and check.env["HF_HUB_OFFLINE"] == "1"
    assert isinstance(file, FetchFile)
    assert file.says() == "https://example.org/upscaler.pth, 67 MB to /models/cat/Cat/upscaler.pth"
    assert ", about 900 MB into" in found["weights me/cat (texture)"].says()
    assert not [name for name in steps(PARTED, FOLDER, "python") if "texture" in name]


def test_a_part_that_changes_repeats_nothing_of_the_rest_and_the_rest_repeats_it() -> None:
    done = all_done(PARTED, ALL)
    imports = ["imports", "imports (texture)"]
    # What the loader says is asked each time.
    assert undone(PARTED, done, ALL) == imports
    brush = msgspec.structs.replace(TEXTURE, compiled=("{root}/Cat/brush", "glaze"))
    changed = msgspec.structs.replace(PARTED, parts=(brush,))
    assert undone(changed, done, ALL) == [
        "imports",
        "compiled packages (texture)",
        "module inpaint (texture)",
        imports[1],
    ]
    newer = msgspec.structs.replace(PARTED, requirements=("numpy<3",))
    again = ["packages", "imports", "packages (texture)", "compiled packages (texture)", "module inpaint (texture)"]
    assert undone(newer, done, ALL) == [*again, "imports (texture)"]


def test_what_a_part_lacks_is_told_of_the_part() -> None:
    bare = facts(toolkits=())
    found = needs(PARTED, plan(PARTED, FOLDER, bare, ALL), bare, ALL)
    assert {need.part for need in found if need.blocking} == {"texture"}
    assert "texture: Mind the paint." in [need.text for need in found]
    without = HERE._replace(parts=())
    assert not [need for need in needs(PARTED, plan(PARTED, FOLDER, bare, without), bare, without) if need.blocking]


def test_parts_are_chosen_by_default_by_adapters_and_by_the_person() -> None:
    assert chosen_parts(PARTED, ["cat-draw"], [], []) == ()
    assert chosen_parts(PARTED, ["cat-draw"], ["texture"], []) == ("texture",)
    assert chosen_parts(PARTED, ["cat-draw", "cat-paint"], [], []) == ("texture",)
    usual = msgspec.structs.replace(PARTED, parts=(msgspec.structs.replace(TEXTURE, default=True),))
    assert chosen_parts(usual, ["cat-draw"], [], []) == ("texture",)
    assert chosen_parts(usual, ["cat-draw"], [], ["texture"]) == ()
    with pytest.raises(ValueError, match="cat-paint cannot do without texture"):
        chosen_parts(PARTED, ["cat-paint"], [], ["texture"])
    with pytest.raises(ValueError, match="no part sound; its parts: texture"):
        chosen_parts(PARTED, [], ["sound"], [])


def test_the_entry_says_what_is_installed() -> None:
    assert entry(PARTED, FOLDER, accepted=False, parts=["texture"])["config"]["paint_path"] == "/models/cat/weights"
    assert entry(PARTED, FOLDER, accepted=False, parts=[])["config"]["texture"] is False


def test_the_disk_must_hold_weights_and_packages() -> None:
    lock = Lock(recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={}, download_mb=3_000)
    small = told(facts(free_mb=2_000), choice=HERE._replace(lock=lock))
    assert "400 MB of weights and 1 of a size not stated, 3000 MB of packages; 2000 MB are free" in small[True]
    assert "the lock of 2026-11-28 for Python 3.11" in small[False] and "--fresh" in small[False]


def test_another_lock_is_another_environment() -> None:
    lock = Lock(recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={"numpy": "1.26.4"})
    known = all_done(choice=Choice(lock=lock))
    assert undone(RECIPE, known, Choice(lock=lock)) == []
    newer = msgspec.structs.replace(lock, packages={"numpy": "1.26.5"})
    assert undone(RECIPE, known, Choice(lock=newer)) == [
        name for name in ORDER if not name.startswith(("code", "weights"))
    ]


def test_weights_that_a_folder_lacks_stop_everything() -> None:
    lacking = facts(not_in_folder={"weights me/tail": "/mnt/usb has no me/tail"})
    assert "--weights-from: /mnt/usb has no me/tail" in told(lacking)[True]


def test_an_explicit_yes_is_needed_only_where_the_licence_asks_for_it() -> None:
    terms = {"code": "NC", "requires_acceptance": True, "url": "https://example.org/terms"}
    asked = license_need(terms, False)
    assert asked is not None and asked.blocking and "https://example.org/terms" in asked.text
    assert license_need(terms, True) is None
    assert license_need({**terms, "requires_acceptance": False}, False) is None
    assert license_need(None, False) is None


def test_the_entry_names_the_environment_and_has_no_class() -> None:
    assert entry(RECIPE, FOLDER, accepted=True) == {
        "python": "/models/cat/venv/bin/python",
        "path": ["/models/cat/Cat", "/opt/shared"],
        "env": {**OWN, "CAT_HOME": "/models/cat/weights"},
        "config": {"cat_root": "/models/cat/Cat", "options": {"files": ["/models/cat/a"]}, "size": 3},
        "accept_license": True,
    }
    assert entry(Recipe(name="x"), FOLDER, accepted=False) == {"python": "/models/cat/venv/bin/python", "env": OWN}
    online = Recipe(name="x", env={"HF_HUB_OFFLINE": "0"})
    assert entry(online, FOLDER, accepted=False)["env"]["HF_HUB_OFFLINE"] == "0"


#: Jobs fetch nothing, and what diffusers copies and torch compiles is not shared with another environment.
OWN = {
    "HF_HUB_OFFLINE": "1",
    "HF_MODULES_CACHE": "/models/cat/hf-modules",
    "TORCH_EXTENSIONS_DIR": "/models/cat/torch-extensions",
}


def test_what_must_import_follows_the_configuration() -> None:
    art = msgspec.structs.replace(TEXTURE, module_path=("{root}/Cat/art",), libraries=(GL,))
    recipe = msgspec.structs.replace(PARTED, parts=(art,), module_path=("{root}/Cat",))
    draw = modules_of(recipe, "cat-draw", {"cat_root": "/mnt/Cat"})
    assert draw == (("torch", "cat"), ("/mnt/Cat",), {})
    paint = modules_of(recipe, "cat-paint", {"cat_root": "/mnt/Cat"})
    assert paint == (("torch", "cat", "brush"), ("/mnt/Cat", "/mnt/Cat/art"), {"libGL.so.1": "libgl1"})
    # Where upstream is an installed package there is no checkout.
    assert modules_of(recipe, "cat-draw", {}).path == ()
    usual = msgspec.structs.replace(PARTED, parts=(msgspec.structs.replace(art, default=True),))
    assert "brush" in modules_of(usual, "cat-draw", {}).modules
    assert "brush" not in modules_of(usual, "cat-draw", {"texture": False}).modules


def test_an_id_or_the_name_of_an_environment_is_meant() -> None:
    entries = [
        BuiltinAdapter("cat-paint", "m.C", "f", recipe="m.recipe"),
        BuiltinAdapter("cat-draw", "m.D", "f", recipe="m.recipe"),
        BuiltinAdapter("dog", "n.D", "f", recipe="n.recipe"),
    ]
    recipes = {"m.recipe": RECIPE, "n.recipe": Recipe(name="dogs")}
    assert [each.adapter_id for each in chosen("cat", entries, recipes)] == ["cat-paint", "cat-draw"]
    assert [each.adapter_id for each in chosen("cat-draw", entries, recipes)] == ["cat-draw"]
    assert chosen("mouse", entries, recipes) == []
