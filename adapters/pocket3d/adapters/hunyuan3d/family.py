"""What the adapters of Hunyuan3D share: finding, loading and running the models, one request at a time."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from .. import torch_memory
from ..base import BaseModel
from ..errors import AdapterUnavailable
from ..licenses import License
from . import background, upstream, weights
from .painting import Painter, Painter20, Painter21, PaintSettings, parts_20, parts_21, upscaler_of
from .progress import Stage
from .shape import ShapeSettings, clean_up, load_shape_pipeline, run_shape
from .versions import V20, V21, Version
from .weights import Source

_DTYPES = (None, "float16", "bfloat16", "float32")
_TURN_S = 0.1
TERRITORY = "not in the European Union, the United Kingdom or South Korea, outputs included"
NO_TEXTURE_FORMATS = ("glb", "obj", "ply")
DINO = "facebook/dinov2-giant"


class Hunyuan3DAdapter(BaseModel):
    """The common part; see the subclasses in `adapter.py` for the arguments.

    Raises:
        ValueError: an unknown `dtype`.
    """

    version: ClassVar[Version] = V20
    adapter_id: ClassVar[str] = ""
    #: MB: of the raw shape, with texture, and of painting alone.
    vram_raw: ClassVar[int] = 0
    vram_textured: ClassVar[int] = 0
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    license_info: ClassVar[License | None] = License(
        code="Tencent Hunyuan 3D 2.0 Community License",
        weights="Tencent Hunyuan 3D 2.0 Community License",
        territory=TERRITORY,
        url="https://huggingface.co/tencent/Hunyuan3D-2/blob/main/LICENSE",
        requires_acceptance=True,
    )

    def _configure(
        self,
        *,
        hunyuan3d_root: str | Path | None,
        subfolder: str | None,
        texture: bool,
        shapes: bool,
        background_remover: str | None,
        dtype: str | None,
        flashvdm: bool,
        download: bool,
        dino_path: str | Path | None = None,
        upscaler_path: str | Path | None = None,
    ) -> None:
        if dtype not in _DTYPES:
            raise ValueError(f"dtype {dtype!r}: want one of {', '.join(str(each) for each in _DTYPES[1:])}")
        self.hunyuan3d_root = None if hunyuan3d_root is None else Path(hunyuan3d_root).expanduser().absolute()
        self.texture = texture
        self._shapes = shapes
        self._subfolder = subfolder or self.version.subfolder
        self._remover_path = background_remover or self.version.background_remover
        self._dtype = dtype
        self._flashvdm = flashvdm
        self._download = download
        self._dino = str(dino_path) if dino_path is not None else DINO
        self._upscaler = None if upscaler_path is None else Path(upscaler_path).expanduser()
        path = None if self.model_path is None else str(self.model_path)
        self._source = Source(path, self.version.repository, self.adapter_id, download)
        self._pipeline: Any = None
        self._painter: Painter | None = None
        self._remover: Any = None
        # Upstream's pipelines keep their scheduler's state: one request after the other.
        self._turn = threading.Lock()

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the missing code, package or weights."""
        version = self.version
        # Weights first: what a person set in models.yaml is what a person can mend there.
        return (
            weights.missing(self._source, self._subfolder if self._shapes else None, self._paint_parts())
            or self._missing_for_paint()
            or upstream.missing_code(version, self.hunyuan3d_root, self._modules(), self.adapter_id)
            or background.missing_remover(self._remover_path, version.background_remover, download=self._download)
        )

    def _modules(self) -> tuple[str, ...]:
        needed = self.version.needed
        return (*needed, *self.version.needed_for_paint) if self.texture else needed

    def _paint_parts(self) -> list[dict[str, str]]:
        if not self.texture:
            return []
        return [parts_20() if self.version is V20 else parts_21()]

    def _missing_for_paint(self) -> str | None:
        if not self.texture or self.version is not V21:
            return None
        if self.hunyuan3d_root is None:
            return f"painting with Hunyuan3D 2.1 needs a checkout: set hunyuan3d_root; {self._source.hint()}"
        upscaler = upscaler_of(self.hunyuan3d_root, self._upscaler)
        if not upscaler.is_file():
            return f"the upscaler's weights are missing: there is no {upscaler} (upscaler_path); {self._source.hint()}"
        return None

    # ------------------------------------------------------------ life

    def _load_model(self) -> Any:
        missing = self.check_available()
        if missing is not None:
            raise AdapterUnavailable(missing)
        upstream.put_on_path(self.version, self.hunyuan3d_root)
        if self._shapes:
            module = upstream.import_module(self.version.shape_module, self.adapter_id)
            checkpoint = weights.shape_checkpoint(self._source, self._subfolder)
            self._pipeline = load_shape_pipeline(module, checkpoint, self.device, self._dtype, flash=self._flashvdm)
        if self.texture:
            self._painter = self._load_painter()
        self._remover = background.load_remover(self._remover_path)
        return self._pipeline if self._shapes else self._painter

    def _load_painter(self) -> Painter:
        if not self.device.startswith("cuda"):
            raise AdapterUnavailable(f"Hunyuan3D paints with CUDA only and this worker's device is {self.device}")
        if self.version is V20:
            return Painter20(self._source)
        assert self.hunyuan3d_root is not None, "checked by _missing_for_paint"
        return Painter21(self._source, self.hunyuan3d_root, self._dino, self._upscaler)

    def _unload_model(self) -> None:
        self.model = self._pipeline = self._painter = self._remover = None

    # ------------------------------------------------------------ one request

    def _stage(self, name: str, start: float, end: float) -> Stage:
        return Stage(self._tell, name, start, end)

    def _tell(self, fraction: float | None, stage: str, message: str | None = None) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage, message)

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        """One request at a time in the models; a cancel ends the wait."""
        while not self._turn.acquire(timeout=_TURN_S):
            self.check_cancelled()
        try:
            yield
        finally:
            self._turn.release()

    def _picture(self, inputs: dict[str, Any], path: Path) -> background.CutOut:
        """The subject of an input image."""
        from ..image_input import read_image

        field = "image_paths" if inputs.get("image_paths") else "image_path"
        return self._cut_out(read_image(path, field=field), field)

    def _cut_out(self, image: Any, field: str) -> background.CutOut:
        return background.cut_out(image, self._remover, self._remover_path, field)

    def _shape(self, image: Any, settings: ShapeSettings, start: float, end: float) -> Any:
        """trimesh.Trimesh, cleaned up."""
        whole = Stage(self._tell, "shape", start, end)
        mesh = run_shape(
            self._pipeline,
            image,
            settings,
            whole.part("sampling", 0.0, 0.5),
            whole.part("decoding the volume", 0.5, 0.95),
        )
        return clean_up(self.version, mesh, settings, self.output_dir, whole.part("cleaning up", 0.95, 1.0))

    def _paint(self, mesh: Any, image: Any, settings: PaintSettings, start: float, end: float) -> Any:
        """The mesh with a texture."""
        if self._painter is None:
            raise AdapterUnavailable("the painting model is not loaded")
        stage = self._stage("painting", start, end)
        stage(0)
        # Of this job alone: upstream writes files of fixed names beside the mesh.
        with tempfile.TemporaryDirectory(prefix="painting-", dir=self.output_dir) as name:
            return self._painter(mesh, image, settings, Path(name), stage)

    def _finish(self, mesh: Any, response: dict[str, Any], info: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Write the mesh, look at the file, and complete the answer."""
        from ..mesh_result import describe_mesh
        from .export import UP_AXIS, write

        self._tell(0.95, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write(mesh, target)
        self._tell(0.97, "looking at the result")
        described = describe_mesh(target, self.output_dir)
        counted = described["statistics"]
        response[info] = {
            **response[info],
            "model": f"Hunyuan3D {self.version.name}",
            "weights": self._source.name,
            **facts,
            "statistics": counted,
            "vertex_count": counted["vertices"],
            "face_count": counted["faces"],
            "device": self.device,
            "vram_peak_mb": torch_memory.peak_mb(),
            "up_axis": UP_AXIS,
            "output_format": target.suffix[1:],
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response
