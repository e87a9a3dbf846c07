"""FlexiCubes' place, filled where it is empty; and, where there is no CUDA, what is hard-coded to it in TRELLIS pointed
at the CPU.
"""

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

    # The last one: it is asked for what the others do not find.
    sys.meta_path.append(_FlexiCubesFinder())
    if torch.cuda.is_available():
        return
    torch.Tensor.cuda = lambda self, *_arguments, **_options: self
    torch.nn.Module.cuda = lambda self, *_arguments, **_options: self
    if importlib.util.find_spec("spconv.pytorch.conv") is not None:
        _let_spconv_add_a_bias()
    cubes = importlib.import_module("trellis.representations.mesh.cube2mesh")
    cubes.SparseFeatures2Mesh.__init__.__defaults__ = ("cpu", 64, True)


def _let_spconv_add_a_bias() -> None:
    """In eval mode the CPU build refuses a bias; in training mode it adds it, to the same sum."""
    from spconv.pytorch.conv import SparseConvolution

    forward = SparseConvolution._conv_forward
    SparseConvolution._conv_forward = lambda self, training, *rest, **more: forward(self, True, *rest, **more)
