"""Variants of an adapter: the sizes in which one model can be loaded, e.g. its resolutions; and which one to prefer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import msgspec

from .bounds import Megabytes

VARIANT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")

#: Starts that differ by less are equal, seconds: estimates are no better.
_SAME_START_S = 0.1

Quality = Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One of the sizes in which an adapter can be loaded. `vram_mb` is of the loaded model and one request."""

    name: str
    vram_mb: Megabytes
    #: The higher the better; compared among the variants of one adapter only.
    quality: Quality


def variant_named(variants: Iterable[Variant], name: str | None) -> Variant | None:
    """The variant of that name, or None."""
    return next((each for each in variants if each.name == name), None)


def best_first(variants: Iterable[Variant]) -> list[Variant]:
    """Highest quality first; of equals the one that needs least."""
    return sorted(variants, key=lambda each: (-each.quality, each.vram_mb, each.name))


def problem_of(variants: Iterable[Variant]) -> str | None:
    """Why these cannot be the variants of one adapter, or None."""
    seen: set[str] = set()
    for each in variants:
        if not VARIANT_PATTERN.fullmatch(each.name):
            return f"variant {each.name[:80]!r}: want 1 to 32 of A-Z, a-z, 0-9, _, . and -, a letter or digit first"
        if each.name in seen:
            return f"variant {each.name!r} is there twice"
        seen.add(each.name)
    return None


class Start(NamedTuple):
    """When a job could begin in some variant of an adapter, seconds from now, its load not counted."""

    queue_s: float
    quality: int


def worth_waiting(starts: Sequence[Start], wait_s: float) -> list[bool]:
    """Which of these starts of one adapter remain to choose from: those that begin within `wait_s` of the first count
    as equal, and of them the best quality remains; so do all that begin later.

    A load is no wait: else a small variant that happens to be loaded would keep out a better one that has room.
    """
    first = min((start.queue_s for start in starts), default=0.0)
    near = [start.queue_s <= first + max(wait_s, _SAME_START_S) for start in starts]
    best = max((start.quality for start, is_near in zip(starts, near, strict=True) if is_near), default=0)
    return [not is_near or start.quality >= best for start, is_near in zip(starts, near, strict=True)]
