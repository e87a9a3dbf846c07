"""The task pool of both services, under the name that the coordinator's modules import."""

from pocket3d.bus.tasks import TaskPool as TaskPool
