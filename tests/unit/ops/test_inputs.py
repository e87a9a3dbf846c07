"""`key=value` words: typed by the schema, JSON, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocket3d.ops.inputs import InputError, LocalFile, local_files, parse_inputs, with_files, with_results

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "seed": {"type": "integer"},
        "scale": {"type": "number"},
        "smooth": {"type": "boolean"},
        "note": {"type": "string"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"type": ["integer", "string"]},
        "format": {"enum": ["glb", "stl"]},
        "level": {"enum": [1, 2]},
        "list": {"type": "array"},
        "referred": {"$ref": "#/$defs/Number"},
    },
    "$defs": {"Number": {"type": "number"}},
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=7", 7),
        ("seed=-7", -7),
        ("scale=1.5", 1.5),
        ("scale=2", 2),
        ("smooth=true", True),
        ("smooth=False", False),
        ("note=7", "7"),
        ("maybe=7", 7),
        ("maybe=null", None),
        ("either=7", 7),
        ("either=x", "x"),
        ("format=glb", "glb"),
        ("level=2", 2),
        ("referred=1e3", 1000.0),
        ("unknown=7", "7"),
        ("text_prompt=a = b := c", "a = b := c"),
        ("text_prompt=", ""),
        ("list:=[1, 2]", [1, 2]),
        ("seed:=null", None),
        ('anything:={"a": 1}', {"a": 1}),
        ('prompt:="x"', "x"),
    ],
)
def test_a_value_gets_its_type(word: str, expected: Any) -> None:
    (value,) = parse_inputs([word], [SCHEMA]).values()
    assert value == expected
    assert type(value) is type(expected)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"anyOf": [schema]}
    return {"properties": {"seed": schema}}


def referred(levels: int) -> dict[str, Any]:
    schemas: list[dict[str, Any]] = [{"$ref": f"#/$defs/d{level + 1}"} for level in range(levels)]
    definitions = {f"d{level}": schema for level, schema in enumerate([*schemas, {"type": "integer"}])}
    return {"properties": {"seed": definitions["d0"]}, "$defs": definitions}


@pytest.mark.parametrize("deep", [nested, referred])
@pytest.mark.parametrize(("levels", "value"), [(0, 7), (4, 7), (5, "7")])
def test_a_type_is_found_four_levels_deep(deep: Callable[[int], dict[str, Any]], levels: int, value: Any) -> None:
    """Schemas that refer to themselves have no end."""
    assert parse_inputs(["seed=7"], [deep(levels)]) == {"seed": value}


def test_without_a_schema_everything_is_text() -> None:
    assert parse_inputs(["seed=7"]) == {"seed": "7"}
    assert parse_inputs(["seed=7"], [None]) == {"seed": "7"}


def test_of_several_adapters_the_first_type_that_takes_the_text_wins() -> None:
    other = {"properties": {"seed": {"type": "string"}}}
    assert parse_inputs(["seed=7"], [None, SCHEMA, other]) == {"seed": 7}
    assert parse_inputs(["seed=x"], [SCHEMA, other]) == {"seed": "x"}


def test_files() -> None:
    inputs = parse_inputs(["image_path=cat.png", "mask=@m.png", "image_paths=a.png", "image_paths=b.png", "x=y"])
    assert inputs == {
        "image_path": LocalFile(Path("cat.png")),
        "mask": LocalFile(Path("m.png")),
        "image_paths": [LocalFile(Path("a.png")), LocalFile(Path("b.png"))],
        "x": "y",
    }
    assert local_files(inputs) == [Path("cat.png"), Path("m.png"), Path("a.png"), Path("b.png")]


def test_an_artifact_that_is_already_there_is_named_as_json() -> None:
    reference = {"artifact": "sha256-00"}
    assert parse_inputs(['image_path:={"artifact": "sha256-00"}']) == {"image_path": reference}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hello"], "'hello' is no input"),
        (["=x"], "is no input"),
        (["a b=x"], "is no input"),
        (["seed=abc"], "seed='abc': want integer"),
        (["scale=nan"], "want number"),
        (["smooth=maybe"], "want boolean"),
        (["list=1,2"], "write list:=JSON"),
        (["seed:={"], "not JSON"),
        (["seed:=NaN"], "not JSON"),
        (["image_path="], "names no file"),
        (["mask=@"], "names no file"),
        (["seed=1", "seed=2"], "given twice"),
        (['image_paths:={"artifact":"a"}', "image_paths=a.png"], "given as JSON and as a file"),
    ],
)
def test_a_wrong_word_is_shown(words: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_inputs(words, [SCHEMA])


@pytest.mark.parametrize(
    "schema",
    [
        [1],
        {"properties": []},
        {"properties": {"a": [1]}},
        {"properties": {"a": {"anyOf": 5}}},
        {"properties": {"a": {"anyOf": {"x": 1}}}},
        {"properties": {"a": {"enum": 7}}},
        {"properties": {"a": {"type": "nonsense"}}},
        {"properties": {"a": {"type": [["integer"], 7]}}},
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": []},
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"$ref": "#/$defs/x"}}},
    ],
)
def test_what_an_agent_calls_a_schema_stops_no_submit(schema: Any) -> None:
    assert parse_inputs(["a=5"], [schema]) == {"a": "5"}


@pytest.mark.parametrize("word", ["image_path=~nobody_of_this_name/cat.png", "mask=@~nobody_of_this_name/m.png"])
def test_a_file_of_a_user_who_is_not_there_is_no_input(word: str) -> None:
    with pytest.raises(InputError, match="no such user"):
        parse_inputs([word])


def test_json_that_is_too_deep_is_no_input_and_is_not_repeated() -> None:
    with pytest.raises(InputError, match="is not JSON") as raised:
        parse_inputs(["a:=" + "[" * 200_000])
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(("length", "shown"), [(200, "x" * 200), (201, "x" * 197 + "...")])
def test_a_long_word_is_shown_up_to_two_hundred_characters(length: int, shown: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_inputs(["x" * length])
    assert str(raised.value).startswith(f"'{shown}' is no input: ")


def test_files_are_replaced_wherever_they_stand_in_a_value() -> None:
    value = [LocalFile(Path("a.png")), [LocalFile(Path("b.png")), 7], "c.png"]
    assert with_files(value, lambda path: f"<{path}>") == ["<a.png>", ["<b.png>", 7], "c.png"]
    assert with_files(LocalFile(Path("a.png")), str) == "a.png"


def as_given(*words: str, there: tuple[str, ...] = ()) -> dict[str, Any]:
    """The inputs of these words where only these files are there."""
    parsed = parse_inputs(words)
    return {key: with_results(value, lambda path: str(path) in there) for key, value in parsed.items()}


def test_an_at_sign_and_a_jobs_id_mean_the_file_that_the_job_makes() -> None:
    assert as_given("mesh_path=@chair-0001") == {"mesh_path": {"result": "chair-0001"}}
    assert as_given("mesh_path=@chair/parts/leg.glb") == {"mesh_path": {"result": "chair", "name": "parts/leg.glb"}}
    assert as_given("image_paths=@a", "image_paths=@b/x.png") == {
        "image_paths": [{"result": "a"}, {"result": "b", "name": "x.png"}]
    }


@pytest.mark.parametrize(
    "word", ["mesh_path=@chair.glb", "mesh_path=@/tmp/a.glb", "mesh_path=@./chair", "mesh_path=chair", "mask=@chair"]
)
def test_all_else_after_an_at_sign_is_a_file_of_this_machine(word: str) -> None:
    (value,) = as_given(word).values()
    assert isinstance(value, LocalFile)


def test_a_file_that_is_there_is_meant_before_a_job() -> None:
    (value,) = as_given("mesh_path=@chair/a.glb", there=("chair/a.glb",)).values()
    assert isinstance(value, LocalFile) and value.path == Path("chair/a.glb")
