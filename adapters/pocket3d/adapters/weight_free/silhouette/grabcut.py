"""Foreground against background by iterated colour models and graph cuts.

After Rother, Kolmogorov and Blake, "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts", SIGGRAPH
2004: a Gaussian mixture for each side, a cut of least energy on the 8-neighbour pixel grid, repeated until the cut
stands. In place of the user's rectangle it takes a probability map, which also stays in the energy as a weak prior.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from scipy.special import logsumexp, softmax

from ...mesh.triangles import BoolArray, FloatArray

COMPONENTS = 5
#: Weight of a boundary between pixels of the same colour (the paper's gamma).
GAMMA = 50.0
#: Weight of the prior's log odds against the colour models'.
_PRIOR_WEIGHT = 0.7
#: No single pixel counts for more than this many nats: a rare colour must not outvote its surroundings.
_UNARY_LIMIT = 10.0
#: Pixels that a mixture is fitted to, at most.
_SAMPLES = 4000
#: Maximum flow takes whole capacities.
_CAPACITY_SCALE = 100.0
#: What no boundary outweighs.
_CERTAIN = 1000.0
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Mixture:
    """A Gaussian mixture with full covariances, fitted by expectation maximisation from k-means++ seeds."""

    def __init__(self, samples: FloatArray, rng: np.random.Generator, components: int = COMPONENTS) -> None:
        if len(samples) > _SAMPLES:
            samples = samples[rng.choice(len(samples), _SAMPLES, replace=False)]
        components = max(1, min(components, len(samples) // 8))
        centres = _seeds(samples, components, rng)
        nearest = ((samples[:, None] - centres[None]) ** 2).sum(-1).argmin(axis=1)
        share = np.eye(components)[nearest]
        for _ in range(8):
            self._fit(samples, share)
            share = softmax(self._log_joint(samples), axis=1)

    def _fit(self, samples: FloatArray, share: FloatArray) -> None:
        total = share.sum(axis=0) + 1e-9
        self._log_weights = np.log(total / total.sum())
        self._means = share.T @ samples / total[:, None]
        apart = samples[:, None] - self._means[None]
        covariances = np.einsum("nk,nki,nkj->kij", share, apart, apart) / total[:, None, None]
        # Half a Lab unit of floor: a flat wall must not become a spike that owns no other pixel.
        covariances += np.eye(samples.shape[1]) * 2.0
        self._precisions = np.linalg.inv(covariances)
        self._log_norms = -0.5 * np.linalg.slogdet(covariances * 2 * np.pi)[1]

    def _log_joint(self, samples: FloatArray) -> FloatArray:
        columns = []
        for mean, precision, norm, weight in zip(
            self._means, self._precisions, self._log_norms, self._log_weights, strict=True
        ):
            apart = samples - mean
            columns.append(weight + norm - 0.5 * ((apart @ precision) * apart).sum(axis=1))
        return np.stack(columns, axis=1)

    def log_likelihood(self, samples: FloatArray) -> FloatArray:
        """(N,) log density of (N, C) samples."""
        total: FloatArray = logsumexp(self._log_joint(samples), axis=1)
        return total


def _seeds(samples: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    chosen = [samples[rng.integers(len(samples))]]
    for _ in range(count - 1):
        distance = np.min([((samples - c) ** 2).sum(axis=1) for c in chosen], axis=0)
        total = distance.sum()
        weights = distance / total if total > 0 else None
        chosen.append(samples[rng.choice(len(samples), p=weights)])
    return np.array(chosen)


def grabcut(
    features: FloatArray,
    prior: FloatArray,
    *,
    start: BoolArray | None = None,
    gamma: float = GAMMA,
    seed: int = 0,
    iterations: int = 8,
    between: Callable[[int], None] = lambda _iteration: None,
) -> BoolArray:
    """Foreground mask of an image.

    Args:
        features: (H, W, C) pixel colours, in units in which distances look even (CIE Lab).
        prior: (H, W) probability of foreground before colours are modelled; exactly 0 is background for good, as
            outside the paper's rectangle.
        start: (H, W) first guess; by default the prior above its Otsu threshold.
        gamma: weight of a boundary between like pixels; per pixel of length, so halve it at half the resolution.
        seed: of the mixtures' first centres.
        iterations: at most so many rounds of fit and cut.
        between: called before each round with its number.

    Returns:
        (H, W) boolean. All False or all True if the colours do not part.
    """
    rng = np.random.default_rng(seed)
    height, width, channels = features.shape
    flat = features.reshape(-1, channels)
    chance = np.clip(prior.reshape(-1), 0.02, 0.98)
    log_odds = np.log(chance / (1 - chance))
    mask = prior > threshold(prior) if start is None else start
    grid = _grid_edges(features, gamma)
    for iteration in range(iterations):
        between(iteration)
        inside = mask.reshape(-1)
        if inside.sum() < 16 or (~inside).sum() < 16:
            break
        foreground, background = Mixture(flat[inside], rng), Mixture(flat[~inside], rng)
        gain = foreground.log_likelihood(flat) - background.log_likelihood(flat)
        unary = np.clip(gain + _PRIOR_WEIGHT * log_odds, -_UNARY_LIMIT, _UNARY_LIMIT)
        unary[prior.reshape(-1) == 0] = -_CERTAIN
        cut = _cut(unary, grid).reshape(height, width)
        changed = np.mean(cut != mask)
        mask = cut
        if changed < 0.001:
            break
    return mask


def threshold(values: FloatArray) -> float:
    """Otsu's threshold (1979): the value that splits the histogram into two classes of least variance within."""
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    between[~np.isfinite(between)] = -1
    return float(edges[int(between.argmax()) + 1])


def _grid_edges(features: FloatArray, gamma: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any], FloatArray]:
    """Each pair of neighbouring pixels once, with the cost of a cut between them."""
    height, width, _ = features.shape
    index = np.arange(height * width).reshape(height, width)
    first, second, squared, length = [], [], [], []
    for down, right in _NEIGHBOURS:
        a = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        b = np.s_[down:, max(0, right) : width + min(0, right)]
        first.append(index[a].ravel())
        second.append(index[b].ravel())
        squared.append(((features[a] - features[b]) ** 2).sum(axis=-1).ravel())
        length.append(np.full(first[-1].size, np.hypot(down, right)))
    difference = np.concatenate(squared)
    beta = 1 / (2 * max(float(difference.mean()), 1e-9))
    cost = gamma * np.exp(-beta * difference) / np.concatenate(length)
    return np.concatenate(first), np.concatenate(second), cost


def _cut(unary: FloatArray, grid: tuple[npt.NDArray[Any], npt.NDArray[Any], FloatArray]) -> BoolArray:
    """The labelling of least energy: `unary` > 0 wants foreground."""
    first, second, cost = grid
    n = len(unary)
    source, sink = n, n + 1
    pixels = np.arange(n)
    to_source, to_sink = unary > 0, unary < 0
    rows = np.concatenate([first, second, np.full(int(to_source.sum()), source), pixels[to_sink]])
    columns = np.concatenate([second, first, pixels[to_source], np.full(int(to_sink.sum()), sink)])
    weights = np.concatenate([cost, cost, unary[to_source], -unary[to_sink]])
    capacities = np.rint(weights * _CAPACITY_SCALE).astype(np.int32)
    kept = capacities > 0
    graph = csr_array((capacities[kept], (rows[kept], columns[kept])), shape=(n + 2, n + 2))
    flow = maximum_flow(graph, source, sink, method="dinic").flow
    residual = graph - flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    # The foreground side of the minimum cut is what the source still reaches.
    reached = breadth_first_order(residual, source, return_predecessors=False)
    mask = np.zeros(n + 2, dtype=bool)
    mask[reached] = True
    return mask[:n]
