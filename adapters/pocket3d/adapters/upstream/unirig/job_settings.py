"""The options of a request to UniRig, and upstream's settings with the weights, the device and the options put in.

Upstream names settings by a path without the suffix, so that files elsewhere can stand in for those of the checkout.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from ...authoring.options import Meta, Options, Seed

_SKELETON_TASK = "quick_inference_skeleton_articulationxl_ar_256"
_SKIN_TASK = "quick_inference_unirig_skin"


class UniRigOptions(Options):
    """The options of `unirig-auto-rigging`."""

    mesh_path: Annotated[Any, Meta(description="the mesh: glb, fbx, obj, ply, stl, off")]
    output_format: Annotated[
        str | None, Meta(description="default: that of the input if it is glb or fbx, else glb")
    ] = None
    rig_mode: Annotated[
        Literal["full", "skeleton", "skin"],
        Meta(
            description="full: skeleton and skin; skeleton: bones alone, beside upstream's reduced mesh;"
            " skin: new weights for the skeleton that the mesh has"
        ),
    ] = "full"
    skeleton_template: Annotated[
        Literal["articulationxl", "vroid"],
        Meta(description="articulationxl: any body; vroid: the bones of VRoid characters"),
    ] = "articulationxl"
    faces_target_count: Annotated[
        int,
        Meta(
            ge=1000,
            le=200_000,
            description="faces to which the mesh is reduced for the networks; the result keeps all",
        ),
    ] = 50_000
    seed: Annotated[
        Seed, Meta(description="of sampled points and tokens; the next ones are tried if it leads to no skeleton")
    ] = 12345


class WeightFiles(NamedTuple):
    """The files that a job reads."""

    skeleton: Path
    skin: Path
    #: Settings of the language model whose shape the skeleton's model takes.
    language_model: Path

    @classmethod
    def below(cls, folder: Path) -> WeightFiles:
        """Name the files below a folder as their page on the hub has them."""
        folder = folder.absolute()
        return cls(
            folder / "skeleton" / "articulation-xl_quantization_256" / "model.ckpt",
            folder / "skin" / "articulation-xl" / "model.ckpt",
            folder / "opt-350m" / "config.json",
        )


class Installation(NamedTuple):
    """The checkout, weights and device that jobs run with."""

    #: The checkout.
    root: Path
    weights: WeightFiles
    #: `cuda` or `cpu`. Upstream's networks need stand-ins for flash-attn on a CPU.
    device: str
    voxel_backend: str


class JobSettings:
    """Writes the settings of one job into a folder; those of the installation are read for it."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self._installed = installation
        self._folder = folder

    def skeleton_task(self, template: str) -> tuple[Path, int]:
        """Write the skeleton's task; returns its file, and the most tokens that it generates."""
        task = self._config("task", _SKELETON_TASK)
        parts = task["components"]
        model = self._config("model", parts["model"])
        model["llm"]["pretrained_model_name_or_path"] = str(self._installed.weights.language_model.parent)
        if not self._installed.device.startswith("cuda"):
            model["llm"]["_attn_implementation"] = "eager"
        system = self._config("system", parts["system"])
        system["generate_kwargs"]["assign_cls"] = template
        parts["model"] = self._write("skeleton-model", model)
        parts["system"] = self._write("skeleton-system", system)
        path = self._task("skeleton", task, self._installed.weights.skeleton)
        return path, int(system["generate_kwargs"]["max_new_tokens"])

    def skin_task(self) -> tuple[Path, int]:
        """Write the skin's task; returns its file, and how many blocks of weights it computes."""
        task = self._config("task", _SKIN_TASK)
        parts = task["components"]
        transform = self._config("transform", parts["transform"])["predict_transform_config"]
        transform["vertex_group_config"]["kwargs"]["voxel_skin"]["backend"] = self._installed.voxel_backend
        points = int(transform["sampler_config"]["num_samples"])
        at_once = int(self._config("model", parts["model"])["num_train_vertex"])
        parts["transform"] = self._write("skin-transform", {"predict_transform_config": transform})
        return self._task("skin", task, self._installed.weights.skin), math.ceil(points / at_once)

    def _task(self, name: str, task: dict[str, Any], checkpoint: Path) -> Path:
        task["resume_from_checkpoint"] = str(checkpoint)
        if not self._installed.device.startswith("cuda"):
            task["trainer"].update(accelerator="cpu", precision="32-true")
        return Path(self._write(name, task) + ".yaml")

    def _config(self, kind: str, name: str) -> dict[str, Any]:
        import yaml

        path = self._installed.root / "configs" / kind / f"{name}.yaml"
        with path.open(encoding="utf-8") as file:
            loaded: dict[str, Any] = yaml.safe_load(file)
        return loaded

    def _write(self, name: str, settings: dict[str, Any]) -> str:
        """Write settings of this job; their path without the suffix, as upstream names settings."""
        import yaml

        path = self._folder / name
        path.with_suffix(".yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        return str(path)
