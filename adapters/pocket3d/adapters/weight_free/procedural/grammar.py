"""Parses a prompt to a `Scene`. Pure.

    prompt    = things { joiner things | relation things }
    things    = [count] { attribute } noun { attribute } [ with parts ]
    parts     = part { joiner part }
    part      = [count | no] { attribute } part-noun { attribute }
    attribute = [very] size | [shade] colour | [shade] material | number unit [axis] | number x [axis]
    joiner    = and , & plus
    with      = with having has featuring ... without
    relation  = on | under | next to | behind | in front of | left of | right of | around | in

What is said after a noun ("a table made of wood", "the legs are red") belongs to that noun. Of two nouns in a row the
first only describes the second ("table lamp"). A word that fits nowhere is ignored, and listed as ignored.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .attribute_words import PromptError, Reading, number, read_shade, read_size_number, read_word
from .colours import COLOURS, MATERIAL_WORDS
from .compounds import as_part, colour_named_after, ends_as_colour
from .names import describes_later, means_nothing, name_at, relation_at, singular
from .nouns import NOUNS, PART_WORDS
from .phrases import with_known_heads
from .refusals import not_built, nothing_named
from .scene import Attributes, ObjectRequest, PartRequest, Relation, Scene
from .styles import without_style
from .vocabulary import COPULAS, INTENSIFIERS, JOINERS, LIKENESSES, SILENT, WITH_WORDS, WITHOUT_WORDS

MAX_OBJECTS = 24
#: Nouns with a shape function that others can be put into.
_HOLLOW = frozenset({"cup", "vase", "bowl", "goblet"})

_TOKEN = re.compile(r"3d|\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:[.,]\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[,;.&+]")


def parse(prompt: str) -> Scene:
    """Read a prompt.

    Raises:
        PromptError: no noun that is known, the prompt is about another one, or a count or measure that cannot be built.
    """
    tokens, style = without_style([match.group() for match in _TOKEN.finditer(prompt.lower())])
    headed = with_known_heads(tokens)
    if headed.meaning is not None:
        raise not_built(headed.unknown, headed.meaning)
    return replace(_Reader(headed.tokens).read(), notes=tuple(headed.notes), style=style)


class _Reader:
    """One pass over the tokens, with the attributes that no noun has taken yet."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._objects: list[ObjectRequest] = []
        #: The thing that is spoken of.
        self._current = -1
        #: The thing that a relation is said of: the vase in "a vase with a flower on a table".
        self._subject = -1
        self._relations: list[Relation] = []
        self._ignored: list[str] = []
        #: Said, and waiting for its noun.
        self._pending = Attributes()
        self._count: int | None = None
        #: "a" or "an" was read: one, where one is possible.
        self._article = False
        #: Parts of a thing that is not named yet ("three-legged stool").
        self._early_parts: list[PartRequest] = []
        #: The part that was named last, "" if it was the thing itself.
        self._target_part = ""
        self._in_parts = False
        #: What comes says something of the noun before ("made of ...").
        self._after = False
        #: A noun was read since the last joiner.
        self._named = False
        self._relation = ""
        #: "of" was read after a thing: a basket of apples.
        self._of = False
        #: The noun that came with "the".
        self._definite = ""

    def read(self) -> Scene:
        while self._at < len(self._tokens):
            self._step()
        self._flush()
        for part in self._early_parts:
            self._ignore(part.name, "a part without its thing")
        if self._relation and self._relation != "in":
            self._ignore(self._relation)
        for request in self._objects:
            form = request.attributes.form
            if form and form not in NOUNS[request.noun].forms:
                self._ignore(form, f"no form of {request.noun}")
        if not self._objects:
            raise nothing_named(self._tokens)
        return Scene(tuple(self._objects), tuple(self._relations), tuple(self._ignored))

    # ------------------------------------------------------------ one step

    def _step(self) -> None:
        word = self._tokens[self._at]
        named = name_at(self._tokens, self._at)
        # "double bass" is no number.
        if (
            self._read_relation()
            or self._take(self._named_after_a_thing())
            or (named is not None and named[1] > 1 and self._read_noun())
            or self._read_number()
            or self._take(read_shade(self._tokens, self._at))
            or self._read_noun()
        ):
            return
        if word in WITH_WORDS:
            self._flush()
            self._in_parts, self._after, self._named = True, False, False
        elif word in WITHOUT_WORDS:
            self._flush()
            self._in_parts = self._in_parts or word == "without"
            self._after, self._named, self._count = False, False, 0
        elif word in JOINERS:
            self._join()
        elif word in COPULAS:
            if self._objects and not self._relation:
                self._flush()
                self._after = True
        elif word in ("a", "an"):
            self._article = True
        elif word == "of" and self._named and not self._after:
            self._of = True
        elif self._take(read_word(self._tokens, self._at)):
            return
        elif word not in SILENT and word not in INTENSIFIERS:
            self._ignore(word)
        self._at += 1

    def _join(self) -> None:
        # "a red and white mushroom": the noun is still to come, so what was said waits for it.
        # "a chair in red and a table": no noun followed "in", so it was said of the chair.
        self._of = False
        if self._named or self._relation == "in":
            self._flush()
            self._relation, self._after, self._named = "", False, False

    def _flush(self) -> None:
        """Give attributes that no noun follows to the noun before them."""
        if self._objects:
            self._say(self._pending)
        else:
            for said in self._pending.said():
                self._ignore(said)
        self._pending = Attributes()
        if self._count is not None:
            self._ignore(str(self._count))
            self._count = None

    def _say(self, attributes: Attributes) -> None:
        last = self._objects[self._current]
        if self._target_part:
            self._objects[self._current] = last.with_part(PartRequest(self._target_part, None, attributes))
        else:
            self._objects[self._current] = replace(last, attributes=last.attributes.joined(attributes))

    def _ignore(self, what: str, why: str = "") -> None:
        entry = f"{what} ({why})" if why else what
        if entry not in self._ignored:
            self._ignored.append(entry)

    # ------------------------------------------------------------ relations

    def _read_relation(self) -> bool:
        found = relation_at(self._tokens, self._at)
        if found is None:
            return False
        kind, length = found
        words = self._tokens[self._at : self._at + length]
        self._at += length
        if not self._objects:
            self._ignore(" ".join(words))
        elif kind == "in" and self._pending and not self._named:
            # "a 2 m wide in ...": nothing to relate yet.
            self._ignore("in")
        else:
            self._flush()
            self._relation, self._named, self._in_parts, self._after, self._of = kind, False, False, False, False
        return True

    # ------------------------------------------------------------ nouns

    def _read_noun(self) -> bool:
        found = name_at(self._tokens, self._at)
        word = singular(self._tokens[self._at])
        if found is not None and found[1] == 1 and self._is_attribute():
            return False
        if self._read_adjective_part():
            return True
        rule = self._current_part(word)
        if rule and (self._in_parts or self._relation or found is None):
            # "a table on four legs"
            if self._relation in ("on", "in"):
                self._relation, self._in_parts = "", True
            self._at += 1
            self._take_part(rule)
            return True
        whole = NOUNS[self._objects[self._current].noun] if self._in_parts and self._objects else None
        belongs = as_part(self._tokens, self._at, whole) if whole else None
        if belongs is not None:
            part, after, why = belongs
            if not part:
                self._ignore(" ".join(self._tokens[self._at : after]), why)
            self._at = after
            if part:
                self._take_part(part)
            elif why.startswith("no part"):
                self._pending, self._count, self._named = Attributes(), None, True
            return True
        if found is not None:
            name, length = found
            after = self._at + length
            # "a cat-free cup": one word that means nothing here may stand between.
            if after < len(self._tokens) and means_nothing(self._tokens, after):
                after += 1
            likened = after < len(self._tokens) and self._tokens[after] in LIKENESSES
            described = name_at(self._tokens, after) is not None and not ends_as_colour(self._tokens, after)
            if likened or (described and not self._after):
                self._ignore(" ".join(self._tokens[self._at : self._at + length]), "it describes the noun after it")
                self._at += length
                return True
            phrase = " ".join(self._tokens[self._at : self._at + length])
            self._definite = name if self._at and self._tokens[self._at - 1] == "the" else ""
            self._at += length
            self._take_object(name, phrase)
            return True
        if word in PART_WORDS and word not in COLOURS:
            owner = NOUNS[self._objects[self._current].noun].name if self._objects else ""
            self._ignore(self._tokens[self._at], f"no part of {owner}" if owner else "a part without its thing")
            self._at += 1
            self._pending, self._count = Attributes(), None
            self._named = True
            return True
        return False

    def _named_after_a_thing(self) -> Reading | None:
        after = bool(self._objects) and not self._article and (self._after or self._relation == "in")
        return colour_named_after(self._tokens, self._at, named=self._named, said_after=after)

    def _is_attribute(self) -> bool:
        """True if a word that is a thing too is said of another thing: "orange", "stone"."""
        if self._after or (self._relation == "in" and not self._article):
            return self._tokens[self._at] in COLOURS or self._tokens[self._at] in MATERIAL_WORDS
        return describes_later(self._tokens, self._at, named=self._named)

    def _current_part(self, word: str) -> str:
        if not self._objects:
            return ""
        rule = NOUNS[self._objects[self._current].noun].part(word)
        return rule.name if rule else ""

    def _read_adjective_part(self) -> bool:
        """`three-legged stool`, `4 leg chair`: a part before its thing."""
        word = self._tokens[self._at]
        following = name_at(self._tokens, self._at + 1)
        if following is None:
            return False
        owner = NOUNS[following[0]]
        stem = singular(word)
        for candidate in (stem, word.removesuffix("ed"), word.removesuffix("d"), word.removesuffix("ged")):
            rule = owner.part(candidate)
            if rule is None or (candidate != stem and not word.endswith("ed")):
                continue
            if candidate == stem and self._count is None and not self._pending:
                continue
            self._early_parts.append(PartRequest(rule.name, self._count, Attributes()))
            self._count = None
            self._at += 1
            return True
        return False

    def _take_object(self, name: str, phrase: str) -> None:
        start = self._at - len(phrase.split())
        if NOUNS[name].paired and "pair" in self._tokens[max(start - 4, 0) : start] and self._count == 2:
            # "a pair of jeans"
            self._count = 1
        count = 1 if self._count is None else self._count
        if not 1 <= count <= MAX_OBJECTS:
            raise PromptError(f"{count} x {name} was asked for; a scene holds 1 to {MAX_OBJECTS} of a thing")
        subject, inside = self._subject, False
        if self._of and subject >= 0 and not self._relation:
            if not self._holds(self._objects[self._current].noun):
                self._ignore(phrase, f"what the {self._objects[self._current].noun} is of")
                self._pending, self._count, self._article, self._named = Attributes(), None, False, True
                return
            self._relation, subject, inside = "in", self._current, True
        self._of = False
        known = self._same_again(name)
        if known is None:
            self._objects.append(ObjectRequest(name, phrase, count, self._pending))
            self._current = len(self._objects) - 1
        else:
            self._current = known
        self._pending, self._count, self._article = Attributes(), None, False
        # "a table with a lamp", though a table has no lamp as a part.
        belongs = self._in_parts and not self._relation and not self._named and subject >= 0
        if self._current != subject and (self._relation or belongs):
            kind = self._relation or "with"
            pair = (subject, self._current) if self._relation else (self._current, subject)
            if inside:
                pair = pair[::-1]
            self._relations.append(Relation(kind, *pair))
        if not belongs and not inside:
            self._subject = self._current
        self._relation, self._target_part = "", ""
        self._in_parts, self._after, self._named = False, False, True
        for request in self._early_parts:
            self._record_part(request)
        self._early_parts = []

    def _holds(self, name: str) -> bool:
        return NOUNS[name].hollow is not None or name in _HOLLOW

    def _same_again(self, name: str) -> int | None:
        """The index of the object that `the table` refers to: one named before, with no new attributes."""
        if self._pending or self._count is not None or self._definite != name:
            return None
        return next((i for i, request in enumerate(self._objects) if request.noun == name), None)

    def _take_part(self, name: str) -> None:
        rule = NOUNS[self._objects[self._current].noun].part(name)
        if self._count is None and self._article and rule and rule.least <= 1 <= rule.most:
            self._count = 1
        # "a chair without a back, 50 cm tall": nothing can be said of a part that is not there.
        self._target_part = "" if self._count == 0 else name
        self._record_part(PartRequest(name, self._count, self._pending))
        self._pending, self._count, self._article = Attributes(), None, False
        self._named, self._after = True, False

    def _record_part(self, request: PartRequest) -> None:
        noun, count = NOUNS[self._objects[self._current].noun], request.count
        rule = noun.part(request.name)
        if rule and count is not None and not rule.least <= count <= rule.most:
            span = f"exactly {rule.least}" if rule.least == rule.most else f"{rule.least} to {rule.most}"
            raise PromptError(f"{count} x {rule.name} was asked for; a {noun.name} can be built with {span}")
        self._objects[self._current] = self._objects[self._current].with_part(request)

    # ------------------------------------------------------------ numbers and attributes

    def _read_number(self) -> bool:
        reading = read_size_number(self._tokens, self._at, feet_are_parts=bool(self._current_part("foot")))
        if self._take(reading):
            return True
        word = self._tokens[self._at]
        value = number(word)
        if value is None:
            return False
        self._at += 1
        if value != int(value):
            self._ignore(word, "a count must be whole")
        elif word in ("hundred", "thousand"):
            self._count = (self._count or 1) * int(value)
        else:
            if self._count is not None:
                self._ignore(str(self._count))
            self._count = int(value)
        return True

    def _take(self, reading: Reading | None) -> bool:
        if reading is None:
            return False
        self._at = reading.after
        if self._after and self._objects:
            self._say(reading.attributes)
        else:
            self._pending = self._pending.joined(reading.attributes)
        return True
