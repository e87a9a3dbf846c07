"""An adapter's terms of use in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OWN = "Pocket3DStudio's own, no weights"
#: Of a cell in a list; `pocket3d adapters show` has the whole text.
_CELL_CHARS = 48


def licence_cells(terms: Mapping[str, Any] | None, source: str) -> tuple[str | None, str | None, str]:
    """For a list: commercial use, territory, licence of code and weights."""
    if terms is None:
        return None, None, _OWN if source == "built-in" else "not stated"
    code, weights = str(terms["code"]), terms.get("weights")
    texts = _cut(code) if weights in (None, code) else f"{_cut(code)}; weights {_cut(str(weights))}"
    asked = " (to be accepted)" if terms.get("requires_acceptance") else ""
    commercial = "yes" if terms.get("commercial_use", True) else "no"
    territory = terms.get("territory")
    return commercial, None if territory is None else _cut(str(territory)), texts + asked


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARS else f"{text[: _CELL_CHARS - 1]}…"


def licence_fields(terms: Mapping[str, Any] | None, source: str) -> list[tuple[str, Any]]:
    """The whole of it, a field a line."""
    if terms is None:
        return [("licence", _OWN if source == "built-in" else "not stated")]
    return [
        ("licence of the code", terms["code"]),
        ("licence of the weights", terms.get("weights") or "no weights"),
        ("commercial use", "yes" if terms.get("commercial_use", True) else "no"),
        ("territory", terms.get("territory") or "no restriction stated"),
        ("terms", terms.get("url")),
        ("to be accepted", "accept_license: true in models.yaml" if terms.get("requires_acceptance") else None),
    ]
