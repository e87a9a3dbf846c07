"""Things as recipes: `recipe` values, grouped by idea. Standard library only."""

from __future__ import annotations

from ..noun import Noun
from . import animals, belongings, birds, clothes, food, gear, household, instruments, machines, people, places

_MODULES = (animals, birds, people, food, household, belongings, clothes, instruments, machines, places, gear)
THINGS: dict[str, Noun] = {noun.name: noun for module in _MODULES for noun in module.THINGS}
#: Things that wear others, and what is worn.
LIVING: frozenset[str] = frozenset(noun.name for module in (animals, birds, people) for noun in module.THINGS)
WORN: frozenset[str] = frozenset(noun.name for noun in clothes.THINGS)
