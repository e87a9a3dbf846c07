"""Computes heights over a flat mask: Poisson's equation on the mask, then a circular profile.

-laplace f = c inside, f = 0 on the outline; the height is sqrt(f). So Sykora et al., "Ink-and-Ray: Bas-Relief Meshes
for Adding Global Illumination Effects to Hand-Drawn Characters", ACM ToG 2014, section on inflation. With c = 4 a disc
becomes exactly half a ball: f = R^2 - r^2. Wide places rise high, narrow ones low, and the ridge runs along the medial
axis.

The outline passes between pixels; the five-point stencil meets it where it is (Gibou, Fedkiw, Cheng and Kang, "A
Second-Order-Accurate Symmetric Discretization of the Poisson Equation on Irregular Domains", JCP 2002), so that the rim
is smooth and the matrix stays symmetric, which conjugate gradients need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

#: c of the equation, see above.
SOURCE = 4.0
#: An outline nearer to a pixel than this (in pixels) is moved off it: 1/distance enters the matrix.
NEAREST = 0.05
_TOLERANCE = 1e-6
_CHECK_EVERY = 20


class Inflation(NamedTuple):
    """Heights over a grid."""

    #: (H, W) in pixels, 0 outside.
    height: npt.NDArray[np.float64]
    iterations: int
    #: |residual| / |right-hand side|
    residual: float


def inflate(field: npt.NDArray[Any], device: str = "cpu", between: Callable[[], None] = lambda: None) -> Inflation:
    """Heights of the region where `field` > 0.5.

    `field`, (H, W), is a smooth mask in 0..1, at most 0.5 on the frame; the outline is its 0.5 level. `between` is
    called now and then while it computes.

    Raises:
        ValueError: the region touches the frame or is empty.
        RuntimeError: the solver did not converge.
    """
    inside = field > 0.5
    if not inside.any():
        raise ValueError("nothing is inside")
    if inside[[0, -1]].any() or inside[:, [0, -1]].any():
        raise ValueError("the region touches the frame; pad it")
    kind = torch.float64
    mask = torch.as_tensor(inside, device=device).to(kind)
    diagonal = torch.as_tensor(_diagonal(field, inside), device=device, dtype=kind)

    def apply(values: torch.Tensor) -> torch.Tensor:
        around = torch.zeros_like(values)
        around[1:] += values[:-1]
        around[:-1] += values[1:]
        around[:, 1:] += values[:, :-1]
        around[:, :-1] += values[:, 1:]
        return mask * (diagonal * values - around)

    right = SOURCE * mask
    solution = torch.zeros_like(right)
    rest = right.clone()
    scaled = rest / diagonal
    direction = scaled.clone()
    energy = (rest * scaled).sum()
    goal = float(right.norm()) * _TOLERANCE
    limit = 20 * sum(field.shape)
    for iteration in range(1, limit + 1):
        image = apply(direction)
        step = energy / (direction * image).sum()
        solution += step * direction
        rest -= step * image
        scaled = rest / diagonal
        before, energy = energy, (rest * scaled).sum()
        # Reading a number back waits for the device, so it is not done in each round.
        if iteration % _CHECK_EVERY == 0:
            between()
            if float(rest.norm()) <= goal:
                break
        direction = scaled + (energy / before) * direction
    else:
        raise RuntimeError(f"conjugate gradients did not converge in {limit} rounds")
    residual = float((right - apply(solution)).norm() / right.norm())
    height = solution.clamp(min=0).sqrt().cpu().numpy()
    return Inflation(height, iteration, residual)


def _diagonal(field: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Per pixel the sum over its four neighbours of 1 / distance: to the neighbour (1), or to the outline before it."""
    total = np.zeros(field.shape)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        neighbour = np.roll(field, shift, axis=axis)
        outside = ~np.roll(inside, shift, axis=axis)
        total += np.where(inside & outside, 1 / crossing(field, neighbour), 1.0)
    return total


def crossing(inner: npt.NDArray[Any], outer: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How far from `inner` (> 0.5) towards `outer` (<= 0.5) the level 0.5 lies, in `NEAREST` .. 1 - `NEAREST`."""
    span = inner - outer
    part = np.divide(inner - 0.5, span, out=np.full(np.shape(span), 0.5), where=span > 1e-12)
    clipped: npt.NDArray[np.float64] = np.clip(part, NEAREST, 1 - NEAREST)
    return clipped
