"""Estimates where the subject is from the borders of the image: robust background detection.

After Zhu, Liang, Wei and Sun, "Saliency Optimization from Robust Background Detection", CVPR 2014: a region belongs to
the background if much of its (soft) outline lies on the image's border; a region is salient if it differs from the
background. A weak wish for the middle of the frame is added, since a photographer points at the subject.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import spsolve

from ...mesh.triangles import FloatArray
from .superpixels import Superpixels

#: Lab distance at which two regions count as different surfaces (the paper: 7 to 15 are all good).
_SIGMA_COLOUR = 10.0
#: Reach of the contrast, in image diagonals (the paper's 0.25, widened).
_SIGMA_SPACE = 0.4
_SIGMA_CONNECTIVITY = 1.0
#: Spread of the wish for the middle, in image diagonals.
_SIGMA_CENTRE = 0.33


def saliency(regions: Superpixels, shape: tuple[int, int]) -> FloatArray:
    """How likely each region is to belong to the subject, (total,) in 0..1."""
    background = _background_probability(regions)
    colour = np.linalg.norm(regions.colours[:, None] - regions.colours[None], axis=-1)
    space = np.linalg.norm(regions.centres[:, None] - regions.centres[None], axis=-1)
    near = np.exp(-(space**2) / (2 * _SIGMA_SPACE**2))
    contrast = (colour * near * background[None]).sum(axis=1)
    diagonal = float(np.hypot(*shape))
    middle = np.array(shape) / 2 / diagonal
    centred = np.exp(-((regions.centres - middle) ** 2).sum(axis=1) / (2 * _SIGMA_CENTRE**2))
    foreground = _stretch(contrast) * centred
    return _stretch(_smooth(regions, colour, foreground, background))


def _background_probability(regions: Superpixels) -> FloatArray:
    first, second = regions.edges.T
    step = np.linalg.norm(regions.colours[first] - regions.colours[second], axis=1)
    # Small steps are shading within a surface: they are free, or they would add up over the whole frame.
    step = np.maximum(step - _own_step(step, regions), 0) + 1e-6
    on_border = np.flatnonzero(regions.border > 0)
    # All border regions count as neighbours of each other, as in the paper: the subject may cut the frame's background.
    ring = np.stack(np.meshgrid(on_border, on_border, indexing="ij"), axis=-1).reshape(-1, 2)
    ring = ring[ring[:, 0] < ring[:, 1]]
    across = np.linalg.norm(regions.colours[ring[:, 0]] - regions.colours[ring[:, 1]], axis=1) + 1e-6
    rows = np.concatenate([first, ring[:, 0]])
    columns = np.concatenate([second, ring[:, 1]])
    graph = coo_array((np.concatenate([step, across]), (rows, columns)), shape=(regions.total,) * 2).tocsr()
    geodesic = dijkstra(graph, directed=False)
    alike = np.exp(-(geodesic**2) / (2 * _SIGMA_COLOUR**2))
    area = alike.sum(axis=1)
    outline = alike[:, on_border].sum(axis=1)
    connectivity = outline / np.sqrt(area)
    probability: FloatArray = 1 - np.exp(-(connectivity**2) / (2 * _SIGMA_CONNECTIVITY**2))
    return probability


def _own_step(step: FloatArray, regions: Superpixels) -> float:
    """Mean colour difference of regions to their most similar neighbours: how much colour varies within a surface."""
    least = np.full(regions.total, np.inf)
    np.minimum.at(least, regions.edges[:, 0], step)
    np.minimum.at(least, regions.edges[:, 1], step)
    return float(least[np.isfinite(least)].mean()) if np.isfinite(least).any() else 0.0


def _smooth(regions: Superpixels, colour: FloatArray, foreground: FloatArray, background: FloatArray) -> FloatArray:
    """Solve the least squares of the paper's section 5: 1 where salient, 0 in the background, smooth in between."""
    first, second = regions.edges.T
    weight = np.exp(-(colour[first, second] ** 2) / (2 * _SIGMA_COLOUR**2)) + 0.1
    n = regions.total
    pairs = coo_array((weight, (first, second)), shape=(n, n))
    pairs = pairs + pairs.T
    laplacian = diags_array(np.asarray(pairs.sum(axis=1)).ravel()) - pairs
    system = (laplacian + diags_array(foreground + background)).tocsc()
    solved: FloatArray = np.asarray(spsolve(system, foreground))
    return solved


def _stretch(values: FloatArray) -> FloatArray:
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high - low > 1e-12 else np.zeros_like(values)
