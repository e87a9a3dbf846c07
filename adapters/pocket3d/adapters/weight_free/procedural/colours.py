"""Colours by their names in CSS Color Module Level 4 and further ones, the shades (light, dark, pale ...) that change
them, and materials with their reflection in the metallic-roughness model.
"""

from __future__ import annotations

from typing import NamedTuple

from .colour_names import PLAIN, SURVEYED

RGB = tuple[float, float, float]

_CSS = """
aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4
black 000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887
cadetblue 5f9ea0 chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc
crimson dc143c cyan 00ffff darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9
darkgreen 006400 darkgrey a9a9a9 darkkhaki bdb76b darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00
darkorchid 9932cc darkred 8b0000 darksalmon e9967a darkseagreen 8fbc8f darkslateblue 483d8b
darkslategray 2f4f4f darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3 deeppink ff1493
deepskyblue 00bfff dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick b22222 floralwhite fffaf0
forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700 goldenrod daa520
gray 808080 green 008000 greenyellow adff2f grey 808080 honeydew f0fff0 hotpink ff69b4 indianred cd5c5c
indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00
lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff lightgoldenrodyellow fafad2
lightgray d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa
lightskyblue 87cefa lightslategray 778899 lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0
lime 00ff00 limegreen 32cd32 linen faf0e6 magenta ff00ff maroon 800000 mediumaquamarine 66cdaa
mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371 mediumslateblue 7b68ee
mediumspringgreen 00fa9a mediumturquoise 48d1cc mediumvioletred c71585 midnightblue 191970 mintcream f5fffa
mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23
orange ffa500 orangered ff4500 orchid da70d6 palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee
palevioletred db7093 papayawhip ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd
powderblue b0e0e6 purple 800080 rebeccapurple 663399 red ff0000 rosybrown bc8f8f royalblue 4169e1
saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57 seashell fff5ee sienna a0522d
silver c0c0c0 skyblue 87ceeb slateblue 6a5acd slategray 708090 slategrey 708090 snow fffafa
springgreen 00ff7f steelblue 4682b4 tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 turquoise 40e0d0
violet ee82ee wheat f5deb3 white ffffff whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
"""


def rgb(code: str) -> RGB:
    """`rrggbb` as sRGB in 0..1."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return (red, green, blue)


_WORDS = _CSS.split()
_CODES = dict(zip(_WORDS[::2], _WORDS[1::2], strict=True))
_THINGS = {f"{thing}{colour}": _CODES[colour] for colour, things in PLAIN.items() for thing in things}
#: sRGB in 0..1 by name, without spaces. What CSS names is as it says.
COLOURS: dict[str, RGB] = {name: rgb(code) for name, code in {**SURVEYED, **_THINGS, **_CODES}.items()}

_WHITE, _BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
#: What a shade mixes in, and how much of it.
SHADES: dict[str, tuple[RGB, float]] = {
    "light": (_WHITE, 0.45),
    "pale": (_WHITE, 0.6),
    "pastel": (_WHITE, 0.6),
    "dark": (_BLACK, 0.5),
    "deep": (_BLACK, 0.3),
}


def shaded(colour: RGB, shade: str | None) -> RGB:
    """The colour, lightened or darkened by a word of `SHADES`; None leaves it."""
    if shade is None:
        return colour
    other, part = SHADES[shade]
    red, green, blue = (a * (1 - part) + b * part for a, b in zip(colour, other, strict=True))
    return (red, green, blue)


class Surface(NamedTuple):
    """A material with its usual colour."""

    colour: RGB
    metallic: float
    roughness: float
    alpha: float = 1.0


def _of(code: str, metallic: float, roughness: float, alpha: float = 1.0) -> Surface:
    return Surface(rgb(code), metallic, roughness, alpha)


MATERIALS: dict[str, Surface] = {
    "wood": _of("a5733f", 0.0, 0.65),
    "oak": _of("b98b52", 0.0, 0.6),
    "walnut": _of("5c4030", 0.0, 0.55),
    "bamboo": _of("d5b870", 0.0, 0.6),
    "cherry wood": _of("8c4a32", 0.0, 0.55),
    "mahogany": _of("6a3020", 0.0, 0.5),
    "teak": _of("a9743f", 0.0, 0.55),
    "ebony": _of("35291f", 0.0, 0.5),
    "birch": _of("dcc59a", 0.0, 0.6),
    "metal": _of("a8abb0", 1.0, 0.35),
    "steel": _of("b4b8bd", 1.0, 0.3),
    "iron": _of("63666a", 1.0, 0.55),
    "chrome": _of("d8dadd", 1.0, 0.08),
    "aluminium": _of("c6c8ca", 1.0, 0.4),
    "gold": _of("ffc83d", 1.0, 0.22),
    "rose gold": _of("e0a899", 1.0, 0.22),
    "white gold": _of("e6e3da", 1.0, 0.2),
    "silver": _of("d9dadb", 1.0, 0.2),
    "copper": _of("c87850", 1.0, 0.3),
    "bronze": _of("a4743a", 1.0, 0.35),
    "brass": _of("d3ae50", 1.0, 0.3),
    "glass": _of("d6ecf0", 0.0, 0.05, 0.4),
    "crystal": _of("eaf4ff", 0.0, 0.03, 0.45),
    "ice": _of("c9ebf7", 0.0, 0.12, 0.7),
    "stone": _of("8e8b84", 0.0, 0.9),
    "granite": _of("77757a", 0.0, 0.7),
    "marble": _of("eeece8", 0.0, 0.25),
    "brick": _of("a24a36", 0.0, 0.92),
    "concrete": _of("a3a29c", 0.0, 0.95),
    "clay": _of("b5694a", 0.0, 0.9),
    "ceramic": _of("f1ede4", 0.0, 0.3),
    "porcelain": _of("faf8f4", 0.0, 0.18),
    "plastic": _of("e4e4e4", 0.0, 0.4),
    "rubber": _of("26272a", 0.0, 0.85),
    "leather": _of("6b4226", 0.0, 0.6),
    "fabric": _of("8a93a5", 0.0, 0.95),
    "velvet": _of("6e2846", 0.0, 0.9),
    "paper": _of("f7f3e8", 0.0, 0.95),
    "wax": _of("f6efd8", 0.0, 0.5),
    "snow": _of("f8fbff", 0.0, 0.9),
    "sand": _of("dcc48e", 0.0, 0.95),
    "earth": _of("6a4a32", 0.0, 0.95),
    #: Windows, lamps, eyes: shiny and opaque.
    "pane": _of("9cc7e0", 0.0, 0.08),
    "leaf": _of("3f8f3a", 0.0, 0.8),
    #: Of living things and food.
    "fur": _of("8f5f35", 0.0, 0.95),
    "feather": _of("e8e4da", 0.0, 0.9),
    "skin": _of("e0ac84", 0.0, 0.75),
    "fruit": _of("c8202e", 0.0, 0.4),
    "dough": _of("d9a45a", 0.0, 0.85),
}
_NO_WORDS = frozenset(["leaf", "earth", "pane", "fur", "feather", "skin", "fruit", "dough"])

#: Words for them; the longest that is there counts.
MATERIAL_WORDS: dict[str, str] = {
    **{name: name for name in MATERIALS if name not in _NO_WORDS},
    "wooden": "wood", "timber": "wood", "oaken": "oak", "metallic": "metal", "golden": "gold", "aluminum": "aluminium",
    "crystalline": "crystal", "icy": "ice", "rock": "stone", "rocky": "stone", "stony": "stone", "bricks": "brick",
    "cement": "concrete", "terracotta": "clay", "china": "porcelain", "cloth": "fabric", "textile": "fabric",
    "cotton": "fabric", "snowy": "snow", "sandstone": "sand", "sandy": "sand", "stainless steel": "steel",
    "cast iron": "iron", "pink gold": "rose gold", "rose wood": "mahogany", "rosewood": "mahogany",
    "cherrywood": "cherry wood",
}  # fmt: skip
