"""Chains that come with the system, by name."""

from __future__ import annotations

from importlib import resources

#: In the order of `pocket3d chain --list`.
NAMES = (
    "photo-to-textured-mesh",
    "photo-to-rigged-character",
    "text-to-textured-mesh",
    "text-to-rigged-character",
    "mesh-to-rigged-character",
)


def text_of(name: str) -> str:
    """The file of one of them.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in NAMES:
        raise KeyError(name)
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
