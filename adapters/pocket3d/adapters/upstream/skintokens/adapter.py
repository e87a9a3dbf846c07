"""`skintokens-auto-rigging`: a skeleton and skin weights for a mesh, put into the mesh as it came, textures kept.

Upstream is VAST-AI-Research/SkinTokens at 273b691, the successor of UniRig by its authors. Its model stays loaded in a
process of its own (`program.py`), which makes the calls of upstream's `demo.py`; Blender's module, which is GPL-3.0,
runs in there. The checkpoints are unpickled, as Lightning's are: use weights you trust.

What of this ran for real here: our own parts against a stand-in with upstream's names and parameters. What did not:
anything of upstream's, whose attention (flash-attn) needs a GPU; VRAM.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from ...authoring.mesh_job import compared
from ...authoring.options import Meta, Options, Seed
from ...catalogue.needs import what_is_missing
from ...errors import InvalidInput
from ...licenses import License
from ...rig_models import AutoRigModel
from ..model import UpstreamConfig, UpstreamModel, folder

if TYPE_CHECKING:
    from ...mesh.inventory import Inventory

NEEDED = (
    *("torch", "transformers", "diffusers", "flash_attn", "lightning", "box", "einops", "omegaconf", "addict"),
    *("fast_simplification", "bpy", "open3d", "requests", "numpy", "scipy", "trimesh"),
)
CHECKPOINT = "experiments/articulation_xl_quantization_256_token_4/grpo_1400.ckpt"
SKIN_VAE = "experiments/skin_vae_2_10_32768/last.ckpt"
LANGUAGE_MODEL = "models/Qwen3-0.6B/config.json"
#: What upstream's code opens relative to the current folder.
_OPENED = ("experiments", "models")


class SkinTokensOptions(Options):
    """The options of `skintokens-auto-rigging`. Defaults and ranges are those of upstream's demo."""

    mesh_path: Annotated[Any, Meta(description="the mesh: glb, obj, ply, stl, off")]
    output_format: str = "glb"
    rig_mode: Annotated[
        Literal["full", "skin"],
        Meta(description="full: skeleton and skin; skin: new weights for the skeleton that the mesh (glb) has"),
    ] = "full"
    keep_textures: Annotated[
        bool, Meta(description="put the rig into the mesh as it came; false: into upstream's bare mesh, without UV")
    ] = True
    postprocess: Annotated[
        bool, Meta(description="take skin weights away from bones that a vertex cannot reach inside the mesh")
    ] = False
    top_k: Annotated[int, Meta(ge=1, le=200, description="tokens among which each is drawn")] = 5
    top_p: Annotated[float, Meta(ge=0.1, le=1.0, description="share of probability among which each is drawn")] = 0.95
    temperature: Annotated[float, Meta(ge=0.1, le=2.0, description="higher: more variety")] = 1.0
    repetition_penalty: Annotated[float, Meta(ge=0.5, le=3.0, description="higher: fewer repetitions")] = 2.0
    num_beams: Annotated[int, Meta(ge=1, le=20, description="sequences that are followed at once")] = 10
    seed: Annotated[Seed, Meta(description="of sampled points and tokens")] = 12345


class Loaded(NamedTuple):
    """The process that holds the model, and the folder in which it runs."""

    #: `RigProcess`.
    process: Any
    folder: Path


class SkinTokensConfig(UpstreamConfig):
    """The arguments of the adapter.

    `model_path` is the folder that has `experiments` and `models` as upstream's `download.py` makes them; by default
    the checkout.
    """

    #: The checkout of https://github.com/VAST-AI-Research/SkinTokens.
    skintokens_root: str | Path | None = None


class SkinTokensAdapter(UpstreamModel, AutoRigModel):
    """Rigs a mesh. `SkinTokensConfig` has the arguments."""

    adapter_id: ClassVar[str] = "skintokens-auto-rigging"
    #: What upstream's README asks for at least, 14 GB; 3DAIGC-API books 15360.
    default_vram_mb: ClassVar[int | None] = 14336
    options_type = SkinTokensOptions
    config_type: ClassVar[type[UpstreamConfig]] = SkinTokensConfig
    config: SkinTokensConfig
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)
    license_info: ClassVar[License | None] = License(
        code="MIT, with src/model/michelangelo and Blender's module bpy GPL-3.0",
        weights="MIT",
        commercial_use=True,
        url="https://github.com/VAST-AI-Research/SkinTokens",
    )

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.skintokens_root = folder(self.config.skintokens_root)

    def check_available(self) -> str | None:
        """Names the checkout, the weights and the packages that are not there."""
        root, weights = self.skintokens_root, self._weights()
        files = {"SkinTokens' code": ("skintokens_root", None if root is None else root / "src/model/tokenrig.py")}
        for purpose, name in (
            ("the rig's weights", CHECKPOINT),
            ("the skin's weights", SKIN_VAE),
            ("the language model's settings", LANGUAGE_MODEL),
        ):
            files[purpose] = ("model_path", None if weights is None else weights / name)
        return what_is_missing(self.registered_id or self.adapter_id, NEEDED, files)

    def _weights(self) -> Path | None:
        """None while nothing says where they are."""
        return self.skintokens_root if self.model_path is None else folder(self.model_path)

    # ------------------------------------------------------------ life

    def _load_model(self) -> Any:
        from .rig_process import RigProcess

        self.require_available()
        root, weights = self.skintokens_root, self._weights()
        assert root is not None and weights is not None, "checked by check_available"
        place = Path(tempfile.mkdtemp(prefix="pocket3d-skintokens-"))
        try:
            for name in _OPENED:
                (place / name).symlink_to(weights / name, target_is_directory=True)
            (place / "configs").symlink_to(root / "configs", target_is_directory=True)
            environment = {
                **os.environ,
                # The folders that `models.yaml` gave this worker are for its process too.
                "PYTHONPATH": os.pathsep.join([str(root), *(each for each in sys.path if each)]),
                "PYTHONUNBUFFERED": "1",
                "XFORMERS_IGNORE_FLASH_VERSION_CHECK": "1",
                # All that is needed lies on this disk; what does not is an error and no download.
                "HF_HUB_OFFLINE": "1",
                "TRANSFORMERS_OFFLINE": "1",
            }
            return Loaded(RigProcess(CHECKPOINT, self.device, place, environment), place)
        except BaseException:
            shutil.rmtree(place)
            raise

    def _unload_model(self) -> None:
        if self.model is not None:
            self.model.process.close()
            shutil.rmtree(self.model.folder)
        self.model = None

    # ------------------------------------------------------------ one request

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.result import describe_mesh
        from ...mesh.rig_file import describe_rig, read_rig, write_skeleton

        options = SkinTokensOptions.read(inputs)
        response = self._create_common_response(inputs, self._validate_common_inputs(inputs))
        target = Path(response["output_mesh_path"])
        self.step(0.0, "reading the mesh")
        with self.turn(), tempfile.TemporaryDirectory(prefix="skintokens-", dir=self.output_dir) as name:
            given = _as_glb(self._mesh_path(inputs), Path(name), keep_rig=options.rig_mode == "skin")
            written = Path(name) / "result.glb"
            request = {
                "mesh": str(given.path),
                "output": str(written),
                "seed": options.seed,
                "options": {
                    "use_skeleton": options.rig_mode == "skin",
                    "use_transfer": options.keep_textures,
                    "use_postprocess": options.postprocess,
                    "top_k": options.top_k,
                    "top_p": options.top_p,
                    "temperature": options.temperature,
                    "repetition_penalty": options.repetition_penalty,
                    "num_beams": options.num_beams,
                },
            }
            facts = self.model.process.run(request, check=self.check_cancelled, step=self.step)
            if not written.is_file():
                raise RuntimeError("SkinTokens ended without an error and without a file")
            shutil.move(written, target)
        self.step(0.97, "looking at the result")
        rig = read_rig(target, skinned=True)
        described = describe_mesh(target, self.output_dir)
        if facts["vram_peak_mb"] is not None:
            self.report_vram_peak(facts["vram_peak_mb"])
        response.update(
            bone_count=rig.bones,
            skeleton_path=str(write_skeleton(rig, self.output_dir / f"{target.stem}_skeleton.json")),
            thumbnail_path=described["thumbnail_path"],
            seed=options.seed,
            rig_info={**describe_rig(rig, options.rig_mode, described["statistics"]), **given.compared(target)},
            generation_info={
                "model": "SkinTokens",
                "statistics": described["statistics"],
                "textures": rig.textures,
                "seed": options.seed,
                "tokens": facts["tokens"],
                "vram_peak_mb": facts["vram_peak_mb"],
                "device": self.device,
                "output_format": "glb",
            },
        )
        self.report_progress(1.0, "done")
        return response


class _Given(NamedTuple):
    """The mesh that upstream gets, and what the file had that it was made of."""

    path: Path
    held: Inventory
    notes: list[str]
    keep_rig: bool

    def compared(self, written: Path) -> dict[str, list[str]]:
        """`lost` and `ignored` of the answer."""
        from ...mesh.losses import replaced_skins

        lost = [] if self.keep_rig else replaced_skins(self.held)
        return compared(self.held, written, {"lost": lost, "ignored": self.notes}, () if self.keep_rig else ("skins",))


def _as_glb(mesh: Path, place: Path, *, keep_rig: bool) -> _Given:
    """Write the mesh as one file that refers to nothing outside: what Blender reads it reads without asking us. It has
    no skeleton unless it is to be kept.

    Raises:
        InvalidInput: the mesh cannot be read, or has no skeleton where one is to be kept.
    """
    from ...mesh.input import ignored_parts, read_scene
    from ...mesh.inventory import inventory
    from ...mesh.rig_file import is_rigged_alone

    target = place / "input.glb"
    scene = read_scene(mesh)
    given = _Given(target, inventory(mesh, scene), ignored_parts(scene), keep_rig)
    is_glb = mesh.suffix.lower() == ".glb"
    if keep_rig:
        if not is_glb or not is_rigged_alone(mesh):
            raise InvalidInput(f"{mesh.name} has no skeleton; rig_mode skin needs a glb with one", "mesh_path")
        shutil.copyfile(mesh, target)
    elif is_glb and not ignored_parts(scene):
        shutil.copyfile(mesh, target)
    else:
        scene.export(target)
    return given
