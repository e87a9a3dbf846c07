"""What is hard-coded to CUDA in TRELLIS, pointed at the CPU; FlexiCubes' place, filled."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from typing import Any

_PACKAGE = "trellis.representations.mesh.flexicubes"


class _FlexiCubesFinder(importlib.abc.MetaPathFinder):
    """Both the submodule's folder and its module are the stand-in."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname not in (_PACKAGE, f"{_PACKAGE}.flexicubes"):
            return None
        origin = importlib.util.find_spec("trellis_flexicubes").origin
        return importlib.util.spec_from_file_location(
            fullname, origin, submodule_search_locations=[] if fullname == _PACKAGE else None
        )


def apply() -> None:
    import torch
    from spconv.pytorch.conv import SparseConvolution

    sys.meta_path.insert(0, _FlexiCubesFinder())
    torch.Tensor.cuda = lambda self, *_arguments, **_options: self
    torch.nn.Module.cuda = lambda self, *_arguments, **_options: self
    forward = SparseConvolution._conv_forward
    # In eval mode the CPU build refuses a bias; in training mode it adds it, to the same sum.
    SparseConvolution._conv_forward = lambda self, training, *rest, **more: forward(self, True, *rest, **more)
    cubes = importlib.import_module("trellis.representations.mesh.cube2mesh")
    cubes.SparseFeatures2Mesh.__init__.__defaults__ = ("cpu", 64, True)
