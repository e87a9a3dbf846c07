"""The SkinTokens adapter against a stand-in for its checkout (`fake_skintokens`), in its real process."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.catalogue.class_loading import build
from pocket3d.adapters.check import check_adapter
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.runtime.failure_mapping import judge_run
from pocket3d.adapters.upstream.skintokens import adapter as module
from pocket3d.adapters.upstream.skintokens import rig_process
from pocket3d.adapters.upstream.skintokens.adapter import CHECKPOINT, LANGUAGE_MODEL, SKIN_VAE, SkinTokensAdapter
from pocket3d.adapters.upstream.skintokens.recipe import RECIPE
from pocket3d.adapters.upstream.skintokens.rig_process import RigFailed
from support.heard_run import HeardRun

FAKE = Path(__file__).parent / "fake_skintokens"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty modules for what upstream imports and this interpreter lacks."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in module.NEEDED:
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").touch()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for name in (CHECKPOINT, SKIN_VAE, LANGUAGE_MODEL):
        path = tmp_path / "weights" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path / "weights"


@pytest.fixture
def adapter(packages: Path, weights: Path) -> Iterator[SkinTokensAdapter]:
    made = SkinTokensAdapter(model_path=weights, skintokens_root=FAKE)
    made.device = "cpu"
    yield made
    if made.model is not None:
        made._unload_model()


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "box.glb"
    trimesh.creation.box().export(path)
    return path


async def test_a_mesh_is_rigged_and_the_file_counted(adapter: SkinTokensAdapter, mesh: Path, tmp_path: Path) -> None:
    assert adapter.check_available() is None
    await adapter.load()
    run = HeardRun(tmp_path / "out")
    answer = await run.of(adapter, {"mesh_path": str(mesh), "top_k": 6, "postprocess": True, "seed": 4})
    assert (answer["bone_count"], answer["seed"]) == (6, 4)
    assert answer["rig_info"]["bone_names"] == [f"kept_clean_{number}" for number in range(6)]
    assert answer["rig_info"]["skinned_vertices"] == answer["rig_info"]["statistics"]["vertices"] == 8
    assert Path(answer["skeleton_path"]).is_file() and answer["thumbnail_path"]
    assert answer["generation_info"]["tokens"] == 40 and answer["generation_info"]["vram_peak_mb"] is None
    stages = run.stages
    assert stages[:3] == ["reading the mesh", "reading the mesh", "generating the rig"]
    assert stages[-4:] == [
        "cleaning the skin weights",
        "putting the rig into the mesh",
        "looking at the result",
        "done",
    ]
    assert run.fractions == sorted(run.fractions) and run.fractions[-1] == 1.0
    # Nothing but what the answer names is left in the request's folder.
    named = {Path(answer[key]).name for key in ("output_mesh_path", "skeleton_path", "thumbnail_path")}
    assert {each.name for each in (tmp_path / "out").iterdir()} == named


async def test_the_seed_decides_and_the_process_is_kept(adapter: SkinTokensAdapter, mesh: Path, tmp_path: Path) -> None:
    await adapter.load()
    pid, files = adapter.model.process.pid, []
    for number, seed in enumerate((7, 7, 8)):
        inputs = {"mesh_path": str(mesh), "seed": seed, "keep_textures": False}
        answer = await HeardRun(tmp_path / str(number)).of(adapter, inputs)
        files.append(Path(answer["output_mesh_path"]).read_bytes())
    assert files[0] == files[1] != files[2]
    assert answer["rig_info"]["bone_names"][0] == "bare_0" and adapter.model.process.pid == pid


async def test_a_given_skeleton_gets_new_weights_and_one_is_needed_for_it(
    adapter: SkinTokensAdapter, mesh: Path, tmp_path: Path
) -> None:
    await adapter.load()
    with pytest.raises(InvalidInput, match=r"box\.glb has no skeleton") as told:
        await HeardRun(tmp_path / "none").of(adapter, {"mesh_path": str(mesh), "rig_mode": "skin"})
    assert told.value.field == "mesh_path"
    rigged = await HeardRun(tmp_path / "first").of(adapter, {"mesh_path": str(mesh), "top_k": 5})
    inputs = {"mesh_path": rigged["output_mesh_path"], "rig_mode": "skin"}
    again = await HeardRun(tmp_path / "second").of(adapter, inputs)
    # The stand-in's skeleton has three tokens.
    assert again["bone_count"] == 3 and again["rig_info"]["rig_type"] == "of the input"
    # Without that mode the skeleton is not shown to upstream.
    fresh = await HeardRun(tmp_path / "third").of(adapter, {"mesh_path": rigged["output_mesh_path"], "top_k": 4})
    assert fresh["bone_count"] == 4
    losses = [made["rig_info"]["lost"] for made in (again, fresh)]
    assert [[each for each in lost if "skins" in each] for lost in losses] == [
        [],
        ["1 skins: the new skeleton takes their place"],
    ]
    assert not any("skins" in each for each in fresh["rig_info"]["ignored"])


async def test_a_cancel_ends_the_request_and_not_the_process(
    adapter: SkinTokensAdapter, mesh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SKINTOKENS", "slow")
    await adapter.load()
    pid = adapter.model.process.pid
    run = HeardRun(tmp_path / "cancelled", "generating the rig, token")
    with pytest.raises(JobCancelled):
        await run.of(adapter, {"mesh_path": str(mesh)})
    assert adapter.model.process.pid == pid and adapter.model.process._life.process.poll() is None
    assert list((tmp_path / "cancelled").iterdir()) == []


async def test_a_process_that_does_not_listen_is_ended_and_the_next_request_starts_one(
    adapter: SkinTokensAdapter, mesh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig_process, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(rig_process, "_END_S", 0.2)
    monkeypatch.setenv("FAKE_SKINTOKENS", "deaf")
    await adapter.load()
    pid = adapter.model.process.pid
    original = adapter.check_cancelled

    def later() -> None:
        # Past the last token, where upstream does not listen.
        if run.stages and run.stages[-1].startswith("generating the rig, token 3"):
            run.context.cancel()
        original()

    monkeypatch.setattr(adapter, "check_cancelled", later)
    run = HeardRun(tmp_path / "deaf")
    with pytest.raises(JobCancelled):
        await run.of(adapter, {"mesh_path": str(mesh)})
    life = adapter.model.process._life
    if life.process.poll() is None:
        # It heard the cancel at one of the last tokens after all.
        return
    adapter.model.process._environment.pop("FAKE_SKINTOKENS")
    answer = await HeardRun(tmp_path / "next").of(adapter, {"mesh_path": str(mesh)})
    assert answer["bone_count"] == 5 and adapter.model.process.pid != pid


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        ("memory", "CUDA out of memory", "out_of_memory"),
        ("killed", "ended with -9", "adapter_error"),
        ("no_end", "came to no end", "adapter_error"),
        ("no_file", "without a file", "adapter_error"),
    ],
)
async def test_each_failure_is_told_in_its_words_and_the_next_request_works(
    adapter: SkinTokensAdapter,
    mesh: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    reason: str,
    code: str,
) -> None:
    monkeypatch.setenv("FAKE_SKINTOKENS", fault)
    await adapter.load()
    with pytest.raises(RuntimeError, match=reason) as told:
        await HeardRun(tmp_path / "out").of(adapter, {"mesh_path": str(mesh)})
    assert judge_run(told.value, cancelled=False).code == code
    if fault == "killed":
        adapter.model.process._environment.pop("FAKE_SKINTOKENS")
        assert (await HeardRun(tmp_path / "next").of(adapter, {"mesh_path": str(mesh)}))["bone_count"] == 5


async def test_a_load_that_fails_says_why_and_leaves_nothing(
    adapter: SkinTokensAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAKE_SKINTOKENS", "load")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(RigFailed, match=r"cannot load its weights: RuntimeError: Error\(s\) in loading state_dict"):
        await adapter.load()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_missing_is_named_and_the_recipe_makes_what_the_class_takes(packages: Path, weights: Path) -> None:
    reason = SkinTokensAdapter().check_available()
    assert reason is not None and "skintokens_root is not set" in reason
    assert "pocket3d adapters install skintokens-auto-rigging" in reason
    (weights / SKIN_VAE).unlink()
    reason = SkinTokensAdapter(model_path=weights, skintokens_root=FAKE).check_available()
    assert reason is not None and "the skin's weights" in reason and SKIN_VAE in reason
    made = build(SkinTokensAdapter, "skintokens-auto-rigging", RECIPE.config)
    assert made.vram_requirement == 14336 and made.devices == ("cuda",)
    found = {name for each in RECIPE.weights for name in each.files}
    assert {CHECKPOINT, SKIN_VAE} < found


def test_it_keeps_the_contract_in_a_worker(packages: Path, weights: Path, tmp_path: Path) -> None:
    report = check_adapter(
        SkinTokensAdapter,
        config={"model_path": str(weights), "skintokens_root": str(FAKE)},
        path=[packages],
        device="cpu",
        work_dir=tmp_path / "check",
    )
    assert report.ok, report.text()
