"""JetStream that is off, without a leader or full: how a server shows it, and what to do about it, in words."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .port import TEMPORARILY_UNAVAILABLE, Bus, BusError, NoResponders, OutcomeUnknown

NO_JETSTREAM = (
    "JetStream does not answer: it is off on this server, or the server switched it off because its disk was full; "
    "make room, then restart nats-server with JetStream on (its log says why it is off)"
)
_NO_LEADER = "JetStream has no leader: too few servers of its cluster are up; it goes on by itself when they are back"
_NO_ROOM = (
    "the server's storage for JetStream is used up (its max_file_store or the account's limit): raise it, "
    "or keep less (`pocket3d topology --print` shows for how long things are kept)"
)
_NOT_TAKEN = (
    "JetStream answers, but stores nothing: its disk is full, or was (make room, then restart nats-server), or too few "
    "servers of its cluster are up; the log of nats-server says which"
)
_ENABLE = (
    "enable it for this account in the server's configuration; a full disk switches it off, too, until nats-server is "
    "restarted"
)
_STREAM_NOT_FOUND = 10059
#: There is no room: on the server, and in the account for files. A full stream (10077) and an account without memory
#: (10028) have causes of their own.
NO_ROOM = frozenset({10023, 10047})
#: What to do about an error of JetStream, by its code.
_ADVICE = {
    TEMPORARILY_UNAVAILABLE: _NO_LEADER,
    10039: _ENABLE,
    10076: _ENABLE,
    **dict.fromkeys(NO_ROOM, _NO_ROOM),
}
#: Longer than a server takes that is well, seconds.
_ANSWER_S = 2.0


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


def advice(code: int) -> str:
    """What to do about an error of JetStream, as the end of a sentence; empty if there is nothing to say."""
    return f": {_ADVICE[code]}" if code in _ADVICE else ""


async def why_away(bus: Bus) -> str | None:
    """Ask the server whether JetStream is there for this user's account.

    Returns:
        A sentence that says what is wrong and what to do; None: it is there, or this user may not ask.
    """
    return (await _ask(bus, "INFO")).why


async def why_nothing_is_stored(bus: Bus, stream: str) -> str | None:
    """Ask the server why a message for a stream was not stored.

    Returns:
        As `why_away`; also None where the stream does not exist.
    """
    why = await why_away(bus)
    if why is not None:
        return why
    asked = await _ask(bus, f"STREAM.INFO.{stream}")
    return _NOT_TAKEN if asked.answered else asked.why


class _Asked(NamedTuple):
    #: Without an error.
    answered: bool
    why: str | None = None


async def _ask(bus: Bus, request: str) -> _Asked:
    try:
        answer = await bus.request(f"$JS.API.{request}", b"", timeout=_ANSWER_S)
        error = msgspec.json.decode(answer.data, type=_Answer).error
    except NoResponders:
        return _Asked(False, NO_JETSTREAM)
    except OutcomeUnknown:
        return _Asked(False, _NO_LEADER)
    except (BusError, msgspec.DecodeError):
        # This user may not ask that, the connection is lost, or it is not JetStream who answers.
        return _Asked(False)
    if error is None:
        return _Asked(True)
    if error.err_code == _STREAM_NOT_FOUND:
        return _Asked(False)
    return _Asked(False, f"{error.description} ({error.err_code}){advice(error.err_code)}")
