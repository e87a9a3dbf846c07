"""What the adapters of Hunyuan3D share: finding, loading and running the models, one request at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...authoring.input_checks import image_field
from ...authoring.options import json_schema
from ...errors import AdapterUnavailable, InvalidInput
from ...licenses import EUROPEAN_UNION, License
from ..code import import_module, put_on_path
from ..hub import Source
from ..model import UpstreamConfig, UpstreamModel, folder
from ..unwrapping import MAX_PAINT_FACES
from . import background, weights
from .options import ShapeOptions
from .painting import PARTS_20, PARTS_21, Painter, Painter20, Painter21, PaintSettings, upscaler_of
from .progress import Stage
from .shape import clean_up, load_shape_pipeline, run_shape
from .versions import V20, V21, Version

if TYPE_CHECKING:
    from ..mesh_file import Given

TERRITORY = "not in the European Union, the United Kingdom or South Korea, outputs included"
EXCLUDED = (*EUROPEAN_UNION, "GB", "KR")
#: Beside Tencent's terms, in words.
CONDITIONS = (
    " (commercial use up to a million monthly users, while some files' headers say non-commercial); rembg MIT, u2net"
    " Apache-2.0"
)
_DTYPES = (None, "float16", "bfloat16", "float32")
_DINO = "facebook/dinov2-giant"


class Hunyuan3DConfig(UpstreamConfig):
    """The arguments of all adapters of Hunyuan3D.

    `model_path` is a folder that holds the models' folders, or a repository on the hub; by default upstream's, looked
    for below `$HY3DGEN_MODELS` (or ~/.cache/hy3dgen) and in the hub's cache.
    """

    #: A checkout of upstream; not needed for shapes where its package is installed.
    hunyuan3d_root: str | Path | None = None
    #: Dotted path of a class whose objects take an image and give it back with a transparent background; by default
    #: upstream's, which uses rembg. `none`: opaque images are refused.
    background_remover: str | None = None
    #: Weights that are not here may be fetched at load.
    download: bool = False
    #: The first is the default.
    supported_output_formats: Sequence[str] | None = None
    #: Triangles of a mesh that is painted, at most; of a shape that is made, it is reduced to them.
    max_paint_faces: int = MAX_PAINT_FACES
    #: For painting with 2.1: DINOv2 giant, a folder or a repository.
    dino_path: str | Path | None = None
    #: For painting with 2.1: RealESRGAN_x4plus.pth; by default in `hunyuan3d_root`.
    upscaler_path: str | Path | None = None


class ShapeConfig(Hunyuan3DConfig):
    """The arguments of those that make shapes."""

    #: Load the painting model too; requests may then do without.
    texture: bool = False
    #: Which shape model (`hunyuan3d-dit-v2-0-turbo`, or `hunyuan3d-dit-v2-mini-turbo` of Hunyuan3D-2mini).
    subfolder: str | None = None
    #: The default of requests.
    num_inference_steps: int = 50
    #: `float16`, `bfloat16` or `float32`; by default half precision on CUDA.
    dtype: str | None = None
    #: Upstream's faster decoder.
    flashvdm: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"dtype {self.dtype!r}: want one of {', '.join(str(each) for each in _DTYPES[1:])}")


class Hunyuan3DAdapter(UpstreamModel):
    """What shapes and painting have in common: this class alone loads the painting model and makes no shapes."""

    version: ClassVar[Version] = V20
    adapter_id: ClassVar[str] = ""
    #: MB: with the painting model, and without.
    vram_textured: ClassVar[int] = 0
    vram_raw: ClassVar[int] = 0
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    license_info: ClassVar[License | None] = License(
        code=f"Tencent Hunyuan 3D 2.0 Community License{CONDITIONS}",
        weights="Tencent Hunyuan 3D 2.0 Community License",
        # Unclear: it depends on who uses it, and the licence and the files contradict each other.
        commercial_use=None,
        territory=TERRITORY,
        excluded_territories=EXCLUDED,
        url="https://huggingface.co/tencent/Hunyuan3D-2/blob/main/LICENSE",
        requires_acceptance=True,
    )
    config_type: ClassVar[type[UpstreamConfig]] = Hunyuan3DConfig
    config: Hunyuan3DConfig

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.hunyuan3d_root = folder(self.config.hunyuan3d_root)
        self._upscaler = folder(self.config.upscaler_path)
        self._remover_path = self.config.background_remover or self.version.background_remover
        self._source = Source(self.model_path, self.version.repository, self.adapter_id, self.config.download)
        self._painter: Painter | None = None
        self._remover: Any = None

    @property
    def texture(self) -> bool:
        """Whether the painting model is loaded."""
        return True

    def _vram_mb(self) -> int:
        given = self.config.vram_requirement
        return given if given is not None else self.vram_textured if self.texture else self.vram_raw

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the missing code, package or weights."""
        version = self.version
        # Weights first: what a person set in models.yaml is what a person can mend there.
        return (
            weights.missing(self._source, self._subfolder(), self._paint_parts())
            or self._missing_for_2_1()
            or version.missing_code(self.hunyuan3d_root, self._modules(), self.adapter_id)
            or self._missing_inpainting()
            or background.missing_remover(self._remover_path, version.background_remover, download=self.config.download)
        )

    def _subfolder(self) -> str | None:
        """The folder of the shape model; None for no shapes."""
        return None

    def _modules(self) -> tuple[str, ...]:
        needed = self.version.needed
        return (*needed, *self.version.needed_for_paint) if self.texture else needed

    def _paint_parts(self) -> list[dict[str, str]]:
        if not self.texture:
            return []
        return [PARTS_20 if self.version is V20 else PARTS_21]

    def _missing_inpainting(self) -> str | None:
        return self.version.missing_inpainting(self.hunyuan3d_root, self.adapter_id) if self.texture else None

    def _missing_for_2_1(self) -> str | None:
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
        self.require_available()
        self.require_card()
        put_on_path(*self.version.folders_of(self.hunyuan3d_root))
        pipeline = self._load_shapes()
        if self.texture:
            self._painter = self._load_painter()
        self._remover = background.load_remover(self._remover_path)
        return self._painter if pipeline is None else pipeline

    def _load_shapes(self) -> Any:
        """Load upstream's shape pipeline; None for no shapes."""
        return None

    def _load_painter(self) -> Painter:
        if not self.device.startswith("cuda"):
            raise AdapterUnavailable(f"Hunyuan3D paints with CUDA only and this worker's device is {self.device}")
        if self.version is V20:
            return Painter20(self._source)
        assert self.hunyuan3d_root is not None, "checked by _missing_for_2_1"
        dino = _DINO if self.config.dino_path is None else str(self.config.dino_path)
        return Painter21(self._source, self.hunyuan3d_root, dino, self._upscaler)

    def _unload_model(self) -> None:
        self.model = self._painter = self._remover = None

    # ------------------------------------------------------------ one request

    def _picture(self, inputs: dict[str, Any], path: Path) -> background.CutOut:
        """Cut the subject out of an input image."""
        from ...mesh.image_input import read_image

        field = image_field(inputs)
        return self._cut_out(read_image(path, field=field), field)

    def _cut_out(self, image: Any, field: str) -> background.CutOut:
        return background.cut_out(image, self._remover, self._remover_path, field)

    def _paint(self, mesh: Any, image: Any, settings: PaintSettings, start: float, end: float) -> Any:
        """Paint the mesh."""
        if self._painter is None:
            raise AdapterUnavailable("the painting model is not loaded")
        stage = Stage(self.step, "painting", start, end)
        stage(0)
        # Of this job alone: upstream writes files of fixed names beside the mesh.
        with tempfile.TemporaryDirectory(prefix="painting-", dir=self.output_dir) as name:
            return self._painter(mesh, image, settings, Path(name), stage)

    def _finish(
        self, mesh: Any, response: dict[str, Any], info: str, facts: dict[str, Any], given: Given | None = None
    ) -> dict[str, Any]:
        """Write the mesh and complete the answer; `given` is the one that was painted."""
        from ..mesh_file import finish

        about = {"model": f"Hunyuan3D {self.version.name}", "weights": self._source.name, **facts}
        return finish(self, mesh, response, info, about, given)


class Hunyuan3DShapeAdapter(Hunyuan3DAdapter):
    """Makes shapes, and paints them where it is configured so."""

    options_type: ClassVar[type[ShapeOptions]]
    config_type: ClassVar[type[UpstreamConfig]] = ShapeConfig
    config: ShapeConfig
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply")

    @property
    def texture(self) -> bool:
        """Whether the painting model is loaded."""
        return self.config.texture

    def _subfolder(self) -> str:
        return self.config.subfolder or self.version.subfolder

    def _load_shapes(self) -> Any:
        module = import_module(self.version.shape_module, self.adapter_id)
        checkpoint = weights.shape_checkpoint(self._source, self._subfolder())
        return load_shape_pipeline(module, checkpoint, self.device, self.config.dtype, flash=self.config.flashvdm)

    def get_parameter_schema(self) -> dict[str, Any]:
        """The options with the defaults of this configuration."""
        schema = json_schema(self.options_type, self.supported_output_formats)
        options = schema["properties"]
        options["num_inference_steps"]["default"] = self.config.num_inference_steps
        options["texture"]["default"] = self.texture
        if not self.texture:
            options["texture"]["enum"] = [False]
            options["texture"]["description"] = (
                "this adapter was configured without the painting model (texture: false)"
            )
        return schema

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Refuse wrong options, and a format that cannot hold what is asked for."""
        super().validate_inputs(inputs)
        self._options(inputs)

    def _options(self, inputs: dict[str, Any]) -> Any:
        """Read the options, with the defaults of this configuration.

        Raises:
            InvalidInput: of a wrong type or out of range; no painting model; or the format holds no texture.
        """
        options = self.options_type.read(inputs)
        if options.num_inference_steps is None:
            options.num_inference_steps = self.config.num_inference_steps
        if options.texture is None:
            options.texture = self.texture
        if options.texture and not self.texture:
            raise InvalidInput(
                "this adapter was configured without the painting model: leave texture out, or set texture: true in"
                " its config in models.yaml",
                "texture",
            )
        if options.texture and self._validate_common_inputs(inputs) == "ply":
            raise InvalidInput("ply has no place for a texture: want glb or obj, or texture: false", "output_format")
        most = self.config.max_paint_faces
        if options.texture and options.max_faces > most:
            raise InvalidInput(
                f"max_faces is {options.max_faces}; with a texture at most {most} (max_paint_faces in the adapter's"
                " config), or texture: false",
                "max_faces",
            )
        if options.texture and options.max_faces == 0:
            options.max_faces = most
        return options

    def _shape(self, image: Any, options: ShapeOptions, start: float, end: float) -> Any:
        """Make a shape from a picture and clean it up; a trimesh.Trimesh."""
        whole = Stage(self.step, "shape", start, end)
        mesh = run_shape(
            self.model,
            image,
            options,
            whole.part("sampling", 0.0, 0.5),
            whole.part("decoding the volume", 0.5, 0.95),
        )
        return clean_up(self.version, mesh, options, self.output_dir, whole.part("cleaning up", 0.95, 1.0))

    def _facts(self, options: ShapeOptions, picture: background.CutOut) -> dict[str, Any]:
        """The options with which a shape was made, for the answer."""
        return {
            "subfolder": self._subfolder(),
            "seed": options.seed,
            "num_inference_steps": options.num_inference_steps,
            "guidance_scale": options.guidance_scale,
            "octree_resolution": options.octree_resolution,
            "num_chunks": options.num_chunks,
            "max_faces": options.max_faces or None,
            "background": picture.source,
            "has_texture": options.texture,
        }
