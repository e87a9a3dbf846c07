"""PyPI's torchvision is built for a CUDA torch and fails on import beside a CPU one, for two operators that nothing
here calls. This declares them and then hands over to the real package.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import torch

_operators = torch.library.Library("torchvision", "DEF")
_operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
# Registrations last as long as the object, and this module is about to be replaced.
torch.library.pocket3d_torchvision_operators = _operators

_mine = Path(__file__).resolve().parent
_others = [each for each in sys.path if Path(each, __name__).resolve() != _mine]
_spec = importlib.machinery.PathFinder.find_spec(__name__, _others)
_real = importlib.util.module_from_spec(_spec)
sys.modules[__name__] = _real
_spec.loader.exec_module(_real)
