"""Tools, plain geometric bodies and other objects. Each function builds one noun from its design."""

from __future__ import annotations

import math

from .design import Design
from .placing import SupportArea
from .polygons import arc, curve, star_outline, stretched
from .solids import Solid, bounds


def ladder(design: Design) -> None:
    """Two rails and rungs."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    rail = 0.045 * design.thick("rail")
    design.add("rail", *(kit.box(rail, h, d).moved(sign * (w - rail) / 2) for sign in (-1, 1)))
    rungs = design.count("rung")
    thick = min(0.018 * design.thick("rung"), h / rungs * 0.4)
    for i in range(rungs):
        y = h * (i + 0.6) / (rungs + 0.2)
        bar = kit.cylinder(thick, w - rail, segments=20).turned(90, "z").moved((w - rail) / 2, y, 0)
        design.add("rung", bar)


def sword(design: Design) -> None:
    """A blade with a ridge, a guard, a grip and a pommel; it stands on its pommel."""
    kit, w, d, h, u = design.kit, design.w, design.d, design.h, design.u
    pommel = 0.028 * u * design.thick("pommel") / u if design.count("pommel") else 0.0
    grip = h * 0.17 * design.long("grip")
    if pommel:
        design.add("pommel", kit.ball(pommel, 28).moved(y=pommel))
    low = pommel * 1.7
    thick = 0.016 * design.thick("grip")
    wound = [(thick * (1.0 + 0.07 * math.sin(i * 1.7)), low + grip * i / 30) for i in range(31)]
    design.add("grip", kit.lathe([(0, low), *wound, (0, low + grip)], 24, sharp=0.0))
    base = low + grip
    guard = 0.03 * design.thick("guard")
    bow = ((-0.5, 0.9, 0.3), (-0.2, 0.3, 0.42), (0, 0.2, 0.55), (0.2, 0.3, 0.42), (0.5, 0.9, 0.3))
    path = [(x * w, base + guard * y, 0.0) for x, y, _ in bow]
    design.add("guard", kit.tube(path, [guard * radius for _, _, radius in bow], 18))
    start = base + guard * 0.2
    design.add("blade", _blade(design, w * 0.105 * design.thick("blade") / u, start, max(h, start + h * 0.3), d * 0.13))


def _blade(design: Design, half_width: float, low: float, high: float, half_thick: float) -> Solid:
    """Diamond in section: two edges and a ridge on each face, each a bevel wide, running to a point."""
    levels = [(0.0, 1.0), (0.03, 1.0), (0.4, 0.93), (0.8, 0.84), (0.88, 0.7), (0.95, 0.42), (0.99, 0.1)]
    half = [(1.0, 0.06), (0.04, 1.0), (-0.04, 1.0), (-1.0, 0.06)]
    section = half + [(x, -z) for x, z in reversed(half)]
    rings = [
        [[x * half_width * size, low + (high - low) * t, z * half_thick * (0.5 + 0.5 * size)] for x, z in section]
        for t, size in levels
    ]
    return design.kit.shell(rings, (0, low, 0), (0, high, 0))


def hammer(design: Design) -> None:
    """A head with a face and a claw on a handle."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    tall = d * 0.8 * design.thick("head") / design.u
    grip = 0.016 * design.thick("handle")
    top = h - tall * 0.5
    end = top + tall * 0.55
    shaft = curve([(grip * 1.05, 0.0), (grip * 1.15, h * 0.12), (grip * 0.85, h * 0.4), (grip * 0.8, end)], 6)
    design.add("handle", kit.lathe([(0, 0), *shaft, (0, end)], 28, sharp=grip * 0.15))
    face = stretched([(0, 0), (0.42, 0), (0.5, 0.12), (0.5, 0.5), (0.34, 0.75)], tall, tall)
    neck = kit.lathe([*face, (tall * 0.34, w * 0.45), (0, w * 0.45)], 36)
    design.add("head", neck.turned(-90, "z").moved(-w * 0.5, top, 0))
    design.add("head", kit.box(tall * 1.1, tall, tall * 0.85).moved(0, top - tall / 2, 0))
    claw = [
        (0.0, 0.34),
        (0.0, -0.34),
        (0.22, -0.34),
        (0.42, -0.5),
        (0.5, -0.72),
        (0.53, -0.68),
        (0.45, -0.1),
        (0.25, 0.3),
    ]
    outline = [(x * w, top + y * tall) for x, y in claw]
    for sign in (-1, 1):
        design.add("head", kit.prism(outline, tall * 0.26, tall * 0.03).turned(sign * 4).moved(z=sign * tall * 0.2))


def gear(design: Design) -> None:
    """Teeth around a disc with a bore; it stands upright. The bore goes through, so the body is a ring."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    teeth = design.count("tooth")
    root = 0.5 - min(0.07, 0.9 / teeth) * design.long("tooth")
    outline: list[tuple[float, float]] = []
    pitch = 2 * math.pi / teeth
    for i in range(teeth):
        for part, radius in ((-0.30, root), (-0.16, 0.5), (0.16, 0.5), (0.30, root)):
            angle = pitch * (i + part)
            outline.append((radius * math.sin(angle), radius * math.cos(angle)))
    outline = outline[::-1]
    bore = 0.13 if design.count("hole") else 0.0
    solid = _ring(design, outline, bore) if bore else kit.prism(outline, 1.0, 0.004)
    design.add("body", solid.scaled(w, h, d).moved(y=h / 2))
    collar = 0.24
    if bore:
        hub = _ring(design, arc(0, 0, collar, 0, 352.5, 47), bore * 0.998)
        design.add("body", hub.scaled(w, h, d * 1.5).moved(y=h / 2))


def _ring(design: Design, outline: list[tuple[float, float]], bore: float) -> Solid:
    """An outline (counter-clockwise, star-shaped about the middle) of depth 1 in z with a round hole through it."""
    bevel = 0.006
    loops: list[list[tuple[float, float, float]]] = []
    hole = [(bore * x / math.hypot(x, y), bore * y / math.hypot(x, y)) for x, y in outline]
    for loop, sign in ((outline, -1.0), (hole, 1.0)):
        for z in (0.5, -0.5) if sign > 0 else (-0.5, 0.5):
            edge = z - math.copysign(bevel, z)
            shrunk = [
                (x + sign * bevel * x / math.hypot(x, y), y + sign * bevel * y / math.hypot(x, y), z) for x, y in loop
            ]
            full = [(x, y, edge) for x, y in loop]
            loops += [shrunk, full] if (z < 0) == (sign < 0) else [full, shrunk]
    return design.kit.ring(loops)


def wheel(design: Design) -> None:
    """A tyre, a rim, spokes and a hub; it stands upright and rolls along x."""
    kit, w, d = design.kit, design.w, design.d
    r = w / 2
    thick = min(d / 2, r * 0.24)
    tyre = design.count("tyre")
    if tyre:
        design.add("tyre", kit.torus(r - thick, thick, 72, 28).turned(90, "x").moved(y=r))
    inner = r - 2 * thick * 0.92 if tyre else r * 0.93
    rim = thick * 0.5 * design.thick("rim") / design.u
    design.add("rim", kit.torus(inner, rim, 72, 20).turned(90, "x").moved(y=r))
    hub = r * 0.15 * design.thick("hub") / design.u
    design.add("hub", kit.cylinder(hub, d * 0.8).turned(90, "x").moved(0, r, -d * 0.4))
    for i in range(design.count("spoke")):
        angle = 2 * math.pi * i / design.count("spoke")
        end = (inner * math.sin(angle), r + inner * math.cos(angle), 0.0)
        start = (hub * 0.5 * math.sin(angle), r + hub * 0.5 * math.cos(angle), 0.0)
        design.add("spoke", kit.tube([start, end], rim * 0.5 * design.thick("spoke") / design.u, 12))
    design.stretch(1, design.h / design.w, 1)


def candle(design: Design) -> None:
    """A wax column with a wick and a flame, in a holder if asked for."""
    kit, w, h = design.kit, design.w, design.h
    r = w / 2
    flame = h * 0.22 * design.long("flame") if design.count("flame") else 0.0
    base = h * 0.04 if design.count("holder") else 0.0
    if base:
        holder = [(0, 0), (r * 2.0, 0), (r * 2.3, h * 0.09), (r * 2.1, h * 0.09), (r * 1.9, base), (0, base)]
        design.add("holder", kit.lathe(holder, 48))
    top = h - flame - h * 0.05
    melted = [(r * 0.8, top + h * 0.012), (r * 0.6, top - h * 0.01), (0, top - h * 0.015)]
    design.add("body", kit.lathe([(0, base), (r, base), (r, top), *melted], 40))
    design.add("wick", kit.tube([(0, top - h * 0.03, 0), (0, top + h * 0.05, 0)], r * 0.06, 10))
    if flame:
        drop = curve([(0.04, 0.0), (0.7, 0.16), (0.95, 0.36), (0.5, 0.7), (0.06, 0.99)], 6)
        body = kit.lathe([(0, 0), *drop, (0, 1.0)], 24, sharp=0.0)
        design.add("flame", body.scaled(r * 0.34, flame, r * 0.34).moved(y=top + h * 0.035))


def barrel(design: Design) -> None:
    """Bulging staves with hoops."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    r = w / 2

    def radius(t: float) -> float:
        return r * (0.8 + 0.18 * math.sin(math.pi * t))

    side = [(radius(i / 20), h * i / 20) for i in range(21)]
    inset = h * 0.04
    low, high = side[0][0], side[-1][0]
    bottom = [(0, inset), (low * 0.9, inset), (low * 0.92, 0)]
    lid = [(high * 0.92, h), (high * 0.9, h - inset), (0, h - inset)]
    design.add("body", kit.lathe([*bottom, *side, *lid], 56, sharp=h * 0.006).scaled(1, 1, d / w))
    hoops = design.count("hoop")
    for i in range(hoops):
        t = 0.06 + 0.88 * (i + 0.5) / hoops if hoops != 4 else (0.07, 0.3, 0.7, 0.93)[i]
        half = 0.025
        low, high = max(t - half, 0.01), min(t + half, 0.99)
        band = [(0, h * low), (radius(low) * 1.02, h * low), (radius(high) * 1.02, h * high), (0, h * high)]
        design.add("hoop", kit.lathe(band, 56, sharp=h * 0.003).scaled(1, 1, d / w))
    design.top = SupportArea(h - inset, r * 0.5, r * 0.5)
    design.serves = True


def cube(design: Design) -> None:
    """A block."""
    design.top, design.serves = SupportArea(design.h, design.w * 0.45, design.d * 0.45), True
    design.add("body", design.kit.box(design.w, design.h, design.d))


def sphere(design: Design) -> None:
    """A ball."""
    ball = design.kit.ellipsoid(design.w / 2, design.h / 2, design.d / 2, 64)
    design.add("body", ball.moved(y=design.h / 2))


def cylinder(design: Design) -> None:
    """A round bar, standing."""
    design.top, design.serves = SupportArea(design.h, design.w * 0.33, design.d * 0.33), True
    design.add("body", design.kit.cylinder(0.5, 1.0, segments=64).scaled(design.w, design.h, design.d))


def cone(design: Design) -> None:
    """Round below, pointed above; stripes lie around it."""
    kit, w, h, d = design.kit, design.w, design.h, design.d
    design.add("body", kit.cone(0.5, 1.0, 64).scaled(w, h, d))
    stripes = design.count("stripe")
    for i in range(stripes):
        low = 0.2 + 0.6 * i / max(stripes, 1)
        high = low + 0.3 / max(stripes, 1)
        lower, upper = 0.5 * (1 - low) + 0.008, 0.5 * (1 - high) + 0.008
        band = kit.lathe([(0, low), (lower, low), (upper, high), (0, high)], 64, sharp=0.004)
        design.add("stripe", band.scaled(w, h, d))


def torus(design: Design) -> None:
    """A ring, lying."""
    thickness = min(design.h / 2, design.w * 0.24)
    ring = design.kit.torus(0.5 - thickness / design.w, thickness / design.w)
    design.hollow = SupportArea(0.0, design.w * 0.2, design.d * 0.2)
    low, high = bounds(ring.vertices)
    body = ring.scaled(design.w, design.h / (high[1] - low[1]), design.d)
    design.add("body", body.moved(y=design.h / 2))


def star(design: Design) -> None:
    """Points around a middle, standing on two of them."""
    points = design.count("point")
    inner = 0.5 if points < 5 else 0.42 if points == 5 else 0.55
    outline = star_outline(points, 0.5, 0.5 * inner, design.w, design.h)
    design.add("body", design.kit.prism(outline, design.d, 0.06 * min(design.w, design.h) * inner))


def heart(design: Design) -> None:
    """The card suit's outline, x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, swollen."""
    outline = []
    for i in range(72):
        t = -2 * math.pi * (i + 0.5) / 72
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        outline.append((x / 32.0, y / 29.0))
    import torch

    kit = design.kit
    flat = torch.tensor(outline, dtype=torch.float64, device=kit.device)
    # The widest ring lies in the middle; towards front and back the outline shrinks along a quarter circle.
    rings = []
    for i in range(-7, 8):
        angle = math.radians(i * 12.3)
        ring = flat * math.cos(angle) ** 0.8
        depth = torch.full((len(outline), 1), 0.5 * math.sin(angle), dtype=torch.float64, device=kit.device)
        rings.append(torch.cat([ring, depth], 1))
    body = kit.shell(torch.stack(rings), (0, 0, -0.5), (0, 0, 0.5))
    design.add("body", body.scaled(design.w, design.h, design.d))
