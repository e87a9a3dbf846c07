"""What endpoints say of themselves is what they take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pocket3d.bus.port import Endpoint
from pocket3d.contracts.api import CoordinatorStatus, endpoint_metadata
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import decode
from pocket3d.contracts.jobs import SubmitRequest
from pocket3d.contracts.schema_export import MESSAGES
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.io.api import Api
from pocket3d.coordinator.io.status_service import coordinator_service
from pocket3d.gpu_agents.io.control_api import control_service

SUBJECTS = Subjects()
_TERM: Any = SimpleNamespace(engine=SimpleNamespace(core=None), quota=None)
_BUS: Any = SimpleNamespace()
SERVICES = [
    Api(_BUS, SUBJECTS, _TERM, lambda: Now(0, 0), version="0.1.0", coordinator_id="one").service(),
    control_service(SUBJECTS, "a1", "0.1.0", {}, lambda event: None),
    coordinator_service(SUBJECTS, "one", "0.1.0", lambda: Now(0, 0), lambda: (7, 3)),
]
ENDPOINTS = [endpoint for service in SERVICES for endpoint in service.endpoints]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.subject)
def test_an_endpoint_tells_what_it_does_and_the_schemas_of_its_messages(endpoint: Endpoint) -> None:
    told = endpoint.metadata
    assert len(told["description"]) > 8
    request, answer = told["schema"].removesuffix(".json"), told["answer"].removesuffix(".json")
    assert request in MESSAGES and answer in MESSAGES
    properties = msgspec.json.schema(MESSAGES[request])["$defs"][MESSAGES[request].__name__]
    fields = told["request"].strip("{}").split(", ") if told["request"] != "{}" else []
    assert {field.rstrip("?") for field in fields} == properties["properties"].keys() - {"v"}
    assert {field for field in fields if not field.endswith("?")} == set(properties.get("required", []))


async def test_the_status_of_a_coordinator_is_answered_by_its_endpoint() -> None:
    (endpoint,) = SERVICES[2].endpoints
    assert endpoint.subject == "p3d.coordinators.one.ctl.status"
    msg: Any = SimpleNamespace(data=b"")
    status = decode(CoordinatorStatus, await endpoint.handler(msg))
    assert (status.role, status.epoch, status.unfinished_jobs) == ("leading", 7, 3)


def test_the_fields_of_a_submit_are_told() -> None:
    (submit,) = [each for each in ENDPOINTS if each.name == "submit"]
    assert submit.metadata["request"].startswith("{inputs, ") or "inputs" in submit.metadata["request"]
    assert set(SubmitRequest.__struct_fields__) - {"v"} == {
        field.rstrip("?") for field in submit.metadata["request"].strip("{}").split(", ")
    }


class Request(msgspec.Struct, kw_only=True):
    v: int = 1
    agent_id: str
    leave: bool = False


def test_a_request_is_told_by_its_fields_and_which_may_be_left_out() -> None:
    """Not by its version, which nobody types."""
    assert endpoint_metadata("takes no more jobs", Request, "drain.request", "drain.answer") == {
        "description": "takes no more jobs",
        "request": "{agent_id, leave?}",
        "schema": "drain.request.json",
        "answer": "drain.answer.json",
    }
