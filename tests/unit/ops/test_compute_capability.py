"""Which GPUs run which builds, and which toolkit compiles for which torch."""

from __future__ import annotations

import pytest

from pocket3d.ops.installer.compute_capability import architectures_of, from_arch_list, runs_on
from pocket3d.ops.installer.toolkits import Toolkit, fitting, gcc_too_new, jobs, nvcc_version, too_new

OLD = ("5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ("8.9", OLD, True),  # within one major version
        ("12.0", OLD, False),  # RTX 50 on a torch of 2025
        ("8.0", ("8.6",), False),  # not on an older minor version
        ("12.0", ("9.0+PTX",), True),  # compiled by the driver
        ("7.5", ("8.0+PTX",), False),
        ("10.0", ("9.0", "12.0"), False),
    ],
)
def test_nvidias_rule(capability: str, architectures: tuple[str, ...], runs: bool) -> None:
    assert runs_on(capability, architectures) is runs


def test_what_torch_says_of_itself_is_read() -> None:
    assert from_arch_list(["sm_50", "sm_86", "sm_90a", "sm_120", "compute_120", "gfx90a"]) == (
        "5.0", "8.6", "9.0", "12.0", "12.0+PTX"
    )  # fmt: skip
    assert architectures_of("2.6.0", "12.4") == OLD
    assert "12.0" in architectures_of("2.8.0+cu128", "12.8")
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


def test_compilers_are_as_many_as_the_memory_holds() -> None:
    assert jobs(cpus=64, free_memory_mb=128_000) == 14
    assert jobs(cpus=4, free_memory_mb=128_000) == 4
    assert jobs(cpus=64, free_memory_mb=8_000) == 1
