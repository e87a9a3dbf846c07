"""Reads a pattern, its colours and its finish out of a prompt, by a small vocabulary; pure.

Colours, shades, materials and sizes are those of the shape grammar (`procedural/`). Words that mean nothing here are
reported, not guessed at.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..procedural.attribute_words import PromptError, read_shade, read_word
from ..procedural.colours import MATERIALS, RGB, shaded
from .palettes import PATTERNS, Palette

#: Words for patterns that are no materials of the grammar.
PATTERN_WORDS: dict[str, str] = {
    word: pattern
    for pattern, words in {
        "plain": "plain solid",
        "wood": "grain grained",
        "planks": "planks plank boards parquet",
        "cobble": "cobblestone cobblestones cobbles pebbles scales scaly",
        "tiles": "tile tiles tiled",
        "rust": "rust rusty rusted corroded",
        "metal": "brushed",
        "plaid": "plaid tartan",
        "checker": "checker checkers checkered chequered checkerboard chess chessboard",
        "stripes": "stripe stripes striped zebra",
        "dots": "dot dots dotted polka",
        "spots": "spots spotted leopard",
        "camouflage": "camouflage camo military",
        "gradient": "gradient ombre",
        "rainbow": "rainbow",
        "clouds": "cloud clouds cloudy noise mottled",
        "grass": "grass grassy moss mossy",
        "lava": "lava molten",
        "fabric": "knitted woven",
        "denim": "denim jeans",
    }.items()
    for word in words.split()
}
#: Material of the grammar -> pattern; those that are not named are plain.
_MATERIAL_PATTERNS: dict[str, str] = {
    **dict.fromkeys(("wood", "oak", "walnut", "bamboo"), "wood"),
    **dict.fromkeys(
        ("metal", "steel", "iron", "chrome", "aluminium", "gold", "silver", "copper", "bronze", "brass"), "metal"
    ),
    **dict.fromkeys(("snow", "sand", "earth", "wax", "paper", "concrete", "clay"), "grainy"),
    **dict.fromkeys(("fabric", "velvet"), "fabric"),
    "stone": "stone",
    "granite": "granite",
    "marble": "marble",
    "brick": "brick",
    "leather": "leather",
}
_DIRECTIONS = ("horizontal", "vertical", "diagonal")
_SIZES = {
    **dict.fromkeys(("tiny", "fine", "mini"), 0.4),
    **dict.fromkeys(("small", "little", "narrow", "thin"), 0.65),
    **dict.fromkeys(("big", "large", "wide", "broad", "thick", "coarse"), 1.6),
    **dict.fromkeys(("huge", "giant", "enormous"), 2.5),
}
_FINISHES = {
    **dict.fromkeys(("glossy", "shiny", "polished", "lacquered"), 0.15),
    **dict.fromkeys(("satin", "smooth"), 0.4),
    **dict.fromkeys(("matte", "matt", "rough", "dull"), 0.95),
}
_SMALL_WORDS = (
    "a an the of with and in on made from out like as to by for it its is has look looking texture textured"
    " pattern patterned surface material style color colour colored coloured painted"
)
#: They neither say anything here nor need to be reported.
_SILENT = frozenset(_SMALL_WORDS.split())
_DENYING = frozenset(["no", "not", "without", "never", "non"])
_MOST_COLOURS = 6
#: Patterns that any material can wear.
_WORN = ("plain", "checker", "stripes", "dots", "spots", "gradient", "rainbow", "tiles", "planks", "clouds")


class Understood(NamedTuple):
    """The surface that a prompt describes."""

    pattern: str
    palette: Palette
    #: The words it comes from, for people.
    recognised: dict[str, object]
    ignored: list[str]
    #: Factor on the pattern's size.
    scale: float
    #: horizontal, vertical or diagonal, of stripes and gradients.
    direction: str
    metallic: float
    roughness: float


def understand(prompt: str, beside_picture: bool = False) -> Understood:
    """Read a prompt.

    `beside_picture`: a picture is there too, which has colours of its own; a prompt may just name what it shows, and
    the pattern is then "".

    Raises:
        PromptError: no word of it says how a surface looks, or it denies something.
    """
    words = re.findall(r"[a-z]+", prompt.lower())
    patterns: list[str] = []
    materials: list[str] = []
    colours: list[tuple[str, RGB]] = []
    ignored: list[str] = []
    shade: str | None = None
    scale, direction, finish = 1.0, "", None
    at = 0
    while at < len(words):
        word = words[at]
        if word in _DENYING:
            raise PromptError(
                f"{word!r}: what should not be there cannot be said; name what should. {vocabulary_text()}"
            )
        reading = read_shade(words, at) or (None if word in PATTERN_WORDS or word in _SIZES else read_word(words, at))
        after = at + 1
        if word in PATTERN_WORDS:
            patterns.append(word)
        elif word in _DIRECTIONS:
            direction = word
        elif word in _FINISHES:
            finish = _FINISHES[word]
        elif word in _SIZES:
            scale *= _SIZES[word]
        elif reading is not None and (reading.attributes.colours or reading.attributes.material):
            colours += reading.attributes.colours
            if reading.attributes.material:
                materials.append(reading.attributes.material)
                shade = reading.attributes.shade or shade
            after = reading.after
        elif word not in _SILENT:
            ignored.append(word)
        at = after
    if not (patterns or materials or colours):
        if beside_picture:
            told: dict[str, object] = {} if finish is None else {"roughness": finish}
            return Understood("", (), told, ignored, scale, direction, 0.0, 1.0 if finish is None else finish)
        raise PromptError(f"nothing in {prompt[:80]!r} says how the surface should look. {vocabulary_text()}")
    if "rainbow" in patterns and len(patterns) > 1:
        # Its colours in another pattern.
        patterns.remove("rainbow")
        colours = colours or [("rainbow", colour) for colour in PATTERNS["rainbow"].colours]
    kinds = [_MATERIAL_PATTERNS.get(material, "plain") for material in materials]
    pattern = PATTERN_WORDS[patterns[0]] if patterns else kinds[0] if kinds else "plain"
    ignored += [f"{word} (one pattern at a time)" for word in patterns[1:] if PATTERN_WORDS[word] != pattern]
    # "oak wood" says one thing twice.
    ignored += [
        f"{material} (one material at a time)"
        for material, kind in zip(materials[1:], kinds[1:], strict=True)
        if material != materials[0] and (kind == "plain" or kind != kinds[0])
    ]
    colours = colours[:_MOST_COLOURS]
    if pattern == "plain":
        ignored += [f"{name} (plain surfaces have one colour)" for name in dict.fromkeys(n for n, _ in colours[1:])]
        colours = colours[:1]
    style = PATTERNS[pattern]
    metallic, roughness = style.metallic, style.roughness
    wanted = [colour for _, colour in colours]
    recognised: dict[str, object] = {"pattern": pattern}
    if materials:
        surface = MATERIALS[materials[0]]
        if pattern in _WORN or pattern in ("metal", "grainy"):
            metallic, roughness = surface.metallic, surface.roughness
        own = _MATERIAL_PATTERNS.get(materials[0], "plain")
        if not wanted and (own == pattern or pattern in _WORN) and (shade or materials[0] not in PATTERNS):
            wanted = [shaded(surface.colour, shade)]
        if surface.alpha < 1:
            ignored.append(f"{materials[0]}'s transparency: textures are opaque")
        recognised["material"] = materials[0]
    if colours:
        recognised["colours"] = list(dict.fromkeys(name for name, _ in colours))
    if scale != 1.0:
        recognised["scale"] = round(scale, 3)
    if direction:
        recognised["direction"] = direction
    if finish is not None:
        roughness = finish
        recognised["roughness"] = finish
    return Understood(pattern, style.coloured(wanted), recognised, ignored, scale, direction, metallic, roughness)


def vocabulary_text() -> str:
    """The vocabulary as a text for people."""
    shown = ", ".join(sorted(set(PATTERNS)))
    materials = ", ".join(sorted(name for name in MATERIALS if name not in ("leaf", "pane")))
    return (
        f"Patterns: {shown}. Materials: {materials}. Colours: the names of CSS, with light, dark, pale, deep. Also"
        " small, large, fine, coarse; horizontal, vertical, diagonal; glossy, satin, matte"
    )
