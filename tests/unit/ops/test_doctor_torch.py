"""What the doctor says of the torch of workers' interpreters: a build for other GPUs is told before the first job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.models_yaml import ConfiguredAdapter
from pocket3d.contracts.worker_frames import AdapterSpec
from pocket3d.ops.doctor import _torch

TORCH = """
__version__ = "2.4.0+cu121"
class version:
    cuda = "12.1"
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: {count})
    get_device_capability = staticmethod(lambda index: {capability})
    get_device_name = staticmethod(lambda index: "{name}")
    get_arch_list = staticmethod(lambda: ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"])
class ops: pass
"""


def say(folder: Path, text: str, adapter_id: str = "trellis-image-to-mesh") -> list[tuple[str, str]]:
    (folder / "torch.py").write_text(text)
    adapter = ConfiguredAdapter(spec=AdapterSpec(adapter_id=adapter_id, class_path="a.B"))
    found = _torch(sys.executable, [adapter], {**os.environ, "PYTHONPATH": str(folder)})
    return [(each.level, each.text) for each in found]


def test_a_gpu_for_which_torch_has_no_kernels(tmp_path: Path) -> None:
    blackwell = TORCH.format(count=2, capability=(12, 0), name="NVIDIA GeForce RTX 5090")
    assert say(tmp_path, blackwell) == [
        ("ok", "2.4.0+cu121 for CUDA 12.1, sees 2 GPUs"),
        (
            "problem",
            (
                "NVIDIA GeForce RTX 5090 has compute capability 12.0, and torch 2.4.0+cu121 has kernels for sm_50,"
                " sm_60, sm_70, sm_75, sm_80, sm_86, sm_90 only"
            ),
        ),
    ]


def test_a_gpu_that_is_too_old_for_an_adapters_kernels(tmp_path: Path) -> None:
    volta = TORCH.format(count=1, capability=(7, 0), name="Tesla V100")
    assert say(tmp_path, volta) == [("ok", "2.4.0+cu121 for CUDA 12.1, sees 1 GPUs")]
    assert say(tmp_path, volta, "unirig-auto-rigging")[1:] == [
        ("problem", "Tesla V100 has compute capability 7.0; unirig-auto-rigging wants 8.0 or later")
    ]


@pytest.mark.parametrize(
    ("text", "level", "says"),
    [
        ("raise ImportError('libcudnn.so.9: cannot open')", "note", "ImportError: libcudnn.so.9: cannot open"),
        ("import os; os._exit(7)", "note", "the process ended with status 7"),
    ],
)
def test_a_torch_that_does_not_import(tmp_path: Path, text: str, level: str, says: str) -> None:
    assert say(tmp_path, text) == [(level, says)]


def test_an_interpreter_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (found,) = _torch(str(tmp_path / "python"), [], os.environ)
    assert found.level == "problem" and "No such file" in found.text
