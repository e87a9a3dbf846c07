"""Makes the entry of a noun from its recipe: what a prompt may count, what takes its colour, how it is painted."""

from __future__ import annotations

from collections import Counter

from .noun import Noun, PartRule
from .proportions import PROPORTIONS
from .recipe import Nested, flattened

#: Other words for roles.
_ALIASES = {
    "leg": ("paw", "foot", "hoof"), "arm": ("hand",), "hair": ("mane",), "beak": ("bill",), "leaf": ("foliage",),
    "stem": ("stalk",), "tyre": ("tire",), "nose": ("muzzle",), "shoe": ("boot",), "body": (),
    "light": ("headlight",), "antenna": ("feeler",),
}  # fmt: skip
#: Roles that no second colour goes to.
_FIXED = frozenset(["eye", "pupil", "nose", "mouth", "tooth", "claw", "window", "screen", "light", "string"])


def thing(
    name: str,
    metres: float,
    *recipe: Nested,
    also: str = "",
    long: str = "",
    tint: str = "",
    accent: str = "",
    top: tuple[float, float] | None = None,
    hollow: tuple[float, float] | None = None,
    serves: bool = False,
    paired: bool = False,
) -> Noun:
    """The noun of a recipe.

    Args:
        name: the noun.
        metres: the longest side of the real thing.
        recipe: its parts; the first is the main one, which cannot be left out.
        also: other names, with commas between.
        long: `Noun.lengthwise`.
        tint: roles that take the colour of the whole beside the first and those that look like it.
        accent: roles that take a second colour; else the first ones of another look.
        top: `Noun.top`.
        hollow: `Noun.hollow`.
        serves: `Noun.serves`.
        paired: `Noun.paired`.
    """
    parts = tuple(flattened(recipe))
    counts, paint = Counter[str](), dict[str, tuple[str, str]]()
    for each in parts:
        counts[each.role] += len(each.shapes)
        material, _, code = each.look.partition(":")
        if paint.setdefault(each.role, (code, material))[1] != material:
            raise ValueError(f"{name}: {each.role} is of two materials")
    main = parts[0].role
    tinted = (*(role for role in paint if paint[role] == paint[main]), *tint.split())
    others = [role for role in paint if role not in tinted and role not in _FIXED]
    second = tuple(role for role in others if paint[role] == paint[others[0]])
    rules = [
        PartRule(
            role,
            count,
            count if role == main else 0,
            count,
            tuple(a for a in _ALIASES.get(role, ()) if a not in counts),
        )
        for role, count in counts.items()
    ]
    width, height, depth = PROPORTIONS.get(name, (1.0, 1.0, 1.0))
    return Noun(
        name,
        tuple(also.split(", ") if also else ()),
        (round(width * metres, 4), round(height * metres, 4), round(depth * metres, 4)),
        tuple(rules),
        paint,
        tinted,
        tuple(accent.split()) or second,
        long,
        recipe=parts,
        top=top,
        hollow=hollow,
        serves=serves,
        paired=paired,
    )
