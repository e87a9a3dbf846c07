"""What the parser and the painter need to know of one kind of thing, and how such entries are written down."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .recipe import Parts


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
    #: The axis of "long" and of a bare measure ("a 3 m boat"): x, or z; "wide" is then the other one. "" for none:
    #: a bare measure is then its height.
    lengthwise: str = ""
    #: Outlines of `FORMS` that it can have.
    forms: tuple[str, ...] = ()
    #: What it consists of; () if a shape module has a function of its name.
    recipe: Parts = ()
    #: Where others stand on it and in it: share of its height, and half the area's side as a share of its own.
    top: tuple[float, float] | None = None
    hollow: tuple[float, float] | None = None
    #: "a table with a lamp" means on it.
    serves: bool = False
    #: A pair of it is one thing (jeans).
    paired: bool = False

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


def read_nouns(table: str) -> dict[str, Noun]:
    """The nouns of a table, by name. Each begins with a line `name width x height x depth: alias, ...` (metres); its
    further lines are indented and begin with a field of `Noun`. A part is `leg 4 1-12 foot` (name, default, range,
    aliases), a look is `leg:wood` or `leg:wood:a5733f` (role, material, sRGB). Lines that begin with `#` are comments.
    """
    found: dict[str, Noun] = {}
    for entry in re.split(r"\n(?=\w)", re.sub(r"(?m)^#.*\n", "", table).strip()):
        head, *lines = entry.splitlines()
        shape, _, aliases = head.partition(": ")
        name, _, size = shape.partition(" ")
        width, height, depth = map(float, size.split(" x "))
        fields: dict[str, str] = {}
        for line in lines:
            field, _, said = line.strip().partition(" ")
            fields[field] = f"{fields.get(field, '')} {said}".strip()
        looks = [look.split(":") for look in fields["paint"].split()]
        found[name] = Noun(
            name,
            tuple(aliases.split(", ") if aliases else ()),
            (width, height, depth),
            tuple(_part(text) for text in fields.get("parts", "").split(", ") if text),
            {role: (code[0] if code else "", material) for role, material, *code in looks},
            tuple(fields["tinted"].split()),
            tuple(fields.get("accent", "").split()),
            fields.get("lengthwise", ""),
            tuple(fields.get("forms", "").split()),
        )
    return found
