"""Which GPUs run which builds, and which toolkit compiles for which torch."""

from __future__ import annotations

import pytest

from pocket3d.ops.installer.compute_capability import architectures_of, runs_on
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
