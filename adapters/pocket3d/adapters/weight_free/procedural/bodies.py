"""Bodies of animals as recipes with parameters: one quadruped makes a dog, a giraffe or an elephant."""

from __future__ import annotations

from .recipe import Part, Parts, Shape, ball, both, cone, cyl, joined, leaf, loft, part, puff, tube

DARK = "pane:15181c"


def _ears(kind: str, size: float, x: float, y: float, z: float) -> tuple[Shape, ...]:
    """A pair of ears on a head whose top is at (x, y, +-z)."""
    if kind == "point":
        ear = cone(0.5 * size, size * 1.5, 14).by(0.55, 1.0, 1.0).turn(18, "x").at(x, y - size * 0.25, z)
    elif kind == "long":
        ear = ball(0.22 * size, size * 1.25, 0.42 * size, 16).turn(12, "z").turn(10, "x").at(x, y + size * 1.0, z * 0.7)
    elif kind == "flop":
        ear = ball(0.42 * size, size, 0.2 * size, 16).turn(-14, "x").at(x - 0.1 * size, y - size * 0.65, z * 1.55)
    elif kind == "side":
        ear = ball(0.3 * size, size, 0.42 * size, 16).turn(65, "x").at(x, y - 0.15 * size, z + size * 0.8)
    elif kind == "fan":
        outline = "0,.5 .5,.55 .9,.2 .95,-.3 .6,-.9 .2,-.75 0,-.3"
        ear = puff(outline, 0.16).by(size).turn(-125).at(x, y - size * 0.45, z * 1.1)
    else:
        ear = ball(size * 0.35, size * 0.7, size * 0.7, 18).at(x, y, z * 1.05)
    return both(ear)


def _tail(kind: str, long: float, x: float, y: float, thick: float) -> Shape:
    """A tail from the rump at (x, y, 0) backwards."""
    if kind == "up":
        path = [(0, 0), (-0.3, 0.08), (-0.52, 0.4), (-0.45, 0.78), (-0.6, 1.0)]
        return tube(
            [(x + a * long, y + b * long, 0) for a, b in path], f"{thick} {thick} {thick} {thick} {thick * 0.7}"
        )
    if kind == "bushy":
        path = [(0.05, 0), (-0.3, -0.05), (-0.62, 0.05), (-1.0, 0.25)]
        line = [(x + a * long, y + b * long, 0) for a, b in path]
        return tube(line, f"{thick} {thick * 2.2} {thick * 2.6} {thick * 0.4}")
    if kind == "stub":
        return ball(long * 0.5, segments=14).at(x - long * 0.2, y + long * 0.1)
    if kind == "curl":
        coil = [(0.1, 0.0, 0.0), (-0.25, 0.1, 0.12), (-0.4, 0.4, 0), (-0.5, 0.1, -0.16), (-0.75, 0.12, 0.05)]
        return tube([(x + a * long, y + b * long, c * long) for a, b, c in coil], thick, segments=10)
    if kind == "lizard":
        sway = [(0.3, 0.0, 0.0), (-0.25, -0.12, 0.06), (-0.65, -0.2, -0.06), (-1, -0.18, 0.06)]
        return tube(
            [(x + a * long, y + b * long, c * long) for a, b, c in sway], f"{thick} {thick * 0.7} {thick * 0.4} .01"
        )
    path = [(0.06, 0), (-0.12, -0.1), (-0.2, -0.5), (-0.24, -1.0)]
    line = [(x + a * long, y + b * long, 0) for a, b in path]
    if kind == "tuft":
        end = ball(thick * 1.8, thick * 3.2, segments=12).at(*line[-1])
        return joined(tube(line, thick * 0.6, segments=10), end)
    if kind == "hair":
        return tube(line, f"{thick} {thick * 1.6} {thick * 1.8} {thick * 0.5}")
    return tube(line, f"{thick} {thick * 0.9} {thick * 0.7} {thick * 0.5}", segments=10)


def quadruped(
    look: str,
    *,
    leg: float = 0.42,
    girth: float = 0.2,
    shank: float = 0.055,
    waist: float = 0.9,
    neck: tuple[float, float] = (0.16, 0.24),
    throat: float = 0.6,
    head: float = 0.15,
    snout: float = 0.14,
    muzzle: float = 0.075,
    nose: str = DARK,
    ear: str = "point",
    ear_size: float = 0.1,
    ear_look: str = "",
    tail: str = "thin",
    tail_length: float = 0.4,
    tail_thick: float = 0.035,
    tail_look: str = "",
    hoof: str = "",
    snout_look: str = "",
    leg_look: str = "",
    extra: tuple[Part, ...] = (),
) -> Parts:
    """An animal on four legs that looks towards +x. Its trunk is 1 long; the other lengths are in that unit.

    Args:
        look: of all that has no look of its own.
        leg: from the ground to the belly's middle.
        girth: half the trunk's height.
        shank: radius of a leg.
        waist: the trunk's middle, as a share of its ends.
        neck: from the shoulders to the head, forwards and upwards.
        throat: radius of the neck at its foot, as a share of the girth.
        head: radius of the skull.
        snout: length of what stands out of it.
        muzzle: radius of its end.
        nose: its look; "" for none.
        ear: `point`, `long`, `flop`, `side`, `fan`, `round` or "".
        ear_size: its height.
        ear_look: else that of the body.
        tail: `thin`, `up`, `bushy`, `stub`, `curl`, `lizard`, `tuft`, `hair` or "".
        tail_length: of it.
        tail_thick: its radius.
        tail_look: else that of the body.
        hoof: the look of hoofs; "" for paws.
        snout_look: else that of the body.
        leg_look: else that of the body.
        extra: further parts.
    """
    g, y = girth, leg + girth * 0.75
    trunk = loft(
        [
            (-0.52, y, 0.3 * g, 0.25 * g), (-0.46, y, 0.78 * g, 0.7 * g), (-0.28, y, g, 0.86 * g),
            (0.0, y, waist * g, 0.84 * waist * g), (0.26, y, g * 1.02, 0.86 * g), (0.42, y + 0.05 * g, 0.84 * g,
                0.7 * g),
            (0.49, y + 0.08 * g, 0.4 * g, 0.34 * g),
        ]
    )  # fmt: skip
    hx, hy = 0.36 + neck[0], y + neck[1] + 0.15 * g
    nape = tube([(0.34, y + 0.18 * g, 0), (hx, hy, 0)], f"{throat * g} {head * 0.72}", 1)
    skull = ball(head * 1.05, head * 0.92, head * 0.86).at(hx + head * 0.25, hy + head * 0.1)
    x, top = hx + head * 0.25, hy + head * 0.1
    end = (x + head * 0.75 + snout, top - head * 0.3 - snout * 0.12, 0.0)
    face = tube([(x + head * 0.2, top - head * 0.1, 0), end], f"{head * 0.66} {muzzle}", 1)
    legs: list[Shape] = []
    for place, lean in ((0.33, 0.0), (-0.36, -0.03)):
        path = [(place, y - 0.15 * g, 0.5 * g), (place + lean, leg * 0.5, 0.52 * g), (place, shank * 0.8, 0.52 * g)]
        bone = tube(path, f"{shank * 2.0} {shank * 1.15} {shank * 1.0}", 4)
        paw = ball(shank * 1.5, shank * 0.85, shank * 1.2, 14).at(place + shank * 0.5, shank * 0.8, 0.52 * g)
        legs += both(bone if hoof else joined(bone, paw))
    parts = [
        part("body", look, joined(trunk, nape)),
        part("head", look, skull if snout_look else joined(skull, face)),
        part("leg", leg_look or look, legs),
        part("eye", DARK, both(ball(head * 0.15, segments=12).at(x + head * 0.72, top + head * 0.32, head * 0.52))),
    ]
    if snout_look:
        parts.append(part("snout", snout_look, face))
    if hoof:
        feet = [cyl(shank * 1.3, shank * 1.3, shank, 16).at(a, 0, 0.52 * g) for a in (0.33, -0.36)]
        parts.append(part("hoof", hoof, both(*feet)))
    if nose:
        parts.append(
            part(
                "nose",
                nose,
                ball(muzzle * 0.5, muzzle * 0.42, muzzle * 0.6, 12).at(end[0] + muzzle * 0.4, end[1] + muzzle * 0.5),
            )
        )
    if ear:
        parts.append(
            part("ear", ear_look or look, _ears(ear, ear_size, x - head * 0.15, top + head * 0.85, head * 0.5))
        )
    if tail:
        parts.append(part("tail", tail_look or look, _tail(tail, tail_length, -0.49, y + 0.45 * g, tail_thick)))
    return (*parts, *extra)


def horns(look: str, path: str, radius: str = ".03 .025 .006", role: str = "horn") -> Part:
    """A pair along a path on the side +z."""
    return part(role, look, both(tube(path, radius)))


def stripes(look: str, girth: float, y: float, count: int = 5, waist: float = 0.9) -> Part:
    """Bands about a quadruped's trunk."""
    bands = []
    for i in range(count):
        x = -0.34 + 0.6 * i / max(count - 1, 1)
        g = girth * (1.015 if abs(x) > 0.2 else (waist + 0.06))
        band = [(x - 0.02, y, g * 0.97, g * 0.84), (x - 0.015, y, g * 1.01, 0.875 * g)]
        bands.append(loft([*band, (x + 0.015, y, g * 1.01, 0.875 * g), (x + 0.02, y, g * 0.97, g * 0.84)], smooth=1))
    return part("stripe", look, bands)


def bird(
    look: str,
    *,
    belly: str = "",
    beak: str = "plastic:e8962a",
    beak_length: float = 0.16,
    beak_thick: float = 0.06,
    leg: float = 0.22,
    leg_look: str = "plastic:d98a2b",
    neck: tuple[float, float] = (0.12, 0.2),
    throat: float = 0.12,
    head: float = 0.14,
    body: tuple[float, float, float] = (0.36, 0.25, 0.24),
    tilt: float = 20.0,
    tail: float = 0.25,
    wing_look: str = "",
    spread: bool = False,
    extra: tuple[Part, ...] = (),
) -> Parts:
    """A bird that looks towards +x, about 1 long.

    Args:
        look: of all that has no look of its own.
        belly: the look of its front.
        beak: its look.
        beak_length: of it.
        beak_thick: its radius at the head.
        leg: from the ground to the body; 0 for none.
        leg_look: of legs and feet.
        neck: from the breast to the head, forwards and upwards.
        throat: radius of the neck.
        head: its radius.
        body: half axes.
        tilt: how far the body is raised in front, degrees.
        tail: its length.
        wing_look: else that of the body.
        spread: wings reach out.
        extra: further parts.
    """
    y = leg + body[1] * 0.9 + (body[0] - body[1]) * 0.4 * tilt / 60
    trunk = ball(*body).turn(tilt, "z").at(0, y)
    from_x, from_y = body[0] * 0.55, y + body[0] * 0.5 * tilt / 60 + body[1] * 0.2
    hx, hy = from_x + neck[0], from_y + neck[1]
    middle = (from_x + neck[0] * 0.75, from_y + neck[1] * 0.4, 0.0)
    nape = tube([(from_x * 0.7, from_y - 0.05, 0), middle, (hx, hy, 0)], f"{throat * 1.5} {throat} {throat}")
    skull = ball(head, head * 0.95, head * 0.9, 20).at(hx, hy + head * 0.2)
    parts = [
        part("body", look, joined(trunk, nape)),
        part("head", look, skull),
        part("beak", beak, cone(beak_thick, beak_length, 16).turn(-90, "z").at(hx + head * 0.85, hy + head * 0.12)),
        part("eye", DARK, both(ball(head * 0.16, segments=12).at(hx + head * 0.55, hy + head * 0.45, head * 0.62))),
    ]
    if belly:
        parts.append(
            part(
                "belly",
                belly,
                ball(body[0] * 0.8, body[1] * 0.85, body[2] * 0.8)
                .turn(tilt, "z")
                .at(body[0] * 0.16, y - body[1] * 0.15),
            )
        )
    if spread:
        outline = "0,0 .1,.5 .05,.95 -.12,.9 -.2,.75 -.3,.72 -.33,.5 -.42,.42 -.4,0"
        wing = puff(outline, 0.06, 1).turn(90, "x").at(0.18, y + body[1] * 0.5, body[2] * 0.5)
        parts.append(part("wing", wing_look or look, both(wing.turn(-12, "x"))))
    else:
        wing = ball(body[0] * 0.82, body[1] * 0.62, 0.05, 20).turn(tilt + 12, "z")
        parts.append(part("wing", wing_look or look, both(wing.at(-body[0] * 0.22, y + body[1] * 0.1, body[2] * 0.92))))
    if tail:
        back = (-body[0] * 0.8, y - body[0] * 0.6 * tilt / 60)
        fan = loft([(0, 0, 0.05, 0.09), (-tail * 0.6, 0, 0.035, 0.13), (-tail, 0, 0.012, 0.12)]).turn(tilt * 0.3, "z")
        parts.append(part("tail", wing_look or look, fan.at(*back)))
    if leg:
        thick = 0.018
        toes = [leaf(0.13, 0.03, 0.012).turn(a).at(0, 0.014) for a in (-35, 0, 35)]
        limb = joined(tube([(0, leg + body[1] * 0.3, 0), (0, 0.02, 0)], thick, 1, 10), *toes).at(
            0.02, 0, body[2] * 0.42
        )
        parts.append(part("leg", leg_look, both(limb)))
    return (*parts, *extra)


def fish(
    look: str,
    *,
    body: tuple[float, float] = (0.16, 0.09),
    fin: str = "",
    belly: str = "",
    tail: float = 0.2,
    upright_tail: bool = True,
    dorsal: float = 0.12,
    eye: float = 0.02,
    extra: tuple[Part, ...] = (),
) -> Parts:
    """A swimmer of length 1 that looks towards +x.

    Args:
        look: of its body.
        body: half its height and half its width.
        fin: the fins' look, else the body's.
        belly: the look of its underside.
        tail: half the height of the tail fin.
        upright_tail: False for whales, whose flukes lie flat.
        dorsal: height of the back fin.
        eye: radius.
        extra: further parts.
    """
    a, b = body
    hull = loft(
        [
            (-0.42, 0, 0.2 * a, 0.16 * b),
            (-0.2, 0, 0.62 * a, 0.6 * b),
            (0.1, 0, a, b),
            (0.32, 0, 0.84 * a, 0.86 * b),
            (0.45, -0.02, 0.45 * a, 0.5 * b),
            (0.5, -0.02, 0.12 * a, 0.15 * b),
        ]
    )
    fluke = puff(
        [(0.1, 0), (-0.02, tail * 0.55), (-0.14, tail), (-0.06, 0), (-0.14, -tail), (-0.02, -tail * 0.55)], 0.045, 2
    )
    if not upright_tail:
        fluke = fluke.turn(90, "x")
    fins = [puff("0,0 -.06,-.1 -.16,-.2 -.14,-.04", 0.03, 3).turn(-50, "x").at(0.2, -a * 0.35, b * 0.75)]
    parts = [
        part("body", look, hull),
        part("tail", fin or look, fluke.at(-0.42)),
        part("fin", fin or look, both(*fins)),
        part("eye", DARK, both(ball(eye, segments=12).at(0.37, a * 0.18, b * 0.66))),
    ]
    if dorsal:
        crest = puff([(0.1, 0), (-0.06, dorsal), (-0.12, dorsal * 0.95), (-0.1, 0)], 0.03, 2)
        parts.append(part("dorsal", fin or look, crest.at(0.05, a * 0.88)))
    if belly:
        under = loft(
            [
                (-0.3, -0.12 * a, 0.3 * a, 0.3 * b),
                (0.1, -0.14 * a, 0.9 * a, 0.93 * b),
                (0.4, -0.12 * a, 0.5 * a, 0.62 * b),
                (0.47, -0.1 * a, 0.1 * a, 0.1 * b),
            ]
        )
        parts.append(part("belly", belly, under))
    return (*parts, *extra)


def insect(
    look: str,
    *,
    head: str = "",
    thorax: str = "",
    abdomen: tuple[float, float] = (0.28, 0.17),
    legs: int = 6,
    wing: str = "",
    wing_size: float = 0.5,
    antenna: bool = True,
    extra: tuple[Part, ...] = (),
) -> Parts:
    """An insect or spider that looks towards +x.

    Args:
        look: of the abdomen.
        head: its look, else the body's.
        thorax: its look, else the body's.
        abdomen: half its length and its radius.
        legs: 6 or 8.
        wing: look of a pair of wings, "" for none.
        wing_size: their length.
        antenna: it has feelers.
        extra: further parts.
    """
    y = 0.2
    pairs = legs // 2
    limbs: list[Shape] = []
    for i in range(pairs):
        lean = (i - (pairs - 1) / 2) / pairs * 1.1
        knee, foot = (0.1 + lean * 0.22, y + 0.12, 0.24), (0.1 + lean * 0.62, 0.01, 0.42)
        limbs += both(tube([(0.1 + lean * 0.12, y, 0.05), knee, foot], ".022 .02 .012", 3, 10))
    parts = [
        part("body", look, ball(abdomen[0], abdomen[1]).turn(-6, "z").at(-abdomen[0] * 0.85, y + 0.03)),
        part("thorax", thorax or look, ball(0.13, 0.11).at(0.1, y)),
        part("head", head or thorax or look, ball(0.1, 0.095, segments=20).at(0.29, y + 0.02)),
        part("leg", head or thorax or "pane:1d1a18", limbs),
        part("eye", "pane:0a0a0c", both(ball(0.032, segments=12).at(0.36, y + 0.05, 0.055))),
    ]
    if antenna:
        feeler = tube([(0.35, y + 0.08, 0.03), (0.45, y + 0.2, 0.06), (0.55, y + 0.22, 0.1)], 0.01, 3, 8)
        parts.append(part("antenna", head or thorax or "pane:1d1a18", both(feeler)))
    if wing:
        blade = ball(wing_size / 2, 0.012, wing_size * 0.2, 20).at(-wing_size / 2).turn(32)
        parts.append(part("wing", wing, both(blade.turn(-14, "z").at(0.12, y + 0.1, 0.05))))
    return (*parts, *extra)
