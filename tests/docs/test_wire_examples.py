"""The wire's page tells the truth: its examples fit the schemas, its tables are those of the code."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from pocket3d.bus.names import object_stream
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.failures import DeclineCode, FailureCode
from pocket3d.contracts.features import KNOWN_FEATURES
from pocket3d.contracts.jobs import MAX_DEPTH, MAX_FILES, MAX_REQUEST_BYTES, MAX_RESULT_BYTES, Job, admit
from pocket3d.contracts.schema_export import MESSAGES, PRODUCED
from pocket3d.contracts.subjects import Subjects
from support.pages import ROOT, Block, blocks, codes, first_cells, pages, section

WIRE = ROOT / "docs" / "wire.md"
SCHEMAS = ROOT / "contracts" / "schema"
#: ```json NAME: an example of contracts/schema/NAME.json. Plain ```json is an example of something else.
EXAMPLES = [block for page in pages() for block in blocks(page) if block.info.startswith("json ")]
#: Of agents alone: an agent that drains hands a job back, and no result ever says so.
NEVER_IN_A_RESULT = {FailureCode.HANDED_BACK.value}
#: Those messages that an outsider sends or reads, and the page has to show.
SHOWN = {
    "job", "result", "status", "progress", "advert", "agent_record", "dead_letter", "api.error", "api.submit.request",
    "api.job.request", "api.cancel.request", "api.list.request", "ctl.load.request", "api.explain.answer",
    "api.features.answer", "ctl.answer",
}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda block: block.place)
def test_an_example_fits_its_schema(example: Block) -> None:
    name = example.info.split()[1]
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    problems = [error.message for error in Draft202012Validator(schema).iter_errors(json.loads(example.text))]
    assert not problems


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda block: block.place)
def test_an_example_shows_no_field_that_does_not_exist(example: Block) -> None:
    """Schemas of what the system says leave room for later fields; its examples must not."""
    kind = MESSAGES[example.info.split()[1]]
    value = json.loads(example.text)
    again = json.loads(msgspec.json.encode(msgspec.convert(value, kind)))
    assert not unknown(value, again)


def unknown(value: Any, known: Any, path: str = "") -> list[str]:
    """Keys of a value that its typed form does not have, at any depth."""
    if isinstance(value, dict):
        below = [
            each for key in value.keys() & known.keys() for each in unknown(value[key], known[key], f"{path}.{key}")
        ]
        return [f"{path}.{key}" for key in value.keys() - known.keys()] + below
    if isinstance(value, list):
        return [each for one, other in zip(value, known, strict=True) for each in unknown(one, other, path)]
    return []


def test_every_message_of_outsiders_is_shown() -> None:
    shown = {block.info.split()[1] for block in EXAMPLES if block.page == WIRE}
    assert shown >= SHOWN
    assert shown >= set(PRODUCED) - {"api.empty.request"}


def test_the_jobs_would_be_taken() -> None:
    for example in EXAMPLES:
        if example.info == "json job":
            admitted = admit("echo", example.text.encode(), None, "generated")
            assert admitted.rejection is None, example.place


def test_the_defaults_are_those_of_the_code() -> None:
    fields = section(WIRE, "The fields of a job")
    stated = json.loads(re.search(r"```json job\n(.*?)```", fields, re.DOTALL)[1])  # type: ignore[index]
    defaults = json.loads(msgspec.json.encode(Job(inputs={})))
    for key in ("limits", "retry", "tenant", "model_preference", "vram_mb", "v"):
        assert stated[key] == defaults[key], key


def test_the_failure_codes_are_those_of_the_code() -> None:
    listed = [codes(cell)[0] for cell in first_cells(section(WIRE, "Failure codes"))]
    assert len(listed) == len(set(listed))
    assert set(listed) >= {code.value for code in FailureCode} - NEVER_IN_A_RESULT
    assert set(listed) <= {code.value for code in FailureCode} | {"invalid_result"}


def test_the_decline_codes_are_those_of_the_code() -> None:
    listed = [codes(cell)[0] for cell in first_cells(section(WIRE, "Services")) if cell.startswith("`")]
    assert {code.value for code in DeclineCode} <= set(listed)


def test_the_features_are_those_of_the_code() -> None:
    rows = [line.split("|")[1:4] for line in section(WIRE, "The features").splitlines() if line.startswith("| `")]
    listed = {codes(name)[0]: set(codes(others)) for name, others, _ in rows}
    assert listed == {feature.name: set(feature.aliases) for feature in KNOWN_FEATURES}
    for name, _, required in rows:
        keys = {key for each in KNOWN_FEATURES if each.name == codes(name)[0] for keys in each.required for key in keys}
        assert keys <= set(codes(required)), name


def test_subjects_streams_and_buckets_are_those_of_the_code() -> None:
    text = section(WIRE, "Subjects, streams, buckets")
    subjects = Subjects()
    wanted = {
        subjects.job("<priority>", "<feature>"),
        subjects.event("<feature>", "<job_id>", "<event>"),
        subjects.leader_record(),
        subjects.progress("<feature>", "<job_id>"),
        subjects.result("<feature>", "<job_id>"),
        subjects.proposal("<feature>", "<job_id>"),
        subjects.dead("<feature>", "<job_id>"),
        subjects.api("<verb>"),
        subjects.advert("<agent_id>"),
        subjects.command("<agent_id>"),
        subjects.outcome("<agent_id>"),
        subjects.bids("<coordinator_id>"),
        subjects.agent_control("<agent_id>", "<verb>"),
        subjects.status_bucket,
        subjects.inputs_bucket,
        subjects.outputs_bucket,
        subjects.agents_bucket,
        subjects.leader_bucket,
    }
    assert wanted <= set(codes(text))
    streams = {stream.name for stream in build(subjects, TopologySettings()).streams}
    plain = {name for name in streams if not name.startswith(("KV_", "OBJ_"))}
    assert plain <= set(codes(text))
    assert object_stream(subjects.outputs_bucket) in WIRE.read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", section(WIRE, "Conventions"))
    assert f"A request has at most {MAX_REQUEST_BYTES // 1024} KiB" in text
    assert f"at most {MAX_FILES} files" in text
    assert f"a result has at most {MAX_RESULT_BYTES // 1024} KiB" in text
    assert f"nested at most {MAX_DEPTH} deep" in text


def test_the_filters_for_many_jobs_and_for_one_are_those_of_the_code() -> None:
    text = section(WIRE, "Events, status, progress")
    assert {Subjects().all_events(), Subjects().events_of("<job_id>")} <= set(codes(text))
