"""Which GPUs run which builds, and which toolkit compiles for which torch."""

from __future__ import annotations

import pytest

from pocket3d.ops.installer.compute_capability import Card, architectures_of, compiler_knows, runs_on, version, why_not
from pocket3d.ops.installer.toolkits import Toolkit, fitting, gcc_too_new, jobs, nvcc_version, too_new

OLD = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")


def test_what_a_recipe_installs_runs_on_these_gpus() -> None:
    assert runs_on("8.9", OLD)
    assert not runs_on("12.0", OLD), "an RTX 50 on a torch of 2025"
    assert runs_on("12.0", ()), "nobody can tell"


def test_the_builds_of_torch_are_known() -> None:
    assert architectures_of("2.6.0", "12.4") == OLD
    assert "sm_120" in architectures_of("2.8.0+cu128", "12.8")
    assert architectures_of("9.9.9", "12.4") == ()


def test_the_toolkit_of_torchs_cuda_is_taken_or_one_of_its_major_version() -> None:
    old, near, same = Toolkit("/a", "11.8"), Toolkit("/b", "12.6"), Toolkit("/c", "12.4")
    assert fitting("12.4", [old, near, same]) == same
    assert fitting("12.4", [old, near]) == near
    assert fitting("12.4", [old]) is None


def test_nvcc_says_its_version_and_what_it_takes() -> None:
    said = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.4, V12.4.131\nBuild cuda_12.4"
    assert nvcc_version(said) == "12.4" and nvcc_version("") is None
    assert too_new(["8.9", "12.0"], Toolkit("/c", "12.4")) == ["12.0"]
    assert gcc_too_new("13.3.0", Toolkit("/c", "12.1")) == 12
    assert gcc_too_new("12.3.0", Toolkit("/c", "12.1")) is None
    assert gcc_too_new("15.1.0", Toolkit("/c", "99.0")) is None


#: Host compilers in NVIDIA's installation guides.
NEWEST_GCC = {
    "12.0": 12,
    "12.1": 12,
    "12.2": 12,
    "12.3": 12,
    "12.4": 13,
    "12.5": 13,
    "12.6": 13,
    "12.8": 14,
    "12.9": 14,
}


@pytest.mark.parametrize(("cuda", "gcc"), NEWEST_GCC.items())
def test_the_newest_gcc_of_each_nvcc_as_its_installation_guide_says(cuda: str, gcc: int) -> None:
    assert gcc_too_new(f"{gcc}.9.0", Toolkit("/c", cuda)) is None
    assert gcc_too_new(f"{gcc + 1}.1.0", Toolkit("/c", cuda)) == gcc


def test_compilers_are_as_many_as_the_memory_holds() -> None:
    assert jobs(cpus=64, free_memory_mb=128_000) == 14
    assert jobs(cpus=4, free_memory_mb=128_000) == 4
    assert jobs(cpus=64, free_memory_mb=8_000) == 1
    assert jobs(cpus=64, free_memory_mb=17_999) == 1
    assert jobs(cpus=64, free_memory_mb=18_000) == 2


@pytest.mark.parametrize(
    ("card", "cuda", "least", "says"),
    [
        (Card("a", "8.0", "525.60"), "12.4", "8.0", None),
        (Card("a", "8.0", "524.99"), "12.4", "8.0", "a has driver 524.99; CUDA 12.4 wants 525 or later"),
        (Card("a", "8.0", "580.1"), "13.0", None, None),
        (Card("a", "8.0", "579.9"), "13.0", None, "a has driver 579.9; CUDA 13.0 wants 580 or later"),
        (Card("a", "8.0", "1.0"), "11.8", None, None),
        (Card("a", "8.0", ""), "12.4", None, None),
        (Card("a", None, "550.1"), "12.4", "8.0", None),
        (Card("a", "7.5", "550.1"), "12.4", "8.0", "a has compute capability 7.5; the recipe's kernels want 8.0 or"),
        (Card("a", "7.5", "550.1"), "12.4", None, None),
        (Card("a", "12.0", "570.1"), "12.4", None, "a has compute capability 12.0, and torch 2.6.0 for CUDA 12.4 has"),
    ],
)
def test_why_a_gpu_does_not_run_a_recipe(card: Card, cuda: str, least: str | None, says: str | None) -> None:
    """What a driver does not tell keeps nobody from trying."""
    found = why_not(card, torch="2.6.0", cuda=cuda, least=least)
    assert found is None if says is None else found is not None and found.startswith(says)


@pytest.mark.parametrize(
    ("capability", "since"),
    [("8.9", "11.8"), ("9.0", "11.8"), ("10.0", "12.8"), ("12.0", "12.8"), ("10.3", "12.9"), ("12.1", "12.9")],
)
def test_an_nvcc_compiles_for_an_architecture_since_a_version(capability: str, since: str) -> None:
    major, minor = version(since)
    assert compiler_knows(capability, since)
    assert not compiler_knows(capability, f"{major}.{minor - 1}")
    assert compiler_knows("8.6", "9.0"), "older ones are known to all"


def test_versions_are_compared_by_their_numbers() -> None:
    assert version("550.54.14") == (550, 54, 14)
    assert version("none") == (0,)
    assert version("12.10") > version("12.9")
