"""When a new leader has read what lay in the streams as it took the lead. Pure."""

from __future__ import annotations

#: So long what lies in a stream may not come before it is asked for again, seconds.
STALLED_S = 5.0


class CatchUpCounter:
    """What is still to be read of what lay in a stream at a moment. A redelivered message counts once."""

    def __init__(self) -> None:
        #: Messages that lay there; None until they were counted.
        self._count: int | None = None
        self._done = False
        self._read: set[int] = set()
        #: Of those read, the ones that have been acked since.
        self._acked: set[int] = set()
        #: How much was read and acked, and since when it has not been more.
        self._progress: tuple[int, int, float] | None = None

    @property
    def done(self) -> bool:
        """True when all of it was read."""
        return self._done

    def read(self, seq: int) -> bool:
        """A message was read; true if it was the last of what lay there."""
        if self._done:
            return False
        self._read.add(seq)
        return self._count is not None and len(self._read) >= self._count and self._end()

    def acked(self, seq: int) -> None:
        """The server has confirmed our ack."""
        if seq in self._read:
            self._acked.add(seq)

    def counted(self, unacked: int) -> bool:
        """So many lie there un-acked now; true if that shows that all of them have been read.

        The first count is taken before anything is read. Later ones find what an ack of the former leader, which came
        late, took away: it was counted, and is never delivered.
        """
        if self._done:
            return False
        if self._count is None:
            self._count = unacked
            return unacked <= len(self._read) and self._end()
        return unacked <= len(self._read) - len(self._acked) and self._end()

    def stalled(self, now_mono: float) -> bool:
        """True if nothing has come for so long that what lies there must have been handed to somebody else: to a former
        leader that pulled once more, after this one had taken over.
        """
        read, acked = len(self._read), len(self._acked)
        if self._progress is None or self._progress[:2] != (read, acked):
            self._progress = (read, acked, now_mono)
        if self._done or now_mono - self._progress[2] < STALLED_S:
            return False
        self._progress = None
        return True

    def _end(self) -> bool:
        self._done = True
        self._read, self._acked = set(), set()
        return True
