"""Furniture. Each function builds one noun from its design."""

from __future__ import annotations

from .colours import RGB, rgb
from .design import Design, spots
from .placing import SupportArea
from .solids import Solid


def chair(design: Design) -> None:
    """Seat on legs, a back of posts and slats, arms if asked for."""
    kit, w, d = design.kit, design.w, design.d
    seat_y = design.h * 0.49 * design.long("leg")
    board = 0.045 * design.thick("seat")
    leg = 0.04 * design.thick("leg")
    for x, z in spots(design.count("leg"), w - 1.5 * leg, d - 1.5 * leg):
        design.add("leg", kit.box(leg, seat_y - board / 2, leg).moved(x, 0, z))
    design.add("seat", kit.box(w, board, d, board * 0.25).moved(y=seat_y - board))
    if design.count("back"):
        height = (design.h - seat_y) * design.long("back") if design.h > seat_y else 0.4 * design.h
        post = 0.036 * design.thick("back")
        back_z = -d / 2 + post / 2
        upright = kit.box(post, height + board / 2, post)
        design.add("back", *(upright.moved(side * (w / 2 - post / 2), seat_y - board / 2, back_z) for side in (-1, 1)))
        top = height * 0.26
        design.add("back", kit.box(w - post, top, post * 0.7).moved(0, seat_y + height - top * 1.05, back_z))
        for slat in (0.25, 0.5):
            bar = kit.box(w - post, height * 0.1, post * 0.6)
            design.add("back", bar.moved(0, seat_y + height * slat, back_z))
    arms = design.count("arm")
    arm = 0.035 * design.thick("arm")
    for sign in (-1, 1)[:arms]:
        x = sign * (w / 2 - arm / 2)
        rise = design.h * 0.22
        design.add("arm", kit.box(arm, rise + board / 2, arm).moved(x, seat_y - board / 2, d / 2 - arm))
        design.add("arm", kit.box(arm * 1.5, arm * 0.8, d).moved(x, seat_y + rise, 0))
    design.top = SupportArea(seat_y, w * 0.42, d * 0.38, z=d * 0.05)
    design.clearance = seat_y - board


def stool(design: Design) -> None:
    """A round seat on splayed round legs."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    board = 0.04 * design.thick("seat")
    leg = 0.019 * design.thick("leg")
    form = design.form or "round"
    count = design.count("leg")
    for x, z in spots(count, w * 0.86, d * 0.86, form if count != 1 else None):
        if count == 1:
            foot = w * 0.36
            column = [(0, 0), (foot, 0), (foot * 0.9, leg), (leg * 1.8, leg * 2), (leg * 1.8, h - board * 0.6)]
            design.add("leg", kit.lathe([*column, (0, h - board * 0.6)]))
            continue
        design.add("leg", kit.tube([(x, leg * 0.5, z), (x * 0.6, h - board * 0.6, z * 0.6)], leg))
    if form == "round":
        profile = [(0.0, 0.0), (0.46, 0.0), (0.5, 0.35), (0.5, 0.7), (0.45, 1.0), (0.0, 0.92)]
        seat = kit.lathe(profile, sharp=0.02).scaled(w, board, d)
    else:
        seat = kit.box(w, board, d, board * 0.3)
    design.add("seat", seat.moved(y=h - board))
    design.top = SupportArea(h, w * 0.4, d * 0.4)
    design.clearance = h - board


def table(design: Design) -> None:
    """A plate on legs, with an apron of drawers if asked for."""
    kit, w, d = design.kit, design.w, design.d
    if design.form in ("round", "square"):
        w = d = (w * d) ** 0.5
    h = design.h * design.long("leg")
    plate = 0.04 * design.thick("top")
    leg = 0.06 * design.thick("leg")
    count = design.count("leg")
    tall = h - plate / 2
    inset = 1.2 * leg if design.form != "round" else 0.32 * w
    for x, z in spots(count, w - 2 * inset, d - 2 * inset, design.form if design.form == "round" else None):
        if count == 1:
            foot = min(w, d) * 0.3
            column = [(0, 0), (foot, 0), (foot * 0.8, leg * 0.5), (leg, leg * 1.5), (leg, tall), (0, tall)]
            design.add("leg", kit.lathe(column))
        elif design.form == "round":
            design.add("leg", kit.cylinder(leg * 0.42, tall, leg * 0.55).moved(x, 0, z))
        else:
            design.add("leg", kit.frustum((leg * 0.8, leg * 0.8), (leg, leg), tall).moved(x, 0, z))
    if design.form == "round":
        design.add("top", kit.cylinder(w / 2, plate, segments=64).moved(y=h - plate))
    else:
        design.add("top", kit.box(w, plate, d, plate * 0.2).moved(y=h - plate))
    drawers = design.count("drawer")
    front = 0.13 * design.u
    for i in range(drawers):
        wide = (w * 0.8) / drawers
        x = -w * 0.4 + wide * (i + 0.5)
        design.add("drawer", kit.box(wide * 0.94, front, d * 0.7).moved(x, h - plate - front * 0.98, d * 0.08))
        knob = kit.ball(0.016).scaled(*[design.u] * 3)
        design.add("knob", knob.moved(x, h - plate - front / 2, d * 0.43 + 0.01 * design.u))
    design.top = SupportArea(h, w * 0.44, d * 0.44)
    design.clearance, design.serves = h - plate, True


def bench(design: Design) -> None:
    """Slats on legs, with a slatted back."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    leg = 0.05 * design.thick("leg")
    seat_y = h * 0.54 * design.long("leg")
    board = 0.035 * design.thick("seat")
    for x, z in spots(design.count("leg"), w * 0.86, d - 1.4 * leg):
        design.add("leg", kit.box(leg, seat_y - board / 2, leg).moved(x, 0, z))
    slats = 4
    for i in range(slats):
        z = -d / 2 + d * (i + 0.5) / slats
        design.add("seat", kit.box(w, board, d / slats * 0.86, board * 0.2).moved(0, seat_y - board, z))
    if design.count("back"):
        rise = (h - seat_y) * design.long("back") if h > seat_y else 0.4 * h
        thick = 0.03 * design.thick("back")
        for side in (-1, 1):
            post = kit.box(leg * 0.8, rise + board, leg * 0.8)
            design.add("leg", post.moved(side * w * 0.43, seat_y - board, -d / 2 + leg * 0.4))
        for level in (0.3, 0.72):
            slat = kit.box(w, rise * 0.26, thick)
            design.add("back", slat.moved(0, seat_y + rise * level, -d / 2 + leg * 0.8 + thick / 2))
    design.top = SupportArea(seat_y, w * 0.46, d * 0.4)
    design.clearance = seat_y - board


def bed(design: Design) -> None:
    """Frame, mattress, blanket, pillows, headboard."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    leg = 0.08 * design.thick("leg")
    low = h * 0.16 * design.long("leg")
    frame = h * 0.16
    soft = h * 0.22 * design.thick("mattress") / design.u
    for x, z in spots(design.count("leg"), d - 2 * leg, w - 2 * leg):
        design.add("leg", kit.box(leg, low + frame / 2, leg).moved(z, 0, x))
    design.add("frame", kit.box(w, frame, d).moved(y=low))
    lie = low + frame * 0.7
    design.add("mattress", kit.box(w * 0.95, soft, d * 0.96, soft * 0.25).moved(y=lie))
    top = lie + soft
    if design.count("blanket"):
        blanket = kit.box(w * 0.985, soft * 0.9, d * 0.62, soft * 0.22)
        design.add("blanket", blanket.moved(0, lie + soft * 0.2, d * 0.175))
    pillows = design.count("pillow")
    for i in range(pillows):
        wide = w * 0.88 / max(pillows, 2)
        pillow = kit.ellipsoid(wide * 0.46, soft * 0.34, d * 0.09)
        design.add("pillow", pillow.moved((i - (pillows - 1) / 2) * wide * 1.05, top + soft * 0.18, -d * 0.34))
    if design.count("headboard"):
        board = 0.06 * design.thick("headboard")
        design.add("headboard", kit.box(w, h * design.long("headboard"), board).moved(0, 0, -d / 2 - board * 0.4))
    design.top = SupportArea(top + soft * 0.1, w * 0.42, d * 0.25, z=d * 0.15)
    design.clearance = low


_SPINES = tuple(rgb(code) for code in ("a13d3d", "3d6aa1", "d0a542", "4f8a54", "7a4f8f", "e2ddd0", "2f3b45", "c9703a"))


def shelf(design: Design) -> None:
    """Boards between two sides, with books."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    wall = 0.025 * design.thick("side")
    board = 0.025 * design.thick("board")
    design.add("side", *(kit.box(wall, h, d).moved(sign * (w - wall) / 2) for sign in (-1, 1)))
    levels = design.count("board")
    gap = (h - board) / (levels - 1)
    design.add("board", *(kit.box(w - 1.6 * wall, board, d * 0.98).moved(y=i * gap) for i in range(levels)))
    if design.count("back"):
        back = 0.008 * design.u
        design.add("back", kit.box(w - wall, h * 0.995, back).moved(0, 0, -d / 2 + back))
    books = design.count("book")
    rows = levels - 1
    for row in range(rows):
        here = books // rows + (1 if row < books % rows else 0)
        x = -w / 2 + wall * 1.2
        for _ in range(here):
            wide = min((w - 3 * wall) / max(here, 1), design.u * design.random.uniform(0.03, 0.06))
            tall = gap * design.random.uniform(0.55, 0.8)
            spine: RGB = design.random.choice(_SPINES)
            book = kit.box(wide * 0.96, tall, d * 0.68)
            design.add("book", book.moved(x + wide / 2, row * gap + board * 0.98, d * 0.04), colour=spine)
            x += wide
    design.top = SupportArea(h, w * 0.45, d * 0.45)
    design.serves = True


def sofa(design: Design) -> None:
    """Cushions side by side between arms, before a back."""
    return _upholstered(design, design.count("seat"))


def armchair(design: Design) -> None:
    """A sofa for one."""
    return _upholstered(design, 1)


def _upholstered(design: Design, seats: int) -> None:
    kit, w, d, h = design.kit, design.w, design.d, design.h
    leg = 0.05 * design.thick("leg")
    low = h * 0.13 * design.long("leg")
    arms = design.count("arm")
    arm = 0.17 * design.thick("arm") if arms else 0.0
    back = 0.2 * design.thick("back")
    seat_y = low + h * 0.4
    for x, z in spots(design.count("leg"), w - 3 * leg, d - 3 * leg):
        design.add("leg", kit.cylinder(leg * 0.4, low * 1.1, leg * 0.6).moved(x, 0, z))
    left = -w / 2 + arm
    right = w / 2 - (arm if arms == 2 else 0)
    base = h * 0.2
    design.add("back", kit.box(w - 0.04 * design.u, base, d * 0.96, base * 0.1).moved(y=low))
    if design.count("back"):
        rest = kit.box(w - 0.02 * design.u, (h - low) * design.long("back"), back, back * 0.3)
        design.add("back", rest.moved(0, low, -d / 2 + back / 2))
    wide = (right - left) / seats
    for i in range(seats):
        cushion = kit.box(wide * 0.985, seat_y - low - base * 0.85, d - back * 0.9, 0.045 * design.u)
        design.add("seat", cushion.moved(left + wide * (i + 0.5), low + base * 0.85, back * 0.45 + 0.01 * design.u))
    for sign in (-1, 1)[:arms]:
        body = kit.box(arm, h * 0.62 - low, d * 0.99, arm * 0.28)
        design.add("arm", body.moved(sign * (w - arm) / 2, low, 0.005 * design.u))
    pillows = design.count("pillow")
    for i in range(pillows):
        half = 0.19 * design.thick("pillow")
        pillow = kit.ellipsoid(half, half, half * 0.38).turned(-18, "x")
        x = left + (right - left) * (i + 0.5) / pillows
        design.add("pillow", pillow.moved(x, seat_y + half * 0.9, -d / 2 + back + half * 0.45))
    design.top = SupportArea(seat_y, (right - left) * 0.46, d * 0.25, z=back * 0.4)
    design.clearance = low


def wardrobe(design: Design) -> None:
    """A body on legs with doors and knobs."""
    kit, w, d, h = design.kit, design.w, design.d, design.h
    leg = 0.07 * design.thick("leg")
    low = 0.09 * h * design.long("leg")
    for x, z in spots(design.count("leg"), w - 1.4 * leg, d - 1.4 * leg):
        design.add("leg", kit.frustum((leg * 0.7, leg * 0.7), (leg, leg), low * 1.05).moved(x, 0, z))
    design.add("body", kit.box(w, h - low, d).moved(y=low))
    doors = design.count("door")
    wide = w * 0.96 / doors
    front = d / 2
    for i in range(doors):
        door = kit.box(wide * 0.96, (h - low) * 0.94, 0.03 * design.u, 0.006 * design.u)
        design.add("door", door.moved(-w * 0.48 + wide * (i + 0.5), low + (h - low) * 0.03, front))
    knobs = design.count("knob")
    for i in range(knobs):
        door_index = i % doors
        inner = 1 if door_index % 2 == 0 and doors > 1 else -1
        x = -w * 0.48 + wide * (door_index + 0.5) + inner * wide * 0.38
        y = low + (h - low) * (0.5 - 0.12 * (i // doors))
        design.add("knob", kit.ball(0.022 * design.thick("knob")).moved(x, y, front + 0.03 * design.u))
    design.top = SupportArea(h, w * 0.45, d * 0.45)
    design.serves = True


def lamp(design: Design) -> None:
    """A foot, a pole and an open shade with a bulb in it."""
    kit, w, h = design.kit, design.w, design.h
    foot = w * 0.3 * design.thick("base") / design.u
    pole = 0.012 * design.thick("pole")
    shade_h = h * 0.4 * design.long("shade")
    shade_y = h - shade_h
    profile = [(0, 0), (foot, 0), (foot, h * 0.02), (foot * 0.75, h * 0.05), (pole, h * 0.07), (0, h * 0.07)]
    design.add("base", kit.lathe(profile))
    design.add("pole", kit.cylinder(pole, shade_y + shade_h * 0.35 - h * 0.05).moved(y=h * 0.05))
    design.add("shade", _shade(design, w / 2 * design.thick("shade") / design.u, shade_h).moved(y=shade_y))
    if design.count("bulb"):
        size = w * 0.11
        design.add("bulb", kit.ellipsoid(size, size * 1.2, size).moved(y=shade_y + shade_h * 0.5))
    design.top = SupportArea(h, w * 0.2, w * 0.2)


def _shade(design: Design, radius: float, height: float) -> Solid:
    """An open truncated cone with a wall; a ring holds it to the pole from inside, so that it stays one body."""
    wall = 0.012 * design.u
    upper = radius * 0.62
    ring = height * 0.86
    inside = radius + (upper - radius) * 0.86
    below = [(0.0, ring), (inside - wall * 1.5, ring), (radius - wall, 0.0), (radius, 0.0)]
    above = [(upper, height), (upper - wall, height), (inside - wall * 1.2, ring + wall), (0.0, ring + wall)]
    return design.kit.lathe([*below, *above], sharp=wall * 0.2)
