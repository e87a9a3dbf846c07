"""The version of what is installed."""

from __future__ import annotations

#: Told where the package runs from a checkout without having been installed.
_UNINSTALLED = "0.1.0"


def version() -> str:
    """Of the installed distribution."""
    from importlib import metadata

    try:
        return metadata.version("pocket3d-studio")
    except metadata.PackageNotFoundError:
        return _UNINSTALLED
