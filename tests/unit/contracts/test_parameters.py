"""An adapter's declared parameters, in words for producers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pocket3d.contracts import bounded_schema
from pocket3d.contracts.bounded_schema import BoundedValidator, OverBudget, errors_of, search_steps
from pocket3d.contracts.parameters import CheckCache, ParameterCheck

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text_prompt": {"type": "string", "minLength": 1},
        "image_path": {},
        "quality": {"enum": ["low", "high"]},
        "steps": {"type": "integer", "minimum": 1, "maximum": 100},
        "scale": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 8},
        "seed": {"multipleOf": 2},
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
        ({"text_prompt": "x", "scale": 8}, "inputs.scale", "8: want less than 8"),
        ({"text_prompt": "x", "seed": 3}, "inputs.seed", "3: 3 is not a multiple of 2"),
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


def text(pattern: str) -> dict[str, Any]:
    return {"properties": {"a": {"type": "string", "pattern": pattern}}}


#: 2^30 judgements in 1.8 kB.
DOUBLING: dict[str, Any] = {
    "$defs": {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(30)} | {"d30": {}},
    "$ref": "#/$defs/d0",
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (text("^(a+)+$"), "a" * 40 + "b"),
        (text("(a|aa)*$"), "a" * 60 + "b"),
        (text("a?" * 30 + "a" * 30), "a" * 29),
        (text("a*a*a*a*b"), "a" * 2000),
        (DOUBLING, "a"),
        ({"properties": {"a": {"anyOf": [{"type": "integer"}] * 3000}}}, "a" * 10_000),
        ({"properties": {"a": {"uniqueItems": True}}}, [{"n": n} if n % 2 else n for n in range(30_000)]),
    ],
    ids=["nested", "overlapping", "optional", "polynomial", "doubling", "errors", "unique"],
)
def test_no_schema_takes_long_to_judge(schema: dict[str, Any], value: Any) -> None:
    check = ParameterCheck(schema)
    began = time.process_time()
    assert check.problem({"a": value}) is None
    # Without the bound: hours. It takes up to half a second, once: later jobs are not judged by it.
    assert time.process_time() - began < 5
    began = time.process_time()
    assert all(check.problem({"a": value}) is None for _ in range(10))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (r"\S", " " * 5000 + "x", " " * 10_000),
        ("^[a-z]+$", "a" * 10_000, "a" * 9_999 + "B"),
        (r"^\d+(\.\d+)?$", "12.5", "12.x"),
        ("^#[0-9a-f]{6}$", "#00ff00", "#00ff0"),
        ("red|green", "a green one", "a blue one"),
        ("^(?:ab)+$", "ac", None),
    ],
)
def test_patterns_are_judged_where_their_work_is_bounded(pattern: str, fits: str, fails: str | None) -> None:
    check = ParameterCheck(text(pattern))
    assert check.problem({"a": fits}) is None
    if fails is not None:
        problem = check.problem({"a": fails})
        assert problem is not None and problem.field == "inputs.a"


def test_property_names_by_a_slow_pattern_make_no_usable_schema() -> None:
    with pytest.raises(ValueError, match="may take too long"):
        ParameterCheck({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False})
    check = ParameterCheck({"patternProperties": {"^x_": {}}, "additionalProperties": False})
    assert check.problem({"x_1": 1}) is None and check.problem({"y": 1}) is not None


def test_unique_items_are_compared() -> None:
    check = ParameterCheck({"properties": {"a": {"uniqueItems": True}}})
    assert check.problem({"a": [1, {"b": 1, "c": 2}, {"c": 1, "b": 2}]}) is None
    assert check.problem({"a": [{"b": 1, "c": 2}, 1, {"c": 2, "b": 1}]}) is not None
    assert check.problem({"a": "aa"}) is None, "letters are no items"
    either = ParameterCheck({"properties": {"a": {"uniqueItems": False}}})
    assert either.problem({"a": [1, 1]}) is None


@pytest.mark.parametrize(
    ("pattern", "length", "steps"),
    [
        ("^abc$", 10, 5),
        ("abc", 10, 3 * 11),
        ("a*", 10, 2 * 11 * 11),
        ("^[]a]*$", 10, 7 * 11),
        ("^[^]]*$", 10, 7 * 11),
        (r"^\(a\)*$", 10, 8 * 11),
        ("^a{2,}$", 10, (7 + 101) * 11),
        ("^a{0,9999999}b$", 10, (15 + 9_999_999) * 11),
        ("^a{9999999}$", 10, (12 + 9_999_999) * 11),
        ("^a{x}$", 10, 6),
        ("^(a)?$", 10, 6 * 2),
        ("^(a)*$", 10, float("inf")),
        (r"^(a)\1$", 10, float("inf")),
        ("^(?=a)b$", 10, float("inf")),
        ("a" * 1001, 10, float("inf")),
    ],
)
def test_the_bound_of_a_search(pattern: str, length: int, steps: float) -> None:
    assert search_steps(pattern, length) == steps


def test_counts_of_many_digits_are_no_way_around_the_bound() -> None:
    pattern = "^" + "a{0,9999999}" * 12 + "b$"
    assert search_steps(pattern, 100) > 101.0**12
    assert search_steps("^a{0," + "9" * 900 + "}$", 10) < float("inf")


def many(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "array", "items": items}}}


@pytest.mark.parametrize(
    ("schema", "inputs"),
    [
        (many({"enum": list(range(8_000))}), {"a": [-1] * 3_000}),
        (many({"not": {"const": list(range(8_000))}}), {"a": [[*range(7_999), -1]] * 200}),
        ({"allOf": [{"properties": {"a": {"uniqueItems": True}}}] * 1_000}, {"a": list(range(100_000))}),
        (
            {"patternProperties": {f"^{'x' * 200}{n}": {} for n in range(200)}},
            {"x" * 200 + f"_{n}": 1 for n in range(5_000)},
        ),
        (
            {"patternProperties": {f"{'x' * 50}{n}y": {} for n in range(400)}, "additionalProperties": True},
            {"x" * 500 + f"_{n}": 1 for n in range(1_000)},
        ),
    ],
    ids=["enum", "const", "uniqueItems", "patternProperties", "unanchored"],
)
def test_keywords_that_loop_by_themselves_cost_what_they_do(schema: dict[str, Any], inputs: dict[str, Any]) -> None:
    check = ParameterCheck(schema)
    began = time.process_time()
    check.problem(inputs)
    assert time.process_time() - began < 2


def test_long_names_get_no_hint() -> None:
    check = ParameterCheck({"properties": {"n" * 20_000: {}}, "additionalProperties": False})
    began = time.process_time()
    problem = check.problem({"n" * 19_999: 1})
    assert time.process_time() - began < 2
    assert problem is not None and "did you mean" not in problem.message


@pytest.mark.parametrize(("known", "asked", "hinted"), [(100, 100, True), (101, 100, False), (100, 101, False)])
def test_similar_names_are_looked_for_up_to_a_length(known: int, asked: int, hinted: bool) -> None:
    check = ParameterCheck({"properties": {"n" * known: {}}, "additionalProperties": False})
    problem = check.problem({"n" * (asked - 1) + "m": 1})
    assert problem is not None and ("did you mean" in problem.message) is hinted


def test_checks_are_kept_up_to_a_number_of_schemas() -> None:
    cache = CheckCache(most=2)
    first, second = cache.of({"minimum": 1}), cache.of({"minimum": 2})
    assert cache.of({"minimum": 1}) is first and cache.of({"minimum": 2}) is second
    assert cache.of({"minimum": 3}) is not None
    assert cache.of({"minimum": 1}) is not first, "all were forgotten"


def test_a_plain_keyword_costs_one_of_the_budget() -> None:
    check = ParameterCheck({"properties": {"a": {"items": {"minimum": 0}}}})
    problem = check.problem({"a": [1] * 9_000 + [-1]})
    assert problem is not None and problem.field == "inputs.a[9000]"


def test_a_request_over_the_budget_does_not_end_the_check_for_others() -> None:
    schema = {"properties": {"n": {"type": "integer"}, "a": {"items": {"minimum": 0}}}}
    check = ParameterCheck(schema)
    assert check.problem({"a": [1] * 20_000}) is None
    problem = check.problem({"a": [-1]})
    assert problem is not None and problem.field == "inputs.a[0]"


def test_what_was_found_before_the_budget_ended_is_told() -> None:
    check = ParameterCheck({"properties": {"n": {"type": "integer"}, "a": {"items": {"minimum": 0}}}})
    problem = check.problem({"n": "many", "a": [1] * 20_000})
    assert problem is not None and problem.field == "inputs.n"


def test_the_whole_budget_may_be_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = BoundedValidator({"minimum": 0, "maximum": 9})
    monkeypatch.setattr(bounded_schema, "BUDGET", 2)
    assert list(errors_of(validator, 1)) == []
    monkeypatch.setattr(bounded_schema, "BUDGET", 1)
    with pytest.raises(OverBudget):
        list(errors_of(validator, 1))


def test_a_schema_is_given_up_by_which_nothing_was_found_in_small_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_schema, "BUDGET", 150)
    check = ParameterCheck({"properties": {"a": {"type": "string"}}, "allOf": [{"minimum": 0}] * 200})
    found = check.problem({"a": 1})
    assert found is not None and found.field == "inputs.a"
    assert check.problem({"a": 1}) == found, "it is asked again: it did find something"
    assert check.problem({"a": "x"}) is None
    assert check.problem({"a": 1}) is None, "it is asked no more"


@pytest.mark.parametrize(
    ("schema", "instance", "cost"),
    [
        ({"minimum": 0}, 1, 1.0),
        ({"enum": ["x" * 96]}, "x" * 96, 2.0),
        ({"const": "x" * 48}, "x" * 48, 1.5),
        ({"patternProperties": {"^a": {}}}, {"ab": 1, "c": 2}, 1.0 + (3 + 2) * 0.002 / 1_000),
        ({"patternProperties": {"^a": {}}}, "ab", 1.0),
    ],
    ids=["plain", "100 bytes to compare", "50 bytes", "names searched", "no object"],
)
def test_what_judging_costs(
    schema: dict[str, Any], instance: Any, cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    validator = BoundedValidator(schema)
    monkeypatch.setattr(bounded_schema, "BUDGET", cost + 1e-9)
    assert list(errors_of(validator, instance)) == []
    monkeypatch.setattr(bounded_schema, "BUDGET", cost - 1e-9)
    with pytest.raises(OverBudget):
        list(errors_of(validator, instance))
