"""How bids are ordered. A policy maps an offer to one integer; the least wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import NamedTuple

from pocket3d.contracts.variants import equal_starts

#: Widths of the parts of a score, most significant first.
_START_STEPS = 10_000_000  # steps of 0.1 s: up to 11 days
_PREFERENCE_STEPS = 100
_LEFTOVER_STEPS = 100_000  # steps of 16 MB: up to 1.5 TB


class Candidate(NamedTuple):
    """One offer as the planner sees it now."""

    agent_id: str
    device: str
    adapter_id: str
    #: Seconds until the run could begin: queue, then load.
    est_start_s: float
    #: Place of the adapter in the order of equals, 0 best.
    preference: int
    #: MB of the device that would stay free and unpromised.
    leftover_mb: int
    #: Seconds until it could have its worker and its room, the load not counted.
    wait_s: float
    #: Of the adapter, None and 0 if it has none.
    variant: str | None
    quality: int


Policy = Callable[[Candidate], int]


def _part(value: float, steps: int) -> int:
    # Clamped before it becomes whole: of infinity there is no whole number.
    return int(max(0, min(value, steps - 1)))


def least_start(candidate: Candidate) -> int:
    """Least estimated start, then preference, then best fit.

    Range: 0 to 10^7 * 10^2 * 10^5 - 1 (below 10^14). Starts are compared in steps of 0.1 s, so that noise in
    the estimates does not outweigh the fit. Best fit is Nomad's bin packing in one dimension: the least left over.
    """
    score = _part(candidate.est_start_s * 10, _START_STEPS)
    score = score * _PREFERENCE_STEPS + _part(candidate.preference, _PREFERENCE_STEPS)
    return score * _LEFTOVER_STEPS + _part(candidate.leftover_mb // 16, _LEFTOVER_STEPS)


def spread(candidate: Candidate) -> int:
    """As `least_start`, but the emptiest device first among equals (worst fit); same range."""
    emptier = candidate._replace(leftover_mb=max(0, (_LEFTOVER_STEPS - 1) * 16 - candidate.leftover_mb))
    return least_start(emptier)


def worth_choosing(candidates: Sequence[Candidate], variant_wait_s: float) -> list[bool]:
    """Among which of them the policy chooses: of each adapter the best variant whose start counts as equal to the first
    start, and better ones, however late they are.

    Quality is compared within an adapter only: each has a scale of its own, and which adapter is better is said by the
    job's list and the order of preference.
    """
    least: dict[str, int] = {}
    for adapter_id in {each.adapter_id for each in candidates}:
        alike = [each for each in candidates if each.adapter_id == adapter_id]
        soon = equal_starts([each.wait_s for each in alike], variant_wait_s)
        least[adapter_id] = max(each.quality for each in compress(alike, soon))
    return [each.quality >= least[each.adapter_id] for each in candidates]


#: Policies by the name that settings give.
POLICIES: dict[str, Policy] = {"least_start": least_start, "spread": spread}
