"""`hunyuan3d-2mv-image-to-mesh`: up to four photographs of one thing from its four sides to a mesh.

Upstream's code is that of Hunyuan3D 2.0 (Tencent-Hunyuan/Hunyuan3D-2 at 9bcf302, examples/shape_gen_multiview.py),
with the weights of Hunyuan3D-2mv: its pipeline takes the images by the names of their sides. Of this nothing of
upstream's ran here; it is called as its sources have it, against a stand-in.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from ...authoring.input_checks import image_field
from ...authoring.options import ImageFiles, Meta
from ...errors import InvalidInput
from ...mesh_models import ImageToMeshModel
from .family import Hunyuan3DShapeAdapter
from .options import Image, ShapeOptions
from .painting import PaintSettings

REPOSITORY = "tencent/Hunyuan3D-2mv"
SUBFOLDER = "hunyuan3d-dit-v2-mv"
#: Upstream's names of the sides, in its order: `MVImageProcessorV2.view2idx`.
SIDES = ("front", "left", "back", "right")


class MultiViewOptions(ShapeOptions):
    """The options of `hunyuan3d-2mv-image-to-mesh`."""

    image_path: Image = None
    image_paths: Annotated[ImageFiles, Meta(description="one to four images, each of another side")] = None
    views: (
        Annotated[
            list[Literal["front", "left", "back", "right"]],
            Meta(
                min_length=1,
                max_length=4,
                description="the side that each image shows, in their order, front among them; default: front, left,"
                " back, right, as many as there are images",
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views is not None and len(set(self.views)) != len(self.views):
            raise InvalidInput(f"views are {', '.join(self.views)}; want each side once", "views")
        if self.views is not None and "front" not in self.views:
            raise InvalidInput(f"views are {', '.join(self.views)}; want front among them", "views")

    def sides(self, images: int) -> list[str]:
        """The side of each image.

        Raises:
            InvalidInput: there are fewer or more sides than images.
        """
        if self.views is None:
            return list(SIDES[:images])
        if len(self.views) != images:
            raise InvalidInput(f"{len(self.views)} views of {images} images", "views")
        return list(self.views)


class Hunyuan3DMultiViewAdapter(Hunyuan3DShapeAdapter, ImageToMeshModel):
    """Several images in, a raw or textured mesh out. `ShapeConfig` has the arguments.

    A texture is painted by the models of Hunyuan3D 2.0 from the image of the front; their folders have to lie beside
    that of the shape model.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-2mv-image-to-mesh"
    options_type = MultiViewOptions
    default_max_images: ClassVar[int] = len(SIDES)
    #: What upstream's README asks for a shape, 6 GB, and for shape and texture, 16 GB.
    vram_raw: ClassVar[int] = 6144
    vram_textured: ClassVar[int] = 16384

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._source = self._source._replace(repository=REPOSITORY)

    def _subfolder(self) -> str:
        return self.config.subfolder or SUBFOLDER

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Besides, a side for each image."""
        super().validate_inputs(inputs)
        self._options(inputs).sides(len(self._image_paths(inputs)))

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        options = self._options(inputs)
        paths = self._image_paths(inputs)
        sides = options.sides(len(paths))
        with self.turn():
            pictures = {}
            for number, (side, path) in enumerate(zip(sides, paths, strict=True)):
                self.step(0.01 + 0.04 * number / len(paths), f"reading the image of the {side}")
                pictures[side] = self._picture(inputs, path)
            by_side = {side: picture.image for side, picture in pictures.items()}
            mesh = self._shape(by_side, options, 0.05, 0.5 if options.texture else 0.94)
            if options.texture:
                mesh = self._paint(mesh, by_side["front"], PaintSettings(), 0.5, 0.94)
        response["seed"] = options.seed
        facts = {**self._facts(options, pictures["front"]), "views": sides, "images_from": image_field(inputs)}
        return self._finish(mesh, response, "generation_info", facts)
