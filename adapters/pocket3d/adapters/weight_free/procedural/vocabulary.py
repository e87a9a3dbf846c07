"""Function words of the grammar: numbers, sizes, units, relations, conjunctions. Data only."""

from __future__ import annotations

IRREGULAR_PLURALS: dict[str, str] = {
    "feet": "foot", "leaves": "leaf", "shelves": "shelf", "bookshelves": "bookshelf", "teeth": "tooth",
    "cacti": "cactus", "snowmen": "snowman", "tyres": "tyre", "tori": "torus", "branches": "branch", "benches": "bench",
    "couches": "couch", "boxes": "box", "glasses": "glass", "arches": "arch", "fortresses": "fortress", "axes": "axe",
    "knives": "knife", "mice": "mouse", "geese": "goose", "men": "man", "women": "woman", "children": "child",
    "wolves": "wolf", "loaves": "loaf", "scarves": "scarf", "calves": "calf", "oxen": "ox", "octopi": "octopus",
    "cherries": "cherry", "fries": "fries",
}  # fmt: skip

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty"
)
NUMBERS: dict[str, int] = {
    **{word: value for value, word in enumerate(_ONES.split())},
    "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "thousand": 1000, "pair": 2, "couple": 2, "both": 2,
    "dozen": 12, "several": 3, "few": 3, "many": 5, "single": 1,
}  # fmt: skip

#: Word -> factors on width, height, depth ("long" and "wide" are turned for lengthwise nouns).
SIZES: dict[str, tuple[float, float, float]] = {
    **dict.fromkeys(("tiny", "mini", "miniature"), (0.4, 0.4, 0.4)),
    **dict.fromkeys(("small", "little"), (0.65, 0.65, 0.65)),
    "medium": (1.0, 1.0, 1.0),
    **dict.fromkeys(("big", "large"), (1.5, 1.5, 1.5)),
    "huge": (2.5, 2.5, 2.5),
    **dict.fromkeys(("giant", "enormous", "gigantic"), (4.0, 4.0, 4.0)),
    **dict.fromkeys(("tall", "high"), (1.0, 1.6, 1.0)),
    **dict.fromkeys(("short", "low"), (1.0, 0.6, 1.0)),
    "flat": (1.0, 0.4, 1.0),
    **dict.fromkeys(("wide", "broad", "long"), (1.6, 1.0, 1.0)),
    "narrow": (0.6, 1.0, 1.0),
    "deep": (1.0, 1.0, 1.5),
    "shallow": (1.0, 1.0, 0.6),
    **dict.fromkeys(("thin", "slender"), (0.6, 1.0, 0.6)),
    "slim": (0.7, 1.0, 0.7),
    **dict.fromkeys(("thick", "fat"), (1.5, 1.0, 1.5)),
    "chubby": (1.4, 1.0, 1.4),
}
#: Comparative and other forms.
SIZE_FORMS: dict[str, str] = {
    "taller": "tall", "higher": "high", "wider": "wide", "longer": "long", "deeper": "deep", "thicker": "thick",
    "bigger": "big", "larger": "large", "smaller": "small", "shorter": "short", "thinner": "thin", "height": "high",
    "width": "wide", "length": "long", "depth": "deep", "diameter": "wide",
}  # fmt: skip
INTENSIFIERS = frozenset({"very", "really", "extremely", "super", "extra"})

#: Outlines seen from above.
FORMS: dict[str, str] = {
    **dict.fromkeys(("round", "circular"), "round"),
    **dict.fromkeys(("square", "rectangular", "quadratic"), "square"),
}

#: Unit -> metres.
UNITS: dict[str, float] = {
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 0.001),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 0.01),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1.0),
    **dict.fromkeys(("inch", "inches"), 0.0254),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
}

#: Relation -> the ways to say it. The first thing is placed, the second stays.
RELATIONS: dict[tuple[str, ...], str] = {
    tuple(words.split()): relation
    for relation, ways in {
        "on": ("on", "on top of", "atop", "upon", "onto", "standing on", "sitting on", "riding", "riding on"),
        "under": ("under", "below", "beneath", "underneath"),
        "beside": ("next to", "beside", "near", "by", "alongside", "besides"),
        "left of": ("left of", "to the left of", "on the left of"),
        "right of": ("right of", "to the right of", "on the right of"),
        "behind": ("behind",),
        "in front of": ("in front of", "before"),
        "around": ("around", "surrounding"),
        "in": ("in", "inside", "inside of", "into", "within"),
    }.items()
    for words in ways
}

WITH_WORDS = frozenset(
    {"with", "having", "has", "have", "featuring", "including", "wearing", "carrying", "holding", "playing", "w"}
)
WITHOUT_WORDS = frozenset({"without", "no"})
JOINERS = frozenset({"and", ",", "&", "plus", ";", ".", "+"})
#: What follows says something of what came before.
COPULAS = frozenset({"is", "are", "made", "painted", "coloured", "colored", "from", "out"})
_MANY = (
    "group bunch pile stack heap collection flock herd row ensemble array sequence assortment cluster variety selection"
    " series set swarm school pack kaleidoscope crowd trail bundle"
)
#: Before "of" and a plural: so many of it.
COLLECTIVES: dict[str, str] = {
    **dict.fromkeys(_MANY.split(), "several"), "duo": "two", "trio": "three", "quartet": "four", "quintet": "five"
}  # fmt: skip
_PREPOSITIONS = "between against at over across through along among toward towards instead while"
#: Before another thing than that which is spoken of, without a place for it.
PREPOSITIONS = frozenset(_PREPOSITIONS.split())
_PARTICIPLES = "strung hung left built bound set seen worn thrown held kept shown drawn"
#: What was done with a thing, beside words in -ed and -ing.
PARTICIPLES = frozenset(_PARTICIPLES.split())
_ADJECTIVES = "vintage antique compact modern classic gothic plush square soft hard natural intricate delicate mini"
#: They name things too, but before a comma they say how the one after it is.
ADJECTIVES = frozenset(_ADJECTIVES.split())
#: Before "of": what comes after it is meant.
VIEWS = frozenset(
    [
        "photo",
        "photograph",
        "picture",
        "image",
        "model",
        "render",
        "rendering",
        "drawing",
        "sketch",
        "illustration",
        "painting",
        "view",
        "piece",
        "kind",
        "type",
        "sort",
        "style",
        "version",
        "shape",
        "figure",
        "miniature",
        "replica",
    ]
)
#: After the name of a thing: another one is only like it ("a rainbow coloured umbrella").
LIKENESSES = frozenset({"colored", "coloured", "shaped", "themed", "patterned", "like", "inspired", "printed"})
#: Words of the grammar that carry nothing.
_SILENT = (
    "a an the of to please make create generate build render model me i want need would like some that which who whose"
    " its their it there this these color colour colored coloured tone as 3d object mesh scene picture showing standing"
    " sitting placed each all whole entire be should"
)
SILENT = frozenset(_SILENT.split())
