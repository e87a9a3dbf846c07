"""The UniRig adapter against a stand-in for its checkout (`fake_unirig`), whose commands run as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

#: Most of them share a process that holds weights, which takes seconds to start.
pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("unirig")]
torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pygltflib = pytest.importorskip("pygltflib")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput, JobCancelled
from pocket3d.adapters.mesh.rig_file import BrokenRig, read_rig
from pocket3d.adapters.runtime.failure_mapping import judge_run
from pocket3d.adapters.upstream.group_memory import GroupMemory
from pocket3d.adapters.upstream.unirig import adapter as module
from pocket3d.adapters.upstream.unirig.adapter import UniRigAdapter
from pocket3d.adapters.upstream.unirig.job_settings import Installation, JobSettings, WeightFiles
from pocket3d.adapters.upstream.unirig.recipe import RECIPE
from pocket3d.adapters.upstream.unirig.step_process import StepFailed, run_step
from pocket3d.adapters.upstream.unirig.weight_holder import WeightsUnreadable
from pocket3d.contracts.failures import FailureCode

FAKE = Path(__file__).parent / "fake_unirig"
GUIDE: dict[str, Any] = {
    "model_id": "unirig-fast",
    "vram_requirement": 4096,
    "max_concurrent": 2,
    "unirig_root": "/path/to/UniRig",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Empty modules for what upstream imports and this interpreter lacks, and the stand-in for Blender's."""
    folder = tmp_path_factory.mktemp("packages")
    for name in module.NEEDED:
        if name != "bpy" and importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.syspath_prepend(FAKE / "packages")
        yield


def write_weights(folder: Path) -> Path:
    files = WeightFiles.below(folder)
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    for path in files[:2]:
        torch.save({"state_dict": {}}, path)
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights")


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """What the processes of networks were given."""
    path = tmp_path / "record"
    monkeypatch.setenv("FAKE_UNIRIG_RECORD", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def loaded(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UniRigAdapter]:
    made = UniRigAdapter(model_path=write_weights(tmp_path_factory.mktemp("weights")), unirig_root=FAKE)
    made.device = "cpu"
    asyncio.run(made.load())
    yield made
    asyncio.run(made.unload())


@pytest.fixture
def adapter(loaded: UniRigAdapter, recorded: object) -> UniRigAdapter:
    """It is loaded: its processes of networks are forked from one that other tests use too."""
    return loaded


@pytest.fixture
def fresh(packages: None, weights: Path, recorded: object) -> Iterator[UniRigAdapter]:
    """One with weights and a process of its own, not loaded yet."""
    made = UniRigAdapter(model_path=weights, unirig_root=FAKE)
    made.device = "cpu"
    yield made
    asyncio.run(made.unload())


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    path = tmp_path / "figure.glb"
    textured().export(path)
    return path


def textured() -> Any:
    from PIL import Image

    mesh = trimesh.creation.capsule(height=2, radius=0.4, count=[8, 8])
    picture = Image.fromarray((np.random.default_rng(0).random((8, 8, 3)) * 255).astype("u1"))
    uv = np.random.default_rng(1).random((len(mesh.vertices), 2))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return mesh


def run(
    adapter: UniRigAdapter,
    inputs: dict[str, Any],
    folder: Path,
    at: Callable[[RunContext, str | None], None] | None = None,
) -> tuple[dict[str, Any], list[tuple[float | None, str | None]]]:
    folder.mkdir(exist_ok=True)
    seen: list[tuple[float | None, str | None]] = []

    def told(fraction: float | None, stage: str | None, message: str | None) -> None:
        seen.append((fraction, stage))
        if at is not None:
            at(context, stage)

    context = RunContext(output_dir=folder, on_progress=told)

    async def job() -> dict[str, Any]:
        await adapter.load()
        token = current_run.set(context)
        try:
            return await adapter.process(inputs)
        finally:
            current_run.reset(token)

    return asyncio.run(job()), seen


def checkout_files() -> list[Path]:
    return sorted(path for path in FAKE.rglob("*") if "__pycache__" not in path.parts)


def test_a_mesh_is_rigged_with_its_texture_kept(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, recorded: Callable[[], list[dict[str, Any]]]
) -> None:
    before = checkout_files()
    answer, seen = run(adapter, {"mesh_path": figure, "seed": 9}, tmp_path / "out")
    assert checkout_files() == before, "the checkout is written to"
    document = pygltflib.GLTF2().load_binary(answer["output_mesh_path"])
    assert len(document.skins) == 1
    assert answer["bone_count"] == len(document.skins[0].joints) == 5
    assert answer["rig_info"]["bone_names"] == [f"bone_{index}" for index in range(5)]
    assert answer["rig_info"]["most_bones_of_a_vertex"] == 2
    assert answer["generation_info"]["textures"] == 1
    given, made = (trimesh.load(path, force="mesh") for path in (figure, answer["output_mesh_path"]))
    assert np.array_equal(given.visual.uv, made.visual.uv)
    pictures = [np.asarray(each.visual.material.baseColorTexture.convert("RGB")) for each in (given, made)]
    assert np.array_equal(*pictures)
    skeleton = json.loads(Path(answer["skeleton_path"]).read_text())
    assert skeleton["parents"] == [None, 0, 1, 2, 3]
    assert answer["seed"] == 9
    stages = list(dict.fromkeys(stage for _, stage in seen))
    assert stages == [
        "reading the mesh",
        "generating the skeleton",
        "reading the skeleton",
        "computing skin weights",
        "putting the rig into the mesh",
        "looking at the result",
        "done",
    ]
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert fractions == sorted(fractions)
    inside = {fraction for fraction, stage in seen if stage == "generating the skeleton"}
    assert len(inside) > 1, "progress within the network"
    assert not list((tmp_path / "out").glob("unirig-*")), "the working folder is left"

    first, second = recorded()
    assert [first["seed"], second["seed"]] == [9, 9]
    for each in (first, second):
        assert each["task"]["trainer"]["accelerator"] == "cpu"
        assert each["task"]["trainer"]["precision"] == "32-true"
        assert Path(each["cwd"]).parent == tmp_path / "out", "a folder of the job"
        output = next(word for word in each["argv"] if word.startswith("--output="))
        assert Path(output.removeprefix("--output=")).is_absolute()
    files = adapter._weights()
    assert files is not None
    assert first["task"]["resume_from_checkpoint"] == str(files.skeleton)
    assert second["task"]["resume_from_checkpoint"] == str(files.skin)
    assert first["model"]["llm"]["pretrained_model_name_or_path"] == str(files.language_model.parent)
    assert first["model"]["llm"]["_attn_implementation"] == "eager", "no flash attention on a CPU"
    assert first["system"]["generate_kwargs"]["assign_cls"] == "articulationxl"
    voxels = second["transform"]["predict_transform_config"]["vertex_group_config"]["kwargs"]["voxel_skin"]
    assert voxels["backend"] == "open3d"


def test_on_a_gpu_upstream_keeps_its_own_precision(weights: Path, tmp_path: Path) -> None:
    settings = JobSettings(Installation(FAKE, WeightFiles.below(weights), "cuda", "pyrender"), tmp_path)
    task, tokens = settings.skeleton_task("vroid")
    assert tokens == 40
    assert "precision: bf16-mixed" in task.read_text()
    assert "flash_attention_2" in (tmp_path / "skeleton-model.yaml").read_text()
    assert "assign_cls: vroid" in (tmp_path / "skeleton-system.yaml").read_text()
    assert settings.skin_task()[1] == 8


def test_fbx_comes_out_and_goes_in_again(adapter: UniRigAdapter, figure: Path, tmp_path: Path) -> None:
    made, _ = run(adapter, {"mesh_path": figure, "output_format": "fbx"}, tmp_path / "a")
    assert made["output_mesh_path"].endswith(".fbx")
    assert Path(made["output_mesh_path"]).read_bytes().startswith(b"Kaydara FBX Binary")
    assert made["bone_count"] == 5
    again, seen = run(
        adapter, {"mesh_path": made["output_mesh_path"], "rig_mode": "skin", "output_format": "glb"}, tmp_path / "b"
    )
    assert again["bone_count"] == 5
    assert again["rig_info"]["rig_type"] == "of the input"
    assert "generating the skeleton" not in [stage for _, stage in seen]


def test_a_skeleton_alone(adapter: UniRigAdapter, tmp_path: Path) -> None:
    path = tmp_path / "ball.obj"
    trimesh.creation.icosphere(subdivisions=1).export(path)
    answer, _ = run(adapter, {"mesh_path": path, "rig_mode": "skeleton"}, tmp_path / "out")
    assert answer["output_mesh_path"].endswith(".glb")
    assert answer["bone_count"] == 5
    assert answer["rig_info"]["has_skinning"] is False


def test_a_rigged_mesh_is_rigged_anew(adapter: UniRigAdapter, figure: Path, tmp_path: Path) -> None:
    rigged = tmp_path / "rigged.glb"
    spec = importlib.util.spec_from_file_location("fake_files", FAKE / "src" / "files.py")
    assert spec is not None and spec.loader is not None
    files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(files)
    document, blob = files.load_glb(figure)
    files.add_skin(document, blob, [[0, 0, 0], [0, 0, 1]])
    files.save_glb(rigged, document, blob)
    assert read_rig(rigged, skinned=True).bones == 2
    answer, _ = run(adapter, {"mesh_path": rigged}, tmp_path / "out")
    assert answer["bone_count"] == 5, "the old bones are gone"
    assert answer["rig_info"]["lost"][0] == "1 skins: the new skeleton takes their place"
    assert answer["generation_info"]["textures"] == 1


def test_skin_mode_needs_a_skeleton(adapter: UniRigAdapter, figure: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no skeleton") as refused:
        run(adapter, {"mesh_path": figure, "rig_mode": "skin"}, tmp_path / "out")
    assert refused.value.field == "mesh_path"


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ("extract:silent", r"'extract' ended without an error and without raw_data\.npz(.|\n)*0 models processed"),
        ("extract:garbage", r"'extract' wrote an unusable raw_data\.npz"),
        ("extract:empty", r"unusable raw_data\.npz: vertices have the shape \(0, 3\)"),
        ("extract:crash", r"'extract' ended with 1(.|\n)*CUDA error in extract"),
        ("skeleton:silent", r"'skeleton-3' ended without an error and without skeleton\.fbx"),
        ("skeleton:killed", r"'skeleton' was ended by SIGKILL"),
        ("skeleton:empty", r"wrote no bones"),
        ("skin:silent", r"'skin' ended without an error and without skin\.fbx"),
        ("merge:silent", r"'merge' ended without an error and without result\.glb(.|\n)*failed to load"),
    ],
)
def test_failures_of_upstream_are_told_with_what_it_printed(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, says: str
) -> None:
    monkeypatch.setenv("FAKE_UNIRIG", fails)
    with pytest.raises(StepFailed, match=says) as failed:
        run(adapter, {"mesh_path": figure}, tmp_path / "out")
    assert "\x1b" not in str(failed.value), "colours of a terminal"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.broken_glb("a stand-in for upstream writes weights that do not add up to 1")
def test_a_result_with_broken_weights_is_no_result(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_UNIRIG", "merge:light")
    with pytest.raises(BrokenRig, match=r"add up to 1 only within 0\.5"):
        run(adapter, {"mesh_path": figure}, tmp_path / "out")


def unusable(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Have seed 4 lead to no skeleton, as upstream tells it."""
    monkeypatch.setenv("FAKE_UNIRIG", "skeleton:unusable")
    monkeypatch.setenv("FAKE_UNIRIG_BAD_SEED", "4")
    monkeypatch.setenv("FAKE_UNIRIG_SAYS", says)


@pytest.mark.parametrize(
    "says",
    ["last token is not eos", "unexpected token found: 77", "all input arrays must have the same shape"],
)
def test_another_seed_is_tried_where_one_leads_to_no_skeleton(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    unusable(monkeypatch, says)
    answer, seen = run(adapter, {"mesh_path": figure, "seed": 4, "rig_mode": "skeleton"}, tmp_path / "out")
    assert (answer["seed"], answer["generation_info"]["requested_seed"]) == (5, 4)
    assert answer["generation_info"]["seeds_tried"] == 2
    assert "generating the skeleton, attempt 2" in [stage for _, stage in seen]
    monkeypatch.setattr(adapter.config, "seeds", 1)
    with pytest.raises(StepFailed, match=says):
        run(adapter, {"mesh_path": figure, "seed": 4}, tmp_path / "again")


def test_memory_that_ran_out_is_not_the_seeds_fault(
    adapter: UniRigAdapter,
    figure: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recorded: Callable[[], list[dict[str, Any]]],
) -> None:
    unusable(monkeypatch, "CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(StepFailed, match="CUDA out of memory") as failed:
        run(adapter, {"mesh_path": figure, "seed": 4, "rig_mode": "skeleton"}, tmp_path / "out")
    assert judge_run(failed.value, cancelled=False).code == FailureCode.OUT_OF_MEMORY
    assert [each["seed"] for each in recorded()] == [4]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("step", ["extract", "skeleton"])
def test_a_cancel_ends_a_process_that_hangs_and_what_it_started(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    pids = tmp_path / "pids"
    monkeypatch.setenv("FAKE_UNIRIG", f"{step}:hang")
    monkeypatch.setenv("FAKE_UNIRIG_PIDS", str(pids))

    def at(context: RunContext, stage: str | None) -> None:
        if pids.is_file() and pids.read_text():
            context.cancel()

    with pytest.raises(JobCancelled):
        run(adapter, {"mesh_path": figure}, tmp_path / "out", at)
    started = [int(each) for each in pids.read_text().split()]
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in started):
        assert time.monotonic() < deadline, f"still there: {[pid for pid in started if not gone(pid)]}"
        os.sched_yield()
    assert list((tmp_path / "out").iterdir()) == []


def test_weights_are_read_once_and_the_process_that_holds_them_is_started_again(
    fresh: UniRigAdapter, figure: Path, weights: Path, tmp_path: Path
) -> None:
    wish = {"mesh_path": figure, "rig_mode": "skeleton"}
    run(fresh, wish, tmp_path / "a")
    before = fresh.model.holder.pid
    # Whoever reads them again fails.
    kept = WeightFiles.below(weights).skeleton
    content = kept.read_bytes()
    kept.write_bytes(b"none")
    run(fresh, wish, tmp_path / "b")
    assert fresh.model.holder.pid == before
    kept.write_bytes(content)
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not gone(before):
        assert time.monotonic() < deadline
        os.sched_yield()
    with contextlib.suppress(StepFailed):
        # The first job may still meet the dead one.
        run(fresh, wish, tmp_path / "c")
    answer, _ = run(fresh, wish, tmp_path / "d")
    assert answer["bone_count"] == 5 and fresh.model.holder.pid != before
    after = fresh.model.holder.pid
    asyncio.run(fresh.unload())
    assert gone(after)


def test_weights_that_cannot_be_read_fail_the_load(fresh: UniRigAdapter, weights: Path) -> None:
    WeightFiles.below(weights).skin.write_bytes(b"none")
    with pytest.raises(WeightsUnreadable, match=r"skin/articulation-xl/model\.ckpt"):
        asyncio.run(fresh.load())


@pytest.mark.parametrize(
    ("name", "content"), [("bad.fbx", b"not an fbx"), ("bad.fbx", b"Kaydara FBX Binary  \x00\n{"), ("bad.glb", b"glTF")]
)
def test_files_that_are_none_are_the_requests_fault(
    adapter: UniRigAdapter, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        run(adapter, {"mesh_path": path}, tmp_path / "out")
    assert refused.value.field == "mesh_path"


def test_files_that_an_obj_names_are_not_read(
    adapter: UniRigAdapter, tmp_path: Path, recorded: Callable[[], list[dict[str, Any]]]
) -> None:
    path = tmp_path / "ball.obj"
    trimesh.creation.icosphere(subdivisions=1).export(path)
    secret = tmp_path / "secret.mtl"
    secret.write_text("newmtl a\nmap_Kd /etc/passwd\n")
    path.write_text(f"mtllib {secret}\nusemtl a\n" + path.read_text())
    answer, _ = run(adapter, {"mesh_path": path, "rig_mode": "skeleton"}, tmp_path / "out")
    assert answer["success"]
    assert "--input=input.glb" in recorded()[0]["argv"], "Blender is given a file that refers to nothing"


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"rig_mode": "bones"}, "rig_mode"),
        ({"skeleton_template": "dog"}, "skeleton_template"),
        ({"seed": 2**32}, "seed"),
        ({"faces_target_count": 10}, "faces_target_count"),
        ({"output_format": "obj"}, "output_format"),
    ],
)
def test_options_out_of_range_are_refused(
    adapter: UniRigAdapter, figure: Path, tmp_path: Path, inputs: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        run(adapter, {"mesh_path": figure, **inputs}, tmp_path / "out")
    assert refused.value.field == field


def test_the_guides_configuration_makes_one_and_says_what_is_missing() -> None:
    made = UniRigAdapter(**GUIDE)
    assert (made.model_id, made.vram_requirement, made.max_concurrent) == ("unirig-fast", 4096, 2)
    reason = made.check_available()
    assert reason is not None
    assert "/path/to/UniRig/run.py" in reason
    assert "pocket3d adapters install unirig-auto-rigging" in reason
    with pytest.raises(AdapterUnavailable, match="/path/to/UniRig"):
        asyncio.run(made.load())
    assert (UniRigAdapter().vram_requirement, UniRigAdapter.idle_vram_mb) == (9216, 0)


def test_each_missing_weight_is_named(fresh: UniRigAdapter, weights: Path) -> None:
    assert fresh.check_available() is None
    WeightFiles.below(weights).skin.unlink()
    assert "skin/articulation-xl/model.ckpt" in (fresh.check_available() or "")


def test_the_recipe_leads_to_what_the_adapter_looks_for(tmp_path: Path) -> None:
    assert RECIPE.python == ("3.11",)
    assert RECIPE.checkouts[0].folder in RECIPE.config["unirig_root"]
    found = {str(Path(each.folder) / name) for each in RECIPE.weights for name in each.files}
    wanted = {str(path.relative_to(tmp_path.absolute())) for path in WeightFiles.below(tmp_path / "weights")}
    assert found == wanted
    assert UniRigAdapter.license_info is not None
    assert "GPL-3.0" in UniRigAdapter.license_info.code
    assert UniRigAdapter.license_info.requires_acceptance and UniRigAdapter.license_info.commercial == "unclear"


# ---------------------------------------------------------------- parts by themselves


def test_a_step_without_output_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"printed last:\n\(nothing\)"):
        run_step(
            [sys.executable, "-c", ""],
            name="idle",
            folder=tmp_path,
            environment=dict(os.environ),
            writes=tmp_path / "x",
            check=lambda: None,
            progress=lambda fraction: None,
        )


class FakeNvml:
    """`pynvml` as far as it is used: two devices, one process on each."""

    NVMLError = type("NVMLError", (Exception,), {})
    NVMLLibraryMismatchError = type("NVMLLibraryMismatchError", (Exception,), {})
    used = 3 * 2**30

    @staticmethod
    def nvmlInit() -> None:
        """There is a driver."""

    @staticmethod
    def nvmlDeviceGetCount() -> int:
        return 2

    @staticmethod
    def nvmlDeviceGetHandleByIndex(index: int) -> int:
        return index

    @classmethod
    def nvmlDeviceGetComputeRunningProcesses(cls, device: int) -> list[Any]:
        process = type("Process", (), {"pid": os.getpid() if device == 0 else 1, "usedGpuMemory": cls.used})
        return [process()]


def test_vram_is_that_of_the_processes_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    memory = GroupMemory()
    memory.look(os.getpgid(0))
    assert memory.peak_mb == 3072
    other = GroupMemory()
    other.look(-1)
    assert other.peak_mb is None


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount"])
def test_a_driver_that_does_not_fit_its_library_leaves_vram_unknown(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def mismatch() -> None:
        raise FakeNvml.NVMLLibraryMismatchError("the driver was updated")

    monkeypatch.setitem(sys.modules, "pynvml", type("Broken", (FakeNvml,), {call: staticmethod(mismatch)}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    memory = GroupMemory()
    memory.look(os.getpgid(0))
    assert memory.peak_mb is None


def test_a_mesh_without_a_skin_is_no_rig(figure: Path) -> None:
    with pytest.raises(BrokenRig, match="no skin"):
        read_rig(figure, skinned=True)
    with pytest.raises(BrokenRig, match="no bones"):
        read_rig(figure, skinned=False)
