"""The AsyncAPI document is that of the code, and all that it refers to is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pocket3d.contracts import asyncapi_export
from support.pages import ROOT

DOCUMENT = json.loads(asyncapi_export.TARGET.read_text(encoding="utf-8"))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (each for key, each in value.items() if key == "$ref")
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_is_up_to_date() -> None:
    assert asyncapi_export.document() == DOCUMENT, "python -m pocket3d.contracts.asyncapi_export --write"


def test_what_it_refers_to_is_there() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 60
    for reference in found:
        if reference.startswith("#/"):
            value = DOCUMENT
            for part in reference[2:].split("/"):
                value = value[part]
        else:
            assert (ROOT / "contracts" / reference).is_file(), reference


@pytest.mark.parametrize("name", DOCUMENT["components"]["messages"])
def test_its_examples_fit_their_schemas(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    schema = json.loads((ROOT / "contracts" / message["payload"]["$ref"]).read_text(encoding="utf-8"))
    for example in message.get("examples", ()):
        Draft202012Validator(schema).validate(example["payload"])


def test_it_can_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncapi_export.main(["--check"]) == 0
    assert asyncapi_export.main([]) == 2
    assert "want --check or --write" in capsys.readouterr().err
