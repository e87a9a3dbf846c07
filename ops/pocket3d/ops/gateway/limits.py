"""How often somebody may ask: token buckets, one for each caller. Pure: time comes in as an argument."""

from __future__ import annotations

from collections import OrderedDict

#: Callers that are remembered; those that asked longest ago are forgotten first, with a full bucket.
_REMEMBERED = 10_000


class RateLimits:
    """So many requests at once, and so many a second on end, for each key."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        #: Key -> what is left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def ask(self, key: str, now: float) -> float:
        """Take one request; 0 if it may be done, else the seconds after which it may.

        `now` is of a monotonic clock, seconds.
        """
        left, then = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - then) * self._per_s)
        waits_s = 0.0
        if left >= 1:
            left -= 1
        else:
            waits_s = (1 - left) / self._per_s
        self._left[key] = (left, now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return waits_s


class Places:
    """A bounded number of things that callers hold open: event streams, files that are sent."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._held: dict[str, int] = {}
        self.total = 0

    def take(self, key: str) -> bool:
        """One more; false if there is no room."""
        held = self._held.get(key, 0)
        if self.total >= self._most or held >= self._most_of_one:
            return False
        self._held[key] = held + 1
        self.total += 1
        return True

    @property
    def full(self) -> bool:
        """True if nobody gets one more, whoever holds them."""
        return self.total >= self._most

    def give_back(self, key: str) -> None:
        """One less."""
        self.total -= 1
        if self._held[key] > 1:
            self._held[key] -= 1
        else:
            del self._held[key]
