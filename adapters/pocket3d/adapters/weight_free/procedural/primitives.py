"""Plain geometric bodies."""

from __future__ import annotations

import math

from .design import Design
from .placing import SupportArea
from .solids import bounds


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
    outline = []
    for i in range(2 * points):
        angle = math.pi / 2 + math.pi * i / points
        radius = 0.5 if i % 2 == 0 else 0.5 * inner
        outline.append((radius * design.w * math.cos(angle), radius * design.h * math.sin(angle)))
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
