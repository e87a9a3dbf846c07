"""The contexts by which the nats CLI finds the system that `pocket3d up` runs: `pocket3d` and `pocket3d-sys`."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from pocket3d.bus.contexts import context_file, write_context
from pocket3d.bus.nats_server.config import SYSTEM_USER
from pocket3d.bus.nats_server.embedded import EmbeddedServer

log = structlog.get_logger(__name__)

#: How the description of a context of ours begins: only such a one is replaced.
OURS = "Pocket3DStudio (written by `pocket3d up`)"


def write_contexts(server: EmbeddedServer, environ: Mapping[str, str]) -> None:
    """Write both. Somebody's own context of such a name is left as it is, with a warning."""
    bodies = {
        "pocket3d": {"description": f"{OURS}: jobs, streams and services", "url": server.url},
        "pocket3d-sys": {
            "description": f"{OURS}: the server's own reports",
            "url": server.url,
            "user": SYSTEM_USER,
            "password": server.system_password,
        },
    }
    for name, body in bodies.items():
        file = str(context_file(name, environ))
        try:
            if write_context(name, body, environ, ours=OURS):
                log.info("a context for the nats CLI is written", context=name, file=file)
            else:
                log.warning("a context of that name is not ours, and is left as it is", context=name, file=file)
        except OSError as error:
            log.warning("a context for the nats CLI was not written", context=name, file=file, error=str(error))
