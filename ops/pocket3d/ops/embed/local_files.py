"""Paths of this machine among a job's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket3d.contracts.jobs import is_file_key


def local(key: str, value: Any) -> Any:
    """Paths under file keys as `Path`, which the client uploads; references to artifacts stay."""
    if not is_file_key(key):
        return value
    if isinstance(value, (list, tuple)):
        return [local(key, each) for each in value]
    return Path(value).expanduser() if isinstance(value, str) else value


def with_files(outputs: Any, named: Mapping[str, str], is_path: bool = False) -> Any:
    """The outputs with local paths in the place of artifacts' names."""
    if isinstance(outputs, dict):
        return {key: with_files(value, named, is_file_key(key)) for key, value in outputs.items()}
    if isinstance(outputs, list):
        return [with_files(value, named, is_path) for value in outputs]
    return named.get(outputs, outputs) if is_path and isinstance(outputs, str) else outputs
