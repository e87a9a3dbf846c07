"""Vectors are arrays."""

import numpy as np


def Vector3dVector(values):  # open3d's name
    return np.asarray(values, dtype=np.float64)


def Vector3iVector(values):  # open3d's name
    return np.asarray(values, dtype=np.int32)
