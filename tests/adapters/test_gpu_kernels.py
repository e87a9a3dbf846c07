"""Whether a build of torch runs on a GPU, by the words it has for what it was compiled for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pocket3d.adapters.runtime.gpu_kernels import describe_problem, has_kernels, kernel_problem

CU121 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.mark.parametrize(
    ("capability", "archs", "runs"),
    [
        ((8, 6), CU121, True),
        ((8, 9), CU121, True),
        ((8, 7), CU121, True),
        ((12, 0), CU121, False),
        ((5, 2), CU121, True),
        ((3, 7), CU121, False),
        ((12, 0), [*CU121, "compute_90"], True),
        ((7, 0), ["compute_75"], False),
        ((9, 0), ["sm_90a"], True),
        ((12, 1), ["sm_120a"], False),
        ((12, 1), ["sm_120f"], True),
        ((12, 1), ["sm_120"], True),
        ((10, 0), ["sm_120"], False),
        ((12, 0), [], None),
        ((9, 0), ["gfx1100"], None),
    ],
)
def test_code_runs_on_what_it_was_compiled_for(
    capability: tuple[int, int], archs: list[str], runs: bool | None
) -> None:
    assert has_kernels(capability, archs) is runs


def test_what_is_wrong_is_said_with_what_to_do() -> None:
    said = describe_problem((12, 0), "2.4.0+cu121", CU121)
    assert said is not None
    assert "torch 2.4.0+cu121" in said and "12.0" in said and "sm_90" in said and "lists sm_120" in said
    assert describe_problem((8, 9), "2.4.0+cu121", CU121) is None


def test_a_process_is_judged_by_the_torch_that_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    in_use = [True]
    cuda = SimpleNamespace(
        is_initialized=lambda: in_use[0], get_device_capability=lambda: (12, 0), get_arch_list=lambda: CU121
    )
    torch = SimpleNamespace(cuda=cuda, __version__="2.4.0+cu121")
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert kernel_problem() == describe_problem((12, 0), "2.4.0+cu121", CU121)
    in_use[0] = False
    assert kernel_problem() is None
