"""Builds, paints and places the meshes of a scene. A piece looks as the prompt says of its part, else of the object,
else as the noun usually does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from ...mesh.write import Material, MeshPart, vertex_normals
from . import buildings, furniture, nature, tools, vehicles, vessels
from .colours import MATERIALS, RGB, rgb, shaded
from .design import Design, Piece
from .forming import form
from .nouns import NOUNS
from .placing import Body, Pose, SupportArea, lay_out
from .restyling import faceted, voxelised
from .scene import Attributes, ObjectRequest, Scene
from .solids import Kit, bounds
from .styles import LOW_POLY, VOXEL, WOODEN_TOY

_MODULES = (furniture, buildings, vehicles, nature, vessels, tools)
#: Noun -> the function that builds it.
SHAPES: dict[str, Callable[[Design], None]] = {
    **{name: form for name, noun in NOUNS.items() if noun.recipe},
    **{name: getattr(m, name) for name, noun in NOUNS.items() if not noun.recipe for m in _MODULES if hasattr(m, name)},
}


#: Of round bodies, where their facets show.
_FACETED_DETAIL = 0.25


class Assembly(NamedTuple):
    """The meshes of a scene, and the words that changed nothing."""

    parts: list[MeshPart]
    ignored: list[str]
    #: What was changed to make things fit.
    notes: list[str]
    #: Per kind of thing: measured size of one, metres.
    sizes: list[dict[str, Any]]


def assemble(
    scene: Scene,
    seed: int = 0,
    device: str = "cpu",
    step: Callable[[float, str], None] = lambda _fraction, _stage: None,
    detail: float = 1.0,
) -> Assembly:
    """Build, paint and place everything in a scene.

    `step` is called with a fraction and a stage between things; it may raise to stop. `detail` below 1 gives round
    bodies fewer faces.
    """
    kit = Kit(device, detail * (_FACETED_DETAIL if scene.style == LOW_POLY else 1.0))
    groups: list[list[Design]] = []
    for number, request in enumerate(scene.objects):
        step(number / len(scene.objects) * 0.7, f"building {request.noun}")
        groups.append(_build(request, kit, seed))
    bodies = [[_body(design) for design in group] for group in groups]
    step(0.7, "placing")
    layout = lay_out(bodies, scene.relations)
    unused = [word for group in groups for word in group[0].unused() + unused_paint(group[0])]
    names = iter(_numbered([design.noun.name for group in groups for design in group]))
    parts: list[MeshPart] = []
    for number, (group, poses) in enumerate(zip(groups, layout.poses, strict=True)):
        step(0.75 + number / len(scene.objects) * 0.25, f"painting {group[0].noun.name}")
        for design, pose in zip(group, poses, strict=True):
            parts += _styled(_painted(design, pose, next(names)[1], scene.style), scene.style)
    points = np.concatenate([part.vertices for part in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    # The scene stands on y = 0, centred in x and z.
    shift = [-(low[0] + high[0]) / 2, -low[1], -(low[2] + high[2]) / 2]
    return Assembly(
        [part._replace(vertices=part.vertices + shift) for part in parts],
        list(dict.fromkeys([*scene.ignored, *unused, *layout.ignored])),
        [*scene.notes, *layout.notes],
        [{"object": b.name, "size_m": [round(b.side(axis), 6) for axis in range(3)]} for b, *_ in bodies],
    )


def _build(request: ObjectRequest, kit: Kit, seed: int) -> list[Design]:
    """All objects of a request; with seed 0 they are one and the same."""
    group = []
    for index in range(request.count if seed else 1):
        design = Design(NOUNS[request.noun], request, kit, seed, index)
        SHAPES[request.noun](design)
        _to_measure(design)
        group.append(design)
    return group if seed else group * request.count


def _to_measure(design: Design) -> None:
    """Stand the object on y = 0, and stretch it so that a size given in metres is met exactly."""
    low, high = bounds(torch.cat([piece.solid.vertices for piece in design.pieces]))
    x, y, z = (design.targets[axis] / (high[axis] - low[axis]) if axis in design.targets else 1.0 for axis in range(3))
    design.stretch(x, y, z, -low[1])
    for place in ("top", "hollow"):
        old = getattr(design, place)
        if old is not None:
            setattr(
                design, place, SupportArea((old.y - low[1]) * y, old.half_x * x, old.half_z * z, old.x * x, old.z * z)
            )
    design.clearance *= y


def _body(design: Design) -> Body:
    points = torch.cat([piece.solid.vertices for piece in design.pieces])
    low, high = bounds(points)
    lowest = points[points[:, 1] <= low[1] + 0.25 * (high[1] - low[1])]
    girth = float(lowest[:, ::2].norm(dim=1).max())
    return Body(design.noun.name, low, high, design.top, design.hollow, design.clearance, design.serves, girth)


def _numbered(words: list[str]) -> list[tuple[int, str]]:
    """The place of each word among its equals (from 0), and `chair`; or `chair 1`, `chair 2` ... of several."""
    total, seen = Counter(words), Counter[str]()
    numbered = []
    for word in words:
        numbered.append((seen[word], f"{word} {seen[word] + 1}" if total[word] > 1 else word))
        seen[word] += 1
    return numbered


def _styled(parts: list[MeshPart], style: str) -> list[MeshPart]:
    if style == LOW_POLY:
        return [faceted(part) for part in parts]
    return voxelised(parts) if style == VOXEL else parts


def _painted(design: Design, pose: Pose, name: str, style: str) -> list[MeshPart]:
    parts = []
    labels = _numbered([piece.role for piece in design.pieces])
    for piece, (number, label) in zip(design.pieces, labels, strict=True):
        solid = piece.solid.scaled(pose.scale, pose.scale, pose.scale).turned(pose.yaw).moved(pose.x, pose.y, pose.z)
        vertices, faces = solid.vertices.cpu().numpy(), solid.faces.cpu().numpy()
        material = material_of(design, piece, number)
        if style == WOODEN_TOY:
            material = _wooden(design, piece, material)
        parts.append(MeshPart(f"{name} / {label}", vertices, faces, vertex_normals(vertices, faces), material))
    return parts


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


def _wooden(design: Design, piece: Piece, material: Material) -> Material:
    """Wood all over: bare where the thing has its usual colour, painted elsewhere."""
    wood = MATERIALS["wood"]
    bare = piece.role in design.noun.tinted and not design.request.attributes.colours and piece.colour is None
    colour = wood.colour if bare and piece.role not in design.request.parts else material.colour
    return Material(f"wooden toy {material.name}", colour, 1.0, wood.metallic, wood.roughness)


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
