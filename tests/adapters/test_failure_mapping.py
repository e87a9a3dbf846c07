"""From errors, as adapters wrap them, to codes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput, JobCancelled
from pocket3d.adapters.runtime.failure_mapping import chain, judge_load, judge_run


def caught(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the value under test
        return error
    raise AssertionError("nothing was raised")


def wrapped(inner: BaseException, text: str = "Generation failed", how: str = "context") -> BaseException:
    """As the guide's adapters do it (`context`), politely (`cause`), or hiding it (`none`)."""

    def function() -> None:
        try:
            raise inner
        except BaseException as error:
            outer = Exception(f"{text}: {error}")
            if how == "cause":
                raise outer from error
            if how == "none":
                raise outer from None
            raise outer  # noqa: B904

    return caught(function)


class OutOfMemoryError(RuntimeError):
    pass


@pytest.mark.parametrize("how", ["context", "cause", "none"])
@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (OutOfMemoryError("no room"), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("CUDA error: out of memory"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (InvalidInput("bad", "seed"), "invalid_input"),
        (ValueError("bad shape"), "adapter_error"),
        (KeyError("vertices"), "adapter_error"),
        (FileNotFoundError("x"), "adapter_error"),
    ],
)
def test_the_whole_chain_is_read(inner: BaseException, code: str, how: str) -> None:
    assert judge_run(wrapped(inner, how=how), cancelled=False).code.value == code
    assert judge_run(wrapped(wrapped(inner, how=how), how=how), cancelled=False).code.value == code


class CupyOutOfMemoryError(MemoryError):
    """cupy's is a MemoryError too."""


CupyOutOfMemoryError.__name__ = "OutOfMemoryError"


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), "host"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "host"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "host"),
        (OutOfMemoryError("no room"), "device"),
        (CupyOutOfMemoryError("Out of memory allocating 512 bytes"), "device"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "device"),
        (RuntimeError("Cuda error: 2[cudaMalloc(&m_gpuPtr, bytes);]"), "device"),
        (ValueError("bad shape"), None),
    ],
)
def test_the_hosts_memory_is_told_from_the_devices(error: BaseException, memory: str | None) -> None:
    assert judge_run(wrapped(error), cancelled=False).memory == memory
    assert judge_load(wrapped(error)).memory == memory


def test_an_adapter_that_says_invalid_input_of_a_value_error_is_believed() -> None:
    assert judge_run(wrapped(ValueError("no prompt"), "Invalid input"), cancelled=False).code.value == "invalid_input"
    assert judge_run(wrapped(KeyError("no prompt"), "Invalid input"), cancelled=False).code.value == "adapter_error"


def test_field_and_message_of_an_invalid_input_come_through() -> None:
    failure = judge_run(wrapped(InvalidInput("no known noun", "text_prompt")), cancelled=False)
    assert (failure.field, failure.message) == ("inputs.text_prompt", "no known noun")
    assert judge_run(InvalidInput("x"), cancelled=False).field is None


@pytest.mark.parametrize("how", ["context", "cause", "none"])
def test_an_input_that_takes_too_much_memory_is_the_inputs_fault(how: str) -> None:
    def reading() -> None:
        try:
            raise MemoryError
        except MemoryError as error:
            raise InvalidInput("a.glb: reading it takes too much memory", "mesh_path") from error

    for error in (caught(reading), wrapped(caught(reading), how=how)):
        failure = judge_run(error, cancelled=False)
        assert (failure.code.value, failure.field) == ("invalid_input", "inputs.mesh_path")
    # Another way was tried, and the model had no room there.
    assert judge_run(wrapped(caught(reading), "CUDA out of memory"), cancelled=False).code.value == "out_of_memory"


@pytest.mark.parametrize("how", ["context", "cause", "none"])
def test_a_files_name_does_not_choose_the_code(how: str) -> None:
    error = InvalidInput("CUDA out of memory.glb: no GLB file", "mesh_path")
    assert judge_run(error, cancelled=False).code.value == "invalid_input"
    assert judge_run(wrapped(error, how=how), cancelled=False).code.value == "invalid_input"
    assert judge_run(wrapped(wrapped(error, how=how), how=how), cancelled=False).code.value == "invalid_input"


def test_memory_in_a_group_of_errors_is_found() -> None:
    class Group(Exception):
        def __init__(self, *errors: BaseException) -> None:
            self.exceptions = errors

    assert judge_run(Group(KeyError(), MemoryError()), cancelled=False).code.value == "out_of_memory"


def test_a_cancel_explains_whatever_came_out() -> None:
    for error in (JobCancelled(), wrapped(JobCancelled()), RuntimeError("interrupted")):
        assert judge_run(error, cancelled=True).code.value == "cancelled"
    assert judge_run(JobCancelled("own idea"), cancelled=False).code.value == "adapter_error"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("truncated"), "load_failed"),
        (wrapped(RuntimeError("truncated"), "Failed to load my model"), "load_failed"),
        (wrapped(ModuleNotFoundError("No module named 'spconv'"), "Failed to load my model"), "adapter_unavailable"),
        (wrapped(FileNotFoundError("model.safetensors")), "adapter_unavailable"),
        (AdapterUnavailable("no licence"), "adapter_unavailable"),
        (wrapped(MemoryError()), "out_of_memory"),
        (wrapped(MemoryError(), how="cause"), "out_of_memory"),
    ],
)
def test_loads_have_their_own_codes(error: BaseException, code: str) -> None:
    assert judge_load(error).code.value == code


def test_messages_are_for_people_and_bounded() -> None:
    assert judge_run(Exception("Generation failed: x"), cancelled=False).message == "Generation failed: x"
    assert judge_run(KeyError("x"), cancelled=False).message == "KeyError: 'x'"
    assert judge_run(RuntimeError(), cancelled=False).message == "RuntimeError"
    long = judge_run(RuntimeError("x" * 100_000), cancelled=False)
    assert len(long.message) <= 2_000 and len(long.traceback) <= 20_000
    judge_run(RuntimeError("\udcff"), cancelled=False).message.encode()

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert "Broken" in judge_run(Broken(), cancelled=False).message


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__context__, second.__context__ = second, first
    assert list(chain(first)) == [first, second]
    assert judge_load(first).code.value == "load_failed"
