"""Whether a GPU can run what is installed, on values; no GPU is touched."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pocket3d.adapters.errors import AdapterUnavailable
from pocket3d.adapters.upstream import card
from pocket3d.adapters.upstream.trellis import upstream

#: `torch.cuda.get_arch_list()` of builds on PyPI and download.pytorch.org.
CU121 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU128 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        (CU121, (9, 0), True),
        (CU121, (8, 9), True),
        (CU121, (12, 0), False),
        (CU128, (12, 0), True),
        # What came after the newest one that it is compiled for, by its intermediate code.
        (CU128, (12, 1), True),
        (CU128, (13, 0), True),
        (CU128, (7, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_100a"], (10, 3), False),
        (["sm_100f"], (10, 3), True),
        (["sm_100f"], (12, 0), False),
        ([], (8, 0), False),
        (["gfx942"], (9, 0), False),
    ],
)
def test_code_runs_on_the_cards_that_it_is_compiled_for(
    architectures: list[str], capability: tuple[int, int], runs: bool
) -> None:
    assert card.runs_on(architectures, capability) is runs


def test_what_does_not_run_is_told_with_card_and_torch() -> None:
    blackwell = card.Card("NVIDIA GeForce RTX 5090", (12, 0), CU121, "2.4.0+cu121")
    problem = card.unsuited(blackwell)
    assert problem is not None
    assert "RTX 5090" in problem and "12.0" in problem and "2.4.0+cu121" in problem and "sm_90" in problem
    turing = card.Card("NVIDIA T4", (7, 5), CU121, "2.4.0+cu121")
    assert card.unsuited(turing) is None
    with pytest.raises(AdapterUnavailable, match=r"NVIDIA T4 has compute capability 7\.5, and flash-attn needs 8\.0"):
        card.require(turing, least=card.FLASH_ATTN, what="flash-attn")


def fake_torch(folder: Path, capability: tuple[int, int]) -> None:
    (folder / "torch.py").write_text(
        "from types import SimpleNamespace\n"
        "__version__ = '2.4.0+cu121'\n"
        "cuda = SimpleNamespace(get_device_name=lambda index: 'a card',"
        f" get_device_capability=lambda index: {capability!r}, get_arch_list=lambda: {CU121!r})\n"
    )


def test_a_child_tells_of_the_card_and_holds_no_vram_here(tmp_path: Path) -> None:
    fake_torch(tmp_path, (8, 6))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    assert card.card_of_child(environment) == card.Card("a card", (8, 6), CU121, "2.4.0+cu121")
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    with pytest.raises(AdapterUnavailable, match=r"libcudart\.so\.12"):
        card.card_of_child(environment)


@pytest.mark.parametrize("family", ["trellis", "hunyuan3d", "partfield"])
def test_a_card_that_torch_has_no_code_for_is_refused_before_the_load(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the first kernel, minutes later."""
    name = {
        "trellis": "TrellisImageToMeshAdapter",
        "hunyuan3d": "Hunyuan3DImageToMeshAdapter",
        "partfield": "PartFieldSegmentationAdapter",
    }[family]
    cls: Any = getattr(importlib.import_module(f"pocket3d.adapters.upstream.{family}.adapter"), name)
    monkeypatch.setattr(card, "card", lambda: card.Card("a card", (12, 0), CU121, "2.4.0+cu121"))
    monkeypatch.setattr(cls, "check_available", lambda self: None)
    adapter = cls()
    adapter.device = "cuda"
    with pytest.raises(AdapterUnavailable, match=r"a card has compute capability 12\.0"):
        asyncio.run(adapter.load())


def test_a_package_that_was_compiled_without_cuda_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where it was installed on a machine without a GPU: it fails in every job."""
    package = tmp_path / "fake_scatter"
    package.mkdir()
    for name in ("__init__.py", "_scatter_cpu.so"):
        (package / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AdapterUnavailable, match=r"fake_scatter in .* has no code for GPUs"):
        card.require_cuda_builds(fake_scatter="_scatter_cuda", not_installed="_x_cuda")
    (package / "_scatter_cuda.so").touch()
    card.require_cuda_builds(fake_scatter="_scatter_cuda")


# ---------------------------------------------------------------- attention


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages are installed."""
    monkeypatch.delenv("ATTN_BACKEND", raising=False)
    monkeypatch.delenv("SPARSE_ATTN_BACKEND", raising=False)
    for name in ("flash_attn", "xformers"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())


@pytest.mark.parametrize(
    ("capability", "taken"),
    [(None, "flash_attn"), ((8, 0), "flash_attn"), ((9, 0), "flash_attn"), ((7, 5), "xformers")],
)
def test_flash_attention_is_taken_where_the_card_has_its_kernels(
    kernels: None, capability: tuple[int, int] | None, taken: str
) -> None:
    assert upstream.Backends().variables(capability)["ATTN_BACKEND"] == taken


def test_flash_attention_that_was_asked_for_on_an_old_card_is_told(
    kernels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("trellis/__init__.py", "trellis/representations/mesh/flexicubes/flexicubes.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    asked = upstream.Backends("flash_attn")
    reason = upstream.missing_code(tmp_path, asked, "trellis-image-to-mesh", (7, 5))
    assert reason is not None and "flash_attn needs a GPU of compute capability 8.0" in reason
    assert "flash_attn needs a GPU" not in str(upstream.missing_code(tmp_path, asked, "x", (8, 6)))
    monkeypatch.delitem(sys.modules, "xformers")
    reason = upstream.missing_code(tmp_path, upstream.Backends(), "x", (7, 5))
    assert reason is not None and "flash_attn has no kernels for this GPU" in reason
