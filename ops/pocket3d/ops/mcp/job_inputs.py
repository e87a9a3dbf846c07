"""From the inputs that an agent gives to those that the client takes: names of files become files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pocket3d.contracts.jobs import is_file_key


def with_files(inputs: Mapping[str, Any], find: Callable[[str], Path]) -> dict[str, Any]:
    """Inputs in which a text under a key that ends in `_path` or `_paths` is a file of the folder.

    Args:
        inputs: as given. References to uploads and to results of jobs stay as they are.
        find: the file of that name; raises where there is none.
    """

    def place(value: Any) -> Any:
        if isinstance(value, str):
            return find(value)
        return [place(each) for each in value] if isinstance(value, list) else value

    return {key: place(value) if is_file_key(key) else value for key, value in inputs.items()}
