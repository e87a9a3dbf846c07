"""An echo that writes a file: what it made can be counted in the object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.adapters.echo import EchoAdapter


class WritingEcho(EchoAdapter):
    """As `echo`, with a file of a few hundred bytes named after its input `name`."""

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = await super()._process_request(inputs)
        path = self.output_dir / "made.txt"
        path.write_text(f"{inputs.get('name', '')}\n" * 10)
        return {**answer, "output_made_path": str(path)}


class PassingEcho(EchoAdapter):
    """As `echo`, with a file that holds what the file `before_path` holds, if one is given, and its input `name`."""

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = await super()._process_request(inputs)
        before = Path(inputs["before_path"]).read_text() if "before_path" in inputs else ""
        path = self.output_dir / "made.txt"
        path.write_text(f"{before}{inputs['name']}\n")
        return {**answer, "output_made_path": str(path)}
