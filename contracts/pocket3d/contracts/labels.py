"""What people call a job: one short line for lists, made of what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .jobs import Job, is_file_key

#: A waiting job keeps its label in the coordinator's memory.
MAX_LABEL_CHARS = 60


def job_label(job: Job) -> str | None:
    """A job's label: `label` of its metadata, else its prompt, else the names of its files, else its first metadata.

    One line of at most `MAX_LABEL_CHARS` characters; None for a job that has none of these.
    """
    named = job.metadata.get("label")
    candidates = [named, job.inputs.get("text_prompt"), ", ".join(_files(job.inputs)), next(_pairs(job.metadata), None)]
    texts = (" ".join(each.split()) for each in candidates if isinstance(each, str))
    text = next((each for each in texts if each), None)
    if text is None or len(text) <= MAX_LABEL_CHARS:
        return text
    # Not by an ellipsis: it would double what each character of the text takes in memory.
    return f"{text[: MAX_LABEL_CHARS - 3]}..."


def _files(inputs: Mapping[str, Any]) -> Iterator[str]:
    for key, value in inputs.items():
        for each in value if isinstance(value, list) else [value]:
            if not is_file_key(key) or not isinstance(each, Mapping):
                continue
            if isinstance(each.get("filename"), str):
                yield each["filename"]
            elif isinstance(each.get("result"), str):
                yield f"of {each['result']}"


def _pairs(metadata: Mapping[str, Any]) -> Iterator[str]:
    return (f"{key}={value}" for key, value in metadata.items() if isinstance(value, (str, int, float)))
