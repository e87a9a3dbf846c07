"""A recipe of every kind of thing, a machine that can install it, and what is told there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.adapters.catalogue.recipe import Checkout, Recipe, SystemLibrary, Weights
from pocket3d.ops.installer.compute_capability import Card
from pocket3d.ops.installer.environments import BY_DEFAULT, Choice, Facts, plan
from pocket3d.ops.installer.needs import needs
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
