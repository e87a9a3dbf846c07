"""What the TRELLIS adapters share: loading code and weights, one request at a time, and the way out to a file."""

from __future__ import annotations

import contextlib
import importlib
import threading
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from .. import torch_memory
from ..base import BaseModel
from ..errors import InvalidInput
from ..licenses import License
from . import parameters, upstream, weights
from .parameters import FIRST, SECOND, Settings
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
_WAIT_S = 0.2

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


class TrellisAdapter(BaseModel):
    """One pipeline of TRELLIS, loaded once.

    TRELLIS seeds torch's process-wide generator and its samplers keep state, so requests to one loaded model run one
    after the other even where `max_concurrent` allows more.

    Args:
        model_id: its name; default the adapter's id.
        model_path: folder of the weights (or of the folder that has them), or a repository on the hub; default the
            repository of upstream's release, from the hub's cache.
        vram_requirement: MB; the default is the former system's measurement.
        max_concurrent: requests that may be handed to it at once.
        trellis_root: a checkout of microsoft/TRELLIS with its submodules; None where TRELLIS is installed as a package.
        attn_backend: flash_attn or xformers, and for dense attention also sdpa or naive; default what is installed.
        sparse_attn_backend: flash_attn or xformers, where it is to differ.
        spconv_algo: native, implicit_gemm, or auto, which measures all and may then differ from run to run.
        texture: decode what a baked texture needs; false saves its VRAM and gives vertex colours.
        download: what the hub has and this host lacks (TRELLIS, CLIP, DINOv2) may be fetched at load.
        feature_type: the class's own unless told another.

    Raises:
        ValueError: an unknown backend.
    """

    adapter_id: ClassVar[str]
    repository: ClassVar[str]
    pipeline_name: ClassVar[str]
    #: Keeps the shape that it is given.
    paints: ClassVar[bool] = False
    license_info: ClassVar[License | None] = _LICENSE
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply")

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int = 11776,
        max_concurrent: int = 1,
        trellis_root: str | Path | None = None,
        attn_backend: str | None = None,
        sparse_attn_backend: str | None = None,
        spconv_algo: str = "native",
        texture: bool = True,
        download: bool = False,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id=model_id if model_id is not None else self.adapter_id,
            model_path=model_path,
            vram_requirement=vram_requirement,
            feature_type=feature_type,
            max_concurrent=max_concurrent,
        )
        _one_of("attn_backend", attn_backend, upstream.DENSE_ATTENTION)
        _one_of("sparse_attn_backend", sparse_attn_backend, upstream.SPARSE_ATTENTION)
        _one_of("spconv_algo", spconv_algo, upstream.CONVOLUTIONS)
        self.trellis_root = None if trellis_root is None else Path(trellis_root).expanduser()
        self._backends = upstream.Backends(attn_backend, sparse_attn_backend, spconv_algo)
        self._source = weights.Source(model_path, self.repository, self.adapter_id, download)
        self._texture = texture
        #: Why there will be no baked texture, or None.
        self._no_texture: str | None = None
        self._pipelines: Any = None
        self._turn = threading.Lock()

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the missing code, package or weights."""
        problem = upstream.missing_code(self.trellis_root, self._backends, self.adapter_id)
        if problem is not None:
            return problem
        return weights.missing_weights(self._source, self._wanted(textured=False))

    def _wanted(self, *, textured: bool) -> tuple[str, ...]:
        """Names of the models to load."""
        last = (_GAUSSIAN,) if textured else (_MESH,)
        if self.paints:
            return (_FLOW, *last)
        return (*_SHAPE_MODELS, _FLOW, _MESH, *((_GAUSSIAN,) if textured else ()))

    def _why_no_texture(self) -> str | None:
        if not self._texture:
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

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The files' names, the format and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        parameters.read(inputs)

    # ------------------------------------------------------------ one request

    @abstractmethod
    def _sample(self, inputs: dict[str, Any], settings: Settings, formats: list[str]) -> dict[str, Any]:
        """Upstream's outputs in these formats."""

    def _answer(self, inputs: dict[str, Any], response: dict[str, Any], info: str) -> dict[str, Any]:
        settings = parameters.read(inputs)
        with self._my_turn():
            self._tell(_READ, "reading the inputs")
            mesh, facts = self._make(inputs, settings)
        from ..mesh_result import describe_mesh
        from .export import write

        target = Path(response["output_mesh_path"])
        self._tell(_EXPORT.end, "writing the file")
        extra = write(mesh, target)
        described = describe_mesh(target, self.output_dir)
        counted = described["statistics"]
        response[info] = {
            **response[info],
            "model": "TRELLIS",
            "weights": self.repository if self.model_path is None else str(self.model_path),
            **facts,
            "statistics": counted,
            "vertex_count": counted["vertices"],
            "face_count": counted["faces"],
            "seed": settings.seed,
            "samplers": self._used(settings),
            "device": self.device,
            "vram_peak_mb": torch_memory.peak_mb(),
            "up_axis": "+Y",
            "output_format": target.suffix[1:],
        }
        response["seed"] = settings.seed
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self._tell(1.0, "done")
        return response

    def _make(self, inputs: dict[str, Any], settings: Settings) -> tuple[Any, dict[str, Any]]:
        """A new shape: (trimesh.Trimesh with +Y up, facts about it)."""
        from . import export

        no_texture = self._no_texture if settings.texture else "texture: false in the request"
        formats = ["mesh"] if no_texture else ["mesh", "gaussian"]
        with self._watching(settings):
            outputs = self._sample(inputs, settings, formats)
        extracted = outputs["mesh"][0]
        found = export.surface(extracted)
        if no_texture:
            mesh = export.coloured(export.to_y_up(found.vertices), found.faces, found.colours)
            return mesh, _coloured_facts(no_texture)
        self._tell(_EXPORT.start, "baking the texture")
        mesh = export.bake_generated(
            outputs["gaussian"][0],
            extracted,
            simplify=settings.simplify,
            texture_size=settings.texture_resolution,
            tell=self._baking,
        )
        return mesh, {**_baked_facts(settings), "simplify": settings.simplify}

    def _paint(self, inputs: dict[str, Any], settings: Settings, path: Path) -> tuple[Any, dict[str, Any]]:
        """The given shape in new colours: (trimesh.Trimesh with +Y up, facts about it)."""
        import numpy as np

        from ..mesh_input import read_mesh
        from . import export

        given = read_mesh(path)
        no_texture = self._no_texture if settings.texture else "texture: false in the request"
        if no_texture and self._no_texture is None:
            raise InvalidInput("this adapter was loaded for baking; leave texture at true", "texture")
        upright = export.to_z_up(np.asarray(given.vertices, dtype=np.float64))
        try:
            frame = export.Frame.around(upright)
        except ValueError as error:
            raise InvalidInput(f"{path.name}: {error}", "mesh_path") from error
        inside, faces = frame.into(upright), np.asarray(given.faces, dtype=np.int64)
        with self._watching(settings):
            formats = ["mesh"] if no_texture else ["gaussian"]
            outputs = self._sample({**inputs, "mesh": (inside, faces)}, settings, formats)
        if no_texture:
            colours = export.nearest_colours(export.surface(outputs["mesh"][0]), inside)
            mesh = export.coloured(np.asarray(given.vertices, dtype=np.float64), faces, colours)
            return mesh, _coloured_facts(no_texture)
        self._tell(_EXPORT.start, "baking the texture")
        mesh = export.bake_given(
            outputs["gaussian"][0],
            inside,
            faces,
            frame,
            texture_size=settings.texture_resolution,
            tell=self._baking,
        )
        return mesh, _baked_facts(settings)

    def _given_to_open3d(self, inputs: dict[str, Any]) -> Any:
        """The mesh to paint as upstream's `voxelize` takes it."""
        open3d = importlib.import_module("open3d")
        vertices, faces = inputs["mesh"]
        return open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces.astype("int32"))
        )

    def _picture(self, path: Path, settings: Settings, field: str) -> Any:
        """One image as the encoder takes it, the subject cut out unless the request says not to."""
        from ..image_input import read_image

        image: Any = read_image(path, field=field)
        if not settings.preprocess_image:
            return image
        if image.mode == "RGBA" and image.getextrema()[3][1] == 0:
            raise InvalidInput(f"{path.name} is fully transparent: there is no subject in it", field)
        self._tell(_READ, "cutting out the subject")
        try:
            return self.model.preprocess_image(image)
        except ValueError as error:
            # Upstream takes the bounding box of what is opaque, and there is none ("zero-size array").
            raise InvalidInput(f"{path.name}: no subject was found in it ({error})", field) from error

    def _sampler_params(self, settings: Settings) -> dict[str, Any]:
        """Upstream's keyword arguments for both samplers."""
        names = (SECOND,) if self.paints else (FIRST, SECOND)
        return {f"{name}_sampler_params": settings.samplers[name] for name in names}

    def _used(self, settings: Settings) -> dict[str, Any]:
        """What the samplers really got: the weights' own values with the request's over them."""
        return {
            name: {**getattr(self.model, f"{name}_sampler_params"), **settings.samplers[name]}
            for name in ((SECOND,) if self.paints else (FIRST, SECOND))
        }

    @contextlib.contextmanager
    def _watching(self, settings: Settings) -> Iterator[None]:
        used = self._used(settings)
        stages = [Stage("slat_sampler", "surface and colour", _SECOND, int(used[SECOND]["steps"]))]
        if self.paints:
            stages = [stages[0]._replace(span=Span(_FIRST.start, _SECOND.end))]
        else:
            first = Stage("sparse_structure_sampler", "structure", _FIRST, int(used[FIRST]["steps"]))
            stages.insert(0, first)
        with watched(self.model, stages, _DECODING, self._tell):
            yield

    def _tell(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)

    def _baking(self, done: int, total: int | None, what: str) -> None:
        """Steps of upstream's own loops; how the loops share the time was not measured, so each runs over the span."""
        self.check_cancelled()
        known = total is not None and total > 0
        name = f"baking: {what or 'cleaning the mesh'} {done}" + (f"/{total}" if known else "")
        self.report_progress(_EXPORT.start if what == "" else _EXPORT.at(done, total or 1) if known else None, name)

    @contextlib.contextmanager
    def _my_turn(self) -> Iterator[None]:
        while not self._turn.acquire(timeout=_WAIT_S):
            self.check_cancelled()
        try:
            yield
        finally:
            self._turn.release()


def _one_of(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ValueError(f"{name} {value!r}: want one of {', '.join(known)}")


def _coloured_facts(reason: str) -> dict[str, Any]:
    return {"colour": "vertex colours", "colour_reason": reason}


def _baked_facts(settings: Settings) -> dict[str, Any]:
    return {"colour": "baked texture", "texture_resolution": settings.texture_resolution}
