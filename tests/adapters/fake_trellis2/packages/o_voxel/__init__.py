"""Stands for o_voxel, which imports its export with it."""

from . import postprocess as postprocess
