"""The client of producers and subscribers; what programs import from here stays where it is."""

from .client import (
    ApiRefused,
    Client,
    Connecting,
    DurableInUse,
    JetStreamAway,
    JobFailed,
    JobHandle,
    JobRefused,
    NoLeader,
    NotSetUp,
    QueueFull,
    WaitTimeout,
)

__all__ = [
    "ApiRefused",
    "Client",
    "Connecting",
    "DurableInUse",
    "JetStreamAway",
    "JobFailed",
    "JobHandle",
    "JobRefused",
    "NoLeader",
    "NotSetUp",
    "QueueFull",
    "WaitTimeout",
]
