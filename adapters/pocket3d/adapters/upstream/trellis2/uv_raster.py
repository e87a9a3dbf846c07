"""The three functions of nvdiffrast that TRELLIS.2 calls, in plain torch.

TRELLIS.2 bakes its textures with nvdiffrast, whose licence is for research and evaluation. All that it asks of it is
which triangle of the atlas each texel shows, and what lies there; that is answered here by the search that our own
textures use. `put_in_place` lets upstream's `import nvdiffrast.torch` find this instead.

As in nvdiffrast, a raster is (1, height, width, 4): the weights of a triangle's first two corners, a depth (0 here) and
the triangle's number plus 1; its first row is at v = -1.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..code import put_on_path

#: The folder with the package that upstream imports by nvdiffrast's name.
IN_PLACE = Path(__file__).resolve().parent / "in_place"


class UvRasteriser:
    """What answers in the place of `nvdiffrast.torch`; `between` hears the share that is done of each raster, and may
    raise.
    """

    def __init__(self) -> None:
        self.between: Callable[[float], None] = lambda share: None

    def put_in_place(self) -> None:
        """Let this process import it by nvdiffrast's name, whether that is installed or not."""
        put_on_path(IN_PLACE)
        module: Any = importlib.import_module("nvdiffrast.torch")
        module.rasteriser = self

    def rasterize(self, pos: Any, tri: Any, resolution: Any) -> tuple[Any, None]:
        """The raster of triangles `tri` (F, 3) whose corners' clip coordinates are `pos` (1, V, 4), in a square."""
        import torch

        from ...weight_free.texturing.atlas import rasterise

        height, width = resolution
        if height != width:
            raise ValueError(f"a raster of {height} x {width}: squares only")
        flat = (pos[0, :, :2] / pos[0, :, 3:] + 1) / 2
        found = rasterise(flat[tri.long()], width, str(pos.device), self.between)
        raster = torch.zeros((height * width, 4), dtype=torch.float32, device=pos.device)
        raster[found.where, :2] = found.weights[:, :2]
        raster[found.where, 3] = (found.triangle + 1).float()
        return raster.reshape(1, height, width, 4), None

    def interpolate(self, attr: Any, rast: Any, tri: Any) -> tuple[Any, None]:
        """The values (1, height, width, C) at a raster's texels of `attr` (1, V, C); 0 where there is no triangle."""
        import torch

        number = rast[0, ..., 3].long()
        there = number > 0
        found = torch.zeros((*number.shape, attr.shape[-1]), dtype=attr.dtype, device=attr.device)
        first, second = rast[0][there][:, :2].unbind(dim=1)
        weights = torch.stack([first, second, 1 - first - second], dim=1).to(attr.dtype)
        corners = attr[0][tri[number[there] - 1].long()]
        found[there] = (corners * weights[..., None]).sum(dim=1)
        return found[None], None
