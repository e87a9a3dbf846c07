"""What people ask for: the head nouns of a public list of prompts, and a sample of other English nouns."""

from __future__ import annotations

import random

import pytest

from pocket3d.adapters.weight_free.procedural.attribute_words import PromptError, read_word
from pocket3d.adapters.weight_free.procedural.grammar import parse
from pocket3d.adapters.weight_free.procedural.kinds import _outline
from pocket3d.adapters.weight_free.procedural.nouns import NAMES, NOUNS, PART_WORDS
from pocket3d.adapters.weight_free.procedural.vocabulary import COPULAS, SILENT

#: Head nouns of the single-object prompts of T3Bench (THU-LYJ-Lab/T3Bench, data/prompt_single.txt), doubles removed.
_T3BENCH = """
cactus, umbrella, rocking horse, dog, candlestick, sneakers, mug, fire hydrant, saxophone, book, sunflower, sandcastle,
skateboard, flag, teddy bear, watermelon, ring, doll, chameleon, pocket watch, teapot, brooch, quill, typewriter,
beetle, paperweight, cushion, rabbit, guitar, goggles, tortoise shell, scarf, map, frying pan, soda can, necklace, hat,
letter opener, perfume bottle, piano, trumpet, gown, teacup, candle holder, quilt, armchair, top hat, easel, crowbar,
paper airplane, tire swing, chess set, kite, stone, key, doily, cane, chandelier, shirt, car, lipstick, chest, mask,
apple, briefcase, smartphone, beach ball, bicycle, cat, bat, champagne flute, soccer ball, jeans, rubber duck, window,
vase, flamingo, orchid, ship's wheel, tiara, blanket, shoes, pen, wreath, mirror, watering can, radio
"""
T3BENCH = [noun.strip() for noun in _T3BENCH.split(",")]

#: Head nouns of the prompts of GPTEval3D (3DTopia/GPTEval3D, data/tournament-v0/prompts.json; the package says MIT),
#: doubles removed.
_GPTEVAL3D = """
hat, sofa, boat, rock, rose, house, cat, tower, leaf, cactus, bicycle, elephant, pen, shoes, lamp, book, teddy bear,
apples, chair, origami crane, mug, dog, balloons, cookie jar, bonsai tree, rabbit, pillow, guitar, backpack, hourglass,
diary, ladybug, squirrel, plush toy, bear, butterfly, clownfish, caterpillar, quill pen, tree frog, rotary phone,
tortoise, octopus, perfumes, parrots, swan, flamingo, rubber duck, vegetables, statue, tree, hiking boots, recliner,
wooden box, frog, cabin, jellyfish, teapot, campfire, smartphone, ice cream scoop, violin case, hammock, teacup,
sports car, hanging lamps, tents, kite, bridge, street lamps, bouquet, eggs, quilt, seashells, bell, birdhouse,
musical instruments, marbles, conch shell, hay bales, lantern, hand tools, cannonballs, orb, figurine, wedding cake,
amphitheater, pepper mill, parcels, birdcage, abalone shell, fountain
"""
GPTEVAL3D = [noun.strip() for noun in _GPTEVAL3D.replace("\n", " ").split(",")]


def _made_of(prompt: str) -> str | None:
    """The noun that the prompt makes; None where it is refused.

    Raises:
        AssertionError: a word of the prompt is neither the thing's name, nor said to be made as or to change nothing.
    """
    try:
        scene = parse(prompt)
    except PromptError:
        return None
    told = " ".join([scene.objects[0].phrase, *scene.objects[0].parts, *scene.notes, *scene.ignored])
    glue = SILENT | COPULAS
    words = [word for word in prompt.split()[1:] if word not in told and word not in glue]
    silent = [word for word in words if read_word([word], 0) is None]
    assert silent == [], (prompt, scene.objects[0].noun)
    return scene.objects[0].noun


def test_most_things_of_the_list_of_prompts_are_made() -> None:
    assert len(T3BENCH) == 87
    made = [noun for noun in T3BENCH if _made_of(f"a {noun}") is not None]
    # All of them at the time of writing.
    assert len(made) / len(T3BENCH) >= 0.95


def test_most_things_of_the_second_list_are_made() -> None:
    assert len(GPTEVAL3D) == 92
    made = [noun for noun in GPTEVAL3D if _made_of(f"a {noun}") is not None]
    assert len(made) / len(GPTEVAL3D) >= 0.9, set(GPTEVAL3D) - set(made)


@pytest.mark.parametrize(
    ("prompt", "made"),
    [
        ("a small, rustic cabin sits in a forest", [(1, "house")]),
        ("an ancient, weathered statue", [(1, "statue")]),
        ("an assortment of vintage, fragrant perfumes", [(3, "perfume bottle")]),
        ("a group of chattering parrots perched together", [(3, "parrot")]),
        ("a quartet of mugs that sing", [(4, "cup")]),
        ("a pile of snow on a house", [(1, "house")]),
        ("a lantern with translucent panes", [(1, "lamp")]),
        ("a pumpkin with a scary face", [(1, "pumpkin")]),
        ("a snowman with a top hat and a carrot nose", [(1, "snowman")]),
    ],
)
def test_what_only_describes_or_counts_is_no_thing(prompt: str, made: list[tuple[int, str]]) -> None:
    assert [(each.count, each.noun) for each in parse(prompt).objects] == made


@pytest.mark.parametrize(
    "prompt",
    ["a large, hollow amphitheater with stone seating", "a collection of hand tools with wooden handles"],
)
def test_the_thing_that_is_asked_for_is_not_left_out_for_another(prompt: str) -> None:
    with pytest.raises(PromptError, match="is nothing that can be built"):
        parse(prompt)


def test_no_other_english_noun_is_made_into_something_else_in_silence() -> None:
    known = {" ".join(name) for name in NAMES} | PART_WORDS
    words = sorted(word for word in _outline().places if word not in known and word.count(" ") < 2)
    for word in random.Random(12).sample(words, 600):
        _made_of(f"a {word}")


@pytest.mark.parametrize(
    ("prompt", "noun", "said"),
    [
        ("a moose", "deer", "moose: made as a deer"),
        ("a toothpaste tube", "cylinder", "toothpaste"),
        ("a wooden hen house", "house", "hen"),
        ("a dog with a monocle", "dog", "monocle"),
        ("a cat holding a stethoscope", "cat", "stethoscope"),
    ],
)
def test_words_beside_the_thing_that_change_nothing_are_named(prompt: str, noun: str, said: str) -> None:
    scene = parse(prompt)
    assert scene.objects[0].noun == noun
    assert any(said in each for each in (*scene.ignored, *scene.notes))


def test_there_are_at_least_two_hundred_nouns_and_the_usual_first_ones() -> None:
    assert len(NOUNS) >= 200
    usual = "dog cat horse robot man dragon guitar apple pizza sword hat shoe house castle car airplane chair lamp tree"
    assert set(usual.split()) <= set(NOUNS)
