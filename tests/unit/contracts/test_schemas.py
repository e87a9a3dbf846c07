"""The generated schemas are up to date, and judge a job as `admit` does wherever a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pocket3d.contracts import schema_export
from pocket3d.contracts.jobs import admit

FOLDER = Path(__file__).parents[3] / "contracts" / "schema"
FILE = {"artifact": "sha256-00"}

TAKEN: list[dict[str, Any]] = [
    {"inputs": {}},
    {"inputs": {"text_prompt": "a chair"}},
    {"inputs": {"image_path": FILE}},
    {"inputs": {"image_paths": [FILE, {"inline": "aGk=", "filename": "a.png"}]}},
    {"inputs": {"image_path": None, "seed": 7}, "vram_mb": 0, "model_preference": ["a", "b"]},
    {"inputs": {}, "v": 1, "limits": {"load_s": 0.5}, "retry": {"max_attempts": 1}},
]
REFUSED: list[dict[str, Any]] = [
    {},
    {"inputs": []},
    {"inputs": {}, "surprise": 1},
    {"inputs": {}, "job_id": "a.b"},
    {"inputs": {}, "job_id": "x" * 65},
    {"inputs": {}, "tenant": "a b"},
    {"inputs": {}, "v": 2},
    {"inputs": {}, "vram_mb": -1},
    {"inputs": {}, "model_preference": []},
    {"inputs": {}, "model_preference": "Not An Id"},
    {"inputs": {}, "limits": {"load_s": 0}},
    {"inputs": {}, "limits": {"load_s": 900, "surprise": 1}},
    {"inputs": {}, "retry": {"max_attempts": 0}},
    {"inputs": {"text_prompt": "   "}},
    {"inputs": {"text_prompt": 5}},
    {"inputs": {"text_prompt": "x" * 10_001}},
    {"inputs": {"image_path": "/etc/passwd"}},
    {"inputs": {"image_path": {"artifact": "a", "filename": "../x.png"}}},
    {"inputs": {"image_path": {"artifact": "a", "filename": "a/x.png"}}},
    {"inputs": {"image_path": {"artifact": "a", "inline": "aGk=", "filename": "x.png"}}},
    {"inputs": {"image_path": {"inline": "aGk="}}},
    {"inputs": {"image_paths": [FILE, "b.png"]}},
]


def test_the_files_are_what_the_types_generate() -> None:
    for name in schema_export.MESSAGES:
        stored = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert stored == schema_export.schema_of(name), (
            f"{name}: run python -m pocket3d.contracts.schema_export --write"
        )
    assert {path.stem for path in FOLDER.glob("*.json")} == set(schema_export.MESSAGES)


@pytest.mark.parametrize("name", schema_export.MESSAGES)
def test_each_is_a_valid_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_export.schema_of(name))


@pytest.mark.parametrize("name", schema_export.PRODUCED)
def test_what_producers_send_allows_no_other_fields(name: str) -> None:
    schema = schema_export.schema_of(name)
    top = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    assert top["additionalProperties"] is False


@pytest.mark.parametrize("body", TAKEN, ids=str)
def test_a_job_that_is_taken_passes_the_schema(body: dict[str, Any]) -> None:
    assert admit("echo", json.dumps(body).encode(), None, "s123456-1").rejection is None
    jsonschema.validate(body, schema_export.schema_of("job"))
    jsonschema.validate({**body, "feature": "echo"}, schema_export.schema_of("api.submit.request"))


@pytest.mark.parametrize("body", REFUSED, ids=lambda b: str(b)[:60])
def test_a_job_that_is_refused_fails_the_schema(body: dict[str, Any]) -> None:
    assert admit("echo", json.dumps(body).encode(), None, "s123456-1").rejection is not None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, schema_export.schema_of("job"))


def test_check_names_what_differs_and_write_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_export.main(["--write", "--folder", str(tmp_path)]) == 0
    assert schema_export.main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "job.json").write_text("{}")
    (tmp_path / "result.json").unlink()
    (tmp_path / "old.json").write_text("{}")
    assert schema_export.main(["--check", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "job.json: out of date" in said
    assert "result.json: missing" in said
    assert "old.json: no such message" in said
    assert schema_export.main(["--write", "--folder", str(tmp_path)]) == 0
    assert schema_export.differences(tmp_path) == []
