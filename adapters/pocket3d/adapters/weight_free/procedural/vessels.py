"""Vessels: thin walls of revolution with handles. Each function builds one noun from its design."""

from __future__ import annotations

from .design import Design
from .placing import SupportArea
from .polygons import arc, curve, stretched, walled
from .solids import Solid


def _vessel(design: Design, outer: list[tuple[float, float]], wall: float, floor: float, segments: int = 56) -> Solid:
    """An open vessel: the outer line from the foot's edge to the rim, and a wall inside it."""
    return design.kit.lathe(walled(outer, wall, floor), segments, sharp=wall * 0.25)


def _handles(design: Design, x: float, low: float, high: float, reach: float, thick: float) -> None:
    """Bent bars from one height to another, the first on the side +x."""
    middle, half = (low + high) / 2, (high - low) / 2
    bow = [(x + reach * px, middle + half * py, 0.0) for px, py in arc(0, 0, 1, -90, 90, 15)]
    path = [(x - reach * 0.22, bow[0][1], 0.0), *bow, (x - reach * 0.22, bow[-1][1], 0.0)]
    design.add("handle", *(design.kit.tube(path, thick, 18).turned(180 * i) for i in range(design.count("handle"))))


def cup(design: Design) -> None:
    """A mug with its handle, on a saucer if asked for."""
    d, h = design.d, design.h
    base = 0.0
    if design.count("saucer"):
        plate = d * 0.85
        base = h * 0.06
        line = curve(stretched([(0.45, 0.0), (0.6, 0.03), (1, 0.16)], plate, h), 6)
        design.add("saucer", _vessel(design, line, h * 0.04, base))
    radius = d / 2
    wall = radius * 0.085
    line = [(0.8, 0.0), (0.93, 0.1), (1, 0.4), (1, 1)]
    outer = curve([(radius * x, base + h * y) for x, y in line], 6)
    design.add("body", _vessel(design, outer, wall, base + h * 0.07))
    thick = 0.0055 * design.thick("handle")
    _handles(design, radius * 0.97, base + h * 0.24, base + h * 0.8, design.w - d, thick)
    design.hollow = SupportArea(base + h * 0.07, radius * 0.85, radius * 0.85)
    design.top = SupportArea(base + h, radius * 0.6, radius * 0.6)


def vase(design: Design) -> None:
    """A belly, a neck and a flared rim."""
    w, h = design.w, design.h
    r = w / 2
    line = [(0.55, 0.0), (0.85, 0.15), (1, 0.36), (0.72, 0.62), (0.42, 0.8), (0.45, 0.9), (0.62, 1)]
    outer = curve(stretched(line, r, h), 7)
    design.add("body", _vessel(design, outer, r * 0.07, h * 0.04).scaled(1, 1, design.d / w))
    _handles(design, r * 0.52, h * 0.48, h * 0.86, r * 0.48, 0.011 * design.thick("handle"))
    # What is put in leans on the neck, well above the floor.
    design.hollow = SupportArea(h * 0.4, r * 0.33, r * 0.33)
    design.top = SupportArea(h, r * 0.4, r * 0.4)


def bowl(design: Design) -> None:
    """A round shell on a foot."""
    kit, w, h = design.kit, design.w, design.h
    r = w / 2
    foot = h * 0.1 if design.count("foot") else 0.0
    if foot:
        ring = kit.lathe([(0, 0), (r * 0.42, 0), (r * 0.38, foot * 1.4), (0, foot * 1.4)])
        design.add("foot", ring)
    outer = [(x * r, foot + (y + 1) * (h - foot)) for x, y in arc(0, 0, 1.0, -66, 0, 18)]
    low = outer[0][1]
    outer = [(x, foot + (y - low) * (h - foot) / (h - low)) for x, y in outer]
    design.add("body", _vessel(design, outer, r * 0.05, foot + h * 0.07).scaled(1, 1, design.d / w))
    design.hollow = SupportArea(foot + h * 0.07, r * 0.62, r * 0.62)
    design.top = SupportArea(h, r * 0.5, r * 0.5)


def bottle(design: Design) -> None:
    """A body, shoulders, a neck, a cap and a label."""
    kit, w, h = design.kit, design.w, design.h
    r = w / 2
    capped = design.count("cap")
    top = h * (0.95 if capped else 1.0)
    line = curve([(r, h * 0.05), (r, h * 0.55), (r * 0.8, h * 0.66), (r * 0.4, h * 0.76), (r * 0.36, top)], 7)
    outer = [(r * 0.9, 0.0), (r, h * 0.03), *line]
    design.add("body", _vessel(design, outer, r * 0.07, h * 0.03, 48).scaled(1, 1, design.d / w))
    if capped:
        design.add("cap", kit.cylinder(r * 0.42, h * 0.09 * design.long("cap"), r * 0.4).moved(y=h * 0.91))
    if design.count("label"):
        band = kit.cylinder(r * 1.012, h * 0.24, segments=48)
        design.add("label", band.scaled(1, 1, design.d / w).moved(y=h * 0.18))
    design.top = SupportArea(h, r * 0.3, r * 0.3)


def goblet(design: Design) -> None:
    """A bowl on a stem and a foot."""
    kit, w, h = design.kit, design.w, design.h
    r = w / 2
    stem = r * 0.13
    knot = stretched([(1, 0.1), (1, 0.28), (2, 0.32), (1, 0.36), (1, 0.44)], stem, h)
    foot = curve([(r * 0.85, h * 0.015), (r * 0.5, h * 0.04), *knot], 5)
    design.add("body", kit.lathe([(0, 0), (r * 0.85, 0), *foot, (0, h * 0.44)], 48, sharp=r * 0.02))
    outer = curve([(stem * 1.1, h * 0.42), (r * 0.72, h * 0.54), (r * 0.98, h * 0.74), (r, h)], 8)
    design.add("body", _vessel(design, outer, r * 0.07, h * 0.46))
    _handles(design, r * 0.92, h * 0.58, h * 0.92, r * 0.5, 0.004 * design.thick("handle"))
    design.hollow = SupportArea(h * 0.47, r * 0.5, r * 0.5)
    design.top = SupportArea(h, r * 0.5, r * 0.5)
