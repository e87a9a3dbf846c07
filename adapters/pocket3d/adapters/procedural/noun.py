"""Describes a noun for the grammar and the painter.

A noun's entry is everything that the parser and the painter need; its shape is a function of the same name in one of
the shape modules. Sizes are metres of the real thing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartRule:
    """A part that a prompt may name, with its usual, least and largest number."""

    name: str
    default: int
    least: int
    most: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Noun:
    """One kind of object that can be built."""

    name: str
    aliases: tuple[str, ...]
    #: Width (x), height (y), depth (z), metres.
    size: tuple[float, float, float]
    parts: tuple[PartRule, ...]
    #: Role -> (colour code or "", material): how it looks unless told otherwise. "" is the material's own colour.
    paint: dict[str, tuple[str, str]]
    #: Roles that take the colour and material said of the whole thing.
    tinted: tuple[str, ...]
    #: Roles that take a second colour ("a red and white rocket").
    accent: tuple[str, ...] = ()
    #: The axis of "long": x, or z; "wide" is then the other one.
    lengthwise: str = ""
    #: What a bare measure ("a 3 m boat") means.
    measure: str = "height"
    #: Outlines of `FORMS` that it can have.
    forms: tuple[str, ...] = ()

    def part(self, word: str) -> PartRule | None:
        """The part of that name or alias (singular)."""
        for rule in self.parts:
            if word == rule.name or word in rule.aliases:
                return rule
        return None


def _part(text: str) -> PartRule:
    """`leg 4 1-12 foot`: name, default, range, aliases."""
    name, default, span, *aliases = text.split()
    least, most = span.split("-")
    return PartRule(name, int(default), int(least), int(most), tuple(aliases))


def noun(
    name: str,
    aliases: str,
    size: tuple[float, float, float],
    parts: str,
    paint: str,
    tinted: str,
    accent: str = "",
    lengthwise: str = "",
    measure: str = "height",
    forms: tuple[str, ...] = (),
) -> Noun:
    """An entry from short texts: `aliases` are separated by commas, a part is `leg 4 1-12 foot` (name, default, range,
    aliases), a look is `leg:wood` or `leg:wood:a5733f` (role, material, sRGB).
    """
    looks: dict[str, tuple[str, str]] = {}
    for entry in paint.split():
        role, material, *code = entry.split(":")
        looks[role] = (code[0] if code else "", material)
    rules = tuple(_part(text) for text in parts.split(",") if text.strip())
    return Noun(
        name,
        tuple(a.strip() for a in aliases.split(",") if a.strip()),
        size,
        rules,
        looks,
        tuple(tinted.split()),
        tuple(accent.split()),
        lengthwise,
        measure,
        forms,
    )
