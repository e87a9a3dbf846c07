"""NEEDS A SENTENCE: client."""

from .client import ApiRefused, Client, Connecting, DurableInUse, JobFailed, JobHandle, JobRefused, NoLeader, NotSetUp, QueueFull, WaitTimeout

__all__ = ['ApiRefused', 'Client', 'Connecting', 'DurableInUse', 'JobFailed', 'JobHandle', 'JobRefused', 'NoLeader', 'NotSetUp', 'QueueFull', 'WaitTimeout']
