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

import difflib
import re
from dataclasses import replace

from .attribute_words import PromptError, Reading, number, read_shade, read_size_number, read_word
from .colours import COLOURS
from .nouns import NAMES, NOUNS, PART_WORDS
from .scene import Attributes, ObjectRequest, PartRequest, Relation, Scene
from .vocabulary import (
    COPULAS,
    INTENSIFIERS,
    IRREGULAR_PLURALS,
    JOINERS,
    RELATIONS,
    SILENT,
    WITH_WORDS,
    WITHOUT_WORDS,
)

MAX_OBJECTS = 24

_TOKEN = re.compile(r"3d|\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:[.,]\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?|[,;.&+]")


def vocabulary_text() -> str:
    """The nouns, for people."""
    return ", ".join(NOUNS)


def parse(prompt: str) -> Scene:
    """Read a prompt.

    Raises:
        PromptError: no noun that is known, or a count or measure that cannot be built.
    """
    return _Reader([match.group() for match in _TOKEN.finditer(prompt.lower())]).read()


def singular(word: str) -> str:
    """The singular of a regular or listed plural, as far as the vocabulary knows it; else the word."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if _known(word):
        return word
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        stem = word.removesuffix(ending) + instead
        if word.endswith(ending) and _known(stem):
            return stem
    return word


def _known(word: str) -> bool:
    return (word,) in NAMES or word in PART_WORDS


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
            words = [word for word in self._tokens if len(word) > 2 and word not in SILENT]
            known = [name[0] for name in NAMES if len(name) == 1]
            close = [near for word in words for near in difflib.get_close_matches(word, known, 1, 0.75)]
            hint = f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
            raise PromptError(
                f"the prompt names nothing that can be built.{hint} This generator is no AI model, it builds "
                f"{len(NOUNS)} English nouns: {vocabulary_text()}; `pocket3d adapters` lists models with weights"
            )
        return Scene(tuple(self._objects), tuple(self._relations), tuple(self._ignored))

    # ------------------------------------------------------------ one step

    def _step(self) -> None:
        word = self._tokens[self._at]
        if (
            self._read_relation()
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
        elif self._take(read_word(self._tokens, self._at)):
            return
        elif word not in SILENT and word not in INTENSIFIERS:
            self._ignore(word)
        self._at += 1

    def _join(self) -> None:
        # "a red and white mushroom": the noun is still to come, so what was said waits for it.
        # "a chair in red and a table": no noun followed "in", so it was said of the chair.
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
        for length in (4, 3, 2, 1):
            words = tuple(self._tokens[self._at : self._at + length])
            kind = RELATIONS.get(words)
            if kind is None:
                continue
            self._at += len(words)
            if not self._objects:
                self._ignore(" ".join(words))
                return True
            if kind == "in" and self._pending and not self._named:
                # "a 2 m wide in ...": nothing to relate yet.
                self._ignore("in")
                return True
            self._flush()
            self._relation, self._named, self._in_parts, self._after = kind, False, False, False
            return True
        return False

    # ------------------------------------------------------------ nouns

    def _read_noun(self) -> bool:
        found = self._object_name(self._at)
        word = singular(self._tokens[self._at])
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
        if found is not None:
            name, length = found
            if self._object_name(self._at + length) is not None and not self._after:
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

    def _object_name(self, at: int) -> tuple[str, int] | None:
        for length in (3, 2, 1):
            words = self._tokens[at : at + length]
            name = NAMES.get((*words[:-1], singular(words[-1]))) if words else None
            if name is not None:
                return name, len(words)
        return None

    def _current_part(self, word: str) -> str:
        if not self._objects:
            return ""
        rule = NOUNS[self._objects[self._current].noun].part(word)
        return rule.name if rule else ""

    def _read_adjective_part(self) -> bool:
        """`three-legged stool`, `4 leg chair`: a part before its thing."""
        word = self._tokens[self._at]
        following = self._object_name(self._at + 1)
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
        count = 1 if self._count is None else self._count
        if not 1 <= count <= MAX_OBJECTS:
            raise PromptError(f"{count} x {name} was asked for; a scene holds 1 to {MAX_OBJECTS} of a thing")
        subject = self._subject
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
            self._relations.append(Relation(kind, *pair))
        if not belongs:
            self._subject = self._current
        self._relation, self._target_part = "", ""
        self._in_parts, self._after, self._named = False, False, True
        for request in self._early_parts:
            self._record_part(request)
        self._early_parts = []

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
