"""What each piece looks like: what was said of its part, else of the thing, else how such a thing looks."""

from __future__ import annotations

from ..mesh_output import Material
from .colours import RGB, rgb, shaded
from .design import Built, Piece
from .materials import MATERIALS
from .noun import Noun
from .scene import Attributes, ObjectAsk

_NOTHING = Attributes()


def material_of(noun: Noun, ask: ObjectAsk, piece: Piece, number: int) -> Material:
    """The surface of the piece that is the `number`-th of its role (from 0)."""
    part = ask.parts.get(piece.role)
    said = part.attributes if part else _NOTHING
    whole = ask.attributes if piece.role in noun.tinted else _NOTHING
    code, usual = noun.paint[piece.role]
    name = said.material or whole.material or usual
    surface = MATERIALS[name]
    colour: tuple[str, RGB] | None = None
    if said.colours:
        # "red and white legs": in turn.
        colour = said.colours[number % len(said.colours)]
    elif not said.material:
        if piece.role in noun.accent and len(ask.attributes.colours) > 1:
            colour = ask.attributes.colours[1]
        elif whole.colours:
            colour = whole.colours[0]
    if colour is not None:
        label, value = f"{colour[0]} {name}", colour[1]
    elif said.material or whole.material:
        shade = said.shade if said.material else whole.shade
        label, value = " ".join(word for word in (shade, name) if word), shaded(surface.colour, shade)
    else:
        label, value = name, piece.colour or (rgb(code) if code else surface.colour)
    return Material(label, value, surface.alpha, surface.metallic, surface.roughness)


def unused_paint(noun: Noun, ask: ObjectAsk, built: Built) -> list[str]:
    """What was said of looks and changed nothing, with the reason."""
    roles = {piece.role for piece in built.pieces}
    words = []
    for part in ask.parts.values():
        if part.name not in roles:
            what = [said for said, _ in part.attributes.colours] + [part.attributes.material or ""]
            words += [f"{word} (there is no {part.name} to paint)" for word in what if word]
    colours = [said for said, _ in ask.attributes.colours]
    used = 2 if roles & set(noun.accent) else 1
    words += [f"{said} (a {noun.name} takes {used} colour{'s' if used > 1 else ''} here)" for said in colours[used:]]
    return words
