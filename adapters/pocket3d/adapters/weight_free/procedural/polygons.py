"""Operations on plane outlines: bevelled corners, smooth curves, triangulation. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

Outline = Sequence[tuple[float, float]]


def bevelled(path: Outline, bevel: float, sharpest: float = 30.0) -> list[tuple[float, float]]:
    """An open path with each inner corner of more than `sharpest` degrees replaced by two points beside it."""
    result = [path[0]]
    for before, here, after in zip(path, path[1:], path[2:], strict=False):
        ax, ay = here[0] - before[0], here[1] - before[1]
        bx, by = after[0] - here[0], after[1] - here[1]
        a, b = math.hypot(ax, ay), math.hypot(bx, by)
        if a < 1e-12 or b < 1e-12:
            continue
        turn = abs(math.degrees(math.atan2(ax * by - ay * bx, ax * bx + ay * by)))
        if turn <= sharpest:
            result.append(here)
            continue
        first, second = min(bevel, a * 0.4) / a, min(bevel, b * 0.4) / b
        result.append((here[0] - ax * first, here[1] - ay * first))
        result.append((here[0] + bx * second, here[1] + by * second))
    result.append(path[-1])
    return result


def curve(points: Outline, steps: int = 8) -> list[tuple[float, float]]:
    """A smooth path through the points (Catmull-Rom), `steps` pieces between each two."""
    result = [points[0]]
    for i in range(len(points) - 1):
        p0, p1 = points[max(i - 1, 0)], points[i]
        p2, p3 = points[i + 1], points[min(i + 2, len(points) - 1)]
        for step in range(1, steps + 1):
            t = step / steps
            x, y = (
                0.5
                * (
                    2 * p1[k]
                    + (p2[k] - p0[k]) * t
                    + (2 * p0[k] - 5 * p1[k] + 4 * p2[k] - p3[k]) * t**2
                    + (3 * p1[k] - p0[k] - 3 * p2[k] + p3[k]) * t**3
                )
                for k in (0, 1)
            )
            result.append((x, y))
    return result


def stretched(outline: Outline, x: float, y: float) -> list[tuple[float, float]]:
    """An outline scaled about the origin."""
    return [(px * x, py * y) for px, py in outline]


def counter_clockwise(outline: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The outline itself, or turned round."""
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(outline, outline[1:] + outline[:1], strict=True))
    return outline if area > 0 else outline[::-1]


def walled(outer: Outline, wall: float, floor: float) -> list[tuple[float, float]]:
    """A profile of revolution (radius, y) from the outside of an open vessel, given from its foot's edge to its rim."""
    inner = []
    for i, (radius, y) in enumerate(outer):
        before, after = outer[max(i - 1, 0)], outer[min(i + 1, len(outer) - 1)]
        dr, dy = after[0] - before[0], after[1] - before[1]
        length = math.hypot(dr, dy) or 1.0
        r, z = radius - wall * dy / length, y + wall * dr / length
        if z > floor and r > wall * 0.5:
            inner.append((r, min(z, outer[-1][1])))
    inner = sorted(inner, key=lambda point: point[1])
    rim = outer[-1]
    edge = (rim[0] - wall * 0.5, rim[1] + wall * 0.12)
    return [(0.0, outer[0][1]), *outer, edge, *reversed(inner), (inner[0][0] * 0.9, floor), (0.0, floor)]


def arc(x: float, y: float, radius: float, start: float, end: float, steps: int = 12) -> list[tuple[float, float]]:
    """Points on a circle from one angle to another (degrees, counter-clockwise from +x), both ends included."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def star_outline(points: int, outer: float, inner: float, x: float = 1, y: float = 1) -> list[tuple[float, float]]:
    """A star, its first point up: radii of the points and of the corners between them, and a stretch of both axes."""
    angles = [math.pi / 2 + math.pi * i / points for i in range(2 * points)]
    return [(r * x * math.cos(a), r * y * math.sin(a)) for a, r in zip(angles, [outer, inner] * points, strict=True)]


def triangulated(outline: Outline) -> list[tuple[int, int, int]]:
    """A simple counter-clockwise polygon as triangles of its corners' indices, by cutting ears."""
    left = list(range(len(outline)))
    if len(left) == 4 and all(_turn(outline, left, i) > 0 for i in range(4)):
        return [(0, 1, 2), (0, 2, 3)]
    triangles: list[tuple[int, int, int]] = []
    while len(left) > 3:
        ear = _best_ear(outline, left)
        n = len(left)
        triangles.append((left[ear - 1], left[ear], left[(ear + 1) % n]))
        del left[ear]
    triangles.append((left[0], left[1], left[2]))
    return triangles


def _best_ear(outline: Outline, left: list[int]) -> int:
    """The ear with the widest smallest angle, so that triangles don't become slivers."""
    best, score = -1, -1.0
    for place in range(len(left)):
        if _turn(outline, left, place) <= 1e-15:
            continue
        a, b, c = (outline[left[(place + k) % len(left)]] for k in (-1, 0, 1))
        ids = {left[(place + k) % len(left)] for k in (-1, 0, 1)}
        if any(_within(outline[i], a, b, c) for i in left if i not in ids):
            continue
        quality = _smallest_angle(a, b, c)
        if quality > score:
            best, score = place, quality
    # A polygon that only touches itself by rounding still has an ear: take the most convex corner.
    return best if best >= 0 else max(range(len(left)), key=lambda place: _turn(outline, left, place))


def _turn(outline: Outline, left: Sequence[int], place: int) -> float:
    n = len(left)
    (ax, ay), (bx, by), (cx, cy) = (outline[left[(place + k) % n]] for k in (-1, 0, 1))
    return (bx - ax) * (cy - by) - (by - ay) * (cx - bx)


def _within(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return all(
        (v[0] - u[0]) * (p[1] - u[1]) - (v[1] - u[1]) * (p[0] - u[0]) >= -1e-12 for u, v in ((a, b), (b, c), (c, a))
    )


def _smallest_angle(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    sides = [math.dist(a, b), math.dist(b, c), math.dist(c, a)]
    area = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    longest = max(sides)
    return area / (longest * longest) if longest > 0 else 0.0
