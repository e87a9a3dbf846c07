"""What is told of a request before it is submitted."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.api import FeatureAdapter, FeatureInfo
from pocket3d.contracts.variants import Variant
from pocket3d.ops.precheck import problem

SCHEMA = {
    "type": "object",
    "properties": {
        "text_prompt": {"type": "string", "minLength": 1},
        "seed": {"type": "integer", "minimum": 0},
        "output_format": {"enum": ["glb", "obj"]},
    },
    "required": ["text_prompt"],
    "additionalProperties": False,
}


def adapter(adapter_id: str, parameters: dict[str, Any] | None = SCHEMA, *, available: bool = True) -> FeatureAdapter:
    sizes = [Variant(name="512", vram_mb=512, quality=1)] if adapter_id == "trellis" else []
    return FeatureAdapter(adapter_id=adapter_id, parameters=parameters, available=available, variants=sizes)


def info(*adapters: FeatureAdapter) -> FeatureInfo:
    return FeatureInfo(feature="text_to_mesh", required=["text_prompt"], adapters=list(adapters))


PROMPT = {"text_prompt": "a chair"}


@pytest.mark.parametrize(
    ("inputs", "more", "field", "says"),
    [
        (
            {**PROMPT, "colour": "red"},
            {},
            "inputs.colour",
            "unknown parameter colour; known: output_format, seed, text_p",
        ),
        ({"text_promt": "a chair"}, {}, "inputs.text_promt", "unknown parameter text_promt; did you mean text_prompt?"),
        ({**PROMPT, "seed": -1}, {}, "inputs.seed", "-1: want 0 or more (trellis)"),
        ({**PROMPT, "output_format": "GLB"}, {}, "inputs.output_format", '"GLB": want one of glb, obj (trellis)'),
        ({}, {}, "inputs.text_prompt", "is required (trellis)"),
        (PROMPT, {"models": ["trelis"]}, "model_preference", "called trelis; did you mean trellis? known: trellis"),
        (PROMPT, {"variant": "1024"}, "variant", "no adapter that may run it has a variant 1024; known: 512"),
    ],
)
def test_a_mistake_is_told_with_its_field(inputs: dict[str, Any], more: dict[str, Any], field: str, says: str) -> None:
    found = problem(info(adapter("trellis")), inputs, **more)
    assert found is not None
    assert found.field == field
    assert says in found.message


@pytest.mark.parametrize(
    ("known", "inputs", "models"),
    [
        (info(adapter("trellis")), {**PROMPT, "seed": 7}, []),
        # Any keys, or another schema: some adapter takes it.
        (info(adapter("trellis"), adapter("other", None)), {**PROMPT, "colour": "red"}, []),
        (info(adapter("trellis"), adapter("other", {"type": "object"})), {**PROMPT, "seed": -1}, []),
        # A former id stands for ours, and of several names one is enough.
        (info(adapter("trellis-text-to-mesh")), PROMPT, ["trellis_text_to_textured_mesh"]),
        (info(adapter("trellis")), PROMPT, ["elsewhere", "trellis"]),
        # Nobody is there who could say.
        (info(), {"colour": "red"}, ["trelis"]),
        (None, {"colour": "red"}, ["trelis"]),
        (info(adapter("trellis", None, available=False)), {"colour": "red"}, []),
    ],
)
def test_what_somebody_may_take_is_submitted(
    known: FeatureInfo | None, inputs: dict[str, Any], models: list[str]
) -> None:
    assert problem(known, inputs, models) is None


def test_one_that_cannot_run_and_says_nothing_has_no_say() -> None:
    found = problem(info(adapter("trellis"), adapter("broken", None, available=False)), {"text_promt": "a chair"})
    assert found is not None
    assert found.field == "inputs.text_promt"


def test_the_adapter_that_is_named_judges() -> None:
    known = info(adapter("any", None), adapter("trellis"))
    assert problem(known, {**PROMPT, "seed": -1}) is None
    found = problem(known, {**PROMPT, "seed": -1}, ["trellis"])
    assert found is not None
    assert found.field == "inputs.seed"
