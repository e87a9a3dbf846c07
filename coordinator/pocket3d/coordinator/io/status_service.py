"""The micro service of each coordinator, whether it leads or stands by: who it is, and which of the two it does."""

from __future__ import annotations

from collections.abc import Callable

from pocket3d.bus.port import Endpoint, Msg, ServiceError, ServiceSpec
from pocket3d.contracts.api import CoordinatorStatus, EmptyRequest, endpoint_metadata
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.subjects import Subjects


def coordinator_service(subjects: Subjects, status: Callable[[], CoordinatorStatus]) -> ServiceSpec:
    """What to register on the bus.

    Args:
        subjects: names of the namespace.
        status: what is true now; discovery tells its role each time it is asked.
    """

    async def answer(msg: Msg) -> bytes:
        try:
            decode(EmptyRequest, msg.data or b"{}")
        except WireError as error:
            raise ServiceError(400, error.message, field=error.field) from error
        return encode(status())

    def metadata() -> dict[str, str]:
        now = status()
        return {"coordinator_id": now.coordinator_id, "role": now.role, "host": now.host, "pid": str(now.pid)}

    first = status()
    about = endpoint_metadata(
        f"whether {first.coordinator_id} leads", EmptyRequest, "api.empty.request", "coordinator.status"
    )
    subject = subjects.coordinator_control(first.coordinator_id, "status")
    return ServiceSpec(
        name=subjects.coordinator_service,
        version=first.version,
        description="A Pocket3DStudio coordinator; of several, one leads and the others stand by",
        endpoints=[Endpoint("status", subject, answer, about)],
        metadata=metadata,
    )
