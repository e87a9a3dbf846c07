"""An echo that writes a file: what it made can be counted in the object store."""

from __future__ import annotations

from typing import Any

from pocket3d.adapters.echo import EchoAdapter


class WritingEcho(EchoAdapter):
    """As `echo`, with a file of a few hundred bytes named after its input `name`."""

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = await super()._process_request(inputs)
        path = self.output_dir / "made.txt"
        path.write_text(f"{inputs.get('name', '')}\n" * 10)
        return {**answer, "output_made_path": str(path)}
