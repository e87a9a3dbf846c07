"""The environment of a model as a value that says what to fetch and install. Nothing here does it."""

from __future__ import annotations

from typing import Any

import msgspec


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A git repository at one revision."""

    url: str
    #: A commit, so that the same recipe gives the same code next year.
    revision: str
    #: Where it goes, relative to the model's folder.
    folder: str
    submodules: bool = False


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A model's weights from the Hugging Face hub."""

    #: `owner/name` on the hub.
    repository: str
    #: Where they go, relative to the model's folder.
    folder: str
    revision: str | None = None
    #: Patterns of the files wanted, as `huggingface_hub.snapshot_download` takes them; empty for all.
    files: tuple[str, ...] = ()
    #: Download, MB, as the hub states it; None where nobody looked.
    size_mb: int | None = None


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of one family of adapters. Folders are relative to the model's own folder."""

    #: Name of the environment; adapters of one family share it.
    name: str
    #: Interpreter versions the upstream code is known to work with, the best first.
    python: tuple[str, ...] = ("3.11", "3.10")
    #: Installed first and alone (torch decides about the CUDA build), in the order given: torch and torchvision at
    #: one version each, or next month's environment is another. A line that begins with a dash is an option of pip.
    torch: tuple[str, ...] = ()
    #: Pip requirements with their dependencies.
    requirements: tuple[str, ...] = ()
    #: Packages that compile CUDA code, built without isolation: pip requirements, or folders below `{root}`.
    compiled: tuple[str, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    weights: tuple[Weights, ...] = ()
    #: What goes into the `models.yaml` entry: folders on sys.path, variables, constructor arguments. `{root}` in them
    #: stands for the model's folder.
    path: tuple[str, ...] = ()
    env: dict[str, str] = {}
    config: dict[str, Any] = {}
    #: What only the person can do, one sentence each (accept terms, install a driver or a system package).
    notes: tuple[str, ...] = ()
