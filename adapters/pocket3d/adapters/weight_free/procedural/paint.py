"""Chooses the look of each piece: as the prompt says of its part, else of the object, else the noun's usual one."""

from __future__ import annotations

from ...mesh.write import Material
from .colours import RGB, rgb, shaded
from .design import Design, Piece
from .materials import MATERIALS
from .scene import Attributes

_NOTHING = Attributes()


def material_of(design: Design, piece: Piece, number: int) -> Material:
    """The surface of the piece that is the `number`-th of its role (from 0)."""
    noun, request = design.noun, design.request
    part = request.parts.get(piece.role)
    said = part.attributes if part else _NOTHING
    whole = request.attributes if piece.role in noun.tinted else _NOTHING
    code, usual = noun.paint[piece.role]
    name = said.material or whole.material or usual
    surface = MATERIALS[name]
    colour: tuple[str, RGB] | None = None
    if said.colours:
        # "red and white legs": in turn.
        colour = said.colours[number % len(said.colours)]
    elif not said.material:
        if piece.role in noun.accent and len(request.attributes.colours) > 1:
            colour = request.attributes.colours[1]
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


def unused_paint(design: Design) -> list[str]:
    """Words about looks that changed nothing, each with the reason."""
    noun, request = design.noun, design.request
    roles = {piece.role for piece in design.pieces}
    words = []
    for part in request.parts.values():
        if part.name not in roles:
            what = [said for said, _ in part.attributes.colours] + [part.attributes.material or ""]
            words += [f"{word} (there is no {part.name} to paint)" for word in what if word]
    colours = [said for said, _ in request.attributes.colours]
    used = 2 if roles & set(noun.accent) else 1
    words += [f"{said} (a {noun.name} takes {used} colour{'s' if used > 1 else ''} here)" for said in colours[used:]]
    return words
