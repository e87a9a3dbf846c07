"""Programs that are declared in `models.yaml` alone, and the examples of docs/models.md, against a small server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.catalogue.class_loading import from_spec
from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.errors import AdapterUnavailable, InvalidInput
from pocket3d.adapters.server_models import BadAnswer, ImageToMeshServer, TextToMeshServer
from support.pages import ROOT, blocks

SCRIPT = Path(__file__).parents[2] / "support" / "fake_trellis_server.py"
COMMAND = [sys.executable, str(SCRIPT), "--host", "{host}", "--port", "{port}"]
BLOCKS = blocks(ROOT / "docs" / "models.md")
JSON = {
    "command": COMMAND,
    "vram_requirement": 64,
    "request": {"path": "/json", "json": {"prompt": "{text_prompt}", "seed": "{seed}", "style": {"list": ["{style}"]}}},
    "answer": {"json": "data.model_base64"},
    "options": {
        "seed": {"type": "integer", "minimum": 1, "default": 6},
        "style": {"type": "string", "enum": ["a", "b"]},
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FAKE_SERVER_FOLDER", str(tmp_path))
    (tmp_path / "photo.png").write_bytes(b"an image")
    yield tmp_path


def run(adapter: BaseModel, folder: Path, **inputs: Any) -> tuple[dict[str, Any], list[Any]]:
    told: list[Any] = []
    output = folder / "out"
    output.mkdir(exist_ok=True)
    token = current_run.set(RunContext(output_dir=output, on_progress=lambda *each: told.append(each)))
    try:
        asyncio.run(adapter.load())
        return asyncio.run(adapter.process(inputs)), told
    finally:
        current_run.reset(token)
        asyncio.run(adapter.unload())


def asked(folder: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    (request,) = [each for each in found if "path" in each]
    return dict(request)


def test_the_declaration_on_the_page_serves_a_job(folder: Path) -> None:
    (text,) = [block.text for block in BLOCKS if block.info == "yaml" and "ImageToMeshServer" in block.text]
    declared = yaml.safe_load(text)
    # The program of the page is not on this host; ours stands in for it.
    entry = declared["adapters"]["blob-image-to-mesh"]
    entry["config"]["command"] = [*COMMAND, "--models", "/opt/blob/weights"]
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(declared))
    (configured,) = [each for each in load_models_yaml(path).adapters if each.spec.adapter_id == "blob-image-to-mesh"]
    adapter = from_spec(configured.spec)
    assert adapter.feature_type == "image_to_mesh"
    schema = adapter.get_parameter_schema()
    assert schema is not None
    assert schema["properties"]["seed"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 2147483647,
        "default": 42,
        "description": "the same seed gives the same mesh",
    }
    assert schema["properties"]["resolution"]["enum"] == [512, 1024]
    assert not schema["additionalProperties"]
    with pytest.raises(InvalidInput, match="want one of 512, 1024"):
        run(adapter, folder, image_path=str(folder / "photo.png"), resolution=600)
    (folder / "requests.jsonl").unlink()
    answer, told = run(adapter, folder, image_path=str(folder / "photo.png"), resolution=1024)
    request = asked(folder)
    assert request["texts"] == {"seed": "42", "resolution": "1024"}
    assert request["files"] == {"image": ["image.png", "image/png"]}
    assert answer["generation_info"]["face_count"] == 4
    assert answer["seed"] == 42
    assert any(message and message.endswith("of 12") for _, _, message in told)


def test_the_class_on_the_page_serves_a_job(folder: Path) -> None:
    (text,) = [block.text for block in BLOCKS if block.info == "python" and "class BlobAdapter" in block.text]
    names: dict[str, Any] = {"__name__": "blob"}
    exec(compile(text, "docs/models.md", "exec"), names)
    answer, _ = run(names["BlobAdapter"](command=COMMAND), folder, image_path=str(folder / "photo.png"))
    assert answer["generation_info"]["up_axis"] == "+Y"


def test_json_goes_out_and_json_comes_back(folder: Path) -> None:
    answer, _ = run(TextToMeshServer(**JSON), folder, text_prompt=" a cat ", style="b")
    assert asked(folder)["document"] == {"prompt": "a cat", "seed": 6, "style": {"list": ["b"]}}
    assert answer["generation_info"]["statistics"]["extents"] == [6.0, 6.0, 6.0]
    assert [each.name for each in (folder / "out").iterdir() if each.suffix == ".json"] == []


@pytest.mark.parametrize(
    ("place", "says"), [("data.mesh", "no file in base64 under data.mesh"), ("data", "no file in base64 under data")]
)
def test_an_answer_without_the_file_fails(folder: Path, place: str, says: str) -> None:
    with pytest.raises(BadAnswer, match=says):
        run(TextToMeshServer(**{**JSON, "answer": {"json": place}}), folder, text_prompt="a cat")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"request": {"path": "/x"}}, "want either form or json"),
        ({"request": {"path": "/x", "form": {}, "json": {}}}, "want either form or json"),
        ({"request": {"path": "/x", "form": {"a": "{sead}"}}}, r"request: \{sead\} is none of output_format, seed"),
        ({"request": {"path": "/x", "body": {}}}, "request: Object contains unknown field `body`"),
        ({"answer": "file"}, r"answer: Expected `object`, got `str`"),
        ({"options": {"seed": {"type": "int"}}}, r"options\.seed: Invalid enum value 'int'"),
        ({"options": {"seed": {"type": "integer", "minimum": 1, "default": 0}}}, r"options\.seed\.default: Expected"),
        ({"options": {"text_prompt": {"type": "string"}}}, r"options\.text_prompt: want a name"),
        ({"progress": "("}, "progress: "),
        ({"progress": r"(?P<done>\d)"}, "progress: want the groups"),
    ],
)
def test_a_mistake_in_a_declaration_is_told_with_its_place(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TextToMeshServer(**{**JSON, "request": {"path": "/x", "form": {"seed": "{seed}"}}, **change})


def test_without_a_program_it_is_not_available() -> None:
    made = ImageToMeshServer(vram_requirement=1, request={"path": "/x", "form": {"image": "{image}"}})
    assert made.check_available() == "no program is configured: set command in its config in models.yaml"
    with pytest.raises(AdapterUnavailable):
        made.require_available()
