"""Runs an adapter on one request as its worker does, in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.base import BaseModel


def run(model: BaseModel, folder: Path, context: RunContext | None = None, **inputs: Any) -> dict[str, Any]:
    """Load the model if it is not, and process the inputs; files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    token = current_run.set(context or RunContext(output_dir=folder))
    try:
        asyncio.run(model.load())
        made: dict[str, Any] = asyncio.run(model.process(inputs))
        return made
    finally:
        current_run.reset(token)
