"""Make a mesh of every photograph in a folder.

    python examples/batch.py examples/photos out/batch

All jobs are submitted at once: the fleet takes as many at a time as it has room for. A job's id is made of the
photograph's name and content, so running this again after an interruption, or with more photographs in the folder,
submits only what is new and fetches the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from pathlib import Path

from pocket3d.bus.client import Client

KINDS = {".jpg", ".jpeg", ".png", ".webp"}


async def one(client: Client, photo: Path, out: Path) -> str | None:
    """Run one photograph's job and fetch its files; what went wrong, or None."""
    digest = hashlib.sha256(await asyncio.to_thread(photo.read_bytes)).hexdigest()
    job_id = f"{re.sub('[^A-Za-z0-9]+', '-', photo.stem)[:40]}-{digest[:16]}"
    job = await client.submit("image_to_mesh", {"image_path": photo}, job_id=job_id, priority="low")
    result = await job.result()
    if result.error is not None:
        return f"{result.status}: {result.error.message}"
    for path in await job.download(out):
        print(f"{photo.name} -> {path}", flush=True)
    return None


async def main(folder: Path, out: Path) -> int:
    """All photographs; the exit code is 1 if one of them failed."""
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS)
    async with Client.connect() as client:
        problems = await asyncio.gather(*(one(client, photo, out) for photo in photos))
    failed = {photo.name: problem for photo, problem in zip(photos, problems, strict=True) if problem}
    for name, problem in failed.items():
        print(f"{name}: {problem}", file=sys.stderr)
    print(f"{len(photos) - len(failed)} of {len(photos)} made")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/batch.py FOLDER OUT")
    sys.exit(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]))))
