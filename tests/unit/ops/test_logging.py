"""What is logged: one JSON object a line, with what is bound, and without secrets."""

from __future__ import annotations

import io
import json
import logging as standard_logging
from datetime import datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.ops import logging
from pocket3d.ops.logging import _to_json, into_standard_library
from pocket3d.ops.redaction import HIDDEN, clean

SEED = "SU" + "A" * 56
JWT = "eyJhbGciOiJlZDI1NTE5In0.eyJqdGkiOiJhYmMifQ.c2lnbmF0dXJl"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_what_is_bound() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream, role="agent", agent_id="gpu-07")
    structlog.get_logger().bind(job_id="j1", attempt=2).info("run started", device="cpu-0", nothing=None)
    (line,) = lines(stream)
    assert list(line)[:6] == ["timestamp", "level", "event", "role", "agent_id", "job_id"]
    assert line["agent_id"] == "gpu-07"
    assert (line["job_id"], line["attempt"], line["device"], line["level"]) == ("j1", 2, "cpu-0", "info")
    assert datetime.strptime(str(line["timestamp"]), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() > 0


def test_lines_below_the_level_are_dropped() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream, level="warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    standard_logging.getLogger("nats").info("quiet too")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_other_libraries_logs_take_the_same_form() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream)
    try:
        raise OSError("no route to nats://bob:pw@host:4222")
    except OSError:
        standard_logging.getLogger("nats.aio").exception("failed")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("failed", "error", "nats.aio")
    assert "OSError: no route to nats://" in str(line["exception"])
    assert "bob" not in str(line["exception"])


def test_logging_of_an_embedded_system_on_top_does_not_turn_in_a_circle() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream)
    structlog.reset_defaults()
    into_standard_library()
    structlog.get_logger("pocket3d.bus.nats_server.embedded").warning("server ended", code=1)
    (line,) = lines(stream)
    assert line["event"] == "event='server ended' code=1"
    assert line["logger"] == "pocket3d.bus.nats_server.embedded"


def test_any_value_can_be_logged() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream)
    structlog.get_logger().info("odd", value=object(), items={"a": {1, 2}})
    assert "object object" in str(lines(stream)[0]["value"])


def test_a_terminals_text_is_not_json_and_hides_secrets_too() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream, form="text")
    structlog.get_logger().info("connecting", url="nats://u:pw@h:1", password="pw")
    text = stream.getvalue()
    assert "connecting" in text
    assert "pw" not in text.replace("password", "")


@pytest.mark.parametrize("form", ["json", "text"])
def test_whose_line_it_is_comes_first_and_the_rest_as_it_was_told(form: logging.Format) -> None:
    stream = io.StringIO()
    logging.configure(stream=stream, form=form, role="agent", agent_id="g1")
    structlog.get_logger().info("job accepted", token="1-1", adapter_id="echo", attempt=1, job_id="j1")
    words = ("job accepted", "agent_id", "job_id", "attempt", "token", "adapter_id")
    places = [stream.getvalue().index(word) for word in words]
    assert places == sorted(places), stream.getvalue()


def test_a_log_whose_reader_is_gone_stops_nobody() -> None:
    stream = io.StringIO()
    logging.configure(stream=stream)
    stream.close()
    structlog.get_logger().info("into the void")


@pytest.mark.parametrize(
    "value",
    [
        {"password": "s3cret"},
        {"NATS_PASSWORD": "s3cret"},
        {"nkey_seed": "s3cret"},
        {"nested": [{"api_key": "s3cret"}]},
        {"url": "nats://bob:s3cret@host:4222"},
        {"url": "tls://s3cret@host"},
        {"error": "Authorization: Bearer s3cretissues12"},
    ],
    ids=str,
)
def test_secrets_are_hidden(value: dict[str, object]) -> None:
    cleaned = str(clean(value))
    assert "s3cret" not in cleaned
    assert HIDDEN in cleaned


def test_secrets_are_known_by_their_form() -> None:
    for secret in (SEED, JWT, "hf_" + "x" * 34):
        assert clean(f"read {secret} from the file") == f"read {HIDDEN} from the file"


def test_the_words_of_our_own_stay() -> None:
    ours = {"token": "1795471234567-1", "seed": 7, "url": "nats://127.0.0.1:4222", "servers": ["a", "b"], "n": 1.5}
    assert clean(ours) == ours


_PARTS = ["", "job", "nats://u:pw@h", "Bearer abcdefgh1234", "bEARER  abcdefgh1234", "SU" + "A" * 56]
_PARTS += ["eyJ0eXAiOiJK.eyJzdWIiOiJV", "hf_" + "a" * 24, "x" * 60]
_TEXTS = st.lists(st.sampled_from(_PARTS), max_size=3).map(" ".join)
_VALUES = st.one_of(_TEXTS, st.none(), st.booleans(), st.integers(), st.lists(_TEXTS, max_size=2))
_NAMES = st.sampled_from(["event", "job_id", "why", "password", "NKEY_SEED", "token", "seed"])


@given(st.dictionaries(_NAMES, st.one_of(_VALUES, st.dictionaries(_NAMES, _VALUES, max_size=2)), max_size=5))
def test_a_line_is_cleaned_as_each_of_its_values(line: dict[str, object]) -> None:
    assert json.loads(_to_json(None, "info", line)) == clean(line)


def test_what_lies_too_deep_to_be_looked_at_is_hidden_whole() -> None:
    def nested(levels: int) -> object:
        value: object = "deep"
        for _ in range(levels):
            value = {"in": [value]}
        return value

    assert clean(nested(4)) == nested(4)
    assert "deep" not in str(clean({"one": nested(4)})) and HIDDEN in str(clean({"one": nested(4)}))


def test_the_shortest_secrets_are_hidden_as_well() -> None:
    assert clean("Bearer abcdefgh") == f"Bearer {HIDDEN}"
    assert clean(SEED) == HIDDEN
    assert clean("Bearer abc") == "Bearer abc"
