"""The TRELLIS adapters without TRELLIS and torch: what is found missing, asked for, told, and cleaned up."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.class_loading import build, load_class
from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput, JobCancelled
from pocket3d.adapters.upstream.hub import Source
from pocket3d.adapters.upstream.trellis import upstream, weights
from pocket3d.adapters.upstream.trellis.adapter import (
    TrellisImagePaintingAdapter,
    TrellisImageToMeshAdapter,
    TrellisTextPaintingAdapter,
    TrellisTextToMeshAdapter,
)
from pocket3d.adapters.upstream.trellis.options import ImageToMeshOptions
from pocket3d.adapters.upstream.trellis.progress_bar import reporting_bar
from pocket3d.adapters.upstream.trellis.recipe import RECIPE
from pocket3d.adapters.upstream.trellis.sampling import Span, Stage, TrellisFailed, watched

ALL = (
    TrellisTextToMeshAdapter,
    TrellisImageToMeshAdapter,
    TrellisTextPaintingAdapter,
    TrellisImagePaintingAdapter,
)
MODELS = ("slat_flow_model", "slat_decoder_mesh")


# ---------------------------------------------------------------- the classes


@pytest.mark.parametrize("cls", ALL)
def test_the_guides_configuration_constructs_without_anything_installed(cls: type[Any]) -> None:
    config = {
        "model_id": "trellis-custom",
        "vram_requirement": 8192,
        "max_concurrent": 1,
        "trellis_root": "/path/to/TRELLIS",
        "model_path": "/path/to/pretrained",
    }
    made = build(cls, cls.adapter_id, config)
    assert (made.model_id, made.vram_requirement, made.max_concurrent) == ("trellis-custom", 8192, 1)
    reason = made.check_available()
    assert reason is not None and "/path/to/TRELLIS" in reason and "pocket3d adapters install" in reason


@pytest.mark.parametrize("cls", ALL)
def test_it_is_built_in_under_its_id_with_its_recipe(cls: type[Any]) -> None:
    [entry] = [each for each in BUILTIN_ADAPTERS if each.adapter_id == cls.adapter_id]
    assert load_class(entry.class_path) is cls
    made = cls()
    assert entry.recipe == "pocket3d.adapters.upstream.trellis.recipe"
    assert (made.model_id, made.feature_type) == (entry.adapter_id, entry.feature)
    assert made.license_info is not None
    assert "nvdiffrast" in made.license_info.summary() and "MIT" in made.license_info.summary()
    assert made.license_info.commercial == "no"
    # Without the baked texture what is not for commercial use is not used.
    untextured: Any = build(cls, entry.adapter_id, {"texture": False}).license_info
    assert untextured.commercial == "yes" and "nvdiffrast" not in untextured.summary()
    schema = made.get_parameter_schema()
    assert schema is not None
    assert schema["additionalProperties"] is False and set(schema.get("required", ())) <= set(schema["properties"])
    # The recipe's configuration is one that the class takes.
    build(cls, entry.adapter_id, RECIPE.config)


def test_an_unknown_backend_is_refused_at_construction() -> None:
    with pytest.raises(AdapterUnavailable, match="attn_backend 'flash-attn': want one of flash_attn"):
        build(TrellisTextToMeshAdapter, "trellis-text-to-mesh", {"attn_backend": "flash-attn"})


# ---------------------------------------------------------------- code


def checkout(folder: Path, *, flexicubes: bool) -> Path:
    for name in ("trellis/__init__.py", *(["trellis/representations/mesh/flexicubes/flexicubes.py"] * flexicubes)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_checkout_without_its_submodule_is_told(tmp_path: Path) -> None:
    reason = upstream.missing_code(checkout(tmp_path, flexicubes=False), upstream.Backends(), "x")
    assert reason is not None and "git submodule update --init" in reason


def test_missing_packages_are_named_with_the_interpreter(tmp_path: Path) -> None:
    reason = upstream.missing_code(checkout(tmp_path, flexicubes=True), upstream.Backends("xformers"), "x")
    assert reason is not None and sys.executable in reason
    assert "xformers" in reason and "spconv" in reason and "open3d" in reason


def test_the_environment_is_set_from_the_options_and_else_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTN_BACKEND", raising=False)
    asked = upstream.Backends("sdpa", "xformers", "native").variables()
    assert asked == {"ATTN_BACKEND": "sdpa", "SPARSE_ATTN_BACKEND": "xformers", "SPCONV_ALGO": "native"}
    # Neither kernel is installed here, and upstream's default would fail.
    assert upstream.Backends().variables() == {}
    monkeypatch.setenv("ATTN_BACKEND", "xformers")
    assert upstream.Backends().variables() == {"ATTN_BACKEND": "xformers"}


def test_dense_only_attention_is_refused_for_sparse_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSE_ATTN_BACKEND", raising=False)
    reason = upstream.missing_code(checkout(tmp_path, flexicubes=True), upstream.Backends("sdpa"), "x")
    assert reason is not None and "sparse_attn_backend" in reason


def test_the_first_error_of_a_load_is_told_and_not_that_of_the_second_try() -> None:
    class Pipeline:
        @staticmethod
        def from_pretrained(path: str) -> None:
            try:
                raise ValueError("size mismatch for out_layer.weight")
            except ValueError:
                raise OSError("no such repository on the hub")  # noqa: B904  # as upstream does

    with pytest.raises(RuntimeError, match=r"ValueError: size mismatch") as told:
        upstream.load_pipeline(Pipeline, Path("x"))
    assert "hub" not in str(told.value)


# ---------------------------------------------------------------- weights


def write_pipeline(folder: Path, references: dict[str, str], encoder: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    settings = {"models": references, **encoder}
    (folder / "pipeline.json").write_text(json.dumps({"name": "x", "args": settings}))
    return folder


def write_model(stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".json", ".safetensors"):
        stem.with_name(stem.name + suffix).write_text(stem.name)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The layout of the release: the text pipeline's decoder lies in the image pipeline's repository."""
    text = write_pipeline(
        tmp_path / "TRELLIS-text-xlarge",
        {
            "slat_flow_model": "ckpts/flow",
            "slat_decoder_mesh": "microsoft/TRELLIS-image-large/ckpts/mesh",
            "slat_decoder_rf": "ckpts/rf",
        },
        {"text_cond_model": "openai/clip-vit-large-patch14"},
    )
    write_model(text / "ckpts" / "flow")
    write_model(tmp_path / "TRELLIS-image-large" / "ckpts" / "mesh")
    clip = tmp_path / "clip-vit-large-patch14"
    clip.mkdir()
    (clip / "config.json").touch()
    return tmp_path


def source(model_path: str | Path | None, *, download: bool = False) -> Source:
    return Source(model_path, "microsoft/TRELLIS-text-xlarge", "trellis-text-to-mesh", download)


@pytest.mark.parametrize("inside", [False, True])
def test_upstream_gets_a_folder_with_just_the_wanted_models(released: Path, inside: bool) -> None:
    given = released / "TRELLIS-text-xlarge" if inside else released
    assert weights.missing_weights(source(given), MODELS) is None
    with weights.linked(source(given), MODELS) as folder:
        settings = json.loads((folder / "pipeline.json").read_text())["args"]
        assert set(settings["models"]) == set(MODELS)
        read = {name: (folder / f"{stem}.safetensors").read_text() for name, stem in settings["models"].items()}
        assert read == {"slat_flow_model": "flow", "slat_decoder_mesh": "mesh"}
        assert settings["text_cond_model"] == str(released / "clip-vit-large-patch14")
    assert not folder.exists() and (released / "TRELLIS-image-large" / "ckpts" / "mesh.json").exists()


@pytest.mark.parametrize("download", [False, True])
def test_a_local_folder_without_weights_is_named_and_never_looked_up_on_the_hub(tmp_path: Path, download: bool) -> None:
    reason = weights.missing_weights(source(tmp_path, download=download), MODELS)
    assert reason is not None and str(tmp_path / "pipeline.json") in reason
    assert "pocket3d adapters install trellis-text-to-mesh" in reason
    with pytest.raises(AdapterUnavailable, match="there is no"), weights.linked(source(tmp_path), MODELS):
        pass


def test_every_missing_file_is_named(released: Path) -> None:
    (released / "TRELLIS-text-xlarge" / "ckpts" / "flow.safetensors").unlink()
    (released / "TRELLIS-image-large" / "ckpts" / "mesh.json").unlink()
    reason = weights.missing_weights(source(released), MODELS)
    assert reason is not None and "ckpts/flow" in reason and "TRELLIS-image-large/ckpts/mesh" in reason
    # What may be fetched is not missing; the pipeline's own file is.
    reason = weights.missing_weights(source(released, download=True), MODELS)
    assert reason is not None and "ckpts/flow" in reason and "ckpts/mesh" not in reason


def test_a_pipeline_of_another_kind_or_no_pipeline_is_told(released: Path) -> None:
    reason = weights.missing_weights(source(released), ("sparse_structure_decoder",))
    assert reason is not None and "lists no sparse_structure_decoder" in reason
    (released / "TRELLIS-text-xlarge" / "pipeline.json").write_text("<html>")
    reason = weights.missing_weights(source(released), MODELS)
    assert reason is not None and "is no pipeline of TRELLIS" in reason


def test_the_encoders_are_looked_for_where_upstream_would(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (released / "clip-vit-large-patch14" / "config.json").unlink()
    reason = weights.missing_weights(source(released), MODELS)
    assert reason is not None and "openai/clip-vit-large-patch14" in reason
    assert weights.missing_weights(source(released, download=True), MODELS) is None

    image = write_pipeline(tmp_path / "image", {}, {"image_cond_model": "dinov2_vitl14_reg"})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    reason = weights.missing_weights(source(image), ())
    assert reason is not None and str(tmp_path / "torch" / "hub") in reason
    hub = tmp_path / "torch" / "hub" / "facebookresearch_dinov2_main"
    hub.mkdir(parents=True)
    (hub / "hubconf.py").touch()
    file = tmp_path / "torch" / "hub" / "checkpoints" / "dinov2_vitl14_reg4_pretrain.pth"
    reason = weights.missing_weights(source(image), ())
    assert reason is not None and str(file) in reason
    assert weights.missing_weights(source(image, download=True), ()) is None
    file.parent.mkdir()
    file.touch()
    assert weights.missing_weights(source(image), ()) is None


def test_torch_hub_takes_the_code_that_is_here_and_does_not_go_to_github(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    hub = SimpleNamespace(load=lambda *arguments, **options: asked.append((*arguments, options)))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    code = tmp_path / "hub" / "facebookresearch_dinov2_main"
    with weights.local_hub(hub):
        hub.load("facebookresearch/dinov2", "dinov2_vitl14_reg", pretrained=True)
    code.mkdir(parents=True)
    (code / "hubconf.py").touch()
    with weights.local_hub(hub):
        hub.load("facebookresearch/dinov2", "dinov2_vitl14_reg", pretrained=True)
    hub.load("facebookresearch/dinov2", "x")
    assert asked == [
        ("facebookresearch/dinov2", "dinov2_vitl14_reg", {"pretrained": True}),
        (str(code), "dinov2_vitl14_reg", {"pretrained": True, "source": "local"}),
        ("facebookresearch/dinov2", "x", {}),
    ]


@pytest.fixture
def nothing_else_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "missing_code", lambda *arguments: None)
    monkeypatch.setattr(weights, "missing_weights", lambda *arguments: None)


@pytest.mark.parametrize("cls", ALL)
def test_only_what_takes_pictures_needs_rembgs_network(
    cls: type[Any], nothing_else_missing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    reason = cls().check_available()
    assert (reason is not None and f"{tmp_path}/u2net.onnx" in reason) == ("image" in cls.adapter_id)
    assert cls(download=True).check_available() is None
    (tmp_path / "u2net.onnx").touch()
    assert cls().check_available() is None


def test_packages_of_the_texture_without_their_compiled_modules_are_told(
    nothing_else_missing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One before nvdiffrast 0.4 compiles itself in the first job, and leaves a lock where it is killed meanwhile."""
    for name in ("nvdiffrast", "diff_gaussian_rasterization"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    reason = str(TrellisTextToMeshAdapter().check_available())
    assert "_nvdiffrast_c" in reason and "pocket3d adapters install trellis-text-to-mesh" in reason
    assert "texture: false" in reason
    (tmp_path / f"_nvdiffrast_c{EXTENSION_SUFFIXES[0]}").touch()
    importlib.invalidate_caches()
    assert "diff_gaussian_rasterization" in str(TrellisTextToMeshAdapter().check_available())
    # For another interpreter.
    (tmp_path / "diff_gaussian_rasterization" / "_C.cpython-38-x86_64-linux-gnu.so").touch()
    assert "diff_gaussian_rasterization" in str(TrellisTextToMeshAdapter().check_available())
    (tmp_path / "diff_gaussian_rasterization" / f"_C{EXTENSION_SUFFIXES[0]}").touch()
    assert TrellisTextToMeshAdapter().check_available() is None
    (tmp_path / f"_nvdiffrast_c{EXTENSION_SUFFIXES[0]}").unlink()
    importlib.invalidate_caches()
    assert TrellisTextToMeshAdapter(texture=False).check_available() is None


def test_a_repository_that_is_not_in_the_cache_is_asked_for_only_with_download() -> None:
    nowhere = "nobody/no-such-weights"
    reason = weights.missing_weights(source(nowhere), MODELS)
    assert reason is not None and f"{nowhere} is not in the hub's cache" in reason
    assert weights.missing_weights(source(nowhere, download=True), MODELS) is None


# ---------------------------------------------------------------- options


def test_options_become_upstreams_sampler_parameters() -> None:
    options = ImageToMeshOptions.read({"sparse_structure_steps": 12, "slat_cfg_strength": 3})
    assert options.sampler("sparse_structure") == {"steps": 12} and options.sampler("slat") == {"cfg_strength": 3.0}
    assert (options.seed, options.texture, options.multi_image_mode) == (42, True, "stochastic")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("slat_steps", 0),
        ("slat_cfg_strength", "strong"),
        ("texture_resolution", 1000),
        ("simplify", 1.0),
        ("texture", "yes"),
        ("multi_image_mode", "all"),
    ],
)
def test_a_wrong_option_is_the_producers_mistake(key: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=key) as refused:
        ImageToMeshOptions.read({key: value})
    assert refused.value.field == key


# ---------------------------------------------------------------- sampling


class Sampler:
    """`FlowEulerSampler.sample` as far as it matters: it calls `self.sample_once` for each step."""

    def sample_once(self, value: int) -> int:
        return value + 1

    def sample(self, steps: int) -> int:
        value = 0
        for _ in range(steps):
            value = self.sample_once(value)
        return value


class Pipeline:
    def __init__(self, voxels: int = 5) -> None:
        self.sparse_structure_sampler, self.slat_sampler = Sampler(), Sampler()
        self.voxels = voxels

    def sample_slat(self, cond: Any, coords: Any, params: Any) -> int:
        return self.slat_sampler.sample(params["steps"])

    def decode_slat(self, latent: int, formats: list[str]) -> dict[str, int]:
        return dict.fromkeys(formats, latent)

    def run(self) -> dict[str, int]:
        self.sparse_structure_sampler.sample(2)
        return self.decode_slat(self.sample_slat(None, SimpleNamespace(shape=(self.voxels, 4)), {"steps": 4}), ["mesh"])


STAGES = [
    Stage("sparse_structure_sampler", "structure", Span(0.0, 0.4), 2),
    Stage("slat_sampler", "surface", Span(0.4, 0.8), 4),
]


def test_each_step_is_told_and_the_result_is_upstreams() -> None:
    pipeline, told = Pipeline(), []
    with watched(pipeline, STAGES, 0.8, lambda fraction, stage: told.append((round(fraction, 2), stage))):
        assert pipeline.run() == {"mesh": 4}
    assert told == [
        (0.2, "structure 1/2"),
        (0.4, "structure 2/2"),
        (0.5, "surface 1/4"),
        (0.6, "surface 2/4"),
        (0.7, "surface 3/4"),
        (0.8, "surface 4/4"),
        (0.8, "decoding the latent"),
    ]
    with watched(pipeline, STAGES, 0.8, lambda *_: None):
        pipeline.run()
    pipeline.run()
    assert len(told) == 7


def test_a_cancel_between_steps_leaves_the_pipeline_as_it_was() -> None:
    pipeline = Pipeline()

    def cancelled(fraction: float, stage: str) -> None:
        if stage == "surface 2/4":
            # As upstream's run_multi_image leaves it when something raises inside.
            vars(pipeline.slat_sampler).update(_inference_model=1, _old_inference_model=2)
            raise JobCancelled

    with pytest.raises(JobCancelled), watched(pipeline, STAGES, 0.8, cancelled):
        pipeline.run()
    assert vars(pipeline.slat_sampler) == vars(pipeline.sparse_structure_sampler) == {}
    assert not {"sample_slat", "decode_slat"} & set(vars(pipeline))
    assert pipeline.run() == {"mesh": 4}


def test_an_empty_structure_is_said_before_upstream_stumbles_over_it() -> None:
    pipeline = Pipeline(voxels=0)
    with pytest.raises(TrellisFailed, match="every voxel empty"), watched(pipeline, STAGES, 0.8, lambda *_: None):
        pipeline.run()


def test_upstreams_bars_tell_their_steps_and_can_be_stopped() -> None:
    told: list[tuple[int, int | None, str]] = []
    bar = reporting_bar(lambda *step: told.append(step), {"Rendering": 2})
    assert list(bar(iter("ab"), desc="Rendering", disable=True)) == ["a", "b"]
    with bar(total=2500, desc="baking") as shown:
        shown.set_postfix({"loss": 0.1})
        shown.update()
    assert list(bar([1])) == [1]
    assert told == [(1, 2, "Rendering"), (2, 2, "Rendering"), (1, 2500, "baking"), (1, 1, "")]

    def stop(*_step: Any) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        list(reporting_bar(stop, {})(range(3)))
