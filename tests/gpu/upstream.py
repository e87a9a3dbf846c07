"""Upstream's own models with tiny random weights, behind our adapters, in a real worker on the card.

Whoever runs the suite says where their code is: `POCKET3D_MODELS_PYTHON` is an interpreter that has the packages (by
default the suite's own), `HUNYUAN3D_CHECKOUT`, `TRELLIS_CHECKOUT` and `PARTFIELD_CHECKOUT` are checkouts. What is not
there leaves its test out, with the reason. Large packages of which a model uses little have stand-ins, which are taken
only where the package itself does not import; the report names those that were taken.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pocket3d.adapters.kit.checked_process import CheckedWorker
from pocket3d.contracts.worker_frames import AdapterSpec, ModelLoaded, RunFailed, RunFinished

from .card import HERE, Card, environment, run_program

MODELS = HERE.parent / "models"
#: Threads that wait for each other in tiny products take ten times as long where other processes want the cores, and
#: spconv's CPU build adds up in several threads without a lock.
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
_IMPORT = """
import importlib, json, sys
told = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(told))
"""


class Upstream(NamedTuple):
    """What runs a model of upstream."""

    python: str
    #: Put before everything else on `sys.path`: a checkout, if there is one, and stand-ins.
    path: list[str]
    checkout: Path | None
    stand_ins: list[str]
    #: Tiny weights and what belongs to them.
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """For a process that runs upstream's code."""
        return {**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join([*self.path, environment()["PYTHONPATH"]])}

    def run(self, card: Card, *arguments: str, **more: str) -> list[str]:
        """Run a program of Python that sees the card; the lines that it printed."""
        ran = run_program([self.python, *arguments], card.uuid, 120, {**self.variables, **more})
        assert ran.returncode == 0, ran.stderr[-3000:]
        return ran.stdout.strip().splitlines()


def found(
    name: str,
    card: Card,
    folder: Path,
    modules: Sequence[str],
    stand_ins: Iterable[Path],
    *,
    checkout_needed: bool = False,
) -> Upstream:
    """Find upstream's code; the test is skipped, with the reason, where it is not there or does not import.

    `modules` must import; `stand_ins` are folders or files named as the modules in whose place they may stand.
    """
    variable = f"{name.upper()}_CHECKOUT"
    given = os.environ.get(variable)
    checkout = Path(given).expanduser().resolve() if given else None
    if checkout is None and checkout_needed:
        pytest.skip(f"{variable} names no checkout of {name}")
    python = os.environ.get("POCKET3D_MODELS_PYTHON", sys.executable)
    known = {each.stem: each for each in stand_ins}
    path = [] if checkout is None else [str(checkout)]
    bare = Upstream(python, path, checkout, [], folder)
    lacking = _not_importable(bare, card, known)
    links = folder / "stand_ins"
    links.mkdir(parents=True)
    for each in lacking:
        (links / known[each].name).symlink_to(known[each])
    upstream = bare._replace(path=[str(links), *path], stand_ins=sorted(lacking))
    refused = _not_importable(upstream, card, modules)
    if refused:
        module, why = next(iter(refused.items()))
        where = "" if checkout else f", and {variable} names no checkout"
        pytest.skip(f"{module} does not import in {python} ({why}){where}")
    return upstream


def _not_importable(upstream: Upstream, card: Card, modules: Iterable[str]) -> dict[str, str]:
    told: dict[str, str] = json.loads(upstream.run(card, "-c", _IMPORT, *modules)[-1])
    return told


class UpstreamWorker(CheckedWorker):
    """A worker that has a model of upstream."""

    def __init__(self, card: Card, upstream: Upstream, folder: Path, **more: str) -> None:
        super().__init__(upstream.python, environment(card.uuid, **upstream.variables, **more), folder)
        self._upstream = upstream
        self._kind = "cuda" if card.real else "cpu"

    def __enter__(self) -> UpstreamWorker:
        return self

    def loaded(self, class_path: str, config: dict[str, Any]) -> ModelLoaded:
        """Load an adapter."""
        spec = AdapterSpec(
            adapter_id="model",
            class_path=class_path,
            path=self._upstream.path,
            devices=["cuda", "cpu"],
            accept_license=True,
            config={"vram_requirement": 2048, **config},
        )
        answer = self.load(spec, self._kind, 2048, 120)
        assert isinstance(answer, ModelLoaded), answer
        return answer

    def made(self, run_id: str, feature: str, inputs: dict[str, Any]) -> tuple[RunFinished, bytes]:
        """Run a request to its good end; also the bytes of its mesh."""
        folder = self.run(run_id, feature, inputs)
        end = self.end(run_id, 120)
        assert isinstance(end, RunFinished), end
        fractions = [each.fraction for each in self.reports(run_id) if each.fraction is not None]
        assert fractions and fractions == sorted(fractions), "progress goes back"
        [mesh] = [each for each in folder.iterdir() if each.suffix == ".glb"]
        return end, mesh.read_bytes()

    def cancelled_at(self, run_id: str, feature: str, inputs: dict[str, Any], stage: str) -> float:
        """Cancel a request as soon as it tells of a stage; how long it took to end, seconds."""
        self.run(run_id, feature, inputs)
        self._until_stage(run_id, stage)
        began = time.monotonic()
        self.cancel(run_id)
        end = self.end(run_id, 60)
        took = time.monotonic() - began
        assert isinstance(end, RunFailed) and end.code == "cancelled", end
        assert end.unhealthy is None, end.unhealthy
        return round(took, 2)

    def _until_stage(self, run_id: str, stage: str) -> None:
        ends = time.monotonic() + 120
        while not any((each.stage or "").startswith(stage) for each in self.reports(run_id)):
            assert time.monotonic() < ends, f"it did not come to {stage!r}"
            ended = self.wait((RunFinished, RunFailed), 0.1, run_id)
            assert ended is None, ended


def picture(path: Path) -> dict[str, str]:
    """Inputs with an image whose background is transparent."""
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(image).ellipse((20, 10, 80, 85), fill="crimson")
    image.save(path)
    return {"image_path": str(path)}


def triangles(glb: bytes) -> int:
    """How many a mesh's file has."""
    import trimesh

    return len(trimesh.load_scene(io.BytesIO(glb), file_type="glb").to_mesh().faces)
