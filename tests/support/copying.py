"""An adapter that gives back the files that it was given, in every place where a result may name one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

from pocket3d.adapters.licenses import License
from pocket3d.adapters.mesh_models import ImageToMeshModel
from pocket3d.contracts.variants import Variant


class CopyingAdapter(ImageToMeshModel):
    """Its "mesh" is the first image, its previews are all of them."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, model_id: str = "copying", vram_requirement: int = 64) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement)

    def _load_model(self) -> None:
        return None

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        copies = []
        for number, image in enumerate(self._image_paths(inputs)):
            copies.append(self.output_dir / f"copy-{number}{image.suffix}")
            shutil.copyfile(image, copies[-1])
        return {
            "success": True,
            "output_mesh_path": str(copies[0]),
            "preview_paths": [str(copy) for copy in copies],
            "parts": [{"mesh_path": copy.name, "name": copy.name} for copy in copies],
            "comment": copies[0].name,
            "seen": Path(copies[0]).stat().st_size,
        }


class GpuOnlyAdapter(CopyingAdapter):
    devices: ClassVar[tuple[str, ...]] = ("cuda",)


class TermsAdapter(CopyingAdapter):
    license_info: ClassVar[License] = License(code="a licence", requires_acceptance=True, territory="not on Mondays")


class SizedAdapter(CopyingAdapter):
    """Has two sizes."""

    variants = (Variant(name="512", vram_mb=64, quality=1), Variant(name="1024", vram_mb=128, quality=2))

    def __init__(self, model_id: str = "sized") -> None:
        ImageToMeshModel.__init__(self, model_id)
