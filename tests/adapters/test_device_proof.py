"""A worker's proof that it can still use its device: where it is made, what it says, and that it ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.runtime.device_proof import device_problem
from pocket3d.adapters.runtime.driver_texts import says_broken, says_out_of_memory
from pocket3d.adapters.runtime.failure_mapping import judge_run, spoiling_text
from support.device_trouble import BROKEN, OUT_OF_MEMORY, StandInTorch

Torch = Callable[[StandInTorch], StandInTorch]


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Torch:
    def use(made: StandInTorch) -> StandInTorch:
        monkeypatch.setitem(sys.modules, "torch", made)
        return made

    return use


def problem(timeout_s: float = 20.0) -> str | None:
    return asyncio.run(device_problem(timeout_s))


def test_without_torch_there_is_nothing_to_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert problem() is None
    assert "torch" not in sys.modules


def test_a_torch_that_never_used_its_device_is_not_made_to(torch: Torch) -> None:
    unused = torch(StandInTorch("broken", initialised=False))
    assert problem() is None
    assert unused.calls == []


def test_a_sound_device_allocates_writes_and_is_waited_for(torch: Torch) -> None:
    used = torch(StandInTorch())
    assert problem() is None
    assert used.calls == ["synchronize", "allocate", "write", "synchronize"]


def test_a_broken_device_says_why(torch: Torch) -> None:
    torch(StandInTorch("broken"))
    assert "device-side assert" in str(problem())


def test_a_driver_that_does_not_answer_holds_up_nobody(torch: Torch) -> None:
    hanging = torch(StandInTorch("hanging"))

    async def beside() -> list[str | None]:
        said: list[str | None] = [None]
        proof = asyncio.create_task(device_problem(0.2))
        while not proof.done():
            said[0] = "the loop goes on"
            await asyncio.sleep(0)
        said.append(proof.result())
        hanging.answer.set()
        return said

    assert asyncio.run(beside()) == ["the loop goes on", "the device did not answer within 0.2 s"]


def test_the_work_of_others_may_be_what_is_waited_for(torch: Torch) -> None:
    slow = torch(StandInTorch("hanging"))
    assert asyncio.run(device_problem(0.1, busy=True)) is None
    slow.answer.set()
    torch(StandInTorch("broken"))
    assert "device-side assert" in str(asyncio.run(device_problem(20.0, busy=True)))


# ---------------------------------------------------------------- texts


def buried(text: str) -> BaseException:
    """An error whose outer ones do not repeat it."""
    try:
        try:
            raise RuntimeError(text)
        except RuntimeError as inner:
            raise ValueError("the sampler failed") from inner
    except ValueError as middle:
        outer = Exception("Generation failed")
        outer.__context__ = middle
        return outer


@pytest.mark.parametrize("text", OUT_OF_MEMORY)
def test_every_library_s_words_for_full_memory_are_known(text: str) -> None:
    assert says_out_of_memory(text)
    assert judge_run(buried(text), cancelled=False).code.value == "out_of_memory"
    assert spoiling_text(buried(text)) is not None


@pytest.mark.parametrize("text", BROKEN)
def test_every_library_s_words_for_a_broken_context_are_known_wherever_they_stand(text: str) -> None:
    assert says_broken(text) and not says_out_of_memory(text)
    assert judge_run(buried(text), cancelled=False).code.value == "adapter_error"
    assert text in str(spoiling_text(buried(text)))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a tensor of the wrong shape"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (700x2 and 3x4)"),
        ValueError("error 2: no prompt"),
        MemoryError(),
        InvalidInput("CUDA error: out of memory.glb: no GLB file", "mesh_path"),
        buried("the mesh has no faces"),
    ],
)
def test_other_failures_leave_the_worker_alone(error: Any) -> None:
    assert spoiling_text(error) is None


def test_a_files_name_spoils_no_worker() -> None:
    named = InvalidInput("CUDA error: out of memory.glb: no GLB file", "mesh_path")
    wrapped = Exception(f"Generation failed: {named}")
    wrapped.__context__ = named
    assert spoiling_text(wrapped) is None
