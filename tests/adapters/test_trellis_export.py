"""From TRELLIS's values to files: axes, colours, and the baking, whose upstream functions (CUDA only) are played here.

That the played functions have upstream's parameters is tested in tests/models.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
Image = pytest.importorskip("PIL.Image")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.upstream.mesh_file import write
from pocket3d.adapters.upstream.trellis import export
from pocket3d.adapters.upstream.trellis.adapter import TrellisTextPaintingAdapter, TrellisTextToMeshAdapter
from pocket3d.adapters.upstream.trellis.family import simplify_to
from pocket3d.adapters.upstream.trellis.sampling import TrellisFailed
from pocket3d.adapters.upstream.unwrapping import require_paintable

pytestmark = pytest.mark.torch

GAUSSIAN = object()


def extracted(vertices: Any, faces: Any, colours: Any = None) -> SimpleNamespace:
    """Upstream's `MeshExtractResult`."""
    attributes = None if colours is None else torch.cat([torch.as_tensor(colours), torch.zeros(len(colours), 3)], 1)
    found = torch.as_tensor(np.asarray(vertices, dtype=np.float32)), torch.as_tensor(np.asarray(faces))
    return SimpleNamespace(vertices=found[0], faces=found[1], vertex_attrs=attributes, success=len(faces) > 0)


def box() -> SimpleNamespace:
    """Low, and tall in z, TRELLIS's up."""
    made = trimesh.creation.box(extents=(0.2, 0.3, 0.8))
    return extracted(made.vertices, made.faces, np.full((8, 3), 0.5, dtype=np.float32))


class Upstream:
    """Plays `postprocessing_utils` and `render_utils`, with loops under their `tqdm` as upstream has them."""

    def __init__(self) -> None:
        self.processing: Any = ModuleType("trellis.utils.postprocessing_utils")
        self.rendering: Any = ModuleType("trellis.utils.render_utils")
        module: Any
        for module in (self.processing, self.rendering):
            module.tqdm = "upstream's own"
        for function in (self.to_glb, self.parametrize_mesh, self.render_multiview, self.bake_texture):
            setattr(self.processing, function.__name__, function)
        self.calls: dict[str, Any] = {}

    def to_glb(self, gaussian: Any, mesh: Any, simplify: float, texture_size: int, verbose: bool) -> Any:
        self.calls["to_glb"] = (gaussian, mesh, simplify, texture_size, verbose)
        self.render_multiview(gaussian, 0, 0)
        with self.processing.tqdm(total=3, disable=True, desc="Texture baking (opt): optimizing") as bar:
            for _ in range(3):
                bar.update()
        vertices = mesh.vertices.numpy() @ export.TO_Y_UP
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (8, 8), "red"))
        visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(vertices), 2)), material=material)
        return trimesh.Trimesh(vertices, mesh.faces.numpy(), visual=visual, process=False)

    def parametrize_mesh(self, vertices: Any, faces: Any) -> Any:
        self.calls["parametrize_mesh"] = (vertices, faces)
        # xatlas cuts at seams: here at every edge.
        return vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3), np.zeros((faces.size, 2))

    def render_multiview(self, gaussian: Any, resolution: int, nviews: int) -> Any:
        assert gaussian is GAUSSIAN
        for _ in self.rendering.tqdm(iter(range(100)), desc="Rendering", disable=False):
            pass
        return [np.full((4, 4, 3), 9)], [torch.eye(4)], [torch.eye(3)]

    def bake_texture(self, *arguments: Any, **options: Any) -> Any:
        self.calls["bake_texture"] = (arguments, options)
        return np.full((options["texture_size"], options["texture_size"], 3), 200, dtype=np.uint8)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    played = Upstream()
    for module in (ModuleType("trellis"), ModuleType("trellis.utils"), played.processing, played.rendering):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield played
    assert played.processing.tqdm == played.rendering.tqdm == "upstream's own"


# ---------------------------------------------------------------- values


def test_up_is_turned_by_a_rotation_that_can_be_undone() -> None:
    assert np.allclose(np.array([1.0, 2.0, 3.0]) @ export.TO_Y_UP, [1.0, 3.0, -2.0])
    assert np.allclose(export.TO_Y_UP @ export.TO_Y_UP.T, np.eye(3))
    assert np.linalg.det(export.TO_Y_UP) == pytest.approx(1.0)


def test_a_mesh_lies_in_the_cube_as_upstreams_voxelize_puts_it() -> None:
    points = np.array([[10.0, 0.0, 0.0], [14.0, 1.0, 2.0]])
    frame = export.Frame.around(points)
    assert np.allclose(frame.into(points), [[-0.5, -0.125, -0.25], [0.5, 0.125, 0.25]])
    assert np.allclose(frame.out_of(frame.into(points)), points)
    with pytest.raises(InvalidInput, match="no extent"):
        export.Frame.around(np.zeros((3, 3)))


def test_an_empty_or_broken_mesh_is_an_error() -> None:
    with pytest.raises(TrellisFailed, match="empty mesh"):
        export.surface(extracted(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)))
    with pytest.raises(TrellisFailed, match="not finite"):
        export.surface(extracted([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]]))


def test_colours_go_to_the_nearest_points() -> None:
    painted = export.Surface(
        np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.zeros((1, 3), int), np.array([[1.0, 0, 0], [0, 0, 1.0]])
    )
    mixed = export.nearest_colours(painted, np.array([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]]))
    assert np.allclose(mixed, [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply"])
def test_vertex_colours_are_written(tmp_path: Path, suffix: str) -> None:
    mesh = trimesh.creation.box()
    path = tmp_path / f"box.{suffix}"
    extra = write(export.coloured(mesh.vertices, mesh.faces, np.full((8, 3), 0.5)), path)
    assert extra == []
    [read] = trimesh.load_scene(path, process=False).geometry.values()
    if suffix == "glb":
        # glTF's colours are linear (0.2140 is sRGB 0.5), and a mesh without material would be metal.
        assert (read.visual.vertex_attributes["color"][:, :3] == round(0.2140 * 255)).all()
        assert read.visual.material.metallicFactor == 0.0
    else:
        assert (read.visual.vertex_colors[:, :3] == 128).all()


def test_normals_have_unit_length_even_where_triangles_collapsed(tmp_path: Path) -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [5, 5, 5], [6, 6, 6]])
    mesh = export.coloured(vertices, np.array([[0, 1, 2], [3, 4, 5]]), np.zeros((6, 3)))
    write(mesh, tmp_path / "some.glb")
    document, data = glb_parts(tmp_path / "some.glb")
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]]
    offset = document["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
    normals = np.frombuffer(data, dtype="<f4", count=accessor["count"] * 3, offset=offset).reshape(-1, 3)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)


def glb_parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk."""
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length]), data[28 + length :]


# ---------------------------------------------------------------- baking, through the adapters


class Model:
    """A loaded pipeline's surface."""

    slat_sampler_params = {"steps": 2}
    sparse_structure_sampler_params = {"steps": 1}

    def __init__(self) -> None:
        step = SimpleNamespace(sample_once=lambda: None)
        self.slat_sampler, self.sparse_structure_sampler = step, SimpleNamespace(sample_once=lambda: None)
        self.asked: dict[str, Any] = {}

    def sample_slat(self) -> None:
        """Hooked, not called here."""

    decode_slat = sample_slat

    def run(self, prompt: str, **options: Any) -> dict[str, Any]:
        self.asked = {"prompt": prompt, **options}
        return {"mesh": [box()], "gaussian": [GAUSSIAN]}

    def run_variant(self, mesh: Any, prompt: str, **options: Any) -> dict[str, Any]:
        self.asked = {"mesh": mesh, "prompt": prompt, **options}
        return {"gaussian": [GAUSSIAN]}


def ready(cls: type[Any]) -> Any:
    """Loaded on a CUDA device with all that baking needs, so to speak."""
    adapter = cls()
    adapter.model, adapter._loaded, adapter._no_texture = Model(), True, None
    return adapter


def answered(adapter: Any, inputs: dict[str, Any], folder: Path, on_progress: Any = None) -> dict[str, Any]:
    run = RunContext(output_dir=folder, on_progress=on_progress)
    token = current_run.set(run)
    try:
        return asyncio.run(adapter.process(inputs))
    finally:
        current_run.reset(token)


def test_a_generated_mesh_is_baked_by_upstream_and_each_loop_is_told(upstream: Upstream, tmp_path: Path) -> None:
    adapter, seen = ready(TrellisTextToMeshAdapter), []
    inputs = {"text_prompt": " a box ", "seed": 3, "simplify": 0.5, "texture_resolution": 512, "slat_steps": 9}
    answer = answered(adapter, inputs, tmp_path, lambda *step: seen.append(step))

    assert adapter.model.asked == {
        "prompt": "a box",
        "seed": 3,
        "formats": ["mesh", "gaussian"],
        "sparse_structure_sampler_params": {},
        "slat_sampler_params": {"steps": 9},
    }
    assert upstream.calls["to_glb"][2:] == (0.5, 512, False)
    info = answer["generation_info"]
    assert info["colour"] == "baked texture" and (info["texture_resolution"], info["simplify"]) == (512, 0.5)
    assert (info["vertex_count"], info["face_count"]) == (8, 12)
    [mesh] = trimesh.load_scene(answer["output_mesh_path"], process=False).geometry.values()
    assert np.allclose(mesh.extents, [0.2, 0.8, 0.3])
    assert mesh.visual.material.baseColorTexture is not None and mesh.visual.material.metallicFactor == 0.0
    stages = [stage for _, stage, _ in seen]
    assert "baking: Rendering 100/100" in stages and "baking: Texture baking (opt): optimizing 3/3" in stages


def test_baking_can_be_cancelled_between_its_steps(upstream: Upstream, tmp_path: Path) -> None:
    def cancel_at_step_40(_fraction: float | None, stage: str | None, _message: str | None) -> None:
        if "g 40/" in (stage or ""):
            run.cancel()

    run = RunContext(output_dir=tmp_path, on_progress=cancel_at_step_40)
    token = current_run.set(run)
    try:
        with pytest.raises(JobCancelled):
            asyncio.run(ready(TrellisTextToMeshAdapter).process({"text_prompt": "a box"}))
    finally:
        current_run.reset(token)
    assert list(tmp_path.iterdir()) == []


def test_an_obj_takes_its_texture_along(upstream: Upstream, tmp_path: Path) -> None:
    answer = answered(ready(TrellisTextToMeshAdapter), {"text_prompt": "a box", "output_format": "obj"}, tmp_path)
    assert {Path(each).suffix for each in answer["extra_paths"]} == {".mtl", ".png"}


def test_a_request_without_texture_decodes_no_gaussians(tmp_path: Path) -> None:
    adapter = ready(TrellisTextToMeshAdapter)
    answer = answered(adapter, {"text_prompt": "a box", "texture": False}, tmp_path)
    assert adapter.model.asked["formats"] == ["mesh"]
    assert answer["generation_info"]["colour_reason"] == "texture: false in the request"


def test_a_given_mesh_is_painted_where_it_is(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open3d: Any = ModuleType("open3d")
    open3d.utility = SimpleNamespace(Vector3dVector=np.asarray, Vector3iVector=np.asarray)
    open3d.geometry = SimpleNamespace(TriangleMesh=lambda vertices, faces: (vertices, faces))
    monkeypatch.setitem(sys.modules, "open3d", open3d)
    tall = trimesh.creation.box(extents=(1.0, 4.0, 2.0))
    tall.apply_translation((10.0, 0.0, 0.0))
    tall.export(tmp_path / "tall.glb")
    out = tmp_path / "out"
    out.mkdir()
    adapter = ready(TrellisTextPaintingAdapter)
    answer = answered(adapter, {"text_prompt": "rust", "mesh_path": str(tmp_path / "tall.glb")}, out)

    # Upstream sees it upright in z and in its cube.
    vertices, _faces = adapter.model.asked["mesh"]
    assert np.allclose(np.ptp(vertices, axis=0), [0.25, 0.5, 1.0]) and abs(vertices).max() == pytest.approx(0.5)
    assert adapter.model.asked["formats"] == ["gaussian"]
    [mesh] = trimesh.load_scene(answer["output_mesh_path"], process=False).geometry.values()
    assert np.allclose(mesh.bounds, tall.bounds, atol=1e-5)
    assert mesh.visual.material.baseColorTexture.size == (1024, 1024)
    assert answer["painting_info"]["face_count"] == 12
    assert (answer["painting_info"]["lost"], answer["painting_info"]["ignored"]) == ([], [])
    assert upstream.calls["bake_texture"][1]["texture_size"] == 1024


def test_painting_needs_what_was_loaded_for_it(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.glb")
    inputs = {"text_prompt": "rust", "mesh_path": str(tmp_path / "box.glb"), "texture": False}
    with pytest.raises(InvalidInput, match="loaded for baking"):
        answered(ready(TrellisTextPaintingAdapter), inputs, tmp_path)


def test_a_baked_texture_follows_its_seed(upstream: Upstream) -> None:
    """Upstream's optimisation picks its views by numpy's generator of the whole process."""
    drawn: list[int] = []

    def bake(*arguments: Any, **options: Any) -> Any:
        drawn.append(int(np.random.randint(0, 10**6)))
        return np.zeros((options["texture_size"], options["texture_size"], 3), dtype=np.uint8)

    upstream.processing.bake_texture = bake
    mesh = trimesh.creation.box()
    frame = export.Frame.around(mesh.vertices)
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    for seed in (7, 7, 8):
        export.bake_given(
            GAUSSIAN, mesh.vertices, mesh.faces, frame, texture_size=8, seed=seed, report=lambda *each: None
        )
    assert drawn[0] == drawn[1] != drawn[2]
    assert np.random.random() == expected, "what others draw is not changed"


def test_no_more_triangles_are_unwrapped_than_the_setting_allows() -> None:
    options = SimpleNamespace(simplify=0.5)
    assert simplify_to(options, 100_000, 200_000) == 0.5
    assert simplify_to(options, 1_000_000, 200_000) == options.simplify == 0.8
    with pytest.raises(
        InvalidInput, match="has 200,001 triangles, and this adapter unwraps at most 200,000"
    ) as refused:
        require_paintable(200_001, 200_000)
    assert refused.value.field == "mesh_path"
    require_paintable(200_000, 200_000)
