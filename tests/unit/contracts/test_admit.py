"""What becomes of a message on a job's subject: a job, or a rejection with the field at fault."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import (
    MAX_DEPTH,
    MAX_FILES,
    MAX_REQUEST_BYTES,
    MAX_TEXT_CHARS,
    Admission,
    RetryPolicy,
    SubmitRequest,
    admit,
    check_priority,
    file_refs,
    generated_id,
    is_file_key,
)

FALLBACK = "s0t2k3m-17"
INLINE = {"inline": base64.b64encode(b"png").decode(), "filename": "cat.png"}


def ask(body: Any, feature: str = "echo", header: str | None = None) -> Admission:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return admit(feature, data, header, FALLBACK)


def refused(body: Any, feature: str = "echo", header: str | None = None) -> tuple[str, str]:
    """Code and field of the rejection."""
    answer = ask(body, feature, header)
    assert answer.job is None
    assert answer.rejection is not None
    assert answer.rejection.message
    return answer.rejection.code.value, answer.rejection.field


def job_with(**inputs: Any) -> dict[str, Any]:
    return {"inputs": inputs}


# ---------------------------------------------------------------- ids


def test_the_bodys_id_wins_over_the_header() -> None:
    assert ask({"job_id": "mine", "inputs": {}}, header="theirs").job_id == "mine"


def test_the_header_names_a_job_whose_body_does_not() -> None:
    assert ask({"inputs": {}}, header="theirs").job_id == "theirs"
    assert ask({"job_id": None, "inputs": {}}, header="theirs").job_id == "theirs"


def test_with_neither_the_id_is_generated() -> None:
    answer = ask({"inputs": {}})
    assert answer.job_id == FALLBACK
    assert answer.job is not None


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "a*", "a>", "x" * 65, "ä", "a\n", 5, 5.0, [], {}, True])
def test_an_invalid_id_is_rejected_under_the_generated_one(bad: Any) -> None:
    assert refused({"job_id": bad, "inputs": {}}) == ("invalid_input", "job_id")
    assert ask({"job_id": bad, "inputs": {}}, header="good").job_id == FALLBACK


@pytest.mark.parametrize("bad", ["a.b", "", "x" * 65])
def test_an_invalid_header_id_is_rejected_too(bad: str) -> None:
    assert refused({"inputs": {}}, header=bad) == ("invalid_input", "job_id")


@pytest.mark.parametrize("natural", ["sculpture-1", "symlink-8362980", "station-7", "s-1", "s0-1", "s0t2k3n-17"])
def test_ids_that_people_choose_are_not_reserved(natural: str) -> None:
    answer = ask({"job_id": natural, "inputs": {}})
    assert answer.job_id == natural and answer.job is not None


def test_nobody_may_take_an_id_that_the_stream_will_give() -> None:
    assert refused({"job_id": "s0t2k3m-18", "inputs": {}}) == ("invalid_input", "job_id")
    assert ask({"job_id": FALLBACK, "inputs": {}}).job is not None, "a job that is submitted again under its own id"


def test_the_generated_id_says_stream_and_sequence() -> None:
    created, sequence = generated_id(1_795_471_234.5, 17)[1:].split("-")
    assert int(created, 36) == 1_795_471_234
    assert sequence == "17"
    assert generated_id(0, 1) == "s0-1"


def test_a_malformed_message_keeps_the_id_of_its_header() -> None:
    answer = ask(b"{nonsense", header="mine")
    assert answer.job_id == "mine"
    assert answer.rejection is not None
    assert answer.rejection.field == "body"


# ---------------------------------------------------------------- shape


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"{", b"\xff\xfe", b'{"inputs": NaN}', b"null", b"[]", b"5", b'"x"', b"\xef\xbb\xbf{}"]
)
def test_what_is_not_a_json_object_is_rejected_as_body(data: bytes) -> None:
    assert refused(data) == ("invalid_input", "body")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": {}, "surprise": 1}, "surprise"),
        ({"inputs": {}, "odd`name": 1}, "odd`name"),
        ({"inputs": {}, "feature": "echo"}, "feature"),
        ({"inputs": {}, "limits": None}, "limits"),
        ({"inputs": {}, "limits": {"surprise": 1}}, "limits.surprise"),
        ({"inputs": {}, "limits": {"load_s": "900"}}, "limits.load_s"),
        ({"inputs": {}, "limits": {"load_s": 0}}, "limits.load_s"),
        ({"inputs": {}, "limits": {"start_to_close_s": -1}}, "limits.start_to_close_s"),
        ({"inputs": {}, "limits": {"schedule_to_start_s": 0}}, "limits.schedule_to_start_s"),
        ({"inputs": {}, "retry": {"max_attempts": 0}}, "retry.max_attempts"),
        ({"inputs": {}, "retry": {"max_attempts": 1.5}}, "retry.max_attempts"),
        ({"inputs": {}, "retry": {"factor": 0.5}}, "retry.factor"),
        ({"inputs": {}, "retry": {"initial_s": -1}}, "retry.initial_s"),
        ({"inputs": {}, "vram_mb": -1}, "vram_mb"),
        ({"inputs": {}, "vram_mb": "8000"}, "vram_mb"),
        ({"inputs": {}, "tenant": 5}, "tenant"),
        ({"inputs": {}, "tenant": ""}, "tenant"),
        ({"inputs": {}, "tenant": "a b"}, "tenant"),
        ({"inputs": {}, "metadata": []}, "metadata"),
        ({"inputs": {}, "model_preference": 5}, "model_preference"),
        ({"inputs": {}, "model_preference": []}, "model_preference"),
        ({"inputs": {}, "model_preference": "../x"}, "model_preference"),
        ({"inputs": {}, "model_preference": ["ok", ""]}, "model_preference"),
        ({"inputs": {}, "v": 2}, "v"),
        ({"inputs": {}, "v": "1"}, "v"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    assert refused(body) == ("invalid_input", field)


@pytest.mark.parametrize("feature", ["", "Echo", "text-to-mesh", "a b", "x" * 49, "été"])
def test_a_bad_feature_is_rejected_as_subject(feature: str) -> None:
    assert refused({"inputs": {}}, feature=feature) == ("invalid_input", "subject")


def test_an_unknown_feature_is_not_judged_here() -> None:
    assert ask({"inputs": {}}, feature="some_new_feature").job is not None


@pytest.mark.parametrize("nested", ["[" * 120_000, '{"inputs":{"a":' + "[" * 60_000 + "]" * 60_000 + "}}"])
def test_a_message_nested_without_end_is_rejected_not_fatal(nested: str) -> None:
    assert refused(nested.encode()) == ("invalid_input", "body")


def test_nesting_is_taken_up_to_its_limit_and_no_further() -> None:
    def nested(levels: int) -> bytes:
        return b'{"job_id":"deep","inputs":{"a":' + b"[" * levels + b"]" * levels + b"}}"

    assert ask(nested(MAX_DEPTH - 2)).job is not None
    answer = ask(nested(MAX_DEPTH - 1))
    assert answer.job_id == "deep"
    assert answer.rejection is not None
    assert answer.rejection.field == "body"


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40])
def test_a_number_that_no_worker_could_be_told_is_rejected(number: int) -> None:
    assert refused(job_with(options={"seeds": [1, number]})) == ("invalid_input", "inputs.options.seeds[1]")
    assert ask(job_with(seed=2**64 - 1, other=-(2**63))).job is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    answer = admit("echo", data, None, FALLBACK)
    assert (answer.job is None) != (answer.rejection is None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["job_id", "inputs", "limits", "retry", "vram_mb", "tenant", "metadata", "model_preference", "v"]
)
INPUTS = st.dictionaries(
    st.sampled_from(["image_path", "image_paths", "text_prompt", "a"]) | st.text(), JSON, max_size=4
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=6), INPUTS)
def test_any_json_gets_an_answer(body: dict[str, Any], inputs: dict[str, Any]) -> None:
    for candidate in (body, {**body, "inputs": inputs}, {"inputs": inputs}):
        answer = admit("image_to_mesh", json.dumps(candidate).encode(), None, FALLBACK)
        assert (answer.job is None) != (answer.rejection is None)


# ---------------------------------------------------------------- sizes


def test_a_request_over_256_kib_is_too_large_and_its_largest_part_is_named() -> None:
    large = "x" * MAX_REQUEST_BYTES
    assert refused(job_with(text_prompt="short", note=large)) == ("too_large", "inputs.note")
    assert refused({"inputs": {}, "metadata": {"list": ["a", large]}}) == ("too_large", "metadata.list[1]")
    inline = {"inline": base64.b64encode(b"x" * MAX_REQUEST_BYTES).decode(), "filename": "a.png"}
    assert refused(job_with(image_path=inline)) == ("too_large", "inputs.image_path.inline")


@pytest.mark.parametrize("data", [b"x" * 300_000, b"[" * 300_000, b'{"inputs":{"a":[' + b"1," * 150_000 + b"1]}}"])
def test_a_large_message_without_a_large_part_is_too_large_all_the_same(data: bytes) -> None:
    assert refused(data) == ("too_large", "body")


def test_a_request_of_exactly_256_kib_is_taken() -> None:
    body = json.dumps({"inputs": {}, "metadata": {"pad": ""}}).encode()
    full = body.replace(b'""', b'"' + b"x" * (MAX_REQUEST_BYTES - len(body)) + b'"')
    assert len(full) == MAX_REQUEST_BYTES
    assert ask(full).job is not None


def test_a_prompt_of_a_million_characters_names_the_prompt() -> None:
    assert refused(job_with(text_prompt="x" * 1_000_000), "text_to_mesh") == ("too_large", "inputs.text_prompt")


def test_text_is_taken_up_to_10000_characters() -> None:
    assert ask(job_with(text_prompt="ä" * MAX_TEXT_CHARS), "text_to_mesh").job is not None
    assert refused(job_with(text_prompt="x" * (MAX_TEXT_CHARS + 1)), "text_to_mesh") == (
        "too_large",
        "inputs.text_prompt",
    )
    assert refused(job_with(options={"notes": ["x" * (MAX_TEXT_CHARS + 1)]})) == (
        "too_large",
        "inputs.options.notes[0]",
    )


def test_too_many_files_are_too_large() -> None:
    files = [{"artifact": f"sha256-{n}"} for n in range(MAX_FILES + 1)]
    assert refused(job_with(image_paths=files), "image_to_mesh") == ("too_large", "inputs")
    assert ask(job_with(image_paths=files[1:]), "image_to_mesh").job is not None


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("path", ["/etc/passwd", "cat.png", "../cat.png", "file:///x", ""])
def test_a_path_from_a_client_is_rejected(path: str) -> None:
    assert refused(job_with(image_path=path), "image_to_mesh") == ("invalid_input", "inputs.image_path")
    assert refused(job_with(image_paths=[path]), "image_to_mesh") == ("invalid_input", "inputs.image_paths[0]")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (5, ""),
        ({}, ""),
        ({"artifact": "a", "inline": "aGk=", "filename": "a.png"}, ""),
        ({"artifact": "a", "path": "x"}, ".path"),
        ({"artifact": 5}, ".artifact"),
        ({"artifact": ""}, ".artifact"),
        ({"artifact": "../x"}, ".artifact"),
        ({"artifact": "a", "filename": 5}, ".filename"),
        ({"artifact": "a", "filename": ""}, ".filename"),
        ({"artifact": "a", "filename": "../a.png"}, ".filename"),
        ({"artifact": "a", "filename": "a..png"}, ".filename"),
        ({"artifact": "a", "filename": "b/a.png"}, ".filename"),
        ({"artifact": "a", "filename": "b\\a.png"}, ".filename"),
        ({"artifact": "a", "filename": "a\x00.png"}, ".filename"),
        ({"artifact": "a", "filename": "x" * 256}, ".filename"),
        ({"artifact": "a", "filename": "ä" * 128}, ".filename"),
        ({"inline": "aGk="}, ".filename"),
        ({"inline": 5, "filename": "a.png"}, ".inline"),
        ({"inline": "not base64!", "filename": "a.png"}, ".inline"),
        ({"inline": "aGk", "filename": "a.png"}, ".inline"),
        ({"inline": "aG!k=", "filename": "a.png"}, ".inline"),
        ({"inline": "aGk=\n", "filename": "a.png"}, ".inline"),
        ({"inline": "ä", "filename": "a.png"}, ".inline"),
    ],
)
def test_a_wrong_file_is_named(value: Any, field: str) -> None:
    assert refused(job_with(image_path=value), "image_to_mesh") == ("invalid_input", f"inputs.image_path{field}")
    listed = job_with(image_paths=[INLINE, value])
    assert refused(listed, "image_to_mesh") == ("invalid_input", f"inputs.image_paths[1]{field}")


def test_files_are_found_with_their_bytes_or_their_artifact() -> None:
    inputs = {"image_paths": [INLINE, {"artifact": "sha256-00"}], "mesh_path": {"artifact": "m"}, "other": "x.png"}
    found = list(file_refs(inputs))
    assert [(f.key, f.index, f.artifact, f.data, f.filename) for f in found] == [
        ("image_paths", 0, None, b"png", "cat.png"),
        ("image_paths", 1, "sha256-00", None, None),
        ("mesh_path", None, "m", None, None),
    ]
    assert is_file_key("mask_path")
    assert not is_file_key("pathology")


# ---------------------------------------------------------------- what features require


@pytest.mark.parametrize(
    ("feature", "inputs", "field"),
    [
        ("text_to_mesh", {}, "inputs.text_prompt"),
        ("text_to_mesh", {"text_prompt": None}, "inputs.text_prompt"),
        ("text_to_mesh", {"text_prompt": ""}, "inputs.text_prompt"),
        ("text_to_mesh", {"text_prompt": " \n"}, "inputs.text_prompt"),
        ("text_to_mesh", {"text_prompt": ["a"]}, "inputs.text_prompt"),
        ("text_to_textured_mesh", {}, "inputs.text_prompt"),
        ("image_to_mesh", {}, "inputs.image_path"),
        ("image_to_mesh", {"image_paths": []}, "inputs.image_path"),
        ("image_to_raw_mesh", {"text_prompt": "x"}, "inputs.image_path"),
        ("multimodal_to_mesh", {}, "inputs.text_prompt"),
        ("text_to_texture", {"text_prompt": "x"}, "inputs.mesh_path"),
        ("text_mesh_painting", {"mesh_path": INLINE}, "inputs.text_prompt"),
        ("image_to_texture", {"mesh_path": INLINE}, "inputs.image_path"),
        ("mesh_segmentation", {}, "inputs.mesh_path"),
        ("auto_rigging", {}, "inputs.mesh_path"),
        ("part_completion", {}, "inputs.mesh_path"),
        ("mesh_conversion", {"mesh_path": INLINE}, "inputs.output_format"),
    ],
)
def test_a_missing_required_input_is_named(feature: str, inputs: dict[str, Any], field: str) -> None:
    assert refused(job_with(**inputs), feature) == ("invalid_input", field)


@pytest.mark.parametrize(
    ("feature", "inputs"),
    [
        ("echo", {}),
        ("text_to_mesh", {"text_prompt": "a chair", "anything": {"else": [1, None]}}),
        ("image_to_mesh", {"image_path": INLINE}),
        ("image_to_mesh", {"image_paths": [INLINE]}),
        ("multimodal_to_mesh", {"text_prompt": "x"}),
        ("multimodal_to_mesh", {"image_path": INLINE}),
        ("image_to_texture", {"mesh_path": INLINE, "image_paths": [INLINE]}),
        ("mesh_conversion", {"mesh_path": INLINE, "output_format": "stl"}),
    ],
)
def test_a_complete_job_is_taken_with_its_defaults(feature: str, inputs: dict[str, Any]) -> None:
    job = ask(job_with(**inputs), feature).job
    assert job is not None
    assert job.inputs == inputs
    assert job.limits.start_to_close_s == 3600
    assert job.limits.load_s == 900
    assert job.limits.schedule_to_start_s is None
    assert job.retry == RetryPolicy()


# ---------------------------------------------------------------- small parts


def test_preference_is_one_or_many_or_any() -> None:
    any_ = ask({"inputs": {}, "model_preference": None}).job
    assert any_ is not None and any_.preferred is None
    one = ask({"inputs": {}, "model_preference": "a"}).job
    many = ask({"inputs": {}, "model_preference": ["b", "a"]}).job
    assert one is not None and one.preferred == ("a",)
    assert many is not None and many.preferred == ("b", "a")


def test_the_pause_grows_by_its_factor_up_to_its_cap() -> None:
    policy = RetryPolicy(initial_s=1, factor=2, cap_s=100)
    assert [policy.delay_s(n) for n in (1, 2, 3, 8, 10_000)] == [1, 2, 4, 100, 100]
    assert RetryPolicy(initial_s=0).delay_s(3) == 0


def test_a_submit_request_is_the_job_with_feature_and_priority() -> None:
    request = SubmitRequest(feature="echo", inputs={"a": 1}, job_id="j", vram_mb=5, metadata={"k": 1})
    assert request.priority == "normal"
    job = request.job()
    assert (job.job_id, job.inputs, job.vram_mb, job.metadata) == ("j", {"a": 1}, 5, {"k": 1})


def test_priorities() -> None:
    assert [check_priority(p) for p in ("high", "normal", "low")] == [None, None, None]
    wrong = check_priority("urgent")
    assert wrong is not None
    assert (wrong.code, wrong.field) == (FailureCode.INVALID_INPUT, "priority")
