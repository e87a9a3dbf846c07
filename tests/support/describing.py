"""Adapters whose description goes wrong, one way each, and one that only prints."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from support.misbehaving import Harmless
else:
    # As a worker finds it, whose path has this very folder.
    from misbehaving import Harmless


class ExitingAdapter(Harmless):
    """Its constructor ends the script, as research code does."""

    def __init__(self) -> None:
        super().__init__()
        sys.exit("usage: ...")


class LackingAdapter(Harmless):
    def check_available(self) -> str | None:
        return "weights of 3 GB are missing;\n  run: pocket3d adapters install lacking"


class BadSchemaAdapter(Harmless):
    def get_parameter_schema(self) -> dict[str, Any] | None:
        return {"type": "object", "properties": {"x": {"default": object()}}}


class BadFeatureAdapter(Harmless):
    default_feature: ClassVar[str] = "Bad Feature"


class PrintingAdapter(Harmless):
    def __init__(self) -> None:
        super().__init__()
        for descriptor in (1, 2):
            os.write(descriptor, b'\x00\xff[{"adapter_id": "forged"}]')
