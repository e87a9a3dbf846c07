"""The body of a person as a recipe with parameters: people, toys and figures of tales are made from it."""

from __future__ import annotations

from .bodies import DARK
from .recipe import Part, Parts, ball, both, cushion, cyl, joined, loft, part, tube


def person(
    *,
    skin: str = "skin:e0ac84",
    hair: str = "fur:4a2f1c",
    top: str = "fabric:3f6fb0",
    legs: str = "fabric:34405a",
    shoe: str = "leather:2b211c",
    head: float = 0.105,
    shoulder: float = 0.2,
    belly: float = 1.0,
    arm_look: str = "",
    skirt: str = "",
    long_hair: bool = False,
    arms: str = "down",
    extra: tuple[Part, ...] = (),
) -> Parts:
    """A figure that stands and looks towards +z, about 1.75 tall.

    Args:
        skin: of head and hands.
        hair: its look; "" for none.
        top: of the upper body.
        legs: of the legs.
        shoe: of the feet.
        head: radius; large for children and toys.
        shoulder: half their width.
        belly: factor on the trunk's depth.
        arm_look: of sleeves, else that of the upper body.
        skirt: look of a skirt down to the ground, "" for legs.
        long_hair: it falls to the shoulders.
        arms: `down`, `out` or `up`.
        extra: further parts.
    """
    s = shoulder
    chest = loft(
        [
            (0.78, 0, 0.115 * belly, 0.8 * s),
            (0.95, 0, 0.12 * belly, 0.78 * s),
            (1.2, 0, 0.12, 0.86 * s),
            (1.38, 0, 0.1, 0.92 * s),
            (1.46, 0, 0.06, 0.45 * s),
        ]
    ).upright()
    hand_at = {"down": (s + 0.14, 0.78, 0.06), "out": (s + 0.5, 1.3, 0.05), "up": (s + 0.3, 1.75, 0.05)}[arms]
    elbow = {"down": (s + 0.1, 1.08, 0.0), "out": (s + 0.26, 1.33, 0.0), "up": (s + 0.24, 1.4, 0.0)}[arms]
    sleeve = tube([(s * 0.82, 1.36, 0), elbow, hand_at], ".062 .052 .045", 4)
    face_y = 1.5 + head * 0.95
    bulb = joined(ball(head * 0.92, head * 1.15, head).at(0, face_y), cyl(0.05, 0.14, segments=18).at(0, 1.42))
    parts = [
        part("body", top, chest),
        part("head", skin, bulb),
        part("arm", arm_look or top, both(sleeve, axis="x")),
        part("hand", skin, both(ball(0.05, 0.062, 0.05, 16).at(hand_at[0], hand_at[1] - 0.03, hand_at[2]), axis="x")),
        part(
            "eye", DARK, both(ball(head * 0.12, segments=12).at(head * 0.36, face_y + head * 0.1, head * 0.9), axis="x")
        ),
    ]
    if skirt:
        bell = loft(
            [(0.0, 0, 0.3, 0.36), (0.05, 0, 0.31, 0.37), (0.5, 0, 0.2, 0.24), (0.95, 0, 0.12 * belly, 0.72 * s)]
        )
        parts.append(part("skirt", skirt, bell.upright()))
    else:
        limb = tube([(0.09, 0.86, 0), (0.1, 0.45, 0.01), (0.1, 0.06, 0)], f"{0.095 * max(belly, 1)} .07 .055", 4)
        parts.append(part("leg", legs, both(limb, axis="x")))
        parts.append(part("shoe", shoe, both(cushion(0.11, 0.1, 0.26, 3).at(0.1, 0.05, 0.05), axis="x")))
    if hair:
        cap = ball(head * 1.02, head * 1.06, head * 1.05).at(0, face_y + head * 0.3, -head * 0.22)
        fall = loft(
            [
                (face_y - head * 2.2, -head * 0.7, head * 0.25, head * 0.9),
                (face_y, -head * 0.5, head * 0.62, head * 1.08),
                (face_y + head * 0.9, -head * 0.1, head * 0.5, head * 0.6),
            ]
        )
        shapes = (cap, fall.upright()) if long_hair else (cap,)
        parts.append(part("hair", hair, joined(*shapes)))
    return (*parts, *extra)
