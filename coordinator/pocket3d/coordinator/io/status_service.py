"""The micro service of each coordinator, whether it leads or stands by: who it is, and which of the two it does."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from pocket3d.bus.port import Endpoint, Msg, ServiceError, ServiceSpec
from pocket3d.contracts.api import CoordinatorStatus, EmptyRequest, endpoint_metadata
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.subjects import Subjects


def coordinator_service(
    subjects: Subjects,
    coordinator_id: str,
    version: str,
    clock: Callable[[], Now],
    leads_what: Callable[[], tuple[int, int] | None],
) -> ServiceSpec:
    """What to register on the bus.

    Args:
        subjects: names of the namespace.
        coordinator_id: one subject token.
        version: of the program.
        clock: tells when it began.
        leads_what: epoch and number of unfinished jobs, None on standby; asked each time somebody asks.
    """
    started_at = rfc3339(clock().wall)

    def status() -> CoordinatorStatus:
        epoch, jobs = leads_what() or (None, None)
        return CoordinatorStatus(
            coordinator_id=coordinator_id,
            role="standby" if epoch is None else "leading",
            epoch=epoch,
            unfinished_jobs=jobs,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version,
            started_at=started_at,
        )

    async def answer(msg: Msg) -> bytes:
        try:
            decode(EmptyRequest, msg.data or b"{}")
        except WireError as error:
            raise ServiceError(400, error.message, field=error.field) from error
        return encode(status())

    def metadata() -> dict[str, str]:
        now = status()
        return {"coordinator_id": now.coordinator_id, "role": now.role, "host": now.host, "pid": str(now.pid)}

    about = endpoint_metadata(
        f"whether {coordinator_id} leads", EmptyRequest, "api.empty.request", "coordinator.status"
    )
    subject = subjects.coordinator_control(coordinator_id, "status")
    return ServiceSpec(
        name=subjects.coordinator_service,
        version=version,
        description="A Pocket3DStudio coordinator; of several, one leads and the others stand by",
        endpoints=[Endpoint("status", subject, answer, about)],
        metadata=metadata,
    )
