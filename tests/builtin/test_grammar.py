"""The grammar on plain text: no torch, no files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.weight_free.procedural.attribute_words import PromptError
from pocket3d.adapters.weight_free.procedural.colours import COLOURS
from pocket3d.adapters.weight_free.procedural.grammar import MAX_OBJECTS, parse
from pocket3d.adapters.weight_free.procedural.kinds import _outline
from pocket3d.adapters.weight_free.procedural.names import singular
from pocket3d.adapters.weight_free.procedural.nouns import NAMES, NOUNS
from pocket3d.adapters.weight_free.procedural.refusals import vocabulary_text
from support import grammar_table


def _summary(prompt: str) -> list[dict[str, Any]]:
    return [request.summary() for request in parse(prompt).objects]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a chair with four legs", [{"object": "chair", "count": 1, "parts": [{"part": "leg", "count": 4}]}]),
        ("a three-legged stool", [{"object": "stool", "count": 1, "parts": [{"part": "leg", "count": 3}]}]),
        ("a 4 leg chair", [{"object": "chair", "count": 1, "parts": [{"part": "leg", "count": 4}]}]),
        ("a table on six legs", [{"object": "table", "count": 1, "parts": [{"part": "leg", "count": 6}]}]),
        (
            "a red table with six wooden legs",
            [
                {
                    "object": "table",
                    "count": 1,
                    "colours": ["red"],
                    "parts": [{"part": "leg", "count": 6, "material": "wood"}],
                }
            ],
        ),
        ("two chairs", [{"object": "chair", "count": 2, "said": "chairs"}]),
        ("a dozen mushrooms", [{"object": "mushroom", "count": 12, "said": "mushrooms"}]),
        ("red and white mushroom", [{"object": "mushroom", "count": 1, "colours": ["red", "white"]}]),
        ("a table made of dark wood", [{"object": "table", "count": 1, "material": "dark wood"}]),
        ("a chair without a back", [{"object": "chair", "count": 1, "parts": [{"part": "back", "count": 0}]}]),
        ("a chair in red", [{"object": "chair", "count": 1, "colours": ["red"]}]),
        ("a table 80 cm tall", [{"object": "table", "count": 1, "measures_m": {"tall": 0.8}}]),
        ("a 3 m long boat", [{"object": "boat", "count": 1, "measures_m": {"long": 3.0}}]),
        ("a table, 6 feet wide", [{"object": "table", "count": 1, "measures_m": {"wide": 1.8288}}]),
        ("a tower twice as tall", [{"object": "tower", "count": 1, "size": ["twice tall"]}]),
        ("a round table", [{"object": "table", "count": 1, "form": "round"}]),
        ("a navy blue sofa", [{"object": "sofa", "count": 1, "colours": ["navy blue"]}]),
        ("a very tall lamp", [{"object": "lamp", "count": 1, "size": ["very tall"]}]),
        ("a stool with 3 feet", [{"object": "stool", "count": 1, "parts": [{"part": "leg", "count": 3}]}]),
        (
            "a chair; its legs are blue and the back is green",
            [
                {
                    "object": "chair",
                    "count": 1,
                    "parts": [{"part": "leg", "colours": ["blue"]}, {"part": "back", "colours": ["green"]}],
                }
            ],
        ),
    ],
)
def test_reads(prompt: str, expected: list[dict[str, Any]]) -> None:
    assert _summary(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "relations"),
    [
        ("a cup on a table", ["cup on table"]),
        ("a cat-free cup on top of a table next to a chair", ["cup on table", "table beside chair"]),
        ("a flower in a blue vase", ["flower in vase"]),
        ("four chairs around a table", ["chair around table"]),
        ("a stool under a table", ["stool under table"]),
        ("a tree to the left of a house", ["tree left of house"]),
        ("a tree in front of a house", ["tree in front of house"]),
        ("a table with a lamp", ["lamp with table"]),
        ("a vase with a flower on a table", ["flower with vase", "vase on table"]),
        ("a cup on a table and a chair behind the table", ["cup on table", "chair behind table"]),
        ("a cat riding a bicycle", ["cat on bicycle"]),
        ("a bear playing guitar", ["guitar with bear"]),
        ("a basket of red apples on a rug", ["apple in basket", "basket on rug"]),
    ],
)
def test_relations(prompt: str, relations: list[str]) -> None:
    assert parse(prompt).understood()["relations"] == relations


def test_the_same_thing_again_is_no_second_one() -> None:
    scene = parse("a cup on a table and a chair behind the table")
    assert [request.noun for request in scene.objects] == ["cup", "table", "chair"]


def test_attributes_go_to_the_noun_they_are_said_of() -> None:
    vase = parse("a flower in a blue vase").objects
    assert vase[0].attributes.colours == ()
    assert vase[1].attributes.colours == (("blue", (0.0, 0.0, 1.0)),)
    house = parse("a red car next to a small light blue house").objects[1]
    assert house.attributes.colours == (("light blue", COLOURS["lightblue"]),)


@pytest.mark.parametrize(
    ("prompt", "noun", "look"),
    [
        ("a rose gold ring", "ring", {"material": "rose gold"}),
        ("a ring in rose gold", "ring", {"material": "rose gold"}),
        ("a cherry wood table", "table", {"material": "cherry wood"}),
        ("a pine wood shelf", "shelf", {"material": "wood"}),
        ("a lemon yellow chair", "chair", {"colours": ["lemon yellow"]}),
        ("a chair painted lemon yellow", "chair", {"colours": ["lemon yellow"]}),
        ("a chair lemon yellow", "chair", {"colours": ["lemon yellow"]}),
        ("a fire engine red truck", "truck", {"colours": ["fire engine red"]}),
        ("a brick red house", "house", {"colours": ["brick red"]}),
        ("a jet black cat", "cat", {"colours": ["jet black"]}),
        ("an ice blue car", "car", {"colours": ["ice blue"]}),
        ("a crocodile green sofa", "sofa", {"colours": ["crocodile green"]}),
        ("a peach dress", "dress", {"colours": ["peach"]}),
        ("a peach", "peach", {}),
    ],
)
def test_a_colour_that_is_named_after_a_thing_is_no_thing(prompt: str, noun: str, look: dict[str, Any]) -> None:
    (made,) = parse(prompt).objects
    assert (made.noun, made.attributes.summary()) == (noun, look)


def test_two_things_are_two_though_a_colour_is_between_them() -> None:
    for prompt in ("a rose and a gold ring", "a girl red dress", "a lemon, yellow chair"):
        assert len(parse(prompt).objects) == 2


@pytest.mark.parametrize(
    ("prompt", "ignored"),
    [
        ("a beautiful ornate chair", {"beautiful", "ornate"}),
        ("a chair with a flurb on a table", {"flurb"}),
        ("a round chair", {"round (no form of chair)"}),
        ("a vase flower", {"vase (it describes the noun after it)"}),
        ("a chair with four legs", set()),
    ],
)
def test_names_what_it_ignores(prompt: str, ignored: set[str]) -> None:
    assert set(parse(prompt).ignored) == ignored


def test_what_is_no_part_but_a_thing_stands_beside() -> None:
    assert parse("a chair with wheels").understood()["relations"] == ["wheel with chair"]


def test_an_unknown_part_is_named_with_its_owner() -> None:
    assert parse("a cube with a chimney").ignored == ("chimney (no part of cube)",)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a chair with 0 legs", ["0 x leg", "chair", "1 to 12"]),
        ("a table with 10,000 legs", ["10000 x leg", "table", "1 to 16"]),
        ("a legless ten thousand legged chair with ten thousand legs", ["10000 x leg"]),
        ("a stool without legs", ["0 x leg", "stool"]),
        ("a hundred chairs", ["100 x chair", f"1 to {MAX_OBJECTS}"]),
        ("a 5000 m tall tower", ["5000 m", "1000 m"]),
        ("a 0 cm cube", ["0 cm", "1 mm"]),
        ("a 100x chair", ["100 x", "20"]),
        ("a chair with two seats", ["2 x seat", "exactly 1"]),
    ],
)
def test_refuses_what_cannot_be_built(prompt: str, words: list[str]) -> None:
    with pytest.raises(PromptError) as refusal:
        parse(prompt)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("prompt", ["something nice", "ein Stuhl", "1234 !?", "椅子", "no", "with four legs"])
def test_a_prompt_without_a_noun_is_refused_with_the_vocabulary(prompt: str) -> None:
    with pytest.raises(PromptError) as refusal:
        parse(prompt)
    assert vocabulary_text() in str(refusal.value)
    assert "no trained model" in str(refusal.value)
    assert "pocket3d adapters install" in str(refusal.value)


@pytest.mark.parametrize(
    ("prompt", "noun", "note"),
    [
        ("a labrador", "dog", "labrador: made as a dog, which it is a kind of"),
        ("two german shepherds", "dog", "german shepherds: made as a dog, which it is a kind of"),
        ("a red salmon on a plate", "fish", "salmon: made as a fish, which it is a kind of"),
        ("a violinist", "man", "violinist: made as a man, which it is a kind of"),
        ("a black bear", "bear", None),
        ("a chair leg", "chair", "chair leg: the whole chair is made, parts alone are not"),
    ],
)
def test_a_kind_of_a_known_thing_is_made_as_it_and_that_is_said(prompt: str, noun: str, note: str | None) -> None:
    scene = parse(prompt)
    assert scene.objects[0].noun == noun
    assert scene.notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("prompt", "near", "far"),
    [
        ("a guinea pig", {"mouse", "squirrel"}, {"pig"}),
        ("a carburetor on a table", {"gear", "wheel"}, {"car"}),
        ("a hospital", {"church"}, {"hammer"}),
        ("a unicycle", {"bicycle"}, {"unicorn"}),
        ("a red dog collar", set(), {"dog"}),
    ],
)
def test_another_thing_is_refused_with_neighbours_in_meaning(prompt: str, near: set[str], far: set[str]) -> None:
    with pytest.raises(PromptError) as refusal:
        parse(prompt)
    said = str(refusal.value).split(" can be built here")[1].split(". This generator")[0]
    assert near <= set(said.removeprefix("; near it in meaning are: ").split(", "))
    assert not any(re.search(rf"\b{word}\b", said) for word in far)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("three apples", [{"object": "apple", "count": 3, "said": "apples"}]),
        ("an orange cat", [{"object": "cat", "count": 1, "colours": ["orange"]}]),
        ("an orange", [{"object": "orange", "count": 1}]),
        (
            "a chair with lime legs",
            [{"object": "chair", "count": 1, "parts": [{"part": "leg", "colours": ["lime"]}]}],
        ),
        ("a stone bridge", [{"object": "bridge", "count": 1, "material": "stone"}]),
        ("a statue of an elephant", [{"object": "elephant", "count": 1, "material": "stone"}]),
        ("a statue of justice", [{"object": "statue", "count": 1}]),
        ("a rainbow coloured umbrella", [{"object": "umbrella", "count": 1}]),
        ("a pair of jeans", [{"object": "jeans", "count": 1}]),
        ("a pair of shoes", [{"object": "shoe", "count": 2, "said": "shoes"}]),
        ("a photo of two mice", [{"object": "mouse", "count": 2, "said": "mice"}]),
        ("a lipstick tube", [{"object": "lipstick", "count": 1, "said": "lipstick tube"}]),
        ("a glass of water and milk", [{"object": "glass", "count": 1, "said": "glass of water"}]),
    ],
)
def test_what_a_thing_is_and_what_only_describes_it(prompt: str, expected: list[dict[str, Any]]) -> None:
    assert _summary(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "noun", "style"),
    [
        ("a low poly fox", "fox", "low poly"),
        ("a small voxel house in minecraft style", "house", "voxel"),
        ("a cat in a low-poly style", "cat", "low poly"),
        ("a wooden toy car", "car", "wooden toy"),
        ("a low table", "table", ""),
    ],
)
def test_a_style_is_no_word_of_the_thing(prompt: str, noun: str, style: str) -> None:
    scene = parse(prompt)
    assert [request.noun for request in scene.objects] == [noun]
    assert scene.style == style
    assert scene.ignored == ()


def test_no_name_is_of_two_nouns() -> None:
    names = [name for noun in NOUNS.values() for name in (noun.name, *noun.aliases)]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []


def test_every_kind_of_the_table_of_meanings_can_be_built() -> None:
    # `python ops/derive_meanings.py` writes it; a noun that is renamed must be so there too.
    assert {kind for kind in _outline().kinds if kind} <= set(NOUNS)


def test_a_near_miss_is_guessed_at_but_not_built() -> None:
    with pytest.raises(PromptError, match=r"Did you mean chair\?"):
        parse("a chiar")
    # These are words, though of no thing: nobody meant a glove.
    with pytest.raises(PromptError) as refusal:
        parse("love")
    assert "Did you mean" not in str(refusal.value)


def test_a_prompt_of_the_longest_size_is_read_at_once() -> None:
    scene = parse("a chair " + "and a very red wooden table " * 20 + "gibberish " * 850)
    assert len(scene.objects) == 21
    assert scene.ignored == ("gibberish",)


def test_every_name_finds_its_noun_in_singular_and_plural() -> None:
    wrong = [" ".join(words) for words, noun in NAMES.items() if parse(f"a {' '.join(words)}").objects[0].noun != noun]
    assert wrong == []
    assert singular("bookshelves") == "bookshelf"
    assert singular("flurbs") == "flurbs"
    assert parse("two boxes").objects[0].noun == "cube"
    assert parse("two cacti").objects[0].noun == "cactus"


def test_every_part_of_every_noun_can_be_asked_for_and_refused() -> None:
    for noun in NOUNS.values():
        for rule in noun.parts:
            for count in (rule.least, rule.most):
                request = parse(f"a {noun.name} with {count} {rule.name}").objects[0]
                if count:
                    assert request.parts[rule.name].count == count, (noun.name, rule.name)
            with pytest.raises(PromptError):
                parse(f"a {noun.name} with {rule.most + 1} {rule.name}")


def test_reading_needs_the_standard_library_only() -> None:
    code = (
        "import sys; from pocket3d.adapters.weight_free.procedural.grammar import parse; parse('a chair');"
        "import pocket3d.adapters.weight_free.procedural.adapter, pocket3d.adapters.weight_free.silhouette.adapter;"
        "print([m for m in ('torch', 'numpy', 'scipy', 'trimesh', 'PIL') if m in sys.modules])"
    )
    path = [entry for entry in sys.path if entry]
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"


def test_the_document_lists_the_nouns_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "adapters" / "shape-grammar.md").read_text(encoding="utf-8")
    listed = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| noun |")]
    # `python tests/support/grammar_table.py` prints the table.
    assert listed == grammar_table.rows()
