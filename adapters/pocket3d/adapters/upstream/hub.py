"""Finds the weights of a foreign system: in a folder, in the Hugging Face hub's cache, or on the hub itself."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w.-]+")


class Source(NamedTuple):
    """The places that an adapter's weights may come from."""

    #: A folder, a repository on the hub, or None for `repository`.
    model_path: str | Path | None
    #: Upstream's own place on the hub; its last part names their folder.
    repository: str
    #: For the hint how to get them.
    adapter_id: str
    #: Fetching from the hub is allowed.
    download: bool

    @property
    def name(self) -> str:
        """The folder or repository, as a person knows it."""
        return self.repository if self.model_path is None else str(self.model_path)

    @property
    def on_hub(self) -> bool:
        """True if it means a repository on the hub, and no folder."""
        return not isinstance(self.model_path, Path) and is_hub_id(self.name)

    def folders(self) -> list[Path]:
        """The folder itself, and that of the repository in a folder that holds several."""
        given = Path(self.name).expanduser().absolute()
        return [given, given / self.repository.rsplit("/", 1)[-1]]

    def hint(self) -> str:
        """Advice for a person whose weights are missing."""
        return (
            f"run: pocket3d adapters install {self.adapter_id} - or set model_path in models.yaml to their folder,"
            " or download: true"
        )


def is_hub_id(name: str) -> bool:
    """True if it means a repository on the hub, false if a folder."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def cached_file(repository: str, file: str) -> Path | None:
    """Find a repository's file in the hub's cache; None where it is not, or huggingface_hub is not installed."""
    if not _HUB_ID.fullmatch(repository) or importlib.util.find_spec("huggingface_hub") is None:
        return None
    found = importlib.import_module("huggingface_hub").try_to_load_from_cache(repository, file)
    return Path(found) if isinstance(found, str) else None
