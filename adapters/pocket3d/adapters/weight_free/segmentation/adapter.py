"""`shape-diameter-segmentation` takes a mesh apart by thickness and concave creases. No weights.

A closed mesh comes apart at its own concave creases. Where those do not decide, the bodies are fused to one closed
surface, on which the shape diameter and a face graph are measured; the graph's eigenvectors give small regions, which
are merged across boundaries that separate nothing. The labels belong to the faces of the mesh as it came. Runs on the
CPU whatever the device (numpy, scipy, scikit-learn, embree).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh
from ...authoring.options import MeshFile, Meta, Options, Seed
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS
from ...segment_models import MeshSegmentationModel


class ShapeDiameterOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: str = "glb"
    num_parts: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        Meta(
            description="how many parts to make; without it the method chooses and says how many",
            extra_json_schema={"type": ["integer", "null"], "default": None},
        ),
    ] = None
    seed: Annotated[Seed, Meta(description="of the clustering; the same seed gives the same labels")] = 0


class ShapeDiameterSegmentationAdapter(WeightFreeModel, MeshSegmentationModel):
    """Segments a mesh into the wanted number of parts, or into as many as it shows."""

    adapter_id = "shape-diameter-segmentation"
    default_vram_mb = 512
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb",)
    options_type = ShapeDiameterOptions
    needs = ("numpy", "scipy", "sklearn", "trimesh", "embreex", "PIL")
    imports = (".partition",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.input import ignored_parts, join_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.part_files import PARTS, part_losses, write_parts
        from ...mesh.repair import NoSolid
        from .partition import segment

        response: dict[str, Any] = super()._process_request(inputs)
        options = ShapeDiameterOptions.read(inputs)
        wanted, seed = options.num_parts, options.seed
        path = self._mesh_path(inputs)
        self.step(0.0, "reading the mesh")
        scene = read_scene(path)
        lost, held = part_losses(scene), inventory(path, scene)
        mesh = join_parts(scene, path.name)
        if wanted is not None and len(mesh.faces) < wanted:
            raise InvalidInput(f"{wanted} parts of a mesh of {len(mesh.faces)} faces", "num_parts")
        try:
            found = segment(mesh, wanted, seed, self.step)
        except NoSolid as error:
            what = f"{len(mesh.vertices)} vertices, {len(mesh.faces)} faces"
            raise InvalidInput(f"{path.name} ({what}): {error}", "mesh_path") from error
        self.step(0.9, "writing the parts")
        target = Path(response["output_mesh_path"])
        written = write_parts(mesh, found.labels, target)
        facts = {
            "num_parts": len(written.parts),
            "requested_parts": wanted,
            "parts": written.parts,
            "lost": lost,
            **found.facts,
        }
        if wanted is not None and len(written.parts) != wanted:
            facts["notes"].append(f"{wanted} parts were asked for, the faces allow {len(written.parts)}")
        response.update(
            num_parts=len(written.parts),
            part_labels=[part["node"] for part in written.parts],
            labels_path=str(written.labels),
            seed=seed,
        )
        facts["ignored"] = ignored_parts(mesh)
        response = finish_mesh(self, response, "segmentation_info", facts, source=held, replaced=PARTS)
        info = response["segmentation_info"]
        response["segmentation_info_path"] = str(written.write_info(info))
        response["generation_info"] = {
            "model": "shape diameter segmentation",
            "statistics": info["statistics"],
            "input_faces": len(mesh.faces),
            "ignored": info["ignored"],
            "seed": seed,
            "device": "cpu",
            "output_format": info["output_format"],
        }
        return response
