"""Segments a mesh: one label for each of its faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from ...mesh.repair import SOURCES as FUSE_SOURCES
from ...mesh.repair import NoSolid, fuse, refuse_loose
from ...mesh.triangles import FloatArray, IntArray, areas, body_labels, surface_samples
from .closed_surface import Surface, closed_surface
from .crease_parts import crease_parts, is_plain, split_further
from .face_graph import face_graph, shape_diameter
from .limb_parts import limb_parts
from .spectral import gap_count, k_way, merge, small_regions, spectrum, weakest_boundary

METHOD = (
    "concave creases of a closed mesh; of a smooth one in one piece the limbs of its curve skeleton; where they do not"
    " decide, spectral regions of the face graph, merged across"
    " boundaries that are neither concave nor a step in thickness"
)
SOURCES = (
    "Shapira, Shamir and Cohen-Or 2008 (shape diameter function)",
    "Hoffman and Richards 1984 (minima rule)",
    "Katz and Tal 2003 (minimum cuts)",
    "Liu and Zhang 2004 (spectral mesh segmentation)",
    "Ng, Jordan and Weiss 2001 (spectral clustering)",
    *FUSE_SOURCES,
)
#: Wanted faces of the working surface; it has three for each square of its grid.
_WORKING_FACES = 20_000
_RESOLUTION = (40, 112)
_EIGENVECTORS = 24
_REGIONS = 48
#: A boundary of this openness or less is taken for a real one, where the number of parts is not given.
_REAL_BOUNDARY = 0.3
#: Where parts that bend inwards too have this share of the area, it is a smooth figure, whose limbs are its parts.
_SMOOTH = 0.5
#: Least thickness of a mesh against its length: flatter ones bound no solid.
_FLAT = 1e-3

Step = Callable[[float, str], None]


class Segmentation(NamedTuple):
    """The result."""

    #: (F,) of 0..k-1, for the faces of the mesh as given; largest part first.
    labels: IntArray
    #: What was found, for `segmentation_info`.
    facts: dict[str, Any]


def segment(mesh: Any, num_parts: int | None, seed: int, step: Step) -> Segmentation:
    """Segment a `trimesh.Trimesh`.

    `num_parts` None lets the method choose; `step` is told the fraction done and the stage before each, and may raise.

    Raises:
        NoSolid: it bounds nothing that has parts; the message says why.
    """
    area = _check(mesh)
    step(0.05, "looking for creases")
    surface = closed_surface(mesh)
    shown = None if surface is None else crease_parts(surface)
    if surface is not None and shown is not None and num_parts in (None, int(shown.max()) + 1):
        open_parts = ~is_plain(surface, shown) if num_parts is None else np.zeros(int(shown.max()) + 1, dtype=bool)
        facts = _crease_facts(mesh, surface, num_parts)
        smooth = float(surface.areas[open_parts[shown]].sum() / surface.areas.sum())
        if smooth > _SMOOTH:
            step(0.1, "looking for limbs")
            limbs = limb_parts(mesh, lambda: step(0.3, "looking for limbs"))
            if limbs is not None:
                return Segmentation(_by_area(limbs, surface.areas), {**facts, "decided_by": "limbs"})
        if open_parts.any():
            finer, facts = _single_threaded(mesh, None, seed, step, area)
            if len(open_parts) > 1:
                shown = split_further(surface, shown, open_parts, finer)
                facts["decided_by"] = "creases, then " + facts["decided_by"]
            else:
                shown = finer
        return Segmentation(_by_area(shown, surface.areas), facts)
    return Segmentation(*_single_threaded(mesh, num_parts, seed, step, area))


def _single_threaded(
    mesh: Any, num_parts: int | None, seed: int, step: Step, area: float
) -> tuple[IntArray, dict[str, Any]]:
    # Of matrices so small threads make nothing faster; on a busy machine they wait for one another, for minutes.
    with threadpool_limits(1):
        return _by_thickness(mesh, num_parts, seed, step, area)


def _crease_facts(mesh: Any, surface: Surface, num_parts: int | None) -> dict[str, Any]:
    bodies = int(body_labels(len(surface.points), surface.faces).max()) + 1
    return {
        "method": METHOD,
        "sources": list(SOURCES),
        "chosen_by": "request" if num_parts is not None else "method",
        "decided_by": "creases",
        "most_open_boundary": 0.0,
        "working_surface": {
            "method": "the mesh as it is",
            "bodies_before": bodies,
            "open_bodies_before": 0,
            "bodies_after": bodies,
            "faces": len(mesh.faces),
            "watertight": True,
        },
        "notes": [],
    }


def _by_thickness(
    mesh: Any, num_parts: int | None, seed: int, step: Step, area: float
) -> tuple[IntArray, dict[str, Any]]:
    """Labels of the mesh's faces by the fused surface's thickness and creases, and what was found."""
    extent = float(np.ptp(mesh.vertices[np.unique(mesh.faces)], axis=0).max())
    resolution = int(np.clip(extent / (3 * area / _WORKING_FACES) ** 0.5, *_RESOLUTION))
    step(0.1, "fusing the bodies")
    solid, fused = fuse(mesh, resolution)
    vertices, faces = np.asarray(solid.vertices), np.asarray(solid.faces)
    step(0.3, "measuring the thickness")
    diameters = shape_diameter(vertices, faces)
    step(0.45, "weighing the face graph")
    graph = face_graph(vertices, faces, diameters, mesh, fused["cell_size"])
    step(0.5, "finding eigenvectors")
    spectral = spectrum(graph, max(_EIGENVECTORS, min(num_parts or 0, 40)))
    step(0.65, "clustering")
    regions = small_regions(graph, spectral, max(_REGIONS, 2 * (num_parts or 0)), seed)
    step(0.75, "merging regions")
    hierarchy = merge(graph, regions, diameters)
    wanted = num_parts if num_parts is not None else hierarchy.count_above(_REAL_BOUNDARY)
    working = hierarchy.labels(regions, wanted)
    chosen = "merging"
    # Where parts meet in a point a small region may lie across the crease; the k-way cut then does better.
    count = num_parts if num_parts is not None else gap_count(spectral)
    if 1 < count < spectral.vectors.shape[1]:
        step(0.8, "comparing with a k-way cut")
        other = k_way(graph, spectral, count, seed)
        worst, mean = weakest_boundary(graph, other)
        if num_parts is not None:
            better = mean < weakest_boundary(graph, working)[1]
        else:
            better = worst < _REAL_BOUNDARY and count > wanted
        if better:
            working, chosen = np.unique(other, return_inverse=True)[1], "k-way cut"
    step(0.85, "taking the labels back to the mesh")
    openness = weakest_boundary(graph, working)[0]
    labels = transfer(mesh, graph.centres, working, fused["cell_size"])
    facts = {
        "method": METHOD,
        "sources": list(SOURCES),
        "chosen_by": "request" if num_parts is not None else "method",
        "decided_by": chosen,
        "most_open_boundary": round(openness, 4),
        "working_surface": fused,
        "notes": _notes(mesh, fused),
    }
    return labels, facts


def _check(mesh: Any) -> float:
    """Refuse a mesh that cannot have parts; returns the area of one that can."""
    if len(mesh.faces) < 4:
        raise NoSolid(f"{len(mesh.faces)} faces enclose nothing; a solid has at least 4")
    corners = np.asarray(mesh.vertices, dtype=float)[np.asarray(mesh.faces)]
    if not np.isfinite(corners).all():
        raise NoSolid("coordinates are not finite numbers")
    area = 2 * float(areas(corners).sum())
    points = corners.reshape(-1, 3) - corners.reshape(-1, 3).mean(axis=0)
    spread = np.linalg.svd(points.T @ points, compute_uv=False) ** 0.5
    if not area > 0 or spread[2] < _FLAT * spread[0]:
        raise NoSolid("all faces lie in one plane; want a mesh that encloses a volume")
    refuse_loose(mesh)
    return area / 2


def _notes(mesh: Any, fused: dict[str, Any]) -> list[str]:
    notes = []
    if fused["bodies_before"] > 1 or fused["open_bodies_before"]:
        notes.append(
            f"{fused['bodies_before']} bodies, {fused['open_bodies_before']} of them open, were fused to"
            f" {fused['bodies_after']} closed for the analysis; the mesh itself is kept"
        )
    if fused["thickened_share"] > 0.01:
        notes.append(
            f"{fused['thickened_share']:.0%} of the surface is thinner than two cells of the grid"
            f" ({fused['cell_size']:.4g}) and was thickened for the analysis"
        )
    if len(mesh.faces) > fused["faces"]:
        notes.append(f"analysed on {fused['faces']} faces in place of {len(mesh.faces)}; each face has its label")
    return notes


#: A body of which so much has one label gets it as a whole.
_ONE_PART = 0.85


def transfer(mesh: Any, centres: FloatArray, working: IntArray, cell: float) -> IntArray:
    """(F,) labels 0..k-1 of the mesh's faces, the largest part by area first.

    Each face takes the label that most of its samples find nearest; a label that would get no face gets the one with
    the largest share of it. Bodies that belong nearly all to one part are not cut.

    `centres`, (W, 3), and `working`, (W,), are the working surface's faces and their labels, `cell` is the distance of
    the samples.
    """
    vertices, faces = np.asarray(mesh.vertices, dtype=float), np.asarray(mesh.faces)
    points, owner = surface_samples(vertices, faces, cell)
    nearest = working[cKDTree(centres).query(points)[1]]
    count = int(working.max()) + 1
    shares = np.zeros((len(faces), count))
    np.add.at(shares, (owner, nearest), 1)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = areas(vertices[faces])
    body = body_labels(len(vertices), faces)
    labels = _labels(shares, count)
    if body.max() > 0:
        bodies = np.zeros((int(body.max()) + 1, count))
        np.add.at(bodies, body, shares * (weights + 1e-12 * weights.sum())[:, None])
        bodies /= bodies.sum(axis=1, keepdims=True)
        whole = bodies.max(axis=1) > _ONE_PART
        snapped = shares.copy()
        snapped[whole[body]] = np.eye(count)[bodies.argmax(axis=1)[body[whole[body]]]]
        uncut = _labels(snapped, count)
        # A wanted part may be less than a body.
        if len(np.unique(uncut)) == len(np.unique(labels)):
            labels = uncut
    return _by_area(labels, weights)


def _by_area(labels: IntArray, weights: FloatArray) -> IntArray:
    """Labels renumbered 0..k-1, the largest part first."""
    present, labels = np.unique(labels, return_inverse=True)
    order = np.argsort(-np.bincount(labels, weights), kind="stable")
    rank = np.empty(len(present), dtype=np.int64)
    rank[order] = np.arange(len(order))
    renumbered: IntArray = rank[labels]
    return renumbered


def _labels(shares: FloatArray, count: int) -> IntArray:
    labels: IntArray = shares.argmax(axis=1)
    for label in np.setdiff1d(np.arange(count), labels):
        spare = np.where(np.bincount(labels, minlength=count)[labels] > 1, shares[:, label], 0)
        if spare.max() > 0:
            labels[int(spare.argmax())] = label
    return labels
