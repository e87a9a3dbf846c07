"""A skinned mesh in another pose, for tests of what rigging adapters write."""

from __future__ import annotations

import numpy as np

from pocket3d.adapters.mesh.triangles import FloatArray

from .skinned_files import SkinnedFile, SkinnedPart


def posed(part: SkinnedPart, file: SkinnedFile, turned: dict[int, FloatArray] | None = None) -> FloatArray:
    """(V, 3) where linear blend skinning puts the vertices.

    Args:
        part: of the file.
        file: the whole of it.
        turned: joint -> (3, 3) rotation about its head in its own axes; none for the bind pose.
    """
    world = np.empty_like(file.rest)
    for joint, parent in enumerate(file.skeleton.parents.tolist()):
        local = file.rest[joint] if parent < 0 else np.linalg.inv(file.rest[parent]) @ file.rest[joint]
        world[joint] = local if parent < 0 else world[parent] @ local
        if turned and joint in turned:
            turn = np.eye(4)
            turn[:3, :3] = turned[joint]
            world[joint] = world[joint] @ turn
    matrices = (world @ file.inverse_bind)[part.joints]
    places = np.concatenate([part.positions, np.ones((len(part.positions), 1))], axis=1)
    moved: FloatArray = np.einsum("vk,vkij,vj->vi", part.weights.astype(float), matrices, places)[:, :3]
    return moved
