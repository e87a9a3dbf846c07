"""What upstream adapters declare of VRAM and licences, against what upstream says."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.class_loading import load_class
from pocket3d.adapters.licenses import License
from pocket3d.adapters.runtime.describe import describe
from pocket3d.contracts.worker_frames import AdapterSpec

CLASS_PATHS = {each.adapter_id: each.class_path for each in BUILTIN_ADAPTERS}
GB = 1024
#: Adapter, configuration, GB that upstream states, and where.
FIGURES: list[tuple[str, dict[str, Any], int, str]] = [
    ("hunyuan3d-image-to-mesh", {}, 6, "Hunyuan3D-2 9bcf302, README line 125: shape"),
    ("hunyuan3d-image-to-mesh", {"texture": True}, 16, "the same line: shape and texture"),
    ("hunyuan3d-text-to-mesh", {}, 6, "the same line: shape"),
    ("hunyuan3d-text-to-mesh", {"texture": True}, 16, "the same line: shape and texture"),
    ("hunyuan3d-2.1-image-to-mesh", {}, 10, "Hunyuan3D-2.1 5e3ec6d, README line 76: shape"),
    ("hunyuan3d-2.1-image-to-mesh", {"texture": True}, 29, "the same line: shape and texture"),
    ("hunyuan3d-2.1-painting", {}, 21, "the same line: texture"),
    ("trellis-text-to-mesh", {}, 16, "TRELLIS 6b0d647, README line 41: at least"),
    ("trellis-image-to-mesh", {}, 16, "the same line"),
    ("trellis-text-painting", {}, 16, "the same line"),
    ("trellis-image-painting", {}, 16, "the same line"),
    ("unirig-auto-rigging", {}, 8, "UniRig ed4acac, README line 381: at least"),
]


@pytest.mark.parametrize(("adapter_id", "config", "stated_gb", "where"), FIGURES)
def test_no_less_is_declared_than_upstream_states(
    adapter_id: str, config: dict[str, Any], stated_gb: int, where: str
) -> None:
    assert load_class(CLASS_PATHS[adapter_id])(**config).vram_requirement >= stated_gb * GB, where


def test_less_is_declared_without_the_texture() -> None:
    for adapter_id in ("hunyuan3d-image-to-mesh", "hunyuan3d-2.1-image-to-mesh", "trellis-image-to-mesh"):
        cls: Any = load_class(CLASS_PATHS[adapter_id])
        assert cls(texture=False).vram_requirement < cls(texture=True).vram_requirement


def described(adapter_id: str, class_path: str | None = None, **config: Any) -> Any:
    path = class_path or CLASS_PATHS[adapter_id]
    return describe(AdapterSpec(adapter_id=adapter_id, class_path=path, config=config))


@pytest.mark.parametrize(
    ("adapter_id", "config", "commercial"),
    [
        ("procedural-text-to-mesh", {}, "yes"),
        ("echo", {}, "yes"),
        ("partfield-segmentation", {}, "no"),
        ("unirig-auto-rigging", {}, "unclear"),
        ("hunyuan3d-image-to-mesh", {}, "unclear"),
        ("trellis-image-to-mesh", {}, "no"),
        ("trellis-image-to-mesh", {"texture": False}, "yes"),
    ],
)
def test_commercial_use_is_told_by_configuration_and_never_guessed(
    adapter_id: str, config: dict[str, Any], commercial: str
) -> None:
    assert described(adapter_id, **config).commercial == commercial


def test_an_adapter_of_somebody_else_that_says_nothing_is_unclear() -> None:
    assert described("theirs", "misbehaving.Harmless").commercial == "unclear"


def test_every_upstream_adapter_says_what_it_needs_accepted() -> None:
    for each in BUILTIN_ADAPTERS:
        if ".upstream." in each.class_path:
            terms = load_class(each.class_path).license_info
            assert terms is not None, each.adapter_id
            assert terms.commercial == "yes" or terms.requires_acceptance, each.adapter_id


def test_an_excluded_territory_is_a_code() -> None:
    assert License(code="x", excluded_territories=("DE",)).commercial == "unclear"
    with pytest.raises(ValueError, match="excluded_territories 'Germany': want codes of ISO 3166-1"):
        License(code="x", excluded_territories=("Germany",))
