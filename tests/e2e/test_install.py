"""`pocket3d adapters install` for real: a clone of a local repository, wheels from a folder, no network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result

from pocket3d.adapters.catalogue.builtin import BuiltinAdapter
from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.catalogue.recipe import Checkout, Extension, File, Part, Recipe, Weights
from pocket3d.ops.cli import cli
from pocket3d.ops.installer.known_adapters import catalogue
from support.tiny_wheels import make_wheel, worker_wheels

#: Stands in for the hub's client: the "hub" is a folder.
HUB = """
import os, pathlib, shutil

def snapshot_download(repo_id, revision, allow_patterns, local_dir):
    source = pathlib.Path(os.environ["CAT_HUB"], repo_id)
    for pattern in allow_patterns:
        for file in source.glob(pattern):
            pathlib.Path(local_dir).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, local_dir)
    return local_dir
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, str]:
    """A repository with two commits; the first is the one wanted."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "cat_upstream.py").write_text("LEGS = 4\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "four legs")
    revision = git(folder, "rev-parse", "HEAD")
    (folder / "cat_upstream.py").write_text("LEGS = 5\n")
    git(folder, "commit", "-qam", "five legs")
    return folder, revision


def install(*words: str) -> Result:
    return CliRunner().invoke(cli, ["adapters", "install", *words])


def announce(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> ModuleType:
    """Make the echo adapter, as `cat-echo`, the one that has this recipe."""
    module = ModuleType("cat_recipe")
    module.RECIPE = recipe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cat_recipe", module)
    entry = BuiltinAdapter("cat-echo", "pocket3d.adapters.echo.EchoAdapter", "echo", recipe="cat_recipe")
    for place in ("pocket3d.ops.installer.known_adapters", "pocket3d.adapters.catalogue.aliases"):
        monkeypatch.setattr(f"{place}.BUILTIN_ADAPTERS", (entry,))
    assert catalogue() == [entry]
    return module


def only_wheels_of(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)


def stamps(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "installed.json").read_bytes())
    return found


def test_it_installs_stops_goes_on_and_is_used(
    tmp_path: Path, upstream: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = worker_wheels(tmp_path / "wheels")
    make_wheel(wheels, "tinytorch", "2.0+local", {"tinytorch.py": "VERSION = 2\n"})
    make_wheel(wheels, "tinytorch", "3.0", {"tinytorch.py": "VERSION = 3\n"})
    make_wheel(wheels, "huggingface_hub", "1.0", {"huggingface_hub.py": HUB})
    (tmp_path / "hub" / "me" / "cat").mkdir(parents=True)
    (tmp_path / "hub" / "me" / "cat" / "cat.ckpt").write_text("weights")
    (tmp_path / "hub" / "me" / "cat" / "unwanted.ckpt").write_text("more weights")
    only_wheels_of(monkeypatch, wheels)
    monkeypatch.setenv("CAT_HUB", str(tmp_path / "hub"))

    recipe = Recipe(
        name="cats",
        python=("3.10", "3.11", "3.12", "3.13"),
        torch=("tinytorch<3",),
        # The second would take the newer torch if the first were not kept.
        requirements=("catlib==1.0", "tinytorch>=1"),
        checkouts=(Checkout(url=str(upstream[0]), revision=upstream[1], folder="Cat"),),
        weights=(Weights(repository="me/cat", folder="weights", files=("cat.*",), size_mb=1),),
        path=("{root}/Cat",),
        env={"CAT_ROOT": "{root}/Cat"},
        config={"vram_requirement": 77},
        notes=("Feed the cat.",),
        modules=("tinytorch", "catlib", "cat_upstream"),
    )
    module = announce(monkeypatch, recipe)
    models, folder = tmp_path / "models.yaml", tmp_path / "root" / "cats"
    models.write_text("# mine\nadapters:\n  echo:\n    class: pocket3d.adapters.echo.EchoAdapter\n# the end\n")
    # The wheels of the worker are for this very interpreter.
    where = ("--root", str(tmp_path / "root"), "--models", str(models), "--python", sys.executable)
    words = ("cat-echo", *where)

    shown = install(*words, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert f"git clone {upstream[0]} at {upstream[1]}" in shown.output and "note: Feed the cat." in shown.output
    assert not folder.exists()

    # catlib is nowhere: it stops in the middle, and says so.
    stopped = install(*words)
    assert stopped.exit_code == 1
    assert "step 5 of 7, packages: `" in stopped.output and "catlib==1.0" in stopped.output
    assert "goes on where it stopped" in stopped.output
    assert list(stamps(folder)) == ["environment", "code Cat", "worker packages", "torch"]
    assert (folder / "Cat" / "cat_upstream.py").read_text() == "LEGS = 4\n"
    assert (folder / "constraints.txt").read_text() == "tinytorch==2.0+local\n"
    assert "cat-echo" not in models.read_text()

    make_wheel(wheels, "catlib", "1.0", {"catlib.py": "WHISKERS = 3\n"})
    made = (folder / "venv" / "pyvenv.cfg").stat().st_mtime_ns
    done = install(*words)
    assert done.exit_code == 0, done.output
    assert done.output.count(": done before") == 4
    assert f"[7/7] imports: import tinytorch, catlib, cat_upstream with {folder}" in done.output
    assert (folder / "venv" / "pyvenv.cfg").stat().st_mtime_ns == made
    assert "cat-echo: available" in done.output
    assert [path.name for path in (folder / "weights").iterdir()] == ["cat.ckpt"]
    asked = [str(folder / "venv" / "bin" / "python"), "-c", "import catlib, tinytorch; print(tinytorch.VERSION)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "2\n"

    text = models.read_text()
    assert text.startswith("# mine\n") and text.endswith("# the end\n")
    assert yaml.safe_load(text)["adapters"]["cat-echo"] == {
        "python": str(folder / "venv" / "bin" / "python"),
        "path": [str(folder / "Cat")],
        "env": {
            "HF_HUB_OFFLINE": "1",
            "HF_MODULES_CACHE": str(folder / "hf-modules"),
            "TORCH_EXTENSIONS_DIR": str(folder / "torch-extensions"),
            "CAT_ROOT": str(folder / "Cat"),
        },
        "config": {"vram_requirement": 77},
    }
    configured = {each.spec.adapter_id: each for each in load_models_yaml(models).adapters}["cat-echo"]
    assert configured.spec.class_path == "pocket3d.adapters.echo.EchoAdapter"

    again = install(*words)
    assert again.exit_code == 0 and again.output.count(": done before") == 6
    assert "has cat-echo already" in again.output and models.read_text() == text

    # Whoever changed the code by hand is told by git, and nothing of theirs is lost.
    (folder / "Cat" / "cat_upstream.py").write_text("LEGS = 3\n")
    newer = Checkout(url=str(upstream[0]), revision=git(upstream[0], "rev-parse", "HEAD"), folder="Cat")
    module.RECIPE = msgspec.structs.replace(recipe, checkouts=(newer,))  # type: ignore[attr-defined]
    changed = install(*words)
    assert changed.exit_code == 1 and "would be overwritten by checkout" in changed.output
    assert (folder / "Cat" / "cat_upstream.py").read_text() == "LEGS = 3\n"


def test_a_name_without_a_recipe_is_a_usage_error() -> None:
    refused = install("no-such-model")
    assert refused.exit_code == 2
    assert "no adapter 'no-such-model' has a recipe" in refused.output


#: Stands in for pybind11: a folder of headers, and what they do for a module of C.
PYBIND = """
def get_include():
    import pathlib
    return str(pathlib.Path(__file__).parent)
"""
#: A module of C++ without pybind11's own headers.
SOURCE = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "purr", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_purr(void) { return PyModule_Create(&module); }
"""


def test_a_part_that_fails_costs_the_rest_nothing_and_weights_come_from_a_folder(
    tmp_path: Path, upstream: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = worker_wheels(tmp_path / "wheels")
    make_wheel(wheels, "tinytorch", "2.0", {"tinytorch.py": ""})
    make_wheel(wheels, "tinytorch", "3.0", {"tinytorch.py": ""})
    make_wheel(wheels, "huggingface_hub", "1.0", {"huggingface_hub.py": "raise SystemExit('nobody asks the hub')"})
    make_wheel(wheels, "pybind11", "3.0", {"pybind11.py": PYBIND})
    broken = "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    make_wheel(wheels, "drawing", "1.0", {"drawing.py": broken})
    # As a person without a network has them: the hub's cache, and single files.
    snapshot = tmp_path / "usb" / "models--me--cat" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "usb" / "blob").write_text("weights")
    (snapshot / "cat.ckpt").symlink_to(tmp_path / "usb" / "blob")
    (tmp_path / "usb" / "fur.onnx").write_text("fur")
    only_wheels_of(monkeypatch, wheels)
    (upstream[0] / "purr.cpp").write_text(SOURCE)
    git(upstream[0], "add", ".")
    git(upstream[0], "commit", "-qm", "purr")
    fur = File(
        url="https://example.org/fur.onnx",
        path="fur/fur.onnx",
        size_mb=1,
        sha256="c4a66db7c90ac6aab7b76ebde836226b4be2e7f4a4fce4cc1e5ad2d2d5fe0b4b",
    )
    colours = Part(
        name="colours",
        requirements=("drawing==1.0", "tinytorch<9"),
        modules=("tinytorch", "drawing"),
        config={"vram_requirement": 900},
        without={"vram_requirement": 88},
    )
    sound = Part(name="sound", extensions=(Extension(source="Cat/purr.cpp"),), modules=("purr",))
    recipe = Recipe(
        name="cats",
        python=("3.10", "3.11", "3.12", "3.13"),
        torch=("tinytorch==2.0",),
        requirements=("pybind11",),
        checkouts=(Checkout(url=str(upstream[0]), revision=git(upstream[0], "rev-parse", "HEAD"), folder="Cat"),),
        weights=(Weights(repository="me/cat", folder="weights", revision="abc", files=("cat.ckpt",), size_mb=1),),
        files=(fur,),
        modules=("tinytorch",),
        path=("{root}/Cat",),
        parts=(colours, sound),
    )
    module = announce(monkeypatch, recipe)
    models, folder = tmp_path / "models.yaml", tmp_path / "root" / "cats"
    words = ("cat-echo", "--root", str(tmp_path / "root"), "--models", str(models), "--python", sys.executable)

    empty = install(*words, "--weights-from", str(tmp_path), "--dry-run")
    assert f"NEEDED: --weights-from: {tmp_path} has no me/cat with cat.ckpt" in empty.output
    assert f"NEEDED: --weights-from: {tmp_path} has no fur.onnx" in empty.output

    # The file is another one than upstream's.
    spoiled = install(*words, "--weights-from", str(tmp_path / "usb"))
    assert spoiled.exit_code == 1 and "fur.onnx is not https://example.org/fur.onnx: its SHA-256 is" in spoiled.output
    whole = msgspec.structs.replace(fur, sha256=None)
    module.RECIPE = msgspec.structs.replace(recipe, files=(whole,))  # type: ignore[attr-defined]

    done = install(*words, "--weights-from", str(tmp_path / "usb"))
    assert done.exit_code == 1, done.output
    assert "import drawing: ImportError: libGL.so.1: cannot open shared object file" in done.output
    assert "-> apt install libgl1" in done.output and "the part colours failed" in done.output
    # The rest is there: shape without colours, and the part that comes after.
    assert "cat-echo: available" in done.output
    assert yaml.safe_load(models.read_text())["adapters"]["cat-echo"]["config"] == {"vram_requirement": 88}
    assert (folder / "weights" / "cat.ckpt").read_text() == "weights" and not (
        folder / "weights" / "cat.ckpt"
    ).is_symlink()
    (built,) = (folder / "Cat").glob("purr.*.so")
    asked = [
        str(folder / "venv" / "bin" / "python"),
        "-c",
        "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))",
    ]
    assert built.name == f"purr{subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()}"
    # A part keeps the torch that all need.
    assert "tinytorch==2.0" in (folder / "kept-by-parts.txt").read_text()

    make_wheel(wheels, "drawing", "1.1", {"drawing.py": ""})
    mended = msgspec.structs.replace(colours, requirements=("drawing==1.1",))
    module.RECIPE = msgspec.structs.replace(recipe, files=(whole,), parts=(mended, sound))  # type: ignore[attr-defined]
    models.unlink()
    again = install(*words)
    assert again.exit_code == 0, again.output
    assert yaml.safe_load(models.read_text())["adapters"]["cat-echo"]["config"] == {"vram_requirement": 900}

    alone = install(*words, "--without", "colours", "--dry-run")
    assert "parts:" in alone.output and "colours (no), sound (yes)" in alone.output and "drawing" not in alone.output
    assert install(*words, "--without", "smell", "--dry-run").exit_code == 2
    assert install(*words, "--cuda-arch", "sm_89", "--dry-run").exit_code == 2
