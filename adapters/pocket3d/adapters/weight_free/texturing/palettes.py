"""Colours of each pattern, and how a prompt's colours replace them."""

from __future__ import annotations

from typing import NamedTuple

from ..procedural.colours import RGB, rgb

Palette = tuple[RGB, ...]
#: Luma weights of ITU-R BT.709.
_LUMA = (0.2126, 0.7152, 0.0722)


class Pattern(NamedTuple):
    """A pattern with its usual colours.

    A colour whose `tied` is True follows the first one (darker or lighter by as much as it was) when the prompt names
    only that; one that is False keeps its own.
    """

    colours: Palette
    tied: tuple[bool, ...]
    metallic: float
    roughness: float
    #: The second colour must stand out from the first, whatever that is.
    contrast: bool = False

    def coloured(self, wanted: list[RGB]) -> Palette:
        """The palette with the wanted colours in its first entries; surplus ones are appended."""
        if not wanted:
            return self.colours
        chosen = list(wanted)
        for place in range(len(wanted), len(self.colours)):
            if self.contrast and place == 1:
                chosen.append((1.0, 1.0, 1.0) if luma(wanted[0]) < 0.6 else (0.08, 0.08, 0.08))
            elif self.tied[place]:
                chosen.append(_as_far(self.colours[0], self.colours[place], wanted[0]))
            else:
                chosen.append(self.colours[place])
        return tuple(chosen)


def luma(colour: RGB) -> float:
    """Luma: the weighted sum of the sRGB channels, 0..1."""
    return sum(weight * channel for weight, channel in zip(_LUMA, colour, strict=True))


def _as_far(base: RGB, other: RGB, wanted: RGB) -> RGB:
    """Shift `wanted` towards black or white by the share by which `other` differs from `base`."""
    before, after = luma(base), luma(other)
    if after < before:
        share = after / max(before, 1e-6)
        red, green, blue = (channel * share for channel in wanted)
    else:
        share = (after - before) / max(1 - before, 1e-6)
        red, green, blue = (channel + (1 - channel) * share for channel in wanted)
    return (red, green, blue)


def _pattern(codes: str, tied: str, metallic: float, roughness: float, contrast: bool = False) -> Pattern:
    return Pattern(
        tuple(rgb(code) for code in codes.split()), tuple(sign == "t" for sign in tied), metallic, roughness, contrast
    )


PATTERNS: dict[str, Pattern] = {
    "plain": _pattern("b8b8bc", "t", 0.0, 0.6),
    "grainy": _pattern("a3a29c 8d8c86", "tt", 0.0, 0.95),
    "wood": _pattern("b07d48 7a4e28 5a3719", "ttt", 0.0, 0.6),
    "planks": _pattern("b58551 7d532c 2e1d10", "ttt", 0.0, 0.6),
    "marble": _pattern("f0eeea 8f8d90 5c5a60", "ttt", 0.0, 0.22),
    "granite": _pattern("a09a98 4a474a d8d2cc", "ttt", 0.0, 0.5),
    "stone": _pattern("98948b 6d6a63 b4b0a6", "ttt", 0.0, 0.9),
    "cobble": _pattern("8f8b84 6a6761 3a3732", "ttf", 0.0, 0.85),
    "brick": _pattern("a24a36 7d3426 c9c2b4", "ttf", 0.0, 0.9),
    "tiles": _pattern("e6ebee cfd6da 8f979b", "ttf", 0.0, 0.2),
    "metal": _pattern("b0b3b8 8e9196", "tt", 1.0, 0.32),
    "rust": _pattern("8b8d90 9a4a1e 5b2a12", "ttt", 1.0, 0.4),
    "fabric": _pattern("7d88a0 5b647a", "tt", 0.0, 0.95),
    "denim": _pattern("3f5d8a 24395c c9d3e0", "ttt", 0.0, 0.95),
    "plaid": _pattern("a4262c 1c2a22 e8c547", "fff", 0.0, 0.92),
    "leather": _pattern("6b4226 3f2513", "tt", 0.0, 0.55),
    "checker": _pattern("141414 f2f2f2", "ft", 0.0, 0.5, contrast=True),
    "stripes": _pattern("1b1b1d f4f4f2", "ft", 0.0, 0.6, contrast=True),
    "dots": _pattern("f4f1ea c0392b", "ft", 0.0, 0.6, contrast=True),
    "spots": _pattern("d9a55a 8a5a2a 2a1a10", "ttt", 0.0, 0.85),
    "camouflage": _pattern("6b7045 3c4a2b 8f8460 1f231a", "tttt", 0.0, 0.95),
    "gradient": _pattern("1d4e89 f7c59f", "ft", 0.0, 0.5, contrast=True),
    "rainbow": _pattern("d7263d f46036 f9c80e 2e933c 1b98e0 6a2c91", "ffffff", 0.0, 0.5),
    "clouds": _pattern("5b8fd6 f6f9fc", "ft", 0.0, 0.8, contrast=True),
    "grass": _pattern("4f8a2f 2f5a1c 8fb04a", "ttt", 0.0, 0.95),
    "lava": _pattern("1d1614 ff5a0a ffd24a", "fff", 0.0, 0.8),
}
