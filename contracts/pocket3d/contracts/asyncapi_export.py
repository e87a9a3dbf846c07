"""The wire as an AsyncAPI 3.1 document, `contracts/asyncapi.json`: subjects, who sends what, schemas, examples.

    python -m pocket3d.contracts.asyncapi_export --check     # exit code 1 if the file is out of date
    python -m pocket3d.contracts.asyncapi_export --write

It describes what others than coordinators and agents send and receive; messages are the schemas beside it, examples are
those of docs/wire.md. AsyncAPI knows no streams: what stores a subject's messages is told by `x-stored-in`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from .lifecycle import PRIORITIES
from .schema_export import MESSAGES
from .subjects import Subjects
from .version import VERSION

_ROOT = Path(__file__).resolve().parents[3]
TARGET = _ROOT / "contracts" / "asyncapi.json"
_WIRE = _ROOT / "docs" / "wire.md"
_EXAMPLE = re.compile(r"^```json (?P<name>\S+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"\{(\w+)\}")

_S = Subjects()
_MEANING = {
    "feature": "What is asked for, e.g. text_to_mesh.",
    "job_id": "1 to 64 of A-Z, a-z, 0-9, _ and -.",
    "chain_id": "1 to 40 of A-Z, a-z, 0-9, _ and -.",
    "group_id": "1 to 40 of A-Z, a-z, 0-9, _ and -.",
    "chain_event": "submitted (the request), step, cancelling, retried, succeeded, failed or cancelled.",
    "event": "queued, started, requeued, succeeded, failed, cancelled, expired or rejected.",
    "agent_id": "The agent's id, one token.",
    "coordinator_id": "The coordinator's id, one token.",
}


class _Channel(NamedTuple):
    """Messages on a subject."""

    address: str
    #: `send`: from a client to the system; `receive`: from the system to clients.
    action: str
    message: str
    summary: str
    stored_in: str | None = None
    #: Of a request: the message of its answer. An error is `api.error` instead.
    reply: str | None = None


_CHANNELS: dict[str, _Channel] = {
    "jobs": _Channel(
        _S.job("{priority}", "{feature}"), "send", "job", "Publish a job; the stream acknowledges it.", _S.jobs_stream
    ),
    "results": _Channel(
        _S.result("{feature}", "{job_id}"), "receive", "result", "The one result of each job.", _S.results_stream
    ),
    "events": _Channel(
        _S.event("{feature}", "{job_id}", "{event}"), "receive", "status", "Each step of each job.", _S.events_stream
    ),
    "progress": _Channel(
        _S.progress("{feature}", "{job_id}"), "receive", "progress", "How far a run is.", _S.progress_stream
    ),
    "dead": _Channel(
        _S.dead("{feature}", "{job_id}"), "receive", "dead_letter", "Jobs that were given up.", _S.dead_stream
    ),
    "chain_events": _Channel(
        _S.chain_event("chain", "{chain_id}", "{chain_event}"),
        "receive",
        "chain.status",
        "Each step of each chain.",
        _S.chains_stream,
    ),
    "group_events": _Channel(
        _S.chain_event("group", "{group_id}", "{chain_event}"),
        "receive",
        "group.status",
        "The end of each group.",
        _S.chains_stream,
    ),
    "adverts": _Channel(_S.advert("{agent_id}"), "receive", "advert", "What an agent has and does, every second."),
    **{
        f"api_{verb}": _Channel(_S.api(verb), "send", request, summary, None, reply)
        for verb, request, reply, summary in (
            ("submit", "api.submit.request", "status", "Submit a job and hear that it is stored, or why not."),
            ("status", "api.job.request", "status", "Ask where a job stands."),
            ("list", "api.list.request", "api.list.answer", "List jobs, the newest first."),
            ("cancel", "api.cancel.request", "status", "End a job."),
            ("explain", "api.job.request", "api.explain.answer", "Ask why a job is not running."),
            ("chain", "api.chain.request", "chain.status", "Submit several jobs as one chain."),
            ("chain_status", "api.chain.id.request", "chain.status", "Ask where a chain stands."),
            ("chain_cancel", "api.chain.cancel.request", "chain.status", "End a chain."),
            ("chain_retry", "api.chain.id.request", "chain.status", "Start what failed of a chain anew."),
            ("chain_list", "api.chain.list.request", "api.chain.list.answer", "List chains, the newest first."),
            ("group", "api.group.request", "group.status", "Submit many jobs as one group."),
            ("group_status", "api.group.id.request", "group.status", "Ask where a group stands."),
            ("group_cancel", "api.group.cancel.request", "group.status", "End a group."),
            ("group_retry", "api.group.id.request", "group.status", "Start what failed of a group anew."),
            ("group_list", "api.chain.list.request", "api.group.list.answer", "List groups, the newest first."),
            ("features", "api.empty.request", "api.features.answer", "Ask what can be asked for."),
            ("agents", "api.empty.request", "api.agents.answer", "Ask for the whole fleet."),
        )
    },
    **{
        f"agent_{verb}": _Channel(_S.agent_control("{agent_id}", verb), "send", request, summary, None, reply)
        for verb, request, reply, summary in (
            ("status", "ctl.request", "advert", "Ask an agent for its advert."),
            ("drain", "ctl.request", "ctl.answer", "Have an agent take nothing new."),
            ("undrain", "ctl.request", "ctl.answer", "Have an agent take jobs again."),
            ("load", "ctl.load.request", "ctl.answer", "Keep an adapter loaded."),
            ("unload", "ctl.load.request", "ctl.answer", "Free the memory of an adapter."),
        )
    },
    "coordinator_status": _Channel(
        _S.coordinator_control("{coordinator_id}", "status"),
        "send",
        "api.empty.request",
        "Ask a coordinator whether it leads.",
        None,
        "coordinator.status",
    ),
}


def document() -> dict[str, Any]:
    """The whole of it."""
    used = {each for channel in _CHANNELS.values() for each in (channel.message, channel.reply) if each} | {"api.error"}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Pocket3DStudio",
            "version": VERSION,
            "description": "Jobs, bids and results as messages on NATS. The namespace is the first token of every "
            "subject, p3d unless set otherwise. docs/wire.md explains what is only listed here.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": {name: _channel(channel) for name, channel in _CHANNELS.items()} | {"inbox": _inbox()},
        "operations": {name: _operation(name, channel) for name, channel in _CHANNELS.items()},
        "components": {"messages": {_key(name): _message(name) for name in sorted(used)}},
    }


def _channel(channel: _Channel) -> dict[str, Any]:
    parameters: dict[str, Any] = {name: {"description": _MEANING[name]} for name in _names(channel) if name in _MEANING}
    if "priority" in _names(channel):
        parameters["priority"] = {"enum": list(PRIORITIES), "default": "normal"}
    return {
        "address": channel.address,
        "messages": {_key(channel.message): {"$ref": f"#/components/messages/{_key(channel.message)}"}},
        **({"parameters": parameters} if parameters else {}),
        **({"x-stored-in": channel.stored_in} if channel.stored_in else {}),
    }


def _inbox() -> dict[str, Any]:
    answers = sorted({channel.reply for channel in _CHANNELS.values() if channel.reply} | {"api.error"})
    return {
        "address": None,
        "description": "Where an answer goes: the reply subject of the request. Errors have the headers "
        "Nats-Service-Error and Nats-Service-Error-Code.",
        "messages": {_key(name): {"$ref": f"#/components/messages/{_key(name)}"} for name in answers},
    }


def _operation(name: str, channel: _Channel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": channel.summary,
        "messages": [{"$ref": f"#/channels/{name}/messages/{_key(channel.message)}"}],
    }
    if channel.reply:
        found["reply"] = {
            "channel": {"$ref": "#/channels/inbox"},
            "messages": [{"$ref": f"#/channels/inbox/messages/{_key(each)}"} for each in (channel.reply, "api.error")],
        }
    return found


def _message(name: str) -> dict[str, Any]:
    examples = [json.loads(each["text"]) for each in _EXAMPLE.finditer(_wire()) if each["name"] == name]
    return {
        "name": name,
        "contentType": "application/json",
        "payload": {"$ref": f"schema/{name}.json"},
        **({"examples": [{"payload": each} for each in examples]} if examples else {}),
    }


def _wire() -> str:
    return _WIRE.read_text(encoding="utf-8")


def _names(channel: _Channel) -> list[str]:
    return _PARAMETER.findall(channel.address)


def _key(name: str) -> str:
    """A message's key: AsyncAPI allows no dots there in references."""
    assert name in MESSAGES, name
    return name.replace(".", "_")


def render() -> str:
    """The text of the file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """The command line; the exit code."""
    if arguments == ["--write"]:
        TARGET.write_text(render(), encoding="utf-8")
        return 0
    if arguments != ["--check"]:
        sys.stderr.write("want --check or --write\n")
        return 2
    if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != render():
        sys.stdout.write(f"{TARGET.name} is out of date: python -m pocket3d.contracts.asyncapi_export --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
