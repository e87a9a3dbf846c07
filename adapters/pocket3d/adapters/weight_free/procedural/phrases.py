"""Finds the noun that each phrase of a prompt is about, and what to do where it is not known. Pure.

A phrase ends at a joiner, a relation, `with`, a verb or `of`; its head is its last word or two. A head that is a kind
of something known is replaced by it, and that is said; if the head of the first phrase is known to be a thing but not
one that can be built, the prompt is refused rather than made into another thing.
"""

from __future__ import annotations

from typing import NamedTuple

from .colours import COLOURS, MATERIAL_WORDS
from .kinds import Meaning, meaning_of
from .names import is_name, name_at, relation_at, singular
from .nouns import NAMES, PART_WORDS
from .vocabulary import (
    ADJECTIVES,
    COLLECTIVES,
    COPULAS,
    FORMS,
    INTENSIFIERS,
    JOINERS,
    NUMBERS,
    PARTICIPLES,
    PREPOSITIONS,
    SILENT,
    SIZE_FORMS,
    SIZES,
    UNITS,
    VIEWS,
    WITH_WORDS,
    WITHOUT_WORDS,
)

_ENDS = frozenset({"that", "which", "who", "whose", "of", "for", *PREPOSITIONS})
_ATTRIBUTES = frozenset([*COLOURS, *MATERIAL_WORDS, *FORMS, *SIZES, *SIZE_FORMS, *INTENSIFIERS, *NUMBERS, *UNITS])
#: They begin another noun phrase, or are said of the noun before.
_STARTS = frozenset(["a", "an", "the", "and", "its", "each", *NUMBERS, *WITH_WORDS, *WITHOUT_WORDS, *COPULAS])
#: "a statue of a lion" is a lion of stone.
_STATUES = frozenset({"statue", "sculpture", "figurine", "bust", "statuette"})


class Headed(NamedTuple):
    """The tokens with heads replaced by what they are made as."""

    tokens: list[str]
    #: What was replaced, for people.
    notes: list[str]
    #: The head of the first phrase, if it cannot be built though it is a thing.
    unknown: str
    #: What is known of it.
    meaning: Meaning | None


def with_known_heads(tokens: list[str]) -> Headed:
    """Replace the head of each phrase that is a kind of a known noun."""
    tokens = _without_frames(tokens)
    out: list[str] = []
    notes: list[str] = []
    first = True
    at = 0
    while at < len(tokens):
        end = at
        while end < len(tokens) and (not _ends_phrase(tokens, end, at) or _only_adjectives(tokens, at, end)):
            end += 1
        phrase = tokens[at:end]
        if any(word not in SILENT and word not in ("a", "an") for word in phrase):
            length, made_as, meaning = _head(noun := _without_participle(phrase))
            said = " ".join(noun[len(noun) - length :])
            if made_as:
                notes.append(f"{said}: made as {_one(made_as)}, which it is a kind of")
                phrase = [*noun[: len(noun) - length], *made_as.split(), *phrase[len(noun) :]]
            elif meaning is not None and first:
                return Headed(tokens, notes, said, meaning)
            elif (loose := _made_loosely(said)) is not None:
                notes.append(f"{said}: made as {_one(loose)}")
            elif first and _asks_for_part(phrase):
                notes.append(f"{' '.join(phrase[-2:])}: the whole {phrase[-2]} is made, parts alone are not")
            first = False
        out += phrase
        if end < len(tokens):
            out.append(tokens[end])
        at = end + 1
    return Headed(out, notes, "", None)


def _made_loosely(said: str) -> str | None:
    """The noun of a name that is no other word for it: a moose is made as a deer, but a couch is a sofa."""
    found = name_at(said.split(), 0)
    if found is None or found[1] != len(said.split()) or singular(said) == found[0]:
        return None
    meaning = _meaning(said)
    return found[0] if meaning is not None and meaning.names != found[0] else None


def _asks_for_part(phrase: list[str]) -> bool:
    """`chair leg`"""
    part = singular(phrase[-1])
    known = is_name(phrase[-1:]) or is_name(phrase[-2:])
    return len(phrase) > 1 and part in PART_WORDS and not known and is_name(phrase[-2:-1])


def _without_frames(tokens: list[str]) -> list[str]:
    """Without "a photo of", "a bunch of"; "a statue of" leaves its stone."""
    out: list[str] = []
    unsaid = False
    for at, word in enumerate(tokens):
        if unsaid and word in ("a", "an", "the"):
            unsaid = False
            continue
        if word == "of" and at and not is_name(tokens[at - 1 : at + 2]):
            before = singular(tokens[at - 1])
            if before in _STATUES and any(is_name([later]) or _meaning(later) for later in tokens[at + 1 : at + 5]):
                # "a stone lion": its own article would make it another thing.
                out[-1], unsaid = "stone", True
                continue
            if before in COLLECTIVES and _is_plural(tokens, at + 1):
                out[-1] = COLLECTIVES[before]
                continue
            if tokens[at - 1] in VIEWS or before in VIEWS or before in COLLECTIVES:
                out.pop()
                continue
        out.append(word)
    return out


def _is_plural(tokens: list[str], at: int) -> bool:
    """Whether the next noun, known or not, is in plural."""
    end = at
    while end < len(tokens) and not (_ends_phrase(tokens, end, at) and not _only_adjectives(tokens, at, end)):
        end += 1
    phrase = _without_participle(tokens[at:end])
    named = [word for word in phrase if is_name([word])]
    return any(singular(word) != word for word in named) or (not named and phrase[-1:] != [] and phrase[-1][-1] == "s")


def _only_adjectives(tokens: list[str], start: int, at: int) -> bool:
    """True at the comma of "a small, rustic cabin"."""
    phrase = [word for word in tokens[start:at] if word not in SILENT and word not in ("a", "an", ",")]
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    if tokens[at] != "," or not phrase or not following or following in _STARTS:
        return False
    if any(is_name(phrase[k : k + n]) for k in range(len(phrase)) for n in (1, 2)):
        return False
    meaning = _meaning(phrase[-1])
    if meaning is not None and phrase[-1].endswith("s"):
        return False
    if meaning is None or meaning.rare or phrase[-1] in _ATTRIBUTES or phrase[-1] in ADJECTIVES:
        return True
    # "an ancient, weathered statue": people are called by what they are like.
    return len(phrase) == 1 and meaning.made_as == "man"


def _without_participle(phrase: list[str]) -> list[str]:
    """Without what is done at its end: "a hammock strung"."""
    kept = list(phrase)
    while (
        len(kept) > 1
        and not is_name(kept[-1:])
        and kept[-1] not in _ATTRIBUTES
        and (kept[-1] in PARTICIPLES or (kept[-1].endswith(("ed", "ing")) and _meaning(kept[-1]) is None))
    ):
        kept.pop()
    return kept


def _ends_phrase(tokens: list[str], at: int, start: int) -> bool:
    word = tokens[at]
    if word == "of" and at and is_name(tokens[at - 1 : at + 2]):
        # "a coil of rope"
        return False
    if word in JOINERS or word in WITH_WORDS or word in WITHOUT_WORDS or word in COPULAS or word in _ENDS:
        return True
    if relation_at(tokens, at) is not None:
        return True
    # "a bear playing a guitar": a verb after the noun.
    return word.endswith("ing") and at > start and is_name(tokens[at - 1 : at]) and (word,) not in NAMES


def _head(phrase: list[str]) -> tuple[int, str, Meaning | None]:
    """Words of the head, the noun to replace it by ("" for none), and its meaning where it is not known."""
    for length in (3, 2):
        if len(phrase) >= length and is_name(phrase[-length:]):
            return length, "", None
    last = singular(phrase[-1])
    known = NAMES.get((last,))
    if len(phrase) > 1:
        compound = _meaning(f"{phrase[-2]} {phrase[-1]}")
        if compound is not None and phrase[-2] in _ATTRIBUTES and not compound.made_as:
            # "red salmon" is a dish in WordNet; here the colour is meant.
            compound = None
        if compound is not None and (known is None or known not in (compound.made_as, *compound.neighbours)):
            # "guinea pig" is no pig; "black bear" is a bear, and a fishing boat at least near a boat.
            return 2, compound.made_as, compound
    if known or last in PART_WORDS or (phrase[-1] in _ATTRIBUTES and len(phrase) > 1 and _names_one(phrase)):
        return 1, "", None
    meaning = _meaning(phrase[-1])
    if meaning is not None and meaning.rare and _names_one(phrase):
        # "a chair design"
        return 1, "", None
    return 1, meaning.made_as if meaning else "", meaning


def _names_one(phrase: list[str]) -> bool:
    return any((singular(word),) in NAMES for word in phrase[:-1])


def _meaning(words: str) -> Meaning | None:
    """The meaning of a noun in singular or plural."""
    for ending, instead in (("", ""), ("men", "man"), ("ves", "f"), ("ies", "y"), ("es", ""), ("s", "")):
        if words.endswith(ending):
            found = meaning_of(words.removesuffix(ending) + instead)
            if found is not None:
                return found
    return None


def _one(noun: str) -> str:
    plural = noun.endswith("s") and not noun.endswith(("ss", "us"))
    return noun if plural else f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
