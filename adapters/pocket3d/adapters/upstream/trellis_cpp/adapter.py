"""TRELLIS.2 and Pixal3D by `trellis-server` of pwilkin/trellis.cpp, a program in C++ (ggml) that needs no Python, no
nvdiffrast and no compiler: an image in, a mesh with a physically based texture out.

Written against v0.8.1; what its server takes and prints was read in its sources (v0.5.3, and the pull request that
added Pixal3D). Run here: a small server of ours that behaves as the documentation says. Not run here: the program
itself, its weights, any GPU. The program loads and frees the weights of each stage in each request, so a worker holds
little between two; it cannot be told to stop, so a cancel ends it and the next request starts it again (it reads no
weights at its start).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...authoring.input_checks import image_field
from ...authoring.mesh_job import finish_mesh
from ...base import Variant
from ...licenses import License
from ...mesh_models import ImageToMeshModel
from ..http_program.errors import BadAnswer
from ..http_program.model import ServerConfig, ServerModel, Step, check_glb
from ..http_program.requests import form
from .options import ImageToMeshOptions, PixelAlignedOptions
from .progress import Progress
from .standing import stand_up

#: Both networks look at 1024 pixels of the subject.
_MOST_PIXELS_A_SIDE = 4096
_SIMPLE_RESOLUTION = 512
_DINO = "DINOv3 License (the image encoder, of Meta)"


class TrellisCppConfig(ServerConfig):
    """The arguments of both adapters, beside those of every program with an HTTP endpoint."""

    #: `trellis-server`: its path, or a name on PATH.
    program: str = "trellis-server"
    #: Further arguments for it, such as `--max-tokens`.
    arguments: tuple[str, ...] | list[str] = ()
    #: The resolution of a variant that is not named after it.
    resolution: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution not in (None, 512, 1024, 1536):
            raise ValueError(f"resolution {self.resolution!r}: want 512, 1024 or 1536")


class TrellisCppAdapter(ServerModel, ImageToMeshModel):
    """One family of models behind `trellis-server`. `TrellisCppConfig` has the arguments; `model_path` is the folder of
    the .gguf files.
    """

    adapter_id: ClassVar[str]
    #: As the program calls it.
    family: ClassVar[str]
    #: The files that its stages load, by the resolutions that need them.
    files: ClassVar[Mapping[str, tuple[int, ...]]]
    options_type: ClassVar[type[ImageToMeshOptions]]
    config_type = TrellisCppConfig
    config: TrellisCppConfig
    default_max_images: ClassVar[int] = 1
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)
    #: It answers as soon as it listens.
    start_s: ClassVar[float] = 60.0

    # ------------------------------------------------------------ what is there

    @property
    def resolution(self) -> int:
        """Of the variant that is loaded."""
        if self.config.resolution is not None:
            return self.config.resolution
        name = self.variant or ""
        if not name.isdigit():
            raise ValueError(f"variant {name!r} of {self.adapter_id}: set its resolution to 512, 1024 or 1536")
        return int(name)

    def check_available(self) -> str | None:
        """Names the missing program or weights."""
        hint = f"; run: pocket3d adapters install {self.adapter_id}"
        missing = super().check_available()
        if missing is not None:
            return f"{missing}{hint}"
        if self.model_path is None:
            return f"weights: model_path is not set{hint}"
        lacking = [name for name, sizes in self.files.items() if self.resolution in sizes and not self._has(name)]
        return f"weights: {self.model_path} has no {', '.join(lacking)}{hint}" if lacking else None

    def _has(self, name: str) -> bool:
        return (Path(self.model_path).expanduser() / name).is_file()

    def _command(self) -> list[str]:
        if self.config.command:
            return list(self.config.command)
        models = "" if self.model_path is None else str(Path(self.model_path).expanduser().absolute())
        # The worker sees one device, so it is the first. One that cannot be used is no reason to compute for hours.
        device = ["--gpu", "0", "--require-gpu"] if self.device.startswith("cuda") else ["--gpu", "-1"]
        address = ["--host", "{host}", "--port", "{port}"]
        program = str(Path(self.config.program).expanduser())
        return [program, *address, "--models", models, *device, *self.config.arguments]

    def _line_reader(self) -> Callable[[str], Step | None]:
        return Progress(cascade=self.resolution > _SIMPLE_RESOLUTION)

    # ------------------------------------------------------------ one request

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        options = self.options_type.read(inputs)
        self.step(0.0, "reading the image")
        picture = self._picture(inputs)
        target = Path(response["output_mesh_path"])
        try:
            self.ask(form("/generate", {"image": picture, **self._fields(options)}), target, low=0.02, high=0.95)
        finally:
            picture.unlink(missing_ok=True)
        check_glb(target)
        self._orient(target)
        self.step(0.96, "looking at the result")
        response["seed"] = options.seed
        facts = {
            "model": self.family,
            "resolution": self.resolution,
            "device": self.device,
            "vram_peak_mb": self._run().vram_peak_mb,
            "up_axis": "+Y",
        }
        return finish_mesh(self, response, "generation_info", facts)

    def _picture(self, inputs: dict[str, Any]) -> Path:
        """The image as a PNG file: the program reads no WebP, and what a stranger made is decoded here first."""
        from ...mesh.image_input import read_image

        image = read_image(self._image_paths(inputs)[0], image_field(inputs))
        image.thumbnail((_MOST_PIXELS_A_SIDE, _MOST_PIXELS_A_SIDE))
        path = self.output_dir / "input_image.png"
        image.save(path, format="PNG", compress_level=1)
        return path

    def _fields(self, options: ImageToMeshOptions) -> dict[str, str]:
        """The texts of the form. What is left out is as the program has it."""
        fields = {
            "model": self.family,
            "seed": str(options.seed),
            "resolution": str(self.resolution),
            "uv": options.uv,
            "webp": "on" if options.texture_format == "webp" else "off",
        }
        # Anything but birefnet means threshold.
        if options.bg_removal != "auto":
            fields["bg_removal"] = options.bg_removal
        if options.band is not None:
            fields["band"] = str(options.band)
        return fields

    def _orient(self, target: Path) -> None:
        """Turn the mesh upright where the program does not."""


class Trellis2CppAdapter(TrellisCppAdapter):
    """`trellis2-cpp-image-to-mesh`: Microsoft's TRELLIS.2."""

    adapter_id: ClassVar[str] = "trellis2-cpp-image-to-mesh"
    family: ClassVar[str] = "trellis"
    options_type = ImageToMeshOptions
    files: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "birefnet.gguf": (512, 1024, 1536),
        "dinov3.gguf": (512, 1024, 1536),
        "ss_flow.gguf": (512, 1024, 1536),
        "ss_dec.gguf": (512, 1024, 1536),
        "shape_flow_512.gguf": (512, 1024, 1536),
        "shape_flow_1024.gguf": (1024, 1536),
        "shape_dec.gguf": (512, 1024, 1536),
        "tex_flow_512.gguf": (512, 1024, 1536),
        "tex_flow_1024.gguf": (1024, 1536),
        "tex_dec.gguf": (512, 1024, 1536),
    }
    #: 512 and 1024: highest readings of v0.8.1 with the 16-bit weights on an RTX 5090, by a report with four objects
    #: ("3D model experiment", 27 September 2026): 1.3 GB idle and up to 3.9 GB more at 512, 10.6 GB at 1024; rounded
    #: up to whole GiB. 1536: nobody published a reading; the 16 GB are the card that upstream's README names for the
    #: cascade, whose number of tokens is bounded alike.
    variants = (
        Variant(name="512", vram_mb=6144, quality=1),
        Variant(name="1024", vram_mb=11264, quality=2),
        Variant(name="1536", vram_mb=16384, quality=3),
    )
    license_info: ClassVar[License | None] = License(
        code="MIT (trellis.cpp, by its author's word; TRELLIS.2)",
        weights=f"MIT (TRELLIS.2-4B, BiRefNet), {_DINO}",
        url="https://github.com/pwilkin/trellis.cpp",
        requires_acceptance=True,
    )


class Pixal3DCppAdapter(TrellisCppAdapter):
    """`pixal3d-cpp-image-to-mesh`: Tencent's Pixal3D, a TRELLIS.2 whose shape follows the pixels of the image."""

    adapter_id: ClassVar[str] = "pixal3d-cpp-image-to-mesh"
    family: ClassVar[str] = "pixal3d"
    options_type = PixelAlignedOptions
    #: There is no texture model for 512, so it is not offered.
    files: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "birefnet.gguf": (1024, 1536),
        "dinov3.gguf": (1024, 1536),
        "pixal3d_ss_flow.gguf": (1024, 1536),
        "ss_dec.gguf": (1024, 1536),
        "pixal3d_shape_flow_512.gguf": (1024, 1536),
        "pixal3d_shape_flow_1024.gguf": (1024, 1536),
        "shape_dec.gguf": (1024, 1536),
        "pixal3d_tex_flow_1024.gguf": (1024, 1536),
        "tex_dec.gguf": (1024, 1536),
        "pixal3d_naf.gguf": (1024, 1536),
    }
    #: 1024: upstream's page on Pixal3D names 16 GB as the device where its texture stage may run out of memory; the
    #: report named above read 8.7 GB, on a card that was nearly full. 1536: the former system books 20.5 GB.
    variants = (
        Variant(name="1024", vram_mb=16384, quality=1),
        Variant(name="1536", vram_mb=20992, quality=2),
    )
    license_info: ClassVar[License | None] = License(
        code="MIT (trellis.cpp, by its author's word; Pixal3D)",
        weights=f"MIT (Pixal3D, TRELLIS.2-4B, BiRefNet), {_DINO}",
        territory="Tencent does not offer its own download of the weights in the European Union",
        url="https://huggingface.co/TencentARC/Pixal3D",
        requires_acceptance=True,
    )

    def _fields(self, options: ImageToMeshOptions) -> dict[str, str]:
        assert isinstance(options, PixelAlignedOptions)
        return {**super()._fields(options), "fov": f"{options.fov:g}"}

    def _orient(self, target: Path) -> None:
        # Pixal3D's own inference.py turns the mesh after the export; the program does not.
        try:
            target.write_bytes(stand_up(target.read_bytes()))
        except ValueError as error:
            raise BadAnswer(f"the answer is a broken GLB file: {error}") from error
