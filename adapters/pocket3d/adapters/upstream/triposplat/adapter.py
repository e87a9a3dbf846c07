"""`triposplat-image-to-splat`: one image in, a cloud of 3D Gaussians out, as `.ply` or `.splat`.

Upstream is VAST-AI-Research/TripoSplat at the recipe's commit: two files of plain PyTorch, nothing compiled. What of
this ran for real here: these two files on a CPU with tiny random weights, from submit to both formats, by an opt-in
test (tests/models). What did not: the published weights and so any quality, a GPU, VRAM.

Files keep upstream's axes, which are those of other splats and of their viewers: +Y points down, and the front of the
subject looks along +X (upstream's static/viewer/viewer.html).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from ...authoring.input_checks import image_field
from ...authoring.splat_job import finish_splat
from ...catalogue.needs import what_is_missing
from ...errors import InvalidInput
from ...licenses import License
from ...runtime.process_device import peak_mb
from ...splat_models import ImageToSplatModel
from ..code import import_module, loading, put_on_path
from ..hub import Source, cached_file
from ..model import UpstreamConfig, UpstreamModel, folder
from .options import TripoSplatOptions

NEEDED = ("torch", "torchvision", "safetensors", "numpy", "PIL", "tqdm")
REPOSITORY = "VAST-AI/TripoSplat"
#: Argument of upstream's pipeline -> file of the repository.
WEIGHTS = {
    "ckpt_path": "diffusion_models/triposplat_fp16.safetensors",
    "decoder_path": "vae/triposplat_vae_decoder_fp16.safetensors",
    "dinov3_path": "clip_vision/dino_v3_vit_h.safetensors",
    "flux2_vae_encoder_path": "vae/flux2-vae.safetensors",
    "rmbg_path": "background_removal/birefnet.safetensors",
}
#: Rows times this: upstream's axes to +Y up, with the front towards the viewer.
_TO_VIEW = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0))
#: Fractions of a request. How the stages share the time was not measured; sampling takes most of it.
_READ, _CUT, _ENCODE, _SAMPLE, _DECODE, _WRITE, _LOOK = 0.0, 0.02, 0.06, 0.10, 0.85, 0.92, 0.95


class TripoSplatConfig(UpstreamConfig):
    """The arguments of the adapter. Weights without `model_path` come from the hub's cache."""

    #: A checkout of https://github.com/VAST-AI-Research/TripoSplat.
    triposplat_root: str | Path | None = None
    #: Weights that the hub has and this host lacks may be fetched at load.
    download: bool = False


class TripoSplatAdapter(UpstreamModel, ImageToSplatModel):
    """Makes Gaussians of one image. `TripoSplatConfig` has the arguments."""

    adapter_id: ClassVar[str] = "triposplat-image-to-splat"
    #: What Modly's extension for TripoSplat asks of a card (its `VRAM_GB`, 10); 3DAIGC-API books 16384. Not measured.
    default_vram_mb: ClassVar[int | None] = 10240
    options_type = TripoSplatOptions
    config_type: ClassVar[type[UpstreamConfig]] = TripoSplatConfig
    config: TripoSplatConfig
    license_info: ClassVar[License | None] = License(
        code="MIT",
        weights="MIT as their authors state; with them come DINOv3 (Meta's DINOv3 License: commercial use within its"
        " terms), FLUX.2's image encoder and BiRefNet (MIT)",
        url="https://github.com/VAST-AI-Research/TripoSplat",
    )

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.triposplat_root = folder(self.config.triposplat_root)
        self._source = Source(self.model_path, REPOSITORY, self.adapter_id, self.config.download)

    # ------------------------------------------------------------ what is there

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root = self.triposplat_root
        fetched = self._source.on_hub and self._source.download
        files: dict[str, tuple[str, Path | None]] = {
            f"TripoSplat's code {name}": ("triposplat_root", None if root is None else root / name)
            for name in ("triposplat.py", "model.py")
        }
        if not fetched:
            files.update({f"the weights of {key}": ("model_path", path) for key, path in self._weights().items()})
        return what_is_missing(self.registered_id or self.adapter_id, NEEDED, files)

    def _weights(self) -> dict[str, Path | None]:
        """Argument of the pipeline -> file: where it is, or where it was looked for; None for one that the hub's cache
        lacks.
        """
        if self._source.on_hub:
            return {key: cached_file(self._source.name, file) for key, file in WEIGHTS.items()}
        given, inner = self._source.folders()
        return {
            key: inner / file if (inner / file).is_file() and not (given / file).is_file() else given / file
            for key, file in WEIGHTS.items()
        }

    # ------------------------------------------------------------ life

    def _load_model(self) -> Any:
        self.require_available()
        assert self.triposplat_root is not None, "checked by check_available"
        put_on_path(self.triposplat_root)
        upstream = import_module("triposplat", self.registered_id or self.adapter_id)
        files = self._weights()
        for key, path in files.items():
            if path is None:
                hub = importlib.import_module("huggingface_hub")
                files[key] = Path(hub.hf_hub_download(self._source.name, WEIGHTS[key]))
        with loading("TripoSplat cannot load its weights"):
            return upstream.TripoSplatPipeline(**{key: str(path) for key, path in files.items()}, device=self.device)

    def _unload_model(self) -> None:
        self.model = None

    # ------------------------------------------------------------ one request

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.image_input import read_image

        response: dict[str, Any] = super()._process_request(inputs)
        options = TripoSplatOptions.read(inputs)
        [path] = self._image_paths(inputs)
        field = image_field(inputs)
        self.step(_READ, "reading the image")
        image = read_image(path, field=field)
        if image.mode == "RGBA" and _extrema(image)[1] == 0:
            _refuse(path, field, "it is fully transparent")
        target = Path(response["output_splat_path"])
        with self.turn():
            gaussians = self._sample(image, options, path, field)
            self.step(_WRITE, "writing the file")
            (gaussians.save_ply if target.suffix == ".ply" else gaussians.save_splat)(str(target))
        self.step(_LOOK, "looking at the result")
        response["seed"] = options.seed
        about = {
            "model": "TripoSplat",
            "weights": self._source.name,
            "requested_gaussians": options.num_gaussians,
            "seed": options.seed,
            "steps": options.steps,
            "device": self.device,
            "vram_peak_mb": peak_mb(),
            "up_axis": "-Y",
            "front_axis": "+X",
        }
        return finish_splat(self, response, about, to_view=_TO_VIEW)

    def _sample(self, image: Any, options: TripoSplatOptions, path: Path, field: str) -> Any:
        """Upstream's `Gaussian`."""
        import torch

        # Upstream seeds a generator of its own for the noise, but its decoder draws from torch's.
        torch.manual_seed(options.seed)
        with self._told(path, field):
            gaussians, _ = self.model.run(
                image,
                seed=options.seed,
                steps=options.steps,
                guidance_scale=options.guidance_scale,
                shift=options.shift,
                num_gaussians=options.num_gaussians,
                erode_radius=options.erode_radius,
                callback=self._sampled,
            )
        return gaussians

    def _sampled(self, done: int, total: int) -> None:
        """Upstream's callback after each step; what it raises ends the sampling."""
        fraction = _SAMPLE + (_DECODE - _SAMPLE) * min(done, total) / max(total, 1)
        self.step(fraction, f"sampling {done}/{total}")

    @contextlib.contextmanager
    def _told(self, path: Path, field: str) -> Iterator[None]:
        """While inside, upstream's stages are told, and a cancel is heard before each: `run` calls them by these names.

        Raises:
            InvalidInput: from inside, where the background's removal leaves nothing.
        """
        pipeline = self.model
        cut, encode, decode = pipeline.preprocess_image, pipeline.encode_image, pipeline.decode_latent

        def told_cut(*given: Any, **options: Any) -> Any:
            self.step(_CUT, "cutting out the subject")
            try:
                return cut(*given, **options)
            except ValueError as error:
                # Upstream takes the bounding box of what is opaque, and there is none ("zero-size array").
                if "zero-size" not in str(error):
                    raise
                _refuse(path, field, "nothing is left of it when its background is taken away")

        def told_encode(*given: Any, **options: Any) -> Any:
            self.step(_ENCODE, "encoding the image")
            return encode(*given, **options)

        def told_decode(*given: Any, **options: Any) -> Any:
            self.step(_DECODE, "decoding the Gaussians")
            return decode(*given, **options)

        told = {"preprocess_image": told_cut, "encode_image": told_encode, "decode_latent": told_decode}
        for name, method in told.items():
            setattr(pipeline, name, method)
        try:
            yield
        finally:
            for name in told:
                vars(pipeline).pop(name, None)


def _extrema(image: Any) -> tuple[int, int]:
    lowest, highest = image.getchannel("A").getextrema()
    return int(lowest), int(highest)


def _refuse(path: Path, field: str, reason: str) -> NoReturn:
    raise InvalidInput(f"{path.name}: {reason}: there is no subject in it", field)
