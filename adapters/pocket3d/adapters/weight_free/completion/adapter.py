"""`hole-filling-part-completion` closes the open parts of a scene. No weights.

What `mesh_segmentation` cuts is open where the cuts were; each part is closed there by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh, write_and_finish
from ...authoring.options import Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS
from ...segment_models import PartCompletionModel

#: A result has to stay small; `num_parts` tells how many there are.
_MOST_PARTS_LISTED = 200


class CompletionOptions(Options):
    """What a request may say."""

    mesh_path: Annotated[
        Any, Meta(description="one self-contained file: a glb of several parts, or obj, ply, stl, off")
    ]
    output_format: str = "glb"


class HoleFillingPartCompletionAdapter(WeightFreeModel, PartCompletionModel):
    """Closes every boundary loop of every part with a cap of least area, in the colours of its rim.

    It runs on the CPU whatever its device.
    """

    adapter_id = "hole-filling-part-completion"
    # What a mesh of 1.3 million faces took at its peak.
    default_vram_mb = 1024
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj")
    options_type = CompletionOptions
    needs = ("numpy", "scipy", "trimesh", "PIL")
    imports = (".holes",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.input import glb_bytes_of, ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.parts import parts_of
        from ...mesh.result import read_again, scene_statistics
        from ...mesh.self_check import check_surface, surface_of
        from .holes import METHOD, MOST_OPEN_EDGES, SOURCE, ClosedPart, TooManyHoles, close_part
        from .kept import closed_copy

        response: dict[str, Any] = super()._process_request(inputs)
        self.step(0.0, "reading the mesh")
        source = self._mesh_path(inputs)
        scene = read_scene(source)
        held = inventory(source, scene)
        before = scene_statistics(scene)
        parts = parts_of(scene)
        closed: list[ClosedPart] = []
        left = MOST_OPEN_EDGES
        for number, part in enumerate(parts):
            self.step(0.1 + 0.8 * number / len(parts), "closing the parts")
            try:
                closed.append(close_part(part, left))
            except TooManyHoles as error:
                raise InvalidInput(f"{source.name}: part {part.name!r} has {error}", "mesh_path") from error
            left -= sum(hole.edges for hole in closed[-1].filled.holes)
        notes = [f"{each.part.name}: {each.note}" for each in closed if each.note]
        response["num_parts"] = len(closed)
        facts = {
            "model": METHOD,
            "source": SOURCE,
            "num_parts": len(closed),
            "closed_parts": sum(each.filled.volume is not None for each in closed),
            "holes_filled": sum(len(each.filled.holes) for each in closed),
            "parts": [each.facts() for each in closed[:_MOST_PARTS_LISTED]],
            "notes": notes[:_MOST_PARTS_LISTED],
            "input_statistics": before,
            "ignored": ignored_parts(scene),
        }
        made, target = [each.part for each in closed], Path(response["output_mesh_path"])
        copy = closed_copy(glb_bytes_of(source), scene, closed) if target.suffix == ".glb" else None
        if copy is None:
            return write_and_finish(self, made, response, "completion_info", facts, held)
        self.step(0.9, "writing the file")
        target.write_bytes(copy)
        written = read_again(target)
        check_surface(surface_of(made, "glb"), surface_of(written, "glb"), target)
        return finish_mesh(self, response, "completion_info", facts, (), written, held)
