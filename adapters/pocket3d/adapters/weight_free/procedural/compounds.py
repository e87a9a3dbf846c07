"""Nouns that are no things of their own where they stand: they name a colour, or describe a part. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .attribute_words import Reading, read_compound, read_likened
from .names import described_from, name_at, singular
from .noun import Noun
from .nouns import NOUNS
from .things import LIVING, WORN

#: A pumpkin with a face has no human head beside it.
_OF_BODIES = frozenset({"head", "hand"})


def colour_named_after(tokens: Sequence[str], at: int, *, named: bool, said_after: bool) -> Reading | None:
    """A colour or material of several words, of which the first may be a thing: "lemon yellow chair".

    Args:
        tokens: the prompt's.
        at: where it would begin.
        named: a thing was named before, since the last joiner.
        said_after: what comes says something of a thing before.
    """
    found, reading = name_at(tokens, at), read_compound(tokens, at)
    if found is None:
        return reading
    if reading is not None and reading.after <= at + found[1]:
        return None
    known = reading is not None
    reading = reading or read_likened(tokens, at, found[1])
    if reading is None or said_after or (known and named and tokens[at - 1] not in ("a", "an", "the")):
        return reading
    place = described_from(tokens, reading.after, named=named)
    if place is None:
        return None
    later = name_at(tokens, place)
    worn = found[0] in LIVING and later is not None and later[0] in WORN
    # "robot red eyes", "girl blue dress": said without "with"
    return None if not known and (worn or NOUNS[found[0]].part(singular(tokens[place]))) else reading


def ends_as_colour(tokens: Sequence[str], at: int) -> bool:
    """True if a colour is there that nothing follows which it could describe: "a chair lemon yellow"."""
    reading = read_compound(tokens, at)
    return reading is not None and described_from(tokens, reading.after, named=True) is None


def as_part(tokens: Sequence[str], at: int, owner: Noun) -> tuple[str, int, str] | None:
    """How the thing that is named at a token belongs to what it is said of with "with".

    Returns:
        The part that it is ("" if it only describes one, or is none), the first token after it, and why it is ignored;
        None where it is a thing of its own.
    """
    found = name_at(tokens, at)
    if found is None:
        return None
    name, length = found
    after = at + length
    rule = owner.part(singular(tokens[after - 1]))
    if rule is not None and length > 1:
        # "a snowman with a top hat"
        return rule.name, after, ""
    if after < len(tokens) and owner.part(singular(tokens[after])) and name_at(tokens, after) is None:
        return "", after, "it describes the part after it"
    if name in _OF_BODIES and rule is None:
        return "", after, f"no part of {owner.name}"
    return None
