"""What the Hunyuan3D adapters decide without upstream's code: where weights are, what is missing, which images lose
their background, which requests are refused. Upstream itself runs in tests/models.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput
from pocket3d.adapters.upstream.code import put_into_package
from pocket3d.adapters.upstream.hub import Source
from pocket3d.adapters.upstream.hunyuan3d import background, painting, weights
from pocket3d.adapters.upstream.hunyuan3d.adapter import (
    Hunyuan3D21ImageToMeshAdapter,
    Hunyuan3D21PaintingAdapter,
    Hunyuan3DImageToMeshAdapter,
    Hunyuan3DPaintingAdapter,
    Hunyuan3DTextToMeshAdapter,
)
from pocket3d.adapters.upstream.hunyuan3d.progress import Stage
from pocket3d.adapters.upstream.hunyuan3d.versions import V20, V21

ALL = (
    Hunyuan3DImageToMeshAdapter,
    Hunyuan3DTextToMeshAdapter,
    Hunyuan3DPaintingAdapter,
    Hunyuan3D21ImageToMeshAdapter,
    Hunyuan3D21PaintingAdapter,
)
DIT = "hunyuan3d-dit-v2-0"


def source(model_path: str | None, *, download: bool = False) -> Source:
    return Source(model_path, "tencent/Hunyuan3D-2", "hunyuan3d-image-to-mesh", download)


def checkpoint(folder: Path, file: str = "model.fp16.safetensors") -> Path:
    (folder / DIT).mkdir(parents=True)
    (folder / DIT / "config.yaml").write_text("")
    (folder / DIT / file).write_bytes(b"")
    return folder


def test_the_guides_configuration_makes_one_and_what_it_does_not_say_is_measured() -> None:
    given = Hunyuan3DImageToMeshAdapter(
        model_id="hunyuan3d-high", vram_requirement=12288, max_concurrent=1, hunyuan3d_root="/opt/Hunyuan3D-2"
    )
    assert (given.model_id, given.vram_requirement, given.feature_type) == ("hunyuan3d-high", 12288, "image_to_mesh")
    with pytest.raises(ValueError, match="dtype 'int8'"):
        Hunyuan3DImageToMeshAdapter(dtype="int8")


@pytest.mark.parametrize("kind", ALL)
def test_each_tells_its_terms_and_all_its_options(kind: type[Any]) -> None:
    adapter = kind()
    terms = adapter.license_info
    assert terms.requires_acceptance and "South Korea" in terms.territory and "European Union" in terms.territory
    # The European Union by its members, so that a host needs to say no more than its country.
    assert {"EU", "DE", "FR", "GB", "KR"} <= set(terms.excluded_territories) and len(terms.excluded_territories) == 30
    assert terms.commercial == "unclear" and "u2net" in terms.code
    schema = adapter.get_parameter_schema()
    assert schema["additionalProperties"] is False
    files = {"mesh_path", "image_path", "image_paths"}
    for name, each in schema["properties"].items():
        assert each["description"], name
        assert name in files or "type" in each, name
        assert name in files | {"text_prompt"} or "default" in each, name


@pytest.mark.parametrize("kind", ALL)
def test_what_is_missing_is_named_with_the_command(kind: type[Any], tmp_path: Path) -> None:
    adapter = kind(model_path=str(tmp_path / "nowhere"), hunyuan3d_root=tmp_path)
    reason = adapter.check_available()
    assert reason is not None and f"pocket3d adapters install {kind.adapter_id}" in reason
    if kind is not Hunyuan3DTextToMeshAdapter:
        assert str(tmp_path / "nowhere") in reason


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path) -> None:
    adapter = Hunyuan3DImageToMeshAdapter(model_path=str(checkpoint(tmp_path / "w")), hunyuan3d_root=tmp_path / "root")
    assert f"hunyuan3d_root {tmp_path}/root is no checkout of Hunyuan3D 2.0" in str(adapter.check_available())


@pytest.mark.parametrize(
    ("file", "variant", "safe"),
    [
        ("model.fp16.safetensors", "fp16", True),
        ("model.safetensors", None, True),
        ("model.fp16.ckpt", "fp16", False),
        ("model.ckpt", None, False),
    ],
)
def test_weights_are_found_in_each_of_upstreams_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, variant: str | None, safe: bool
) -> None:
    folder = checkpoint(tmp_path / "tencent" / "Hunyuan3D-2", file)
    found = weights.shape_checkpoint(source(str(folder)), DIT)
    assert (found.folder, found.variant, found.safetensors) == (folder, variant, safe)
    # The folder that holds repositories, and upstream's own variable.
    assert weights.shape_checkpoint(source(str(tmp_path / "tencent")), DIT).folder == folder
    monkeypatch.setenv("HY3DGEN_MODELS", str(tmp_path))
    assert weights.shape_checkpoint(source(None), DIT).folder == folder


def test_a_download_is_only_hoped_for_where_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HY3DGEN_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert "tencent/Hunyuan3D-2" in str(weights.missing(source(None), DIT))
    assert weights.missing(source(None, download=True), DIT) is None
    # A folder is none that could be fetched.
    assert str(tmp_path / "x") in str(weights.missing(source(str(tmp_path / "x"), download=True), DIT))
    empty = tmp_path / "empty"
    (empty / DIT).mkdir(parents=True)
    (empty / DIT / "config.yaml").write_text("")
    with pytest.raises(AdapterUnavailable, match=r"has none of model\.fp16\.safetensors"):
        weights.shape_checkpoint(source(str(empty)), DIT)


def test_requests_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    raw, painted = Hunyuan3DImageToMeshAdapter(), Hunyuan3DImageToMeshAdapter(texture=True)
    for adapter, wrong, field in (
        (raw, {"texture": True}, "texture"),
        (painted, {"output_format": "ply"}, "output_format"),
        (raw, {"output_format": "stl"}, "output_format"),
        (raw, {"num_inference_steps": 0}, "num_inference_steps"),
        (raw, {"octree_resolution": 10_000}, "octree_resolution"),
        (raw, {"guidance_scale": "much"}, "guidance_scale"),
        (raw, {"max_faces": 5}, "max_faces"),
        (raw, {"seed": -1}, "seed"),
        (painted, {"max_faces": 200_001}, "max_faces"),
        (raw, {"image_path": None, "image_paths": [str(image), str(image)]}, "image_paths"),
    ):
        with pytest.raises(InvalidInput) as refused:
            adapter.validate_inputs({"image_path": str(image), **wrong})
        assert refused.value.field == field
    painted.validate_inputs({"image_path": str(image), "output_format": "ply", "texture": False})
    raw.validate_inputs({"image_path": str(image), "max_faces": 0})
    raw.validate_inputs({"image_path": str(image), "max_faces": 200_001})
    painted.validate_inputs({"image_path": str(image), "max_faces": 200_001, "texture": False})
    # All faces, as far as they can be unwrapped.
    assert painted._options({"image_path": str(image), "max_faces": 0}).max_faces == 200_000
    assert raw._options({"image_path": str(image), "max_faces": 0}).max_faces == 0


def test_stages_share_the_whole() -> None:
    told: list[tuple[float | None, str, str | None]] = []
    whole = Stage(lambda *each: told.append(each), "shape", 0.2, 0.6)
    part = whole.part("decoding", 0.5, 1.0)
    part(0, 4)
    part(2, 4)
    part(9, 4)
    part(3, None, "3 blocks")
    assert [round(fraction, 6) if fraction is not None else None for fraction, _, _ in told] == [0.4, 0.5, 0.6, None]
    assert told[1][1:] == ("decoding", "step 2 of 4") and told[3][2] == "3 blocks"


@pytest.mark.torch
def test_only_opaque_images_lose_their_background_and_they_all_do() -> None:
    from PIL import Image

    opaque = Image.new("RGB", (4, 4), "red")
    half = Image.new("RGBA", (4, 4), "red")
    half.putpixel((0, 0), (0, 0, 0, 0))
    seen: list[str] = []

    def remover(image: Any) -> Any:
        seen.append(image.mode)
        return half

    # RGBA without any transparency is opaque: upstream's test of the mode takes it for cut out.
    for image in (opaque, opaque.convert("RGBA")):
        cut = background.cut_out(image, remover, "my.Remover", "image_path")
        assert cut.source == "removed by my.Remover" and cut.image.getpixel((0, 0))[3] == 0
    assert seen == ["RGB", "RGB"]
    assert background.cut_out(half, remover, "my.Remover", "image_path").source == "the image's own transparency"
    assert len(seen) == 2

    for image, with_what, text in (
        (Image.new("RGBA", (4, 4)), remover, "fully transparent"),
        (opaque, None, "has no background remover"),
        (opaque, lambda _: Image.new("RGBA", (4, 4)), "found no subject"),
        (opaque, lambda image: image.convert("RGBA"), "found no background"),
    ):
        with pytest.raises(InvalidInput, match=text):
            background.cut_out(image, with_what, "my.Remover", "image_path")
    with pytest.raises(RuntimeError, match="without transparency"):
        background.cut_out(opaque, lambda image: image, "my.Remover", "image_path")


def test_a_remover_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = "hy3dgen.rembg.BackgroundRemover"
    assert background.missing_remover("none", upstream, download=False) is None
    assert "no module nobody" in str(background.missing_remover("nobody.Remover", upstream, download=False))
    monkeypatch.setitem(sys.modules, "rembg", sys)
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    assert f"{tmp_path}/u2net.onnx" in str(background.missing_remover(upstream, upstream, download=False))
    assert background.missing_remover(upstream, upstream, download=True) is None
    (tmp_path / "u2net.onnx").write_bytes(b"")
    assert background.missing_remover(upstream, upstream, download=False) is None


# ---------------------------------------------------------------- compiled modules


@pytest.fixture
def all_but_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (V20, V21):
        monkeypatch.setattr(version.__class__, "missing_code", lambda *arguments: None)
    monkeypatch.setattr(weights, "missing", lambda *arguments: None)
    monkeypatch.setattr(background, "missing_remover", lambda *arguments, **options: None)


@pytest.mark.parametrize("kind", [Hunyuan3DPaintingAdapter, Hunyuan3D21PaintingAdapter])
def test_painting_asks_for_the_compiled_module_that_fills_gaps(
    kind: type[Any], all_but_compiled: None, tmp_path: Path
) -> None:
    """Without it 2.0 inpaints in Python for up to an hour, and 2.1 fails after its whole diffusion."""
    version = kind.version
    folder = tmp_path / version.inpainting_folder
    folder.mkdir(parents=True)
    upscaler = tmp_path / "hy3dpaint" / "ckpt" / "RealESRGAN_x4plus.pth"
    upscaler.parent.mkdir(parents=True, exist_ok=True)
    upscaler.touch()
    # Upstream's own, in Python; and one for the system's interpreter.
    (folder / f"{version.inpainting}.py").touch()
    (folder / f"{version.inpainting}.cpython-38-x86_64-linux-gnu.so").touch()
    adapter = kind(hunyuan3d_root=tmp_path)
    reason = str(adapter.check_available())
    assert version.inpainting in reason and str(folder) in reason and sys.executable in reason
    assert f"pocket3d adapters install {kind.adapter_id}" in reason
    (folder / f"{version.inpainting}{EXTENSION_SUFFIXES[0]}").touch()
    assert adapter.check_available() is None


def test_shapes_need_no_compiled_module(all_but_compiled: None, tmp_path: Path) -> None:
    assert Hunyuan3DImageToMeshAdapter(hunyuan3d_root=tmp_path).check_available() is None
    assert Hunyuan3D21ImageToMeshAdapter(hunyuan3d_root=tmp_path).check_available() is None
    assert "mesh_processor" in str(Hunyuan3DImageToMeshAdapter(hunyuan3d_root=tmp_path, texture=True).check_available())


def test_an_installed_compiled_module_is_what_upstream_imports_from_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream's setup.py installs it at the top level; its package has one in Python under the same name."""
    package = tmp_path / "checkout" / "fake_texgen" / "renderer"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text("from .fake_processor import meshVerticeInpaint\n")
    (package / "fake_processor.py").write_text("def meshVerticeInpaint(): 'an hour'\n")
    monkeypatch.syspath_prepend(tmp_path / "checkout")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "fake_processor.py").write_text("def meshVerticeInpaint(): 'seconds'\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    before = set(sys.modules)
    try:
        put_into_package("fake_texgen.renderer", "fake_processor")
        put_into_package("fake_texgen.renderer", "fake_absent")
        renderer: Any = importlib.import_module("fake_texgen.renderer")
        assert renderer.meshVerticeInpaint.__module__ == "fake_processor"
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


PAINT_21 = """
from pathlib import Path
import utils.multiview_utils as views
import trimesh


class Hunyuan3DPaintConfig:
    def __init__(self, max_num_view, resolution):
        self.max_selected_view_num, self.resolution = max_num_view, resolution


class Net:
    def __init__(self):
        self.hooks = []

    def register_forward_pre_hook(self, hook):
        self.hooks.append(hook)
        return self

    def remove(self):
        self.hooks.clear()


class Model:
    def __init__(self):
        self.pipeline = self
        self.scheduler = type("S", (), {"timesteps": [3, 2, 1]})
        self.unet = Net()


class Hunyuan3DPaintPipeline:
    def __init__(self, config):
        self.config, self.models = config, {"multiview_model": Model()}
        assert views.huggingface_hub.snapshot_download(repo_id=config.multiview_pretrained_path, allow_patterns=["x"])

    def __call__(self, mesh_path=None, image_path=None, output_mesh_path=None, use_remesh=True, save_glb=True):
        unet = self.models["multiview_model"].unet
        for _ in range(3):
            for hook in unet.hooks:
                hook(unet, ())
        faces = len(trimesh.load(mesh_path, force="mesh").faces)
        if use_remesh and faces > 40000:
            raise ModuleNotFoundError("No module named 'open3d'", name="open3d")
        self.painted_with = (faces, use_remesh)
        (Path(mesh_path).parent / "white_mesh_remesh.obj").write_text("beside the mesh, as upstream does")
        if self.config.resolution == 512:
            trimesh.load(mesh_path, force="mesh").export(output_mesh_path.replace(".obj", ".glb"))
        return output_mesh_path
"""


@pytest.mark.torch
def test_painting_with_2_1_is_called_as_its_checkout_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in with upstream's names; the real one needs CUDA."""
    import trimesh

    root, models = tmp_path / "root", tmp_path / "models"
    paint = root / "hy3dpaint"
    (paint / "utils").mkdir(parents=True)
    (paint / "utils" / "__init__.py").write_text("")
    (paint / "utils" / "multiview_utils.py").write_text("huggingface_hub = None\n")
    (paint / "textureGenPipeline.py").write_text(PAINT_21)
    (models / "hunyuan3d-paintpbr-v2-1").mkdir(parents=True)
    (models / "hunyuan3d-paintpbr-v2-1" / "model_index.json").write_text("{}")
    where = Source(str(models), "tencent/Hunyuan3D-2.1", "hunyuan3d-2.1-painting", False)
    monkeypatch.syspath_prepend(str(paint))
    with pytest.raises(AdapterUnavailable, match=r"RealESRGAN_x4plus\.pth"):
        painting.Painter21(where, root, "dino", None)
    (tmp_path / "up.pth").write_bytes(b"")
    try:
        painter = painting.Painter21(where, root, "dino", tmp_path / "up.pth")
        told: list[tuple[float | None, str, str | None]] = []
        stage = Stage(lambda *each: told.append(each), "painting", 0.0, 1.0)
        box, folder = trimesh.creation.box(), tmp_path / "job"
        folder.mkdir()
        painted = painter(box, None, painting.PaintSettings(), folder, stage)
        assert len(painted.faces) == 12
        assert [text for _, _, text in told] == ["step 0 of 3", "step 1 of 3", "step 2 of 3"]
        (folder / "painted.glb").unlink()
        # More than upstream paints are reduced before it, since its trimesh needs open3d for that.
        monkeypatch.setattr(painting, "reduce_faces", lambda version, mesh, most, where: box)
        painter(trimesh.creation.icosphere(subdivisions=6), None, painting.PaintSettings(), folder, stage)
        assert painter._pipeline.painted_with == (12, True)
        monkeypatch.setattr(painting, "reduce_faces", lambda version, mesh, most, where: mesh)
        painter(trimesh.creation.icosphere(subdivisions=6), None, painting.PaintSettings(), folder, stage)
        assert painter._pipeline.painted_with == (81920, False)
        (folder / "painted.glb").unlink()
        # Upstream prints that Blender failed, and returns.
        with pytest.raises(painting.PaintFailed, match="wrote no file"):
            painter(box, None, painting.PaintSettings(resolution=768), folder, stage)
    finally:
        for name in ("textureGenPipeline", "utils", "utils.multiview_utils"):
            sys.modules.pop(name, None)


@pytest.mark.torch
@pytest.mark.parametrize("suffix", ["glb", "obj", "ply"])
def test_a_shape_without_colour_is_written_as_clay(tmp_path: Path, suffix: str) -> None:
    import trimesh

    from pocket3d.adapters.upstream.mesh_file import write

    extra = write(trimesh.creation.box(), tmp_path / f"box.{suffix}")
    assert [path.suffix for path in extra] == ([".mtl"] if suffix == "obj" else [])
    [read] = trimesh.load_scene(tmp_path / f"box.{suffix}", process=False).geometry.values()
    assert len(read.faces) == 12
    if suffix == "glb":
        assert (read.visual.material.name, read.visual.material.metallicFactor) == ("clay", 0.0)
