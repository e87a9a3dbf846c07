"""The client of producers and subscribers; what programs import from here stays where it is."""

from .client import Client, Connecting
from .errors import (
    ApiRefused,
    DurableInUse,
    JetStreamAway,
    JobFailed,
    JobIdTaken,
    JobRefused,
    NoLeader,
    NotSetUp,
    QueueFull,
    WaitTimeout,
)
from .handle import JobHandle

__all__ = [
    "ApiRefused",
    "Client",
    "Connecting",
    "DurableInUse",
    "JetStreamAway",
    "JobFailed",
    "JobHandle",
    "JobIdTaken",
    "JobRefused",
    "NoLeader",
    "NotSetUp",
    "QueueFull",
    "WaitTimeout",
]
