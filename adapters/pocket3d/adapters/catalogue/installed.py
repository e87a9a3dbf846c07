"""Finds out which packages an adapter lacks in its interpreter."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable


def missing_packages(names: Iterable[str]) -> str | None:
    """In words which of these top-level modules are not installed and what to do, or None. Imports nothing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}; pip install 'pocket3d-studio[agent]'" if missing else None
