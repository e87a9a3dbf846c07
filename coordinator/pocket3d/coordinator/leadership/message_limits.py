"""Messages within what the server takes: awards split, errors shortened, and said so. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import Award
from pocket3d.contracts.messages import DeadLetter, JobError, Result, Status

#: What the server counts besides the body: our headers and JetStream's, and the envelope of a command.
_HEADROOM = 1024
#: How an error is cut until it fits: characters of each text, and how many of the latest attempts it lists.
_CUTS = ((500, 100), (200, 10), (100, 1), (60, 0))
#: Default of NATS servers, bytes.
MAX_PAYLOAD = 1 << 20


def room_of(max_payload: int) -> int:
    """Bytes for the body of one message."""
    return max_payload - _HEADROOM


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 3] + "..."


def _shorter(error: JobError, note: str) -> Iterator[JobError]:
    """The error with less and less of it."""
    for chars, attempts in _CUTS:
        yield msgspec.structs.replace(
            error,
            message=f"{_cut(error.message, chars)} ({note})",
            field=_cut(error.field, chars) if error.field is not None else None,
            attempts=[
                msgspec.structs.replace(attempt, message=_cut(attempt.message, chars))
                for attempt in (error.attempts[-attempts:] if attempts else ())
            ],
        )


def _note(room: int) -> str:
    return f"shortened: the server takes {room + _HEADROOM} bytes"


def fit_status(status: Status, room: int) -> Status:
    """An event's body, of at most `room` bytes: what is cut are the texts of its error."""
    if len(encode(status)) <= room:
        return status
    reason = _cut(status.reason, _CUTS[-1][0]) if status.reason is not None else None
    short = status
    for error in _shorter(status.error, _note(room)) if status.error is not None else ():
        short = msgspec.structs.replace(status, reason=reason, error=error)
        if len(encode(short)) <= room:
            return short
    return msgspec.structs.replace(short, reason=reason)


def fit_result(result: Result, room: int) -> Result:
    """A result of the coordinator's own, of at most `room` bytes: its error is cut, then its metadata left out."""
    if len(encode(result)) <= room or result.error is None:
        return result
    bare = msgspec.structs.replace(result, metadata={})
    for kept, note in ((result, _note(room)), (bare, f"{_note(room)}, and the metadata did not fit")):
        for error in _shorter(result.error, note):
            short = msgspec.structs.replace(kept, error=error)
            if len(encode(short)) <= room:
                return short
    return short


def fit_dead_letter(letter: DeadLetter, room: int) -> DeadLetter:
    """A dead letter of at most `room` bytes: the request is left out first, then its error is cut."""
    if len(encode(letter)) <= room:
        return letter
    bare = msgspec.structs.replace(letter, request=None, request_raw=None)
    if len(encode(bare)) <= room or letter.error is None:
        return bare
    for error in _shorter(letter.error, _note(room)):
        bare = msgspec.structs.replace(bare, error=error)
        if len(encode(bare)) <= room:
            break
    return bare


class Packed(NamedTuple):
    """Awards in messages that the server takes."""

    messages: list[list[Award]]
    #: Those that fit into no message, and their size in bytes.
    too_large: list[tuple[Award, int]]


def pack_awards(awards: Sequence[Award], room: int) -> Packed:
    """Split awards over as few messages of at most `room` bytes as their order allows."""
    packed = Packed([], [])
    left = 0
    for award in awards:
        size = len(encode(award)) + 1
        if size > room:
            packed.too_large.append((award, size))
        elif size > left:
            packed.messages.append([award])
            left = room - size
        else:
            packed.messages[-1].append(award)
            left -= size
    return packed
