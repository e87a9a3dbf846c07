"""Changing how a stream that stands takes messages in. `ensure` never does: who publishes as before is not heard there
any more, and a limit per subject deletes what is beyond it.
"""

from __future__ import annotations

import msgspec

from ..topology import StreamSpec
from .publisher import refusal
from .reader import Answer, Reader
from .widening import INTAKE


class _Subjects(msgspec.Struct):
    #: Subject -> messages.
    subjects: dict[str, int] | None = None


class _SubjectsAnswer(Answer):
    """One page of STREAM.INFO with `subjects_filter`."""

    total: int = 0
    state: _Subjects = msgspec.field(default_factory=_Subjects)


async def crowded(reader: Reader, stream: str, most: int) -> dict[str, int]:
    """Subjects that hold more than `most` messages, with their number.

    Raises:
        Refused: no such stream (10059), or another error.
    """
    found: dict[str, int] = {}
    seen = 0
    while True:
        body = {"subjects_filter": ">", "offset": seen}
        page = await reader.ask(f"STREAM.INFO.{stream}", body, _SubjectsAnswer, f"stream {stream}")
        subjects = page.state.subjects or {}
        found |= {subject: count for subject, count in subjects.items() if count > most}
        seen += len(subjects)
        if not subjects or seen >= page.total:
            return found


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
