"""What the TRELLIS adapters share: loading code and weights, one request at a time, and the way out to a file."""

from __future__ import annotations

import contextlib
import importlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ...authoring.mesh_job import finish_mesh
from ...errors import InvalidInput
from ...licenses import License
from ...runtime.process_device import peak_mb
from ..hub import Source
from ..model import UpstreamConfig, UpstreamModel
from . import upstream, weights
from .options import FIRST, SECOND, TrellisOptions
from .sampling import Span, Stage, watched

_SHAPE_MODELS = ("sparse_structure_flow_model", "sparse_structure_decoder")
_FLOW = "slat_flow_model"
_MESH = "slat_decoder_mesh"
_GAUSSIAN = "slat_decoder_gs"
#: Fractions of a request: reading, first stage, second stage, decoding, then export to the end.
_READ = 0.03
_FIRST = Span(0.05, 0.35)
_SECOND = Span(0.35, 0.75)
_DECODING = 0.76
_EXPORT = Span(0.80, 0.96)

_LICENSE = License(
    code="MIT (TRELLIS), Apache-2.0 (FlexiCubes); baked textures, and only they, use nvdiffrast (NVIDIA Source Code"
    " License) and diff-gaussian-rasterization (Gaussian-Splatting License), both for research or evaluation and not"
    " for commercial use: for that set texture: false",
    weights="MIT",
    # As configured by default, which bakes.
    commercial_use=False,
    requires_acceptance=True,
    url="https://github.com/microsoft/TRELLIS",
)


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
    #: Keeps the shape that it is given.
    paints: ClassVar[bool] = False
    options_type: ClassVar[type[TrellisOptions]]
    license_info: ClassVar[License | None] = _LICENSE
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply")
    #: The former system's measurement.
    default_vram_mb: ClassVar[int | None] = 11776
    config_type: ClassVar[type[UpstreamConfig]] = TrellisConfig
    config: TrellisConfig

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        root = self.config.trellis_root
        self.trellis_root = None if root is None else Path(root).expanduser()
        self._backends = upstream.Backends(
            self.config.attn_backend, self.config.sparse_attn_backend, self.config.spconv_algo
        )
        self._source = Source(self.model_path, self.repository, self.adapter_id, self.config.download)
        #: Why there will be no baked texture, or None.
        self._no_texture: str | None = None
        self._pipelines: Any = None

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the missing code, package or weights."""
        problem = upstream.missing_code(self.trellis_root, self._backends, self.adapter_id)
        if problem is not None:
            return problem
        return weights.missing_weights(self._source, self._wanted(textured=False))

    def _wanted(self, *, textured: bool) -> tuple[str, ...]:
        """The names of the models to load."""
        last = (_GAUSSIAN,) if textured else (_MESH,)
        if self.paints:
            return (_FLOW, *last)
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
        pipelines = upstream.import_pipelines(self.trellis_root, self._backends, self.adapter_id)
        import torch

        self._no_texture = self._why_no_texture()
        with weights.linked(self._source, self._wanted(textured=self._no_texture is None)) as folder:
            pipeline = upstream.load_pipeline(getattr(pipelines, self.pipeline_name), folder)
        pipeline.to(torch.device(self.device))
        self._pipelines = pipelines
        return pipeline

    def _unload_model(self) -> None:
        self.model = None
        self._pipelines = None

    # ------------------------------------------------------------ one request

    @abstractmethod
    def _sample(self, inputs: dict[str, Any], options: Any, formats: list[str]) -> dict[str, Any]:
        """Run upstream's pipeline; returns its outputs in these formats."""

    def _answer(self, inputs: dict[str, Any], response: dict[str, Any], info: str) -> dict[str, Any]:
        options: Any = self.options_type.read(inputs)
        with self.turn:
            self.step(_READ, "reading the inputs")
            mesh, facts = self._make(inputs, options)
        from .export import write

        self.step(_EXPORT.end, "writing the file")
        extra = write(mesh, Path(response["output_mesh_path"]))
        response["seed"] = options.seed
        facts = {
            "model": "TRELLIS",
            "weights": self._source.name,
            **facts,
            "seed": options.seed,
            "samplers": self._used(options),
            "device": self.device,
            "vram_peak_mb": peak_mb(),
            "up_axis": "+Y",
        }
        return finish_mesh(self, response, info, facts, extra)

    def _make(self, inputs: dict[str, Any], options: Any) -> tuple[Any, dict[str, Any]]:
        """Make a new shape: (trimesh.Trimesh with +Y up, facts about it)."""
        from . import export

        no_texture = self._no_texture if options.texture else "texture: false in the request"
        formats = ["mesh"] if no_texture else ["mesh", "gaussian"]
        with self._watching(options):
            outputs = self._sample(inputs, options, formats)
        extracted = outputs["mesh"][0]
        found = export.surface(extracted)
        if no_texture:
            mesh = export.coloured(export.to_y_up(found.vertices), found.faces, found.colours)
            return mesh, _coloured_facts(no_texture)
        self.step(_EXPORT.start, "baking the texture")
        mesh = export.bake_generated(
            outputs["gaussian"][0],
            extracted,
            simplify=options.simplify,
            texture_size=options.texture_resolution,
            report=self._baking,
        )
        return mesh, {**_baked_facts(options), "simplify": options.simplify}

    def _paint(self, inputs: dict[str, Any], options: Any, path: Path) -> tuple[Any, dict[str, Any]]:
        """Colour the given shape anew: (trimesh.Trimesh with +Y up, facts about it)."""
        import numpy as np

        from ...mesh.input import read_mesh
        from . import export

        given = read_mesh(path)
        no_texture = self._no_texture if options.texture else "texture: false in the request"
        if no_texture and self._no_texture is None:
            raise InvalidInput("this adapter was loaded for baking; leave texture at true", "texture")
        upright = export.to_z_up(np.asarray(given.vertices, dtype=np.float64))
        try:
            frame = export.Frame.around(upright)
        except ValueError as error:
            raise InvalidInput(f"{path.name}: {error}", "mesh_path") from error
        inside, faces = frame.into(upright), np.asarray(given.faces, dtype=np.int64)
        with self._watching(options):
            formats = ["mesh"] if no_texture else ["gaussian"]
            outputs = self._sample({**inputs, "mesh": (inside, faces)}, options, formats)
        if no_texture:
            colours = export.nearest_colours(export.surface(outputs["mesh"][0]), inside)
            mesh = export.coloured(np.asarray(given.vertices, dtype=np.float64), faces, colours)
            return mesh, _coloured_facts(no_texture)
        self.step(_EXPORT.start, "baking the texture")
        mesh = export.bake_given(
            outputs["gaussian"][0],
            inside,
            faces,
            frame,
            texture_size=options.texture_resolution,
            report=self._baking,
        )
        return mesh, _baked_facts(options)

    def _given_to_open3d(self, inputs: dict[str, Any]) -> Any:
        """The mesh to paint as upstream's `voxelize` takes it."""
        open3d = importlib.import_module("open3d")
        vertices, faces = inputs["mesh"]
        return open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces.astype("int32"))
        )

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
        """Upstream's keyword arguments for both samplers."""
        return {f"{stage}_sampler_params": options.sampler(stage) for stage in self._stages}

    def _used(self, options: Any) -> dict[str, Any]:
        """The values that the samplers get: the weights' own with the request's over them."""
        return {
            stage: {**getattr(self.model, f"{stage}_sampler_params"), **options.sampler(stage)}
            for stage in self._stages
        }

    @property
    def _stages(self) -> tuple[str, ...]:
        """The sampler prefixes that are used: the second stage alone where the shape is given."""
        return (SECOND,) if self.paints else (FIRST, SECOND)

    @contextlib.contextmanager
    def _watching(self, options: Any) -> Iterator[None]:
        used = self._used(options)
        stages = [Stage("slat_sampler", "surface and colour", _SECOND, int(used[SECOND]["steps"]))]
        if self.paints:
            stages = [stages[0]._replace(span=Span(_FIRST.start, _SECOND.end))]
        else:
            first = Stage("sparse_structure_sampler", "structure", _FIRST, int(used[FIRST]["steps"]))
            stages.insert(0, first)
        with watched(self.model, stages, _DECODING, self.step):
            yield

    def _baking(self, done: int, total: int | None, what: str) -> None:
        """Report steps of upstream's own loops. How they share the time was not measured: each runs over the span."""
        self.check_cancelled()
        known = total is not None and total > 0
        name = f"baking: {what or 'cleaning the mesh'} {done}" + (f"/{total}" if known else "")
        self.report_progress(_EXPORT.start if what == "" else _EXPORT.at(done, total or 1) if known else None, name)


def _coloured_facts(reason: str) -> dict[str, Any]:
    return {"colour": "vertex colours", "colour_reason": reason}


def _baked_facts(options: Any) -> dict[str, Any]:
    return {"colour": "baked texture", "texture_resolution": options.texture_resolution}
