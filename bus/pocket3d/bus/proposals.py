"""Storing results: each is proposed, and the server admits one for a job id over all features."""

from __future__ import annotations

from pocket3d.contracts.subjects import Subjects

from .port import Bus, BusError, Conflict, Expect, TooLarge


class Proposals:
    """Proposes results as the server's stream takes them: on `p3d.propose`, or straight on `p3d.results` where the
    stream is from before there were proposals and was not switched yet.
    """

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects
        #: The stream takes proposals. Until that is known it is asked at every result: it may be switched at any time.
        self._known = False

    def look_again(self) -> None:
        """Ask the stream again: the connection was lost, and it may be another server's."""
        self._known = False

    async def wanted(self) -> bool:
        """True if the stream takes proposals alone.

        Raises:
            Refused: there is no such stream (10059), or this user may not ask (403).
            OutcomeUnknown, NoResponders, Disconnected: it cannot be asked now.
        """
        if not self._known:
            takes = await self._bus.stream_takes(self._subjects.results_stream)
            self._known = self._subjects.all_proposals() in takes
        return self._known

    async def store(self, feature: str, job_id: str, body: bytes, *, timeout: float = 5.0) -> int:
        """Propose a job's one result; the sequence it got.

        Raises:
            Conflict: a result of that job id stands already, under whatever feature.
            OutcomeUnknown, Refused, NoResponders, Disconnected, TooLarge: as `Bus.append`.
        """
        # The expectation names what is stored: in the form of a proposal it would match nothing and admit a second one.
        first = Expect(0, self._subjects.result_of(job_id))
        try:
            subject = await self._subject(feature, job_id)
            return await self._bus.append(subject, body, expect=first, timeout=timeout)
        except (Conflict, TooLarge):
            raise
        except BusError:
            self.look_again()
            raise

    async def _subject(self, feature: str, job_id: str) -> str:
        names = self._subjects
        return names.proposal(feature, job_id) if await self.wanted() else names.result(feature, job_id)
