"""The agent's engine amid strangers: a world that answers it wrongly, commands of other coordinators over the wire's
codec and frames of workers over theirs, some of them spoilt. Its invariants are asked after each event.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import structlog

from pocket3d.contracts.codec import WireError, decode_union
from pocket3d.contracts.commands import AnyCommand
from pocket3d.contracts.worker_frames import FrameError, FrameReader
from pocket3d.gpu_agents.engine import events
from pocket3d.gpu_agents.io.worker_gateway import event_of
from support.agent_rig import EPOCH
from support.agent_world import AgentWorld

from . import frames, values

_STEPS = 150
#: What ends a run of the world's.
_ENDS = (events.RunFinished, events.RunFailed)


def story(dice: random.Random) -> None:
    """One story, until all is calm."""
    with structlog.testing.capture_logs():
        world = HostileWorld(dice)
        for _ in range(_STEPS):
            world.step()
        world.calm_down(leave=dice.random() < 0.5)


class HostileWorld(AgentWorld):
    """An `AgentWorld` in which others speak to the agent too.

    Args:
        dice: chooses all that happens.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        super().__init__(_drawn(dice))

    def step(self) -> None:
        """One thing happens, by choice."""
        how = self.dice.random()
        if how < 0.12:
            self.command()
        elif how < 0.24:
            self.frame()
        else:
            super().step()

    def command(self) -> None:
        """A command of anybody."""
        body = values.message(AnyCommand, self.dice, self.dice.choice((0.0, 0.05, 0.3)))
        if self.dice.random() < 0.7 and self.awards:
            self._put(body, "token", self.dice.choice(self.awards).token)
        try:
            command = decode_union(AnyCommand, values.as_json(body, self.dice))
        except WireError:
            return
        # A younger leader would end this world's own.
        self.rig.command(msgspec.structs.replace(command, epoch=min(command.epoch, EPOCH), incarnation=None))
        self._take_in()

    def frame(self) -> None:
        """A frame of some worker, perhaps about a run of another."""
        data = frames.written(self.dice, from_worker=True, spoil=self.dice.choice((0.0, 0.05)))
        try:
            (frame,) = FrameReader(from_worker=True).feed(data)
        except FrameError:
            return
        worker = self.dice.choice((*self.alive, "nobody"))
        if hasattr(frame, "run_id") and self.extras and self.dice.random() < 0.5:
            frame = msgspec.structs.replace(frame, run_id=self.dice.choice(list(self.extras)))
        event = event_of(worker, frame)
        if isinstance(event, _ENDS):
            self._end_run(event.token, event)
        elif isinstance(event, events.RunProgressed):
            self.tell(event)

    def _put(self, body: Any, name: str, value: str) -> None:
        if not isinstance(body, (dict, list)):
            return
        for key, each in body.items() if isinstance(body, dict) else enumerate(body):
            if key == name:
                body[key] = value
            else:
                self._put(each, name, value)


def _drawn(dice: random.Random) -> Iterator[int]:
    while True:
        yield dice.randrange(2**16)
