"""Buildings. Each function builds one noun from its design."""

from __future__ import annotations

import math

from .design import Design
from .placing import SupportArea
from .polygons import arc
from .solids import Solid


def house(design: Design) -> None:
    """Walls, a gable roof, doors and windows with frames, chimneys."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    eaves = h * 0.56
    ridge = eaves + (h - eaves) * design.long("roof")
    # Walls and gables are one body; the roof lies on it.
    gable = [(-d / 2, 0), (d / 2, 0), (d / 2, eaves), (0, ridge * 0.985), (-d / 2, eaves)]
    design.add("wall", kit.prism(gable, w).turned(90))
    over, thick = 0.09 * d, 0.035 * h * design.thick("roof") / design.u
    slope = math.atan2(ridge - eaves, d / 2)
    for sign in (-1, 1):
        length = (d / 2 + over) / math.cos(slope)
        slab = kit.box(w * 1.1, thick, length, thick * 0.2).moved(z=length / 2)
        design.add("roof", slab.turned(math.degrees(slope), "x").turned(0 if sign > 0 else 180).moved(y=ridge))
    for i in range(design.count("chimney")):
        x = w * (0.28 - 0.25 * i)
        design.add("chimney", kit.box(w * 0.09, h * 0.34, w * 0.09).moved(x, eaves + (ridge - eaves) * 0.35, -d * 0.16))
    doors = design.count("door")
    wide, tall = w * 0.13, eaves * 0.55
    for i in range(doors):
        x = 0.0 if doors == 1 else (i - 0.5) * w * 0.22
        design.add("frame", kit.box(wide * 1.18, tall * 1.05, 0.1 * design.u).moved(x, 0, d / 2))
        design.add("door", kit.box(wide, tall, 0.16 * design.u).moved(x, 0, d / 2))
    _house_windows(design, eaves, w, d)
    design.top = SupportArea(ridge, w * 0.3, d * 0.1)


def _house_windows(design: Design, eaves: float, w: float, d: float) -> None:
    kit, u = design.kit, design.u
    size = min(w * 0.14, eaves * 0.34)
    level = eaves * 0.42
    # Four in front, then three each on the right side, the back, the left.
    for i in range(design.count("window")):
        wall, place = (0, i) if i < 4 else (1 + (i - 4) // 3, (i - 4) % 3)
        along, off = (d, w / 2) if wall in (1, 3) else (w, d / 2)
        x = (-0.34, 0.34, -0.19, 0.19)[place] * w if wall == 0 else (place - 1) * 0.28 * along
        frame = kit.box(size * 1.2, size * 1.2, 0.08 * u).moved(x, level - size * 0.1, off)
        pane = kit.box(size, size, 0.12 * u).moved(x, level, off)
        design.add("frame", frame.turned(90.0 * wall))
        design.add("window", pane.turned(90.0 * wall))


def tower(design: Design) -> None:
    """A round shaft with slits, a ring of merlons and a pointed roof."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    roofed = design.count("roof")
    top = h * (0.72 if roofed else 0.92)
    radius = w / 2 * 0.86
    merlons = design.count("merlon")
    for solid, role in _turret(design, radius, top, merlons, h * 0.045):
        design.add(role, solid)
    if roofed:
        cap = kit.cone(radius * 1.12, (h - top) * design.long("roof"))
        drum = kit.cylinder(radius * 0.82, h * 0.05)
        design.add("wall", drum.moved(y=top - h * 0.005))
        design.add("roof", cap.moved(y=top + h * 0.045 if merlons else top))
    windows = design.count("window")
    for i in range(windows):
        turn = i * 137.5
        y = top * (0.25 + 0.6 * (i + 0.5) / windows)
        slit = kit.prism(_slit(w * 0.09, h * 0.07), radius * 0.12)
        design.add("window", slit.moved(0, y, radius * (1.03 - 0.12 * y / top)).turned(turn))
    if design.count("door"):
        door = kit.prism(_slit(w * 0.24, h * 0.15), radius * 0.3)
        design.add("door", door.moved(0, 0, radius * 0.98))
    design.stretch(1, 1, d / w)
    design.top = SupportArea(h if roofed else top, w * 0.3, d * 0.3)


def _slit(width: float, height: float) -> list[tuple[float, float]]:
    """A door's outline with a round top, standing on y = 0."""
    straight = max(height - width / 2, height * 0.3)
    return [(-width / 2, 0.0), (width / 2, 0.0), *arc(0, straight, width / 2, 0, 180, 10)]


def _turret(design: Design, radius: float, top: float, merlons: int, tooth: float) -> list[tuple[Solid, str]]:
    """A round wall up to `top`, flared above, with teeth on its rim."""
    kit = design.kit
    flare = radius * 1.16
    profile = [(0, 0), (radius * 1.06, 0), (radius * 0.97, top * 0.84), (flare, top * 0.92), (flare, top), (0, top)]
    solids = [(kit.lathe(profile, 48), "wall")]
    wide = min(2 * math.pi * flare / max(merlons, 1) * 0.5, flare * 0.4)
    for i in range(merlons):
        block = kit.box(wide, tooth, radius * 0.22).moved(0, top - tooth * 0.04, flare - radius * 0.115)
        solids.append((block.turned(360 * i / merlons), "merlon"))
    return solids


def castle(design: Design) -> None:
    """Towers on a ring of walls around a keep, with a gate, merlons, roofs and flags."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    count = design.count("tower")
    radius = min(w, d) * 0.1 * min(1.0, 5.0 / count) ** 0.5 * design.thick("tower") / design.u
    x_half, z_half = w / 2 - radius * 1.2, d / 2 - radius * 1.2
    # Two towers are the ends of the front wall; else the front is the middle of a wall.
    start = 180.0 / count
    corners = []
    for i in range(count):
        angle = math.radians(start + 360 * i / count)
        stretch = math.sqrt(2) if count == 4 else 1.0
        corners.append((x_half * math.sin(angle) * stretch, z_half * math.cos(angle) * stretch))
    tall, merlons, roofed = h * 0.55 * design.long("tower"), design.count("merlon"), design.count("roof")
    flags = design.count("flag")
    for number, (x, z) in enumerate(corners):
        for solid, role in _turret(design, radius, tall, merlons, h * 0.03):
            design.add("tower" if role == "wall" else role, solid.moved(x, 0, z))
        peak = tall
        if roofed:
            peak = tall + h * 0.2 * design.long("roof")
            design.add("roof", kit.cone(radius * 1.02, peak - tall).moved(x, tall, z))
        if number < flags:
            _flag(design, x, peak, z, h * 0.1)
    _castle_walls(design, corners, tall * 0.52, radius * 0.5)
    if design.count("keep"):
        keep_w, keep_h = min(w, d) * 0.27, h * 0.74
        design.add("keep", kit.frustum((keep_w, keep_w), (keep_w * 0.95, keep_w * 0.95), keep_h))
        tooth = keep_w / 7
        for side in range(4):
            for i in range(4):
                block = kit.box(tooth, tooth, tooth * 0.6)
                place = block.moved((i - 1.5) * tooth * 1.95, keep_h * 0.998, keep_w * 0.475 - tooth * 0.3)
                design.add("merlon", place.turned(90 * side))
        if roofed:
            roof = kit.frustum((keep_w * 0.78, keep_w * 0.78), (keep_w * 0.02, keep_w * 0.02), h * 0.24)
            design.add("roof", roof.moved(y=keep_h * 0.998))
        for i in range(max(0, flags - count)):
            _flag(design, (i - (flags - count - 1) / 2) * keep_w * 0.2, keep_h, keep_w * 0.4, h * 0.12)
    design.top = SupportArea(h * 0.74, min(w, d) * 0.1, min(w, d) * 0.1)


def _flag(design: Design, x: float, y: float, z: float, size: float) -> None:
    kit = design.kit
    pole = size * 0.05
    design.add("pole", kit.tube([(x, y - size * 0.2, z), (x, y + size, z)], pole, 10))
    cloth = kit.box(size * 0.62, size * 0.4, size * 0.05, size * 0.01)
    design.add("flag", cloth.moved(x + size * 0.31 + pole * 0.5, y + size * 0.55, z))


def _castle_walls(design: Design, corners: list[tuple[float, float]], height: float, thick: float) -> None:
    kit, count = design.kit, len(corners)
    ring = list(range(count)) if count > 2 else [0]
    tooth = height * 0.12
    # The gate is in the wall whose middle lies farthest to the front.
    front = max(ring, key=lambda i: corners[i][1] + corners[(i + 1) % count][1])
    for i in ring:
        (ax, az), (bx, bz) = corners[i], corners[(i + 1) % count]
        length = math.hypot(bx - ax, bz - az)
        yaw = math.degrees(math.atan2(-(bz - az), bx - ax))
        middle = ((ax + bx) / 2, (az + bz) / 2)
        wall = kit.box(length, height, thick).turned(yaw).moved(middle[0], 0, middle[1])
        design.add("wall", wall)
        teeth = max(2, min(12, int(length / (tooth * 2.4))))
        for k in range(teeth if design.count("merlon") else 0):
            block = kit.box(length / teeth * 0.5, tooth, thick * 0.9)
            block = block.moved((k + 0.5) / teeth * length - length / 2, height * 0.995, 0)
            design.add("merlon", block.turned(yaw).moved(middle[0], 0, middle[1]))
        if i == front and design.count("gate"):
            gate = kit.prism(_slit(min(length * 0.22, height * 0.7), height * 0.7), thick * 1.25)
            design.add("gate", gate.turned(yaw).moved(middle[0], 0, middle[1]))


def pyramid(design: Design) -> None:
    """Smooth, or in steps if asked for."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    steps = design.count("step")
    if not steps:
        design.add("body", kit.frustum((w, d), (w * 0.004, d * 0.004), h))
        design.top = SupportArea(h, w * 0.02, d * 0.02)
        return
    for i in range(steps):
        part = 1 - i / steps
        design.add("body", kit.box(w * part, h / steps * 1.02, d * part).moved(y=h * i / steps * 0.995))
    design.top = SupportArea(h, w / steps * 0.4, d / steps * 0.4)


def bridge(design: Design) -> None:
    """A road on round arches, with rails."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    arches = design.count("arch")
    rail_h = h * 0.16
    deck = h - rail_h
    span = w / arches
    pier = span * 0.16
    radius = (span - pier) / 2
    rise = min(radius, deck * 0.82)
    outline: list[tuple[float, float]] = []
    for i in range(arches):
        left = -w / 2 + span * i
        outline += [(left, 0.0), (left + pier / 2, 0.0)] if i == 0 else [(left + pier / 2, 0.0)]
        centre = left + span / 2
        spring = max(deck * 0.86 - rise, 0.0)
        outline += [
            (centre + (x - centre), spring + (y - spring) * rise / radius)
            for x, y in arc(centre, spring, radius, 180, 0, 20)
        ]
        outline.append((left + span - pier / 2, 0.0))
    outline.append((w / 2, 0.0))
    outline += [(w / 2, deck), (-w / 2, deck)]
    tidy = [p for i, p in enumerate(outline) if math.dist(p, outline[i - 1]) > w * 1e-6]
    design.add("body", kit.prism(tidy, d * 0.94, 0.01 * h))
    road = h * 0.05
    design.add("deck", kit.box(w, road, d * 0.98).moved(y=deck))
    for sign in (-1, 1)[: design.count("rail")]:
        wall = kit.box(w, rail_h - road * 0.5, d * 0.06 * design.thick("rail") / design.u)
        design.add("rail", wall.moved(0, deck + road * 0.5, sign * d * 0.45))
    design.top = SupportArea(deck + road, w * 0.45, d * 0.38)
    design.clearance = max(deck * 0.86 - rise, 0.0) + rise * 0.7
