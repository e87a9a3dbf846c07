"""`shape-diameter-segmentation`: a mesh into its parts, by thickness and concave creases. No weights.

The bodies are fused to one closed surface, on which the shape diameter and a face graph are measured; the graph's
eigenvectors give small regions, which are merged across boundaries that separate nothing. The labels belong to the
faces of the mesh as it came. Runs on the CPU whatever the device (numpy, scipy, scikit-learn, embree).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import whole_number
from ..installed import missing_packages
from ..segment_models import MeshSegmentationModel

_MAX_PARTS = 64
_MAX_SEED = 2**32 - 1
_NEEDED = ("numpy", "scipy", "sklearn", "trimesh", "embreex", "PIL")


class ShapeDiameterSegmentationAdapter(MeshSegmentationModel):
    """Segments a mesh into the wanted number of parts, or into as many as it shows.

    Args:
        model_id: its name.
        vram_requirement: MB.
        max_concurrent: meshes at once.
        feature_type: `mesh_segmentation`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)

    def __init__(
        self,
        model_id: str = "shape-diameter-segmentation",
        vram_requirement: int = 512,
        max_concurrent: int = 1,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(_NEEDED)

    def get_parameter_schema(self) -> dict[str, Any]:
        """Its options."""
        return {
            "type": "object",
            "properties": {
                "mesh_path": {"description": f"the mesh: {', '.join(self.supported_input_formats)}"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "num_parts": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": _MAX_PARTS,
                    "default": None,
                    "description": "how many parts to make; without it the method chooses and says how many",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": 0,
                    "description": "of the clustering; the same seed gives the same labels",
                },
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The mesh's name and every option."""
        self._mesh_path(inputs)
        self._validate_common_inputs(inputs)
        _wanted(inputs)
        _seed(inputs)

    def _load_model(self) -> str:
        from . import partition

        return partition.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import ignored_parts, read_mesh
        from ..mesh_repair import NoSolid
        from ..mesh_result import describe_mesh
        from ..part_files import write_parts
        from .partition import segment

        response: dict[str, Any] = super()._process_request(inputs)
        wanted, seed = _wanted(inputs), _seed(inputs)
        path = self._mesh_path(inputs)
        self._step(0.0, "reading the mesh")
        mesh = read_mesh(path)
        if wanted is not None and len(mesh.faces) < wanted:
            raise InvalidInput(f"{wanted} parts of a mesh of {len(mesh.faces)} faces", "num_parts")
        try:
            found = segment(mesh, wanted, seed, self._step)
        except NoSolid as error:
            what = f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces"
            raise InvalidInput(f"{path.name} ({what}): {error}", "mesh_path") from error
        self._step(0.9, "writing the parts")
        target = Path(response["output_mesh_path"])
        written = write_parts(mesh, found.labels, target)
        described = describe_mesh(target, self.output_dir)
        facts = {
            "num_parts": len(written.parts),
            "requested_parts": wanted,
            "parts": written.parts,
            **found.facts,
            "statistics": described["statistics"],
            "success": True,
        }
        if wanted is not None and len(written.parts) != wanted:
            facts["notes"].append(f"{wanted} parts were asked for, the faces allow {len(written.parts)}")
        response.update(
            num_parts=len(written.parts),
            part_labels=[part["node"] for part in written.parts],
            labels_path=str(written.labels),
            segmentation_info_path=str(written.write_info(facts)),
            segmentation_info=facts,
            thumbnail_path=described["thumbnail_path"],
            seed=seed,
            generation_info={
                "model": "shape diameter segmentation",
                "statistics": described["statistics"],
                "input_faces": len(mesh.faces),
                "ignored": ignored_parts(mesh),
                "seed": seed,
                "device": "cpu",
                "output_format": target.suffix[1:],
            },
        )
        self.report_progress(1.0, "done")
        return response

    def _step(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)


def _wanted(inputs: dict[str, Any]) -> int | None:
    return None if inputs.get("num_parts") is None else whole_number(inputs, "num_parts", 1, 1, _MAX_PARTS)


def _seed(inputs: dict[str, Any]) -> int:
    return whole_number(inputs, "seed", 0, 0, _MAX_SEED)
