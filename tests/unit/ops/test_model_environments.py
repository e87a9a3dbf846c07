"""The steps of a model's environment, as values: their order, what is done, what a change repeats, what is needed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Recipe, Weights
from pocket3d.ops.installer.compute_capability import Card
from pocket3d.ops.installer.environments import (
    Choice,
    chosen,
    entry,
    plan,
    steps,
)
from pocket3d.ops.installer.locks import Lock
from pocket3d.ops.installer.needs import license_need, needs
from pocket3d.ops.installer.steps import CloneCode, FetchWeights, MakeVenv, PipInstall
from pocket3d.ops.installer.toolkits import Build, Toolkit
from support.cat_recipe import CUDA, FOLDER, GL, HERE, RECIPE, RTX_4090, all_done, facts, told, undone

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
    assert told(facts(cards=(card,)), ampere, elsewhere=True)[True] == ""
    blackwell = Choice(build=Build(home=CUDA.home, architectures=("12.0",)))
    said = told(facts(), ampere, blackwell, elsewhere=True)[True]
    assert "a GPU of --cuda-arch 12.0 has compute capability 12.0, and torch 2.6.0" in said


def test_a_missing_system_library_is_told_with_its_package() -> None:
    headless = msgspec.structs.replace(RECIPE, libraries=(GL,))
    said = told(facts(lost_libraries=frozenset({"libGL.so.1"})), headless)
    assert "pymeshlab needs libGL.so.1, which is not here: apt install libgl1" in said[False]
    assert "libGL" not in told(facts(), headless)[False]


def test_the_disk_must_hold_weights_and_packages() -> None:
    lock = Lock(recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={}, download_mb=3_000)
    small = told(facts(free_mb=2_000), choice=HERE._replace(lock=lock))
    assert "400 MB of weights and 1 of a size not stated, 3000 MB of packages; 2000 MB are free" in small[True]
    assert "the lock of 2026-11-28 for Python 3.11" in small[False] and "--fresh" in small[False]
    assert "no lock is used" in told(facts())[False]


@pytest.mark.parametrize(("free_mb", "enough"), [(3_399, False), (3_400, True)])
def test_space_for_just_all_of_it_is_enough(free_mb: int, enough: bool) -> None:
    lock = Lock(recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={}, download_mb=3_000)
    said = told(facts(free_mb=free_mb), choice=HERE._replace(lock=lock))
    assert f"{free_mb} MB are free there" in said[not enough]


def test_what_is_installed_already_takes_no_space_and_what_is_estimated_is_called_so() -> None:
    done = all_done(choice=HERE)
    weights = done._replace(present=done.present - {"weights me/cat"}, free_mb=400)
    assert told(weights)[False].splitlines()[0] == "disk: 400 MB of weights; 400 MB are free there"
    rough = msgspec.structs.replace(
        RECIPE, weights=(msgspec.structs.replace(RECIPE.weights[0], estimated=True), RECIPE.weights[1])
    )
    assert "disk: about 400 MB of weights and 1 of a size not stated, torch and" in told(facts(), rough)[False]


def test_a_recipe_whose_lock_could_not_be_resolved_whole_says_for_what() -> None:
    lock = Lock(
        recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={"a": "1"}, unresolved=("b", "c>2")
    )
    said = told(facts(), choice=HERE._replace(lock=lock))[False]
    assert "(1 packages)" in said and "not resolved then, for want of their index: b, c>2" in said
    assert (
        "not resolved"
        not in told(facts(), choice=HERE._replace(lock=msgspec.structs.replace(lock, unresolved=())))[False]
    )
    without_torch = msgspec.structs.replace(RECIPE, torch=())
    assert "lock" not in told(facts(), without_torch)[False], "there is nothing that was worth resolving"


def test_git_is_wanted_for_code_and_for_packages_from_a_repository_only() -> None:
    bare = facts(git=False)
    none = msgspec.structs.replace(RECIPE, checkouts=())
    assert told(bare, none)[True] == ""
    assert "git is not on PATH" in told(bare)[True]
    package = msgspec.structs.replace(none, requirements=("numpy", "cat @ git+https://example.org/cat"))
    assert "git is not on PATH" in told(bare, package)[True]


def test_a_compiler_that_torch_does_not_need_for_cuda_is_not_asked_of_cuda() -> None:
    """A recipe without CUDA compiles for the CPU: no toolkit, no architecture."""
    for_cpu = msgspec.structs.replace(RECIPE, cuda=None)
    assert told(facts(toolkits=(), cards=()), for_cpu, Choice())[True] == ""
    assert "no C++ compiler" in told(facts(compiler=False), for_cpu, Choice())[True]
    assert "python3.11-dev" in told(facts(headers=False), for_cpu, Choice())[True]


def test_a_gpu_that_an_nvcc_does_not_know_stops_everything() -> None:
    newer = Choice(build=Build(home=CUDA.home, architectures=("8.9", "12.0")))
    said = told(facts(), choice=newer)[True]
    assert "nvcc 12.4 of /usr/local/cuda-12.4 does not compile for compute capability 12.0:" in said


def test_two_gpus_of_one_kind_that_cannot_run_it_are_told_once_and_how_to_go_on() -> None:
    old = Card("Tesla V100", "7.0", "550.54")
    ampere = msgspec.structs.replace(RECIPE, least_capability="8.0")
    said = told(facts(cards=(old, old)), ampere)[True]
    assert said.count("Tesla V100") == 1
    assert said.endswith("or later; for GPUs of another machine name theirs with --cuda-arch")
    assert "--cuda-arch" not in told(facts(cards=(old, RTX_4090)), ampere)[False]
    assert "Tesla" not in "".join(told(facts(cards=(old,)), msgspec.structs.replace(ampere, cuda=None)).values())


def test_terms_without_an_address_are_asked_for_all_the_same() -> None:
    asked = license_need({"code": "NC", "requires_acceptance": True}, False)
    assert asked is not None and "read the terms above; if you may use it so" in asked.text


def test_another_lock_is_another_environment() -> None:
    lock = Lock(recipe="cat", python="3.11", machine="x86_64", date="2026-11-28", packages={"numpy": "1.26.4"})
    known = all_done(choice=Choice(lock=lock))
    assert undone(RECIPE, known, Choice(lock=lock)) == []
    for choice in (Choice(lock=lock), Choice()):
        installs = [each for each in steps(RECIPE, FOLDER, "python", choice).values() if isinstance(each, PipInstall)]
        assert {each.locked for each in installs} == {choice.lock is not None} and len(installs) == 4
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
