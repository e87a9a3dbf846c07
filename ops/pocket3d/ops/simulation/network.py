"""The wires between simulated processes and the server: what goes over them may be lost, late, or twice.

What the server does, it does outside of every process: a request that is on its way is carried out although its author
has given up, stands still or is dead.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any, TypeVar

from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import BusError, Conflict, Disconnected, OutcomeUnknown

from .loop import Life, VirtualLoop
from .shapes import FaultProfile

T = TypeVar("T")

#: Unix seconds at virtual 0.
WALL_AT_START = 1_795_000_000.0
#: Largest message that the server takes, bytes: small, so that limits are met.
MAX_PAYLOAD = 65_536
#: One way between a process and the server, seconds.
_LATENCY_S = (0.0002, 0.003)
#: Until both ends notice that a link is dead, and until a client is connected again, seconds.
_NOTICE_S = (0.3, 6.0)
_RECONNECT_S = (0.05, 2.0)


class ServerClock:
    """The memory server's clock: virtual time, outside of every process."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def time(self) -> float:
        """Unix seconds."""
        return WALL_AT_START + self._network.loop.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back when that time has come."""
        return self._network.later(when - self.time(), callback)


class Network:
    """All links, with the server in the middle."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, faults: FaultProfile) -> None:
        self.loop = loop
        self.rng = rng
        self.faults = faults
        self.server = MemoryServer(ServerClock(self), max_payload=MAX_PAYLOAD)
        self.server_up = True
        self.links: list[Link] = []
        #: Whose message the server is handing on now.
        self.sender = ""
        #: For scenarios: called with subject and body of a request; True loses its answer.
        self.loses_answer: Callable[[str, bytes], bool] = lambda subject, data: False
        #: For the oracle: hears subject and body of every core message that reaches the server.
        self.witness: Callable[[str, bytes], None] = lambda subject, data: None
        #: The context of what belongs to no process.
        self.outside = contextvars.Context()
        #: Per sender, subject and receiver: when the last message arrives, so that the next does not overtake it.
        self._last: dict[tuple[str, str, str], float] = {}

    def later(self, seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        """Have something happen outside of every process."""
        return self.loop.call_later(seconds, action, context=self.outside)

    # -- chance

    @property
    def faulty(self) -> bool:
        """True while things go wrong."""
        return self.loop.time() < self.faults.until_s

    def strikes(self, chance: float) -> bool:
        """True if something of that chance happens now."""
        return self.faulty and self.rng.random() < chance

    def loses(self) -> bool:
        """True if a message is lost."""
        return self.strikes(self.faults.lose)

    def delay(self) -> float:
        """Seconds for one way."""
        delay = self.rng.uniform(*_LATENCY_S)
        if self.strikes(self.faults.late):
            delay += self.rng.uniform(0.0, self.faults.late_s)
        return delay

    def write_delay(self) -> float:
        """Further seconds for a write: it may be carried out after its author gave up."""
        return self.rng.uniform(0.0, self.faults.very_late_s) if self.strikes(self.faults.very_late) else 0.0

    def in_order(self, sender: str, subject: str, receiver: str, at: float) -> float:
        """When a message arrives that would arrive at `at` if it were alone."""
        key = (sender, subject, receiver)
        at = self._last[key] = max(at, self._last.get(key, 0.0) + 1e-9)
        return at

    def guarded(self, operation: Callable[[], T]) -> Callable[[], T]:
        """A compare-and-set as a replicated server judges it: it may refuse because of a rival that is in process
        and fails itself, or because of the very same message that came a moment before.
        """

        def judged() -> T:
            if self.strikes(self.faults.false_conflict):
                raise Conflict("a rival is in process (10164)")
            answer = operation()
            if isinstance(answer, int) and self.strikes(self.faults.own_conflict):
                raise Conflict(f"wrong last sequence: {answer}, its own (10071)", last=answer)
            return answer

        return judged

    # -- the server

    def stop_server(self, seconds: float) -> None:
        """The server goes down and comes back with all that it had stored."""
        self.server_up = False
        for link in list(self.links):
            link.break_off()
        self.later(seconds, lambda: setattr(self, "server_up", True))


class Host:
    """Where a process runs, through all its lives: its place in the network."""

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.link: Link | None = None
        self._cut_until = 0.0
        self._no_store_until = 0.0
        #: What is sent during the present cut is lost; otherwise it only comes late.
        self._lossy = False

    @property
    def reachable(self) -> bool:
        """True while packets get through."""
        return self.network.loop.time() >= self._cut_until

    @property
    def stores(self) -> bool:
        """False while only core messages pass, and JetStream does not: at a leaf node, or with too few permissions."""
        return self.network.loop.time() >= self._no_store_until

    def deny_store(self, seconds: float) -> None:
        """Nothing of JetStream passes for so long."""
        self._no_store_until = self.network.loop.time() + seconds

    def cut(self, seconds: float) -> None:
        """No packet gets through for so long."""
        network = self.network
        self._cut_until = network.loop.time() + seconds
        notice = network.rng.uniform(*_NOTICE_S)
        self._lossy = notice < seconds
        link = self.link
        if self._lossy and link is not None:
            network.later(notice, link.break_off)

    def wait(self) -> float | None:
        """Until the wire carries again; None if what is sent now is lost."""
        left = self._cut_until - self.network.loop.time()
        if left <= 0:
            return 0.0
        return None if self._lossy else left


class Link:
    """The connection of one life of a process."""

    def __init__(self, host: Host, life: Life) -> None:
        self.network = host.network
        self.name = host.name
        self.life = life
        self._host = host
        self.callbacks: list[Callable[[bool], None]] = []
        #: What the client library believes.
        self.connected = self._can_connect()
        #: Whether the server has this connection.
        self._open = self.connected
        self._pending: dict[asyncio.Future[Any], None] = {}
        host.link = self
        self.network.links.append(self)
        if not self.connected:
            self._connect_later()

    @property
    def open(self) -> bool:
        """True while the server would send to it."""
        return self._open and self.life.alive

    @property
    def stores(self) -> bool:
        """True while JetStream answers over it."""
        return self._host.stores

    # -- the connection

    def _can_connect(self) -> bool:
        return self.network.server_up and self._host.reachable

    def break_off(self) -> None:
        """Both ends notice that it is dead."""
        if self.open:
            self._open = False
            self.life.soon(self._lost)

    def _lost(self) -> None:
        self.connected = False
        for future in list(self._pending):
            refuse(future, OutcomeUnknown("the connection broke before an answer came"))
        self._tell()
        self._connect_later()

    def _connect_later(self) -> None:
        wait = self.network.rng.uniform(*_RECONNECT_S)
        self.network.loop.call_later(wait, self._connect, context=self.life.context)

    def _connect(self) -> None:
        if not self.life.alive:
            return
        if not self._can_connect():
            self._connect_later()
            return
        self._open = self.connected = True
        self._tell()

    def _tell(self) -> None:
        for callback in list(self.callbacks) if self.life.alive else ():
            callback(self.connected)

    def close(self) -> None:
        """Nothing goes over it any more; the server sees it at once."""
        self._open = self.connected = False
        if self in self.network.links:
            self.network.links.remove(self)

    # -- what goes over it

    def _delay(self, sender: str, subject: str | None, receiver: str, extra_s: float = 0.0) -> float | None:
        """Seconds until what is sent now arrives, None if it is lost. Messages on one subject stay in order."""
        wait = self._host.wait()
        if not self.open or wait is None:
            return None
        delay = wait + self.network.delay() + extra_s
        if subject is None:
            return delay
        now = self.network.loop.time()
        return self.network.in_order(sender, subject, receiver, now + delay) - now

    def there(self, action: Callable[[], object], *, extra_s: float = 0.0, subject: str | None = None) -> None:
        """Have the server do something, unless it is lost on the way."""
        delay = self._delay(self.name, subject, "", extra_s)
        if delay is not None:
            self.network.later(delay, lambda: self.network.server_up and action())

    def back(self, action: Callable[..., object], *args: Any, subject: str | None = None, sender: str = "") -> None:
        """The server sends something: done in the process when it arrives there."""
        delay = self._delay(sender, subject, self.name)

        def arrive() -> None:
            if self.open:
                self.life.soon(action, *args)

        if delay is not None:
            self.network.later(delay, arrive)

    async def ask(self, operation: Callable[[], T], timeout: float, *, sure: bool = False, extra_s: float = 0.0) -> T:
        """Have the server do something and wait for its answer.

        What `operation` returns or raises on the server is the answer. With `sure` neither it nor its answer is lost
        but with the connection; it is carried out `extra_s` seconds later.

        Raises:
            Disconnected, OutcomeUnknown, and what the operation raises.
        """

        def carry_out() -> None:
            tell: Callable[[asyncio.Future[Any], Any], None] = settle
            try:
                answer: Any = operation()
            except (BusError, KeyError) as error:
                answer, tell = error, refuse
            if sure or not self.network.loses():
                self.back(tell, future, answer)

        future = self.pending()
        if sure or not self.network.loses():
            self.there(carry_out, extra_s=extra_s)
        outcome: T = await self.outcome(future, timeout)
        return outcome

    def pending(self) -> asyncio.Future[Any]:
        """What an answer will be told to.

        Raises:
            Disconnected: there is no connection, so nothing is to be sent.
        """
        if not self.connected:
            raise Disconnected("not connected to NATS")
        return self.network.loop.create_future()

    async def outcome(self, future: asyncio.Future[Any], timeout: float) -> Any:
        """The answer.

        Raises:
            OutcomeUnknown: none came in time, or the connection broke; and what was answered as an error.
        """
        self._pending[future] = None
        late = OutcomeUnknown(f"no answer within {timeout:g} s")
        timer = self.network.loop.call_later(timeout, refuse, future, late)
        try:
            return await future
        finally:
            timer.cancel()
            self._pending.pop(future)


def settle(future: asyncio.Future[Any], answer: Any) -> None:
    """The answer has come, unless it is too late."""
    if not future.done():
        future.set_result(answer)


def refuse(future: asyncio.Future[Any], error: Exception) -> None:
    """An error is the answer, unless it is too late."""
    if not future.done():
        future.set_exception(error)
