"""Transfers labels from the working surface to the faces of the original mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ...mesh.repair import surface_samples
from ...mesh.triangles import FloatArray, IntArray, areas, body_labels

#: A body of which so much has one label gets it as a whole.
_ONE_PART = 0.85


def transfer(mesh: Any, centres: FloatArray, working: IntArray, cell: float) -> IntArray:
    """(F,) labels 0..k-1 of the mesh's faces, the largest part by area first.

    Each face takes the label that most of its samples find nearest; a label that would get no face gets the one with
    the largest share of it. Bodies that belong nearly all to one part are not cut.

    Args:
        mesh: a `trimesh.Trimesh` of F faces.
        centres: (W, 3) of the working surface's faces.
        working: (W,) their labels.
        cell: distance of the samples.
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
    present = np.unique(labels)
    order = present[np.argsort(-np.bincount(labels, weights, minlength=count)[present], kind="stable")]
    rank = np.zeros(count, dtype=np.int64)
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
