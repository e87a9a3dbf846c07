"""Vehicles. Each function builds one noun from its design; the long way is x, the front is at +x."""

from __future__ import annotations

import math

import torch

from .design import Design
from .placing import SupportArea
from .polygons import counter_clockwise, curve, stretched
from .solids import Solid


def _wheels(design: Design, count: int, radius: float, length: float, track: float) -> None:
    """Pairs along the car; an odd one stands in the middle of the front."""
    kit = design.kit
    wide = radius * 0.62 * design.thick("wheel") / design.u
    odd = count % 2
    places = [(length / 2, 0.0)] if odd else []
    pairs = count // 2
    span = length if not odd else length * 0.95
    for i in range(pairs):
        x = -length / 2 + (span * i / (pairs - 1 + odd) if pairs - 1 + odd else 0.0)
        places += [(x, track / 2), (x, -track / 2)]
    for x, z in places:
        profile = [(0, 0), (0.86, 0), (1, 0.22), (1, 0.78), (0.86, 1), (0, 1)]
        tyre = kit.lathe(stretched(profile, radius, wide), 40)
        hub = kit.lathe([(0, 0), (radius * 0.55, 0), (radius * 0.5, wide * 1.04), (0, wide * 1.07)], 28)
        for solid, role in ((tyre, "wheel"), (hub, "hub")):
            upright = solid.turned(90, "x").moved(z=-wide / 2)
            if z < 0:
                upright = upright.turned(180)
            design.add(role, upright.moved(x, radius, z))


def car(design: Design) -> None:
    """A body in profile, windows, wheels with hubs, lights, bumpers."""
    kit, w, d, h, u = design.kit, design.w, design.d, design.h, design.u
    radius = h * 0.23 * design.long("wheel")
    ground = h * 0.14
    lower = [
        (0.5, 0.16), (0.495, 0.36), (0.45, 0.47), (0.3, 0.55), (0.14, 0.6), (-0.2, 0.6), (-0.44, 0.55), (-0.49, 0.44),
        (-0.5, 0.16),
    ]  # fmt: skip
    design.add("body", kit.prism(stretched(lower, w, h), d * 0.9, 0.035 * h).moved(y=ground * 0.15))
    roof = [(-0.33, 0.58), (0.17, 0.58), (0.04, 0.97), (-0.02, 1.0), (-0.2, 1.0), (-0.26, 0.95)]
    cabin = counter_clockwise(stretched(roof, w, h))
    design.add("body", kit.prism(cabin, d * 0.76, 0.03 * h))
    if design.count("window"):
        design.add("window", kit.prism(_inset(cabin, 0.82), d * 0.785, 0.004 * h))
        for x0, y0, x1, y1 in ((0.158, 0.62, 0.052, 0.93), (-0.318, 0.62, -0.262, 0.92)):
            length = math.hypot((x1 - x0) * w, (y1 - y0) * h)
            pane = kit.box(0.03 * h, length, d * 0.66)
            lean = math.degrees(math.atan2(-(x1 - x0) * w, (y1 - y0) * h))
            design.add("window", pane.turned(lean, "z").moved(x0 * w, y0 * h, 0))
    _wheels(design, design.count("wheel"), radius, w * 0.58, d * 0.82)
    for i in range(design.count("light")):
        x, y = (w * 0.478, h * 0.41) if i < 2 else (w * -0.486, h * 0.47)
        lamp = kit.ellipsoid(0.05 * u, 0.075 * u, 0.13 * u)
        design.add("light", lamp.moved(x, y, d * 0.3 * (1 if i % 2 else -1)))
    for sign in (-1, 1):
        design.add("bumper", kit.box(0.12 * u, h * 0.11, d * 0.88).moved(sign * w * 0.488, h * 0.18, 0))
    design.top = SupportArea(h, w * 0.09, d * 0.3, x=-w * 0.1)


def _inset(outline: list[tuple[float, float]], part: float) -> list[tuple[float, float]]:
    x = sum(p[0] for p in outline) / len(outline)
    y = (min(p[1] for p in outline) + max(p[1] for p in outline)) / 2
    return [(x + (p[0] - x) * part, y + (p[1] - y) * part) for p in outline]


def truck(design: Design) -> None:
    """A cab and a box on a frame."""
    kit, w, d, h, u = design.kit, design.w, design.d, design.h, design.u
    radius = h * 0.165 * design.long("wheel")
    floor = radius * 1.25
    design.add("frame", kit.box(w * 0.97, h * 0.07, d * 0.6).moved(y=floor))
    nose = [(0.22, 0.2), (0.5, 0.2), (0.5, 0.48), (0.47, 0.62), (0.42, 0.86), (0.22, 0.9)]
    design.add("cab", kit.prism(counter_clockwise(stretched(nose, w, h)), d * 0.94, 0.03 * h))
    if design.count("window"):
        lean = math.degrees(math.atan2(0.05 * w, 0.24 * h))
        design.add("window", kit.box(0.05 * u, h * 0.22, d * 0.8).turned(lean, "z").moved(w * 0.466, h * 0.63, 0))
        for sign in (-1, 1):
            design.add("window", kit.box(w * 0.12, h * 0.2, 0.05 * u).moved(w * 0.35, h * 0.62, sign * d * 0.465))
    if design.count("cargo"):
        tall = (h - floor - h * 0.06) * design.long("cargo")
        design.add("cargo", kit.box(w * 0.68, tall, d).moved(-w * 0.16, floor + h * 0.06, 0))
        design.top = SupportArea(floor + h * 0.06 + tall, w * 0.32, d * 0.45, x=-w * 0.16)
    else:
        design.top = SupportArea(floor + h * 0.07, w * 0.3, d * 0.3, x=-w * 0.16)
    _wheels(design, design.count("wheel"), radius, w * 0.68, d * 0.84)
    for i in range(design.count("light")):
        lamp = kit.ellipsoid(0.06 * u, 0.11 * u, 0.15 * u)
        design.add("light", lamp.moved(w * 0.5, h * 0.3, d * 0.32 * (1 if i % 2 else -1)))


def rocket(design: Design) -> None:
    """A hull with a pointed nose, fins around it, portholes and engines."""
    kit, h, u = design.kit, design.h, design.u
    radius = design.w * 0.24
    engine = h * 0.06
    nose_y = h * (1 - 0.22 * min(design.long("nose"), 2.0))
    hull = curve([(radius * 0.8, engine), (radius, h * 0.3), (radius * 1.02, h * 0.5), (radius * 0.86, nose_y)], 8)
    design.add("body", kit.lathe([(0, engine), *hull, (0, nose_y)], 48, sharp=radius * 0.03))
    tip = curve([(radius * 0.86, nose_y), (radius * 0.52, nose_y + (h - nose_y) * 0.5), (radius * 0.05, h)], 8)
    design.add("nose", kit.lathe([(0, nose_y), *tip, (0, h)], 48, sharp=radius * 0.03))
    design.add("frame", kit.cylinder(radius * 0.9, h * 0.016).moved(y=nose_y - h * 0.008))
    fins = design.count("fin")
    reach, tall = design.w * 0.29 * design.thick("fin") / u, h * 0.25 * design.long("fin")
    outer = [(radius + reach * 0.9, 0.0), (radius + reach, tall * 0.3)]
    outline = [(radius * 0.7, h * 0.075), *outer, (radius * 0.9, h * 0.06 + tall)]
    design.add("fin", *(kit.prism(outline, radius * 0.16).turned(360 * i / fins - 45) for i in range(fins)))
    windows = design.count("window")
    for i in range(windows):
        y = h * (0.62 - 0.34 * i / max(windows, 1))
        size = radius * 0.38
        design.add("frame", kit.cylinder(size * 1.25, radius * 0.12).turned(90, "x").moved(0, y, radius * 0.93))
        design.add("window", kit.ellipsoid(size, size, size * 0.4).moved(0, y, radius * 1.04))
    engines = design.count("engine")
    for i in range(engines):
        size = radius * (0.62 if engines == 1 else 0.3)
        ring = 0.0 if engines == 1 else radius * 0.5
        angle = 2 * math.pi * i / engines
        bell = kit.lathe([(0, 0), (size, 0), (size * 0.5, engine * 1.3), (0, engine * 1.3)])
        design.add("engine", bell.moved(ring * math.sin(angle), 0.0, ring * math.cos(angle)))


def boat(design: Design) -> None:
    """A lofted hull with a deck, masts and sails."""
    kit, w, d, h, u = design.kit, design.w, design.d, design.h, design.u
    masts = design.count("mast")
    sails = design.count("sail") if masts else 0
    tall = h * 0.2
    stations, across = 22, 25
    rings = []
    for i in range(stations):
        t = -0.97 + 1.94 * i / (stations - 1)
        beam = d / 2 * (1 - max(t, 0.0) ** 2.2) ** 0.75 * (1 - 0.35 * max(-t, 0.0) ** 2.5)
        sheer = tall * (1 + 0.35 * t * t * (1 if t > 0 else 0.4))
        keel = tall * 0.55 * max(t, 0.0) ** 3
        ring: list[list[float]] = []
        for k in range(across):
            angle = math.pi * k / (across - 1)
            z = -beam * math.cos(angle)
            y = sheer - (sheer - keel) * math.sin(angle) ** 0.62
            ring.append([t * w / 2, y, z])
        # The upper side: a deck below the edge.
        for k in range(1, 6):
            ring.append([t * w / 2, sheer * 0.97, beam * (1 - 2 * k / 6) * 0.9])
        rings.append(ring)
    grid = torch.tensor(rings, dtype=torch.float64, device=kit.device)
    design.add("hull", kit.shell(grid, end=(w / 2, float(grid[-1, :, 1].mean()) + tall * 0.12, 0.0)))
    design.add("deck", _deck(design, grid, across, tall * 0.06))
    for m in range(masts):
        x = 0.06 * w if masts == 1 else w * (0.28 - 0.56 * m / (masts - 1))
        top = h if m == 0 else h * 0.88
        design.add("mast", kit.tube([(x, tall * 0.5, 0), (x, top, 0)], 0.05 * design.thick("mast"), 16))
        for s in range(sails):
            if s % masts != m:
                continue
            reach = w * (0.3 if (s // masts) % 2 else -0.4) / masts**0.5
            design.add("sail", _sail(design, x, tall * 1.35, top * 0.96, reach, 0.02 * u))
    if design.count("cabin"):
        design.add("cabin", kit.box(w * 0.24, tall * 0.9, d * 0.5).moved(-w * 0.2, tall * 0.9, 0))
    design.top = SupportArea(tall * 1.0, w * 0.2, d * 0.25, x=-w * 0.2)
    design.hollow = design.top


def _deck(design: Design, grid: torch.Tensor, across: int, thick: float) -> Solid:
    """Planks from rim to rim, a little inside the hull."""
    left, right = grid[2:-3, 0] * 1.0, grid[2:-3, across - 1] * 1.0
    spread = torch.linspace(0.04, 0.96, 6, dtype=grid.dtype, device=grid.device)[None, :, None]
    upper = left[:, None] + (right - left)[:, None] * spread
    lower = upper.flip(1) - upper.new_tensor([0.0, thick, 0.0])
    return design.kit.shell(torch.cat([upper, lower], 1))


def _sail(design: Design, mast: float, low: float, high: float, reach: float, thick: float) -> Solid:
    """A triangle from the mast, bellied to one side."""
    steps = 14
    rings = []
    for i in range(steps):
        t = i / steps * 0.985
        y = low + (high - low) * t
        near = mast + 0.045 * (high - low) * (1 if reach > 0 else -1) * 0.3
        far = near + reach * (1 - t)
        row: list[list[float]] = []
        for side in (1, -1):
            for k in range(8)[::side]:
                s = k / 7
                belly = 0.16 * abs(reach) * math.sin(math.pi * s) * math.sin(math.pi * min(t + 0.08, 1))
                row.append([near + (far - near) * s, y, belly + side * thick])
        rings.append(row)
    return design.kit.shell(rings, end=(mast + reach * 0.01, high, 0.0))


def airplane(design: Design) -> None:
    """A fuselage, swept wings, a tail and engines."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    radius = min(h * 0.21, w * 0.075)
    axis = h * 0.4
    line = [(0.02, -0.5), (0.45, -0.42), (0.95, -0.2), (1, 0.0), (1, 0.3), (0.72, 0.43), (0.1, 0.5)]
    body = curve(stretched(line, radius, w), 7)
    hull = kit.lathe([(0, -w / 2), *body, (0, w / 2)], 40, sharp=0.0)
    design.add("body", hull.turned(-90, "z").moved(y=axis))
    wings = design.count("wing")
    spread = (d / 2) * design.long("wing")
    chord = w * 0.2 * design.thick("wing") / design.u
    for i in range(wings):
        level = axis + (-0.35 * radius if wings == 2 else (-0.7 + 1.9 * (i // 2)) * radius)
        sign = 1 if i % 2 == 0 else -1
        design.add("wing", _wing(design, w * 0.06, level, spread, chord, w * 0.13, radius * 0.26).scaled(1, 1, sign))
    tail = _wing(design, -w * 0.41, axis + radius * 0.3, d * 0.19, w * 0.1, w * 0.05, radius * 0.16)
    design.add("tail", tail.scaled(1, 1, -1), tail)
    fin = _wing(design, -w * 0.405, 0.0, h - axis, w * 0.13, w * 0.09, radius * 0.16)
    design.add("tail", fin.turned(-90, "x").moved(y=axis))
    engines = design.count("engine")
    for i in range(engines):
        sign = 1 if i % 2 == 0 else -1
        out = spread * (0.34 + 0.22 * (i // 2))
        size = radius * 0.42
        line = [(0, -2), (0.7, -2), (1, 0), (0.95, 1.6), (0.7, 1.7), (0.6, 1.2), (0, 1.2)]
        pod = kit.lathe(stretched(line, size, size), 28)
        x = w * (0.08 - 0.1 * (i // 2))
        design.add("engine", pod.turned(-90, "z").moved(x, axis - radius * 0.95, sign * out))
    windows = design.count("window")
    for i in range(windows):
        sign = 1 if i % 2 == 0 else -1
        rows = max(windows // 2, 1)
        x = w * (0.3 - 0.5 * (i // 2) / rows)
        size = radius * 0.13
        pane = kit.ellipsoid(size, size * 1.3, size * 0.5)
        design.add("window", pane.moved(x, axis + radius * 0.3, sign * radius * 0.945))


def _wing(design: Design, x: float, y: float, span: float, chord: float, sweep: float, thick: float) -> Solid:
    """A tapering wing towards +z from the plane z = 0."""
    kit = design.kit
    steps, around = 9, 20
    rings = []
    for i in range(steps):
        t = i / (steps - 1)
        length = chord * (1 - 0.62 * t)
        angles = [2 * math.pi * k / around for k in range(around)]
        along = [x - sweep * t + length / 2 * math.cos(angle) for angle in angles]
        above = [y + 0.05 * span * t + thick * (1 - 0.55 * t) * math.sin(angle) * 0.5 for angle in angles]
        rings.append([[a, b, span * t] for a, b in zip(along, above, strict=True)])
    return kit.shell(rings)
