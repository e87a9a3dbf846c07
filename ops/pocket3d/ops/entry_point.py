"""The installed command `pocket3d`: the command line, or one sentence on what to install for it."""

from __future__ import annotations

import sys

from .exit_codes import Exit

#: Package that a command imports -> the extra that brings it.
_EXTRA_OF = {
    "click": "cli",
    "rich": "cli",
    "jsonschema": "cli",
    "referencing": "cli",
    "yaml": "services",
    "litestar": "gateway",
    "uvicorn": "gateway",
    "multipart": "gateway",
    "httpx": "gateway",
    "mcp": "mcp",
    "mcp_types": "mcp",
    "pydantic": "mcp",
}


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: always, with the command's exit code.
    """
    try:
        from .cli import main as command_line

        command_line()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = _EXTRA_OF.get(package)
        if extra is None:
            raise
        sys.stderr.write(
            f"error: this command needs the Python package {package}, which is not installed here: "
            f"in a checkout, pip install '.[{extra}]'\n"
        )
        sys.exit(int(Exit.USAGE))
