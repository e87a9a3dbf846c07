"""What `pocket3d up` does: the embedded server here, a coordinator, an agent and a gateway as child processes.

    async with Supervisor(plan) as up:
        await up.until_ready()
        print(up.url)
        await up.until_failure()

Whatever dies is started again with back-off, the server on the same port and store. When this process ends, however it
ends, all of them end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.errors import ClientError
from pocket3d.bus.nats_server import embedded
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.nats_server.files import private_folder
from pocket3d.bus.port import BusError
from pocket3d.contracts.api import AgentList, EmptyRequest

from .child import KILL_S, Child, keep_server
from .ending import end_all
from .gateway_port import answers, free_port
from .nats_contexts import write_contexts
from .running import AgentPlan
from .server_health import problem_of, watch_health

log = structlog.get_logger(__name__)

#: How long a part may take to stop, seconds; then it is killed.
_STOP_S = 15.0
#: The same for our own tasks, and for the server.
_TASKS_S = 5.0
_SERVER_STOP_S = 10.0
#: All of it: the wait for readiness, three parts, the tasks, the server, and what else may be slow on a busy machine.
ENDS_WITHIN_S = 3 * (_STOP_S + KILL_S) + 2 * _TASKS_S + _SERVER_STOP_S + embedded.KILL_S + 15.0
#: With `up` one Ctrl-C ends a day's work: what runs is given so long, then it is handed back and goes on at the next
#: `up`. A setting of the agent all the same.
_DRAIN_S = 3.0
#: Between two requests for the leader and the agent, seconds.
_POLL_S = 0.1
#: An answer that takes longer is asked for again, seconds.
_ANSWER_S = 2.0


class NotReady(Exception):
    """The parts run, but jobs cannot be done yet; their log says why."""


@dataclass(frozen=True)
class UpPlan:
    """What is to run."""

    store: Path
    agent: AgentPlan
    #: For clients; 0 picks a free one.
    port: int = 4222
    #: Of the server's monitoring pages; 0 picks a free one, None for none.
    http_port: int | None = 0
    namespace: str = "p3d"
    #: Of the HTTP gateway; 0 picks a free one, None for no gateway.
    gateway_port: int | None = None
    #: Write contexts for the nats CLI.
    contexts: bool = False
    log_level: str = "info"
    log_format: str = "auto"
    #: Where the parts' log goes; None for our stderr.
    log_file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


class Supervisor:
    """Server, coordinator and agent of this machine. Use it with `async with`."""

    def __init__(self, plan: UpPlan) -> None:
        self.plan = plan
        self._server = EmbeddedServer(
            plan.store / "nats", port=plan.port, http_port=plan.http_port, stop_timeout=_SERVER_STOP_S
        )
        self._children: dict[str, Child] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._output = -1
        #: Where the gateway listens, None without one.
        self.gateway_url: str | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self._server.url

    async def __aenter__(self) -> Supervisor:
        """Start everything.

        Raises:
            ServerError: PortTaken, StoreInUse, ServerNotFound; the message says what to do.
        """
        await asyncio.to_thread(private_folder, self.plan.store)
        await self._server.start()
        try:
            if self.plan.contexts:
                await asyncio.to_thread(write_contexts, self._server, self.plan.environ)
            if self.plan.log_file is not None:
                self._output = os.open(self.plan.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.fchmod(self._output, 0o600)
            output = self._output if self._output >= 0 else sys.stderr.fileno()
            self._children = {
                part: Child(part, arguments, self._environ(), output) for part, arguments in self._commands().items()
            }
            self._tasks = [asyncio.ensure_future(child.keep()) for child in self._children.values()]
            self._tasks.append(asyncio.ensure_future(keep_server(self._server, lambda: self._stopping)))
            if self._server.http_port is not None:
                look = partial(problem_of, self._server.host, self._server.http_port)
                self._tasks.append(asyncio.ensure_future(watch_health(look, self._server.store)))
        except BaseException:
            await self._server.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, in the order in which each can still say goodbye to the next."""
        self._stopping = True
        for name in ("gateway", "agent", "coordinator"):
            if name in self._children:
                await self._children[name].stop(_STOP_S)
        await end_all(self._tasks, _TASKS_S)
        await asyncio.gather(*(task for task in self._tasks if task.done()), return_exceptions=True)
        await self._server.stop()
        if self._output >= 0:
            os.close(self._output)

    async def until_ready(self, timeout: float = 120.0) -> None:
        """Wait until a coordinator leads and this machine's agent is known to it.

        Raises:
            ChildRefused: a part does not start because of its configuration.
            NotReady: not within `timeout` seconds.
        """
        try:
            await self._unless_failed(asyncio.wait_for(self._poll_ready(), timeout))
        except asyncio.TimeoutError:
            raise NotReady(f"no coordinator led and no agent was known to it within {timeout:g} s") from None

    async def until_failure(self) -> None:
        """Wait for ever.

        Raises:
            ChildRefused: a part cannot be kept running.
        """
        await self._unless_failed(asyncio.Event().wait())

    async def _unless_failed(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            for each in self._tasks:
                if each.done():
                    each.result()
            await task
        finally:
            await end_all([task], _TASKS_S)
            if task.done() and not task.cancelled():
                # Told by whoever waited for it; asyncio must not warn that nobody did.
                task.exception()

    # -- the parts

    def _environ(self) -> dict[str, str]:
        """Ours, without the ways to other servers that it may name."""
        environ = {name: value for name, value in self.plan.environ.items() if not name.startswith("NATS_")}
        environ.setdefault("POCKET3D_AGENT_LEAVE_TIMEOUT_S", str(_DRAIN_S))
        return environ

    def _commands(self) -> dict[str, list[str]]:
        """What `pocket3d` is called with, by part."""
        plan, agent = self.plan, self.plan.agent
        shared = ["-s", self.url, "--namespace", plan.namespace]
        shared += ["--log-level", plan.log_level, "--log-format", plan.log_format]
        of_agent = ["--agent-id", agent.agent_id, "--devices", agent.devices]
        of_agent += ["--work-dir", str(agent.work_dir or plan.store / "agents" / agent.agent_id)]
        if agent.models is not None:
            of_agent += ["--models", str(agent.models)]
        if agent.memory_buffer is not None:
            of_agent += ["--memory-buffer", str(agent.memory_buffer)]
        for pair in agent.pairs:
            of_agent += ["--set", pair]
        commands = {"coordinator": ["coordinator", *shared], "agent": ["agent", *shared, *of_agent]}
        if plan.gateway_port is not None:
            port = plan.gateway_port or free_port()
            self.gateway_url = f"http://127.0.0.1:{port}"
            commands["gateway"] = ["gateway", *shared, "--listen", f"127.0.0.1:{port}"]
        return commands

    # -- readiness

    async def _poll_ready(self) -> None:
        """Ask the leader for its agents until ours, the one with the child's pid, is among them; then the gateway."""
        mine = self.plan.agent.agent_id
        async with Client.connect(self.url, self.plan.namespace, name="up", wait_s=30.0, environ={}) as client:
            while True:
                try:
                    agents = (await client.api("agents", EmptyRequest(), AgentList, _ANSWER_S)).agents
                except (BusError, ClientError, ValueError) as error:
                    log.debug("the system is not ready yet; asking again", error=str(error))
                else:
                    pid = self._children["agent"].pid
                    if pid is not None and any(each.agent_id == mine and each.pid == pid for each in agents):
                        break
                await asyncio.sleep(_POLL_S)
        while True:
            if self.gateway_url is None or await answers(self.gateway_url):
                return
            await asyncio.sleep(_POLL_S)
