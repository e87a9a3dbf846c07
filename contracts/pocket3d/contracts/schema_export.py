"""JSON Schemas (draft 2020-12) of all messages, generated from the structs: `contracts/schema/*.json`.

    python -m pocket3d.contracts.schema_export --check     # exit 1 and the names of files that are out of date
    python -m pocket3d.contracts.schema_export --write

What producers send forbids unknown fields; what the system says leaves room for fields of later versions. Rules that
the structs leave to `jobs.admit` (patterns, files among the inputs) are added here, so that a producer's own validator
catches what we would reject.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from . import api, chain_messages, chains, commands, features, jobs, lifecycle, messages, subjects, variants

#: Name of the file (without `.json`) -> the type it describes.
MESSAGES: dict[str, Any] = {
    # what producers send
    "job": jobs.Job,
    "api.submit.request": jobs.SubmitRequest,
    "api.job.request": api.JobRequest,
    "api.cancel.request": api.CancelRequest,
    "api.list.request": api.ListRequest,
    "api.empty.request": api.EmptyRequest,
    "api.chain.request": chains.ChainRequest,
    "api.chain.id.request": chain_messages.ChainIdRequest,
    "api.chain.cancel.request": chain_messages.ChainCancelRequest,
    "api.chain.list.request": chain_messages.ChainListRequest,
    "api.group.request": chains.GroupRequest,
    "api.group.id.request": chain_messages.GroupIdRequest,
    "api.group.cancel.request": chain_messages.GroupCancelRequest,
    "ctl.request": api.ControlRequest,
    "ctl.load.request": api.LoadRequest,
    # what the system says to everybody
    "result": messages.Result,
    "status": messages.Status,
    "progress": messages.Progress,
    "advert": messages.Advert,
    "dead_letter": messages.DeadLetter,
    "chain.status": chain_messages.ChainStatus,
    "group.status": chain_messages.GroupStatus,
    "api.list.answer": api.JobList,
    "api.chain.list.answer": chain_messages.ChainList,
    "api.group.list.answer": chain_messages.GroupList,
    "api.explain.answer": api.Explanation,
    "api.features.answer": api.FeatureList,
    "api.agents.answer": api.AgentList,
    "api.error": api.ApiError,
    "ctl.answer": api.ControlAnswer,
    "coordinator.status": api.CoordinatorStatus,
    # between coordinator and agent
    "command": commands.AnyCommand,
    "command.reply": commands.AnyReply,
    "bids": commands.CallAnswered,
    "outcomes": commands.OutcomesReported,
    "outcomes.reply": commands.OutcomesNoted,
    "leader_record": commands.LeaderRecord,
    "agent_record": commands.AgentRecord,
}

#: The types that people send: the schema must refuse what it does not know.
PRODUCED = (
    "job",
    "api.submit.request",
    "api.job.request",
    "api.cancel.request",
    "api.list.request",
    "api.empty.request",
    "api.chain.request",
    "api.chain.id.request",
    "api.chain.cancel.request",
    "api.chain.list.request",
    "api.group.request",
    "api.group.id.request",
    "api.group.cancel.request",
    "ctl.request",
    "ctl.load.request",
)

_SCHEMA_FOLDER = Path(__file__).resolve().parents[2] / "schema"

_FILE: dict[str, Any] = {
    "description": "A file: an object in the inputs bucket, its bytes, or a file that another job made. Never a path.",
    "oneOf": [
        {
            "type": "object",
            "properties": {"artifact": {"type": "string"}, "filename": {"$ref": "#/$defs/Filename"}},
            "required": ["artifact"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "inline": {"type": "string", "contentEncoding": "base64"},
                "filename": {"$ref": "#/$defs/Filename"},
            },
            "required": ["inline", "filename"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "result": {"type": "string", "pattern": f"^{subjects.JOB_ID_PATTERN.pattern}$"},
                "name": {"type": "string", "minLength": 1, "maxLength": 1000},
            },
            "required": ["result"],
            "additionalProperties": False,
        },
    ],
}
_CHAIN_ID: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": f"^{subjects.CHAIN_ID_PATTERN.pattern}$"}, {"type": "null"}],
    "default": None,
}
_FILENAME: dict[str, Any] = {
    "description": "A plain name with its suffix: no separators, no `..`.",
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[^/\\]+$",
    "not": {"pattern": r"\.\."},
}


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one entry of `MESSAGES`, ready to be written."""
    schema = msgspec.json.schema(MESSAGES[name])
    defs = schema.setdefault("$defs", {})
    for definition in defs.values():
        if "description" in definition:
            # Python 3.13 strips a docstring's indentation, earlier ones keep it: one form for all.
            definition["description"] = inspect.cleandoc(definition["description"])
    for wanted in ("Job", "SubmitRequest"):
        if wanted in defs:
            _add_admission_rules(defs, defs[wanted])
    if "ChainStep" in defs:
        _add_chain_rules(defs)
    if "GroupRequest" in defs:
        properties = defs["GroupRequest"]["properties"]
        properties["jobs"] |= {"minItems": 1, "maxItems": chains.MAX_GROUP_JOBS}
        properties["group_id"] = _CHAIN_ID
    if not defs:
        del schema["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pocket3d:v1:{name}",
        **schema,
    }


def _add_admission_rules(defs: dict[str, Any], job: dict[str, Any]) -> None:
    """What `jobs.admit` refuses and a schema can say."""
    properties = job["properties"]
    adapter_id = {"type": "string", "pattern": f"^{subjects.ADAPTER_ID_PATTERN.pattern}$"}
    properties["job_id"] = {
        "anyOf": [{"type": "string", "pattern": f"^{subjects.JOB_ID_PATTERN.pattern}$"}, {"type": "null"}],
        "default": None,
    }
    properties["tenant"]["pattern"] = f"^{subjects.TENANT_PATTERN.pattern}$"
    properties["model_preference"] = {
        "anyOf": [adapter_id, {"type": "array", "items": adapter_id, "minItems": 1}, {"type": "null"}],
        "default": None,
    }
    properties["commercial_only"]["default"] = False
    properties["cache"]["default"] = False
    properties["variant"] = {
        "anyOf": [{"type": "string", "pattern": f"^{variants.VARIANT_PATTERN.pattern}$"}, {"type": "null"}],
        "default": None,
    }
    both = {"variant": {"type": "string"}, "vram_mb": {"type": "integer"}}
    job["not"] = {"properties": both, "required": list(both)}
    properties["v"] = {"const": 1, "default": 1}
    properties["inputs"] = {
        "type": "object",
        "properties": {"text_prompt": {"type": ["string", "null"], "pattern": r"\S", "maxLength": jobs.MAX_TEXT_CHARS}},
        "patternProperties": {
            "_path$": {"anyOf": [{"$ref": "#/$defs/File"}, {"type": "null"}]},
            "_paths$": {
                "anyOf": [
                    {"$ref": "#/$defs/File"},
                    {"type": "array", "items": {"$ref": "#/$defs/File"}},
                    {"type": "null"},
                ]
            },
        },
    }
    if "priority" in properties:
        properties["priority"]["enum"] = list(lifecycle.PRIORITIES)
        properties["feature"]["pattern"] = f"^{features.FEATURE_PATTERN.pattern}$"
    defs["File"] = _FILE
    defs["Filename"] = _FILENAME


def _add_chain_rules(defs: dict[str, Any]) -> None:
    """What `chains.check` refuses and a schema can say."""
    chain, step = defs["ChainRequest"]["properties"], defs["ChainStep"]["properties"]
    chain["chain_id"] = _CHAIN_ID
    chain["steps"] |= {"minItems": 1, "maxItems": chains.MAX_STEPS}
    chain["tenant"]["pattern"] = f"^{subjects.TENANT_PATTERN.pattern}$"
    chain["priority"]["enum"] = list(lifecycle.PRIORITIES)
    step["name"] |= {"pattern": f"^{chains.STEP_PATTERN.pattern}$", "not": {"pattern": "^r[0-9]+$"}}
    step["feature"]["pattern"] = f"^{features.FEATURE_PATTERN.pattern}$"
    of_step = {
        "type": "object",
        "properties": {
            "step": {"type": "string", "pattern": f"^{chains.STEP_PATTERN.pattern}$"},
            "name": {"type": "string", "minLength": 1, "maxLength": 1000},
        },
        "required": ["step"],
        "additionalProperties": False,
    }
    file = {"anyOf": [{"$ref": "#/$defs/File"}, {"$ref": "#/$defs/FileOfStep"}]}
    step["inputs"]["patternProperties"] = {
        "_path$": {"anyOf": [*file["anyOf"], {"type": "null"}]},
        "_paths$": {"anyOf": [*file["anyOf"], {"type": "array", "items": file}, {"type": "null"}]},
    }
    defs |= {"File": _FILE, "Filename": _FILENAME, "FileOfStep": of_step}


def render(name: str) -> str:
    """The text of one schema file."""
    return json.dumps(schema_of(name), indent=2, sort_keys=False) + "\n"


def differences(folder: Path) -> list[str]:
    """Files in `folder` that are missing, out of date, or belong to no message."""
    found = []
    for name in MESSAGES:
        path = folder / f"{name}.json"
        if not path.is_file():
            found.append(f"{path.name}: missing")
        elif path.read_text(encoding="utf-8") != render(name):
            found.append(f"{path.name}: out of date")
    known = {f"{name}.json" for name in MESSAGES}
    found += [f"{path.name}: no such message" for path in sorted(folder.glob("*.json")) if path.name not in known]
    return found


def write(folder: Path) -> None:
    """Write all schemas and remove those of messages that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.stem not in MESSAGES:
            path.unlink()
    for name in MESSAGES:
        (folder / f"{name}.json").write_text(render(name), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocket3d.contracts.schema_export", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="say which files differ; exit code 1 if any does")
    mode.add_argument("--write", action="store_true", help="write them")
    parser.add_argument("--folder", type=Path, default=_SCHEMA_FOLDER)
    options = parser.parse_args(arguments)
    if options.write:
        write(options.folder)
        return 0
    found = differences(options.folder)
    for line in found:
        sys.stdout.write(line + "\n")
    if found:
        sys.stdout.write("run: python -m pocket3d.contracts.schema_export --write\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
