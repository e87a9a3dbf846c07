"""Changing how a stream that stands takes messages in. `ensure` never does: who publishes as before is not heard there
any more, and a limit per subject deletes what is beyond it.
"""

from __future__ import annotations

from ..topology import StreamSpec
from .publisher import refusal
from .reader import Answer, Reader
from .widening import INTAKE


async def crowded(reader: Reader, stream: str, most: int) -> dict[str, int]:
    """Subjects that hold more than `most` messages, with their number.

    Raises:
        Refused: no such stream (10059), or another error.
    """
    return {subject: count for subject, count in (await reader.subjects(stream, ">")).items() if count > most}


async def switch(reader: Reader, spec: StreamSpec) -> None:
    """Have the server change the stream's intake as a whole; all else stays as it is.

    Raises:
        Refused: no such stream, or the server does not change it.
    """
    have, want = (await reader.info(spec.name)).config, spec.config()
    config = {**have, **{key: want[key] for key in INTAKE if key in want}}
    error = (await reader.api(f"STREAM.UPDATE.{spec.name}", config, Answer)).error
    if error is not None:
        raise refusal(error, f"switch stream {spec.name}")
