"""What a noun is a kind of, and what is near it in meaning: from a table of WordNet (`meaning/`, see
`ops/derive_meanings.py`). It is read when it is first asked.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_TABLE = Path(__file__).parent / "meaning" / "words.txt.gz"
_MOST_NEIGHBOURS = 6
#: A branch of the outline with more kinds than that says nothing of what is alike.
_WIDEST_BRANCH = 60


class Meaning(NamedTuple):
    """A noun of the table."""

    #: The nearest noun above it that can be built; "" for none.
    made_as: str
    #: Nouns that can be built and are near it in meaning, the nearest first.
    neighbours: tuple[str, ...]
    #: What the word itself is a name of; "" if only something above it can be built.
    names: str
    #: The word usually means something else, which is no thing.
    rare: bool


class _Outline(NamedTuple):
    depths: list[int]
    kinds: list[str]
    places: dict[str, int]
    rare: set[str]


@lru_cache(maxsize=1)
def _outline() -> _Outline:
    depths: list[int] = []
    kinds: list[str] = []
    places: dict[str, int] = {}
    rare: set[str] = set()
    for place, line in enumerate(gzip.decompress(_TABLE.read_bytes()).decode().splitlines()):
        depth, kind, words = line.split("\t")
        depths.append(int(depth))
        kinds.append("" if kind == "-" else kind)
        for word in words.split(",") if words else ():
            # Prompts are read without hyphens.
            plain = word.removeprefix("?").replace("-", " ")
            places.setdefault(plain, place)
            if word[0] == "?":
                rare.add(plain)
    return _Outline(depths, kinds, places, rare)


def meaning_of(noun: str) -> Meaning | None:
    """The meaning of a noun in singular; None if the table has no such animal, thing, food, person or plant."""
    table = _outline()
    place = table.places.get(noun)
    if place is None:
        return None
    above = _ancestors(table, place)
    made_as = next((table.kinds[each] for each in above if table.kinds[each]), "")
    for each in above[1:]:
        branch = _branch(table, each)
        if branch and (len(branch) >= 3 or len(branch) > _WIDEST_BRANCH):
            near = tuple(branch[:_MOST_NEIGHBOURS]) if len(branch) <= _WIDEST_BRANCH else ()
            return Meaning(made_as, near, table.kinds[place], noun in table.rare)
    return Meaning(made_as, (), table.kinds[place], noun in table.rare)


def _ancestors(table: _Outline, place: int) -> list[int]:
    """The line itself and those above it in the outline."""
    found = [place]
    for each in range(place - 1, -1, -1):
        if table.depths[each] < table.depths[found[-1]]:
            found.append(each)
    return found


def _branch(table: _Outline, place: int) -> list[str]:
    """The kinds in the branch of a line, the highest first."""
    end = place + 1
    while end < len(table.depths) and table.depths[end] > table.depths[place]:
        end += 1
    kinds = sorted((table.depths[each], table.kinds[each]) for each in range(place, end) if table.kinds[each])
    return list(dict.fromkeys(kind for _, kind in kinds))
