"""Variants of an adapter: the sizes in which one model can be loaded, e.g. its resolutions; in which of them a job may
run, and which one is preferred. Coordinator and agent ask the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple, Protocol

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


# ---------------------------------------------------------------- in which a job may run


class RaisedNeed(msgspec.Struct, frozen=True, kw_only=True):
    """A variant in which a job ran out of memory, and what the job, in it or in a larger one, needs from then on."""

    adapter_id: str
    variant: str
    #: Null: it must not be tried again.
    vram_mb: Megabytes | None = None


class Wish(NamedTuple):
    """What jobs say of variants and of memory."""

    variant: str | None = None
    #: Replaces what adapters declare.
    vram_mb: int | None = None
    raised: tuple[RaisedNeed, ...] = ()


class Offered(Protocol):
    """An adapter, as adverts and descriptions have it."""

    @property
    def adapter_id(self) -> str:
        """Its id."""

    @property
    def vram_mb(self) -> int:
        """What it declares that it needs, MB; of its smallest variant if it has any."""

    @property
    def variants(self) -> list[Variant]:
        """The sizes in which it can be loaded; empty for one size only."""


class Choice(NamedTuple):
    """One way to run a job: in a variant or, of an adapter without any, as it is (None)."""

    variant: str | None
    quality: int
    #: MB that the adapter declares for it.
    declared_mb: int
    #: MB that the job needs instead; None for what is declared.
    asked_mb: int | None = None

    @property
    def need_mb(self) -> int:
        """MB that the job needs, as far as is declared."""
        return self.declared_mb if self.asked_mb is None else self.asked_mb


def choices(adapter: Offered, wish: Wish) -> list[Choice]:
    """In which variants of an adapter a job may run, the best first.

    A job that names a variant runs in no other. One that asks for a certain memory gets a variant that declares no
    more or, if all declare more, the smallest.
    """
    if not adapter.variants:
        return [] if wish.variant is not None else [Choice(None, 0, adapter.vram_mb, wish.vram_mb)]
    if wish.variant is not None:
        named = variant_named(adapter.variants, wish.variant)
        return [] if named is None else [Choice(named.name, named.quality, named.vram_mb, wish.vram_mb)]
    variants = best_first(adapter.variants)
    if wish.vram_mb is not None:
        least = min(each.vram_mb for each in variants)
        most = max(wish.vram_mb, least)
        return [Choice(v.name, v.quality, v.vram_mb, wish.vram_mb) for v in variants if v.vram_mb <= most]
    found: list[Choice] = []
    for each in variants:
        raised_mb = _raised_mb(adapter, each, wish.raised)
        if raised_mb is not None:
            found.append(Choice(each.name, each.quality, each.vram_mb, raised_mb or None))
    return found


def _raised_mb(adapter: Offered, variant: Variant, raised: Iterable[RaisedNeed]) -> int | None:
    """What a job needs in a variant after it ran out of memory there or in a smaller one, MB; 0 if it never did, and
    None where it must not run.
    """
    asked_mb = 0
    for one in raised:
        failed = variant_named(adapter.variants, one.variant) if one.adapter_id == adapter.adapter_id else None
        if failed is None or failed.vram_mb > variant.vram_mb:
            continue
        if one.vram_mb is None:
            return None
        asked_mb = max(asked_mb, variant.vram_mb, one.vram_mb)
    return asked_mb


# ---------------------------------------------------------------- which one is preferred


def equal_starts(waits_s: Sequence[float], variant_wait_s: float) -> list[bool]:
    """Which of the ways to run a job in one adapter count as equally soon, so that the best variant among them is
    preferred: those that begin within `variant_wait_s` of the first.

    Args:
        waits_s: seconds until each could have its worker and its room. The load is not counted, or a small variant that
            happens to be loaded would keep out a better one for which there is room.
        variant_wait_s: how much longer a job may wait for a better variant.
    """
    if not waits_s:
        return []
    latest = min(waits_s) + max(variant_wait_s, _SAME_START_S)
    return [wait_s <= latest for wait_s in waits_s]


def label(adapter_id: str, variant: str | None) -> str:
    """An adapter and its variant, in words."""
    return adapter_id if variant is None else f"{adapter_id} as {variant}"
