"""Estimates where the subject is from the borders of the image: robust background detection on superpixels.

Superpixels are by SLIC (Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", PAMI 2012).

After Zhu, Liang, Wei and Sun, "Saliency Optimization from Robust Background Detection", CVPR 2014: a region belongs to
the background if much of its (soft) outline lies on the image's border; a region is salient if it differs from the
background. A weak wish for the middle of the frame is added, since a photographer points at the subject.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array, diags_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import spsolve

from ...mesh.srgb import from_srgb
from ...mesh.triangles import FloatArray, IntArray

_ITERATIONS = 6


class Superpixels(NamedTuple):
    """A partition of an image into `total` connected regions of like colour."""

    #: (H, W), values 0 .. total-1.
    labels: IntArray
    #: (total, 3) mean CIE Lab colour.
    colours: FloatArray
    #: (total, 2) centre (row, column), in units of the image's diagonal.
    centres: FloatArray
    #: (total,) pixels.
    sizes: FloatArray
    #: (total,) pixels that lie on the image's border.
    border: FloatArray
    #: (E, 2) pairs that touch, each once, first < second.
    edges: IntArray

    @property
    def total(self) -> int:
        """Number of superpixels."""
        return len(self.sizes)


def srgb_to_lab(rgb: FloatArray) -> FloatArray:
    """(..., 3) sRGB in 0..1 to CIE Lab under D65: L in 0..100."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = from_srgb(rgb) @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    lab: FloatArray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def slic(lab: FloatArray, wanted: int = 300, compactness: float = 18.0) -> Superpixels:
    """Partition an (H, W, 3) Lab image into about `wanted` superpixels.

    `compactness` weighs distance in space against distance in colour (Lab units at one grid step).
    """
    height, width, _ = lab.shape
    step = max(2.0, float(np.sqrt(height * width / wanted)))
    rows = np.arange(step / 2, height, step)
    columns = np.arange(step / 2, width, step)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    yy, xx = np.mgrid[0:height, 0:width]
    centres = grid.copy()
    colours = lab[grid[:, 0].astype(int), grid[:, 1].astype(int)].copy()
    # Every pixel is compared with the nine cells around its own: their order in the grid never changes.
    cell_row = np.minimum((yy / step).astype(int), len(rows) - 1)
    cell_column = np.minimum((xx / step).astype(int), len(columns) - 1)
    labels = cell_row * len(columns) + cell_column
    for _ in range(_ITERATIONS):
        best = np.full((height, width), np.inf)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                row = np.clip(cell_row + down, 0, len(rows) - 1)
                column = np.clip(cell_column + right, 0, len(columns) - 1)
                candidate = row * len(columns) + column
                colour = ((lab - colours[candidate]) ** 2).sum(axis=-1)
                centre = centres[candidate]
                space = (yy - centre[..., 0]) ** 2 + (xx - centre[..., 1]) ** 2
                distance = colour + (compactness / step) ** 2 * space
                nearer = distance < best
                best[nearer] = distance[nearer]
                labels = np.where(nearer, candidate, labels)
        centres, colours, _ = _means(lab, labels, len(centres))
    return describe(lab, _connected(labels, minimum=step * step / 4))


def _connected(labels: IntArray, minimum: float) -> IntArray:
    """Give each connected piece its own number; pieces smaller than `minimum` pixels join their nearest neighbour."""
    height, width = labels.shape
    first, second = _neighbours(labels.shape)
    same = labels.flat[first] == labels.flat[second]
    links = (np.ones(int(same.sum()), dtype=np.int8), (first[same], second[same]))
    graph = coo_array(links, shape=(labels.size, labels.size))
    _, pieces = connected_components(graph, directed=False)
    small = np.bincount(pieces)[pieces] < minimum
    pieces = pieces.reshape(height, width)
    small = small.reshape(height, width)
    if small.any() and not small.all():
        nearest = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
        pieces = pieces[nearest[0], nearest[1]]
    _, compact = np.unique(pieces, return_inverse=True)
    return compact.reshape(height, width).astype(np.int64)


def _neighbours(shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """The numbers of each two pixels that lie beside or below each other."""
    index = np.arange(shape[0] * shape[1]).reshape(shape)
    return np.r_[index[:, :-1].ravel(), index[:-1].ravel()], np.r_[index[:, 1:].ravel(), index[1:].ravel()]


def _means(lab: FloatArray, labels: IntArray, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(count, 2) centre and (count, 3) colour of each region, and the number of its pixels, at least 1."""
    flat = labels.ravel()
    size = np.maximum(np.bincount(flat, minlength=count), 1).astype(float)
    channels = [*np.indices(labels.shape), *np.moveaxis(lab, -1, 0)]
    means = np.stack([np.bincount(flat, values.ravel(), count) / size for values in channels], axis=-1)
    return means[:, :2], means[:, 2:], size


def describe(lab: FloatArray, labels: IntArray) -> Superpixels:
    """Colours, centres and neighbours of a given partition."""
    height, width = labels.shape
    flat = labels.ravel()
    count = int(flat.max()) + 1
    centres, colours, size = _means(lab, labels, count)
    centres /= float(np.hypot(height, width))
    rim = np.zeros(labels.shape, dtype=bool)
    rim[[0, -1], :] = True
    rim[:, [0, -1]] = True
    border = np.bincount(labels[rim], minlength=count).astype(float)
    first, second = (flat[pixels] for pixels in _neighbours(labels.shape))
    pairs = np.stack([first, second], axis=-1)[first != second]
    edges = np.unique(np.sort(pairs, axis=-1), axis=0)
    return Superpixels(labels, colours, centres, size, border, edges)


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
