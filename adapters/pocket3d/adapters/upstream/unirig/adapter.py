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

from ...authoring.mesh_job import compared
from ...catalogue.needs import what_is_missing
from ...licenses import License
from ...rig_models import AutoRigModel
from .. import card
from ..model import UpstreamConfig, UpstreamModel, folder
from .job_settings import Installation, UniRigOptions, WeightFiles

_VOXEL_BACKENDS = ("open3d", "pyrender")
NEEDED = (
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
)


class Loaded(NamedTuple):
    """The part of a loaded model that jobs share."""

    installation: Installation
    #: `WeightHolder`.
    holder: Any


class UniRigConfig(UpstreamConfig):
    """The arguments of the adapter.

    `model_path` is the folder of the weights, see `WeightFiles`; by default `experiments` in the checkout, where
    upstream looks. Each of `max_concurrent` meshes takes `vram_requirement`.
    """

    #: The checkout of https://github.com/VAST-AI-Research/UniRig.
    unirig_root: str | Path | None = None
    #: What fills the mesh for skin weights: `open3d`, or `pyrender`, which needs EGL or OSMesa.
    voxel_backend: str = "open3d"
    #: How many seeds to try when the skeleton's model gives tokens that are no skeleton.
    seeds: int = 3

    def __post_init__(self) -> None:
        if self.voxel_backend not in _VOXEL_BACKENDS:
            raise ValueError(f"voxel_backend {self.voxel_backend!r}: want one of {', '.join(_VOXEL_BACKENDS)}")
        if self.seeds < 1:
            raise ValueError(f"seeds {self.seeds!r}: want 1 or more")


class UniRigAdapter(UpstreamModel, AutoRigModel):
    """Rigs a mesh. `UniRigConfig` has the arguments."""

    adapter_id: ClassVar[str] = "unirig-auto-rigging"
    #: What the former system measured on an RTX 4090; README of UniRig, line 381: at least 8 GB.
    default_vram_mb: ClassVar[int | None] = 9216
    #: The weights wait in the host's memory; the GPU is touched by the processes of a job alone.
    idle_vram_mb: ClassVar[int | None] = 0
    options_type = UniRigOptions
    config_type: ClassVar[type[UpstreamConfig]] = UniRigConfig
    config: UniRigConfig
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "fbx", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "fbx")
    license_info: ClassVar[License | None] = License(
        code="MIT, with src/model/michelangelo and Blender's module bpy GPL-3.0",
        weights="as stated at huggingface.co/VAST-AI/UniRig",
        # Nobody here read what is stated there.
        commercial_use=None,
        url="https://github.com/VAST-AI-Research/UniRig",
        requires_acceptance=True,
    )

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.unirig_root = folder(self.config.unirig_root)

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root, weights = self.unirig_root, self._weights()
        return what_is_missing(
            self.registered_id or self.adapter_id,
            NEEDED if self.config.voxel_backend == "open3d" else (*NEEDED, "pyrender"),
            {
                "UniRig's code": ("unirig_root", None if root is None else root / "run.py"),
                "the skeleton's weights": ("model_path", None if weights is None else weights.skeleton),
                "the skin's weights": ("model_path", None if weights is None else weights.skin),
                "the language model's settings": ("model_path", None if weights is None else weights.language_model),
            },
        )

    def _load_model(self) -> Any:
        from .weight_holder import WeightHolder, step_environment

        self.require_available()
        weights = self._weights()
        assert self.unirig_root is not None and weights is not None, "checked by check_available"
        root = self.unirig_root.resolve()
        environment = step_environment(root, None)
        if self.device.startswith("cuda"):
            card.require_cuda_builds(torch_scatter="_scatter_cuda", torch_cluster="_fps_cuda")
            # Not here: this process holds no VRAM.
            card.require(card.card_of_child(environment), least=card.FLASH_ATTN, what="flash-attn, which UniRig uses,")
        holder = WeightHolder([weights.skeleton, weights.skin], environment)
        return Loaded(Installation(root, weights, self.device, self.config.voxel_backend), holder)

    def _unload_model(self) -> None:
        if self.model is not None:
            self.model.holder.close()
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.losses import replaced_skins
        from ...mesh.result import describe_mesh
        from ...mesh.rig_file import describe_rig, read_rig, write_skeleton
        from .flow import Pipeline

        mesh = self._mesh_path(inputs)
        output_format = self._validate_common_inputs(inputs)
        response = self._create_common_response(inputs, output_format)
        options = UniRigOptions.read(inputs)
        # A folder of this job alone: upstream finds its files by name, and mistook one job's mesh for another's.
        with tempfile.TemporaryDirectory(prefix="unirig-", dir=self.output_dir) as name:
            pipeline = Pipeline(
                self.model.installation, self.model.holder, Path(name), self.check_cancelled, self.report_progress
            )
            made = pipeline.run(mesh, options, output_format, self.config.seeds)
            target = Path(response["output_mesh_path"])
            shutil.copyfile(made.result, target)
            picture_of = target
            if output_format != "glb":
                picture_of = self.output_dir / f"{target.stem}.glb"
                shutil.copyfile(made.glb, picture_of)
        self.step(0.97, "looking at the result")
        rig = read_rig(picture_of, skinned=options.rig_mode != "skeleton")
        if made.bones is not None and made.bones != rig.bones:
            raise RuntimeError(f"the fbx has {made.bones} bones, the skeleton {rig.bones}")
        described = describe_mesh(picture_of, self.output_dir)
        # Of a skeleton alone there is no mesh that could have kept anything.
        again = options.rig_mode != "skin"
        told = {"lost": replaced_skins(made.held) if again else [], "ignored": made.notes}
        if options.rig_mode != "skeleton":
            told = compared(made.held, picture_of, told, ("skins",) if again else ())
        if made.vram_peak_mb is not None:
            self.report_vram_peak(made.vram_peak_mb)
        response.update(
            bone_count=rig.bones,
            skeleton_path=str(write_skeleton(rig, self.output_dir / f"{target.stem}_skeleton.json")),
            thumbnail_path=described["thumbnail_path"],
            seed=made.seed,
            rig_info={**describe_rig(rig, options.rig_mode, described["statistics"]), **told},
            generation_info={
                "model": "UniRig",
                "statistics": described["statistics"],
                "textures": rig.textures,
                "seed": made.seed,
                "requested_seed": options.seed,
                "seeds_tried": made.attempts,
                "skeleton_template": options.skeleton_template,
                "vram_peak_mb": made.vram_peak_mb,
                "device": self.device,
                "output_format": output_format,
            },
        )
        self.report_progress(1.0, "done")
        return response

    def _weights(self) -> WeightFiles | None:
        """None while nothing says where they are."""
        if self.model_path is not None:
            return WeightFiles.below(Path(self.model_path))
        return None if self.unirig_root is None else WeightFiles.below(self.unirig_root / "experiments")
