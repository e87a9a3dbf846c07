"""`procedural-text-to-texture` as a job meets it, judged from the files; and its words and patterns by themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
from PIL import Image

pytest.importorskip("xatlas")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.weight_free.procedural.attribute_words import PromptError
from pocket3d.adapters.weight_free.texturing import own_uv
from pocket3d.adapters.weight_free.texturing.adapter import ProceduralTextToTextureAdapter
from pocket3d.adapters.weight_free.texturing.atlas import rasterise
from pocket3d.adapters.weight_free.texturing.noise import Noise
from pocket3d.adapters.weight_free.texturing.palettes import PATTERNS
from pocket3d.adapters.weight_free.texturing.patterns import SurfaceSample, colour_tensor, paint
from pocket3d.adapters.weight_free.texturing.words import PATTERN_WORDS, understand
from support import glb_reading
from support import mesh_files as files

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def adapter() -> ProceduralTextToTextureAdapter:
    model = ProceduralTextToTextureAdapter()
    asyncio.run(model.load())
    return model


@pytest.fixture(scope="module")
def two_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ball and a box, in one file."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.5)
    box = trimesh.creation.box([1, 1, 1])
    box.apply_translation([1.4, 0, 0])
    scene = trimesh.Scene()
    scene.add_geometry(ball, node_name="ball", geom_name="ball")
    scene.add_geometry(box, node_name="box", geom_name="box")
    path = tmp_path_factory.mktemp("meshes") / "two.glb"
    scene.export(path)
    return path


def _run(model: ProceduralTextToTextureAdapter, folder: Path, context: Any = None, **inputs: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    token = current_run.set(context or RunContext(output_dir=folder))
    try:
        return asyncio.run(model.process({"texture_resolution": 256, **inputs}))
    finally:
        current_run.reset(token)


def _texture(result: dict[str, Any]) -> Any:
    mesh = next(iter(read_scene(Path(result["output_mesh_path"])).geometry.values()))
    return np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)


# ---------------------------------------------------------------- the file


def test_the_answer_says_what_was_understood_and_measured(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path
) -> None:
    prompt = "a polished dark green marble texture for my castle"
    result = _run(adapter, tmp_path, mesh_path=str(two_parts), text_prompt=prompt, seed=4)
    info = result["painting_info"]
    assert result["success"] is True and result["text_prompt"] == prompt and result["seed"] == info["seed"] == 4
    assert info["understood"]["pattern"] == info["understood"]["material"] == "marble"
    assert info["understood"]["colours"] == ["dark green"]
    assert info["roughness"] == 0.15
    assert info["ignored_words"] == ["my", "castle"]
    assert info["palette"][0] == "#006400"
    scene = read_scene(Path(result["output_mesh_path"]))
    assert sorted(scene.graph.nodes_geometry) == ["ball", "box"]
    assert info["face_count"] == sum(len(mesh.faces) for mesh in scene.geometry.values()) == 320 + 12
    assert info["statistics"]["bodies"] == 2 and info["statistics"]["watertight"] is True
    assert (tmp_path / result["thumbnail_path"]).read_bytes().startswith(b"\x89PNG")
    document = glb_reading.json_chunk(Path(result["output_mesh_path"]))
    (material,) = document["materials"]
    assert set(material["pbrMetallicRoughness"]) >= {"baseColorTexture", "metallicRoughnessTexture"}
    assert len(document["images"]) == 2
    assert _texture(result).shape == (256, 256, 3)


def _inside(corners: Any, points: Any) -> Any:
    """(P, F): whether a point lies inside a triangle, by the signs of three areas."""
    a, b, c = (corners[None, :, i] for i in range(3))
    p = points[:, None]

    def side(start: Any, end: Any) -> Any:
        return (end[..., 0] - start[..., 0]) * (p[..., 1] - start[..., 1]) - (end[..., 1] - start[..., 1]) * (
            p[..., 0] - start[..., 0]
        )

    signs = np.stack([side(a, b), side(b, c), side(c, a)])
    return (signs > 1e-9).all(axis=0) | (signs < -1e-9).all(axis=0)


def _shapes() -> dict[str, Any]:
    open_tube = trimesh.creation.cylinder(radius=0.3, height=1, sections=24)
    open_tube.update_faces(np.abs(open_tube.face_normals[:, 2]) < 0.5)
    return {
        "torus": trimesh.creation.torus(0.5, 0.2, major_sections=24, minor_sections=12),
        "open tube": open_tube,
        "three boxes in one another": trimesh.util.concatenate(
            [trimesh.creation.box([1, 0.5, 0.5]), trimesh.creation.box([0.5, 1, 0.5]), trimesh.creation.box([1, 1, 1])]
        ),
        "with a face of no area": trimesh.Trimesh(
            [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 0, 0]], [[0, 1, 2], [1, 3, 2], [0, 1, 4]], process=False
        ),
    }


@pytest.mark.parametrize("name", sorted(_shapes()))
def test_texture_coordinates_stay_in_the_square_and_never_overlap(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "mesh.ply"
    _shapes()[name].export(path)
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), text_prompt="wood")
    assert result["painting_info"]["overlapping_texels"] == 0
    (mesh,) = read_scene(Path(result["output_mesh_path"])).geometry.values()
    uv = np.asarray(mesh.visual.uv)
    assert uv.min() >= 0 and uv.max() <= 1
    corners = uv[mesh.faces]
    points = np.random.default_rng(5).random((1500, 2))
    inside = _inside(corners, points).sum(axis=1)
    assert inside.max() <= 1
    assert inside.mean() == pytest.approx(result["painting_info"]["coverage"], abs=0.06)


@pytest.mark.parametrize("suffix", ["glb", "stl"])
def test_a_mesh_of_any_size_is_painted_alike(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, suffix: str
) -> None:
    infos = []
    for size in (1e-6, 1e6):
        ball = trimesh.creation.icosphere(subdivisions=2, radius=size)
        ball.export(tmp_path / f"ball.{suffix}")
        made = _run(adapter, tmp_path / "out", mesh_path=str(tmp_path / f"ball.{suffix}"), text_prompt="red plastic")
        infos.append(made["painting_info"])
    assert len({info["charts"] for info in infos}) == 1
    assert len({info["vertex_count"] for info in infos}) == 1, "what is smooth stays smooth"
    assert all(info["coverage"] > 0.4 and info["overlapping_texels"] == 0 for info in infos)


def test_a_tiny_file_as_met_is_painted(adapter: ProceduralTextToTextureAdapter, tmp_path: Path) -> None:
    path = str(files.case("scale_1e-6.obj"))
    info = _run(adapter, tmp_path, mesh_path=path, text_prompt="red plastic")["painting_info"]
    assert (info["face_count"], info["overlapping_texels"]) == (4, 0)
    assert info["coverage"] > 0.4


def test_overlapping_charts_are_counted() -> None:
    triangle = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]])
    assert rasterise(np.stack([triangle, triangle * 0.5]), 64, "cpu").overlapping > 100
    apart = np.stack([triangle, 1 - triangle])
    found = rasterise(apart, 64, "cpu")
    assert found.overlapping == 0
    # Half of an 0.8 square each, the diagonal between them.
    assert len(found.where) == pytest.approx(0.64 * 64 * 64, rel=0.04)


def _with_uv(uv_scale: float = 1.0, shift: float = 0.0) -> Any:
    """A sheet of two triangles with coordinates of its own, in the left half of the texture."""
    vertices = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    uv = np.array([[0.05, 0.05], [0.45, 0.05], [0.45, 0.95], [0.05, 0.95]]) * uv_scale + [shift, 0]
    image = Image.new("RGB", (8, 8), (90, 90, 90))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image, normalTexture=image, name="old")
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


def _scene(folder: Path, *meshes: Any) -> Path:
    scene = trimesh.Scene()
    for number, mesh in enumerate(meshes):
        mesh = mesh.copy()
        mesh.apply_translation([1.5 * number, 0, 0])
        scene.add_geometry(mesh, node_name=f"sheet {number}", geom_name=f"sheet {number}")
    scene.export(folder / "sheets.glb")
    return folder / "sheets.glb"


def test_own_coordinates_are_kept(adapter: ProceduralTextToTextureAdapter, tmp_path: Path) -> None:
    source = _scene(tmp_path, _with_uv(), _with_uv(shift=0.5))
    result = _run(adapter, tmp_path / "out", mesh_path=str(source), text_prompt="red brick", keep_uv=True)
    info = result["painting_info"]
    made = read_scene(Path(result["output_mesh_path"])).geometry
    assert made["sheet 0"].visual.uv == pytest.approx(_with_uv().visual.uv, abs=1e-6)
    assert made["sheet 1"].visual.uv == pytest.approx(_with_uv(shift=0.5).visual.uv, abs=1e-6)
    assert info["texture_coordinates"] == "kept" and info["textures"] == 1 and info["overlapping_texels"] == 0
    assert info["lost"] == ["its colours, textures, metal and roughness: the new ones take their place"]
    materials = glb_reading.json_chunk(Path(result["output_mesh_path"]))["materials"]
    assert all(each["name"] == "old" and "normalTexture" in each for each in materials)
    anew = _run(adapter, tmp_path / "anew", mesh_path=str(source), text_prompt="red brick")["painting_info"]
    assert "keep_uv keeps them" in anew["lost"][-1]


def test_parts_that_share_the_square_get_a_texture_each(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path
) -> None:
    source = _scene(tmp_path, _with_uv(), _with_uv())
    result = _run(adapter, tmp_path / "out", mesh_path=str(source), text_prompt="horizontal gradient", keep_uv=True)
    assert result["painting_info"]["textures"] == 2
    textures = [
        np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
        for mesh in read_scene(Path(result["output_mesh_path"])).geometry.values()
    ]
    # One pattern runs over the whole object.
    assert np.abs(textures[0].mean(axis=(0, 1)) - textures[1].mean(axis=(0, 1))).max() > 30


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        (_with_uv(uv_scale=3), "beyond 0 to 1"),
        (trimesh.creation.box(), "has none"),
        (trimesh.util.concatenate([_with_uv(), _with_uv().apply_translation([0, 2, 0])]), "two places of its surface"),
    ],
)
def test_coordinates_that_cannot_be_kept_are_refused(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, mesh: Any, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        _run(adapter, tmp_path, mesh_path=str(_scene(tmp_path, mesh)), text_prompt="wood", keep_uv=True)
    assert caught.value.field == "keep_uv"


WHOLE, SLANTED = [[0, 0], [1, 0], [0, 1]], [[0, 0], [0.999, 1], [1, 1]]


@pytest.mark.parametrize(
    ("corners", "parts", "said"),
    [
        ([WHOLE] * 5000, 1, r"the triangles of part 'p' cover the texture 2500\.0 times over"),
        ([SLANTED] * 100, 1, r"boxes around them cover the texture 100 times over, at most 64 times"),
        ([WHOLE], 17, r"its 17 parts lie over one another in the texture, at most 16 textures are made"),
    ],
    ids=["each the whole texture", "long and thin", "too many textures"],
)
def test_what_would_take_long_to_look_at_is_refused_before(
    monkeypatch: pytest.MonkeyPatch, corners: Any, parts: int, said: str
) -> None:
    monkeypatch.setattr(own_uv, "rasterise", None)
    uv = np.array(corners, dtype=float).reshape(-1, 2)
    faces = np.arange(len(uv)).reshape(-1, 3)
    with pytest.raises(own_uv.UnusableUv, match=said):
        own_uv.own_layouts(["p"] * parts, [faces] * parts, [uv] * parts, 1024, "cpu")


def test_no_seam_shows_where_the_atlas_is_cut(adapter: ProceduralTextToTextureAdapter, tmp_path: Path) -> None:
    path = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=3).export(path)
    result = _run(adapter, tmp_path / "out", mesh_path=str(path), text_prompt="clouds", texture_resolution=512)
    (mesh,) = read_scene(Path(result["output_mesh_path"])).geometry.values()
    texture = _texture(result)
    uv = np.asarray(mesh.visual.uv)
    seen = texture[np.clip(((1 - uv[:, 1]) * 512).astype(int), 0, 511), np.clip((uv[:, 0] * 512).astype(int), 0, 511)]
    _, inverse, count = np.unique(np.round(mesh.vertices, 5), axis=0, return_inverse=True, return_counts=True)
    assert (count > 1).sum() > 20
    gaps = [np.ptp(seen[inverse == place], axis=0).max() for place in np.nonzero(count > 1)[0]]
    whole = np.ptp(seen, axis=0).max()
    assert np.mean(gaps) < 0.05 * whole
    assert np.max(gaps) < 0.2 * whole


def test_a_texel_on_an_edge_has_the_weights_of_the_triangle_that_it_is_given() -> None:
    """Which of two triangles had it, and with what weights, were written apart, by threads in any order."""
    steps = np.linspace(0, 1, 33)
    low = np.stack(np.meshgrid(steps[:-1], steps[:-1]), axis=-1).reshape(-1, 1, 2)
    squares = low + steps[1] * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = np.concatenate([squares[:, [0, 1, 2]], squares[:, [0, 2, 3]]])
    texels = rasterise(corners, 512, "cpu")
    middles = np.stack([texels.where % 512, texels.where // 512], axis=1) + 0.5
    found = (corners[texels.triangle] * texels.weights.numpy()[:, :, None]).sum(axis=1) * 512
    assert len(middles) == 512 * 512
    assert np.abs(found - middles).max() < 1e-3


def test_the_prompt_and_the_seed_change_the_picture(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path
) -> None:
    def picture(name: str, prompt: str, seed: int = 0) -> Any:
        return _texture(_run(adapter, tmp_path / name, mesh_path=str(two_parts), text_prompt=prompt, seed=seed))

    red, blue = picture("a", "red marble"), picture("b", "blue marble")
    assert red[..., 0].mean() > 3 * red[..., 2].mean() and blue[..., 2].mean() > 3 * blue[..., 0].mean()
    brick = picture("c", "brick")
    assert np.abs(brick - red).mean() > 20
    again = picture("d", "red marble")
    apart = np.abs(again - red).max(axis=2)
    assert (apart == 0).all(), f"{(apart > 0).sum()} texels differ, by at most {apart.max()}"
    other = picture("e", "red marble", seed=1)
    assert (other != red).any(axis=2).mean() > 0.5
    assert other.mean() == pytest.approx(red.mean(), abs=12)


def test_colour_and_metal_are_where_they_should_be(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path
) -> None:
    result = _run(adapter, tmp_path, mesh_path=str(two_parts), text_prompt="large yellow and black checker")
    shades = {tuple(colour) for colour in (_texture(result) // 64).reshape(-1, 3).tolist()}
    assert {(3, 3, 0), (0, 0, 0)} <= shades
    gold = _run(adapter, tmp_path / "gold", mesh_path=str(two_parts), text_prompt="gold")
    (material,) = glb_reading.json_chunk(Path(gold["output_mesh_path"]))["materials"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 1
    assert material["pbrMetallicRoughness"]["roughnessFactor"] < 0.3


def test_an_obj_has_its_texture_beside_it(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path
) -> None:
    result = _run(adapter, tmp_path, mesh_path=str(two_parts), text_prompt="rust", output_format="obj")
    library, image = sorted((Path(each) for each in result["extra_paths"]), key=lambda each: each.suffix)
    assert library.suffix == ".mtl" and image.suffix == ".png"
    assert "OBJ" in result["painting_info"]["lost"][0]


def test_a_cancel_ends_it_and_progress_rises(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path
) -> None:
    told: list[float] = []
    context: RunContext

    def hear(fraction: float | None, stage: str | None, message: str | None) -> None:
        assert fraction is not None and stage
        told.append(fraction)
        if stage.startswith("painting"):
            context.cancel()

    context = RunContext(output_dir=tmp_path, on_progress=hear)
    threads = torch.get_num_threads()
    with pytest.raises(JobCancelled):
        _run(adapter, tmp_path, context, mesh_path=str(two_parts), text_prompt="lava", texture_resolution=1024)
    assert told == sorted(told) and 0.4 < told[-1] < 0.9
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_prompt", "a beautiful castle"),
        ("text_prompt", "without stripes"),
        ("text_prompt", " "),
        ("texture_resolution", 128),
        ("texture_resolution", 8192),
        ("texture_resolution", 512.5),
        ("seed", -1),
        ("output_format", "stl"),
        ("mesh_path", None),
    ],
)
def test_wrong_inputs_are_named(
    adapter: ProceduralTextToTextureAdapter, tmp_path: Path, two_parts: Path, key: str, value: Any
) -> None:
    inputs = {"mesh_path": str(two_parts), "text_prompt": "wood", key: value}
    with pytest.raises(InvalidInput) as caught:
        _run(adapter, tmp_path, **inputs)
    assert caught.value.field == key


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("prompt", "pattern", "recognised"),
    [
        ("oak", "wood", {"material": "oak"}),
        ("old red brick wall", "brick", {"material": "brick", "colours": ["red"]}),
        ("Rusty Iron", "rust", {"material": "iron"}),
        ("blue and white vertical stripes", "stripes", {"colours": ["blue", "white"], "direction": "vertical"}),
        ("large polka dots", "dots", {"scale": 1.6}),
        ("light blue", "plain", {"colours": ["light blue"]}),
        ("shiny plastic", "plain", {"material": "plastic", "roughness": 0.15}),
        ("golden checkerboard", "checker", {"material": "gold"}),
        ("rainbow stripes", "stripes", {"colours": ["rainbow"]}),
    ],
)
def test_words(prompt: str, pattern: str, recognised: dict[str, Any]) -> None:
    found = understand(prompt)
    assert found.pattern == pattern
    assert found.recognised == {"pattern": pattern, **recognised}


def test_a_refusal_tells_the_vocabulary() -> None:
    with pytest.raises(PromptError) as caught:
        understand("a beautiful castle on a hill")
    for word in ("marble", "camouflage", "stripes", "names of CSS"):
        assert word in str(caught.value)


def test_a_second_pattern_is_reported_not_mixed_in() -> None:
    assert any("dots" in word for word in understand("striped dots").ignored)
    assert any("marble" in word for word in understand("wood and marble").ignored)
    assert any("transparency" in word for word in understand("glass").ignored)


def test_one_colour_is_enough_for_every_pattern() -> None:
    for name, pattern in PATTERNS.items():
        palette = pattern.coloured([(0.1, 0.2, 0.9)])
        assert palette[0] == (0.1, 0.2, 0.9), name
        assert len(palette) == len(pattern.colours)
        assert len(set(palette)) == len(palette), name
        assert all(0 <= channel <= 1 for colour in palette for channel in colour)


# ---------------------------------------------------------------- patterns and noise


def _place(name: str, points: Any, normals: Any, seed: int = 0) -> SurfaceSample:
    colours = colour_tensor(PATTERNS[name].colours, "cpu")
    return SurfaceSample(points, normals, Noise(seed, "cpu"), colours, 0.004, "", points[:, 1] + 0.5)


def test_every_pattern_is_its_own() -> None:
    normals = torch.nn.functional.normalize(torch.randn((4000, 3), generator=torch.Generator().manual_seed(1)), dim=1)
    points = normals * 0.5
    seen: dict[str, Any] = {}
    for name in PATTERNS:
        shade = paint(name, _place(name, points, normals))
        assert shade.colour.shape == (4000, 3) and torch.isfinite(shade.colour).all(), name
        for values in (shade.roughness, shade.metallic):
            assert values is None or (torch.isfinite(values).all() and values.min() > -0.2 and values.max() < 1.2), name
        assert name == "plain" or shade.colour.std(dim=0).max() > 0.01, name
        seen[name] = shade.colour
    assert set(PATTERN_WORDS.values()) <= set(PATTERNS)
    names = list(seen)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            assert (seen[one] - seen[other]).abs().mean() > 0.01, (one, other)


def test_noise_is_zero_on_the_lattice_bounded_and_smooth() -> None:
    noise = Noise(3, "cpu")
    dice = torch.Generator().manual_seed(2)
    lattice = torch.randint(-50, 50, (500, 3), generator=dice).float()
    assert noise.perlin(lattice).abs().max() < 1e-6
    points = torch.rand((20_000, 3), generator=dice) * 40 - 20
    values = noise.perlin(points)
    assert values.abs().max() < 1.1 and values.abs().mean() > 0.1 and values.mean().abs() < 0.02
    near = noise.perlin(points + 1e-3)
    assert (near - values).abs().max() < 0.01


def test_worley_is_the_distance_to_the_nearest_of_one_point_in_each_cell() -> None:
    noise = Noise(3, "cpu")
    dice = torch.Generator().manual_seed(2)
    # The way down its slope leads from anywhere to the nearest point: so all points of some cells are found.
    anywhere = (torch.rand((40_000, 3), generator=dice) * 8 + 8).requires_grad_()
    distance, _, _ = noise.worley(anywhere)
    (slope,) = torch.autograd.grad(distance.sum(), anywhere)
    # Beyond 1 the nearest might lie two cells away, which the method's 27 cells leave out.
    found = (anywhere - distance[:, None] * slope)[distance < 1].detach()
    cells, cell_of = torch.unique(torch.floor(found).long(), dim=0, return_inverse=True)
    features = torch.stack([found[cell_of == cell].mean(dim=0) for cell in range(len(cells))])
    spread = (found - features[cell_of]).norm(dim=1)
    assert spread.max() < 1e-4
    assert ((cells >= 9) & (cells < 15)).all(dim=1).sum() == 6**3

    points = torch.rand((200, 3), generator=dice) * 3 + 10
    first, second, tone = noise.worley(points)
    distances = (points[:, None] - features[None]).norm(dim=2).sort(dim=1).values
    near = first < 1
    assert near.sum() > 150
    assert torch.allclose(first[near], distances[near, 0], atol=1e-4)
    assert (second - distances[:, 1]).abs().median() < 1e-4
    assert ((tone >= 0) & (tone <= 1)).all()
