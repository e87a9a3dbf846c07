"""The client of producers and subscribers; what programs import from here stays where it is."""

from .chain_handle import ChainHandle, GroupHandle
from .client import Client, Connecting
from .errors import (
    ApiRefused,
    ChainFailed,
    ChainWaitTimeout,
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
    "ChainFailed",
    "ChainHandle",
    "ChainWaitTimeout",
    "Client",
    "Connecting",
    "DurableInUse",
    "GroupHandle",
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
