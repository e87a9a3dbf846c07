"""Runs the steps of a job: the official commands of UniRig's checkout, in a folder of the job.

The commands are those behind upstream's `launch/inference/*.sh`, which hide exit codes. The current folder is the
job's, with a link to the checkout's `configs` (upstream looks for them there) and the checkout on PYTHONPATH, so that
nothing is written to the checkout and jobs do not meet.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...authoring.options import MAX_SEED
from ...errors import InvalidInput
from ...runtime.failure_mapping import is_out_of_memory
from ..group_memory import GroupMemory
from .job_settings import Installation, JobSettings, UniRigOptions
from .step_process import StepFailed, WroteNothing, launch, run_step
from .weight_holder import WeightHolder, step_environment

if TYPE_CHECKING:
    from ...mesh.inventory import Inventory

_HERE = Path(__file__).resolve().parent
_SUFFIXES = "obj,fbx,FBX,dae,glb,gltf,vrm"
_MAX_FBX_BYTES = 256 * 2**20
_FBX_STARTS = (b"Kaydara FBX Binary", b"; FBX")
#: What is left after the steps, of a whole of 1, for looking at the result.
_STEPS_END = 0.95


class Output(NamedTuple):
    """The files and counts of a finished rigging job."""

    #: In the wanted format.
    result: Path
    #: The same as GLB (the same file where that is wanted).
    glb: Path
    #: The seed that led to it.
    seed: int
    attempts: int
    #: Counted by Blender in the FBX; None where the result is no FBX.
    bones: int | None
    #: MB, of the processes, as NVML saw them; None where it did not.
    vram_peak_mb: int | None
    #: What the mesh had that was rigged, and what its reader left out, for people.
    held: Inventory
    notes: list[str]


class Pipeline:
    """The commands of one job, run one after the other.

    `holder` is the process that has read the weights, `folder` is this job's own. `check` raises at a cancel, `report`
    takes (fraction, stage).
    """

    def __init__(
        self,
        installation: Installation,
        holder: WeightHolder,
        folder: Path,
        check: Callable[[], None],
        report: Callable[[float | None, str | None], None],
    ) -> None:
        self._installed = installation
        self._holder = holder
        self._folder = folder.resolve()
        self._check = check
        self._report = report
        self._memory = GroupMemory()
        self._planned: list[str] = []
        self._settings = JobSettings(installation, self._folder / "tasks")

    def run(self, mesh: Path, options: UniRigOptions, output_format: str, seeds: int) -> Output:
        """Rig a mesh.

        The mesh is glb, fbx or what `mesh_input` reads, the output glb or fbx; `seeds` are tried for a skeleton at
        most.

        Raises:
            InvalidInput: the mesh cannot be read, or has no skeleton where one is needed.
            StepFailed: a command failed, or wrote nothing or nothing sound.
        """
        self._prepare()
        self._plan(mesh, options.rig_mode, output_format)
        source, rigged, held, notes = self._as_glb(mesh)
        skeleton, seed, attempts = self._folder / "skeleton.fbx", options.seed, 0
        if options.rig_mode == "skin":
            self._blender("bones", rigged, skeleton)
            self._extract(skeleton.name, options.faces_target_count)
            if not self._has_joints():
                raise InvalidInput(f"{mesh.name} has no skeleton; rig_mode skin needs one", "mesh_path")
        else:
            self._extract(source.name, options.faces_target_count)
            seed, attempts = self._skeleton(source, skeleton, options, seeds)
        if options.rig_mode == "skeleton":
            glb = self._folder / "result.glb"
            self._blender("convert", skeleton, glb)
        else:
            if options.rig_mode == "full":
                self._extract(skeleton.name, options.faces_target_count)
                if not self._has_joints():
                    raise StepFailed("UniRig's step 'skeleton' ended without an error and wrote no bones")
            glb = self._skin_and_merge(source, skeleton, seed)
        result, bones = glb, None
        if output_format == "fbx":
            result = self._folder / "result.fbx"
            bones = len(self._blender("fbx", glb, result)["bones"])
        return Output(result, glb, seed, attempts, bones, self._memory.peak_mb, held, notes)

    # ------------------------------------------------------------ steps

    def _as_glb(self, mesh: Path) -> tuple[Path, Path, Inventory, list[str]]:
        """Write the mesh as one file that refers to nothing outside and has no skeleton, and the same with a skeleton
        if it has one. What Blender reads it reads without asking us; and where there is a skeleton, the glTF importer
        that upstream calls draws its bones as balls, which would end up in the result.
        """
        from ...mesh.input import ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.rig_file import is_rigged_alone

        target, given = self._folder / "input.glb", mesh
        suffix = mesh.suffix.lower()
        if suffix == ".fbx":
            _check_fbx(mesh)
            copy, given = self._folder / "given.fbx", self._folder / "given.glb"
            shutil.copyfile(mesh, copy)
            try:
                self._blender("read", copy, given)
            except StepFailed as error:
                raise InvalidInput(f"{mesh.name}: Blender cannot read it: {error}", "mesh_path") from error
        scene = read_scene(given)
        held, notes = inventory(given, scene), ignored_parts(scene)
        is_glb = given.suffix.lower() == ".glb"
        if is_glb and not notes:
            shutil.copyfile(given, target)
            return target, target, held, notes
        scene.export(target)
        if not is_glb or not is_rigged_alone(given):
            return target, target, held, notes
        rigged = self._folder / "rigged.glb"
        shutil.copyfile(given, rigged)
        return target, rigged, held, notes

    def _extract(self, name: str, faces_target: int) -> None:
        """Extract geometry (and bones, if there are) of a file of the job's folder into `npz/<stem>/raw_data.npz`.

        The name is relative: of an absolute one upstream drops the folder for its results.
        """
        stem = Path(name).stem
        step = "extract" if stem == "input" else "extract-skeleton"
        written = self._folder / "npz" / stem / "raw_data.npz"
        tail = self._step(
            step,
            "reading the mesh" if stem == "input" else "reading the skeleton",
            [
                "module",
                "src.data.extract",
                f"--config={self._folder / 'configs' / 'data' / 'quick_inference.yaml'}",
                f"--require_suffix={_SUFFIXES}",
                "--force_override=true",
                "--num_runs=1",
                "--id=0",
                f"--time={step}",
                f"--faces_target_count={faces_target}",
                f"--input={name}",
                f"--output_dir={self._folder / 'npz'}",
            ],
            written,
        )
        wrong = _wrong_with(written)
        if wrong is not None:
            raise StepFailed(f"UniRig's step {step!r} wrote an unusable {written.name}: {wrong}; it printed:\n{tail}")

    def _skeleton(self, source: Path, target: Path, options: UniRigOptions, seeds: int) -> tuple[int, int]:
        """Generate bones; returns the seed that led to them and how many were tried."""
        task, tokens = self._settings.skeleton_task(options.skeleton_template)
        for attempt in range(seeds):
            seed = (options.seed + attempt) % (MAX_SEED + 1)
            try:
                self._step(
                    "skeleton" if attempt == 0 else f"skeleton-{attempt + 1}",
                    "generating the skeleton" if attempt == 0 else f"generating the skeleton, attempt {attempt + 1}",
                    self._inference(task, seed, source.name, target),
                    target,
                    weights=True,
                    calls=f"src.model.unirig_ar:VocabSwitchingLogitsProcessor.__call__:{tokens}",
                    slot="skeleton",
                )
            except WroteNothing as error:
                # Of tokens that make no skeleton upstream prints what is wrong ("last token is not eos", "unexpected
                # token found", arrays of different shapes) and ends well: all of it is as the seed has it.
                if is_out_of_memory(error) or attempt == seeds - 1:
                    raise
            else:
                return seed, attempt + 1
        raise AssertionError("at least one seed is tried")

    def _skin_and_merge(self, source: Path, skeleton: Path, seed: int) -> Path:
        """Compute weights for the bones, and put both into the mesh as it came."""
        task, blocks = self._settings.skin_task()
        skinned, merged = self._folder / "skin.fbx", self._folder / "result.glb"
        self._step(
            "skin",
            "computing skin weights",
            [*self._inference(task, seed, skeleton.name, skinned), "--data_name=raw_data.npz"],
            skinned,
            weights=True,
            calls=f"src.model.unirig_skin:SkinweightPred.forward:{blocks}",
        )
        self._step(
            "merge",
            "putting the rig into the mesh",
            [
                "module",
                "src.inference.merge",
                f"--require_suffix={_SUFFIXES}",
                "--num_runs=1",
                "--id=0",
                f"--source={skinned}",
                f"--target={source}",
                f"--output={merged}",
            ],
            merged,
        )
        return merged

    def _inference(self, task: Path, seed: int, name: str, target: Path) -> list[str]:
        return [
            "script",
            str(self._installed.root / "run.py"),
            f"--task={task}",
            f"--seed={seed}",
            f"--input={name}",
            f"--output={target}",
            f"--npz_dir={self._folder / 'npz'}",
        ]

    def _blender(self, step: str, source: Path, target: Path) -> dict[str, Any]:
        """Convert a file; returns what Blender finds in the written one."""
        facts = self._folder / f"{step}.json"
        self._step(
            step,
            {"read": "reading the mesh", "bones": "reading the skeleton"}.get(step, f"writing {target.suffix[1:]}"),
            ["script", str(_HERE / "blender.py"), str(source), str(target), str(facts)],
            target,
        )
        found: dict[str, Any] = json.loads(facts.read_text())
        return found

    # ------------------------------------------------------------ how a step runs

    def _plan(self, mesh: Path, rig_mode: str, output_format: str) -> None:
        names = ["read"] if mesh.suffix.lower() == ".fbx" else []
        names += {
            "full": ["extract", "skeleton", "extract-skeleton", "skin", "merge"],
            "skeleton": ["extract", "skeleton", "convert"],
            "skin": ["bones", "extract-skeleton", "skin", "merge"],
        }[rig_mode]
        self._planned = [*names, "fbx"] if output_format == "fbx" else names

    def _step(
        self,
        name: str,
        stage: str,
        command: list[str],
        writes: Path,
        *,
        weights: bool = False,
        calls: str | None = None,
        slot: str | None = None,
    ) -> str:
        start, width = self._planned.index(slot or name) / len(self._planned), 1 / len(self._planned)

        def progress(inner: float | None) -> None:
            self._report(_STEPS_END * (start + width * (inner or 0.0)), stage)

        progress(None)

        # Each step has its own standard streams: what upstream prints is no protocol, and goes to a file.
        return run_step(
            command if weights else [sys.executable, str(_HERE / "child.py"), *command],
            start=self._holder.start if weights else launch,
            name=name,
            folder=self._folder,
            environment={
                **step_environment(self._installed.root, self._folder / "tmp"),
                **({"POCKET3D_STEP_CALLS": calls} if calls else {}),
            },
            writes=writes,
            check=self._check,
            progress=progress,
            watch=self._memory.look,
        )

    def _prepare(self) -> None:
        (self._folder / "configs").symlink_to(self._installed.root / "configs", target_is_directory=True)
        for name in ("tasks", "npz", "tmp"):
            (self._folder / name).mkdir()

    def _has_joints(self) -> bool:
        return _wrong_with(self._folder / "npz" / "skeleton" / "raw_data.npz", "joints") is None


def _wrong_with(path: Path, key: str = "vertices") -> str | None:
    """Say what is wrong with an array of points in a file of upstream's, or return None."""
    import numpy as np

    try:
        # An absent array is stored as a pickled None, which is refused like every pickle.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            points = data[key]
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        return f"{key} cannot be read: {error}"
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        return f"{key} have the shape {points.shape}"
    return None if np.isfinite(points).all() else f"{key} are not finite"


def _check_fbx(path: Path) -> None:
    size = path.stat().st_size
    if size > _MAX_FBX_BYTES:
        raise InvalidInput(f"{path.name}: {size:,} bytes, at most {_MAX_FBX_BYTES:,} are taken", "mesh_path")
    with path.open("rb") as file:
        start = file.read(32)
    if not start.startswith(_FBX_STARTS):
        raise InvalidInput(f"{path.name} is no FBX file", "mesh_path")
