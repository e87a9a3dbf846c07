"""What the system tells, handed to any number of readers of which each may be slow. Pure: nothing waits here.

One subscription feeds all readers. An event is encoded once, whoever gets it. A reader that is behind keeps the newest
progress of each job and the newest advert of each agent only; one that is further behind than its queue is long is told
how much it missed, and its stream ends: it comes back with `Last-Event-ID` and gets what has a sequence again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from pocket3d.contracts.codec import encode

#: Of which a reader needs the newest only, if it is behind.
_NEWEST_ONLY = frozenset({"progress", "advert"})
KINDS = ("status", "progress", "result", "advert", "chain", "group")


class Event(NamedTuple):
    """One message of the wire, for readers."""

    #: One of `KINDS`, or another of a later version.
    kind: str
    #: Job, chain, group or agent that it is about.
    subject_id: str
    data: bytes
    #: Whose it is; None for what is nobody's own: adverts.
    tenant: str | None
    #: In the stream, where it has one.
    seq: int | None = None
    #: As readers that are no admins get it, where that differs.
    public_data: bytes | None = None
    #: No further step follows of what it is about.
    final: bool = False


def frame(kind: str, data: bytes, seq: int | None = None) -> bytes:
    """One server-sent event. JSON has line breaks between its words at most: they become blanks."""
    lines = [b"event: " + kind.encode(), b"data: " + data.replace(b"\r", b" ").replace(b"\n", b" ")]
    if seq is not None:
        lines.append(b"id: %d" % seq)
    return b"\n".join(lines) + b"\n\n"


def dropped(missed: int) -> bytes:
    """The last event of a reader that was too slow."""
    return frame("dropped", encode({"missed": missed}))


class Wants(NamedTuple):
    """What a reader is to get."""

    #: Of one job, chain, group or agent only.
    subject_id: str | None = None
    #: Of one tenant only.
    tenant: str | None = None
    kinds: frozenset[str] | None = None
    #: It sees who runs where.
    admin: bool = False


class Queued(NamedTuple):
    """An event that waits for its reader."""

    kind: str
    seq: int | None
    frame: bytes
    final: bool = False


class Reader:
    """The events that one reader has still to take, the oldest first."""

    def __init__(self, wants: Wants, longest: int) -> None:
        self.wants = wants
        self._longest = longest
        self._queue: OrderedDict[tuple[str, str], Queued] = OrderedDict()
        self._number = 0
        #: So many it will never get; then its stream is over.
        self.missed = 0

    def takes(self, event: Event) -> bool:
        """True if it wants that event and may see it."""
        wants = self.wants
        if wants.subject_id is not None and event.subject_id != wants.subject_id:
            return False
        if wants.kinds is not None and event.kind not in wants.kinds:
            return False
        return event.tenant is None or wants.tenant is None or event.tenant == wants.tenant

    def put(self, event: Event, admin_frame: bytes, public_frame: bytes) -> None:
        """One more."""
        if self.missed:
            self.missed += 1
            return
        key = (event.kind, event.subject_id)
        if event.kind in _NEWEST_ONLY:
            self._queue.pop(key, None)
        else:
            self._number += 1
            key = ("", str(self._number))
        if len(self._queue) >= self._longest:
            self.missed = len(self._queue) + 1
            self._queue.clear()
            return
        its_frame = admin_frame if self.wants.admin else public_frame
        self._queue[key] = Queued(event.kind, event.seq, its_frame, event.final)

    def take(self) -> list[Queued]:
        """All that waits."""
        taken = list(self._queue.values())
        self._queue.clear()
        return taken

    def __len__(self) -> int:
        return len(self._queue)


class FanOut:
    """Who reads what."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._of_subject: dict[str, set[Reader]] = {}
        self._of_all: set[Reader] = set()

    def __len__(self) -> int:
        return len(self._of_all) + sum(map(len, self._of_subject.values()))

    def open(self, wants: Wants) -> Reader:
        """A new reader; it gets what comes from now on."""
        reader = Reader(wants, self._longest)
        if wants.subject_id is None:
            self._of_all.add(reader)
        else:
            self._of_subject.setdefault(wants.subject_id, set()).add(reader)
        return reader

    def close(self, reader: Reader) -> None:
        """It reads no more."""
        self._of_all.discard(reader)
        of_subject = self._of_subject.get(reader.wants.subject_id or "")
        if of_subject is not None:
            of_subject.discard(reader)
            if not of_subject:
                del self._of_subject[reader.wants.subject_id or ""]

    def wanted(self, kind: str) -> bool:
        """True if somebody who reads of all subjects wants events of that kind."""
        return any(reader.wants.kinds is None or kind in reader.wants.kinds for reader in self._of_all)

    def publish(self, event: Event) -> Iterable[Reader]:
        """Hand an event to all that want it; they are to be woken."""
        readers = [
            reader
            for group in (self._of_all, self._of_subject.get(event.subject_id, ()))
            for reader in group
            if reader.takes(event)
        ]
        if readers:
            whole = frame(event.kind, event.data, event.seq)
            public = whole if event.public_data is None else frame(event.kind, event.public_data, event.seq)
            for reader in readers:
                reader.put(event, whole, public)
        return readers
