"""`trimesh-mesh-conversion` converts meshes between formats: see `docs/mesh-formats.md`. No weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from ...authoring.mesh_job import finish_mesh
from ...authoring.options import MeshFile, MeshFiles, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...mesh_models import MESH_FORMATS, MeshInputModel

UpAxis = Literal["y", "z"]


class ConversionOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: str
    mesh_file_paths: MeshFiles = None
    centre: Annotated[
        Literal["none", "bounds", "ground"],
        Meta(
            description="bounds: the middle of the bounding box goes to the origin; ground: the same, but the lowest"
            " point lies on the plane through the origin"
        ),
    ] = "none"
    size: (
        Annotated[
            float,
            Meta(
                ge=1e-6,
                le=1e6,
                description="longest side of the bounding box afterwards (1 makes a unit size); without it the size"
                " stays",
            ),
        ]
        | None
    ) = None
    input_up: Annotated[
        UpAxis, Meta(description="the axis that points up in the input; glTF says y, many scanners and printers z")
    ] = "y"
    output_up: Annotated[
        UpAxis, Meta(description="the axis that points up in the output; another than input_up turns the mesh")
    ] = "y"
    merge_vertices: Annotated[
        bool, Meta(description="merge vertices that are equal in position, normal and texture coordinate")
    ] = False


class TrimeshMeshConversionAdapter(WeightFreeModel, MeshInputModel):
    """Reads a mesh, places and sizes it as asked, writes it, and says what the target format has no room for.

    It runs on the CPU whatever its device.
    """

    adapter_id = "trimesh-mesh-conversion"
    # What a mesh of 1.3 million faces took at its peak.
    default_vram_mb = 1024
    default_feature = "mesh_conversion"
    purpose = "mesh conversion"
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj", "ply", "stl", "gltf", "3mf", "usdz")
    options_type = ConversionOptions
    needs = ("numpy", "scipy", "trimesh", "PIL")
    imports = (".convert",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.beside import files_beside, together

        mesh = self._mesh_path(inputs)
        beside = files_beside(inputs.get("mesh_file_paths"), mesh)
        if not beside:
            return self._converted(inputs, mesh, mesh)
        with tempfile.TemporaryDirectory(prefix="mesh-") as folder:
            return self._converted(inputs, mesh, together(mesh, beside, Path(folder)))

    def _converted(self, inputs: dict[str, Any], mesh: Path, source: Path) -> dict[str, Any]:
        import numpy as np

        from ...mesh.glb_copy import reads_alike
        from ...mesh.input import glb_bytes_of, ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.result import check_written, read_again, scene_statistics
        from ...mesh.self_check import check_surface, surface_of
        from .convert import DOCUMENTS, copy_file, merge, merged, place, precision, units, write

        options = ConversionOptions.read(inputs)
        output_format = self._validate_common_inputs(inputs)
        response = self._create_common_response(inputs, output_format)
        target = Path(response["output_mesh_path"])
        self.report_progress(0.05, "reading the mesh")
        scene = read_scene(source)
        before = scene_statistics(scene)
        ignored = ignored_parts(scene)
        held = inventory(source, scene)
        self.step(0.4, "placing it")
        kept = merged(source) if options.merge_vertices and target.suffix in DOCUMENTS else None
        gone = merge(scene) if options.merge_vertices and kept is None else 0 if kept is None else kept[1]
        factor, unit_m = units(scene, output_format)
        matrix = place(scene, options, factor)
        lost = precision(scene, output_format)
        stays = not gone and bool((matrix == np.eye(4)).all())
        meant = before if stays else scene_statistics(scene)
        self.step(0.6, "writing the file")
        extra: list[Path] | None = None
        if target.suffix in DOCUMENTS and (kept is not None or not options.merge_vertices):
            extra = copy_file(glb_bytes_of(source) if kept is None else kept[0], target, matrix)
        copied = extra is not None and output_format == "glb"
        written, counted = scene, before
        # A copy that reads as its source does is what was meant.
        if not (copied and stays and reads_alike(glb_bytes_of(source), target.read_bytes())):
            surface = surface_of(scene, output_format)
            farthest = float(np.abs(scene.bounds).max()) if output_format == "stl" else 0.0
            if extra is None:
                extra = write(scene, target, unit_m)
            self.step(0.8, "reading it again")
            written = read_again(target)
            counted = scene_statistics(written)
            check_written(meant, counted, target, farthest)
            check_surface(surface, surface_of(written, output_format), target)
        facts = {
            "model": "trimesh",
            "input_mesh": mesh.name,
            "input_format": mesh.suffix.lower()[1:],
            "input_statistics": before,
            "merged_vertices": gone,
            "matrix": [[round(float(each), 9) for each in row] for row in matrix],
            "lost": lost,
            "ignored": ignored,
        }
        return finish_mesh(self, response, "generation_info", facts, extra or (), written, held, counted=counted)
