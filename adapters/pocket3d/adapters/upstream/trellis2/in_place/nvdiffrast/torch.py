"""Found by TRELLIS.2's `import nvdiffrast.torch`: its names, answered by the rasteriser that the adapter puts here.

Imports nothing, so that upstream's packages import in an interpreter that lacks Pocket3DStudio.
"""

from __future__ import annotations

from typing import Any

#: `UvRasteriser`, of the adapter of this process.
rasteriser: Any = None


def RasterizeCudaContext(device: Any = None) -> None:
    """Keep nothing between calls."""


def rasterize(glctx: Any, pos: Any, tri: Any, resolution: Any) -> Any:
    """See `UvRasteriser.rasterize`."""
    return rasteriser.rasterize(pos, tri, resolution)


def interpolate(attr: Any, rast: Any, tri: Any) -> Any:
    """See `UvRasteriser.interpolate`."""
    return rasteriser.interpolate(attr, rast, tri)
