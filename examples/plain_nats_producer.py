"""A producer with nothing but nats-py: a photograph in, a mesh out. None of Pocket3DStudio is imported.

    python examples/plain_nats_producer.py examples/photos/coffee.png

Every step is explained in docs/wire.md, and can be done in the same way with the NATS client of another language.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client as Connection
from nats.js.api import ObjectMeta
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError, ObjectNotFoundError


async def upload(js: JetStreamContext, file: Path) -> dict[str, str]:
    """Put a file into the inputs bucket; what an input names it by. An object is named by its digest."""
    data = file.read_bytes()
    name = f"sha256-{hashlib.sha256(data).hexdigest()}"
    bucket = await js.object_store("P3D_INPUTS")
    try:
        await bucket.get_info(name)
    except ObjectNotFoundError:
        await bucket.put(name, data, meta=ObjectMeta(name=name, headers={"filename": file.name}))
    return {"artifact": name, "filename": file.name}


async def publish(js: JetStreamContext, feature: str, job: dict[str, Any]) -> None:
    """Publish until the stream has acknowledged it. Under one job id this may be repeated: the job runs once."""
    body, headers = json.dumps(job).encode(), {"Nats-Msg-Id": job["job_id"]}
    for _ in range(20):
        try:
            await js.publish(f"p3d.jobs.normal.{feature}", body, headers=dict(headers), timeout=2)
            return
        except (asyncio.TimeoutError, nats.js.errors.NoStreamResponseError):
            await asyncio.sleep(0.5)  # the server restarts, or its leader changes
    raise TimeoutError(f"job {job['job_id']} could not be published")


async def wait_for_result(nc: Connection, js: JetStreamContext, job_id: str) -> dict[str, Any]:
    """The job's one result: pushed when it comes, looked up in the stream in case it came before or was missed."""
    subject = f"p3d.results.*.{job_id}"
    news = await nc.subscribe(subject)
    try:
        while True:
            try:
                stored = await js.get_last_msg("P3D_RESULTS", subject)
                result: dict[str, Any] = json.loads(stored.data or b"")
                return result
            except (NotFoundError, ValueError):
                pass  # not yet, or something that is no result and that the coordinator replaces
            try:
                await news.next_msg(timeout=5)
            except asyncio.TimeoutError:
                continue  # only the stream's copy counts; it is looked up again
    finally:
        await news.unsubscribe()


async def main(photo: Path) -> int:
    """Upload, publish, wait, download; the exit code."""
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    js = nc.jetstream()
    job_id = f"plain-{uuid.uuid4().hex[:12]}"
    image = await upload(js, photo)
    await publish(js, "image_to_mesh", {"job_id": job_id, "inputs": {"image_path": image}})
    print(f"job {job_id}")

    result = await wait_for_result(nc, js, job_id)
    if result["status"] != "succeeded":
        print(f"{result['status']}: {result['error']['code']}: {result['error']['message']}", file=sys.stderr)
        return 1
    folder = Path("out") / job_id
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in result["artifacts"]:
        bucket = await js.object_store(artifact["bucket"])
        # `name` was chosen on another machine: only its last part becomes a file here.
        path = folder / Path(artifact["name"]).name
        with path.open("wb") as file:
            await bucket.get(artifact["object"], writeinto=file)
        if hashlib.sha256(path.read_bytes()).hexdigest() != artifact["sha256"]:
            print(f"{path} is damaged", file=sys.stderr)
            return 1
        print(f"wrote {path}")
    await nc.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/photos/coffee.png"))))
