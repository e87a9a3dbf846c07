"""Whether an adapter has a variant in which jobs may run, and why none has. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pocket3d.contracts.messages import AdapterOffer
from pocket3d.contracts.variants import choices

from ..engine.job import GroupKey


def in_some_variant(offer: AdapterOffer, key: GroupKey) -> bool:
    """False if it has no variant in which the jobs may run. Of an adapter that cannot be imported that is not known."""
    if key.variant is None and not key.raised:
        return True
    return bool(choices(offer, key.wish)) or not (offer.available or offer.vram_mb)


def why_no_variant(others: Iterable[AdapterOffer], key: GroupKey) -> str | None:
    """Why none of the adapters that serve the feature is in a variant that is wanted; None if there are no such."""
    listed = "; ".join(f"{a.adapter_id} has {', '.join(v.name for v in a.variants) or 'none'}" for a in others)
    if not listed:
        return None
    if key.variant is not None:
        return f"no adapter here has a variant {key.variant} ({listed})"
    return f"it ran out of memory in every variant that is here ({listed})"
