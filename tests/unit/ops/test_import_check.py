"""Imports in another interpreter: what the loader says, crashes included, and what it means."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from pocket3d.ops.installer.import_check import import_all
from pocket3d.ops.installer.import_findings import Imports, TorchFacts, advice, problems, too_old, unsupported

#: A torch that says what the real one of such a build says.
TORCH = """
__version__ = "2.6.0+cu124"
class version:
    cuda = "12.4"
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 2)
    get_device_capability = staticmethod(lambda index: [(12, 0), (8, 9)][index])
    get_device_name = staticmethod(lambda index: ["NVIDIA GeForce RTX 5090", "NVIDIA GeForce RTX 4090"][index])
    get_arch_list = staticmethod(lambda: ["sm_50", "sm_80", "sm_86", "sm_90"])
class ops:
    class torch_scatter:
        cuda_version = staticmethod(lambda: -1)
"""
MODULES = {
    "torch.py": TORCH,
    "torch_scatter.py": "",
    "noisy.py": "print('pocket3d was here', end='')",
    "headless.py": "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
    "quitting.py": "import sys; sys.exit(3)",
    "crashing.py": "import os, sys; sys.stderr.write('terminate called\\n'); sys.stderr.flush(); os.abort()",
    "jealous.py": "import os, sys\nif 'noisy' in sys.modules: os.abort()",
    "driver.py": "raise ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def imports(folder: Path, *modules: str) -> Imports:
    return import_all(sys.executable, modules, os.environ, [str(folder)], 60)


def test_each_module_has_its_own_answer(folder: Path) -> None:
    found = imports(folder, "noisy", "headless", "quitting", "crashing", "nowhere.inside", "json")
    assert list(found.modules) == ["noisy", "headless", "quitting", "crashing", "nowhere.inside", "json"]
    assert found.modules["noisy"] is None and found.modules["json"] is None
    assert "libGL.so.1: cannot open" in str(found.modules["headless"])
    assert found.modules["quitting"] == "SystemExit: 3"
    # The process ended, and what was behind it was asked in another.
    assert "ended by SIGABRT" in str(found.modules["crashing"]) and "terminate called" in str(found.modules["crashing"])
    assert found.modules["nowhere.inside"] == "ModuleNotFoundError: No module named 'nowhere'"
    assert found.torch is None


def test_one_that_does_not_stand_another_is_asked_alone(folder: Path) -> None:
    assert imports(folder, "noisy", "jealous", "json").modules == {"noisy": None, "jealous": None, "json": None}


def test_one_that_does_not_end_is_told(folder: Path) -> None:
    (folder / "waiting.py").write_text("import threading; threading.Event().wait()")
    found = import_all(sys.executable, ["json", "waiting"], os.environ, [str(folder)], 3)
    assert found.modules == {"json": None, "waiting": "it takes more than 3 s"}


def test_an_interpreter_that_is_none_is_told(folder: Path) -> None:
    found = import_all(str(folder / "python"), ["json", "sys"], os.environ)
    assert set(found.modules.values()) == {f"{folder / 'python'} cannot be started: No such file or directory"}


def test_what_the_loader_lacks_has_its_package(folder: Path) -> None:
    found = imports(folder, "headless", "driver")
    own, driver = problems(found, cuda=None, libraries={})
    assert own.advice == "apt install libgl1" and own.certain
    # No package brings the driver's library; where an image is built it is not there.
    assert not driver.certain and driver.advice == "there is no NVIDIA driver on this machine"
    named = Imports(modules={"x": "OSError: libodd.so.7: cannot open shared object file: No such file"})
    assert problems(named, cuda=None, libraries={"libodd.so.7": "libodd7"})[0].advice == "apt install libodd7"
    assert problems(named, cuda=None, libraries={})[0].advice is None


@pytest.mark.parametrize(
    ("error", "package"),
    [
        ("libGL.so.1: cannot open shared object file", "apt install libgl1"),
        ("libGL.so.1: No such file", "apt install libgl1"),
        ("libGL.so.1 => not found", "apt install libgl1"),
        ("libGL.so.1: undefined symbol: glBegin", None),
    ],
)
def test_a_package_is_named_for_a_library_that_is_not_there(error: str, package: str | None) -> None:
    assert advice(error, {}) == package


def test_a_torch_that_does_not_fit_is_told(folder: Path) -> None:
    found = imports(folder, "torch", "torch_scatter")
    assert found.torch is not None and found.torch.cuda == "12.4"
    texts = [each.text for each in problems(found, cuda="12.1", libraries={})]
    assert texts == [
        "torch 2.6.0+cu124 is built for CUDA 12.4; the recipe wants CUDA 12.1",
        "torch_scatter is compiled for the CPU alone: every job on a GPU would fail",
        (
            "NVIDIA GeForce RTX 5090 has compute capability 12.0, and torch 2.6.0+cu124 has kernels for sm_50,"
            " sm_80, sm_86, sm_90 only"
        ),
    ]


def test_kernels_that_want_a_newer_gpu_are_told() -> None:
    facts = TorchFacts(version="2.6.0", cuda="12.4", gpus=(("Tesla V100", "7.0"), ("NVIDIA A100", "8.0")))
    (told,) = too_old(facts, "flash-attn", "8.0")
    assert told.text == "Tesla V100 has compute capability 7.0; flash-attn wants 8.0 or later"


def test_the_capability_that_is_wanted_is_enough_and_each_gpu_is_told_once() -> None:
    old = ("Tesla V100", "7.5")
    facts = TorchFacts(version="2.6.0", gpus=(old, ("NVIDIA A100", "8.0"), old, ("NVIDIA B200", "10.0")))
    assert [each.text for each in too_old(facts, "flash-attn", "8.0")] == [
        "Tesla V100 has compute capability 7.5; flash-attn wants 8.0 or later"
    ]
    built = msgspec.structs.replace(facts, architectures=("sm_80",))
    assert [each.text.split(" has ")[0] for each in unsupported(built)] == ["Tesla V100", "NVIDIA B200"]
    advised = unsupported(built)[0].advice
    assert advised is not None and "--devices" in advised


def test_a_machine_without_a_driver_is_no_judge_of_what_needs_one() -> None:
    error = "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"
    found = Imports(modules={"fine": None, "kernels": error, "broken": "SyntaxError: no"})
    driver, broken = problems(found, cuda=None, libraries={"libcuda.so.1": "nobody-installs-this"})
    assert (driver.text, driver.advice, driver.certain) == (
        f"import kernels: {error}",
        "there is no NVIDIA driver on this machine",
        False,
    )
    assert (broken.text, broken.advice, broken.certain) == ("import broken: SyntaxError: no", None, True)


@pytest.mark.parametrize(
    ("built", "wanted", "says"),
    [
        ("12.4", "12.4", None),
        ("12.4", None, None),
        (None, None, None),
        (None, "12.4", "torch 2.6.0 is built for the CPU alone; the recipe wants CUDA 12.4"),
        ("12.1", "12.4", "torch 2.6.0 is built for CUDA 12.1; the recipe wants CUDA 12.4"),
    ],
)
def test_torch_is_built_for_what_the_recipe_wants(built: str | None, wanted: str | None, says: str | None) -> None:
    found = Imports(modules={"torch": None}, torch=TorchFacts(version="2.6.0", cuda=built))
    assert [each.text for each in problems(found, cuda=wanted, libraries={})] == ([] if says is None else [says])


def test_all_libraries_of_an_error_are_installed_at_once_and_each_package_once() -> None:
    error = "libGL.so.1 and libEGL.so.1, libGL.so.1, libodd.so.7: cannot open shared object file"
    assert advice(error, {}) == "apt install libgl1 libegl1"
    assert advice(error, {"libodd.so.7": "libodd7", "libGL.so.1": "libgl1-of-the-recipe"}) == (
        "apt install libgl1-of-the-recipe libegl1 libodd7"
    )
    assert advice("libunknown.so.1: cannot open shared object file", {}) is None
