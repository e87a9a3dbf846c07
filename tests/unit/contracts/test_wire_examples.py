"""Every example of the wire's description: our types read it, lose nothing of it, and our schemas accept it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pocket3d.contracts import codec
from pocket3d.contracts.jobs import admit
from pocket3d.contracts.messages import Result
from pocket3d.contracts.schema_export import MESSAGES, PRODUCED, schema_of

EXAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "wire_examples.json").read_text())
NAMES = [example["name"] for example in EXAMPLES]


def contains(whole: Any, part: Any) -> bool:
    """True if `part` is in `whole`, which may say more (fields that the example leaves out)."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_our_types_read_the_example_and_write_all_of_it_back(example: dict[str, Any]) -> None:
    message = codec.decode(MESSAGES[example["kind"]], json.dumps(example["message"]).encode())
    assert contains(json.loads(codec.encode(message)), example["message"])


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_our_schemas_accept_the_example(example: dict[str, Any]) -> None:
    jsonschema.validate(example["message"], schema_of(example["kind"]), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_an_unknown_field_is_refused_from_producers_and_ignored_from_the_system(example: dict[str, Any]) -> None:
    data = json.dumps({**example["message"], "from_the_future": 1}).encode()
    if example["kind"] not in PRODUCED:
        codec.decode(MESSAGES[example["kind"]], data)
        return
    with pytest.raises(codec.WireError) as caught:
        codec.decode(MESSAGES[example["kind"]], data)
    assert caught.value.field == "from_the_future"


def test_the_result_of_the_example_has_exactly_the_documented_fields() -> None:
    example = next(e["message"] for e in EXAMPLES if e["kind"] == "result")
    assert set(json.loads(codec.encode(codec.decode(Result, json.dumps(example).encode())))) == set(example)


def test_the_status_and_progress_have_exactly_the_documented_fields() -> None:
    for kind in ("status", "progress"):
        example = next(e["message"] for e in EXAMPLES if e["kind"] == kind)
        message = codec.decode(MESSAGES[kind], json.dumps(example).encode())
        assert set(json.loads(codec.encode(message))) == set(example)


def test_the_values_shown_for_limits_and_retry_are_the_defaults() -> None:
    example = EXAMPLES[0]["message"]
    bare = admit("image_to_mesh", json.dumps({"inputs": example["inputs"]}).encode(), None, "s123456-1").job
    assert bare is not None
    said = json.loads(codec.encode(bare))
    assert said["limits"] == example["limits"]
    assert said["retry"] == example["retry"]
    assert said["tenant"] == example["tenant"]
