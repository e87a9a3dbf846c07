"""Finds the names of things among the tokens of a prompt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .attribute_words import number, read_shade, read_word
from .colours import COLOURS, MATERIAL_WORDS
from .nouns import NAMES, PART_WORDS
from .vocabulary import COPULAS, IRREGULAR_PLURALS, JOINERS, RELATIONS, SILENT, WITH_WORDS, WITHOUT_WORDS

#: They begin another noun phrase.
_OPENERS = frozenset({"a", "an", "the", "of"})


def singular(word: str) -> str:
    """The singular of a regular or listed plural, as far as the vocabulary knows it; else the word."""
    if _known(word):
        return word
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        stem = word.removesuffix(ending) + instead
        # "panes" are no pans.
        sounds = ending != "es" or stem.endswith(("s", "x", "z", "ch", "sh", "o"))
        if word.endswith(ending) and sounds and _known(stem):
            return stem
    return word


def _known(word: str) -> bool:
    return (word,) in NAMES or word in PART_WORDS


def is_name(words: Sequence[str]) -> bool:
    """True if the words, in singular or plural, name a thing."""
    return bool(words) and (tuple(words) in NAMES or (*words[:-1], singular(words[-1])) in NAMES)


def name_at(tokens: Sequence[str], at: int) -> tuple[str, int] | None:
    """The noun of the longest name that begins at a token, and how many tokens that is."""
    for length in (3, 2, 1):
        words = tokens[at : at + length]
        name = NAMES.get(tuple(words)) or NAMES.get((*words[:-1], singular(words[-1]))) if words else None
        if name is not None:
            return name, len(words)
    return None


def relation_at(tokens: Sequence[str], at: int) -> tuple[str, int] | None:
    """The relation of the longest phrase that begins at a token, and how many tokens that is."""
    for length in (4, 3, 2, 1):
        words = tuple(tokens[at : at + length])
        if words in RELATIONS:
            return RELATIONS[words], len(words)
    return None


def describes_later(tokens: Sequence[str], at: int, *, named: bool) -> bool:
    """True where a colour or material that is a thing too ("orange", "stone") is said of a thing or part after it.

    `named`: a thing was named before it since the last joiner.
    """
    word = tokens[at]
    if word not in COLOURS and word not in MATERIAL_WORDS:
        return False
    return described_from(tokens, at + 1, named=named) is not None


def described_from(tokens: Sequence[str], after: int, *, named: bool) -> int | None:
    """The place of the thing or part that is described by what ends before `after`; None where there is none."""
    for place in range(after, len(tokens)):
        later = tokens[place]
        if later == "and" and place == after and not named:
            # "an orange and white cat"
            continue
        ends = later in JOINERS or later in WITH_WORDS or later in COPULAS or later in _OPENERS
        if ends or (later,) in RELATIONS:
            return None
        if name_at(tokens, place) is not None or singular(later) in PART_WORDS:
            return place
    return None


def means_nothing(tokens: Sequence[str], at: int) -> bool:
    """True if a token has no meaning in the grammar, so that it may stand between a noun and what it describes."""
    word = tokens[at]
    glue = word in SILENT or word in JOINERS or word in WITH_WORDS or word in WITHOUT_WORDS or word in COPULAS
    if glue or word in ("a", "an") or _known(singular(word)) or word.endswith("ing"):
        return False
    said = number(word) is not None or read_word(tokens, at) or read_shade(tokens, at) or relation_at(tokens, at)
    return not said
