"""Materials: their colour and reflection in the metallic-roughness model."""

from __future__ import annotations

from typing import NamedTuple

from .colours import RGB, rgb


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
    "metal": _of("a8abb0", 1.0, 0.35),
    "steel": _of("b4b8bd", 1.0, 0.3),
    "iron": _of("63666a", 1.0, 0.55),
    "chrome": _of("d8dadd", 1.0, 0.08),
    "aluminium": _of("c6c8ca", 1.0, 0.4),
    "gold": _of("ffc83d", 1.0, 0.22),
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
}

#: Other words for them.
MATERIAL_WORDS: dict[str, str] = {
    **{name: name for name in MATERIALS if name not in ("leaf", "earth", "pane")},
    "wooden": "wood", "timber": "wood", "oaken": "oak", "metallic": "metal", "golden": "gold", "aluminum": "aluminium",
    "crystalline": "crystal", "icy": "ice", "rock": "stone", "rocky": "stone", "stony": "stone", "bricks": "brick",
    "cement": "concrete", "terracotta": "clay", "china": "porcelain", "cloth": "fabric", "textile": "fabric",
    "cotton": "fabric", "snowy": "snow", "sandstone": "sand", "sandy": "sand",
}  # fmt: skip
