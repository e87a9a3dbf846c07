"""PyPI's torchvision beside a CPU torch: see trellis_stand_ins/torchvision, which does the same for its own folder."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import torch

_here = Path(__file__).resolve().parent
# Kept for as long as the process lives: a registration ends with its object.
sys.modules["torchvision_operators"] = _library = torch.library.Library("torchvision", "DEF")
for _operator in ("nms", "qnms"):
    _library.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

_elsewhere = [each for each in sys.path if Path(each, "torchvision").resolve() != _here]
_found = importlib.machinery.PathFinder.find_spec("torchvision", _elsewhere)
_module = importlib.util.module_from_spec(_found)
sys.modules["torchvision"] = _module
_found.loader.exec_module(_module)
