"""What producers publish: jobs of all kinds, good and bad, some of them twice, some cancelled."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.codec import encode
from pocket3d.contracts.lifecycle import Priority
from pocket3d.contracts.variants import Variant
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents.devices.spec import DeviceSpec

#: The file that all inputs name: it lies in the inputs bucket.
INPUT = "sha256-00"
#: The input under which some jobs name the file of another one.
SOURCE_KEY = "source_path"
#: The models of the simulated fleet, by id.
ADAPTERS = {
    name: AdapterDescription(
        adapter_id=name,
        available=True,
        feature=feature,
        vram_mb=mb,
        max_concurrent=at_once,
        devices=devices,
        version="1",
    )
    for name, feature, mb, at_once, devices in (
        ("echo", "echo", 2000, 2, ["cuda", "cpu"]),
        ("sculptor", "text_to_mesh", 5000, 1, ["cuda"]),
        ("rigger", "auto_rig", 6500, 1, ["cuda"]),
    )
}
#: The sizes in which `sculptor` can be loaded, in runs with variants.
VARIANTS = [Variant(name="512", vram_mb=5000, quality=1), Variant(name="1024", vram_mb=13_000, quality=2)]
_INPUTS: dict[str, dict[str, Any]] = {
    "echo": {},
    "text_to_mesh": {"text_prompt": "a chair"},
    "auto_rig": {"mesh_path": {"artifact": INPUT}},
}
_MODEL_MB = {adapter.feature: adapter.vram_mb for adapter in ADAPTERS.values()}
#: How a run goes, and how often.
_BEHAVIOUR = {"ok": 60, "slow": 12, "crash_once": 6, "error_once": 6, "hang_once": 4, "deaf_once": 3, "error": 3}
_BEHAVIOUR |= dict.fromkeys(("nonsense", "bad_input", "no_artifact", "huge"), 2)
#: Whose jobs they are, by turns; what each may have is in the shape.
_TENANTS = ("default", "north", "default", "south", "strict")
_PRIORITIES: tuple[Priority, ...] = ("high", "normal", "normal", "normal", "low")


class Publication(NamedTuple):
    """One message that a producer wants in the jobs stream."""

    at: float
    job_id: str
    priority: Priority
    feature: str
    data: bytes


class Cancellation(NamedTuple):
    """Somebody wants a job ended."""

    at: float
    job_id: str


class Workload(NamedTuple):
    """All that producers do in a run."""

    publications: list[Publication]
    cancellations: list[Cancellation]


def adapters_of(variants: bool) -> dict[str, AdapterDescription]:
    """The models of a run's fleet, by id."""
    if not variants:
        return ADAPTERS
    return {**ADAPTERS, "sculptor": msgspec.structs.replace(ADAPTERS["sculptor"], variants=VARIANTS)}


def make_workload(
    rng: random.Random,
    jobs: int,
    over_s: float,
    *,
    plain: bool = False,
    variants: bool = False,
    references: random.Random | None = None,
) -> Workload:
    """So many jobs within so many virtual seconds.

    Args:
        rng: all chance.
        jobs: how many.
        over_s: within how many virtual seconds.
        plain: all are good, none is published twice or cancelled.
        variants: some name a variant, and some need more memory than one of them has.
        references: the chance by which some name a file of another job; None if none do.
    """
    publications: list[Publication] = []
    cancellations: list[Cancellation] = []
    asked: dict[str, list[dict[str, Any]]] = {}
    for number in range(jobs):
        at = rng.uniform(0.0, over_s)
        job_id = f"job{number}"
        feature = rng.choice(("echo", "echo", "text_to_mesh", "auto_rig"))
        priority = rng.choice(_PRIORITIES)
        tenant = "default" if plain else _TENANTS[number % len(_TENANTS)]
        request = {**_request(rng, job_id, feature, plain=plain), "tenant": tenant}
        if variants and feature == "text_to_mesh":
            _vary(rng, request)
        if references is not None:
            _refer(references, request, number, jobs)
            _repeat(references, request, feature, asked)
        data = encode(request)
        if not plain and rng.random() < 0.04:
            data = rng.choice((b"{", encode({"job_id": job_id, "inputs": {}, "surprise": 1})))
            job_id = job_id if data != b"{" else ""
        elif not plain and rng.random() < 0.02:
            feature = "levitate"
        publications.append(Publication(at, job_id, priority, feature, data))
        if plain or not job_id:
            continue
        if rng.random() < 0.15:
            # The producer was not sure, or another uses the same id: at another priority, with other contents.
            other = rng.choice(_PRIORITIES)
            again = data if rng.random() < 0.5 else encode(_request(rng, job_id, feature, plain=False))
            publications.append(Publication(at + rng.expovariate(0.3), job_id, other, feature, again))
        if rng.random() < 0.2:
            cancellations.append(Cancellation(at + rng.expovariate(0.5), job_id))
    return Workload(sorted(publications), sorted(cancellations))


def _request(rng: random.Random, job_id: str, feature: str, *, plain: bool) -> dict[str, Any]:
    behave = "ok" if plain else rng.choices(list(_BEHAVIOUR), list(_BEHAVIOUR.values()))[0]
    inputs = {
        **_INPUTS.get(feature, {}),
        "behave": behave,
        "seconds": round(rng.uniform(3.0, 7.0) if behave == "slow" else rng.uniform(0.1, 2.0), 3),
        "files": rng.random() < 0.6,
    }
    if behave == "no_artifact":
        inputs["mesh_path"] = {"artifact": "sha256-gone"}
    request: dict[str, Any] = {
        "job_id": job_id,
        "inputs": inputs,
        "limits": {"start_to_close_s": 6.0, "load_s": 8.0},
        "retry": {"max_attempts": 4, "initial_s": 0.5, "factor": 2, "cap_s": 4},
    }
    model_mb = _MODEL_MB.get(feature, 1000)
    if not plain and rng.random() < 0.15:
        # It says that it needs more than the model; a few need more still, and find out by running out of memory.
        claimed = model_mb + rng.choice((500, 1500, 4000))
        request["vram_mb"] = claimed
        inputs["need_mb"] = claimed + (rng.choice((0, 0, 800)))
    if not plain and rng.random() < 0.15:
        request["limits"]["schedule_to_start_s"] = rng.choice((3.0, 10.0, 30.0))
    if not plain and rng.random() < 0.05:
        request["model_preference"] = rng.choice(("echo", "sculptor", "nobody-has-it"))
        request["limits"]["schedule_to_start_s"] = 20.0
    return request


def _vary(rng: random.Random, request: dict[str, Any]) -> None:
    """Some jobs name a variant, some run out of memory in one."""
    name = rng.choice((None, None, None, "512", "1024", "2048"))
    if name is not None and "vram_mb" not in request:
        request["variant"] = name
        # The fleet may have no such variant, or no device that is large enough, for as long as the run lasts.
        request["limits"].setdefault("schedule_to_start_s", 20.0)
    if rng.random() < 0.3:
        request["inputs"]["too_large"] = rng.choice((["1024"], ["512"], ["512", "1024"]))


def _refer(rng: random.Random, request: dict[str, Any], number: int, jobs: int) -> None:
    """Some jobs name the file of another: mostly of an earlier one, at times of a later one or of one that never is."""
    if rng.random() >= 0.5:
        return
    if number == 0 or rng.random() < 0.1:
        source = rng.choice((f"job{rng.randrange(number, jobs + 5)}", "nobody"))
    else:
        source = f"job{rng.randrange(number)}"
    if source != request["job_id"]:
        named = {"name": rng.choice(("out.glb", "out.glb", "other.glb"))} if rng.random() < 0.5 else {}
        request["inputs"][SOURCE_KEY] = {"result": source, **named}


def _repeat(rng: random.Random, request: dict[str, Any], feature: str, asked: dict[str, list[dict[str, Any]]]) -> None:
    """Some jobs ask for what an earlier one asked for, and take its result."""
    earlier = asked.setdefault(feature, [])
    if earlier and rng.random() < 0.3:
        request["inputs"] = rng.choice(earlier)
        request["cache"] = True
    else:
        earlier.append(request["inputs"])


def device(name: str, total_mb: int, *, measured: bool = False, cap: int | None = None) -> DeviceSpec:
    """A device of a simulated fleet: measured by a probe, or simulated in the product's own sense."""
    return DeviceSpec(
        id=name,
        kind="cuda",
        name=name,
        total_mb=total_mb,
        buffer_mb=1024 if measured else 0,
        simulated=not measured,
        visible=name if measured else "",
        max_running=cap,
    )


def fleet(rng: random.Random, agents: int, *, twins: bool) -> list[list[DeviceSpec]]:
    """The devices of so many agents, each with one or two; together they can run every model. Of twins either can,
    since the system listens to one of them only.
    """
    found = []
    for number in range(agents):
        sizes = [rng.choice((8000, 12_000, 16_000))] + ([rng.choice((6000, 9000))] if rng.random() < 0.4 else [])
        found.append(
            [
                device(f"dev-{number}-{place}", size, measured=rng.random() < 0.4, cap=rng.choice((None, None, 2)))
                for place, size in enumerate(sizes)
            ]
        )
    measured = rng.random() < 0.4
    for number in (0, 1) if twins else (0,):
        found[number][0] = device(f"dev-{number}-0", 16_000, measured=measured)
    return found
