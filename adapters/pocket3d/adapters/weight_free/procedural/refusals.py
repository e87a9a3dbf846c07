"""What people are told who asked for something that cannot be built. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from .attribute_words import PromptError
from .kinds import Meaning
from .nouns import NAMES, NOUNS
from .vocabulary import SILENT

_WHAT_IT_IS = (
    f"This generator is no trained model: it builds {len(NOUNS)} everyday things by rules. For anything else use a"
    " model with weights: `pocket3d adapters` lists them, `pocket3d adapters install ID` installs one"
)
#: Words of a prompt that a slip of the keyboard is looked for in.
_MOST_GUESSED = 8
_MOST_NAMED = 48


def vocabulary_text() -> str:
    """How many nouns there are and some of them; `adapters/shape-grammar.md` has all."""
    some = list(NOUNS)[:: -(-len(NOUNS) // _MOST_NAMED)]
    return f"{len(NOUNS)} everyday things, such as {', '.join(some)}"


def not_built(what: str, meaning: Meaning) -> PromptError:
    """The prompt is about a thing that is known to be one, but not how to build it."""
    near = f"; near it in meaning are: {', '.join(meaning.neighbours)}" if meaning.neighbours else ""
    return PromptError(f"{what!r} is nothing that can be built here{near}. {_WHAT_IT_IS}")


def nothing_named(tokens: Sequence[str]) -> PromptError:
    """The prompt names no thing. A word that is none in the table of meanings may be a slip of the keyboard."""
    words = [word for word in tokens[:_MOST_GUESSED] if len(word) > 3 and word not in SILENT]
    known = [name[0] for name in NAMES if len(name) == 1]
    close = [near for word in words for near in difflib.get_close_matches(word, known, 3, 0.8) if _slip(word, near)]
    hint = f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
    return PromptError(
        f"the prompt names nothing that can be built.{hint} {_WHAT_IT_IS}. Known are {vocabulary_text()}"
    )


def _slip(word: str, meant: str) -> bool:
    """True if one may have been typed for the other; "love" was not meant to be a glove."""
    return word[0] == meant[0] and abs(len(word) - len(meant)) <= 1
