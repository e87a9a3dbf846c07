"""Stand-in: what TRELLIS's `voxelize` uses of open3d. It is the last module that TRELLIS's text pipeline imports, so
this is also where the rest of TRELLIS is told to stay on the CPU.
"""

import trellis_on_cpu

from . import geometry as geometry
from . import utility as utility

trellis_on_cpu.apply()
