"""Maps what an adapter raised to the failure code that the fleet acts on. Pure.

Adapters re-wrap errors (`raise Exception(f"Generation failed: {e}")`), so the whole chain of causes and contexts is
read. In this order:

- what it returned cannot be a result: `invalid_output`;
- the job was cancelled: `cancelled`, whatever came out of it;
- `InvalidInput`: `invalid_input` with its field, unless memory ran out further out in the chain (on another way that
  was tried after it). What led to it is part of the judgement: a file that takes too much memory is the file's fault;
- out of memory anywhere else in the chain: `out_of_memory`, and whether it was the host's or the device's;
- an adapter that catches a `ValueError` and says `Invalid input: ...` (the guide's form) has judged the request, and is
  believed: `invalid_input`. A bare `ValueError` is not enough: model code raises it for its own troubles;
- otherwise `adapter_error`.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from pocket3d.contracts.failures import FailureCode

from ..errors import AdapterUnavailable, InvalidInput
from .driver_texts import says_broken, says_out_of_memory
from .output_files import InvalidOutput

_MESSAGE_CHARS = 2_000
_TRACEBACK_CHARS = 20_000
#: Class names of torch (2.0 to 2.5 and later under two names), cupy and jax.
_OUT_OF_MEMORY_NAMES = {"OutOfMemoryError", "OutOfMemory"}
_HOST_OUT_OF_MEMORY_TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
)
_JUDGED_INVALID = "invalid input:"


class Failure(NamedTuple):
    """A failure as it is reported."""

    code: FailureCode
    message: str
    #: Dotted path of the input at fault.
    field: str | None
    traceback: str
    #: Which memory ran out; None with any other code than `out_of_memory`.
    memory: Literal["device", "host"] | None = None


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it: causes, contexts (also suppressed ones) and members of groups, outermost
    first.
    """
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        members = getattr(current, "exceptions", ())
        nexts = [current.__cause__, current.__context__, *(members if isinstance(members, tuple) else ())]
        waiting.extend(each for each in nexts if isinstance(each, BaseException))


def clear_locals(error: BaseException) -> None:
    """Let go of what the functions held that raised it and what led to it; the error's own text stays whole.

    They hold a model's tensors, and a collection does not find those while a thread still has the error.
    """
    for each in chain(error):
        traceback.clear_frames(each.__traceback__)


def root(error: BaseException) -> BaseException:
    """The first error: the end of the chain of causes, or of contexts where no cause was named."""
    seen: set[int] = set()
    while id(error) not in seen and (before := error.__cause__ or error.__context__) is not None:
        seen.add(id(error))
        error = before
    return error


def is_out_of_memory(error: BaseException, quoted: Sequence[str] = ()) -> bool:
    """True if this very error, not its causes, says that memory ran out.

    Texts of `quoted` say nothing where its own text contains them.
    """
    return memory_that_ran_out(error, quoted) is not None


def memory_that_ran_out(error: BaseException, quoted: Sequence[str] = ()) -> Literal["device", "host"] | None:
    """Which memory this very error says ran out; None if it says nothing of the kind. A device with more room helps
    against the one and not against the other.
    """
    text = _own_text(error, quoted)
    # The device first: cupy's error is a MemoryError too.
    if type(error).__name__ in _OUT_OF_MEMORY_NAMES or says_out_of_memory(text):
        return "device"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "host"
    return "host" if any(known in text for known in _HOST_OUT_OF_MEMORY_TEXTS) else None


def spoiling_text(error: BaseException) -> str | None:
    """What the error, or anything that led to it, says of a device that its process can use no more; None if nothing.

    Also of a process that ran out of the device's memory: what its allocator holds is in pieces.
    """
    errors = list(chain(error))
    quoted = _quoted(errors)
    for each in errors:
        text = _own_text(each, quoted)
        if type(each).__name__ in _OUT_OF_MEMORY_NAMES or says_out_of_memory(text) or says_broken(text):
            return message_of(each)
    return None


def judge_run(error: BaseException, *, cancelled: bool) -> Failure:
    """The failure of a request that raised. `cancelled`: somebody had asked for its end."""
    if isinstance(error, InvalidOutput):
        return Failure(FailureCode.INVALID_OUTPUT, shortened(str(error)), None, "")
    trace = _trace(error)
    if cancelled:
        return Failure(FailureCode.CANCELLED, "the job was cancelled while it ran", None, trace)
    errors = list(chain(error))
    quoted = _quoted(errors)
    for each in errors:
        if isinstance(each, InvalidInput):
            return Failure(FailureCode.INVALID_INPUT, shortened(each.message), _dotted(each.field), trace)
        if memory := memory_that_ran_out(each, quoted):
            return Failure(FailureCode.OUT_OF_MEMORY, message_of(error), None, trace, memory)
    says_so = any(_text(each).lower().startswith(_JUDGED_INVALID) for each in errors)
    judged = says_so and any(isinstance(each, ValueError) for each in errors)
    code = FailureCode.INVALID_INPUT if judged else FailureCode.ADAPTER_ERROR
    return Failure(code, message_of(error), None, trace)


def judge_load(error: BaseException) -> Failure:
    """The failure of a load that raised. A package or a file that turns out to be missing only now makes the adapter
    unavailable here; all else is a failed load.
    """
    code = FailureCode.LOAD_FAILED
    memory = next((memory for each in chain(error) if (memory := memory_that_ran_out(each))), None)
    if memory is not None:
        code = FailureCode.OUT_OF_MEMORY
    elif isinstance(error, AdapterUnavailable) or isinstance(root(error), (ImportError, FileNotFoundError)):
        code = FailureCode.ADAPTER_UNAVAILABLE
    return Failure(code, message_of(error), None, _trace(error), memory)


def message_of(error: BaseException) -> str:
    """The error as a text for people, with its class unless that says nothing (`Exception`) or is ours."""
    text = _text(error)
    if isinstance(error, (AdapterUnavailable, InvalidInput)) or (type(error) is Exception and text):
        return shortened(text)
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _quoted(errors: Sequence[BaseException]) -> list[str]:
    """What errors around them may quote, and with it a file's name that somebody chose."""
    return [each.message for each in errors if isinstance(each, InvalidInput) and each.message]


def _own_text(error: BaseException, quoted: Sequence[str]) -> str:
    text = _text(error)
    for each in quoted:
        text = text.replace(each, "")
    return text


def _dotted(field: str | None) -> str | None:
    if field is None or field == "inputs" or field.startswith("inputs."):
        return field
    return f"inputs.{field}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a foreign __str__ may itself be broken
        return f"(its text cannot be made: {type(error).__name__})"


def shortened(text: str) -> str:
    """A text for a frame, which is UTF-8; text from a model may hold lone surrogates (file names), or be long."""
    clean = text.encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= _MESSAGE_CHARS else clean[: _MESSAGE_CHARS - 1] + "…"


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # noqa: BLE001  # formatting calls foreign __str__ and __repr__
        text = "(the traceback cannot be made)"
    clean = text.encode("utf-8", "backslashreplace").decode()
    return clean[-_TRACEBACK_CHARS:]
