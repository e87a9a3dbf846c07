"""How adapters declare variants, how `models.yaml` changes them, and what a worker loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocket3d.adapters.base import Variant
from pocket3d.adapters.catalogue.class_loading import from_spec
from pocket3d.adapters.catalogue.models_yaml import ModelsFileError, load_models_yaml
from pocket3d.adapters.errors import AdapterUnavailable
from pocket3d.adapters.runtime.describe import describe
from pocket3d.contracts.worker_frames import AdapterSpec, ConfiguredVariant, LoadFailed, ModelLoaded, RunFinished
from support.sized import SizedAdapter
from support.worker_driver import WorkerDriver

SMALL = Variant(name="512", vram_mb=8192, quality=1)
LARGE = Variant(name="1024", vram_mb=16384, quality=2)
SIZED, UNAWARE = "support.sized.SizedAdapter", "support.sized.UnawareAdapter"


def spec(class_path: str = SIZED, **fields: Any) -> AdapterSpec:
    return AdapterSpec(adapter_id="sized", class_path=class_path, **fields)


async def test_an_object_is_the_best_variant_until_another_is_chosen() -> None:
    adapter = SizedAdapter()
    assert (adapter.variant, adapter.vram_requirement) == ("1024", 16384)
    adapter.choose_variant("512")
    assert (adapter.variant, adapter.vram_requirement) == ("512", 8192)
    await adapter.load()
    assert (await adapter.process({}))["model"] == "loaded as 512"
    with pytest.raises(RuntimeError, match="loaded as 512; unload it first"):
        adapter.choose_variant("1024")
    await adapter.unload()
    with pytest.raises(ValueError, match=r"has no variant '2048'; it has 512, 1024"):
        adapter.choose_variant("2048")


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        ((SMALL, SMALL), "'512' is there twice"),
        ((Variant(name="a b", vram_mb=1, quality=1),), "'a b': want 1 to 32 of"),
    ],
)
def test_wrong_variants_are_refused(monkeypatch: pytest.MonkeyPatch, variants: Any, problem: str) -> None:
    monkeypatch.setattr(SizedAdapter, "variants", variants)
    with pytest.raises(ValueError, match=problem):
        SizedAdapter()


def test_a_requirement_beside_variants_is_refused() -> None:
    with pytest.raises(ValueError, match="leave vram_requirement out"):
        SizedAdapter(vram_requirement=4096)


def test_a_description_has_the_variants_and_what_the_smallest_needs() -> None:
    found = describe(spec())
    assert (found.available, found.vram_mb, found.variants) == (True, 8192, [SMALL, LARGE])


def test_the_file_chooses_among_the_variants_of_a_class_and_changes_their_figures() -> None:
    listed = [ConfiguredVariant(name="1024", vram_mb=15000)]
    found = describe(spec(variants=listed))
    assert (found.vram_mb, found.variants) == (15000, [Variant(name="1024", vram_mb=15000, quality=2)])
    assert from_spec(spec(variants=listed)).vram_requirement == 15000
    with pytest.raises(AdapterUnavailable, match="no variant '512'; it has 1024"):
        from_spec(spec(variants=listed), "512")


def test_a_class_without_variants_gets_some_by_its_configuration() -> None:
    listed = [
        ConfiguredVariant(name="quick", vram_mb=10, quality=1, config={"steps": 5}),
        ConfiguredVariant(name="slow", vram_mb=20, quality=2, config={"steps": 50}),
    ]
    given = spec(UNAWARE, config={"steps": 3}, variants=listed)
    assert [(each.name, each.vram_mb) for each in describe(given).variants] == [("quick", 10), ("slow", 20)]
    for name, steps, vram_mb in (("quick", 5, 10), ("slow", 50, 20), (None, 50, 20)):
        adapter = from_spec(given, name)
        assert (vars(adapter)["steps"], adapter.vram_requirement) == (steps, vram_mb)
        assert adapter.variant == (name or "slow")


def test_a_variant_that_nobody_gave_figures_makes_the_adapter_unavailable_and_says_why() -> None:
    found = describe(spec(variants=[ConfiguredVariant(name="2048")]))
    assert not found.available and found.reason is not None
    assert "variant '2048' needs vram_mb and quality" in found.reason and "its class has 512, 1024" in found.reason


def test_an_adapter_without_variants_has_none_to_load() -> None:
    assert describe(spec(UNAWARE)).variants == []
    assert from_spec(spec(UNAWARE)).variant is None
    with pytest.raises(AdapterUnavailable, match="has no variant '512'; it has none"):
        from_spec(spec(UNAWARE), "512")


def test_an_adapter_is_not_made_before_its_licence_is_accepted() -> None:
    """A worker is as strict as the description: `models.yaml` may have changed between the two."""
    licensed = "support.misbehaving.LicensedAdapter"
    with pytest.raises(AdapterUnavailable, match=r"write `accept_license: true` under adapters\.sized"):
        from_spec(spec(licensed))
    assert from_spec(spec(licensed, accept_license=True)).license_info is not None


def test_a_worker_loads_the_variant_that_it_is_told(worker: WorkerDriver) -> None:
    worker.begin("sized.SizedAdapter", variant="512")
    worker.next(ModelLoaded)
    worker.run("r1", "sized", {})
    assert worker.next(RunFinished).outputs == {"success": True, "model": "loaded as 512", "vram_mb": 8192}


def test_a_worker_refuses_a_variant_that_is_not_there(worker: WorkerDriver) -> None:
    worker.begin("sized.SizedAdapter", variant="2048")
    failed = worker.next(LoadFailed)
    assert (failed.code, "has no variant '2048'" in failed.message) == ("adapter_unavailable", True)


# ---------------------------------------------------------------- models.yaml


def variants_of(folder: Path, text: str) -> list[ConfiguredVariant]:
    file = folder / "models.yaml"
    file.write_text(f"adapters:\n  sized:\n    class: {SIZED}\n    variants: {text}\n")
    return load_models_yaml(file).declared[-1].spec.variants


def test_the_file_lists_variants(tmp_path: Path) -> None:
    text = '[{name: "512"}, {name: 1024, vram_mb: 15000, quality: 7, config: {steps: 9}}]'
    assert variants_of(tmp_path, text) == [
        ConfiguredVariant(name="512"),
        ConfiguredVariant(name="1024", vram_mb=15000, quality=7, config={"steps": 9}),
    ]
    assert variants_of(tmp_path, "null") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "want a list of variants"),
        ("{a: 1}", "want a list of variants"),
        ("[512]", "want a mapping"),
        ("[{vram_mb: 5}]", "name None: want 1 to 32"),
        ("[{name: a/b}]", "name 'a/b': want 1 to 32"),
        ("[{name: true}]", "name True: want 1 to 32"),
        ("[{name: a}, {name: a}]", "'a' is there twice"),
        ("[{name: a, vram: 5}]", "unknown key; known here: name, vram_mb, quality, config"),
        ("[{name: a, vram_mb: much}]", r"variant 'a': Expected `int \| null`, got `str` - at `\$.vram_mb`"),
        ("[{name: a, vram_mb: -1}]", "variant 'a': Expected `int` >= 0"),
        ("[{name: a, config: {b c: 1}}]", "is no name of a constructor's argument"),
    ],
)
def test_mistakes_in_the_file_are_told_with_their_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ModelsFileError, match=problem) as raised:
        variants_of(tmp_path, text)
    assert "models.yaml:4" in str(raised.value)
