"""The steps that make a model's environment, as values, each with what it says of itself. Pure."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

from pocket3d.adapters.catalogue.recipe import Checkout, File, Weights


class MakeVenv(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A new virtual environment; what was there before is removed."""

    #: Absolute path of the interpreter.
    python: str
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        return f"{self.python} -m venv {self.folder}"


class CloneCode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A git repository at one revision."""

    checkout: Checkout
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        more = " with submodules" if self.checkout.submodules else ""
        return f"git clone {self.checkout.url} at {self.checkout.revision}{more} into {self.folder}"


class PipInstall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One call of the environment's pip."""

    requirements: tuple[str, ...]
    #: Built with what is in the environment (its torch) rather than with fresh build requirements.
    no_isolation: bool = False
    #: The versions that later calls keep: of what this call names, or of all that is installed after it.
    pins: Literal["named", "all"] | None = None
    #: Takes the versions of the recipe's lock.
    locked: bool = False
    #: Of a part of the recipe: keeps all that was installed before the parts.
    part: bool = False
    #: Variables while it builds.
    env: dict[str, str] = {}

    def arguments(self) -> list[str]:
        """What is given to `pip install`. A requirement that begins with a dash is an option with its value."""
        words = ["--no-build-isolation"] if self.no_isolation else []
        for each in self.requirements:
            words += shlex.split(each) if each.startswith("-") else [each]
        return words

    def says(self) -> str:
        """What it fetches or makes."""
        env = "".join(f"{name}={shlex.quote(value)} " for name, value in self.env.items())
        return f"{env}pip install {shlex.join(self.arguments())}"


class CompileExtension(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A module of one C++ source, for the environment's interpreter, beside the source."""

    source: str
    #: The environment's interpreter, which knows the file's suffix.
    python: str

    def says(self) -> str:
        """What it fetches or makes."""
        return f"c++ {self.source} by pybind11, for {self.python}"


class FetchWeights(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Weights from the Hugging Face hub, by the environment's own huggingface_hub, which goes on where it stopped."""

    weights: Weights
    folder: str

    def says(self) -> str:
        """What it fetches or makes."""
        what = f" ({', '.join(self.weights.files)})" if self.weights.files else ""
        at = f" at {self.weights.revision}" if self.weights.revision else ""
        size = size_text(self.weights.size_mb, self.weights.estimated)
        return f"https://huggingface.co/{self.weights.repository}{at}{what}, {size} into {self.folder}"


class FetchFile(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One file from a plain address."""

    file: File
    #: Absolute path of the file.
    target: str
    #: Absolute path of the folder into which it is unpacked.
    folder: str | None = None

    def says(self) -> str:
        """What it fetches or makes."""
        size = size_text(self.file.size_mb, self.file.estimated)
        where = f"to {self.target}" if self.folder is None else f"unpacked into {self.folder}"
        return f"{self.file.url}, {size} {where}"


class CheckImports(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Imports each module in the new environment, as a worker would, and shows what the loader says."""

    modules: tuple[str, ...]
    #: The environment's interpreter.
    python: str
    path: tuple[str, ...] = ()
    env: dict[str, str] = {}
    #: The CUDA version that torch must be built for.
    cuda: str | None = None
    #: Soname -> package of Debian that has it, for advice.
    libraries: dict[str, str] = {}

    def says(self) -> str:
        """What it does."""
        cuda = f", and expect torch to be built for CUDA {self.cuda}" if self.cuda and "torch" in self.modules else ""
        return f"import {', '.join(self.modules)} with {self.python}{cuda}"


Step = MakeVenv | CloneCode | PipInstall | CompileExtension | FetchWeights | FetchFile | CheckImports


def size_text(size_mb: int | None, estimated: bool) -> str:
    """A download's size for people."""
    if size_mb is None:
        return "size not stated"
    return f"about {size_mb} MB" if estimated else f"{size_mb} MB"
