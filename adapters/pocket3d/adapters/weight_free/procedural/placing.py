"""Lays out objects: in rows, around what they relate to, on tops, below, inside. Pure arithmetic on boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from .scene import Relation

#: Smallest factor by which a thing may be scaled to fit where it is put.
_SMALLEST = 0.001
#: "a snowman wearing a top hat"
_ON_HEADS = frozenset({"hat", "top hat", "cowboy hat", "cap", "helmet", "crown", "tiara"})
_MIRRORED = {
    "beside": "beside",
    "left of": "right of",
    "right of": "left of",
    "behind": "in front of",
    "in front of": "behind",
}


class SupportArea(NamedTuple):
    """An area on which another object may stand: height, half width, half depth and centre, in metres."""

    y: float
    half_x: float
    half_z: float
    x: float = 0.0
    z: float = 0.0


class Body(NamedTuple):
    """A built object as a box that stands on y = 0 about its origin, and the areas that support others."""

    name: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    top: SupportArea | None = None
    hollow: SupportArea | None = None
    clearance: float = 0.0
    serves: bool = False
    #: Widest horizontal distance from its axis in its lowest quarter: what must fit into a vase's mouth.
    girth: float = 0.0

    def side(self, axis: int) -> float:
        """Extent along an axis, metres."""
        return self.high[axis] - self.low[axis]


class Pose(NamedTuple):
    """A transform: scale about the origin, then rotate about y (degrees), then shift."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0
    scale: float = 1.0


@dataclass
class Layout:
    """One pose for each object of each group, and notes on what was changed to make them fit."""

    poses: list[list[Pose]]
    notes: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def lay_out(groups: list[list[Body]], relations: tuple[Relation, ...]) -> Layout:
    """Place every group (the objects of one noun) so that the relations hold and nothing overlaps."""
    layout = Layout([[] for _ in groups])
    anchors = _anchors(groups, relations, layout)
    children: dict[int, list[tuple[int, str]]] = {}
    for first, (kind, second) in anchors.items():
        children.setdefault(second, []).append((first, kind))
    right = 0.0
    for root in range(len(groups)):
        if root in anchors:
            continue
        members = _place_cluster(root, groups, children, layout)
        low, high = _floor_box(members, groups, layout, 0)
        gap = 0.0 if root == 0 else 0.25 * min(high - low, right if right else high - low)
        shift = right + gap - low if right else -low
        for member in members:
            layout.poses[member] = [pose._replace(x=pose.x + shift) for pose in layout.poses[member]]
        right = shift + high
    return layout


def _anchors(groups: list[list[Body]], relations: tuple[Relation, ...], layout: Layout) -> dict[int, tuple[str, int]]:
    anchors: dict[int, tuple[str, int]] = {}
    for relation in relations:
        kind, first, second = relation.kind, relation.first, relation.second
        if kind == "with":
            owner = groups[second][0]
            worn = groups[first][0].name in _ON_HEADS
            kind = "on" if owner.serves or worn else "in" if owner.hollow else "beside"
        if kind == "under" and groups[second][0].clearance <= 0:
            kind, first, second = "on", second, first
        if first in anchors and second not in anchors and kind in _MIRRORED:
            kind, first, second = _MIRRORED[kind], second, first
        if first in anchors or _depends(second, first, anchors):
            name = groups[first][0].name
            layout.ignored.append(f"{relation.kind} ({name} has its place already)")
            continue
        anchors[first] = (kind, second)
    return anchors


def _depends(start: int, wanted: int, anchors: dict[int, tuple[str, int]]) -> bool:
    while start in anchors:
        start = anchors[start][1]
        if start == wanted:
            return True
    return start == wanted


def _place_cluster(
    root: int, groups: list[list[Body]], children: dict[int, list[tuple[int, str]]], layout: Layout
) -> list[int]:
    layout.poses[root] = _row(groups[root])
    floor, members, queue = [root], [root], [root]
    while queue:
        parent = queue.pop(0)
        shared = [child for child, kind in children.get(parent, []) if kind == "on"]
        for child, kind in children.get(parent, []):
            members.append(child)
            queue.append(child)
            if kind == "on":
                _put_on(child, parent, shared.index(child), len(shared), groups, layout)
            elif kind == "in":
                _put_in(child, parent, groups, layout)
            elif kind == "under":
                _put_under(child, parent, groups, layout)
            elif kind == "around":
                _put_around(child, parent, groups, layout)
                floor.append(child)
            else:
                _put_beside(child, parent, kind, floor, groups, layout)
                floor.append(child)
    return members


def _row(bodies: list[Body]) -> list[Pose]:
    """Place objects side by side along x, centred."""
    poses, x = [], 0.0
    for index, body in enumerate(bodies):
        x += 0.2 * body.side(0) if index else 0.0
        poses.append(Pose(x - body.low[0]))
        x += body.side(0)
    return [Pose(pose.x - x / 2) for pose in poses]


def _box(body: Body, pose: Pose, axis: int) -> tuple[float, float]:
    """Extent in the scene along x (0) or z (2); a turned body counts with its whole radius."""
    centre = pose.x if axis == 0 else pose.z
    if pose.yaw % 360:
        radius = pose.scale * max(
            math.hypot(x, z) for x in (body.low[0], body.high[0]) for z in (body.low[2], body.high[2])
        )
        return centre - radius, centre + radius
    return centre + pose.scale * body.low[axis], centre + pose.scale * body.high[axis]


def _floor_box(members: list[int], groups: list[list[Body]], layout: Layout, axis: int) -> tuple[float, float]:
    boxes = [
        _box(body, pose, axis)
        for member in members
        for body, pose in zip(groups[member], layout.poses[member], strict=False)
    ]
    return min(low for low, _ in boxes), max(high for _, high in boxes)


def _put_beside(child: int, parent: int, kind: str, floor: list[int], groups: list[list[Body]], layout: Layout) -> None:
    bodies, poses = groups[child], _row(groups[child])
    layout.poses[child] = poses
    axis = 2 if kind in ("behind", "in front of") else 0
    low, high = _floor_box(floor, groups, layout, axis)
    own_low, own_high = _floor_box([child], groups, layout, axis)
    gap = 0.2 * min(bodies[0].side(axis), groups[parent][0].side(axis) * layout.poses[parent][0].scale)
    shift = low - gap - own_high if kind in ("left of", "behind") else high + gap - own_low
    centre = layout.poses[parent][0]
    level = centre.y if any(pose.y for pose in layout.poses[parent]) else 0.0
    along = (shift, centre.z) if axis == 0 else (sum(_floor_box([parent], groups, layout, 0)) / 2, shift)
    layout.poses[child] = [Pose(pose.x + along[0], level, pose.z + along[1], pose.yaw, pose.scale) for pose in poses]


def _put_on(child: int, parent: int, slot: int, slots: int, groups: list[list[Body]], layout: Layout) -> None:
    """On the tops of the parents in turn, each top shared by `slots` groups side by side."""
    bodies, parents, poses = groups[child], groups[parent], layout.poses[parent]
    placed: list[Pose] = []
    for index, body in enumerate(bodies):
        which = index % len(parents)
        base, pose = parents[which], poses[which]
        top = base.top or _flat_top(base)
        mates = [b for i, b in enumerate(bodies) if i % len(parents) == which]
        room_x, room_z = 2 * top.half_x * pose.scale / slots, 2 * top.half_z * pose.scale
        wide, deep = sum(b.side(0) for b in mates) * 1.15, max(b.side(2) for b in mates)
        scale = _fitted(f"{body.name} to stand on the {base.name}", layout, room_x / wide, room_z / deep)
        place = index // len(parents)
        step = room_x / len(mates)
        x = top.x * pose.scale + (slot - (slots - 1) / 2) * room_x + (place - (len(mates) - 1) / 2) * step
        middle_x, middle_z = (body.low[0] + body.high[0]) / 2 * scale, (body.low[2] + body.high[2]) / 2 * scale
        angle, z = math.radians(pose.yaw), top.z * pose.scale
        x, z = x * math.cos(angle) + z * math.sin(angle), -x * math.sin(angle) + z * math.cos(angle)
        placed.append(Pose(pose.x + x - middle_x, pose.y + top.y * pose.scale, pose.z + z - middle_z, 0.0, scale))
    layout.poses[child] = placed


def _flat_top(body: Body) -> SupportArea:
    x, z = (body.low[0] + body.high[0]) / 2, (body.low[2] + body.high[2]) / 2
    return SupportArea(body.high[1], body.side(0) * 0.4, body.side(2) * 0.4, x, z)


def _put_in(child: int, parent: int, groups: list[list[Body]], layout: Layout) -> None:
    parents = groups[parent]
    if parents[0].hollow is None:
        layout.notes.append(f"a {parents[0].name} is not hollow: {groups[child][0].name} stands on it")
        _put_on(child, parent, 0, 1, groups, layout)
        return
    placed = []
    for index, body in enumerate(groups[child]):
        which = index % len(parents)
        base, pose = parents[which], layout.poses[parent][which]
        hollow = base.hollow or _flat_top(base)
        mates = len(range(which, len(groups[child]), len(parents)))
        room = hollow.half_x * pose.scale
        ring = 0.0 if mates == 1 else room * 0.5
        girth = body.girth or max(body.side(0), body.side(2)) / 2
        scale = _fitted(f"{body.name} to fit into the {base.name}", layout, (room - ring) * 0.95 / girth)
        turn = 2 * math.pi * (index // len(parents)) / mates
        x, z = ring * math.sin(turn), ring * math.cos(turn)
        y = pose.y + hollow.y * pose.scale
        placed.append(Pose(pose.x + hollow.x * pose.scale + x, y, pose.z + hollow.z * pose.scale + z, 0.0, scale))
    layout.poses[child] = placed


def _put_under(child: int, parent: int, groups: list[list[Body]], layout: Layout) -> None:
    bodies, base, pose = groups[child], groups[parent][0], layout.poses[parent][0]
    row = _row(bodies)
    wide = sum(body.side(0) for body in bodies) * (1.2 if len(bodies) > 1 else 1)
    tall, deep = max(b.side(1) for b in bodies), max(b.side(2) for b in bodies)
    room = (base.side(0) * 0.75 / wide, base.clearance * 0.97 / tall, base.side(2) * 0.95 / deep)
    what = f"{bodies[0].name} to fit under the {base.name}"
    scale = _fitted(what, layout, *(each * pose.scale for each in room))
    layout.poses[child] = [Pose(pose.x + p.x * scale, pose.y, pose.z, 0.0, scale) for p in row]


def _put_around(child: int, parent: int, groups: list[list[Body]], layout: Layout) -> None:
    """In a ring, each facing the middle."""
    bodies = groups[child]
    x_low, x_high = _floor_box([parent], groups, layout, 0)
    z_low, z_high = _floor_box([parent], groups, layout, 2)
    depth, width = bodies[0].side(2), max(body.side(0) for body in bodies)
    gap = 0.25 * depth
    radius_x, radius_z = (x_high - x_low) / 2 + depth / 2 + gap, (z_high - z_low) / 2 + depth / 2 + gap
    # A ring too small for all of them grows.
    needed = len(bodies) * width * 1.2 / (2 * math.pi)
    grow = max(1.0, needed / min(radius_x, radius_z)) if len(bodies) > 2 else 1.0
    centre_x, centre_z = (x_low + x_high) / 2, (z_low + z_high) / 2
    placed = []
    for index in range(len(bodies)):
        turn = 2 * math.pi * index / len(bodies)
        x, z = radius_x * grow * math.sin(turn), radius_z * grow * math.cos(turn)
        yaw = math.degrees(math.atan2(-x / radius_x, -z / radius_z))
        placed.append(Pose(centre_x + x, 0.0, centre_z + z, yaw))
    layout.poses[child] = placed


def _fitted(what: str, layout: Layout, *ratios: float) -> float:
    """The factor that makes a thing fit, given the room there is for each of its sides; it is noted."""
    scale = max(min(1.0, *ratios), _SMALLEST)
    note = f"scaled {what}: factor {scale:.3g}"
    if scale < 0.999 and note not in layout.notes:
        layout.notes.append(note)
    return scale
