"""An adapter's declared parameters, in words for producers."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.parameters import CheckCache, ParameterCheck

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text_prompt": {"type": "string", "minLength": 1},
        "image_path": {},
        "quality": {"enum": ["low", "high"]},
        "steps": {"type": "integer", "minimum": 1, "maximum": 100},
        "scale": {"type": "number", "exclusiveMinimum": 0},
        "size": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["text_prompt"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ({"text_prompt": "x", "quallity": "high"}, "inputs.quallity", "did you mean 'quality'"),
        ({"text_prompt": "x", "zz": 1}, "inputs.zz", "known: image_path, quality"),
        ({}, "inputs.text_prompt", "is required"),
        ({"text_prompt": "x", "quality": "best"}, "inputs.quality", '"best": want one of low, high'),
        ({"text_prompt": "x", "steps": 0}, "inputs.steps", "0: want 1 or more"),
        ({"text_prompt": "x", "steps": 101}, "inputs.steps", "101: want 100 or less"),
        ({"text_prompt": "x", "steps": "many"}, "inputs.steps", '"many": want integer'),
        ({"text_prompt": "x", "steps": True}, "inputs.steps", "true: want integer"),
        ({"text_prompt": "x", "scale": 0}, "inputs.scale", "0: want more than 0"),
        ({"text_prompt": "x", "size": [1, "b"]}, "inputs.size[1]", '"b": want number'),
        ({"text_prompt": ""}, "inputs.text_prompt", ""),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(inputs: dict[str, Any], field: str, words: str) -> None:
    problem = ParameterCheck(SCHEMA).problem(inputs)
    assert problem is not None
    assert problem.field == field
    assert words in problem.message


def test_what_fits_passes_and_files_are_left_to_others() -> None:
    check = ParameterCheck(SCHEMA)
    assert check.problem({"text_prompt": "x", "steps": 3, "image_path": {"artifact": "sha256-1"}}) is None
    assert check.problem({"text_prompt": "x", "image_path": "/tmp/local.png"}) is None


def test_a_huge_value_is_not_repeated() -> None:
    problem = ParameterCheck(SCHEMA).problem({"text_prompt": "x", "quality": "y" * 100_000})
    assert problem is not None and len(problem.message) < 400


def test_nothing_is_fetched_for_a_reference() -> None:
    problem = ParameterCheck({"$ref": "http://127.0.0.1:1/schema.json"}).problem({})
    assert problem is not None and "cannot be used" in problem.message


def test_what_is_no_schema_is_told_and_judges_nothing_in_a_fleet() -> None:
    with pytest.raises(ValueError, match="not a JSON Schema"):
        ParameterCheck({"type": "objekt"})
    cache = CheckCache()
    assert cache.of({"type": "objekt"}) is None
    assert cache.of(None) is None
    assert cache.of(dict(SCHEMA)) is cache.of(dict(SCHEMA))


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [{"pattern": "a{1,99999999999}"}, deep(1000), {"enum": ["x" * 100_000]}, {"properties": []}],
    ids=["a pattern's bounds", "depth", "size", "shape"],
)
def test_what_makes_no_usable_schema_is_an_error_of_one_kind(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="JSON Schema"):
        ParameterCheck(schema)
    assert CheckCache().of(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$id": "http://[::1", "$ref": "x"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
    ],
    ids=["refers to itself", "no address", "elsewhere", "a property of itself"],
)
def test_a_schema_that_fails_when_it_is_used_is_what_is_wrong(schema: dict[str, Any]) -> None:
    problem = ParameterCheck(schema).problem({"a": 1, "b": [1e308]})
    assert problem is not None
    assert problem.field == "inputs"
    assert "the adapter's schema cannot be used" in problem.message
