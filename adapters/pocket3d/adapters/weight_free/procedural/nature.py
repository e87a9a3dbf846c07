"""Plants, a fish and a snowman. Each function builds one noun from its design."""

from __future__ import annotations

import math

import torch

from .design import Design
from .placing import SupportArea
from .polygons import counter_clockwise, curve, star_outline, stretched
from .solids import Point, Solid


def tree(design: Design) -> None:
    """A trunk with branches and a crown of overlapping clumps; fruit sits on the clumps."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    trunk = 0.075 * h * design.thick("trunk") / design.u * 0.75
    bare = h * 0.42 * design.long("trunk")
    path = [(0, trunk * 0.3, 0), (0, bare * 0.5, 0), (0, bare + h * 0.16, 0)]
    design.add("trunk", kit.tube(path, [trunk, trunk * 0.72, trunk * 0.4]))
    flare = stretched([(0, 0), (1.45, 0), (1.0, 1.1), (0.8, 1.8), (0, 1.9)], trunk, trunk)
    design.add("trunk", kit.lathe(flare, sharp=trunk * 0.1))
    branches = design.count("branch")
    for i in range(branches):
        turn = 2 * math.pi * i / branches + 0.4
        out = w * 0.24 * design.long("branch")
        low = bare * (0.72 + 0.2 * (i % 2))
        end = (out * math.sin(turn), low + h * 0.2, out * math.cos(turn))
        thick = trunk * 0.34 * design.thick("branch") / design.u
        middle = (end[0] * 0.45, low + h * 0.06, end[2] * 0.45)
        design.add("branch", kit.tube([(0, low, 0), middle, end], [thick, thick * 0.75, thick * 0.4], 14))
    if not design.count("crown"):
        return
    clumps: list[tuple[Point, float]] = [((0.0, h * 0.73, 0.0), 0.3)]
    clumps += [
        ((w * 0.26 * math.sin(a), h * (0.62 + 0.05 * (i % 2)), d * 0.26 * math.cos(a)), 0.22)
        for i, a in enumerate(2 * math.pi * k / 6 for k in range(6))
    ]
    clumps += [((w * 0.13 * math.sin(a), h * 0.83, d * 0.13 * math.cos(a)), 0.17) for a in (0.3, 2.4, 4.5)]
    for (x, y, z), size in clumps:
        rough = design.vary()
        blob = kit.ellipsoid(w * size * rough, w * size * rough * 0.82, d * size * rough, 28)
        design.add("crown", blob.moved(x, y, z))
    apples = design.count("apple")
    for i in range(apples):
        turn, rise = i * 2.399963, -0.45 + 1.2 * ((i * 0.618034) % 1.0)
        flat = math.sqrt(max(1 - rise * rise, 0.05))
        direction = (flat * math.sin(turn), rise, flat * math.cos(turn))
        reach = _outermost(clumps, (0.0, h * 0.7, 0.0), direction, w)
        x, y, z = (c + reach * step for c, step in zip((0.0, h * 0.7, 0.0), direction, strict=True))
        design.add("apple", kit.ball(0.028 * h * design.thick("apple") / design.u, 18).moved(x, y, z * d / w))


def _outermost(clumps: list[tuple[Point, float]], start: Point, direction: Point, width: float) -> float:
    """Distance from `start` at which a ray leaves the last of the clumps (taken as slightly flattened balls)."""
    best = 0.0
    for (x, y, z), size in clumps:
        radius = size * width * 0.93
        apart = (start[0] - x, start[1] - y, start[2] - z)
        along = sum(a * b for a, b in zip(apart, direction, strict=True))
        inside = along * along - sum(a * a for a in apart) + radius * radius
        if inside > 0:
            best = max(best, -along + math.sqrt(inside))
    return best


def pine(design: Design) -> None:
    """Cones on a trunk, with a star and balls if asked for."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    star = h * 0.1 if design.count("star") else 0.0
    bare = h * 0.14 * design.long("trunk")
    design.add("trunk", kit.cylinder(0.045 * w * 1.4 * design.thick("trunk") / design.u, bare + h * 0.12))
    tiers = design.count("tier")
    top = h - star * 0.75
    step = (top - bare) / (tiers + 0.6)
    for i in range(tiers):
        low = bare + step * i
        radius = 0.5 * (1 - 0.8 * i / max(tiers, 2))
        tall = step * 1.6
        profile = [(0, 0.12), (0.93, 0.0), (1.0, 0.03), (0.5, 0.45), (0.14, 0.88), (0.02, 1.0), (0, 1.0)]
        cone = kit.lathe(profile, 40, sharp=0.02)
        design.add("tier", cone.scaled(radius * w, tall, radius * d).moved(y=low))
    balls = design.count("ball")
    for i in range(balls):
        tier = i % tiers
        turn = i * 2.399963
        radius = 0.47 * (1 - 0.8 * tier / max(tiers, 2))
        y = bare + step * (tier + 0.08)
        ball = kit.ball(0.018 * h, 18)
        design.add("ball", ball.moved(radius * w * math.sin(turn), y, radius * d * math.cos(turn)))
    if star:
        outline = star_outline(5, star * 0.5, star * 0.21)
        design.add("star", kit.prism(outline, star * 0.18, star * 0.02).moved(y=top + star * 0.25))


def cactus(design: Design) -> None:
    """A ribbed column with bent arms."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    pot = h * 0.2 if design.count("pot") else 0.0
    radius = min(w, d * 2) * 0.16
    if pot:
        profile = [(0, 0), (1.3, 0), (1.8, 1), (1.6, 1), (1.5, 0.85), (0, 0.85)]
        design.add("pot", kit.lathe(stretched(profile, radius, pot)))
    design.add("body", _ribbed(design, radius, h - pot * 0.7).moved(y=pot * 0.7))
    tips: list[Point] = [(0.0, h, 0.0)]
    for i in range(design.count("arm")):
        turn = math.pi * i + (0.5 * math.pi if i >= 2 else 0) + (0.3 * i if i >= 4 else 0)
        low = h * (0.34 + 0.11 * (i % 3))
        reach, rise = w * 0.34, h * 0.26 * design.long("arm")
        size = radius * 0.52 * design.thick("arm") / design.u
        flat = curve([(0.0, low), (reach * 0.6, low), (reach, low + reach * 0.45), (reach, low + rise)], 6)
        path = [(x * math.cos(turn), y, x * math.sin(turn)) for x, y in flat]
        design.add("arm", kit.tube(path, size))
        tips.append(path[-1])
    for i in range(design.count("flower")):
        x, y, z = tips[i % len(tips)]
        size = radius * 0.5 * (1.0 if i < len(tips) else 0.7)
        bloom = kit.lathe([(0, 0), (0.25, 0.05), (0.75, 0.5), (0.95, 0.75), (0.55, 0.7), (0, 0.35)], 20, sharp=0.02)
        lean = 0.0 if i < len(tips) else 0.8 * radius
        design.add("flower", bloom.scaled(size, size, size).moved(x + lean, y + size * 0.2 - lean * 0.5, z))
    design.top = None


def _ribbed(design: Design, radius: float, height: float) -> Solid:
    """A column with twelve ribs and a round head."""
    around, levels = 72, 26
    turn = torch.arange(around, dtype=torch.float64, device=design.kit.device) * (2 * math.pi / around)
    ribs = 1 + 0.09 * torch.cos(12 * turn)
    rings = []
    for i in range(levels):
        t = i / (levels - 1)
        y = height * t * 0.995
        head = max(0.0, (y - (height - radius)) / radius)
        r = radius * math.sqrt(max(1 - head * head, 0.004)) * (0.86 + 0.14 * min(1.0, t * 6))
        x, z = r * ribs * torch.sin(turn), r * ribs * torch.cos(turn)
        rings.append(torch.stack([x, torch.full_like(turn, y), z], -1))
    return design.kit.shell(torch.stack(rings), (0, 0, 0), (0, height, 0))


def flower(design: Design) -> None:
    """Petals around a middle on a stem with leaves; the blossom leans to the front."""
    kit, w, h, u = design.kit, design.w, design.h, design.u
    pot = h * 0.24 if design.count("pot") else 0.0
    if pot:
        profile = [(0, 0), (0.72, 0), (1, 1), (0.88, 1), (0.82, 0.85), (0, 0.85)]
        design.add("pot", kit.lathe(stretched(profile, w * 0.3, pot)))
    stem = 0.008 * design.thick("stem")
    head_y = h - w * 0.42
    path = curve([(0.0, pot * 0.8), (0.02 * w, h * 0.4), (-0.02 * w, h * 0.65), (0.0, head_y)], 6)
    design.add("stem", kit.tube([(x, y, 0.0) for x, y in path], stem, 14))
    for i in range(design.count("leaf")):
        side = 1 if i % 2 == 0 else -1
        y = pot + (head_y - pot) * (0.5 + 0.11 * i)
        leaf = _blade(design, w * 0.42 * design.long("leaf"), w * 0.13, 0.006 * u).turned(34, "z")
        leaf = leaf.turned(0 if side > 0 else 180).turned(25 * (i // 2))
        design.add("leaf", leaf.moved(y=min(y, head_y * 0.9)))
    petals = design.count("petal")
    reach = w * 0.36 * design.long("petal")
    wide = min(2 * math.pi * reach * 0.62 / petals * 0.62, reach * 0.42)
    core = w * 0.13 * design.thick("center") / u
    lean = 62.0
    for i in range(petals):
        petal = _blade(design, reach, wide, 0.007 * u).moved(x=core * 0.5).turned(14, "z")
        design.add("petal", petal.turned(360 * i / petals + 90).turned(lean, "x").moved(y=head_y, z=stem * 1.5))
    middle = kit.lathe([(0, -0.25), (0.9, -0.1), (1.0, 0.15), (0.75, 0.5), (0, 0.62)], 28, sharp=0.1)
    design.add("center", middle.scaled(core, core, core).turned(lean, "x").moved(y=head_y, z=stem * 1.5))


def _blade(design: Design, length: float, half_width: float, half_thick: float) -> Solid:
    """A leaf from the origin along +x, lying flat, a little hollow above."""
    steps, around = 12, 12
    rings = []
    for i in range(steps):
        t = 0.03 + 0.94 * i / (steps - 1)
        wide = half_width * math.sin(math.pi * t**0.8) ** 0.8 + half_width * 0.06
        bend = 0.1 * length * t * t
        ring = []
        for k in range(around):
            angle = 2 * math.pi * k / around
            z = wide * math.cos(angle)
            dish = 0.18 * half_width * (z / half_width) ** 2
            ring.append([length * t, bend + dish + half_thick * math.sin(angle), z])
        rings.append(ring)
    return design.kit.shell(rings, (0.0, 0.0, 0.0), (length, 0.1 * length, 0.0))


def mushroom(design: Design) -> None:
    """A cap with spots on a stem, gills below."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    under = h * 0.52 * design.long("stem")
    thick = w * 0.13 * design.thick("stem") / design.u
    stem = curve(stretched([(1.25, 0.0), (1.1, 0.3), (0.85, 0.75), (0.95, 1.15)], thick, under), 7)
    design.add("stem", kit.lathe([(0, 0), *stem, (0, under * 1.15)], sharp=thick * 0.06))
    size = w / 2 * design.thick("cap") / design.u
    dome = h - under
    outer = curve([(1.0, 0.0), (0.97, 0.28), (0.78, 0.66), (0.42, 0.92), (0.05, 1.0)], 6)
    cap = kit.lathe([(0, 0.12), (0.88, 0.04), (0.96, -0.03), *outer, (0, 1.0)], 56, sharp=0.01)
    design.add("cap", cap.scaled(size, dome, size * d / w).moved(y=under))
    gill = kit.lathe([(0, 0.0), (0.86, 0.06), (0.3, 0.2), (0, 0.2)], 56, sharp=0.01)
    design.add("gill", gill.scaled(size, dome, size * d / w).moved(y=under - dome * 0.035))
    for i in range(design.count("spot")):
        t = (i + 0.6) / max(design.count("spot"), 1)
        turn, polar = i * 2.399963, math.radians(12 + 62 * t)
        radius, y = math.sin(polar) * 0.985, math.cos(polar)
        dot = size * (0.15 - 0.05 * ((i * 7) % 3) / 2)
        spot = kit.ellipsoid(dot, dot * 0.35, dot, 20).turned(math.degrees(polar) * 0.85, "x")
        # The height of the cap's curve where a ball of the same width has that cosine.
        height = under + (0.02 + 0.97 * y**0.86) * dome
        place = (radius * size * math.sin(turn), height, radius * size * d / w * math.cos(turn))
        design.add("spot", spot.turned(math.degrees(turn)).moved(*place))


def snowman(design: Design) -> None:
    """Balls on each other, with hat, nose, eyes, buttons, arms and scarf."""
    kit, w, h = design.kit, design.w, design.h
    balls = design.count("ball")
    hat = h * 0.16 if design.count("hat") else 0.0
    ratio = 0.74
    total = sum(ratio**i for i in range(balls))
    # Neighbours sink into each other by 12 %.
    first = (h - hat) / (2 * (total - 0.12 * (total - 1)))
    first *= 1.0 / max(1.0, first / (w / 2))
    stack = (h - hat) / (first * 2 * (total - 0.12 * (total - 1)))
    y, middles = 0.0, []
    for i in range(balls):
        radius = first * ratio**i
        flat = radius * stack
        middles.append((y + flat, radius, flat))
        design.add("ball", kit.ellipsoid(radius, flat, radius, 44).moved(y=y + flat))
        y += 2 * flat - 0.24 * flat * ratio
    y, radius, flat = middles[-1]
    if hat:
        brim = y + flat * 0.8
        rim, crown = kit.cylinder(radius * 1.12, h * 0.018), kit.cylinder(radius * 0.72, h - brim, radius * 0.76)
        design.add("hat", rim.moved(y=brim), crown.moved(y=brim))
    for i in range(design.count("eye")):
        x = radius * 0.36 * (1 if i else -1)
        z = math.sqrt(max(radius**2 * 0.93 - x * x, 0)) * 0.98
        design.add("eye", kit.ball(radius * 0.1, 16).moved(x, y + flat * 0.25, z))
    if design.count("nose"):
        carrot = kit.cone(radius * 0.13 * design.thick("nose") / design.u, radius * 0.75 * design.long("nose"), 24)
        design.add("nose", carrot.turned(90, "x").moved(0, y + flat * 0.02, radius * 0.92))
    if design.count("scarf"):
        neck = y - flat * 0.82
        ring = kit.torus(radius * 0.72, radius * 0.17).moved(y=neck)
        tail = kit.box(radius * 0.3, radius * 0.95, radius * 0.12).turned(14, "x")
        design.add("scarf", ring, tail.moved(radius * 0.35, neck - radius * 0.9, radius * 0.82))
    body = middles[-2]
    for i in range(design.count("button")):
        count = max(design.count("button"), 1)
        angle = math.radians(38 - 80 * (i + 0.5) / count)
        button = kit.ball(body[1] * 0.075, 16)
        design.add("button", button.moved(0, body[0] + body[2] * math.sin(angle), body[1] * math.cos(angle)))
    for i in range(design.count("arm")):
        side = 1 if i else -1
        start = (side * body[1] * 0.8, body[0] + body[2] * 0.3, 0.0)
        reach = w * 0.42 * design.long("arm")
        elbow = (start[0] + side * reach * 0.5, start[1] + h * 0.04, 0.03 * w)
        hand = (start[0] + side * reach, start[1] + h * 0.13, 0.05 * w)
        thick = 0.016 * w * design.thick("arm") / design.u
        design.add("arm", kit.tube([start, elbow, hand], [thick * 1.2, thick, thick * 0.6], 10))
        for dx, dy in ((0.08, 0.06), (0.1, -0.01)):
            finger = (hand[0] + side * w * dx, hand[1] + h * dy * 0.6, hand[2] + 0.02 * w)
            design.add("arm", kit.tube([hand, finger], [thick * 0.6, thick * 0.4], 8))
    design.top = SupportArea(h, radius * 0.5, radius * 0.5)


def fish(design: Design) -> None:
    """A body, a tail, fins and eyes; it swims towards +x."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    axis = h * 0.5
    length = w * 0.74
    nose = w / 2
    profile = curve([(0.04, 0.0), (0.5, 0.12), (0.86, 0.3), (1.0, 0.48), (0.78, 0.72), (0.34, 0.92), (0.2, 1.0)], 6)
    body = kit.lathe([(0, 0), *profile, (0, 1.0)], 40, sharp=0.0).turned(90, "z")
    # The lathe's axis now runs from the nose (x = 0) backwards.
    design.add("body", body.scaled(length, h * 0.34, d * 0.46).moved(nose, axis, 0))
    root = nose - length
    thick = d * 0.07
    tail = [(0.02, -0.1), (-1.0, -0.95), (-0.72, 0.0), (-1.0, 0.95), (0.02, 0.1)]
    span = w * 0.27
    points = [(x * span + root + span * 0.06, y * h * 0.42 * design.long("tail") + axis) for x, y in tail]
    design.add("tail", kit.prism(points[::-1], thick, thick * 0.2))
    fins = design.count("fin")
    dorsal = [(0.06, 0.27), (-0.02, 0.47), (-0.14, 0.5), (-0.2, 0.24), (-0.06, 0.2)]
    shapes: list[Solid] = []
    for sign in (1, -1):
        outline = [(x * w + w * 0.1, axis + sign * y * h) for x, y in dorsal]
        flat = kit.prism(counter_clockwise(outline), thick * 0.8, thick * 0.15)
        shapes.append(flat if sign > 0 else flat.scaled(0.8, 1, 1).moved(x=-w * 0.02))
    for sign in (1, -1):
        side = kit.ellipsoid(w * 0.09, h * 0.06, thick * 0.35, 20).turned(-25, "z").moved(-w * 0.07)
        shapes.append(side.turned(sign * 28).moved(nose - length * 0.34, axis - h * 0.06, sign * d * 0.42))
    shapes.append(kit.ellipsoid(w * 0.05, h * 0.08, thick * 0.35, 20).moved(nose - length * 0.78, axis - h * 0.17, 0))
    order = [0, 2, 3, 1, 4]
    design.add("fin", *(shapes[order[i]] for i in range(fins)))
    for i in range(design.count("eye")):
        z = d * 0.27 * (1 if i == 0 else -1)
        design.add("eye", kit.ball(h * 0.055, 18).moved(nose - length * 0.17, axis + h * 0.06, z))
