"""`unirig-auto-rigging`: a skeleton and skin weights for a mesh, put into the mesh as it came, textures kept.

UniRig is a set of commands that want its checkout and Blender's Python module; some of it is GPL-3.0. Each step runs as
a process of its own, with this worker's interpreter, in a folder of the job (`flow.py`).
The processes that need weights are forked from one that has read them at load (`resident.py`), so files are read once,
and a job's processes copy them to the GPU: no VRAM is held between jobs. Checkpoints are unpickled if they hold more
than numbers, as Lightning does: use weights you trust.

Progress comes from the steps, and within the two networks from each generated token and each block of skin weights. A
cancel ends the running process and all that it started. Upstream's commands print an error and exit with 0 in many
cases: each step is judged by the file that it has to write, and bones are counted in the result.

What ran for real: all upstream commands at the recipe's commit, on a CPU with tiny random weights, and Blender 4.2's
module. Not run here: the published weights, CUDA kernels (flash-attn, spconv), half precision, VRAM.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ..errors import AdapterUnavailable, InvalidInput
from ..input_checks import whole_number
from ..licenses import License
from ..rig_models import AutoRigModel
from ..upstream_needs import what_is_missing

RIG_MODES = ("full", "skeleton", "skin")
TEMPLATES = ("articulationxl", "vroid")
VOXEL_BACKENDS = ("open3d", "pyrender")
_MAX_SEED = 2**32 - 1
_DEFAULT_SEED = 12345
#: Faces to which upstream reduces what its networks see; the result has all faces of the mesh.
_FACES_TARGET = (1000, 200_000)
_DEFAULT_FACES_TARGET = 50_000
_NEEDED = (
    "torch",
    "lightning",
    "transformers",
    "box",
    "einops",
    "omegaconf",
    "addict",
    "timm",
    "fast_simplification",
    "spconv",
    "torch_scatter",
    "torch_cluster",
    "flash_attn",
    "open3d",
    "bpy",
    "yaml",
    "numpy",
    "scipy",
    "trimesh",
    "pygltflib",
)


class Loaded(NamedTuple):
    """What jobs share."""

    #: `Installation`.
    installation: Any
    #: `WeightHolder`.
    holder: Any


class UniRigAdapter(AutoRigModel):
    """Rigs a mesh.

    Args:
        model_id: its name.
        model_path: folder of the weights, see `weight_files.py`; by default `experiments` in the checkout, where
            upstream looks.
        vram_requirement: MB; 9216 is what the former system measured on an RTX 4090 (upstream says 8 GB or more).
        unirig_root: the checkout of https://github.com/VAST-AI-Research/UniRig.
        max_concurrent: meshes at once; each takes `vram_requirement`.
        voxel_backend: what fills the mesh for skin weights: `open3d`, or `pyrender`, which needs EGL or OSMesa.
        seeds: how many seeds to try when the skeleton's model does not come to an end.
        feature_type: `auto_rig`.

    Raises:
        ValueError: an unknown `voxel_backend`, or `seeds` below 1.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "fbx", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "fbx")
    license_info: ClassVar[License | None] = License(
        code="MIT, with src/model/michelangelo and Blender's module bpy GPL-3.0",
        weights="as stated at huggingface.co/VAST-AI/UniRig",
        url="https://github.com/VAST-AI-Research/UniRig",
    )

    def __init__(
        self,
        model_id: str = "unirig-auto-rigging",
        model_path: str | Path | None = None,
        vram_requirement: int = 9216,
        unirig_root: str | Path | None = None,
        max_concurrent: int = 1,
        voxel_backend: str = "open3d",
        seeds: int = 3,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(model_id, model_path, vram_requirement, feature_type, max_concurrent=max_concurrent)
        if voxel_backend not in VOXEL_BACKENDS:
            raise ValueError(f"voxel_backend {voxel_backend!r}: want one of {', '.join(VOXEL_BACKENDS)}")
        if seeds < 1:
            raise ValueError(f"seeds {seeds!r}: want 1 or more")
        self.unirig_root = Path(unirig_root) if unirig_root is not None else None
        self.voxel_backend = voxel_backend
        self.seeds = seeds

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root, weights = self.unirig_root, self._weights()
        return what_is_missing(
            self.registered_id or "unirig-auto-rigging",
            _NEEDED if self.voxel_backend == "open3d" else (*_NEEDED, "pyrender"),
            {
                "UniRig's code": ("unirig_root", None if root is None else root / "run.py"),
                "the skeleton's weights": ("model_path", None if weights is None else weights.skeleton),
                "the skin's weights": ("model_path", None if weights is None else weights.skin),
                "the language model's settings": ("model_path", None if weights is None else weights.language_model),
            },
        )

    def get_parameter_schema(self) -> dict[str, Any]:
        """Its options."""
        return {
            "type": "object",
            "properties": {
                "mesh_path": {"description": f"the mesh: {', '.join(self.supported_input_formats)}"},
                "output_format": {
                    "type": "string",
                    "enum": list(self.supported_output_formats),
                    "description": "default: that of the input if it is glb or fbx, else glb",
                },
                "rig_mode": {
                    "type": "string",
                    "enum": list(RIG_MODES),
                    "default": RIG_MODES[0],
                    "description": "full: skeleton and skin; skeleton: bones alone, beside upstream's reduced mesh;"
                    " skin: new weights for the skeleton that the mesh has",
                },
                "skeleton_template": {
                    "type": "string",
                    "enum": list(TEMPLATES),
                    "default": TEMPLATES[0],
                    "description": "articulationxl: any body; vroid: the bones of VRoid characters",
                },
                "faces_target_count": {
                    "type": "integer",
                    "minimum": _FACES_TARGET[0],
                    "maximum": _FACES_TARGET[1],
                    "default": _DEFAULT_FACES_TARGET,
                    "description": "faces to which the mesh is reduced for the networks; the result keeps all",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": _DEFAULT_SEED,
                    "description": "of sampled points and tokens; the next ones are tried if it leads to no skeleton",
                },
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The mesh's name and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _choice(inputs, "rig_mode", RIG_MODES)
        _choice(inputs, "skeleton_template", TEMPLATES)
        _faces_target(inputs)
        _seed(inputs)

    def _load_model(self) -> Any:
        missing = self.check_available()
        weights = self._weights()
        if missing is not None or weights is None or self.unirig_root is None:
            raise AdapterUnavailable(missing or "unirig_root is not set")
        from .job_settings import Installation
        from .weight_holder import WeightHolder, step_environment

        root = self.unirig_root.resolve()
        holder = WeightHolder([weights.skeleton, weights.skin], step_environment(root, None))
        return Loaded(Installation(root, weights, self.device, self.voxel_backend), holder)

    def _unload_model(self) -> None:
        if self.model is not None:
            self.model.holder.close()
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_result import describe_mesh
        from .flow import Flow, Wish
        from .rig_file import read_rig, write_skeleton

        mesh = self._mesh_path(inputs)
        output_format = self._validate_common_inputs(inputs)
        response = self._create_common_response(inputs, output_format)
        seed, mode = _seed(inputs), _choice(inputs, "rig_mode", RIG_MODES)
        wish = Wish(mode, _choice(inputs, "skeleton_template", TEMPLATES), _faces_target(inputs), seed, self.seeds)
        # A folder of this job alone: upstream finds its files by name, and mistook one job's mesh for another's.
        with tempfile.TemporaryDirectory(prefix="unirig-", dir=self.output_dir) as name:
            flow = Flow(
                self.model.installation, self.model.holder, Path(name), self.check_cancelled, self.report_progress
            )
            made = flow.run(mesh, wish, output_format)
            target = Path(response["output_mesh_path"])
            shutil.copyfile(made.result, target)
            picture_of = target
            if output_format != "glb":
                picture_of = self.output_dir / f"{target.stem}.glb"
                shutil.copyfile(made.glb, picture_of)
        self._step(0.97, "looking at the result")
        rig = read_rig(picture_of, skinned=mode != "skeleton")
        if made.bones is not None and made.bones != rig.bones:
            raise RuntimeError(f"the fbx has {made.bones} bones, the skeleton {rig.bones}")
        described = describe_mesh(picture_of, self.output_dir)
        if made.vram_peak_mb is not None:
            self.report_vram_peak(made.vram_peak_mb)
        response.update(
            bone_count=rig.bones,
            skeleton_path=str(write_skeleton(rig, self.output_dir / f"{target.stem}_skeleton.json")),
            thumbnail_path=described["thumbnail_path"],
            seed=made.seed,
            rig_info={
                "rig_type": "generated" if mode != "skin" else "of the input",
                "rig_mode": mode,
                "bone_count": rig.bones,
                "bone_names": rig.names,
                "has_skinning": rig.skinned_vertices > 0,
                "skinned_vertices": rig.skinned_vertices,
                "most_bones_of_a_vertex": rig.most_influences,
                "statistics": described["statistics"],
                "success": True,
            },
            generation_info={
                "model": "UniRig",
                "statistics": described["statistics"],
                "textures": rig.textures,
                "seed": made.seed,
                "requested_seed": seed,
                "seeds_tried": made.attempts,
                "skeleton_template": wish.template,
                "vram_peak_mb": made.vram_peak_mb,
                "device": self.device,
                "output_format": output_format,
            },
        )
        self.report_progress(1.0, "done")
        return response

    def _step(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)

    def _weights(self) -> Any:
        """`WeightFiles`, or None while nothing says where they are."""
        from .weight_files import WeightFiles

        if self.model_path is not None:
            return WeightFiles.below(Path(self.model_path))
        return None if self.unirig_root is None else WeightFiles.below(self.unirig_root / "experiments")


def _choice(inputs: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """One of the choices, the first by default."""
    value = inputs.get(key)
    if value is None:
        return choices[0]
    if value not in choices:
        raise InvalidInput(f"{key} is {value!r}; want one of {', '.join(choices)}", key)
    return str(value)


def _faces_target(inputs: dict[str, Any]) -> int:
    return whole_number(inputs, "faces_target_count", _DEFAULT_FACES_TARGET, *_FACES_TARGET)


def _seed(inputs: dict[str, Any]) -> int:
    return whole_number(inputs, "seed", _DEFAULT_SEED, 0, _MAX_SEED)
