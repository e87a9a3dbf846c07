"""How long an agent takes to answer, learned from its answers: who is waited for, and who is asked less often."""

from __future__ import annotations

#: An agent that has answered nothing for so long is silent, seconds.
SILENT_S = 2.0
#: A silent agent is asked again after a pause that doubles from the first to the longest, seconds.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class AnswerTimes:
    """Of one life of an agent. Pure; times are monotonic seconds."""

    __slots__ = ("_ask_at", "_pause_s", "_since", "typical_s")

    def __init__(self) -> None:
        #: From a question to its answer, smoothed over the latest, seconds; None before the first answer.
        self.typical_s: float | None = None
        #: Since when questions are open without any answer.
        self._since: float | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._ask_at = 0.0

    def asked(self, now_mono: float) -> None:
        """Note a question."""
        if self._since is None:
            self._since = now_mono
        elif self.silent(now_mono):
            self._ask_at = now_mono + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def answered(self, asked_at: float, now_mono: float) -> None:
        """Note the answer to a question of that time: the agent is not silent, however late it comes."""
        took_s = max(now_mono - asked_at, 0.0)
        self.typical_s = took_s if self.typical_s is None else (self.typical_s + took_s) / 2
        self.begin_again()

    def unreachable(self, now_mono: float) -> None:
        """Note that nobody listens where it is asked: it is silent from now on."""
        self._since = now_mono - SILENT_S

    def begin_again(self) -> None:
        """Hold nothing against the agent: it answered, or this process could not hear it."""
        self._since = None
        self._pause_s = _FIRST_PAUSE_S
        self._ask_at = 0.0

    def silent(self, now_mono: float) -> bool:
        """True while questions have been open for long."""
        return self._since is not None and now_mono - self._since >= SILENT_S

    def ask_at(self, now_mono: float) -> float:
        """When it may be asked next: at once, or if it is silent after its pause."""
        return self._ask_at if self.silent(now_mono) else now_mono

    def describe(self, waited_s: float) -> str:
        """Why there is no answer of it in a round, for people."""
        usual = "it has never answered" if self.typical_s is None else f"its answers take about {self.typical_s:.2f} s"
        return f"no answer to the last call for bids within {waited_s:.2f} s; {usual}"
