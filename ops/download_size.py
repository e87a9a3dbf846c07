"""Says what pip is about to download: reads `pip install --dry-run --report -` on stdin, asks each file's size.

Run by ops/install.sh with the new environment's Python; needs the standard library only.
"""

from __future__ import annotations

import concurrent.futures
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

_TIMEOUT_S = 10
#: What a person may want to know before it begins, bytes.
_MUCH = 1e9


def size_of(url: str) -> int | None:
    """Bytes of one file, or None if its server does not say."""
    parts = urllib.parse.urlsplit(url)
    try:
        if parts.scheme == "file":
            return Path(urllib.request.url2pathname(parts.path)).stat().st_size
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length")
            return int(length) if length else None
    except (OSError, ValueError):
        return None


def main() -> None:
    """Print one line.

    Raises:
        SystemExit: with 3 if it is more than a gigabyte.
    """
    report = json.load(sys.stdin)
    files = {
        item["metadata"]["name"]: item["download_info"]["url"]
        for item in report["install"]
        if "archive_info" in item["download_info"]
    }
    if not files:
        return
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        sizes = dict(zip(files, pool.map(size_of, files.values()), strict=True))
    known = {name: size for name, size in sizes.items() if size is not None}
    largest = sorted(known, key=lambda name: -known[name])[:3]
    parts = ", ".join(f"{name} {known[name] / 1e6:.0f} MB" for name in largest)
    unknown = len(sizes) - len(known)
    rest = f", and {unknown} of unknown size" if unknown else ""
    sys.stdout.write(
        f"to download (unless pip has it in its cache): {len(files)} packages, {sum(known.values()) / 1e6:.0f} MB{rest}"
        f" (largest: {parts})\n"
    )
    if sum(known.values()) > _MUCH:
        sys.exit(3)


if __name__ == "__main__":
    main()
