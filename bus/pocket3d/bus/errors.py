"""What can go wrong between a program and the server, as exceptions."""

from __future__ import annotations


class BusError(Exception):
    """Something the bus could not do."""


class Disconnected(BusError):
    """There is no connection; nothing was sent."""


class UntrustedServer(Disconnected):
    """No connection: a server answered, and its TLS certificate is signed by nobody whom this client trusts."""


class NoResponders(BusError):
    """Nobody listens on that subject (or no stream takes it)."""


class OutcomeUnknown(BusError):
    """No answer in time: it may have happened, and may still happen. Read back before deciding."""


class Conflict(BusError):
    """The server refused an append since something stands there: its expectation does not hold (JetStream 10071 and
    10164), or its subject takes no further message (10077 of a subject).
    """

    def __init__(self, message: str, *, last: int | None = None) -> None:
        super().__init__(message)
        #: The sequence that stands there, when the server says it.
        self.last = last


#: JetStream's code for a consumer that is not there.
CONSUMER_NOT_FOUND = 10014
#: JetStream's code while a cluster has no leader for what is asked: it passes.
TEMPORARILY_UNAVAILABLE = 10008


class Refused(BusError):
    """The server refused for another reason."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        #: JetStream's error code, e.g. 10077 for a full stream (that of a full subject is a `Conflict`).
        self.code = code


class TooLarge(BusError):
    """The message is larger than the server's max_payload; nothing was sent."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the message has {size} bytes, the server takes at most {limit}")
        self.size = size
        self.limit = limit
