"""What the TRELLIS adapters share: loading code and weights, one request at a time, and the way out to a file."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import InvalidInput
from ...licenses import License
from ...texture_models import BaseTextureModel
from ..hub import Source
from ..model import UpstreamConfig, UpstreamModel, folder
from ..unwrapping import MAX_PAINT_FACES, require_paintable
from . import upstream, weights
from .options import FIRST, SECOND, TrellisOptions
from .sampling import Span, Stage, watched

if TYPE_CHECKING:
    from ..mesh_file import Given

_SHAPE_MODELS = ("sparse_structure_flow_model", "sparse_structure_decoder")
_FLOW = "slat_flow_model"
_MESH = "slat_decoder_mesh"
_GAUSSIAN = "slat_decoder_gs"
#: Fractions of a request, beside those of the samplers: reading, decoding, then export to the end.
_READ = 0.03
_DECODING = 0.76
_EXPORT = Span(0.80, 0.96)
_STAGES = {FIRST: "structure", SECOND: "surface and colour"}

_URL = "https://github.com/microsoft/TRELLIS"
_PARTS = "MIT (TRELLIS, rembg), Apache-2.0 (FlexiCubes, DINOv2, u2net)"
_LICENSE = License(
    code=f"{_PARTS}; baked textures, and only they, use nvdiffrast (NVIDIA Source Code"
    " License) and diff-gaussian-rasterization (Gaussian-Splatting License), both for research or evaluation and not"
    " for commercial use: for that set texture: false",
    weights="MIT",
    # As configured by default, which bakes.
    commercial_use=False,
    requires_acceptance=True,
    url=_URL,
)
_LICENSE_RAW = License(code=_PARTS, weights="MIT", commercial_use=True, url=_URL)


class TrellisConfig(UpstreamConfig):
    """The arguments of a TRELLIS adapter. Weights without `model_path` come from the hub's cache."""

    #: A checkout of microsoft/TRELLIS with its submodules; None where TRELLIS is installed as a package.
    trellis_root: str | Path | None = None
    #: flash_attn or xformers, and for dense attention also sdpa or naive; by default what is installed.
    attn_backend: str | None = None
    #: flash_attn or xformers, where it is to differ.
    sparse_attn_backend: str | None = None
    #: native, implicit_gemm, or auto, which measures all and may then differ from run to run.
    spconv_algo: str = "native"
    #: Decode what a baked texture needs; false saves its VRAM and gives vertex colours.
    texture: bool = True
    #: Triangles that a texture is baked for, at most: a given mesh of more is refused, a made one reduced to them.
    max_paint_faces: int = MAX_PAINT_FACES
    #: What the hub has and this host lacks (TRELLIS, CLIP, DINOv2) may be fetched at load.
    download: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("attn_backend", upstream.DENSE_ATTENTION),
            ("sparse_attn_backend", upstream.SPARSE_ATTENTION),
            ("spconv_algo", upstream.CONVOLUTIONS),
        ):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ValueError(f"{name} {value!r}: want one of {', '.join(known)}")


class TrellisAdapter(UpstreamModel):
    """One pipeline of TRELLIS, loaded once.

    TRELLIS seeds torch's process-wide generator and its samplers keep state, so requests to one loaded model run one
    after the other even where `max_concurrent` allows more.

    Raises:
        ValueError: an unknown backend.
    """

    adapter_id: ClassVar[str]
    repository: ClassVar[str]
    pipeline_name: ClassVar[str]
    #: Where the answer tells of what was made.
    info: ClassVar[str] = "generation_info"
    #: The samplers that run, and their parts of a request.
    spans: ClassVar[dict[str, Span]] = {FIRST: Span(0.05, 0.35), SECOND: Span(0.35, 0.75)}
    options_type: ClassVar[type[TrellisOptions]]
    license_info: ClassVar[License | None] = _LICENSE
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply")
    #: README of TRELLIS, line 41: at least 16 GB.
    vram_textured: ClassVar[int] = 16384
    #: The former system's measurement; upstream has no figure for it.
    vram_raw: ClassVar[int] = 11776
    config_type: ClassVar[type[UpstreamConfig]] = TrellisConfig
    config: TrellisConfig

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        if not self.config.texture:
            self.license_info = _LICENSE_RAW  # type: ignore[misc]  # of this configuration
        self.trellis_root = folder(self.config.trellis_root)
        self._backends = upstream.Backends(
            self.config.attn_backend, self.config.sparse_attn_backend, self.config.spconv_algo
        )
        self._source = Source(self.model_path, self.repository, self.adapter_id, self.config.download)
        #: Why there will be no baked texture, or None.
        self._no_texture: str | None = None
        self._pipelines: Any = None

    def _vram_mb(self) -> int:
        given = self.config.vram_requirement
        return given if given is not None else self.vram_textured if self.config.texture else self.vram_raw

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the missing code, package, compiled module or weights."""
        return (
            upstream.missing_code(self.trellis_root, self._backends, self.adapter_id)
            or weights.missing_weights(self._source, self._wanted(textured=False))
            or self._missing_remover()
            or self._missing_compiled()
        )

    def _missing_remover(self) -> str | None:
        """In words that pictures cannot be cut out; None where that goes, or there are no pictures."""
        return None

    def _missing_compiled(self) -> str | None:
        lacking = upstream.missing_compiled() if self.config.texture else None
        if lacking is None:
            return None
        return f"{lacking}; run: pocket3d adapters install {self.adapter_id} - or set texture: false"

    def _wanted(self, *, textured: bool) -> tuple[str, ...]:
        """The names of the models to load."""
        return (*_SHAPE_MODELS, _FLOW, _MESH, *((_GAUSSIAN,) if textured else ()))

    def _why_no_texture(self) -> str | None:
        if not self.config.texture:
            return "texture: false in the adapter's config"
        if not self.device.startswith("cuda"):
            return f"this worker's device is {self.device}: upstream bakes with CUDA only"
        lacking = upstream.missing_for_texture()
        return f"not installed: {', '.join(lacking)}" if lacking else None

    # ------------------------------------------------------------ life

    def _load_model(self) -> Any:
        self._pipelines = upstream.import_pipelines(
            self.trellis_root, self._backends, self.adapter_id, self.require_card()
        )
        import torch

        self._no_texture = self._why_no_texture()
        wanted = self._wanted(textured=self._no_texture is None)
        with weights.linked(self._source, wanted) as links, weights.local_hub(torch.hub):
            pipeline = upstream.load_pipeline(getattr(self._pipelines, self.pipeline_name), links)
        pipeline.to(torch.device(self.device))
        return pipeline

    def _unload_model(self) -> None:
        self.model = self._pipelines = None

    # ------------------------------------------------------------ one request

    @abstractmethod
    def _sample(self, inputs: dict[str, Any], options: Any, formats: list[str]) -> Any:
        """Run upstream's pipeline; returns its outputs in these formats, by format."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        # The feature's base class checks the inputs and begins the answer.
        response: dict[str, Any] = super()._process_request(inputs)  # type: ignore[safe-super]
        options: Any = self.options_type.read(inputs)
        no_texture = self._no_texture if options.texture else "texture: false in the request"
        with self.turn():
            self.step(_READ, "reading the inputs")
            given = self._given(inputs)
            mesh = self._make(inputs, options, given, textured=no_texture is None)
        from ..mesh_file import finish

        response["seed"] = options.seed
        facts: dict[str, Any] = {"colour": "vertex colours", "colour_reason": no_texture}
        if no_texture is None:
            facts = {"colour": "baked texture", "texture_resolution": options.texture_resolution}
            if hasattr(options, "simplify"):
                facts["simplify"] = options.simplify
        facts.update(model="TRELLIS", weights=self._source.name, seed=options.seed, samplers=self._used(options))
        return finish(self, mesh, response, self.info, facts, given)

    def _given(self, inputs: dict[str, Any]) -> Given | None:
        """The mesh that the request names; None where a new one is made."""
        return None

    def _make(self, inputs: dict[str, Any], options: Any, given: Given | None, *, textured: bool) -> Any:
        """Make a new shape, a trimesh.Trimesh with +Y up."""
        from . import export

        outputs = self._watched(inputs, options, ["mesh", "gaussian"] if textured else ["mesh"])
        extracted = outputs["mesh"][0]
        found = export.surface(extracted)
        if not textured:
            return export.coloured(found.vertices @ export.TO_Y_UP, found.faces, found.colours)
        self.step(_EXPORT.start, "baking the texture")
        return export.bake_generated(
            outputs["gaussian"][0],
            extracted,
            # Upstream fills holes afterwards: a little more than that is unwrapped.
            simplify=simplify_to(options, len(found.faces), self.config.max_paint_faces),
            texture_size=options.texture_resolution,
            seed=options.seed,
            report=self._baking,
        )

    def _watched(self, inputs: dict[str, Any], options: Any, formats: list[str]) -> Any:
        """`_sample`, with its steps told."""
        used = self._used(options)
        stages = [
            Stage(f"{stage}_sampler", _STAGES[stage], span, int(used[stage]["steps"]))
            for stage, span in self.spans.items()
        ]
        with watched(self.model, stages, _DECODING, self.step):
            return self._sample(inputs, options, formats)

    def _picture(self, path: Path, options: Any, field: str) -> Any:
        """One image as the encoder takes it, the subject cut out unless the request says not to."""
        from ...mesh.image_input import read_image

        image: Any = read_image(path, field=field)
        if not options.preprocess_image:
            return image
        if image.mode == "RGBA" and image.getextrema()[3][1] == 0:
            raise InvalidInput(f"{path.name} is fully transparent: there is no subject in it", field)
        self.step(_READ, "cutting out the subject")
        try:
            return self.model.preprocess_image(image)
        except ValueError as error:
            # Upstream takes the bounding box of what is opaque, and there is none ("zero-size array").
            raise InvalidInput(f"{path.name}: no subject was found in it ({error})", field) from error

    def _sampler_params(self, options: Any) -> dict[str, Any]:
        """Upstream's keyword arguments for its samplers."""
        return {f"{stage}_sampler_params": options.sampler(stage) for stage in self.spans}

    def _used(self, options: Any) -> dict[str, Any]:
        """The values that the samplers get: the weights' own with the request's over them."""
        return {
            stage: {**getattr(self.model, f"{stage}_sampler_params"), **options.sampler(stage)} for stage in self.spans
        }

    def _baking(self, done: int, total: int | None, what: str) -> None:
        """Report steps of upstream's own loops. How they share the time was not measured: each runs over the span."""
        self.check_cancelled()
        known = total is not None and total > 0
        name = f"baking: {what or 'cleaning the mesh'} {done}" + (f"/{total}" if known else "")
        self.report_progress(_EXPORT.start if what == "" else _EXPORT.at(done, total or 1) if known else None, name)


def simplify_to(options: Any, faces: int, most: int) -> float:
    """The share of triangles to take away: what the request says, or more where too many would be unwrapped, which
    `options` then tell.
    """
    options.simplify = max(options.simplify, round(1 - min(1.0, most / faces), 4))
    return float(options.simplify)


class TrellisPaintingAdapter(TrellisAdapter, BaseTextureModel):
    """Keeps the shape that it is given, and runs the second stage alone."""

    info: ClassVar[str] = "painting_info"
    spans: ClassVar[dict[str, Span]] = {SECOND: Span(0.05, 0.75)}
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")

    def _wanted(self, *, textured: bool) -> tuple[str, ...]:
        return (_FLOW, _GAUSSIAN if textured else _MESH)

    def _given(self, inputs: dict[str, Any]) -> Given | None:
        from ..mesh_file import read_given

        return read_given(self._mesh_path(inputs))

    def _make(self, inputs: dict[str, Any], options: Any, given: Given | None, *, textured: bool) -> Any:
        """Colour the given shape anew. `_sample` gets it in `inputs["mesh"]`, as upstream's `voxelize` takes it."""
        import numpy as np

        from . import export

        assert given is not None, "a request to paint names a mesh"
        if not textured and self._no_texture is None:
            raise InvalidInput("this adapter was loaded for baking; leave texture at true", "texture")
        vertices, faces = (
            np.asarray(given.mesh.vertices, dtype=np.float64),
            np.asarray(given.mesh.faces, dtype=np.int64),
        )
        if textured:
            require_paintable(len(faces), self.config.max_paint_faces)
        frame = export.Frame.around(vertices @ export.TO_Y_UP.T)
        inside = frame.into(vertices @ export.TO_Y_UP.T)
        open3d = importlib.import_module("open3d")
        shape = open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(inside), open3d.utility.Vector3iVector(faces.astype("int32"))
        )
        outputs = self._watched({**inputs, "mesh": shape}, options, ["gaussian"] if textured else ["mesh"])
        if not textured:
            return export.coloured(vertices, faces, export.nearest_colours(export.surface(outputs["mesh"][0]), inside))
        self.step(_EXPORT.start, "baking the texture")
        return export.bake_given(
            outputs["gaussian"][0],
            inside,
            faces,
            frame,
            texture_size=options.texture_resolution,
            seed=options.seed,
            report=self._baking,
        )
