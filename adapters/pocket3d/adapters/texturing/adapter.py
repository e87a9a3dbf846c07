"""`procedural-text-to-texture`: a mesh and a few words in, the mesh with a texture out. No weights.

The heavy imports happen when it works, so that the class can be described without them. The words are read in pure
Python: a prompt that says nothing of a surface is refused before anything is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import required_text, whole_number
from ..installed import missing_packages
from ..procedural.attribute_words import PromptError
from ..texture_models import TextToTextureModel
from .words import Understood, understand, vocabulary_text

_MAX_SEED = 2**32 - 1
_RESOLUTION = (256, 4096)
_DEFAULT_RESOLUTION = 1024
_NEEDED = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
#: xatlas takes about a quarter of a millisecond a face, and more where the surface is rough.
_MAX_FACES = 200_000
_MAX_VERTICES = 600_000


class ProceduralTextToTextureAdapter(TextToTextureModel):
    """Unwraps the mesh with xatlas and paints it with a procedural material; says what it understood of the words.

    What the mesh had of colours and textures is replaced.

    Args:
        model_id: its name.
        vram_requirement: MB; measured on a CPU, the worker and all: 0.8 GB at 1024 texels a side, 1.8 GB at 4096.
        max_concurrent: meshes at once.
        feature_type: `text_to_texture`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")

    def __init__(
        self,
        model_id: str = "procedural-text-to-texture",
        vram_requirement: int = 2048,
        max_concurrent: int = 1,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(_NEEDED)

    def get_parameter_schema(self) -> dict[str, Any]:
        """All that it takes; other keys are refused."""
        return {
            "type": "object",
            "properties": {
                "mesh_path": {"description": "one self-contained file: glb, obj, ply, stl or off"},
                "text_prompt": {
                    "type": "string",
                    "minLength": 1,
                    "description": "how the surface should look, such as 'old red brick' or 'large blue and white"
                    f" checker'. {vocabulary_text()}",
                },
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "texture_resolution": {
                    "type": "integer",
                    "minimum": _RESOLUTION[0],
                    "maximum": _RESOLUTION[1],
                    "default": _DEFAULT_RESOLUTION,
                    "description": "texels along a side of the square texture",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": 0,
                    "description": "of the noise; the same seed gives the same texture",
                },
            },
            "required": ["mesh_path", "text_prompt"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The prompt is read in full, so a bad one is refused before anything is loaded."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _whole(inputs)
        _understood(inputs)

    def _load_model(self) -> str:
        from . import painting

        return painting.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import MeshLimits, ignored_parts, read_scene
        from ..mesh_output import write_mesh
        from ..mesh_result import describe_mesh
        from .atlas import UnwrapFailed
        from .painting import bare_parts, paint_scene

        response: dict[str, Any] = super()._process_request(inputs)
        resolution, seed = _whole(inputs)
        wanted = _understood(inputs)
        source = self._mesh_path(inputs)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(0.05 + 0.85 * fraction, stage)

        self.report_progress(0.0, "reading the mesh")
        scene = read_scene(source, MeshLimits(max_faces=_MAX_FACES, max_vertices=_MAX_VERTICES))
        try:
            painted = paint_scene(bare_parts(scene), wanted, seed, resolution, self.device, step)
        except UnwrapFailed as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        step(1.0, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh(painted.parts, target)
        described = describe_mesh(target, self.output_dir)
        lost = ["roughness and metallic vary over the surface: OBJ holds one value"]
        response["painting_info"] = {
            **response["painting_info"],
            "model": "procedural solid texture",
            "understood": wanted.said,
            "ignored_words": wanted.ignored,
            "palette": ["#" + "".join(f"{round(c * 255):02x}" for c in colour) for colour in wanted.palette],
            "metallic": wanted.metallic,
            "roughness": wanted.roughness,
            **painted.facts,
            "statistics": described["statistics"],
            "vertex_count": described["statistics"]["vertices"],
            "face_count": described["statistics"]["faces"],
            "ignored": ignored_parts(scene),
            "lost": lost if target.suffix == ".obj" and painted.facts["roughness_and_metallic"] == "texture" else [],
            "seed": seed,
            "device": self.device,
            "output_format": target.suffix[1:],
        }
        response["seed"] = seed
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response


def _whole(inputs: dict[str, Any]) -> tuple[int, int]:
    """Texture resolution and seed."""
    return (
        whole_number(inputs, "texture_resolution", _DEFAULT_RESOLUTION, *_RESOLUTION),
        whole_number(inputs, "seed", 0, 0, _MAX_SEED),
    )


def _understood(inputs: dict[str, Any]) -> Understood:
    try:
        return understand(required_text(inputs, "text_prompt", "text-to-texture generation"))
    except PromptError as error:
        raise InvalidInput(str(error), "text_prompt") from error
