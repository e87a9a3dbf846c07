"""Patterns: colour, roughness and metallic of a surface at positions in the object's own space.

All are functions of place and of the face's direction, never of texture coordinates, so no seam shows where the atlas
is cut (solid texturing: Perlin 1985; Peachey, "Solid Texturing of Complex Surfaces", SIGGRAPH 1985). Places are in
units of the object's longest side. Patterns that are laid on flat (bricks, checks, dots, cloth) are projected along the
axis that the face looks to most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .noise import Noise
from .palettes import Palette


class SurfaceSample(NamedTuple):
    """The points of the surface at which a pattern is evaluated."""

    #: (N, 3), about -0.5..0.5, divided by the prompt's scale.
    points: Tensor
    #: (N, 3) unit length.
    normals: Tensor
    noise: Noise
    #: (K, 3) sRGB.
    colours: Tensor
    #: Size of a texel in the units of `points`: nothing finer can be shown.
    texel: float
    direction: str
    #: (N,) height in the object, 0 at its foot and 1 at its top.
    height: Tensor


class Shade(NamedTuple):
    """Colour, roughness and metallic at each point; None keeps the material's own value."""

    #: (N, 3) sRGB.
    colour: Tensor
    #: (N,) 0..1.
    roughness: Tensor | None = None
    metallic: Tensor | None = None


def paint(pattern: str, place: SurfaceSample) -> Shade:
    """Evaluate a pattern of `PATTERNS`."""
    return _PAINTERS[pattern](place)


def colour_tensor(palette: Palette, device: str) -> Tensor:
    """The palette as a tensor, (K, 3)."""
    return torch.tensor(palette, dtype=torch.float32, device=device)


# ---------------------------------------------------------------- building blocks


def _mix(low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    return low + (high - low) * share.clamp(0, 1)[:, None]


def _step(values: Tensor, edge: float, width: float) -> Tensor:
    """0 below the edge, 1 above, smooth over `width` (Hermite)."""
    share = ((values - edge) / max(width, 1e-6) + 0.5).clamp(0, 1)
    return share * share * (3 - 2 * share)


def _flat(place: SurfaceSample) -> tuple[Tensor, Tensor, Tensor]:
    """(u, v) on the side of a box that the face looks to, and its axis; v points up on the four vertical sides."""
    points, away = place.points, place.normals.abs()
    # A preference, so that faces at exactly 45 degrees do not flicker between two.
    axis = (away * torch.tensor([1.0, 1.001, 1.002], device=away.device)).argmax(dim=1)
    x, y, z = points.unbind(1)
    u = torch.where(axis == 0, z, x)
    v = torch.where(axis == 1, z, y)
    return u, v, axis


def _line(values: Tensor, half: float, soft: float) -> Tensor:
    """1 where the value is within `half` of a whole number, else 0."""
    return 1 - _step((values - torch.round(values)).abs(), half, soft)


def _stack(*values: Tensor) -> Tensor:
    return torch.stack(values, dim=1)


# ---------------------------------------------------------------- solids


def _plain(place: SurfaceSample) -> Shade:
    return Shade(place.colours[0].expand(len(place.points), 3))


def _grainy(place: SurfaceSample) -> Shade:
    coarse, fine = place.noise.fbm(place.points * 6, 4), place.noise.perlin(place.points * 90)
    return Shade(_mix(place.colours[0], place.colours[1], 0.35 + 0.5 * coarse + 0.35 * fine))


def _wood(place: SurfaceSample) -> Shade:
    """Rings about an axis, bent by noise, with fine pores along it (Perlin 1985)."""
    x, _, z = place.points.unbind(1)
    bend = place.noise.fbm(place.points * torch.tensor([2.0, 0.6, 2.0], device=x.device), 3)
    distance = ((x + 0.31) ** 2 + (z - 0.83) ** 2).sqrt() + 0.10 * bend
    ring = distance * 16
    phase = ring - torch.floor(ring)
    # Early wood passes slowly into late wood, which ends at once.
    late = phase**2.2 * (1 - _step(phase, 0.94, max(0.08, 32 * place.texel)))
    pores = place.noise.perlin(place.points * torch.tensor([140.0, 6.0, 140.0], device=x.device))
    colour = _mix(place.colours[0], place.colours[1], 0.85 * late + 0.12 * bend)
    colour = _mix(colour, place.colours[2], 0.45 * _step(pores, 0.32, 0.3))
    return Shade(colour, roughness=0.5 + 0.25 * late)


def _planks(place: SurfaceSample) -> Shade:
    """Boards with a grain each, laid on the faces."""
    u, v, axis = _flat(place)
    row = torch.floor(v * 8 + 0.013)
    shift = place.noise.cell_value(_stack(row, row * 0 + 3, axis.float()))
    along = u * 1.6 + shift * 7
    board = _stack(torch.floor(along), row, axis.float() + 10)
    tone = place.noise.cell_value(board)
    grain = place.noise.fbm(_stack(u * 5 + tone * 40, v * 60, tone * 90), 3)
    colour = _mix(place.colours[0], place.colours[1], 0.15 + 0.5 * tone + 0.45 * grain)
    gap = torch.maximum(_line(v * 8 + 0.013, 0.03, 8 * place.texel), _line(along, 0.008, 2 * place.texel))
    return Shade(_mix(colour, place.colours[2], gap), roughness=0.55 + 0.3 * gap)


def _marble(place: SurfaceSample) -> Shade:
    """Veins: a sine along the stone, disturbed by turbulence (Perlin 1985)."""
    x, y, z = place.points.unbind(1)
    disturbed = place.noise.turbulence(place.points * 2.6, 5)
    along = (x + 0.6 * y + 0.35 * z) * 3.2 + 3.4 * disturbed
    vein = 1 - torch.sin(math.pi * along).abs()
    wide, fine = vein**3, vein**12
    cloud = 0.5 + 0.5 * place.noise.fbm(place.points * 3 + 50, 3)
    colour = _mix(place.colours[0], place.colours[1], 0.18 * cloud + 0.5 * wide)
    return Shade(_mix(colour, place.colours[2], 0.7 * fine), roughness=0.18 + 0.15 * wide)


def _granite(place: SurfaceSample) -> Shade:
    nearest, _, tone = place.noise.worley(place.points * 42)
    colour = _mix(place.colours[0], place.colours[1], _step(tone, 0.62, 0.1))
    colour = _mix(colour, place.colours[2], _step(tone, 0.86, 0.06) * _step(0.5 - nearest, 0.1, 0.2))
    speck = place.noise.perlin(place.points * 120)
    return Shade(_mix(colour, place.colours[1], 0.3 * _step(speck, 0.3, 0.2)))


def _stone(place: SurfaceSample) -> Shade:
    rough = place.noise.fbm(place.points * 4, 5)
    crack = place.noise.turbulence(place.points * 3 + 9, 4)
    colour = _mix(place.colours[0], place.colours[2], 0.5 + 0.8 * rough)
    return Shade(_mix(colour, place.colours[1], 0.8 * (1 - _step(crack, 0.12, 0.2)) + 0.3 * _step(rough, 0.25, 0.4)))


def _cobble(place: SurfaceSample) -> Shade:
    """Stones between joints: where the two nearest feature points are equally far (Worley 1996)."""
    bent = place.points + 0.012 * place.noise.perlin(place.points * 12)[:, None]
    nearest, second, tone = place.noise.worley(bent * 7.5)
    joint = 1 - _step(second - nearest, 0.13, max(0.14, 15 * place.texel))
    grain = place.noise.fbm(place.points * 30, 3)
    colour = _mix(place.colours[0], place.colours[1], 0.15 + 0.75 * tone + 0.4 * grain)
    colour = colour * (1 - 0.25 * (nearest / 0.8).clamp(0, 1) ** 2)[:, None]
    return Shade(_mix(colour, place.colours[2], joint), roughness=0.75 + 0.2 * joint)


def _leather(place: SurfaceSample) -> Shade:
    nearest, second, tone = place.noise.worley(place.points * 46)
    crease = 1 - _step(second - nearest, 0.12, 0.22)
    worn = place.noise.fbm(place.points * 3, 3)
    colour = _mix(place.colours[0], place.colours[1], 0.75 * crease + 0.15 * tone - 0.25 * worn)
    return Shade(colour, roughness=0.45 + 0.3 * crease)


def _camouflage(place: SurfaceSample) -> Shade:
    colour = place.colours[0].expand(len(place.points), 3)
    for index in range(1, len(place.colours)):
        patch = place.noise.fbm(place.points * (3.2 + 0.5 * index) + 31.7 * index, 3)
        colour = _mix(colour, place.colours[index], _step(patch, 0.10 + 0.06 * index, max(0.03, 8 * place.texel)))
    return Shade(colour)


def _spots(place: SurfaceSample) -> Shade:
    """Rosettes: rings about feature points."""
    bent = place.points + 0.02 * place.noise.perlin(place.points * 14)[:, None]
    nearest, _, tone = place.noise.worley(bent * 9)
    size = 0.30 + 0.12 * tone
    inside = 1 - _step(nearest - size, 0.0, 0.06)
    heart = 1 - _step(nearest - 0.5 * size, 0.0, 0.06)
    colour = _mix(place.colours[0], place.colours[min(2, len(place.colours) - 1)], inside)
    return Shade(_mix(colour, place.colours[1], heart))


def _clouds(place: SurfaceSample) -> Shade:
    bank = place.noise.fbm(place.points * 3.2, 5)
    return Shade(_mix(place.colours[0], place.colours[1], 0.5 + 1.1 * bank))


def _grass(place: SurfaceSample) -> Shade:
    blades = place.noise.fbm(place.points * torch.tensor([70.0, 24.0, 70.0], device=place.points.device), 3)
    meadow = place.noise.fbm(place.points * 4 + 5, 3)
    colour = _mix(place.colours[0], place.colours[1], 0.5 + blades)
    return Shade(_mix(colour, place.colours[2], 0.25 + 0.6 * meadow - 0.4 * blades))


def _lava(place: SurfaceSample) -> Shade:
    bent = place.points + 0.05 * place.noise.fbm(place.points * 4, 3)[:, None]
    nearest, second, _ = place.noise.worley(bent * 5)
    heat = 1 - _step(second - nearest, 0.09, 0.2)
    crust = place.noise.fbm(place.points * 18, 4)
    colour = place.colours[0] * (1 + 0.5 * crust)[:, None]
    colour = _mix(colour, place.colours[1], 1.3 * heat)
    return Shade(_mix(colour, place.colours[2], heat**3 * 0.8), roughness=0.9 - 0.3 * heat)


def _metal(place: SurfaceSample) -> Shade:
    """Brushed: noise drawn out along one direction."""
    u, v, axis = _flat(place)
    stroke = place.noise.fbm(_stack(u * 4, v * 260, axis * 7.0), 3)
    cloud = place.noise.fbm(place.points * 2.5, 3)
    share = 0.3 + 0.3 * stroke + 0.25 * cloud
    return Shade(_mix(place.colours[0], place.colours[1], share), roughness=None)


def _rust(place: SurfaceSample) -> Shade:
    spread = place.noise.fbm(place.points * 2.6, 5) + 0.25 * place.noise.perlin(place.points * 34)
    rusty = _step(spread, 0.0, 0.22)
    deep = _step(place.noise.fbm(place.points * 9 + 3, 4), 0.1, 0.5)
    bare = _mix(place.colours[0], place.colours[0] * 0.8, 0.5 + 0.5 * place.noise.perlin(place.points * 60))
    eaten = _mix(place.colours[1], place.colours[2], deep)
    return Shade(_mix(bare, eaten, rusty), roughness=0.38 + 0.54 * rusty, metallic=1 - rusty)


# ---------------------------------------------------------------- laid on the faces


def _brick(place: SurfaceSample) -> Shade:
    """Running bond: every other course shifted by half a brick; joints a tenth of a course."""
    u, v, axis = _flat(place)
    course = v * 13 + 0.017
    row = torch.floor(course)
    along = u * 4.6 + 0.5 * (row % 2) + 0.013
    brick = _stack(torch.floor(along), row, axis.float())
    tone = place.noise.cell_value(brick)
    grain = place.noise.fbm(place.points * 34, 3)
    soft = max(0.05, 20 * place.texel)
    joint = torch.maximum(_line(course, 0.055, soft), _line(along, 0.02, soft * 0.36))
    colour = _mix(place.colours[0], place.colours[1], 0.05 + 0.75 * tone + 0.5 * grain)
    mortar = place.colours[2] * (1 + 0.18 * grain)[:, None]
    return Shade(_mix(colour, mortar.clamp(0, 1), joint), roughness=0.85 + 0.1 * joint)


def _tiles(place: SurfaceSample) -> Shade:
    u, v, axis = _flat(place)
    u, v = u * 8 + 0.513, v * 8 + 0.517
    tone = place.noise.cell_value(_stack(torch.floor(u), torch.floor(v), axis.float()))
    soft = max(0.03, 12 * place.texel)
    joint = torch.maximum(_line(u, 0.025, soft), _line(v, 0.025, soft))
    tile = _mix(place.colours[0], place.colours[1], tone)
    return Shade(_mix(tile, place.colours[2], joint), roughness=0.15 + 0.7 * joint)


def _checker(place: SurfaceSample) -> Shade:
    u, v, _ = _flat(place)
    soft = max(0.02, 12 * place.texel)
    wave = torch.sin(math.pi * (u * 8 + 0.013)) * torch.sin(math.pi * (v * 8 + 0.017))
    return Shade(_mix(place.colours[0], place.colours[1], _step(wave, 0.0, soft)))


def _stripes(place: SurfaceSample) -> Shade:
    """Bands of all colours in turn; level unless the prompt says otherwise."""
    u, v, _ = _flat(place)
    along = {"vertical": u, "diagonal": (u + v) / math.sqrt(2)}.get(place.direction, place.points[:, 1])
    return Shade(_bands(place, along * 6 + 0.013))


def _bands(place: SurfaceSample, along: Tensor) -> Tensor:
    count = len(place.colours)
    phase = (along - torch.floor(along)) * count
    colour = place.colours[0].expand(len(along), 3)
    soft = max(0.02, 8 * count * place.texel)
    for index in range(1, count):
        colour = _mix(colour, place.colours[index], _step(phase, float(index), soft))
    # Back to the first colour at the end of the period.
    return _mix(colour, place.colours[0], _step(phase, float(count), soft))


def _dots(place: SurfaceSample) -> Shade:
    """A staggered grid; more than two colours take turns."""
    u, v, axis = _flat(place)
    row = torch.floor(v * 9 + 0.017)
    along = u * 9 + 0.5 * (row % 2)
    middle_u, middle_v = torch.floor(along) + 0.5, row + 0.5
    away = ((along - middle_u) ** 2 + (v * 9 + 0.017 - middle_v) ** 2).sqrt()
    choice = place.noise.cell_value(_stack(middle_u - 0.5, row, axis.float()))
    others = place.colours[1:]
    dot = others[(choice * len(others)).long().clamp(0, len(others) - 1)]
    return Shade(_mix(place.colours[0].expand_as(dot), dot, 1 - _step(away, 0.29, max(0.04, 12 * place.texel))))


def _plaid(place: SurfaceSample) -> Shade:
    """Broad and thin bands both ways, mixed as threads are: a tartan's sett, in the two directions of the face."""
    u, v, _ = _flat(place)
    ground, band, thread = place.colours[0], place.colours[1], place.colours[2]
    soft = max(0.04, 8 * place.texel)

    def sett(along: Tensor) -> Tensor:
        colour = _mix(ground.expand(len(along), 3), band, _line(along, 0.2, soft))
        colour = _mix(colour, ground, _line(along, 0.05, soft))
        return _mix(colour, thread, _line(along + 0.5, 0.035, soft))

    twill = 0.5 + 0.5 * torch.sin(2 * math.pi * (u + v) * 90) * (0.25 if place.texel < 0.003 else 0.0)
    return Shade(_mix(sett(u * 5 + 0.3), sett(v * 5 + 0.3), twill))


def _fabric(place: SurfaceSample) -> Shade:
    """Plain weave: threads over and under."""
    u, v, _ = _flat(place)
    threads = min(110.0, 0.25 / place.texel)
    a, b = torch.sin(math.pi * u * threads), torch.sin(math.pi * v * threads)
    over = torch.where((torch.floor(u * threads) + torch.floor(v * threads)) % 2 == 0, a.abs(), b.abs())
    fold = place.noise.fbm(place.points * 5, 3)
    return Shade(_mix(place.colours[1], place.colours[0], 0.25 + 0.65 * over + 0.25 * fold))


def _denim(place: SurfaceSample) -> Shade:
    """Twill: diagonal ribs, with worn patches."""
    u, v, _ = _flat(place)
    ribs = min(90.0, 0.2 / place.texel)
    rib = 0.5 + 0.5 * torch.sin(2 * math.pi * (u + v) * ribs)
    fleck = place.noise.perlin(place.points * 160)
    worn = place.noise.fbm(place.points * 2.2, 4)
    colour = _mix(place.colours[1], place.colours[0], 0.25 + 0.6 * rib + 0.3 * fleck)
    return Shade(_mix(colour, place.colours[2], 0.55 * _step(worn, 0.28, 0.5)))


def _gradient(place: SurfaceSample) -> Shade:
    """From foot to top through all colours; `horizontal` from side to side."""
    share = place.points[:, 0] + 0.5 if place.direction == "horizontal" else place.height
    if place.direction == "diagonal":
        share = (place.height + place.points[:, 0] + 0.5) / 2
    steps = share.clamp(0, 1) * (len(place.colours) - 1)
    index = torch.floor(steps).long().clamp(0, len(place.colours) - 2)
    return Shade(place.colours[index] + (place.colours[index + 1] - place.colours[index]) * (steps - index)[:, None])


#: By name: `_wood` paints "wood".
_PAINTERS: dict[str, Callable[[SurfaceSample], Shade]] = {
    painter.__name__.removeprefix("_"): painter
    for painter in (
        _plain, _grainy, _wood, _planks, _marble, _granite, _stone, _cobble, _brick, _tiles, _metal, _rust, _fabric,
        _denim, _plaid, _leather, _checker, _stripes, _dots, _spots, _camouflage, _gradient, _clouds, _grass, _lava,
    )
}  # fmt: skip
_PAINTERS["rainbow"] = _gradient
