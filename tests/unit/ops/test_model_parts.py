"""Parts of a recipe: what comes when, what a failure or a change costs, what is told of them, and the entry."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.adapters.catalogue.recipe import Extension, File, Part, Recipe, Weights
from pocket3d.ops.installer.environments import chosen_parts, entry, modules_of, plan, steps
from pocket3d.ops.installer.needs import needs
from pocket3d.ops.installer.steps import CheckImports, FetchFile, PipInstall
from support.cat_recipe import FOLDER, GL, HERE, RECIPE, all_done, facts, undone

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
    own_config={"brush": "fine"},
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


def test_a_compiler_is_asked_for_once_and_for_a_part_alone_only_where_nothing_else_wants_it() -> None:
    def wanted(recipe: Recipe) -> list[str | None]:
        known, choice = facts(compiler=False), HERE._replace(parts=tuple(each.name for each in recipe.parts))
        found = needs(recipe, plan(recipe, FOLDER, known, choice), known, choice)
        return [each.part for each in found if each.text.startswith("no C++ compiler")]

    compiled = msgspec.structs.replace(
        TEXTURE, compiled=("kernels",), extensions=(Extension(source="a.cpp"), Extension(source="b.cpp"))
    )
    both = (compiled, msgspec.structs.replace(compiled, name="sound"))
    assert wanted(msgspec.structs.replace(PARTED, parts=both, compiled=("torch-scatter",))) == [None]
    assert wanted(msgspec.structs.replace(PARTED, parts=both, compiled=())) == ["texture", "sound"]


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
    # What only one class takes is not given to the others that share the environment.
    for adapter_id, brush in (("cat-paint", "fine"), ("cat-draw", None)):
        told = entry(PARTED, FOLDER, accepted=False, parts=["texture"], adapter_id=adapter_id)
        assert told["config"].get("brush") == brush


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


@pytest.mark.parametrize(
    ("modules", "cuda", "said"),
    [
        (("torch", "trimesh"), "12.4", "import torch, trimesh with py, and expect torch to be built for CUDA 12.4"),
        (("torch",), None, "import torch with py"),
        (("trimesh",), "12.4", "import trimesh with py"),
    ],
)
def test_what_an_import_step_says_of_torch(modules: tuple[str, ...], cuda: str | None, said: str) -> None:
    assert CheckImports(modules=modules, python="py", cuda=cuda).says() == said
