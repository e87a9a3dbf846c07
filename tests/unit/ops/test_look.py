"""What is seen of a machine: toolkits by their own nvcc, GPUs by the driver's program, headers, libraries."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.recipe import Recipe, SystemLibrary
from pocket3d.ops.installer.compute_capability import Card
from pocket3d.ops.installer.environments import Choice
from pocket3d.ops.installer.locks import Lock
from pocket3d.ops.installer.look import build_for, find_lock, look
from pocket3d.ops.installer.toolkits import Build, Toolkit

LIBRARIES = (
    SystemLibrary(soname="libc.so.6", package="libc6", used_by="all"),
    SystemLibrary(soname="libnowhere.so.9", package="libnowhere9", used_by="cat"),
)
RECIPE = Recipe(
    name="cat", python=("3.10", "3.11", "3.12", "3.13"), torch=("torch==2.6.0",), cuda="12.4", libraries=LIBRARIES
)


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def toolkit(home: Path, version: str, *, headers: bool = True) -> Path:
    program(home / "bin" / "nvcc", f"echo 'Cuda compilation tools, release {version}, V{version}.99'")
    if headers:
        (home / "include").mkdir()
        (home / "include" / "cuda.h").touch()
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH and a /usr/local of its own."""
    (tmp_path / "local").mkdir()
    monkeypatch.setattr("pocket3d.ops.installer.look._USUAL", tmp_path / "local")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def test_toolkits_are_found_where_they_are(machine: Path) -> None:
    toolkit(machine / "local" / "cuda-12.4", "12.4")
    (machine / "local" / "cuda").symlink_to(machine / "local" / "cuda-12.4")
    toolkit(machine / "local" / "cuda-13.0", "13.0")
    toolkit(machine / "local" / "cuda-11.8", "11.8", headers=False)  # torch's builds would not find cuda.h
    named = toolkit(machine / "opt" / "cuda", "12.1")
    facts = look(RECIPE, machine / "models" / "cat", None, environ={"CUDA_HOME": str(named)})
    assert facts.toolkits == (
        Toolkit(str(named), "12.1"),
        Toolkit(str(machine / "local" / "cuda"), "12.4"),
        Toolkit(str(machine / "local" / "cuda-13.0"), "13.0"),
    )
    assert build_for(RECIPE, facts, ()) == Build(home=str(machine / "local" / "cuda"))
    # A script on PATH that calls a toolkit's nvcc is in no toolkit's folder.
    program(machine / "bin" / "nvcc", "exec /opt/cuda/bin/nvcc")
    assert look(RECIPE, machine / "cat", None, environ={}).toolkits == facts.toolkits[1:]


def test_the_drivers_program_tells_the_gpus(machine: Path) -> None:
    rows = "NVIDIA GeForce RTX 4090, 8.9, 550.54.14\\nNVIDIA GeForce RTX 3060, 8.6, 550.54.14\\nOld, [N/A], 390.1"
    program(machine / "bin" / "nvidia-smi", f"printf '{rows}\\n'")
    facts = look(RECIPE, machine / "cat", None, environ={})
    assert facts.cards[0] == Card("NVIDIA GeForce RTX 4090", "8.9", "550.54.14")
    assert facts.cards[2] == Card("Old", None, "390.1")
    assert build_for(RECIPE, facts, ()).architectures == ("8.6", "8.9")
    assert build_for(RECIPE, facts, ("9.0",)).architectures == ("9.0",)
    # One that torch has no kernels for is not compiled for either: nvcc may not even know it.
    both = facts._replace(cards=(*facts.cards, Card("NVIDIA GeForce RTX 5090", "12.0", "570.86")))
    assert build_for(RECIPE, both, ()).architectures == ("8.6", "8.9")
    program(machine / "bin" / "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert look(RECIPE, machine / "cat", None, environ={}).cards == ()


def test_compilers_headers_and_libraries(machine: Path) -> None:
    gcc = "case $1 in --version) echo 'c++ 13.3\nCopyright Free Software Foundation';; *) echo 13.3.0;; esac"
    program(machine / "bin" / "c++", gcc)
    facts = look(RECIPE, machine / "cat", None, environ={})
    assert facts.compiler and facts.gcc == "13.3.0"
    assert facts.lost_libraries == {"libnowhere.so.9"}
    program(machine / "bin" / "clang++", "echo clang version 18")
    other = look(RECIPE, machine / "cat", None, environ={"CXX": "clang++"})
    assert other.compiler and other.gcc is None
    assert not look(RECIPE, machine / "cat", None, environ={"CXX": "no-such-compiler"}).compiler
    program(machine / "bin" / "python3.12", """echo '["3.12", "/nowhere/include"]'""")
    bare = look(RECIPE, machine / "cat", str(machine / "bin" / "python3.12"), Choice(), environ={})
    assert bare.python_version == "3.12" and not bare.headers


def test_a_lock_is_for_its_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocket3d.ops.installer.look._LOCKS", tmp_path)
    assert find_lock(RECIPE, "3.11") is None
    lock = Lock(recipe="cat", python="3.11", machine=platform.machine(), date="2026-11-28", packages={"a": "1"})
    (tmp_path / "cat.txt").write_text(lock.text())
    assert find_lock(RECIPE, "3.11") == lock
    assert find_lock(RECIPE, "3.10") is None
    assert find_lock(RECIPE, None) == lock, "the plan shows what the missing interpreter would get"
    (tmp_path / "cat.txt").write_text("a==1\n")
    with pytest.raises(ValueError, match="for which Python"):
        find_lock(RECIPE, "3.11")
