"""Which GPUs run which builds, and which toolkit compiles for which torch."""

from __future__ import annotations

import pytest

from pocket3d.ops.installer.compute_capability import (
    Card,
    architectures_of,
    compiler_knows,
    runs_on,
    version,
    why_not,
)
from pocket3d.ops.installer.toolkits import (
    Build,
    Toolkit,
    fitting,
    gcc_too_new,
    jobs,
    nvcc_version,
    too_new,
    why_none,
)

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


@pytest.mark.parametrize(
    ("cpus", "free_memory_mb", "at_once"),
    [(64, 8_999, 1), (64, 9_000, 1), (64, 17_999, 1), (64, 18_000, 2), (2, 18_000, 2), (1, 18_000, 1), (0, 0, 1)],
)
def test_a_compiler_counts_with_nine_thousand_megabytes_and_one_always_runs(
    cpus: int, free_memory_mb: int, at_once: int
) -> None:
    assert jobs(cpus, free_memory_mb) == at_once


def test_compiling_is_told_what_is_known_of_this_machine_and_nothing_else() -> None:
    assert Build().variables() == {"FORCE_CUDA": "1"}
    assert Build(home="/c").variables() == {"FORCE_CUDA": "1", "CUDA_HOME": "/c"}
    both = Build(architectures=("8.6", "9.0")).variables()
    assert both == {"FORCE_CUDA": "1", "TORCH_CUDA_ARCH_LIST": "8.6;9.0"}


def test_the_first_of_several_toolkits_of_the_major_version_is_taken() -> None:
    first, second = Toolkit("/a", "12.6"), Toolkit("/b", "12.8")
    assert fitting("12.4", [first, second]) == first
    assert fitting("12.4", [second, first]) == second
    assert fitting("13.0", [Toolkit("/c", "1.30")]) is None, "versions are compared by their numbers"


def test_why_no_toolkit_fits_names_all_that_are_there() -> None:
    assert why_none("12.4", []).startswith(
        "there is no nvcc, and torch is built for CUDA 12.4: install the toolkit 12.4"
    )
    assert why_none("12.4", [Toolkit("/a", "11.8"), Toolkit("/b", "13.0")]).startswith(
        "the CUDA toolkits here are of another major version (11.8 in /a, 13.0 in /b), and torch"
    )


#: The nvcc that first compiles for an architecture, and the one before: release notes of the CUDA toolkit.
FIRST_NVCC = {
    "8.9": ("11.7", "11.8"),
    "9.0": ("11.7", "11.8"),
    "10.0": ("12.6", "12.8"),
    "12.0": ("12.6", "12.8"),
    "10.3": ("12.8", "12.9"),
    "12.1": ("12.8", "12.9"),
}


@pytest.mark.parametrize(("capability", "versions"), FIRST_NVCC.items())
def test_an_nvcc_compiles_for_an_architecture_from_its_release_on(capability: str, versions: tuple[str, str]) -> None:
    before, first = versions
    assert not compiler_knows(capability, before)
    assert compiler_knows(capability, first)
    assert compiler_knows(capability, "13.0")


def test_an_architecture_of_long_ago_is_compiled_by_any_nvcc() -> None:
    assert compiler_knows("7.5", "10.0")


@pytest.mark.parametrize(
    ("text", "numbers"), [("550.54.14", (550, 54, 14)), ("13.3.0", (13, 3, 0)), ("9", (9,)), ("", (0,)), ("?", (0,))]
)
def test_versions_are_compared_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


@pytest.mark.parametrize(
    ("card", "cuda", "least", "says"),
    [
        (Card("X", "8.9", "525.60"), "12.4", None, None),
        (Card("X", "8.9", "524.99"), "12.4", None, "X has driver 524.99; CUDA 12.4 wants 525 or later"),
        (Card("X", "8.9", "580.65"), "13.0", None, None),
        (Card("X", "8.9", "579.99"), "13.0", None, "X has driver 579.99; CUDA 13.0 wants 580 or later"),
        # Of a driver that is not told nothing can be said, nor of a CUDA that is not in the table.
        (Card("X", "8.9", ""), "12.4", None, None),
        (Card("X", "8.9", "100.1"), "14.0", None, None),
        (Card("X", None, "550.54"), "12.4", "9.0", None),
        (Card("X", "8.0", "550.54"), "12.4", "8.0", None),
        (
            Card("X", "7.5", "550.54"),
            "12.4",
            "8.0",
            "X has compute capability 7.5; the recipe's kernels want 8.0 or later",
        ),
        # 10 is more than 8: numbers, not letters.
        (Card("X", "10.0", "580.65"), "13.0", "8.0", None),
    ],
)
def test_a_card_runs_what_its_driver_and_its_capability_admit(
    card: Card, cuda: str, least: str | None, says: str | None
) -> None:
    assert why_not(card, torch="2.6.0", cuda=cuda, least=least) == says


def test_a_card_too_new_for_torchs_build_is_told_what_that_has() -> None:
    said = why_not(Card("X", "12.0", "580.65"), torch="2.6.0", cuda="12.4", least="8.0")
    assert said == f"X has compute capability 12.0, and torch 2.6.0 for CUDA 12.4 has kernels for {', '.join(OLD)} only"
    assert why_not(Card("X", "12.0", "580.65"), torch="2.8.0", cuda="12.8", least="8.0") is None
