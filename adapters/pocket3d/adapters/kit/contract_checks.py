"""The contract checks, in order, each yielding a finding."""

from __future__ import annotations

import hashlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.worker_frames import (
    AdapterDescription,
    AdapterSpec,
    LoadFailed,
    RunFailed,
    RunFinished,
    RunProgress,
)

from .checked_process import CheckedWorker, describe
from .samples import sample_inputs, spoiled_inputs

Level = Literal["ok", "note", "failed", "skipped"]

#: A run shorter than this, in seconds, gives a cancel no chance to be heard.
_TOO_QUICK_S = 0.5
_SHUTDOWN_S = 60.0
_UNLOAD_FAILED = "unload failed"
_MESH_FEATURES = frozenset(
    {
        "text_to_mesh",
        "image_to_mesh",
        "multimodal_to_mesh",
        "text_to_texture",
        "image_to_texture",
        "mesh_segmentation",
        "auto_rig",
        "part_completion",
        "mesh_conversion",
    }
)


class Check(msgspec.Struct, frozen=True):
    """What one check found: `failed` breaks the contract, `note` is worth knowing, `skipped` could not be tried."""

    name: str
    level: Level
    text: str
    #: What to do about it.
    advice: str | None = None


class CheckPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which adapter is checked, in which process, with which inputs."""

    spec: AdapterSpec
    #: Interpreter; None for this one.
    python: str | None = None
    #: The whole environment of its processes; None for this one's.
    env: dict[str, str] | None = None
    inputs: dict[str, Any] = {}
    device: str | None = None
    load_timeout_s: float = 900.0
    run_timeout_s: float = 3600.0
    cancel_patience_s: float = 30.0


def run(plan: CheckPlan, folder: Path) -> Iterator[Check]:
    """Make the checks, in order; each is yielded as soon as it is made.

    Raises:
        ProcessError: the worker ended, hung or broke the protocol; there is nothing more to check.
    """
    python = plan.python or sys.executable
    env = plan.env or {}
    about = describe(python, env, plan.spec)
    yield _described(about)
    yield _licence(about)
    if not about.available:
        return
    samples = folder / "samples"
    samples.mkdir()
    inputs = sample_inputs(about.feature, about.parameters, samples, plan.inputs)
    yield from _parameters(about, inputs)
    device = plan.device or _device(about.devices)
    if device is None:
        advice = 'say devices = ("cuda", "cpu") in the class if it runs on a CPU too, or try it: --device cpu'
        yield Check("device", "failed", f"it runs on {' or '.join(about.devices)} and this machine has none", advice)
        return
    with CheckedWorker(python, env, folder / "first") as worker:
        loaded = worker.load(plan.spec, device, about.vram_mb, plan.load_timeout_s)
        if isinstance(loaded, LoadFailed):
            yield Check("load", "failed", f"{loaded.code}: {loaded.message}", _last_place(loaded.traceback))
            return
        held = "" if loaded.vram_mb is None else f", torch holds {loaded.vram_mb} MB"
        yield Check("load", "ok", f"{loaded.load_s:.2f} s on {device}{held}")
        first, files = None, {}
        for check, end, digests in _process(worker, "run-1", about, inputs, plan.run_timeout_s):
            yield check
            first, files = end, digests
        if first is None:
            return
        yield from _refusal(worker, about, inputs, plan.run_timeout_s)
        alive = True
        if isinstance(first, RunFinished):
            check, alive = _cancel(worker, about, inputs, first.run_s, plan.cancel_patience_s)
            yield check
        if alive:
            yield _unload(worker)
        else:
            yield Check("unload", "skipped", "the cancelled run had not ended")
        yield _left_behind(worker)
    if isinstance(first, RunFinished):
        yield from _again(plan, python, env, device, about, inputs, folder, files)


def _described(about: AdapterDescription) -> Check:
    if not about.available:
        return Check(
            "description", "failed", about.reason or "not available", "the agent would list it with this reason"
        )
    devices = " or ".join(about.devices)
    text = f"{about.feature}, {about.vram_mb} MB, up to {about.max_concurrent} at once, on {devices}"
    if about.feature == "unknown":
        return Check("description", "failed", text, "derive from a feature's base class, or set default_feature")
    return Check("description", "ok", text)


def _licence(about: AdapterDescription) -> Check:
    terms = about.license
    if terms is None:
        return Check(
            "licence", "note", "none stated", "license_info = License(code=..., weights=...) tells users the terms"
        )
    parts = [f"code {terms['code']}", f"weights {terms.get('weights') or 'none'}"]
    parts.append("commercial use" if terms.get("commercial_use") else "no commercial use")
    if terms.get("territory"):
        parts.append(terms["territory"])
    if not terms.get("commercial_use") and not terms.get("requires_acceptance"):
        return Check(
            "licence", "note", ", ".join(parts), "requires_acceptance=True makes operators say yes to it first"
        )
    return Check("licence", "ok", ", ".join(parts))


def _parameters(about: AdapterDescription, inputs: dict[str, Any]) -> Iterator[Check]:
    import jsonschema

    schema = about.parameters
    if schema is None:
        advice = "get_parameter_schema() lets the system refuse wrong inputs before a GPU is taken"
        yield Check("parameters", "note", "no schema: any keys are taken", advice)
        return
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        yield Check("parameters", "failed", f"no JSON Schema: {error.message}", "see json-schema.org, draft 2020-12")
        return
    refused = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(inputs)), None)
    if refused is not None:
        where = ".".join(str(part) for part in refused.absolute_path) or "inputs"
        advice = "list the feature's own keys too; the type of a file key is {} (a reference or a path)"
        yield Check(
            "parameters", "failed", f"the schema refuses the inputs of this check: {where}: {refused.message}", advice
        )
        return
    properties: dict[str, Any] = schema.get("properties", {})
    text = f"{len(properties)} keys: {', '.join(properties)}"
    silent = [key for key, facts in properties.items() if isinstance(facts, dict) and not facts.get("description")]
    if schema.get("additionalProperties", True) is not False:
        yield Check("parameters", "note", text, '"additionalProperties": false refuses keys that are mistyped')
    elif silent:
        yield Check("parameters", "note", text, f"without a description: {', '.join(silent)}")
    else:
        yield Check("parameters", "ok", text)


def _device(kinds: list[str]) -> str | None:
    if "cuda" in kinds and Path("/proc/driver/nvidia/version").exists():
        return "cuda"
    return "cpu" if "cpu" in kinds else None


def _process(
    worker: CheckedWorker, run_id: str, about: AdapterDescription, inputs: dict[str, Any], timeout_s: float
) -> Iterator[tuple[Check, RunFinished | RunFailed | None, dict[str, str]]]:
    """Run one request; yields findings on its end, progress and result, each with the end and the files' digests."""
    output_dir = worker.run(run_id, about.feature, inputs)
    end = worker.end(run_id, timeout_s)
    if end is None:
        yield (
            Check("process", "failed", f"no end within {timeout_s:g} s", "report progress to see where it hangs"),
            None,
            {},
        )
        return
    if isinstance(end, RunFailed):
        field = f" ({end.field})" if end.field else ""
        advice = _last_place(end.traceback)
        if end.code == FailureCode.INVALID_INPUT.value:
            advice = "if these inputs are not for it, give others: inputs=... or --input key=value"
        yield Check("process", "failed", f"{end.code}{field}: {end.message}", advice), end, {}
        return
    peak = "" if end.vram_peak_mb is None else f", peak {end.vram_peak_mb} MB"
    shown = ", ".join(f"{key}={_short(value)}" for key, value in inputs.items()) or "no inputs"
    yield Check("process", "ok", f"{end.run_s:.2f} s{peak}, with {shown}"), end, {}
    yield (_progress(worker.reports(run_id)), end, {})
    digests = {file.name: hashlib.sha256(Path(file.path).read_bytes()).hexdigest() for file in end.files}
    yield (_result(about, end, output_dir), end, digests)


def _progress(reports: list[RunProgress]) -> Check:
    fractions = [each.fraction for each in reports if each.fraction is not None]
    if not reports:
        return Check(
            "progress", "note", "none reported", "self.report_progress(fraction, stage) shows users how far it is"
        )
    stages = ", ".join(dict.fromkeys(each.stage for each in reports if each.stage)) or "no stages named"
    text = f"{len(reports)} reports heard; {stages}"
    for before, after in itertools.pairwise(fractions):
        if after < before:
            advice = "a fraction is of the whole request, not of a stage"
            return Check("progress", "failed", f"it goes back, from {before:g} to {after:g}; {stages}", advice)
    return Check("progress", "ok", text)


def _result(about: AdapterDescription, end: RunFinished, output_dir: Path) -> Check:
    names = ", ".join(f"{file.name} ({file.size} B)" for file in end.files) or "no files"
    if end.outputs.get("success") is not True:
        return Check(
            "result", "failed", "success is not true in the answer", "start from super()._process_request(inputs)"
        )
    if about.feature in _MESH_FEATURES and not isinstance(end.outputs.get("output_mesh_path"), str):
        return Check("result", "failed", f"no output_mesh_path; {names}", 'return {..., "output_mesh_path": str(path)}')
    empty = [file.name for file in end.files if file.size == 0]
    broken = [file.name for file in end.files if file.name.endswith(".glb") and not _is_glb(Path(file.path))]
    if empty or broken:
        wrong = ", ".join([*(f"{name} is empty" for name in empty), *(f"{name} is no GLB" for name in broken)])
        return Check("result", "failed", wrong, "read what was written before returning it")
    inside = {str(path.relative_to(output_dir)) for path in output_dir.rglob("*") if path.is_file()}
    unnamed = sorted(inside - {file.name for file in end.files})
    if unnamed:
        advice = "a file reaches the producer if a *_path key of the answer names it; use tempfile for others"
        return Check("result", "note", f"{names}; not named in the answer: {', '.join(unnamed)}", advice)
    return Check("result", "ok", f"{', '.join(end.outputs)}; {names}")


def _is_glb(path: Path) -> bool:
    """True if a file has the header and the length of glTF 2.0's binary container."""
    data = path.read_bytes()
    return data[:8] == b"glTF\x02\0\0\0" and int.from_bytes(data[8:12], "little") == len(data)


def _refusal(
    worker: CheckedWorker, about: AdapterDescription, inputs: dict[str, Any], timeout_s: float
) -> Iterator[Check]:
    spoiled = spoiled_inputs(about.feature, about.parameters, inputs)
    if spoiled is None:
        yield Check("invalid input", "skipped", "nothing is required of the inputs")
        return
    wrong, what = spoiled
    worker.run("run-spoiled", about.feature, wrong)
    end = worker.end("run-spoiled", timeout_s)
    advice = "raise InvalidInput(message, field) in validate_inputs; else the job is tried again elsewhere, in vain"
    if isinstance(end, RunFailed) and end.code == FailureCode.INVALID_INPUT.value and end.field:
        yield Check("invalid input", "ok", f"{what}: refused, {end.field}: {end.message}")
    elif isinstance(end, RunFailed):
        yield Check("invalid input", "failed", f"{what}: {end.code} without a field: {end.message}", advice)
    elif end is None:
        yield Check("invalid input", "failed", f"{what}: no end within {timeout_s:g} s", advice)
    else:
        yield Check("invalid input", "failed", f"{what}: it answered all the same", advice)


def _cancel(
    worker: CheckedWorker, about: AdapterDescription, inputs: dict[str, Any], run_s: float, patience_s: float
) -> tuple[Check, bool]:
    """Cancel a request in the midst of its work; returns the finding, and whether the worker is free again."""
    # In the midst of the work, by the time of the run before it; the first one of a process is often slower.
    for run_id in ("run-cancelled", "run-cancelled-again"):
        worker.run(run_id, about.feature, inputs)
        early = worker.end(run_id, run_s / 2)
        if not isinstance(early, RunFinished):
            break
        run_s = early.run_s
    else:
        return Check("cancel", "skipped", f"it is done in {run_s:.2f} s, too soon to tell"), True
    asked = time.monotonic()
    worker.cancel(run_id)
    end = worker.end(run_id, patience_s)
    took = time.monotonic() - asked
    advice = (
        "call self.check_cancelled() between steps; until then the agent kills the worker and the model loads again"
    )
    if end is None:
        return Check("cancel", "note", f"not honoured within {patience_s:g} s", advice), False
    if isinstance(end, RunFinished):
        if run_s < _TOO_QUICK_S:
            return Check("cancel", "skipped", f"it is done in {run_s:.2f} s, too soon to tell"), True
        return Check("cancel", "note", f"not honoured: it went on to its end, {took:.2f} s", advice), True
    text = f"ended {took:.2f} s after it was asked (a whole run takes {run_s:.2f} s)"
    return Check("cancel", "ok", text), True


def _unload(worker: CheckedWorker) -> Check:
    status = worker.shut_down(_SHUTDOWN_S)
    if status is None:
        return Check(
            "unload", "failed", f"no end within {_SHUTDOWN_S:g} s", "_unload_model must return; drop references there"
        )
    failed = [line for line in worker.log_lines() if _UNLOAD_FAILED in line]
    if failed or status != 0:
        return Check(
            "unload", "failed", failed[-1] if failed else f"exit status {status}", "_unload_model must not raise"
        )
    return Check("unload", "ok", "the process ended by itself")


def _left_behind(worker: CheckedWorker) -> Check:
    left = sorted(str(path.relative_to(worker.cwd)) for path in worker.cwd.rglob("*") if path.is_file())
    if left:
        advice = "write to self.output_dir or to tempfile's folders: the working directory is shared by all requests"
        return Check("working directory", "note", f"it left {', '.join(left[:5])} there", advice)
    return Check("working directory", "ok", "nothing was left there")


def _again(
    plan: CheckPlan,
    python: str,
    env: dict[str, str],
    device: str,
    about: AdapterDescription,
    inputs: dict[str, Any],
    folder: Path,
    files: dict[str, str],
) -> Iterator[Check]:
    """Check in a second process that the model loads again and that the same seed gives the same files."""
    with CheckedWorker(python, env, folder / "second") as worker:
        loaded = worker.load(plan.spec, device, about.vram_mb, plan.load_timeout_s)
        if isinstance(loaded, LoadFailed):
            yield Check("second load", "failed", f"{loaded.code}: {loaded.message}", _last_place(loaded.traceback))
            return
        worker.run("run-2", about.feature, inputs)
        end = worker.end("run-2", plan.run_timeout_s)
        if not isinstance(end, RunFinished):
            said = "no end in time" if end is None else f"{end.code}: {end.message}"
            yield Check(
                "second load", "failed", f"the same request failed after it: {said}", "the first run left something"
            )
            return
        yield Check("second load", "ok", f"{loaded.load_s:.2f} s, and the request {end.run_s:.2f} s")
        if "seed" not in inputs:
            return
        digests = {file.name: hashlib.sha256(Path(file.path).read_bytes()).hexdigest() for file in end.files}
        other = sorted(name for name in files.keys() | digests.keys() if files.get(name) != digests.get(name))
        if other:
            advice = 'draw from a generator made from inputs["seed"]; some GPU kernels are not repeatable'
            yield Check("seed", "note", f"the same seed gave other files: {', '.join(other)}", advice)
        else:
            yield Check("seed", "ok", f"seed {inputs['seed']} gave the same bytes again")
        worker.shut_down(_SHUTDOWN_S)


def _last_place(traceback: str) -> str | None:
    """The last file and line of a traceback."""
    places = [line.strip() for line in traceback.splitlines() if line.strip().startswith('File "')]
    return f"raised at {places[-1]}" if places else None


def _short(value: Any) -> str:
    text = Path(value).name if isinstance(value, str) and value.startswith("/") else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
