"""The places of UniRig's weights below one folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class WeightFiles(NamedTuple):
    """The files that a job reads."""

    skeleton: Path
    skin: Path
    #: Settings of the language model whose shape the skeleton's model takes.
    language_model: Path

    @classmethod
    def below(cls, folder: Path) -> WeightFiles:
        """Name the files below a folder as their page on the hub has them."""
        folder = folder.absolute()
        return cls(
            folder / "skeleton" / "articulation-xl_quantization_256" / "model.ckpt",
            folder / "skin" / "articulation-xl" / "model.ckpt",
            folder / "opt-350m" / "config.json",
        )
