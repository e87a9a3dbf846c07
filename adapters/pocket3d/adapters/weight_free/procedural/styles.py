"""Ways of building that a prompt may ask for, beside what it asks for: `low poly`, `voxel`, `wooden toy`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

LOW_POLY, VOXEL, WOODEN_TOY = "low poly", "voxel", "wooden toy"

_WAYS: dict[tuple[str, ...], str] = {
    tuple(words.split()): style
    for style, ways in {
        LOW_POLY: ("low poly", "lowpoly", "low polygon", "faceted"),
        VOXEL: ("voxel", "voxels", "voxelized", "voxelised", "minecraft", "pixelated", "lego"),
        WOODEN_TOY: ("wooden toy", "toy wooden", "wood toy"),
    }.items()
    for words in ways
}
#: Words that may follow: "in a low poly style".
_AFTER = frozenset({"style", "styled", "art", "look"})
_BEFORE = frozenset({"in", "a", "an", "the"})


def without_style(tokens: Sequence[str]) -> tuple[list[str], str]:
    """The tokens without the words of a style, and the style, "" for none; the last one wins."""
    out: list[str] = []
    style, at = "", 0
    while at < len(tokens):
        length = next((n for n in (2, 1) if tuple(tokens[at : at + n]) in _WAYS), 0)
        if not length:
            out.append(tokens[at])
            at += 1
            continue
        style = _WAYS[tuple(tokens[at : at + length])]
        at += length
        if at < len(tokens) and tokens[at] in _AFTER:
            at += 1
            while len(out) > 1 and out[-1] in _BEFORE and _said_of_style(tokens, at):
                out.pop()
    return out, style


def _said_of_style(tokens: Sequence[str], after: int) -> bool:
    """True if nothing that "a" or "in" could belong to follows the style."""
    return after >= len(tokens) or tokens[after] in (",", ".", ";", "with", "and")
