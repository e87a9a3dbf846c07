"""`--describe` as an agent calls it, and what it makes of declared schemas."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.runtime.describe import as_json_schema
from pocket3d.adapters.runtime.describe import describe as describe_here
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec
from support.worker_driver import DEADLINE_S, interpreter, worker_path


def describe(*specs: AdapterSpec) -> tuple[list[AdapterDescription], bytes]:
    """The answer, and what the process printed to stdout."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [interpreter(), "-m", "pocket3d.adapters.worker", "--describe", "--answer-fd", str(write_end)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[write_end],
        env={**os.environ, "PYTHONPATH": worker_path()},
    )
    os.close(write_end)
    out, err = process.communicate(msgspec.json.encode(list(specs)), DEADLINE_S)
    with os.fdopen(read_end, "rb") as stream:
        answer = stream.read()
    assert process.returncode == 0, err.decode()
    return msgspec.json.decode(answer, type=list[AdapterDescription]), out


def spec(class_path: str, **fields: Any) -> AdapterSpec:
    return AdapterSpec(adapter_id=class_path.lower(), class_path=class_path, **fields)


def test_echo_describes_itself_with_its_configuration() -> None:
    config = {"vram_requirement": 123, "max_concurrent": 3}
    (found,), _ = describe(spec("pocket3d.adapters.echo.EchoAdapter", config=config))
    assert (found.available, found.reason) == (True, None)
    assert (found.feature, found.vram_mb, found.max_concurrent) == ("echo", 123, 3)
    assert found.devices == ["cuda", "cpu"] and found.license is None
    assert found.parameters is not None and "sleep_s" in found.parameters["properties"]


def test_a_specification_overrides_feature_and_devices() -> None:
    (found,), _ = describe(spec("misbehaving.Harmless", feature="text_to_textured_mesh", devices=["cpu"]))
    assert (found.feature, found.devices, found.parameters) == ("text_to_mesh", ["cpu"], None)


def test_one_bad_adapter_costs_only_itself_and_every_reason_is_one_line() -> None:
    found, _ = describe(
        spec("misbehaving_import.Adapter", feature="auto_rig"),
        spec("misbehaving.MissingWeightsAdapter"),
        spec("misbehaving.LicensedAdapter"),
        spec("describing.ExitingAdapter"),
        spec("describing.LackingAdapter"),
        spec("describing.BadSchemaAdapter"),
        spec("describing.BadFeatureAdapter"),
        spec("misbehaving.Harmless", devices=["tpu"]),
        spec("pocket3d.adapters.echo.EchoAdapter"),
    )
    assert [each.available for each in found] == [False] * 8 + [True]
    reasons = [each.reason or "" for each in found]
    for reason, says in zip(
        reasons,
        (
            "package_that_nobody_has",
            "no weights at",
            "accept_license: true",
            "SystemExit",
            "weights of 3 GB",
            "object",
            "Bad Feature",
            "tpu",
        ),
        strict=False,
    ):
        assert says in reason and "\n" not in reason, reason
    assert found[0].feature == "auto_rig"
    terms = found[2].license
    assert terms is not None and terms["code"] == "Example-NC" and terms["commercial_use"] is False


def test_prints_of_model_code_do_not_reach_the_answer() -> None:
    (found,), out = describe(spec("describing.PrintingAdapter"))
    assert found.available and b"\x00\xff" in out


def test_path_reaches_only_its_own_adapter(tmp_path: Any) -> None:
    (tmp_path / "only_here.py").write_text("from misbehaving import Harmless\n\n\nclass Adapter(Harmless):\n    pass\n")
    found, _ = describe(spec("only_here.Adapter"), spec("only_here.Adapter", path=[str(tmp_path)]))
    assert [each.available for each in found] == [False, True]
    assert "name the folder that has it as `path`" in str(found[0].reason)


def test_a_question_that_is_no_json_is_a_usage_error() -> None:
    read_end, write_end = os.pipe()
    done = subprocess.run(
        [interpreter(), "-m", "pocket3d.adapters.worker", "--describe", "--answer-fd", str(write_end)],
        input=b"{",
        capture_output=True,
        pass_fds=[write_end],
        env={**os.environ, "PYTHONPATH": worker_path()},
        timeout=DEADLINE_S,
    )
    os.close(write_end)
    os.close(read_end)
    assert done.returncode == 2 and b"no list of adapter specifications" in done.stderr


def test_the_parents_form_of_a_schema_becomes_json_schema() -> None:
    declared = {
        "parameters": {
            "seed": {"type": "int", "default": 42, "minimum": 0, "required": False},
            "mode": {"type": "str", "enum": ["fast", "opt"], "required": True},
        }
    }
    assert as_json_schema(declared) == {
        "type": "object",
        "properties": {
            "seed": {"type": "integer", "default": 42, "minimum": 0},
            "mode": {"type": "string", "enum": ["fast", "opt"]},
        },
        "required": ["mode"],
        "additionalProperties": True,
    }
    plain = {"type": "object", "properties": {}}
    assert as_json_schema(plain) is plain and as_json_schema(None) is None
    with pytest.raises(ValueError, match="object"):
        as_json_schema({"type": "string"})


def test_the_process_that_describes_is_left_as_it_was(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process: what one adapter's `path` adds is gone when the next is described."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "left_behind.py").write_text(
        "from pocket3d.adapters.echo import EchoAdapter\n\n\nclass Adapter(EchoAdapter):\n    pass\n"
    )
    specs = [
        spec("left_behind.Adapter", path=[str(tmp_path)], config={"vram_requirement": 77}),
        spec("pocket3d.adapters.echo.EchoAdapter", devices=["cpu"], feature="text_to_mesh"),
        spec("pocket3d.adapters.echo.EchoAdapter", devices=[]),
        spec("pocket3d.adapters.nothing_of_that_name.Adapter"),
    ]
    before = list(sys.path)
    found = [describe_here(each) for each in specs]
    assert sys.path == before
    answer, _ = describe(*specs)
    assert found == answer, "in a process of its own it says the same"
    assert [each.available for each in found] == [True, True, False, False]
    assert (found[0].vram_mb, found[1].devices, found[1].feature) == (77, ["cpu"], "text_to_mesh")
    assert "devices []" in str(found[2].reason)


def test_a_long_reason_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = describe_here(spec("pocket3d.adapters.echo.EchoAdapter", devices=["x" * 5000]))
    assert found.reason is not None and 100 < len(found.reason) < 3000
