"""Builds the bodies of a recipe with a kit of solids."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from .colours import RGB, rgb
from .design import Design
from .placing import SupportArea
from .polygons import counter_clockwise, curve, walled
from .recipe import Row, Shape
from .solids import Kit, Solid, bounds, together


def shape_of(kit: Kit, shape: Shape) -> Solid:
    """The body of a shape. What a shape and its copies are moved from is made once."""
    made = (shape.op, shape.args)
    solid = kit.made.get(made)
    if solid is None:
        solid = kit.made[made] = _OPERATIONS[shape.op](kit, *shape.args)
    for how, *values in shape.moves:
        if how == "move":
            solid = solid.moved(*values)
        elif how == "scale":
            solid = solid.scaled(*values)
        else:
            solid = solid.turned(values[1], values[0])
    return solid


def form(design: Design) -> None:
    """Build the parts of the noun's recipe, as many of each role as are wanted, and scale them to the design's size."""
    noun = design.noun
    left: dict[str, int] = {}
    solids: list[tuple[str, RGB | None, Solid]] = []
    for part in noun.recipe:
        material, _, code = part.look.partition(":")
        # Bodies of one role may differ, as the panels of a beach ball.
        own = rgb(code) if (code, material) != noun.paint[part.role] else None
        for shape in part.shapes:
            left.setdefault(part.role, design.count(part.role))
            solids.append((part.role, own, shape_of(design.kit, shape)))
    low, high = bounds(torch.cat([solid.vertices for *_, solid in solids]))
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    scale = max(noun.size) / max(b - a for a, b in zip(low, high, strict=True))
    x, y, z = (scale * wanted / usual for wanted, usual in zip((design.w, design.h, design.d), noun.size, strict=True))
    factors = {role: (design.thick(role) / design.u, design.long(role)) for role in left}
    for role, own, solid in solids:
        if left[role] > 0:
            left[role] -= 1
            solid = _resized(solid, middle, *factors[role]).moved(*(-m for m in middle)).scaled(x, y, z)
            design.add(role, solid, colour=own)
    if noun.top:
        share, half = noun.top
        design.top = SupportArea(design.h * (share - 0.5), design.w * half, design.d * half)
        design.serves = noun.serves
    if noun.hollow:
        share, half = noun.hollow
        design.hollow = SupportArea(design.h * (share - 0.5), design.w * half, design.d * half)


def _resized(solid: Solid, middle: Sequence[float], thick: float, long: float) -> Solid:
    """Longer along its longest direction and thicker across it, about the end that is nearest to the thing's middle."""
    if abs(thick - 1) < 1e-9 and abs(long - 1) < 1e-9:
        return solid
    centred = solid.vertices - solid.vertices.mean(0)
    axis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    distance = (solid.vertices - solid.vertices.new_tensor(middle)).norm(dim=1)
    anchor = solid.vertices[distance <= distance.quantile(0.15)].mean(0)
    away = solid.vertices - anchor
    lengthwise = (away @ axis)[:, None] * axis
    return Solid(anchor + lengthwise * long + (away - lengthwise) * thick, solid.faces)


# ---------------------------------------------------------------- operations


def _smooth(points: Sequence[Row], steps: int, *, closed: bool = False) -> list[Row]:
    """A Catmull-Rom curve through rows of any width."""
    if steps < 2 or len(points) < 3:
        return list(points)
    lanes = []
    for lane in zip(*points, strict=True):
        values = [(float(v), 0.0) for v in lane]
        if closed:
            inner = curve([*values[-2:], *values, *values[:2]], steps)
            lanes.append([v for v, _ in inner[2 * steps : (2 + len(values)) * steps]])
        else:
            lanes.append([v for v, _ in curve(values, steps)])
    return list(zip(*lanes, strict=True))


def _pairs(points: Sequence[Row]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in points]


def _lathe(kit: Kit, profile: Sequence[Row], smooth: int, segments: int) -> Solid:
    line = _smooth(profile, smooth)
    closed = [(0.0, line[0][1]), *_pairs(line), (0.0, line[-1][1])]
    return kit.lathe(closed, segments, sharp=0.0 if smooth else None)


def _vessel(kit: Kit, profile: Sequence[Row], wall: float, smooth: int, segments: int) -> Solid:
    outer = _pairs(_smooth(profile, smooth))
    return kit.lathe(walled(outer, wall, outer[0][1] + wall), segments, sharp=wall * 0.25)


def _tube(kit: Kit, path: Sequence[Row], radii: Sequence[float], smooth: int, segments: int) -> Solid:
    line = _smooth([(*point, radius) for point, radius in zip(path, radii, strict=True)], smooth)
    return kit.tube([(x, y, z) for x, y, z, _ in line], [max(each[3], 1e-4) for each in line], segments)


def _loft(kit: Kit, stations: Sequence[Row], power: float, smooth: int, segments: int) -> Solid:
    full = [(*row, 0.0) if len(row) == 4 else row for row in stations]
    count = kit.around(segments)
    turns = [2 * math.pi * (k + 0.5) / count for k in range(count)]
    circle = [(_power(math.cos(turn), 2 / power), _power(math.sin(turn), 2 / power)) for turn in turns]
    rings = [
        [[x, cy + max(hy, 1e-4) * u, cz + max(hz, 1e-4) * v] for u, v in circle]
        for x, cy, hy, hz, cz in _smooth(full, smooth)
    ]
    return kit.shell(rings)


def _power(value: float, exponent: float) -> float:
    return math.copysign(abs(value) ** exponent, value)


def _cushion(kit: Kit, x: float, y: float, z: float, power: float) -> Solid:
    e = 2 / power
    count, levels = kit.around(32), 9 if power > 2 else 11
    rings = []
    for level in range(levels):
        # The poles themselves are points.
        rise = math.radians(-84 + 168 * level / (levels - 1))
        flat, height = _power(math.cos(rise), e), _power(math.sin(rise), e)
        turns = [2 * math.pi * (k + 0.5) / count for k in range(count)]
        rings.append(
            [[x * flat * _power(math.cos(t), e), y * height, z * flat * _power(math.sin(t), e)] for t in turns]
        )
    return kit.shell(rings, (0.0, -y, 0.0), (0.0, y, 0.0))


def _plate(kit: Kit, outline: Sequence[Row], depth: float, smooth: int) -> Solid:
    line = counter_clockwise(_pairs(_smooth(outline, smooth, closed=True)))
    shortest = min(math.dist(a, b) for a, b in zip(line, line[1:] + line[:1], strict=True))
    return kit.prism(line, depth, min(0.08 * depth, 0.2 * shortest))


def _puff(kit: Kit, outline: Sequence[Row], depth: float, smooth: int) -> Solid:
    line = counter_clockwise(_pairs(_smooth(outline, smooth, closed=True)))
    mx, my = (sum(values) / len(line) for values in zip(*line, strict=True))
    rings = []
    for step in range(-4, 5):
        angle = math.radians(step * 20)
        size, z = math.cos(angle) ** 0.9, depth / 2 * math.sin(angle) / math.sin(math.radians(80))
        rings.append([[mx + (px - mx) * size, my + (py - my) * size, z] for px, py in line])
    return kit.shell(rings)


def _frame(kit: Kit, outline: Sequence[Row], hole: float, depth: float, smooth: int) -> Solid:
    line = counter_clockwise(_pairs(_smooth(outline, smooth, closed=True)))
    z, inset = depth / 2, 1 - 0.06 * (1 - hole)
    outer, inner = 1.0, hole
    loops = [(outer, z * 0.9), (outer * inset, z), (inner / inset, z), (inner, z * 0.9)]
    loops += [(size, -height) for size, height in reversed(loops)]
    return kit.ring([[[px * size, py * size, height] for px, py in line] for size, height in loops])


def _leaf(kit: Kit, length: float, half_width: float, thick: float) -> Solid:
    rings = []
    for i in range(9):
        t = 0.03 + 0.94 * i / 8
        wide = half_width * (math.sin(math.pi * t**0.8) ** 0.8 + 0.05)
        turns = [2 * math.pi * k / 10 for k in range(10)]
        rings.append([[length * t, thick * math.sin(a), wide * math.cos(a)] for a in turns])
    return kit.shell(rings, (0.0, 0.0, 0.0), (length, 0.0, 0.0))


def _gore(kit: Kit, count: int, half: float) -> Solid:
    rings = []
    for level in range(-8, 9):
        rise = math.radians(level * 10)
        flat, y = half * math.cos(rise), half * math.sin(rise)
        turns = [math.pi / count * (-1 + k / 4) for k in range(9)]
        rings.append([[0.0, y, 0.0], *([flat * math.sin(t), y, flat * math.cos(t)] for t in turns)])
    return kit.shell(rings, (0.0, -half, 0.0), (0.0, half, 0.0))


def _joined(kit: Kit, *shapes: Shape) -> Solid:
    return together([shape_of(kit, shape) for shape in shapes])


_OPERATIONS: dict[str, Callable[..., Solid]] = {
    "ball": Kit.ellipsoid,
    "box": Kit.box,
    "cushion": _cushion,
    "cyl": Kit.cylinder,
    "cone": Kit.cone,
    "wedge": lambda kit, w, d, h, tw, td: kit.frustum((w, d), (tw, td), h),
    "hoop": lambda kit, radius, thick, segments: kit.torus(radius, thick, segments, 16),
    "lathe": _lathe,
    "vessel": _vessel,
    "tube": _tube,
    "loft": _loft,
    "plate": _plate,
    "puff": _puff,
    "frame": _frame,
    "leaf": _leaf,
    "gore": _gore,
    "joined": _joined,
}
