"""Builds, paints and places the meshes of a scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ...mesh.write import MeshPart, vertex_normals
from . import buildings, furniture, nature, primitives, tools, vehicles, vessels
from .design import BuiltObject, Design, Piece
from .nouns import NOUNS
from .paint import material_of, unused_paint
from .placing import Body, Pose, lay_out
from .scene import ObjectRequest, Scene
from .solids import Kit, Solid

Shape = Callable[[Design], BuiltObject]


def _shapes() -> dict[str, Shape]:
    modules = (furniture, buildings, vehicles, nature, vessels, tools, primitives)
    return {name: getattr(module, name) for name in NOUNS for module in modules if hasattr(module, name)}


#: Noun -> the function that builds it.
SHAPES: dict[str, Shape] = _shapes()


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
) -> Assembly:
    """Build, paint and place everything in a scene.

    Args:
        scene: what to build.
        seed: 0 for the usual proportions.
        device: of torch.
        step: called with a fraction and a stage between things; may raise to stop.
    """
    kit = Kit(device)
    ignored, notes = list(scene.ignored), []
    groups: list[list[BuiltObject]] = []
    for number, request in enumerate(scene.objects):
        step(number / len(scene.objects) * 0.7, f"building {request.noun}")
        groups.append(_build(request, kit, seed, ignored))
    bodies = [
        [_body(request.noun, built) for built in group] for request, group in zip(scene.objects, groups, strict=True)
    ]
    step(0.7, "placing")
    layout = lay_out(bodies, scene.relations)
    ignored += [word for word in layout.ignored if word not in ignored]
    notes += layout.notes
    parts: list[MeshPart] = []
    names = _names(scene.objects)
    for number, (request, group) in enumerate(zip(scene.objects, groups, strict=True)):
        step(0.75 + number / len(scene.objects) * 0.25, f"painting {request.noun}")
        for built, pose, name in zip(group, layout.poses[number], names[number], strict=True):
            parts += _painted(request, built, pose, name)
    sizes = [
        {"object": group[0].name, "size_m": [round(group[0].side(axis), 6) for axis in range(3)]} for group in bodies
    ]
    return Assembly(_grounded(parts), ignored, notes, sizes)


def _build(request: ObjectRequest, kit: Kit, seed: int, ignored: list[str]) -> list[BuiltObject]:
    noun = NOUNS[request.noun]
    group: list[BuiltObject] = []
    for index in range(request.count):
        if index and seed == 0:
            group.append(group[0])
            continue
        design = Design(noun, request, kit, seed, index)
        built = _to_measure(SHAPES[request.noun](design), design)
        if not index:
            words = design.unused() + unused_paint(noun, request, built)
            ignored += [word for word in words if word not in ignored]
        group.append(built)
    return group


def _to_measure(built: BuiltObject, design: Design) -> BuiltObject:
    """Stand the object on y = 0, and stretch it so that a size given in metres is met exactly."""
    low, high = _bounds([piece.solid for piece in built.pieces])
    factors = [1.0, 1.0, 1.0]
    for axis, metres in design.targets.items():
        factors[axis] = metres / (high[axis] - low[axis])
    x, y, z = factors
    solids = [piece.solid.moved(y=-low[1]).scaled(x, y, z) for piece in built.pieces]
    built.pieces = [Piece(p.role, solid, p.colour) for p, solid in zip(built.pieces, solids, strict=True)]
    for place in ("top", "hollow"):
        old = getattr(built, place)
        if old is not None:
            new = type(old)((old.y - low[1]) * y, old.half_x * x, old.half_z * z, old.x * x, old.z * z)
            setattr(built, place, new)
    built.clearance *= y
    return built


def _bounds(solids: list[Solid]) -> tuple[list[float], list[float]]:
    points = torch.cat([solid.vertices for solid in solids])
    return points.amin(0).tolist(), points.amax(0).tolist()


def _body(name: str, built: BuiltObject) -> Body:
    points = torch.cat([piece.solid.vertices for piece in built.pieces])
    low, high = points.amin(0).tolist(), points.amax(0).tolist()
    lowest = points[points[:, 1] <= low[1] + 0.25 * (high[1] - low[1])]
    girth = float(lowest[:, ::2].norm(dim=1).max())
    return Body(
        name,
        (low[0], low[1], low[2]),
        (high[0], high[1], high[2]),
        built.top,
        built.hollow,
        built.clearance,
        built.serves,
        girth,
    )


def _names(requests: tuple[ObjectRequest, ...]) -> list[list[str]]:
    """`chair`, or `chair 1`, `chair 2` ... where there are several."""
    total: dict[str, int] = {}
    for request in requests:
        total[request.noun] = total.get(request.noun, 0) + request.count
    used: dict[str, int] = {}
    names = []
    for request in requests:
        row = []
        for _ in range(request.count):
            used[request.noun] = used.get(request.noun, 0) + 1
            row.append(f"{request.noun} {used[request.noun]}" if total[request.noun] > 1 else request.noun)
        names.append(row)
    return names


def _painted(request: ObjectRequest, built: BuiltObject, pose: Pose, name: str) -> list[MeshPart]:
    total: dict[str, int] = {}
    for piece in built.pieces:
        total[piece.role] = total.get(piece.role, 0) + 1
    seen: dict[str, int] = {}
    parts = []
    for piece in built.pieces:
        number = seen.get(piece.role, 0)
        seen[piece.role] = number + 1
        solid = piece.solid.scaled(pose.scale, pose.scale, pose.scale).turned(pose.yaw).moved(pose.x, pose.y, pose.z)
        vertices, faces = solid.vertices.cpu().numpy(), solid.faces.cpu().numpy()
        label = f"{piece.role} {number + 1}" if total[piece.role] > 1 else piece.role
        parts.append(
            MeshPart(
                name=f"{name} / {label}",
                vertices=vertices,
                faces=faces,
                normals=vertex_normals(vertices, faces),
                material=material_of(NOUNS[request.noun], request, piece, number),
            )
        )
    return parts


def _grounded(parts: list[MeshPart]) -> list[MeshPart]:
    """Move the parts so that they are centred in x and z and stand on y = 0."""
    low = [min(float(part.vertices[:, axis].min()) for part in parts) for axis in range(3)]
    high = [max(float(part.vertices[:, axis].max()) for part in parts) for axis in range(3)]
    shift = [-(low[0] + high[0]) / 2, -low[1], -(low[2] + high[2]) / 2]
    return [part._replace(vertices=part.vertices + shift) for part in parts]
