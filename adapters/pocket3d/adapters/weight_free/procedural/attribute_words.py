"""Reads the attributes of an object from tokens: colours, materials, sizes, measures, forms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import InvalidInput
from .colours import COLOURS, MATERIAL_WORDS, SHADES, shaded
from .scene import Attributes, Measure, Scale
from .vocabulary import FORMS, INTENSIFIERS, NUMBERS, SIZE_FORMS, SIZES, UNITS

SHORTEST_M, LONGEST_M = 0.001, 1000.0
SMALLEST_FACTOR, LARGEST_FACTOR = 0.05, 20.0
_VERY = 1.5

_TIMES = {"twice": 2.0, "double": 2.0, "thrice": 3.0, "triple": 3.0, "half": 0.5}
#: Axis word -> which of width, height, depth a factor is for.
_AXES = {
    **dict.fromkeys(("tall", "high"), (False, True, False)),
    **dict.fromkeys(("wide", "long"), (True, False, False)),
    "deep": (False, False, True),
    "thick": (True, False, True),
}
_MEASURED = {
    **dict.fromkeys(("tall", "high"), "tall"),
    **dict.fromkeys(("wide", "broad", "thick"), "wide"),
    "long": "long",
    "deep": "deep",
}
#: Second words of colours such as "navy blue": the first is the finer one.
_BROAD = frozenset(
    ["red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "white", "black", "grey", "gray"]
)


class PromptError(InvalidInput):
    """The prompt cannot be built; the message says what is wrong with it and what can be asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "text_prompt")


class Reading(NamedTuple):
    """The attributes that were read, and the index of the first token after them."""

    attributes: Attributes
    after: int


def number(word: str) -> float | None:
    """`4`, `0.5`, `1,000`, `four`, `dozen`; None for anything else."""
    if word in NUMBERS:
        return float(NUMBERS[word])
    if not word[:1].isdecimal() or word == "3d":
        return None
    thousands = re.fullmatch(r"\d{1,3}(,\d{3})+", word)
    return float(word.replace(",", "" if thousands else "."))


def read_size_number(tokens: Sequence[str], at: int, *, feet_are_parts: bool) -> Reading | None:
    """`80 cm tall`, `2x`, `twice as wide`.

    `feet_are_parts`: the thing spoken of has feet, so that "6 feet" without an axis are no length.

    Raises:
        PromptError: a length or factor out of range.
    """
    word = tokens[at]
    if word in _TIMES:
        return _times(tokens, _TIMES[word], word, at + 1)
    value = number(word)
    if value is None:
        return None
    following = _token(tokens, at + 1)
    if following in ("x", "times"):
        return _times(tokens, value, f"{word} {following}", at + 2)
    if following in UNITS:
        reading = _measure(tokens, value * UNITS[following], at)
        measure = reading.attributes.measures[0]
        if feet_are_parts and following in ("foot", "feet") and not measure.axis:
            return None
        if not SHORTEST_M <= measure.metres <= LONGEST_M:
            raise PromptError(f"{measure.phrase!r} was asked for; sizes from 1 mm to {LONGEST_M:.0f} m can be built")
        return reading
    return None


def read_shade(tokens: Sequence[str], at: int) -> Reading | None:
    """`light blue`, `dark wood`. Alone such a word may be a part (a car's light) or a size (a deep shelf)."""
    word, following = tokens[at], _token(tokens, at + 1)
    if word not in SHADES:
        return None
    if following in MATERIAL_WORDS:
        return Reading(Attributes(material=MATERIAL_WORDS[following], shade=word), at + 2)
    if following in COLOURS:
        colour = COLOURS.get(word + following) or shaded(COLOURS[following], word)
        return Reading(Attributes(colours=((f"{word} {following}", colour),)), at + 2)
    return None


def read_compound(tokens: Sequence[str], at: int) -> Reading | None:
    """A colour or material of several words: `midnight blue`, `fire engine red`, `rose gold`."""
    for length in (3, 2):
        words = tokens[at : at + length]
        phrase = " ".join(words)
        if len(words) == length and phrase in MATERIAL_WORDS:
            return Reading(Attributes(material=MATERIAL_WORDS[phrase]), at + length)
        if len(words) == length and "".join(words) in COLOURS:
            return Reading(Attributes(colours=((phrase, COLOURS["".join(words)]),)), at + length)
    return None


def read_likened(tokens: Sequence[str], at: int, length: int) -> Reading | None:
    """A colour or material after the `length` words of a thing: `crocodile green`, `pine wood`."""
    word = _token(tokens, at + length)
    phrase = " ".join(tokens[at : at + length + 1])
    if word in _BROAD:
        return Reading(Attributes(colours=((phrase, COLOURS[word]),)), at + length + 1)
    if word in ("wood", "gold", "leather", "stone", "marble"):
        return Reading(Attributes(material=MATERIAL_WORDS[word]), at + length + 1)
    return None


def read_word(tokens: Sequence[str], at: int) -> Reading | None:
    """A colour, material, form or size."""
    word, following = tokens[at], _token(tokens, at + 1)
    compound = read_compound(tokens, at)
    if compound is not None:
        return compound
    if word in MATERIAL_WORDS:
        return Reading(Attributes(material=MATERIAL_WORDS[word]), at + 1)
    stem = word if word in COLOURS else word.removesuffix("ish")
    if stem in COLOURS:
        finer = following in _BROAD and stem not in _BROAD
        phrase = f"{word} {following}" if finer else word
        return Reading(Attributes(colours=((phrase, COLOURS[stem]),)), at + (2 if finer else 1))
    if word in FORMS:
        return Reading(Attributes(form=FORMS[word]), at + 1)
    power = 1.0
    if word in INTENSIFIERS:
        power, phrase, at = _VERY, f"{word} {following}", at + 1
        word = following
    else:
        phrase = word
    name = SIZE_FORMS.get(word, word)
    if name not in SIZES:
        return None
    width, height, depth = (factor**power for factor in SIZES[name])
    return Reading(Attributes(scales=(Scale(phrase, name, (width, height, depth)),)), at + 1)


def _measure(tokens: Sequence[str], metres: float, at: int) -> Reading:
    after = at + 2
    if _token(tokens, after) == "in" and _token(tokens, after + 1) in SIZE_FORMS:
        # "80 cm in height"
        after += 1
    word = _token(tokens, after)
    axis = _MEASURED.get(SIZE_FORMS.get(word, word), "")
    after += 1 if axis else 0
    return Reading(Attributes(measures=(Measure(" ".join(tokens[at:after]), axis, metres),)), after)


def _times(tokens: Sequence[str], factor: float, phrase: str, at: int) -> Reading:
    if not SMALLEST_FACTOR <= factor <= LARGEST_FACTOR:
        span = f"{SMALLEST_FACTOR} to {LARGEST_FACTOR:.0f}"
        raise PromptError(f"{phrase!r} was asked for; factors from {span} can be built")
    if _token(tokens, at) in ("as", "the") and SIZE_FORMS.get(_token(tokens, at + 1), _token(tokens, at + 1)) in SIZES:
        at += 1
    word = SIZE_FORMS.get(_token(tokens, at), _token(tokens, at))
    axes = _AXES.get(word, (True, True, True))
    if word in _AXES or word in ("big", "large", "size"):
        at += 1
    else:
        word = "big"
    width, height, depth = (factor if scaled else 1.0 for scaled in axes)
    return Reading(Attributes(scales=(Scale(f"{phrase} {word}", word, (width, height, depth)),)), at)


def _token(tokens: Sequence[str], at: int) -> str:
    return tokens[at] if at < len(tokens) else ""
