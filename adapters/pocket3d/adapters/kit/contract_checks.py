"""The contract checks, in order, each yielding a finding."""

from __future__ import annotations

import hashlib
import itertools
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.features import output_key
from pocket3d.contracts.variants import best_first, variant_named
from pocket3d.contracts.worker_frames import (
    AdapterDescription,
    AdapterSpec,
    ModelLoaded,
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
    #: Which of its variants; None for the best.
    variant: str | None = None
    load_timeout_s: float = 900.0
    run_timeout_s: float = 3600.0
    cancel_patience_s: float = 30.0


class _Trial(NamedTuple):
    """What all checks of a loaded model share."""

    plan: CheckPlan
    about: AdapterDescription
    device: str
    inputs: dict[str, Any]


def run(plan: CheckPlan, folder: Path) -> Iterator[Check]:
    """Make the checks, in order; each is yielded as soon as it is made.

    Raises:
        ProcessError: the worker ended, hung or broke the protocol; there is nothing more to check.
    """
    python, env = plan.python or sys.executable, plan.env or {}
    about = describe(python, env, plan.spec)
    yield _described(about)
    yield _licence(about)
    if not about.available:
        return
    samples = folder / "samples"
    samples.mkdir()
    inputs = sample_inputs(about.feature, about.parameters, samples, plan.inputs)
    yield _parameters(about.parameters, inputs)
    device = plan.device or _device(about.devices)
    if device is None:
        advice = 'say devices = ("cuda", "cpu") in the class if it runs on a CPU too, or try it: --device cpu'
        yield Check("device", "failed", f"it runs on {' or '.join(about.devices)} and this machine has none", advice)
        return
    trial = _Trial(plan, about, device, inputs)
    with CheckedWorker(python, env, folder / "first") as worker:
        loaded = yield from _load(worker, trial, "load")
        if loaded is None:
            return
        held = "" if loaded.vram_mb is None else f", torch holds {loaded.vram_mb} MB"
        yield Check("load", "ok", f"{loaded.load_s:.2f} s on {device}{held}")
        first = yield from _process(worker, trial)
        if first is None:
            return
        files = _digests(first)
        yield _refusal(worker, trial)
        alive = True
        if isinstance(first, RunFinished):
            alive = yield from _cancel(worker, trial, first.run_s)
        yield _unload(worker) if alive else Check("unload", "skipped", "the cancelled run had not ended")
        yield _left_behind(worker)
    if isinstance(first, RunFinished):
        with CheckedWorker(python, env, folder / "second") as worker:
            yield from _again(worker, trial, files)


def _described(about: AdapterDescription) -> Check:
    if not about.available:
        advice = "the agent would list it with this reason"
        return Check("description", "failed", about.reason or "not available", advice)
    devices = " or ".join(about.devices)
    sizes = " or ".join(f"{each.vram_mb} MB as {each.name}" for each in about.variants) or f"{about.vram_mb} MB"
    text = f"{about.feature}, {sizes}, up to {about.max_concurrent} at once, on {devices}"
    if about.feature == "unknown":
        return Check("description", "failed", text, "derive from a feature's base class, or set default_feature")
    return Check("description", "ok", text)


def _licence(about: AdapterDescription) -> Check:
    terms = about.license
    if terms is None:
        advice = "license_info = License(code=..., weights=...) tells users the terms"
        return Check("licence", "note", "none stated", advice)
    use = {"yes": "commercial use", "no": "no commercial use"}.get(about.commercial, "commercial use unclear")
    parts = (f"code {terms['code']}", f"weights {terms.get('weights') or 'none'}", use, terms.get("territory"))
    text = ", ".join(filter(None, parts))
    if about.commercial == "no" and not terms.get("requires_acceptance"):
        return Check("licence", "note", text, "requires_acceptance=True makes operators say yes to it first")
    return Check("licence", "ok", text)


def _parameters(schema: dict[str, Any] | None, inputs: dict[str, Any]) -> Check:
    import jsonschema

    if schema is None:
        advice = "get_parameter_schema() lets the system refuse wrong inputs before a GPU is taken"
        return Check("parameters", "note", "no schema: any keys are taken", advice)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return Check("parameters", "failed", f"no JSON Schema: {error.message}", "see json-schema.org, draft 2020-12")
    refused = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(inputs)), None)
    if refused is not None:
        where = ".".join(str(part) for part in refused.absolute_path) or "inputs"
        text = f"the schema refuses the inputs of this check: {where}: {refused.message}"
        advice = "list the feature's own keys too; the type of a file key is {} (a reference or a path)"
        return Check("parameters", "failed", text, advice)
    properties: dict[str, Any] = schema.get("properties", {})
    text = f"{len(properties)} keys: {', '.join(properties)}"
    silent = [key for key, facts in properties.items() if isinstance(facts, dict) and not facts.get("description")]
    if schema.get("additionalProperties", True) is not False:
        return Check("parameters", "note", text, '"additionalProperties": false refuses keys that are mistyped')
    if silent:
        return Check("parameters", "note", text, f"without a description: {', '.join(silent)}")
    return Check("parameters", "ok", text)


def _device(kinds: list[str]) -> str | None:
    if "cuda" in kinds and Path("/proc/driver/nvidia/version").exists():
        return "cuda"
    return "cpu" if "cpu" in kinds else None


def _load(worker: CheckedWorker, trial: _Trial, name: str) -> Generator[Check, None, ModelLoaded | None]:
    """Load the model; yields a finding where it fails, and returns None then."""
    plan, about = trial.plan, trial.about
    variant = plan.variant
    if variant is None and about.variants:
        variant = best_first(about.variants)[0].name
    chosen = variant_named(about.variants, variant)
    vram_mb = about.vram_mb if chosen is None else chosen.vram_mb
    loaded = worker.load(plan.spec, trial.device, vram_mb, plan.load_timeout_s, variant)
    if isinstance(loaded, ModelLoaded):
        return loaded
    yield Check(name, "failed", f"{loaded.code}: {loaded.message}", _last_place(loaded.traceback))
    return None


def _process(worker: CheckedWorker, trial: _Trial) -> Generator[Check, None, RunFinished | RunFailed | None]:
    """Run one request; yields findings on its end, progress and result, and returns the end, None if there is none."""
    timeout_s = trial.plan.run_timeout_s
    output_dir = worker.run("run-1", trial.about.feature, trial.inputs)
    end = worker.end("run-1", timeout_s)
    if end is None:
        yield Check("process", "failed", f"no end within {timeout_s:g} s", "report progress to see where it hangs")
        return None
    if isinstance(end, RunFailed):
        field = f" ({end.field})" if end.field else ""
        advice = _last_place(end.traceback)
        if end.code == FailureCode.INVALID_INPUT.value:
            advice = "if these inputs are not for it, give others: inputs=... or --input key=value"
        yield Check("process", "failed", f"{end.code}{field}: {end.message}", advice)
        return end
    peak = "" if end.vram_peak_mb is None else f", peak {end.vram_peak_mb} MB"
    shown = ", ".join(f"{key}={_short(value)}" for key, value in trial.inputs.items()) or "no inputs"
    yield Check("process", "ok", f"{end.run_s:.2f} s{peak}, with {shown}")
    yield _progress(worker.reports("run-1"))
    yield _result(trial.about.feature, end, output_dir)
    return end


def _digests(end: RunFinished | RunFailed) -> dict[str, str]:
    files = end.files if isinstance(end, RunFinished) else []
    return {file.name: hashlib.sha256(Path(file.path).read_bytes()).hexdigest() for file in files}


def _progress(reports: list[RunProgress]) -> Check:
    if not reports:
        advice = "self.report_progress(fraction, stage) shows users how far it is"
        return Check("progress", "note", "none reported", advice)
    fractions = [each.fraction for each in reports if each.fraction is not None]
    stages = ", ".join(dict.fromkeys(each.stage for each in reports if each.stage)) or "no stages named"
    for before, after in itertools.pairwise(fractions):
        if after < before:
            advice = "a fraction is of the whole request, not of a stage"
            return Check("progress", "failed", f"it goes back, from {before:g} to {after:g}; {stages}", advice)
    return Check("progress", "ok", f"{len(reports)} reports heard; {stages}")


def _result(feature: str, end: RunFinished, output_dir: Path) -> Check:
    names = ", ".join(f"{file.name} ({file.size} B)" for file in end.files) or "no files"
    if end.outputs.get("success") is not True:
        advice = "start from super()._process_request(inputs)"
        return Check("result", "failed", "success is not true in the answer", advice)
    key = output_key(feature)
    if key is not None and not isinstance(end.outputs.get(key), str):
        return Check("result", "failed", f"no {key}; {names}", f'return {{..., "{key}": str(path)}}')
    wrong = [f"{file.name} is empty" for file in end.files if file.size == 0]
    wrong += [f"{each.name} is no GLB" for each in end.files if each.name.endswith(".glb") and not _is_glb(each.path)]
    if wrong:
        return Check("result", "failed", ", ".join(wrong), "read what was written before returning it")
    inside = {str(path.relative_to(output_dir)) for path in output_dir.rglob("*") if path.is_file()}
    unnamed = sorted(inside - {file.name for file in end.files})
    if unnamed:
        advice = "a file reaches the producer if a *_path key of the answer names it; use tempfile for others"
        return Check("result", "note", f"{names}; not named in the answer: {', '.join(unnamed)}", advice)
    return Check("result", "ok", f"{', '.join(end.outputs)}; {names}")


def _is_glb(path: str) -> bool:
    """True if a file has the header and the length of glTF 2.0's binary container."""
    data = Path(path).read_bytes()
    return data[:8] == b"glTF\x02\0\0\0" and int.from_bytes(data[8:12], "little") == len(data)


def _refusal(worker: CheckedWorker, trial: _Trial) -> Check:
    spoiled = spoiled_inputs(trial.about.feature, trial.about.parameters, trial.inputs)
    if spoiled is None:
        return Check("invalid input", "skipped", "nothing is required of the inputs")
    wrong, what = spoiled
    worker.run("run-spoiled", trial.about.feature, wrong)
    end = worker.end("run-spoiled", trial.plan.run_timeout_s)
    if isinstance(end, RunFailed):
        if end.code == FailureCode.INVALID_INPUT.value and end.field:
            return Check("invalid input", "ok", f"{what}: refused, {end.field}: {end.message}")
        said = f"{end.code} without a field: {end.message}"
    else:
        said = f"no end within {trial.plan.run_timeout_s:g} s" if end is None else "it answered all the same"
    advice = "raise InvalidInput(message, field) in validate_inputs; else the job is tried again elsewhere, in vain"
    return Check("invalid input", "failed", f"{what}: {said}", advice)


def _cancel(worker: CheckedWorker, trial: _Trial, run_s: float) -> Generator[Check, None, bool]:
    """Cancel a request in the midst of its work; yields the finding, and returns whether the worker is free again."""
    # In the midst of the work, by the time of the run before it; the first one of a process is often slower.
    for run_id in ("run-cancelled", "run-cancelled-again"):
        worker.run(run_id, trial.about.feature, trial.inputs)
        early = worker.end(run_id, run_s / 2)
        if not isinstance(early, RunFinished):
            break
        run_s = early.run_s
    too_soon = Check("cancel", "skipped", f"it is done in {run_s:.2f} s, too soon to tell")
    if isinstance(early, RunFinished):
        yield too_soon
        return True
    asked = time.monotonic()
    worker.cancel(run_id)
    patience_s = trial.plan.cancel_patience_s
    end = worker.end(run_id, patience_s)
    took = time.monotonic() - asked
    advice = (
        "call self.check_cancelled() between steps; until then the agent kills the worker and the model loads again"
    )
    if end is None:
        yield Check("cancel", "note", f"not honoured within {patience_s:g} s", advice)
    elif isinstance(end, RunFailed):
        text = f"ended {took:.2f} s after it was asked (a whole run takes {run_s:.2f} s)"
        yield Check("cancel", "ok", text)
    elif run_s < _TOO_QUICK_S:
        yield too_soon
    else:
        yield Check("cancel", "note", f"not honoured: it went on to its end, {took:.2f} s", advice)
    return end is not None


def _unload(worker: CheckedWorker) -> Check:
    status = worker.shut_down(_SHUTDOWN_S)
    if status is None:
        advice = "_unload_model must return; drop references there"
        return Check("unload", "failed", f"no end within {_SHUTDOWN_S:g} s", advice)
    failed = [line for line in worker.log_lines() if _UNLOAD_FAILED in line]
    if failed or status != 0:
        text = failed[-1] if failed else f"exit status {status}"
        return Check("unload", "failed", text, "_unload_model must not raise")
    return Check("unload", "ok", "the process ended by itself")


def _left_behind(worker: CheckedWorker) -> Check:
    left = sorted(str(path.relative_to(worker.cwd)) for path in worker.cwd.rglob("*") if path.is_file())
    if left:
        advice = "write to self.output_dir or to tempfile's folders: the working directory is shared by all requests"
        return Check("working directory", "note", f"it left {', '.join(left[:5])} there", advice)
    return Check("working directory", "ok", "nothing was left there")


def _again(worker: CheckedWorker, trial: _Trial, files: dict[str, str]) -> Iterator[Check]:
    """Check in a second process that the model loads again and that the same seed gives the same files."""
    loaded = yield from _load(worker, trial, "second load")
    if loaded is None:
        return
    worker.run("run-2", trial.about.feature, trial.inputs)
    end = worker.end("run-2", trial.plan.run_timeout_s)
    if not isinstance(end, RunFinished):
        said = "no end in time" if end is None else f"{end.code}: {end.message}"
        text = f"the same request failed after it: {said}"
        yield Check("second load", "failed", text, "the first run left something")
        return
    yield Check("second load", "ok", f"{loaded.load_s:.2f} s, and the request {end.run_s:.2f} s")
    if "seed" not in trial.inputs:
        return
    digests = _digests(end)
    other = sorted(name for name in files.keys() | digests.keys() if files.get(name) != digests.get(name))
    if other:
        advice = 'draw from a generator made from inputs["seed"]; some GPU kernels are not repeatable'
        yield Check("seed", "note", f"the same seed gave other files: {', '.join(other)}", advice)
    else:
        yield Check("seed", "ok", f"seed {trial.inputs['seed']} gave the same bytes again")
    worker.shut_down(_SHUTDOWN_S)


def _last_place(traceback: str) -> str | None:
    """The last file and line of a traceback."""
    places = [line.strip() for line in traceback.splitlines() if line.strip().startswith('File "')]
    return f"raised at {places[-1]}" if places else None


def _short(value: Any) -> str:
    text = Path(value).name if isinstance(value, str) and value.startswith("/") else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
