"""`projection-image-to-texture` projects a picture onto a mesh. No weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.input_checks import image_field
from ...authoring.mesh_job import finish_mesh, write_and_finish, write_kept
from ...authoring.options import ImageFiles, MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS
from ...texture_models import ImageToTextureModel

_ROUGHNESS = 0.8


class ProjectionOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    image_path: Annotated[Any, Meta(description="the picture: png, jpg or webp")] = None
    image_paths: ImageFiles = None
    output_format: str = "glb"
    projection: Annotated[
        Literal["front", "box"],
        Meta(
            description="front: once, covering the mesh as seen along -Z, front and back alike; box: repeated on all"
            " sides, mirrored, blended by the normals"
        ),
    ] = "front"
    tiles: Annotated[
        float, Meta(ge=0.1, le=100.0, description="of box: how often the picture fits along the longest side")
    ] = 2.0
    texture_resolution: Annotated[
        int, Meta(ge=256, le=4096, description="texels along a side of the square texture")
    ] = 1024
    keep_uv: Annotated[
        bool,
        Meta(description="keep the mesh's own texture coordinates, which must lie in 0 to 1 and not over one another"),
    ] = False


class ProjectionImageToTextureAdapter(WeightFreeModel, ImageToTextureModel):
    """Unwraps the mesh and projects the picture onto it; the mesh's own colours are replaced.

    Nothing is recognised in the picture: `front` fits a picture of the object seen from the front, `box` one of a
    material.
    """

    adapter_id = "projection-image-to-texture"
    default_vram_mb = 2048
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj")
    options_type = ProjectionOptions
    needs = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
    imports = (".texture_projection",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh, one picture and sound options."""
        super().validate_inputs(inputs)
        if len(self._image_paths(inputs)) != 1:
            raise InvalidInput("more than one picture; want one", "image_paths")

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from ...mesh.glb_looks import Paint
        from ...mesh.image_input import read_image
        from ...mesh.input import ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.losses import LOOKS, OWN_COLOURS
        from ..texturing.painting import LIMITS, paint_by_own_uv, paint_scene, replaced, surface_parts
        from ..texturing.words import Understood
        from ..unwrapping.layout import NoUnwrap
        from .texture_projection import project_picture

        response: dict[str, Any] = super()._process_request(inputs)
        options = ProjectionOptions.read(inputs)
        projection, tiles, resolution = options.projection, options.tiles, options.texture_resolution
        source, image = self._mesh_path(inputs), self._image_paths(inputs)[0]
        self.report_progress(0.0, "reading the picture and the mesh")
        picture = read_image(image, field=image_field(inputs))
        scene = read_scene(source, LIMITS)
        held = inventory(source, scene)
        parts = surface_parts(scene)
        corners = np.concatenate([part.vertices[part.faces.reshape(-1)] for part in parts])
        sides = np.maximum(np.ptp(corners, axis=0), 1e-300)
        painter = project_picture(picture, projection, tiles, sides / sides.max(), resolution, self.device)
        plain = Understood("picture", ((1.0, 1.0, 1.0),), {}, [], 1.0, "vertical", 0.0, _ROUGHNESS)
        try:
            paint = paint_by_own_uv if options.keep_uv else paint_scene
            painted = paint(parts, plain, 0, resolution, self.device, self.steps_within(0.05, 0.9), painter)
        except NoUnwrap as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        remade = painted.remade(parts, own_uv=options.keep_uv)
        kept = write_kept(self, response, source, scene, remade, Paint(colour=True))
        facts = {
            "model": "projection of the picture",
            "projection": projection,
            "tiles": tiles if projection == "box" else None,
            "image_size": list(picture.size),
            **painted.facts,
            "ignored": ignored_parts(scene),
            "lost": replaced(scene, options.keep_uv, kept=kept is not None, surface=kept is None),
            "device": self.device,
        }
        if kept is not None:
            # Metal and roughness stay.
            return finish_mesh(
                self, response, "painting_info", facts, (), kept, held, OWN_COLOURS - {"surface", "maps"}
            )
        return write_and_finish(self, painted.parts, response, "painting_info", facts, held, LOOKS)
