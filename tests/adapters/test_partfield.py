"""The PartField adapter against a stand-in for its checkout (`fake_partfield`)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput, JobCancelled
from pocket3d.adapters.mesh.input import read_mesh
from pocket3d.adapters.upstream.partfield import adapter as module
from pocket3d.adapters.upstream.partfield.adapter import PartFieldSegmentationAdapter
from pocket3d.adapters.upstream.partfield.clustering import cluster_faces, face_graph, numbered
from pocket3d.adapters.upstream.partfield.recipe import RECIPE
from pocket3d.adapters.upstream.partfield.upstream import UpstreamFailed, fitting_points, predict

FAKE = Path(__file__).parent / "fake_partfield"


#: Stands for yacs' CfgNode, which a real checkpoint holds beside its weights.
Settings = type("CfgNode", (dict,), {"__module__": "yacs.config"})


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty modules for what upstream imports and this interpreter lacks."""
    import importlib.util

    folder = tmp_path / "packages"
    folder.mkdir()
    for name in module.NEEDED:
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").touch()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint as Lightning writes it."""
    path = tmp_path / "model_objaverse.ckpt"
    yacs, config = type(sys)("yacs"), type(sys)("yacs.config")
    yacs.config, config.CfgNode = config, Settings  # type: ignore[attr-defined]
    with monkeypatch.context() as while_written:
        while_written.setitem(sys.modules, "yacs", yacs)
        while_written.setitem(sys.modules, "yacs.config", config)
        held = {"state_dict": {"pvcnn.weight": torch.full((1,), 0.5)}, "hyper_parameters": {"cfg": Settings(a=1)}}
        torch.save(held, path)
    return path


@pytest.fixture
def adapter(packages: Path, weights: Path) -> Iterator[PartFieldSegmentationAdapter]:
    path, before = list(sys.path), set(sys.modules)
    made = PartFieldSegmentationAdapter(model_path=weights, partfield_root=FAKE)
    made.device = "cpu"
    yield made
    sys.path[:] = path
    for name in [each for each in sys.modules if each.split(".")[0] == "partfield" and each not in before]:
        del sys.modules[name]


@pytest.fixture
def balls(tmp_path: Path) -> Path:
    """Three balls in a row, 80 faces each."""
    return write_balls(tmp_path / "balls.glb")


def write_balls(path: Path) -> Path:
    each = [trimesh.creation.icosphere(subdivisions=1).apply_translation([3 * x, 0, 0]) for x in range(3)]
    trimesh.util.concatenate(each).export(path)
    return path


def run(
    adapter: PartFieldSegmentationAdapter,
    inputs: dict[str, Any],
    folder: Path,
    cancel_at: str | None = None,
) -> tuple[dict[str, Any], list[tuple[float | None, str | None]]]:
    folder.mkdir(exist_ok=True)
    seen: list[tuple[float | None, str | None]] = []

    def told(fraction: float | None, stage: str | None, message: str | None) -> None:
        seen.append((fraction, stage))
        if stage == cancel_at:
            context.cancel()

    context = RunContext(output_dir=folder, on_progress=told)

    async def job() -> dict[str, Any]:
        await adapter.load()
        token = current_run.set(context)
        try:
            return await adapter.process(inputs)
        finally:
            current_run.reset(token)

    return asyncio.run(job()), seen


def test_makes_the_wanted_parts_of_a_mesh(adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    answer, seen = run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 30}, tmp_path / "out")
    labels = np.load(answer["labels_path"], allow_pickle=False)
    assert labels.dtype == np.int32
    assert labels.tolist() == [0] * 80 + [1] * 80 + [2] * 80
    assert answer["num_parts"] == 3
    scene = trimesh.load_scene(answer["output_mesh_path"])
    assert sorted(scene.graph.nodes_geometry) == ["part_000", "part_001", "part_002"]
    colours = {tuple(part.visual.material.main_color) for part in scene.geometry.values()}
    assert len(colours) == 3
    info = json.loads(Path(answer["segmentation_info_path"]).read_text())
    assert [part["faces"] for part in info["parts"]] == [80, 80, 80]
    noted = "extras of 1 nodes, meshes or materials: what programs noted for themselves"
    assert (info["lost"], info["ignored"]) == ([], [noted])
    assert answer["generation_info"]["statistics"]["faces"] == 240
    assert (tmp_path / "out" / answer["thumbnail_path"]).is_file() or answer["thumbnail_path"] is None
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert fractions == sorted(fractions)
    assert [stage for _, stage in seen if stage == "sampling features"]
    assert Path.cwd() == before
    assert not list((tmp_path / "out").glob("partfield-*")), "the working folder is left"


def test_the_weights_are_read_once_and_the_features_of_one_mesh_too(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path
) -> None:
    first, _ = run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 10}, tmp_path / "a")
    trainer = sys.modules["partfield.model_trainer_pvcnn_only_demo"]
    made = trainer.Model.made
    second, seen = run(adapter, {"mesh_path": balls, "num_parts": 5, "points_per_face": 10}, tmp_path / "b")
    assert trainer.Model.made == made
    assert first["generation_info"]["features_reused"] is False
    assert second["generation_info"]["features_reused"] is True
    assert "sampling features" not in [stage for _, stage in seen]
    assert second["num_parts"] == 5
    again, _ = run(adapter, {"mesh_path": balls, "num_parts": 5, "points_per_face": 10, "seed": 7}, tmp_path / "c")
    assert again["generation_info"]["features_reused"] is False, "another seed samples other points"
    finer, _ = run(adapter, {"mesh_path": balls, "num_parts": 5, "points_per_face": 11, "seed": 7}, tmp_path / "d")
    assert finer["generation_info"]["features_reused"] is False


def test_a_mesh_of_many_faces_gets_fewer_points_and_the_answer_says_so(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path
) -> None:
    adapter.config.points_mb = 1
    answer, _ = run(adapter, {"mesh_path": balls, "num_parts": 3}, tmp_path / "out")
    about = answer["generation_info"]
    assert (about["requested_points_per_face"], about["points_per_face"]) == (1000, 2**20 // 56 // 240)
    fewer, _ = run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 20}, tmp_path / "fewer")
    assert fewer["generation_info"]["points_per_face"] == 20
    # What the default allows: upstream's number on a small mesh, and its advice for a large one.
    assert fitting_points(19_000, 1024) >= 1000 and fitting_points(40_000, 1024) == 479
    assert fitting_points(10**9, 1) == 1
    with pytest.raises(ValueError, match="points_mb 0"):
        PartFieldSegmentationAdapter(points_mb=0)


def test_the_same_seed_gives_the_same_features(adapter: PartFieldSegmentationAdapter, balls: Path) -> None:
    asyncio.run(adapter.load())
    mesh = read_mesh(balls)

    def features(seed: int) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return predict(
                adapter.model,
                mesh,
                device="cpu",
                points_per_face=10,
                seed=seed,
                folder=Path(folder),
                step=lambda fraction, stage: None,
            )

    assert np.array_equal(features(0), features(0))
    assert not np.array_equal(features(0), features(7))


@pytest.mark.parametrize("options", [{"method": "kmeans"}, {"bridge": "components"}, {"points_per_face": 7}])
def test_other_ways_find_the_same_balls(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    answer, _ = run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 10, **options}, tmp_path / "out")
    labels = np.load(answer["labels_path"], allow_pickle=False)
    assert [len(set(labels[start : start + 80])) for start in (0, 80, 160)] == [1, 1, 1]
    assert len(set(labels)) == 3


def test_the_encoder_is_built_for_the_device_of_the_worker(adapter: PartFieldSegmentationAdapter) -> None:
    asyncio.run(adapter.load())
    trainer = sys.modules["partfield.model_trainer_pvcnn_only_demo"]
    assert adapter.model.pvcnn.weight.device.type == "cpu"
    assert adapter.model.pvcnn.weight.item() == 0.5, "the weights of the checkpoint"
    assert trainer.TriPlanePC2Encoder.__name__ == "TriPlanePC2Encoder", "upstream's class is back in its place"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("silent", "without features"),
        ("short", r"shape \(239, 6\) for 240 faces"),
        ("nan", "not finite"),
        ("garbage", "cannot be read"),
    ],
)
def test_silent_failures_of_upstream_are_errors(
    adapter: PartFieldSegmentationAdapter,
    balls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    says: str,
) -> None:
    monkeypatch.setenv("FAKE_PARTFIELD", mode)
    before = Path.cwd()
    with pytest.raises(UpstreamFailed, match=says):
        run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 10}, tmp_path / "out")
    assert Path.cwd() == before
    assert list((tmp_path / "out").iterdir()) == []
    monkeypatch.delenv("FAKE_PARTFIELD")
    answer, _ = run(adapter, {"mesh_path": balls, "num_parts": 3, "points_per_face": 10}, tmp_path / "out")
    assert answer["num_parts"] == 3, "the model works after a failure"


def test_a_crash_of_upstream_comes_out_as_it_is(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PARTFIELD", "crash")
    with pytest.raises(RuntimeError, match="device-side assert"):
        run(adapter, {"mesh_path": balls, "points_per_face": 10}, tmp_path / "out")


@pytest.mark.parametrize("stage", ["encoding the points", "sampling features", "clustering"])
def test_a_cancel_is_heard_within_the_network(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path, stage: str
) -> None:
    with pytest.raises(JobCancelled):
        run(adapter, {"mesh_path": balls, "points_per_face": 100}, tmp_path / "out", cancel_at=stage)
    assert list((tmp_path / "out").iterdir()) == []
    answer, _ = run(adapter, {"mesh_path": balls, "num_parts": 2, "points_per_face": 10}, tmp_path / "out")
    assert answer["num_parts"] == 2


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"num_parts": 241}, "num_parts"),
        ({"num_parts": 0}, "num_parts"),
        ({"method": "spectral"}, "method"),
        ({"points_per_face": 0}, "points_per_face"),
        ({"seed": -1}, "seed"),
        ({"output_format": "fbx"}, "output_format"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    adapter: PartFieldSegmentationAdapter, balls: Path, tmp_path: Path, inputs: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        run(adapter, {"mesh_path": balls, "points_per_face": 10, **inputs}, tmp_path / "out")
    assert refused.value.field == field


def test_it_says_what_is_missing(tmp_path: Path, packages: Path) -> None:
    nowhere = PartFieldSegmentationAdapter(partfield_root=tmp_path / "nowhere")
    reason = nowhere.check_available()
    assert reason is not None
    assert "nowhere" in reason and "pocket3d adapters install partfield-segmentation" in reason
    assert "partfield_root is not set" in (PartFieldSegmentationAdapter().check_available() or "")
    there = PartFieldSegmentationAdapter(partfield_root=FAKE, model_path=tmp_path / "no.ckpt")
    assert "no.ckpt" in (there.check_available() or "")
    with pytest.raises(AdapterUnavailable, match=r"no\.ckpt"):
        asyncio.run(there.load())


def test_missing_packages_are_named(adapter: PartFieldSegmentationAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapter.check_available() is None
    monkeypatch.setattr(module, "NEEDED", ("torch", "no_such_package_of_upstream"))
    assert "no_such_package_of_upstream" in (adapter.check_available() or "")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("evil-was-run",))


def test_a_checkpoint_that_runs_code_is_refused(
    adapter: PartFieldSegmentationAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adapter.model_path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": OrderedDict(), "extra": Evil()}, adapter.model_path)
    with pytest.raises(AdapterUnavailable, match="trust_checkpoint"):
        asyncio.run(adapter.load())
    assert not (tmp_path / "evil-was-run").exists()


@pytest.mark.parametrize(
    "held", [{"weights": {}}, {"state_dict": {"pvcnn.weight": torch.zeros(3)}}, {"state_dict": {}}]
)
def test_a_checkpoint_of_another_model_is_refused(
    adapter: PartFieldSegmentationAdapter, tmp_path: Path, held: dict[str, Any]
) -> None:
    adapter.model_path = tmp_path / "other.ckpt"
    torch.save(held, adapter.model_path)
    with pytest.raises(AdapterUnavailable, match=r"other\.ckpt"):
        asyncio.run(adapter.load())


def test_two_meshes_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="one mesh at a time"):
        PartFieldSegmentationAdapter(max_concurrent=2)


def test_the_recipe_leads_to_what_the_adapter_looks_for() -> None:
    assert RECIPE.config.keys() == {"partfield_root", "model_path"}
    assert RECIPE.checkouts[0].folder in RECIPE.config["partfield_root"]
    assert RECIPE.weights[0].files[0] in RECIPE.config["model_path"]
    assert PartFieldSegmentationAdapter.license_info is not None
    assert PartFieldSegmentationAdapter.license_info.requires_acceptance
    assert not PartFieldSegmentationAdapter.license_info.commercial_use


# ---------------------------------------------------------------- clustering by itself


def test_seams_do_not_part_faces() -> None:
    box = trimesh.creation.box().subdivide()
    apart = trimesh.Trimesh(box.triangles.reshape(-1, 3), np.arange(3 * len(box.faces)).reshape(-1, 3), process=False)
    assert (face_graph(apart, "faces") != face_graph(box, "faces")).nnz == 0


@pytest.mark.parametrize("bridge", ["faces", "components"])
def test_the_graph_of_scattered_pieces_is_one(bridge: str) -> None:
    from scipy.sparse.csgraph import connected_components

    near = [
        trimesh.creation.icosphere(subdivisions=1).apply_translation([0, 0, 100 * group + 3 * i])
        for group in (0, 1)
        for i in range(15)
    ]
    mesh = trimesh.util.concatenate(near)
    graph = face_graph(mesh, bridge)
    assert connected_components(graph)[0] == 1
    assert (graph != graph.T).nnz == 0


def test_parts_are_connected_where_features_alone_would_mix_them() -> None:
    strip = trimesh.util.concatenate([trimesh.creation.icosphere(subdivisions=2)])
    features = np.random.default_rng(0).normal(size=(len(strip.faces), 4))
    labels = cluster_faces(strip, features, 6, method="agglomerative", bridge="faces", seed=0)
    from scipy.sparse.csgraph import connected_components

    graph = face_graph(strip, "faces")
    assert sorted(set(labels)) == list(range(6))
    for label in range(6):
        inside = np.flatnonzero(labels == label)
        assert connected_components(graph[inside][:, inside])[0] == 1


def test_equal_features_give_fewer_parts_and_these_are_counted() -> None:
    box = trimesh.creation.box()
    labels = cluster_faces(box, np.ones((12, 3)), 4, method="kmeans", bridge="faces", seed=0)
    assert labels.tolist() == [0] * 12


def test_labels_are_numbered_by_their_first_face() -> None:
    assert numbered([56, 865, 56, 9, 865]).tolist() == [0, 1, 0, 2, 1]
