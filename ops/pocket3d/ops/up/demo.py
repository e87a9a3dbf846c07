"""`pocket3d demo`: a whole system for a minute, real jobs through it, and meshes to look at."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pocket3d.bus.client import Client, JobHandle
from pocket3d.contracts.messages import Result

from ..progress_view import Form, follow_all, renderer
from ..result_remarks import made, remarks
from .gateway_port import usual_port
from .running import AgentPlan, default_agent_id
from .supervisor import NotReady, Supervisor, UpPlan

#: What is asked for when nothing else is.
PROMPTS = ("a red chair with four legs", "a round wooden table", "a small blue airplane")
#: A job that no agent takes within so many seconds ends with the reason.
_START_S = 120.0
_PHOTO_KINDS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_SLUG = re.compile(r"[^a-z0-9]+")

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoPlan:
    """What to show."""

    out: Path
    prompts: Sequence[str] = PROMPTS
    #: Photographs; none means those of the repository.
    photos: Sequence[Path] = ()
    devices: str = "auto"
    models: Path | None = None
    form: Form = "auto"
    #: For all jobs together, seconds.
    timeout_s: float = 600.0


class Request:
    """One job of the demo."""

    def __init__(self, feature: str, title: str, inputs: dict[str, Any], of: str | None = None) -> None:
        self.feature = feature
        self.title = title
        self.inputs = inputs
        #: Title of the job whose mesh it takes as `mesh_path`.
        self.of = of
        #: Its files are named by it, so a second demo into the same folder adds to those of the first.
        self.job_id = f"{_SLUG.sub('-', title.lower()).strip('-')[:40]}-{secrets.token_hex(3)}"


class DemoJob(NamedTuple):
    """One job and what became of it."""

    request: Request
    result: Result
    #: By the name of the artifact.
    files: dict[str, Path]

    def file(self, key: str) -> Path | None:
        """The file that the result names under a key, `output_mesh_path` or `thumbnail_path`."""
        return self.files.get(str((self.result.outputs or {}).get(key)))


def example_photos() -> list[Path]:
    """The photographs that lie in a checkout; none in an installed wheel."""
    for folder in Path(__file__).resolve().parents:
        photos = folder / "examples" / "photos"
        if photos.is_dir():
            return sorted(path for path in photos.iterdir() if path.suffix.lower() in _PHOTO_KINDS)
    return []


def requests_of(plan: DemoPlan) -> list[Request]:
    """The jobs to submit: each prompt, and each photograph."""
    photos = list(plan.photos) or example_photos()
    return [
        *(Request("text_to_mesh", prompt, {"text_prompt": prompt}) for prompt in plan.prompts),
        *(Request("image_to_mesh", photo.stem, {"image_path": photo}) for photo in photos),
    ]


def follow_ups_of(first: Sequence[DemoJob], served: frozenset[str]) -> list[Request]:
    """What to do with the meshes of the first jobs: one job for each further feature that somebody serves."""
    made = [each.request for each in first if each.file("output_mesh_path") is not None]
    if not made:
        return []
    of_text = [each for each in made if each.feature == "text_to_mesh"] or made
    first_text, last_text = of_text[0], of_text[-1]
    wanted = [
        Request(
            "text_to_texture",
            f"{first_text.title} in dark oak wood",
            {"text_prompt": "dark oak wood"},
            of=first_text.title,
        ),
        Request("mesh_segmentation", f"parts of {last_text.title}", {}, of=last_text.title),
        # What is inflated from a photograph is often too compact to have bones.
        Request("auto_rig", f"bones of {first_text.title}", {}, of=first_text.title),
    ]
    return [request for request in wanted if request.feature in served]


async def run_demo(
    plan: DemoPlan, say: Say, keep: Callable[[list[DemoJob], str], Awaitable[None]] | None = None
) -> list[DemoJob]:
    """Start everything, submit, follow, download, stop. Log and contact sheet in `out` are of the last run alone.

    With `keep` there is a gateway, too; before it is stopped that is awaited, with the jobs and the gateway's address.

    Raises:
        ServerError, ChildRefused: the system does not start; the message says what to do.
        NotReady: not in time.
        WaitTimeout: a job took longer than `timeout_s`.
        OSError: `out` cannot be written to.
    """
    requests = requests_of(plan)
    await asyncio.to_thread(plan.out.mkdir, parents=True, exist_ok=True)
    log_file = (plan.out / "demo.log").absolute()
    await asyncio.to_thread(log_file.write_bytes, b"")
    with tempfile.TemporaryDirectory(prefix="pocket3d-demo-") as store:
        up = UpPlan(
            store=Path(store),
            agent=AgentPlan(default_agent_id(), plan.devices, plan.models),
            port=0,
            gateway_port=None if keep is None else usual_port(),
            log_format="json",
            log_file=log_file,
        )
        say(f"starting a NATS server, a coordinator and an agent; their log: {log_file}")
        async with Supervisor(up) as supervisor:
            await supervisor.until_ready()
            say(f"ready at {supervisor.url}")
            async with Client.connect(supervisor.url, name="demo", wait_s=10.0, environ={}) as client:
                await _introduce(client, say)
                done = await _work(client, requests, plan, say)
                if keep is not None and supervisor.gateway_url is not None:
                    await keep(done, supervisor.gateway_url)
                return done


async def _introduce(client: Client, say: Say) -> None:
    for agent in (await client.agents()).agents:
        for device in agent.devices:
            say(f"agent {agent.agent_id} has {device.id}: {device.name}, {device.total_mb} MB")
        for offer in agent.adapters or []:
            if not offer.available:
                say(f"agent {agent.agent_id} cannot run {offer.adapter_id}: {offer.reason}")


async def _work(client: Client, requests: Sequence[Request], plan: DemoPlan, say: Say) -> list[DemoJob]:
    offered = await client.features()
    served = frozenset(each.feature for each in offered.features if any(a.available for a in each.adapters))
    for request in requests:
        if request.feature not in served:
            say(f"left out: {request.title}: no adapter here can run {request.feature}")
    requests = [request for request in requests if request.feature in served]
    if not requests:
        raise NotReady("no adapter here can run any of the demo's jobs; each says above what it lacks")
    first = await _run(client, requests, plan, {})
    if any(each.result.status != "succeeded" for each in first):
        # There is something to put right first.
        return first
    meshes = {each.request.title: each.file("output_mesh_path") for each in first}
    return first + await _run(client, follow_ups_of(first, served), plan, meshes)


async def _run(
    client: Client, requests: Sequence[Request], plan: DemoPlan, meshes: dict[str, Path | None]
) -> list[DemoJob]:
    jobs: list[JobHandle] = []
    for request in requests:
        inputs = request.inputs if request.of is None else {**request.inputs, "mesh_path": meshes[request.of]}
        limits = {"schedule_to_start_s": _START_S}
        metadata = {"label": request.title}
        jobs.append(
            await client.submit(request.feature, inputs, job_id=request.job_id, limits=limits, metadata=metadata)
        )
    names = {request.job_id: f"{request.feature}: {request.title}" for request in requests}
    async with renderer(plan.form, stream=sys.stdout, names=names) as show:
        results = await follow_all(jobs, show, plan.timeout_s)
    done = []
    for request, job, result in zip(requests, jobs, results, strict=True):
        files = await job.download(plan.out) if result.status == "succeeded" else []
        lifted = await asyncio.to_thread(_lift, files, plan.out / request.job_id, result)
        names_of = [artifact.name for artifact in result.artifacts] if files else []
        done.append(DemoJob(request, result, dict(zip(names_of, lifted, strict=True))))
    return done


def _lift(files: list[Path], folder: Path, result: Result) -> list[Path]:
    """A job's files out of its folder, named after the job; an OBJ, which names its materials, stays where it is."""
    mesh = (result.outputs or {}).get("output_mesh_path")
    if not files or any(path.suffix == ".obj" or path.parent != folder for path in files):
        return files
    lifted = []
    for artifact, path in zip(result.artifacts, files, strict=True):
        short = path.stem.rpartition("_")[2] if path.stem.startswith("generated_mesh_") else path.stem
        name = path.suffix if artifact.name == mesh else f".{short}{path.suffix}"
        lifted.append(path.replace(folder.with_name(folder.name + name)))
    folder.rmdir()
    return lifted


def make_contact_sheet(done: Sequence[DemoJob], out: Path) -> Path:
    """One picture with the thumbnails of all meshes.

    Raises:
        OSError: a picture cannot be read or the sheet not written.
    """
    # Where jobs make thumbnails there is Pillow, too; a command line without it has no demo.
    from pocket3d.adapters.mesh.contact_sheet import Tile, contact_sheet

    target = out / "contact-sheet.png"
    tiles = [
        Tile(
            each.request.title,
            f"{each.request.feature}, {each.result.adapter_id}",
            each.file("skeleton_preview_path") or each.file("thumbnail_path"),
        )
        for each in done
        if each.result.status == "succeeded"
    ]
    contact_sheet(tiles, target)
    return target


def report(done: Sequence[DemoJob]) -> list[str]:
    """Where each job ran, how long each stage took, and where its files are."""
    lines: list[str] = []
    for each in done:
        result, timings = each.result, each.result.timings
        lines.append(f"{each.request.feature}: {each.request.title}")
        if result.status != "succeeded":
            why = f"{result.error.code}: {result.error.message}" if result.error else "no reason given"
            lines.append(f"  {result.status}  {why}")
            continue
        lines.append(f"  ran on   {result.agent_id} {result.device} with {result.adapter_id}")
        lines.append(
            f"  took     {_s(timings.queued_s)} in the queue, {_s(timings.load_s)} loading, {_s(timings.run_s)} running"
        )
        lines += _made(result)
        lines += [f"  file     {path.absolute()} ({path.stat().st_size / 1000:.0f} kB)" for path in each.files.values()]
    return lines


def _made(result: Result) -> list[str]:
    what = made(result)
    return [*([f"  made     {what}"] if what else []), *(f"  {each}" for each in remarks(result))]


HOW_TO_LOOK = (
    "to look at a mesh: `pocket3d view FILE` writes a page that shows it in any browser, without a network;",
    "or open it in Blender (File > Import > glTF 2.0) or any other program that reads GLB",
)


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"
