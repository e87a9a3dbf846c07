"""What the TRELLIS.2 adapters share: loading code and weights, one request at a time, and the way out to a file."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...authoring.input_checks import image_field
from ...catalogue.needs import what_is_missing
from ...errors import InvalidInput
from ...licenses import License
from ..code import import_module, loading, put_on_path, replaced
from ..hub import Source
from ..model import UpstreamConfig, UpstreamModel, folder
from ..trellis.sampling import Span, Stage
from . import weights
from .options import Trellis2Options
from .sampling import watched
from .uv_raster import UvRasteriser

if TYPE_CHECKING:
    from ..mesh_file import Given

#: What upstream's modules and their packages import; nvdiffrast is not among them, see `uv_raster`.
NEEDED = (
    *("torch", "torchvision", "numpy", "PIL", "trimesh", "safetensors", "easydict", "tqdm", "transformers", "cv2"),
    *("cumesh", "flex_gemm", "o_voxel", "plyfile", "zstandard"),
    # The code that comes with BiRefNet's weights.
    *("kornia", "timm", "einops"),
)
#: What upstream's sparse attention knows (trellis2/modules/sparse/config.py).
ATTENTION = ("flash_attn", "xformers", "flash_attn_3")
#: The module of each.
_ATTENTION_MODULES = {"flash_attn_3": "flash_attn_interface"}
#: Fractions of a request.
EXPORT = Span(0.80, 0.96)


class Trellis2Config(UpstreamConfig):
    """The arguments of a TRELLIS.2 adapter. Weights without `model_path` come from the hub's cache."""

    #: A checkout of microsoft/TRELLIS.2.
    trellis2_root: str | Path | None = None
    #: flash_attn, xformers or flash_attn_3.
    attn_backend: str = "xformers"
    #: Keep on the device only the model that runs, as upstream does by default.
    low_vram: bool = True
    #: DINOv3 ViT-L/16: a folder, or a repository on the hub.
    image_encoder: str = weights.IMAGE_ENCODER
    #: A BiRefNet: a folder, or a repository on the hub. The Python code that lies in it is run.
    background_model: str = weights.BACKGROUND_MODEL
    #: What the hub has and this host lacks may be fetched at load.
    download: bool = False

    def __post_init__(self) -> None:
        if self.attn_backend not in ATTENTION:
            raise ValueError(f"attn_backend {self.attn_backend!r}: want one of {', '.join(ATTENTION)}")


class Trellis2Adapter(UpstreamModel):
    """One pipeline of TRELLIS.2, loaded once.

    TRELLIS.2 seeds torch's process-wide generator and moves its models between host and device, so requests to one
    loaded model run one after the other even where `max_concurrent` allows more.
    """

    adapter_id: ClassVar[str]
    pipeline_name: ClassVar[str]
    pipeline_file: ClassVar[str]
    #: Where the answer tells of what was made.
    info: ClassVar[str] = "generation_info"
    #: Sampler -> its name for people, and its part of a request.
    stages: ClassVar[dict[str, tuple[str, float, float]]]
    #: Method of the pipeline -> fraction at its beginning, and what it does.
    calls: ClassVar[dict[str, tuple[float, str]]]
    options_type: ClassVar[type[Trellis2Options]]
    license_info: ClassVar[License | None] = License(
        code="MIT (TRELLIS.2, CuMesh, FlexGEMM, BiRefNet); nvdiffrast and nvdiffrec, which are for research alone, are"
        " not used",
        weights="MIT (TRELLIS.2, BiRefNet), DINOv3 License (Meta: commercial use within its terms)",
        url="https://github.com/microsoft/TRELLIS.2",
    )
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply")
    #: What upstream's README calls necessary, with `low_vram`. 3DAIGC-API books 23.6 GB for painting.
    default_vram_mb: ClassVar[int | None] = 24576
    config_type: ClassVar[type[UpstreamConfig]] = Trellis2Config
    config: Trellis2Config

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.trellis2_root = folder(self.config.trellis2_root)
        self._raster = UvRasteriser()

    # ------------------------------------------------------------ what is there

    @abstractmethod
    def _models(self) -> tuple[str, ...]:
        """The names of the models to load."""

    def _wanted(self) -> weights.Wanted:
        return weights.Wanted(
            Source(self.model_path, weights.REPOSITORY, self.adapter_id, self.config.download),
            self.pipeline_file,
            self._models(),
            self.config.image_encoder,
            self.config.background_model,
            self.config.low_vram,
        )

    def check_available(self) -> str | None:
        """Names the missing code, package or weights."""
        root = self.trellis2_root
        code = None if root is None else root / "trellis2" / "pipelines" / "__init__.py"
        attention = _ATTENTION_MODULES.get(self.config.attn_backend, self.config.attn_backend)
        files = {"TRELLIS.2's code": ("trellis2_root", code)}
        return what_is_missing(
            self.registered_id or self.adapter_id, (*NEEDED, attention), files
        ) or weights.missing_weights(self._wanted())

    # ------------------------------------------------------------ life

    def _load_model(self) -> Any:
        self.require_available()
        assert self.trellis2_root is not None, "checked by check_available"
        # Read when upstream is imported.
        os.environ.update(ATTN_BACKEND=self.config.attn_backend, SPARSE_ATTN_BACKEND=self.config.attn_backend)
        self._raster.put_in_place()
        put_on_path(self.trellis2_root)
        pipelines = import_module("trellis2.pipelines", self.registered_id or self.adapter_id)
        import torch

        with weights.linked(self._wanted()) as links, loading("TRELLIS.2 cannot load its weights", first=True):
            pipeline = getattr(pipelines, self.pipeline_name).from_pretrained(
                str(links), config_file=self.pipeline_file
            )
        pipeline.to(torch.device(self.device))
        return pipeline

    def _unload_model(self) -> None:
        self.model = None

    # ------------------------------------------------------------ one request

    @abstractmethod
    def _make(self, image: Any, options: Any, given: Given | None) -> Any:
        """Run upstream's pipeline; returns a `trimesh.Trimesh`, +Y up."""

    def _given(self, inputs: dict[str, Any]) -> Given | None:
        """The mesh that the request names; None where a new one is made."""
        return None

    @abstractmethod
    def _runs(self, options: Any, stage: str) -> int:
        """How often a sampler runs."""

    @abstractmethod
    def _facts(self, options: Any) -> dict[str, Any]:
        """What the answer says of how it was made."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.image_input import read_image

        # The feature's base class checks the inputs and begins the answer.
        response: dict[str, Any] = super()._process_request(inputs)  # type: ignore[safe-super]
        options = self.options_type.read(inputs)
        [path] = self._image_paths(inputs)  # type: ignore[attr-defined]  # the feature's base class has it
        field = image_field(inputs)
        self.step(0.0, "reading the inputs")
        image = read_image(path, field=field)
        if image.mode == "RGBA" and image.getchannel("A").getextrema()[1] == 0:
            raise InvalidInput(f"{path.name} is fully transparent: there is no subject in it", field)
        used = {
            stage: {**getattr(self.model, f"{stage}_sampler_params"), **options.sampler(stage)} for stage in self.stages
        }
        stages = [
            Stage(f"{stage}_sampler", name, Span(start, end), int(used[stage]["steps"]) * self._runs(options, stage))
            for stage, (name, start, end) in self.stages.items()
        ]
        given = self._given(inputs)
        with self.turn():
            self._raster.between = lambda share: self.check_cancelled()
            with watched(self.model, stages, self.calls, self.step), _cut_out(self.model, path, field):
                mesh = self._make(image, options, given)
        from ..mesh_file import finish

        response["seed"] = options.seed
        about = {"model": "TRELLIS.2", "weights": str(self.model_path or weights.REPOSITORY), "seed": options.seed}
        return finish(
            self,
            mesh,
            response,
            self.info,
            {**about, **self._facts(options), "low_vram": self.config.low_vram, "samplers": used},
            given,
        )

    def _baking(self, done: int, total: int | None, what: str) -> None:
        """Hear of a step of upstream's export."""
        self.step(EXPORT.at(done, total or 1), f"baking: {what} {done}/{total}")


@contextlib.contextmanager
def _cut_out(pipeline: Any, path: Path, field: str) -> Iterator[None]:
    """While inside, an image of which nothing is left without its background is the producer's mistake."""
    cut = pipeline.preprocess_image

    def checked(image: Any) -> Any:
        try:
            return cut(image)
        except ValueError as error:
            # Upstream takes the bounding box of what is opaque, and there is none ("zero-size array").
            if "zero-size" not in str(error):
                raise
            raise InvalidInput(
                f"{path.name}: nothing is left of it when its background is taken away: there is no subject in it",
                field,
            ) from error

    with replaced(pipeline, preprocess_image=checked):
        yield
