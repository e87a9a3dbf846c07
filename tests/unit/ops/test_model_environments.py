"""The steps of a model's environment, as values: their order, what is done, what a change repeats, what is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.recipe import Checkout, Recipe, Weights
from pocket3d.ops.installer.environments import (
    CloneCode,
    Facts,
    FetchWeights,
    MakeVenv,
    PipInstall,
    chosen,
    entry,
    license_need,
    needs,
    plan,
    steps,
)

FOLDER = Path("/models/cat")
RECIPE = Recipe(
    name="cat",
    python=("3.11", "3.10"),
    torch=("torch==2.6.0", "torchvision==0.21.0", "--index-url https://example.org/cu124"),
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


def facts(**more: Any) -> Facts:
    known = Facts("/usr/bin/python3.11", "3.11", git=True, compiler=True, nvcc=True, free_mb=10_000)
    return known._replace(**more)


def all_done(recipe: Recipe = RECIPE) -> Facts:
    planned = plan(recipe, FOLDER, facts())
    return facts(stamps={each.name: each.key for each in planned}, present=frozenset(each.name for each in planned))


def undone(recipe: Recipe, known: Facts) -> list[str]:
    return [each.name for each in plan(recipe, FOLDER, known) if not each.done]


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
    bare = facts(python=None, python_version=None, git=False, compiler=False, nvcc=False, free_mb=100)
    found = needs(RECIPE, plan(RECIPE, FOLDER, bare), bare)
    blocking = [need.text for need in found if need.blocking]
    for says in ("Python 3.11 or 3.10", "git is not on PATH", "no C++ compiler", "400 MB of weights and 1 of a size"):
        assert [text for text in blocking if says in text], (says, blocking)
    notes = [need.text for need in found if not need.blocking]
    for says in ("there is no nvcc", "Feed the cat."):
        assert [text for text in notes if says in text], (says, notes)
    # What stops everything is told first.
    assert [need.blocking for need in found] == sorted((need.blocking for need in found), reverse=True)


def test_what_is_there_or_done_is_not_asked_for() -> None:
    good = facts()
    assert not [need for need in needs(RECIPE, plan(RECIPE, FOLDER, good), good) if need.blocking]
    done = all_done()._replace(git=False, compiler=False, nvcc=False, free_mb=0)
    assert [need.text for need in needs(RECIPE, plan(RECIPE, FOLDER, done), done)] == ["Feed the cat."]
    strange = facts(python="/opt/python3.13", python_version="3.13")
    told = [need for need in needs(RECIPE, plan(RECIPE, FOLDER, strange), strange) if "is Python 3.13" in need.text]
    assert len(told) == 1 and not told[0].blocking


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
        "env": {"CAT_HOME": "/models/cat/weights"},
        "config": {"cat_root": "/models/cat/Cat", "options": {"files": ["/models/cat/a"]}, "size": 3},
        "accept_license": True,
    }
    assert entry(Recipe(name="x"), FOLDER, accepted=False) == {"python": "/models/cat/venv/bin/python"}


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
