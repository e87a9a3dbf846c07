"""Keeps webhooks, hears of results by a durable consumer, and delivers; what fails is kept and tried again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.kv import is_gone
from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import BusError, Closable, Conflict, Delivery, KvEntry
from pocket3d.contracts.api import EmptyRequest, FeatureList
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.messages import Result

from . import webhooks as rules
from .errors import HttpError
from .job_desk import JobDesk
from .settings import GatewaySettings
from .tokens import Caller
from .webhooks import Due, Webhook, WebhookOrder

log = structlog.get_logger("pocket3d.ops.gateway.webhooks")

#: Deliveries that are made side by side.
_AT_ONCE = 32
#: How often it is looked what is due, and for webhooks of other gateways, seconds.
_LOOK_S = 5.0
#: A webhook that was registered elsewhere is known here after this, seconds.
_KNOWN_S = 5.0
#: Who makes a try now has so long before another gateway makes it, seconds.
_CLAIM_S = 60.0


class Gone(Exception):
    """The receiver says that it wants no more (410)."""


class Sender(Protocol):
    """Makes one delivery."""

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """Returns when the receiver has taken it (2xx).

        Raises:
            Gone
            OSError, ValueError: it has not; the message says why.
        """


class WebhookDesk:
    """The webhooks of one namespace. Any number of gateways share them and the work."""

    def __init__(
        self,
        client: Client,
        jobs: JobDesk,
        settings: GatewaySettings,
        send: Sender,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._settings = settings
        self._send = send
        self._clock = clock
        self._hooks_bucket = rules.hooks_bucket(client.subjects)
        self._due_bucket = rules.due_bucket(client.subjects)
        self._hooks: dict[str, Webhook] = {}
        self._read_at = -_KNOWN_S
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._beginning = asyncio.Lock()
        self._consumption: Closable | None = None
        self._loop: asyncio.Task[None] | None = None
        self._made = False

    async def start(self) -> None:
        """Begin to deliver, once there are webhooks."""
        self._loop = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """Deliver no more; what was not delivered is found again."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._consumption is not None:
            await self._consumption.close()

    # -- callers

    async def register(self, caller: Caller, order: WebhookOrder) -> Webhook:
        """Keep a webhook; with its secret, which is not shown again.

        Raises:
            HttpError: 400 with the field, 403 another's tenant, 409 there are too many.
            NoLeader: it names a feature that is none of the system's own, and nobody says whether the fleet has it.
        """
        served: list[str] = []
        if rules.asks_for_served(order):
            found = await self._jobs.api("features", EmptyRequest(), FeatureList)
            served = [each.feature for each in found.features]
        rules.check_order(order, private=self._settings.webhooks_private, served=served)
        tenant = self._jobs.tenant_of(caller, order.tenant)
        await self._make_buckets()
        if len(await self._read_hooks()) >= self._settings.webhooks_max:
            raise HttpError(409, f"there are {self._settings.webhooks_max} webhooks already; remove some")
        hook = Webhook(
            webhook_id=secrets.token_hex(8),
            url=order.url,
            secret=order.secret or rules.make_secret(secrets.token_bytes(32)),
            tenant=tenant,
            features=order.features,
            statuses=order.statuses,
        )
        await self._client.bus.kv_put(self._hooks_bucket, hook.webhook_id, encode(hook))
        await self._read_hooks()
        await self._consume()
        log.info("webhook registered", webhook_id=hook.webhook_id, tenant=tenant)
        return hook

    async def registered(self, caller: Caller) -> list[Webhook]:
        """Those that a caller may see."""
        hooks = (await self._read_hooks()).values()
        return [hook for hook in hooks if caller.sees(hook.tenant)]

    async def remove(self, caller: Caller, webhook_id: str) -> None:
        """Deliver no more to it.

        Raises:
            HttpError: 404
        """
        hook = (await self._read_hooks()).get(webhook_id)
        if hook is None or not caller.sees(hook.tenant):
            raise HttpError(404, f"there is no webhook {webhook_id[:40]!r}", "webhook_id")
        await self._forget(hook, "removed")

    # -- results

    async def _on_results(self, batch: Sequence[Delivery]) -> None:
        await asyncio.gather(*(self._on_result(delivery) for delivery in batch))

    async def _on_result(self, delivery: Delivery) -> None:
        try:
            result = decode(Result, delivery.message.data)
        except WireError as error:
            log.warning("not a result, passed over", subject=delivery.message.subject, error=str(error))
        else:
            wanted = [hook for hook in (await self._known()).values() if hook.wants(result, delivery.message.time)]
            await asyncio.gather(*(self._first_try(hook, result, delivery.message.time) for hook in wanted))
        await self._client.bus.ack(rules.consumer(self._client.subjects), delivery.message.seq)

    async def _first_try(self, hook: Webhook, result: Result, ended_at: float) -> None:
        if not await self._deliver(hook, result, ended_at):
            await self._put_off(hook.webhook_id, result.job_id, 1, last=None)

    async def _deliver(self, hook: Webhook, result: Result, ended_at: float) -> bool:
        """One try; true if it needs no other."""
        body = rules.message_of(result, result.timings.finished_at or rfc3339(ended_at))
        headers = rules.headers_of(hook, result.job_id, int(self._clock()), body)
        async with self._room:
            try:
                await self._send(hook.url, headers, body)
            except Gone:
                await self._forget(hook, "its receiver says that it is gone (410)")
                return True
            except (OSError, ValueError) as error:
                log.info("not delivered", webhook_id=hook.webhook_id, job_id=result.job_id, error=str(error)[:200])
                return False
        log.info("delivered", webhook_id=hook.webhook_id, job_id=result.job_id)
        return True

    # -- what is due

    async def _put_off(self, webhook_id: str, job_id: str, tries: int, *, last: int | None) -> None:
        due = rules.after_failure(webhook_id, job_id, tries, self._clock())
        key = f"{webhook_id}.{job_id}"
        if due is None:
            log.warning("a delivery is given up", webhook_id=webhook_id, job_id=job_id, tries=tries)
            await self._client.bus.kv_delete(self._due_bucket, key)
        elif last is None:
            await self._client.bus.kv_put(self._due_bucket, key, encode(due))
        else:
            await self._client.bus.kv_update(self._due_bucket, key, encode(due), last=last)

    async def _keep(self) -> None:
        told = ""
        while True:
            try:
                if not self._made and self._hooks_bucket not in await self._missing():
                    self._made = True
                if self._made and await self._read_hooks():
                    await self._consume()
                    await self._try_due()
            except BusError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("webhooks wait", error=told)
            await asyncio.sleep(_LOOK_S)

    async def _missing(self) -> list[str]:
        names = await self._client.bus.missing(rules.buckets(self._client.subjects))
        return [name.removeprefix("KV_") for name in names]

    async def _try_due(self) -> None:
        now = self._clock()
        for entry in await self._client.bus.kv_entries(self._due_bucket):
            due = decode(Due, entry.value)
            if due.at <= now:
                await self._try_again(entry, due)

    async def _try_again(self, entry: KvEntry, due: Due) -> None:
        bus = self._client.bus
        hook = self._hooks.get(due.webhook_id)
        result = await self._jobs.result_now(due.job_id) if hook is not None else None
        if hook is None or result is None:
            await bus.kv_delete(self._due_bucket, entry.key)
            return
        claim = Due(webhook_id=due.webhook_id, job_id=due.job_id, tries=due.tries, at=self._clock() + _CLAIM_S)
        try:
            revision = await bus.kv_update(self._due_bucket, entry.key, encode(claim), last=entry.revision)
        except Conflict:
            # Another gateway makes this try.
            return
        if await self._deliver(hook, result, self._clock()):
            await bus.kv_delete(self._due_bucket, entry.key)
        else:
            await self._put_off(due.webhook_id, due.job_id, due.tries + 1, last=revision)

    # -- what is kept

    async def _make_buckets(self) -> None:
        if not self._made:
            await self._client.bus.ensure(rules.buckets(self._client.subjects))
            self._made = True

    async def _consume(self) -> None:
        async with self._beginning:
            if self._consumption is None:
                bus, subjects = self._client.bus, self._client.subjects
                await bus.ensure(rules.consumers(subjects))
                self._consumption = await bus.consume(rules.consumer(subjects), self._on_results, batch=_AT_ONCE)

    async def _known(self) -> dict[str, Webhook]:
        """As read some seconds ago at most."""
        if time.monotonic() - self._read_at > _KNOWN_S:
            await self._read_hooks()
        return self._hooks

    async def _read_hooks(self) -> dict[str, Webhook]:
        if not self._made:
            return {}
        # The messages behind the bucket, for the server's time of each.
        stream, pattern = kv_stream(self._hooks_bucket), kv_subject(self._hooks_bucket, ">")
        kept = await self._client.bus.pages(stream, pattern, start=1, limit=10 * self._settings.webhooks_max + 1000)
        hooks = (
            msgspec.structs.replace(decode(Webhook, stored.data), created_at=stored.time)
            for stored in kept
            if not is_gone(stored)
        )
        self._hooks = {hook.webhook_id: hook for hook in hooks}
        self._read_at = time.monotonic()
        return self._hooks

    async def _forget(self, hook: Webhook, why: str) -> None:
        log.info("webhook removed", webhook_id=hook.webhook_id, why=why)
        await self._client.bus.kv_delete(self._hooks_bucket, hook.webhook_id)
        self._hooks.pop(hook.webhook_id, None)
