"""Derives `procedural/meaning/words.txt.gz`, what nouns are kinds of: `python ops/derive_meanings.py FOLDER`,
where FOLDER has WordNet's `data.noun` and `index.noun` (Debian: package wordnet-base, /usr/share/wordnet).

The table is an outline of WordNet's physical things by hypernyms. A line is the depth, the noun of the shape grammar
that this kind of thing is made as ("-" for none) and the words. A word stands at its first sense that is an animal,
artifact, part of a body, food, natural object, plant or, if there is no such sense, person; "?" before it tells that it
usually means something else. Left out: instances, names with capitals or digits, and words of more than two parts.
WordNet's licence lies beside the table.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pocket3d.adapters.weight_free.procedural.nouns import NOUNS

TARGET = Path(__file__).parents[1] / "adapters/pocket3d/adapters/weight_free/procedural/meaning/words.txt.gz"
_WORD = re.compile(r"[a-z][a-z'-]+(_[a-z'-]+)?")
#: Lexicographer files (lexnames(5WN)) of what is named in the table.
_FILES = frozenset(["05", "06", "08", "13", "17", "18", "20"])
_PERSON = frozenset(["18"])
#: Plants, persons and parts of bodies: only single words are named, there are too many others.
_PLAIN = frozenset(["08", "18", "20"])

#: Nouns whose first physical sense in WordNet is another thing: the right one, counted from 1; 0 for none.
_SENSES = {
    "alien": 0, "nail": 2, "head": 0, "hand": 0, "chest": 2, "crown": 0, "coral": 0, "ghost": 0, "dragon": 0, "cube": 0,
    "iron": 4, "glass": 2, "ring": 0, "heart": 0, "skeleton": 0, "seahorse": 2, "dolphin": 2, "lobster": 2, "chain": 0,
    "chicken": 2, "arch": 4, "star": 0, "cylinder": 0, "torus": 0, "toilet": 2, "angel": 0, "sun": 0, "moon": 0,
    "earth": 0, "golf club": 0, "van": 0, "pyramid": 0, "hedgehog": 1, "leaf": 0, "egg": 0, "sign": 0, "cloud": 0,
    "picture": 0, "sphere": 0, "television": 2, "spinning top": 0, "turkey": 1, "pepper": 4, "stone": 1, "cone": 0,
    "gem": 2, "flag": 1, "block": 0, "plate": 0, "shell": 0, "seashell": 1, "mask": 1, "palette": 2, "statue": 1,
    "fly": 1, "rug": 1, "map": 1, "swing": 2, "pie": 1, "onion": 3, "potato": 1, "cabbage": 1, "carrot": 3, "lemon": 1,
    "mouse": 1, "drill": 1, "hourglass": 1, "cushion": 3, "bat": 1, "scales": 0, "watch": 1, "tank": 1, "lotus": 1,
    "horse": 1, "gear": 1, "vase": 1, "log": 1, "mountain": 1, "island": 1, "planet": 0, "fountain": 0, "key": 1,
    "fence": 1, "barrel": 2, "bush": 1, "window": 1, "orchid": 1, "bed": 1, "door": 1, "bomb": 1, "book": 0, "man": 0,
}  # fmt: skip
#: Further kinds: a word of WordNet with its sense -> the noun that it is made as.
_KINDS = {("person", 1): "man", ("box", 1): "cube", ("ball", 1): "sphere", ("ship", 1): "boat", ("insect", 1): "beetle"}
#: Short names that WordNet has only for other things, or not at all.
_SHORT = {"labrador": "labrador_retriever", "retriever": "golden_retriever", "shepherd": "german_shepherd"}


class Synset(NamedTuple):
    """One meaning: its words, and the meaning above it ("" for none)."""

    words: list[str]
    above: str
    instance: bool
    file: str


def read(folder: Path) -> tuple[dict[str, Synset], dict[str, list[str]]]:
    """WordNet's meanings of nouns by their number, and the numbers of each word's meanings in order (wndb(5WN))."""
    synsets: dict[str, Synset] = {}
    for line in (folder / "data.noun").read_text("latin1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        pointers = fields[5 + 2 * count :]
        kinds = [pointers[i : i + 2] for i in range(0, 4 * int(fields[4 + 2 * count]), 4)]
        above = next((number for symbol, number in kinds if symbol in ("@", "@i")), "")
        synsets[fields[0]] = Synset(fields[4 : 4 + 2 * count : 2], above, any(s == "@i" for s, _ in kinds), fields[1])
    index: dict[str, list[str]] = {}
    for line in (folder / "index.noun").read_text("latin1").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            index[fields[0]] = fields[-int(fields[2]) :]
    return synsets, index


def outline(synsets: dict[str, Synset], index: dict[str, list[str]]) -> str:
    """The table's text."""
    root = index["physical_entity"][0]

    def physical(number: str) -> bool:
        while number and number != root:
            number = synsets[number].above
        return number == root

    def place(word: str) -> str:
        """The sense that a word is named for; a person only if it is nothing else ("guinea pig")."""
        senses = [n for n in index[word] if not synsets[n].instance and synsets[n].file in _FILES]
        things = [n for n in senses if synsets[n].file not in _PERSON] or (senses[:1] if usual(word) else [])
        two, file = "_" in word, synsets[things[0]].file if things else ""
        return "" if not things or (two and file in _PLAIN) else things[0]

    def usual(word: str) -> bool:
        first = next(n for n in index[word] if not synsets[n].instance)
        return synsets[first].file in _FILES

    kinds = {index[word][sense - 1]: noun for (word, sense), noun in _KINDS.items()}
    for noun in NOUNS:
        senses = index.get(noun.replace(" ", "_"), [])
        first = next((place for place, number in enumerate(senses, 1) if physical(number)), 0)
        chosen = _SENSES.get(noun, first)
        if 0 < chosen <= len(senses):
            kinds[senses[chosen - 1]] = noun
    below: dict[str, list[str]] = defaultdict(list)
    for number, synset in synsets.items():
        if not synset.instance:
            below[synset.above].append(number)

    def lines(number: str, depth: int) -> list[str]:
        here = synsets[number]
        # "Labrador retriever", but not "Canis familiaris", which comes after "dog".
        named = [w.lower() if i == 0 and here.file == "05" else w for i, w in enumerate(here.words)]
        words = [word for word in named if _WORD.fullmatch(word) and place(word) == number]
        words += [short for short, whole in _SHORT.items() if whole in words]
        under = [line for child in sorted(below[number]) for line in lines(child, depth + 1)]
        if not words and not under:
            return []
        said = ",".join(("" if word in _SHORT or usual(word) else "?") + word.replace("_", " ") for word in words)
        return [f"{depth}\t{kinds.get(number, '-')}\t{said}", *under]

    return "\n".join(lines(root, 0)) + "\n"


def main() -> None:
    """Write the table."""
    text = outline(*read(Path(sys.argv[1])))
    data = gzip.compress(text.encode(), 9, mtime=0)
    TARGET.write_bytes(data)
    sys.stdout.write(f"{text.count(chr(10))} meanings, {len(data)} bytes\n")


if __name__ == "__main__":
    main()
