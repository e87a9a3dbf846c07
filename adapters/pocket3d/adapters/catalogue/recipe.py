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
    #: A commit; `main` where nobody knows which commit upstream's code was tried with. None means the same.
    revision: str | None = None
    #: Patterns of the files wanted, as `huggingface_hub.snapshot_download` takes them; empty for all.
    files: tuple[str, ...] = ()
    #: Download, MB (10^6 bytes). The built-in recipes state it, with its source in a comment.
    size_mb: int | None = None
    #: True if nobody read the size from the hub: the plan then says "about".
    estimated: bool = False


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file from a plain address: weights that are not on the hub, a program."""

    url: str
    #: Where it goes, relative to the model's folder.
    path: str
    #: Download, MB (10^6 bytes).
    size_mb: int
    #: Checked after the download; None where upstream states none.
    sha256: str | None = None
    estimated: bool = False
    #: A folder, relative to the model's, into which an archive (tar) is unpacked; it is removed then.
    unpack: str | None = None


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """One C++ source of upstream's that becomes a module by pybind11, beside the source.

    Upstream's own scripts take the file's suffix from the system's `python3-config`, which is another interpreter's;
    here the environment's own interpreter is asked. The recipe's packages must have pybind11.
    """

    #: Relative to the model's folder; the module's name is the file's.
    source: str


class SystemLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """A shared library that pip does not bring."""

    #: As the loader names it: `libGL.so.1`.
    soname: str
    #: The package of Debian and Ubuntu that has it.
    package: str
    #: The package of the recipe that loads it.
    used_by: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into an environment: of a whole recipe, or of one of its parts. `{root}` in texts stands for the
    model's folder.
    """

    #: Pip requirements with their dependencies. A line that begins with a dash is an option of pip.
    requirements: tuple[str, ...] = ()
    #: Packages that compile CUDA code, built without isolation: pip requirements, or folders below `{root}`.
    compiled: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    weights: tuple[Weights, ...] = ()
    files: tuple[File, ...] = ()
    #: Modules that must import in the finished environment, with its path and variables: the last step imports each
    #: and shows what the loader says; so does `adapters check`.
    modules: tuple[str, ...] = ()
    #: Folders on the import path of that check, beside the recipe's own `path`: checkouts whose code it imports.
    module_path: tuple[str, ...] = ()
    libraries: tuple[SystemLibrary, ...] = ()
    #: The least compute capability that its kernels run on, `8.0`; None where torch's build decides.
    least_capability: str | None = None
    #: Constructor arguments for `models.yaml`.
    config: dict[str, Any] = {}
    #: What only the person can do, one sentence each (accept terms, install a driver).
    notes: tuple[str, ...] = ()


class Part(Contents, frozen=True, kw_only=True):
    """What can be left out, and may fail without costing the rest: textures beside shapes.

    It is installed after all else, and keeps the versions that are there by then.
    """

    name: str
    #: Installed unless `--without` says otherwise; with false, where `--with` or an adapter asks for it.
    default: bool = True
    #: Ids of adapters that cannot do without it.
    needed_by: tuple[str, ...] = ()
    #: Constructor arguments of the adapters of `needed_by` alone.
    own_config: dict[str, Any] = {}
    #: Constructor arguments of adapters whose environment lacks it.
    without: dict[str, Any] = {}


class Recipe(Contents, frozen=True, kw_only=True):
    """The environment of one family of adapters. Folders are relative to the model's own folder."""

    #: Name of the environment; adapters of one family share it.
    name: str
    #: Interpreter versions the upstream code is known to work with, the best first.
    python: tuple[str, ...] = ("3.11", "3.10")
    #: Installed first and alone (torch decides about the CUDA build), in the order given: torch and torchvision at
    #: one version each, or next month's environment is another. A line that begins with a dash is an option of pip.
    torch: tuple[str, ...] = ()
    #: The CUDA version of that torch, `12.4`: nvcc is compared with it. None for a recipe without torch.
    cuda: str | None = None
    #: Folders on sys.path, and variables, for the `models.yaml` entry.
    path: tuple[str, ...] = ()
    env: dict[str, str] = {}
    parts: tuple[Part, ...] = ()
