"""`silhouette-image-to-mesh`: one photograph in, a textured closed mesh out. Classical methods, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...authoring.input_checks import image_field, mask_file
from ...authoring.mesh_job import write_and_finish
from ...authoring.weight_free import WeightFreeModel
from ...mesh_models import ImageToMeshModel
from .options import PhotoOptions


class SilhouetteImageToMeshAdapter(WeightFreeModel, ImageToMeshModel):
    """Foreground mask, Poisson inflation, texture from the image. The back is the mirrored front."""

    adapter_id = "silhouette-image-to-mesh"
    default_vram_mb = 512
    default_max_images = 1
    default_output_formats = ("glb", "obj", "ply", "stl")
    options_type = PhotoOptions
    needs = ("torch", "numpy", "scipy", "PIL", "trimesh")
    imports = (".reconstruction",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """An image, sound options, and a mask that exists where one is named."""
        super().validate_inputs(inputs)
        mask_file(inputs, self.supported_input_formats)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.write import COLOUR_IN_FORMAT, statistics
        from .reconstruction import from_photograph

        response: dict[str, Any] = super()._process_request(inputs)
        path = self._image_paths(inputs)[0]
        options = PhotoOptions.read(inputs)
        reconstruction = from_photograph(path, image_field(inputs), options, self.device, self.step)
        response["seed"] = options.seed
        written_as = Path(response["output_mesh_path"]).suffix[1:]
        facts = {
            "model": "silhouette inflation",
            **reconstruction.facts,
            **statistics([reconstruction.part]),
            "seed": options.seed,
            "device": self.device,
            "colour": "texture" if written_as in ("glb", "obj") else COLOUR_IN_FORMAT[written_as],
        }
        return write_and_finish(self, [reconstruction.part], response, "generation_info", facts)
