"""The story of a chain or a group as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pocket3d.contracts.subjects import ChainKind

from .event_streams import next_events
from .events import Reader, frame
from .session import Session

_PAGE = 256
#: The event whose body is the request.
_SUBMITTED = "submitted"


async def chain_story(session: Session, reader: Reader, kind: ChainKind, name: str) -> AsyncGenerator[bytes, None]:
    """What was, and what comes, up to its end."""
    bus, subjects = session.client.bus, session.client.subjects
    seen = 0
    while True:
        pattern = subjects.chain_events_of(kind, name)
        page = await bus.pages(subjects.chains_stream, pattern, start=seen + 1, limit=_PAGE)
        word = _SUBMITTED
        for stored in page:
            seen, word = stored.seq, subjects.parse_chain(stored.subject).event
            if word != _SUBMITTED:
                yield frame(kind, stored.data, stored.seq)
        if len(page) < _PAGE:
            break
    if word in ENDS:
        return
    while True:
        for queued in await next_events(session, reader):
            if queued.seq is not None and queued.seq <= seen:
                continue
            yield queued.frame
            if queued.kind == "dropped" or queued.final:
                return


#: After which nothing follows, unless it is tried again.
ENDS = frozenset({"succeeded", "failed", "cancelled"})
