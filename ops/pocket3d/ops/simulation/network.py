"""Messages between processes by way of the server: lost, late, twice, and in order only per connection and subject."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from pocket3d.bus.port import Conflict

from .clock import VirtualClock
from .faults import FaultProfile
from .process import Process

#: Takes the answer to a request.
Reply = Callable[[Any], None]
Handler = Callable[[Any, Reply | None], None]
OnConnection = Callable[[bool], None]

#: One way between a process and the server, seconds.
_LATENCY_S = (0.0002, 0.003)
#: Until a client library notices that its link is dead, and until it is connected again, seconds.
_NOTICE_S = (0.3, 6.0)
_RECONNECT_S = (0.05, 2.0)


class Unsent(NamedTuple):
    """There is no connection: certainly not sent."""


class NobodyListens(NamedTuple):
    """The server knows of no subscriber."""


class NoAnswer(NamedTuple):
    """It may have happened, and may still happen."""


class Refused(NamedTuple):
    """The server's expectation does not hold."""


#: What comes of an operation on the server: its value, or one of these.
Failure = Unsent | NobodyListens | NoAnswer | Refused


class Subscription:
    """One process listens on one subject."""

    __slots__ = ("closed", "handler", "life", "process", "subject")

    def __init__(self, process: Process, subject: str, handler: Handler) -> None:
        self.process = process
        self.life = process.life
        self.subject = subject
        self.handler = handler
        self.closed = False

    @property
    def open(self) -> bool:
        """True while the server would send to it."""
        process = self.process
        return not self.closed and process.alive and process.connected and process.life == self.life


class Network:
    """All links, with the server in the middle.

    Args:
        clock: virtual time.
        rng: chance.
        faults: what goes wrong until when.
    """

    def __init__(self, clock: VirtualClock, rng: random.Random, faults: FaultProfile) -> None:
        self.clock = clock
        self._rng = rng
        self._faults = faults
        self.server_up = True
        self._subscriptions: dict[str, list[Subscription]] = {}
        #: Per connection and subject: when its last message arrives, so that the next does not overtake it.
        self._last: dict[tuple[str, str, str], float] = {}
        self._connections: dict[str, tuple[Process, OnConnection]] = {}
        #: Processes that lose what is sent during their cut (others only get it late).
        self._lossy: set[str] = set()
        #: For scenarios: called with subject and request; True loses the answer.
        self.loses_answer: Callable[[str, Any], bool] = lambda subject, message: False

    # -- chance

    @property
    def faulty(self) -> bool:
        """True while things go wrong."""
        return self.clock.now < self._faults.until_s

    def _strikes(self, chance: float) -> bool:
        return self.faulty and self._rng.random() < chance

    def _delay(self) -> float:
        delay = self._rng.uniform(*_LATENCY_S)
        if self._strikes(self._faults.late):
            delay += self._rng.uniform(0.0, self._faults.late_s)
        return delay

    def _link_delay(self, process: Process) -> float | None:
        """Until the link carries again; None if what is sent now is lost."""
        if not process.alive:
            return None
        left = process.cut_until - self.clock.now
        if left <= 0:
            return 0.0
        return None if process.name in self._lossy else left

    # -- connections

    def attach(self, process: Process, on_connection: OnConnection) -> None:
        """A process connects. `on_connection` is called in it after each loss and each reconnect."""
        self._connections[process.name] = (process, on_connection)
        process.connected = self.server_up

    def cut(self, process: Process, seconds: float) -> None:
        """No packet gets through for so long."""
        process.cut_until = self.clock.now + seconds
        notice = self._rng.uniform(*_NOTICE_S)
        if notice < seconds:
            self._lossy.add(process.name)
            self.clock.later(notice, lambda: self._lose(process))
            self.clock.later(seconds, lambda: self._reconnect(process))
        else:
            self._lossy.discard(process.name)

    def stop_server(self, seconds: float) -> None:
        """The server goes down and comes back with all that it had stored."""
        self.server_up = False
        for process, _ in list(self._connections.values()):
            self._lose(process)
        self.clock.later(seconds, self._start_server)

    def _start_server(self) -> None:
        self.server_up = True
        for process, _ in list(self._connections.values()):
            self._reconnect(process)

    def _lose(self, process: Process) -> None:
        if not process.alive or not process.connected or process.name not in self._connections:
            return
        process.connected = False
        on_connection = self._connections[process.name][1]
        process.post(lambda: on_connection(False))

    def _reconnect(self, process: Process) -> None:
        life = process.life

        def connect() -> None:
            if not process.alive or process.life != life or process.connected:
                return
            if process.name not in self._connections:
                return
            if not self.server_up or self.clock.now < process.cut_until:
                # It goes on trying.
                self._reconnect(process)
                return
            process.connected = True
            on_connection = self._connections[process.name][1]
            process.post(lambda: on_connection(True))

        self.clock.later(self._rng.uniform(*_RECONNECT_S), connect)

    # -- core messages

    def subscribe(self, process: Process, subject: str, handler: Handler) -> Subscription:
        """Listen until closed or until the process ends; reconnects are survived."""
        subscription = Subscription(process, subject, handler)
        self._subscriptions.setdefault(subject, []).append(subscription)
        return subscription

    def _listeners(self, subject: str) -> list[Subscription]:
        all_of_them = self._subscriptions.get(subject, [])
        kept = [s for s in all_of_them if not s.closed and s.process.alive and s.process.life == s.life]
        self._subscriptions[subject] = kept
        return [s for s in kept if s.open]

    def publish(self, process: Process, subject: str, message: Any) -> None:
        """Send to whoever listens now. At most once, says NATS; here it may also come twice."""
        self._send(process, subject, message, None)
        if self._strikes(self._faults.duplicate):
            self._send(process, subject, message, None)

    def _send(self, process: Process, subject: str, message: Any, reply: Reply | None) -> bool:
        if not process.connected or not self.server_up:
            return False
        wait = self._link_delay(process)
        if wait is None or self._strikes(self._faults.lose):
            return True
        there = self._in_order(process.name, subject, "", self.clock.now + wait + self._delay())
        self.clock.later(there - self.clock.now, lambda: self._forward(process, subject, message, reply))
        return True

    def _forward(self, source: Process, subject: str, message: Any, reply: Reply | None) -> None:
        if not self.server_up:
            return
        for subscription in self._listeners(subject):
            process = subscription.process
            wait = self._link_delay(process)
            if wait is None:
                continue
            at = self._in_order(source.name, subject, process.name, self.clock.now + wait + self._delay())
            self.clock.later(at - self.clock.now, self._delivery(subscription, message, reply))

    def _delivery(self, subscription: Subscription, message: Any, reply: Reply | None) -> Callable[[], None]:
        process, life = subscription.process, subscription.life

        def hand_over() -> None:
            if not subscription.closed:
                subscription.handler(message, reply)

        def arrive() -> None:
            if process.alive and process.life == life and process.connected and not subscription.closed:
                process.post(hand_over)

        return arrive

    def _in_order(self, source: str, subject: str, target: str, at: float) -> float:
        key = (source, subject, target)
        at = max(at, self._last.get(key, 0.0) + 1e-9)
        self._last[key] = at
        return at

    def request(
        self, process: Process, subject: str, message: Any, timeout: float, done: Callable[[Any], None]
    ) -> None:
        """Ask and wait for one answer: `done` is called in the process with it or with a `Failure`."""
        once = self._once(process, timeout, done)
        if not process.connected:
            process.later(0.0, lambda: once(Unsent()))
            return
        if not self._listeners(subject):
            process.later(self._delay(), lambda: once(NobodyListens()))
            return

        lost = self.loses_answer(subject, message)

        def reply(answer: Any) -> None:
            # Called in the answering process: its way back is as unsafe as the way there.
            if self.server_up and not lost and not self._strikes(self._faults.lose):
                self._return(process, lambda: once(answer))

        self._send(process, subject, message, reply)

    def _return(self, process: Process, action: Callable[[], None]) -> None:
        wait = self._link_delay(process)
        if wait is not None and process.connected:
            self.clock.later(wait + self._delay(), lambda: _if_connected(process, action))

    def _once(self, process: Process, timeout: float, done: Callable[[Any], None]) -> Callable[[Any], None]:
        answered = False

        def once(answer: Any) -> None:
            nonlocal answered
            if not answered:
                answered = True
                done(answer)

        process.later(timeout, lambda: once(NoAnswer()))
        return once

    # -- the server's own operations

    def deliver(self, process: Process, life: int, arrive: Callable[[], None]) -> None:
        """A stored message on its way to a consumer: a stream's delivery is lost only with the connection."""
        wait = self._link_delay(process)
        if wait is None:
            return

        def come() -> None:
            if process.alive and process.life == life and process.connected:
                process.post(arrive)

        at = self._in_order("", "deliveries", process.name, self.clock.now + wait + self._delay())
        self.clock.later(at - self.clock.now, come)

    def call(
        self,
        process: Process,
        operation: Callable[[], Any],
        done: Callable[[Any], None],
        *,
        timeout: float = 5.0,
        writes: bool = False,
    ) -> None:
        """Have the server do something: `done` gets its value or a `Failure`. `operation` raises `Conflict`."""
        once = self._once(process, timeout, done)
        if not process.connected:
            process.later(0.0, lambda: once(Unsent()))
            return
        wait = self._link_delay(process)
        if wait is None or self._strikes(self._faults.lose):
            return
        delay = wait + self._delay()
        if writes and self._strikes(self._faults.very_late):
            delay += self._rng.uniform(0.0, self._faults.very_late_s)
        life = process.life

        def carry_out() -> None:
            if not self.server_up:
                return
            answer: Any
            try:
                if writes and self._strikes(self._faults.false_conflict):
                    raise Conflict("a rival is in process")
                answer = operation()
                if writes and self._strikes(self._faults.own_conflict):
                    # Sent twice by a connection that broke: what is answered is the second time's fate.
                    answer = Refused()
            except Conflict:
                answer = Refused()
            if process.life == life and not self._strikes(self._faults.lose):
                self._return(process, lambda: once(answer))

        self.clock.later(delay, carry_out)


def _if_connected(process: Process, action: Callable[[], None]) -> None:
    if process.connected:
        process.post(action)
