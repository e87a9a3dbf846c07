"""An adapter's terms of use in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def licence(terms: Mapping[str, Any] | None, source: str = "") -> str:
    """Code, weights, commercial use and territory in one line."""
    if terms is None:
        return "Pocket3DStudio's own, no weights" if source == "built-in" else "not stated"
    parts = [f"code {terms['code']}"]
    if terms.get("weights"):
        parts.append(f"weights {terms['weights']}")
    if not terms.get("commercial_use", True):
        parts.append("no commercial use")
    if terms.get("territory"):
        parts.append(str(terms["territory"]))
    if terms.get("requires_acceptance"):
        parts.append("must be accepted")
    return ", ".join(parts)


def licence_fields(terms: Mapping[str, Any] | None, source: str) -> list[tuple[str, Any]]:
    """The same, a field a line."""
    if terms is None:
        return [("licence", licence(None, source))]
    return [
        ("licence of the code", terms["code"]),
        ("licence of the weights", terms.get("weights") or "no weights"),
        ("commercial use", "yes" if terms.get("commercial_use", True) else "no"),
        ("territory", terms.get("territory") or "no restriction stated"),
        ("terms", terms.get("url")),
        ("to be accepted", "accept_license: true in models.yaml" if terms.get("requires_acceptance") else None),
    ]
