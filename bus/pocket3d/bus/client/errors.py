"""What a producer or subscriber must be ready for, beside the errors of the port."""

from __future__ import annotations

from pocket3d.contracts.chain_messages import ChainStatus
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.messages import Result, Status


class ClientError(Exception):
    """The client could not do what was asked."""


class JobRefused(ClientError):
    """The job is not one that the system would take; nothing was published."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.field}: {rejection.message}")
        self.code: FailureCode = rejection.code
        #: Dotted path of the input at fault, e.g. `inputs.image_path`.
        self.field = rejection.field
        self.message = rejection.message


class JobIdTaken(ClientError):
    """The id is that of another request; nothing was published."""

    def __init__(self, known: Status) -> None:
        since = f", submitted {known.submitted_at}" if known.submitted_at else ""
        super().__init__(
            f"job {known.job_id} is known with another request ({known.feature}: {known.status}{since}): "
            "take a new job id"
        )
        self.job_id = known.job_id
        #: Where the job of that id stands.
        self.status = known


class NotSetUp(ClientError):
    """No stream takes the job: the server has not the system's streams."""

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"no stream takes {subject}: is this the right server and namespace? "
            "`pocket3d topology` sets a server up, `pocket3d up` starts everything on this machine"
        )
        self.subject = subject


class JetStreamAway(ClientError):
    """The server is there, and its JetStream is off, without a leader or out of room; the text says what to do."""


class QueueFull(ClientError):
    """The jobs stream is at its limit; try again when jobs have finished."""


class NoLeader(ClientError):
    """No coordinator answers."""

    def __init__(self, subject: str, waited_s: float, why: str | None = None, *, standby: bool = False) -> None:
        running = "is one running? `pocket3d coordinator -s URL` starts one"
        takes_over = "none leads now, and one that stands by takes over within 15 s: try again"
        told = why or (takes_over if standby else running)
        super().__init__(f"no coordinator answered {subject} within {waited_s:g} s: {told}")
        self.subject = subject
        #: A coordinator is there that does not lead yet.
        self.standby = standby


class ApiRefused(ClientError):
    """The coordinator answered with an error."""

    def __init__(self, code: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        #: As in HTTP: 404 for an unknown job, 400 for a request of the wrong shape.
        self.code = code
        self.message = message
        self.field = field


class WaitTimeout(ClientError, TimeoutError):
    """The job had no result in time. It goes on; wait again, or cancel it."""

    def __init__(self, job_id: str, timeout_s: float, stands: str) -> None:
        super().__init__(f"job {job_id} has no result after {timeout_s:g} s; {stands}")
        self.job_id = job_id
        self.timeout_s = timeout_s


class JobFailed(ClientError):
    """There is nothing to download: the job did not succeed."""

    def __init__(self, result: Result) -> None:
        why = f": {result.error.code}: {result.error.message}" if result.error else ""
        super().__init__(f"job {result.job_id} {result.status}{why}")
        self.result = result


class ChainWaitTimeout(ClientError, TimeoutError):
    """The chain or group has not ended in time. It goes on; wait again, or cancel it."""

    def __init__(self, kind: str, name: str, timeout_s: float) -> None:
        super().__init__(f"{kind} {name} has not ended after {timeout_s:g} s")
        self.name = name
        self.timeout_s = timeout_s


class ChainFailed(ClientError):
    """The chain did not succeed; the files of the steps that did are there all the same."""

    def __init__(self, status: ChainStatus) -> None:
        failed = [step for step in status.steps if step.status == "failed"]
        why = "; ".join(f"{step.name} failed: {step.error.code}: {step.error.message}" for step in failed if step.error)
        super().__init__(f"chain {status.chain_id} {status.status}{f': {why}' if why else ''}")
        self.status = status


class DurableInUse(ClientError):
    """A durable consumer of that name stands there for something else."""
