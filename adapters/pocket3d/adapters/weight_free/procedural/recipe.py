"""What a thing consists of, as values: bodies from a few operations, each with a role and a look. Pure.

Units are free: a thing is scaled as a whole to the size that it is given. Y is up, the front of what moves lengthwise
(animals, vehicles) is +X, of everything else +Z. `forming` builds the bodies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Row = tuple[float, ...]


class Shape(NamedTuple):
    """A closed body: an operation of `forming` with its arguments, then moves in order."""

    op: str
    args: tuple[Any, ...]
    #: (`move`, x, y, z), (`scale`, x, y, z) or (`turn`, axis, degrees)
    moves: tuple[tuple[Any, ...], ...] = ()

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
        """Shifted."""
        return self._replace(moves=(*self.moves, ("move", x, y, z)))

    def by(self, x: float, y: float | None = None, z: float | None = None) -> Shape:
        """Stretched about the origin; one factor is for all axes, negative ones mirror."""
        factors = (x, x, x) if y is None or z is None else (x, y, z)
        return self._replace(moves=(*self.moves, ("scale", *factors)))

    def turn(self, degrees: float, axis: str = "y") -> Shape:
        """Turned about an axis through the origin, right-handed."""
        return self._replace(moves=(*self.moves, ("turn", axis, degrees)))

    def upright(self) -> Shape:
        """A hull along +x set up: its rows are `y,middle z,half depth,half width`."""
        return self.turn(90, "z").turn(90)


class Part(NamedTuple):
    """Bodies of one role and look; each body is a part of its own that a prompt may count."""

    role: str
    #: `material` or `material:rrggbb`.
    look: str
    shapes: tuple[Shape, ...]


Parts = tuple[Part, ...]
#: Parts as they are written down: nested as is handy.
Nested = Part | Iterable["Nested"]


def part(role: str, look: str, *shapes: Shape | Iterable[Shape]) -> Part:
    """Bodies of a role."""
    flat: list[Shape] = []
    for shape in shapes:
        flat += [shape] if isinstance(shape, Shape) else list(shape)
    return Part(role, look, tuple(flat))


def flattened(nested: Nested) -> Iterator[Part]:
    """The parts of a nest of them, in order."""
    if isinstance(nested, Part):
        yield nested
    else:
        for inner in nested:
            yield from flattened(inner)


#: Rows of numbers: as a text such as `0,.5 1,2`, or as they are.
Rows = str | Iterable[Row]


def rows(said: Rows) -> tuple[Row, ...]:
    """The rows as numbers."""
    if isinstance(said, str):
        return tuple(tuple(map(float, each.split(","))) for each in said.split())
    return tuple(tuple(map(float, each)) for each in said)


# ---------------------------------------------------------------- bodies


def ball(x: float, y: float | None = None, z: float | None = None, segments: int = 24) -> Shape:
    """An ellipsoid about the origin, by half axes; `z` is `x` unless given."""
    return Shape("ball", (x, x if y is None else y, x if z is None else z, segments))


def box(width: float, height: float, depth: float, bevel: float | None = None) -> Shape:
    """Standing on y = 0, centred in x and z."""
    return Shape("box", (width, height, depth, bevel))


def cushion(width: float, height: float, depth: float, power: float = 4.0) -> Shape:
    """A superellipsoid about the origin, by full sides: 2 is an ellipsoid, 8 nearly a box."""
    return Shape("cushion", (width / 2, height / 2, depth / 2, power))


def cyl(radius: float, height: float, top: float | None = None, segments: int = 32) -> Shape:
    """A cylinder or truncated cone that stands on y = 0."""
    return Shape("cyl", (radius, height, top, segments))


def cone(radius: float, height: float, segments: int = 28) -> Shape:
    """Standing on y = 0."""
    return Shape("cone", (radius, height, segments))


def wedge(width: float, depth: float, height: float, top_width: float, top_depth: float) -> Shape:
    """A block that tapers, standing on y = 0; a small top makes a pyramid."""
    return Shape("wedge", (width, depth, height, top_width, top_depth))


def hoop(radius: float, thick: float, segments: int = 40) -> Shape:
    """A torus lying about y: the radius of its middle line, and of its tube."""
    return Shape("hoop", (radius, thick, segments))


def lathe(profile: Rows, smooth: int = 0, segments: int = 36) -> Shape:
    """A body of revolution about y from rows `radius,y`, from below; `smooth` pieces are put between each two."""
    return Shape("lathe", (rows(profile), smooth, segments))


def vessel(profile: Rows, wall: float, smooth: int = 5, segments: int = 36) -> Shape:
    """An open vessel: rows `radius,y` of its outside from the foot's edge to the rim, and a wall inside it."""
    return Shape("vessel", (rows(profile), wall, smooth, segments))


def tube(path: Rows, radius: float | str, smooth: int = 5, segments: int = 14) -> Shape:
    """A round bar along rows `x,y,z`, with one radius, or one for each row (`.1 .2 .1`)."""
    line = rows(path)
    radii = tuple(map(float, str(radius).split()))
    radii *= len(line) if len(radii) == 1 else 1
    return Shape("tube", (line, radii, smooth, segments))


def loft(stations: Rows, power: float = 2.0, smooth: int = 3, segments: int = 28) -> Shape:
    """A hull along +x through superellipses, rows `x,middle y,half height,half width[,middle z]`."""
    return Shape("loft", (rows(stations), power, smooth, segments))


def plate(outline: Rows, depth: float, smooth: int = 0) -> Shape:
    """An outline in x-y (rows `x,y`, counter-clockwise) as thick as `depth`, centred in z; smooth ones are closed
    curves through the rows.
    """
    return Shape("plate", (rows(outline), depth, smooth))


def puff(outline: Rows, depth: float, smooth: int = 4) -> Shape:
    """As `plate`, but swollen: thick in the middle, thin at its edge. The outline is star-shaped about its mean."""
    return Shape("puff", (rows(outline), depth, smooth))


def frame(outline: Rows, hole: float, depth: float, smooth: int = 0) -> Shape:
    """An outline about the origin in x-y with a hole of its own form, `hole` times as large."""
    return Shape("frame", (rows(outline), hole, depth, smooth))


def leaf(length: float, half_width: float, thick: float = 0.01) -> Shape:
    """A leaf from the origin along +x, lying flat."""
    return Shape("leaf", (length, half_width, thick))


def gore(count: int, half: float = 0.5) -> Shape:
    """One of `count` segments of a ball about the origin, its face towards +z."""
    return Shape("gore", (count, half))


def joined(*shapes: Shape | Iterable[Shape]) -> Shape:
    """Several bodies as one."""
    return Shape("joined", part("", "", *shapes).shapes)


# ---------------------------------------------------------------- arrangements


def both(*shapes: Shape, axis: str = "z") -> tuple[Shape, ...]:
    """Each shape and its mirror image across the plane where `axis` is 0."""
    factors = {"x": (-1.0, 1.0, 1.0), "z": (1.0, 1.0, -1.0), "y": (1.0, -1.0, 1.0)}[axis]
    return tuple(each for shape in shapes for each in (shape, shape.by(*factors)))


def around(count: int, shape: Shape, start: float = 0.0, axis: str = "y") -> tuple[Shape, ...]:
    """Copies turned about an axis, evenly."""
    return tuple(shape.turn(start + 360 * i / count, axis) for i in range(count))


def along(count: int, shape: Shape, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> tuple[Shape, ...]:
    """Copies at equal steps."""
    return tuple(shape.at(x * i, y * i, z * i) for i in range(count))


def ellipse(count: int, x: float, y: float, start: float = 0.0) -> tuple[Row, ...]:
    """Rows of a regular polygon or ellipse by its half axes, counter-clockwise."""
    angles = [math.radians(start + 360 * i / count) for i in range(count)]
    return tuple((x * math.cos(a), y * math.sin(a)) for a in angles)


def scattered(count: int, x: float, y: float, z: float, low: float = -0.8, high: float = 0.9) -> list[Row]:
    """Points spread evenly over an ellipsoid between two of its heights (-1 to 1), in a spiral."""
    points: list[Row] = []
    for i in range(count):
        rise = low + (high - low) * (i + 0.5) / count
        flat, turn = math.sqrt(max(1 - rise * rise, 0.0)), i * 2.399963
        points.append((x * flat * math.sin(turn), y * rise, z * flat * math.cos(turn)))
    return points
