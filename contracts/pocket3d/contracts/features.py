"""The features the system knows from the start: their required inputs and their other names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

FEATURE_PATTERN = re.compile(r"[a-z0-9_]{1,48}")


class Feature(NamedTuple):
    """One thing that can be asked for.

    `required` is a conjunction of alternatives: `(("image_path", "image_paths"),)` wants one of the two. `output` is
    the key of the outputs that names the file which was asked for; None where there need be none.
    """

    name: str
    required: tuple[tuple[str, ...], ...]
    aliases: tuple[str, ...] = ()
    output: str | None = "output_mesh_path"


_IMAGE = ("image_path", "image_paths")

KNOWN_FEATURES: tuple[Feature, ...] = (
    Feature("text_to_mesh", (("text_prompt",),), ("text_to_textured_mesh", "text_to_raw_mesh")),
    Feature("image_to_mesh", (_IMAGE,), ("image_to_textured_mesh", "image_to_raw_mesh")),
    Feature("image_to_splat", (_IMAGE,), output="output_splat_path"),
    Feature("multimodal_to_mesh", (("text_prompt", *_IMAGE),)),
    Feature("text_to_texture", (("mesh_path",), ("text_prompt",)), ("text_mesh_painting",)),
    Feature("image_to_texture", (("mesh_path",), _IMAGE), ("image_mesh_painting",)),
    Feature("mesh_segmentation", (("mesh_path",),)),
    Feature("auto_rig", (("mesh_path",),), ("auto_rigging",)),
    Feature("part_completion", (("mesh_path",),)),
    Feature("mesh_conversion", (("mesh_path",), ("output_format",))),
    Feature("mesh_retopology", (("mesh_path",),)),
    Feature("uv_unwrapping", (("mesh_path",),)),
    Feature("mesh_simplification", (("mesh_path",),)),
    Feature("echo", (), output=None),
)

_BY_NAME: dict[str, Feature] = {name: f for f in KNOWN_FEATURES for name in (f.name, *f.aliases)}


def canonical(feature: str) -> str:
    """The name under which adapters serve `feature`: aliases become their feature, other names stay."""
    known = _BY_NAME.get(feature)
    return known.name if known else feature


def is_built_in(feature: str) -> bool:
    """True if the feature or alias is in the table (others become known by being advertised)."""
    return feature in _BY_NAME


def required_inputs(feature: str) -> tuple[tuple[str, ...], ...]:
    """The alternatives that a job of this feature must give; empty for features outside the table."""
    known = _BY_NAME.get(feature)
    return known.required if known else ()


def output_key(feature: str) -> str | None:
    """The key of the outputs that names the file which was asked for; None for features outside the table, and where
    there need be none.
    """
    known = _BY_NAME.get(feature)
    return known.output if known else None


def missing_input(feature: str, inputs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The first unmet alternative, e.g. `("image_path", "image_paths")`, or None when all are met."""
    for alternatives in required_inputs(feature):
        if not any(inputs.get(key) not in (None, "", []) for key in alternatives):
            return alternatives
    return None
