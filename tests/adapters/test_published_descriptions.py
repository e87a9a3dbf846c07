"""What the built-in adapters publish is what they published before, or better.

`published_descriptions.json` holds what each said of itself, with its configuration, before its options were declared
as a `Options`. Descriptions may change, but must not go; a change of anything else is a change of the interface, and is
made there on purpose.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.class_loading import build, constructor_parameters, load_class
from pocket3d.adapters.runtime.describe import describe
from pocket3d.contracts.worker_frames import AdapterSpec

PUBLISHED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "published_descriptions.json").read_text())
CLASS_PATHS = {each.adapter_id: each.class_path for each in BUILTIN_ADAPTERS}


def without_words(parameters: dict[str, Any]) -> dict[str, Any]:
    """A schema in which each description says only that there is one."""
    properties = {
        key: {**facts, "description": True} if facts.get("description") else facts
        for key, facts in parameters["properties"].items()
    }
    # To require nothing may be said or left out.
    kept = {key: value for key, value in parameters.items() if (key, value) != ("required", [])}
    return {**kept, "properties": properties}


@pytest.mark.parametrize(
    "published", PUBLISHED, ids=[f"{one['adapter_id']}{json.dumps(one['config'])}" for one in PUBLISHED]
)
def test_an_adapter_publishes_what_it_did(published: dict[str, Any]) -> None:
    adapter_id, config = published["adapter_id"], published["config"]
    class_path = CLASS_PATHS[adapter_id]
    spec = AdapterSpec(adapter_id=adapter_id, class_path=class_path, config=config, accept_license=True)
    now = msgspec.to_builtins(describe(spec))
    before = published["description"]
    for key in ("feature", "vram_mb", "max_concurrent", "devices", "license"):
        assert now[key] == before[key]
    after, wanted = without_words(now["parameters"]), without_words(before["parameters"])
    described = {key for key, facts in after["properties"].items() if "description" in facts}
    for key in described:
        # One that had no description may have one now.
        if key in wanted["properties"]:
            wanted["properties"][key].setdefault("description", True)
    assert after == wanted
    cls = load_class(class_path)
    adapter = build(cls, adapter_id, config)
    assert adapter.model_id == published["model_id"]
    assert adapter.get_supported_formats() == published["supported_formats"]
    # What models.yaml may configure.
    assert set(published["constructor"]) <= set(constructor_parameters(cls))


def test_every_builtin_adapter_is_among_them() -> None:
    assert {one["adapter_id"] for one in PUBLISHED} == set(CLASS_PATHS)
