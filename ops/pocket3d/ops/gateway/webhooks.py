"""Results told to other programs by HTTP: who wants which, how a message is signed, when it is tried again. Pure.

Messages are those of Standard Webhooks 1.0 (standardwebhooks.com): the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, and a body of `type`, `timestamp` and `data`, which is the result as it is on the wire.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import msgspec

from pocket3d.bus.names import kv_stream, kv_subject
from pocket3d.bus.port import ConsumerName
from pocket3d.bus.stream_specs import ConsumerSpec, StreamSpec, Topology
from pocket3d.contracts.codec import encode
from pocket3d.contracts.features import KNOWN_FEATURES, canonical, is_built_in
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result
from pocket3d.contracts.subjects import Subjects

from .errors import HttpError

#: Pauses before the second, third, ... try, seconds; after the last one it is given up, 3 days and 3 hours after the
#: first. As Standard Webhooks recommends.
PAUSES_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
#: A delivery that nobody has ended is forgotten after this, seconds.
_DUE_AGE_S = 5 * 86_400.0
_SECRET = "whsec_"
_LONGEST_URL = 2000


class WebhookOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller registers."""

    url: str
    #: Of these features (or their aliases), null for all.
    features: list[str] | None = None
    #: That ended so, null for however they did.
    statuses: list[str] | None = None
    #: `whsec_` and base64 of 24 to 64 bytes; null: the gateway makes one.
    secret: str | None = None
    #: Of an admin: another tenant, or `*` for all.
    tenant: str | None = None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A registered webhook, as it is kept."""

    webhook_id: str
    url: str
    secret: str
    #: Whose results; `*` for all.
    tenant: str
    features: list[str] | None = None
    statuses: list[str] | None = None
    #: When the server stored it, Unix seconds; results of jobs that ended before are not told.
    created_at: float = 0.0

    def wants(self, result: Result, ended_at: float) -> bool:
        """True if that result is to be told."""
        return (
            self.tenant in ("*", result.tenant)
            and (self.features is None or canonical(result.feature) in map(canonical, self.features))
            and (self.statuses is None or result.status in self.statuses)
            and ended_at >= self.created_at
        )


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that has failed and is to be tried again."""

    webhook_id: str
    job_id: str
    #: Tries so far.
    tries: int
    #: When the next one is, or when whoever makes it now is given up, Unix seconds.
    at: float


def asks_for_served(order: WebhookOrder) -> bool:
    """True if an order names features that are none of the system's own: somebody of the fleet has to serve them."""
    return not all(is_built_in(feature) for feature in order.features or ())


def check_order(order: WebhookOrder, *, private: bool, served: Collection[str] = ()) -> None:
    """Whether an order can be taken. One by which nothing would ever be told is refused.

    Args:
        order: what is asked.
        private: addresses that are not public may be called.
        served: features that the fleet serves beside the system's own.

    Raises:
        HttpError: 400 with the field.
    """
    check_url(order.url, private=private)
    _check_names("features", order.features, {feature.name for feature in KNOWN_FEATURES} | set(served), canonical)
    _check_names("statuses", order.statuses, TERMINAL)
    if order.secret is not None:
        secret_bytes(order.secret)


def _check_names(
    field: str, names: list[str] | None, known: Collection[str], named: Callable[[str], str] = lambda name: name
) -> None:
    if names is None:
        return
    if not names:
        raise HttpError(400, "an empty list tells nothing; leave it out for all", field)
    unknown = sorted(name for name in names if named(name) not in known)
    if unknown:
        raise HttpError(400, f"{unknown[0][:40]!r} is none of {', '.join(sorted(known))}", field)


def check_url(url: str, *, private: bool) -> None:
    """Whether an address may be called; a name is looked up later, at each call.

    Raises:
        HttpError: 400
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HttpError(400, f"not a URL: {error}", "url") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or len(url) > _LONGEST_URL:
        raise HttpError(400, "want http://HOST/... or https://HOST/...", "url")
    if parts.username is not None or parts.password is not None:
        raise HttpError(400, "no user names and passwords; deliveries are signed", "url")
    if not url.isprintable() or any(each.isspace() for each in url):
        raise HttpError(400, "it holds blanks or control characters", "url")
    host = parts.hostname
    if not private and (host == "localhost" or (is_address(host) and not is_public(host))):
        why = "is no public address; the setting webhooks_private (POCKET3D_GATEWAY_WEBHOOKS_PRIVATE=true) allows it"
        raise HttpError(400, f"{host} {why}", "url")


def is_address(host: str) -> bool:
    """True for an IP address, false for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """True for an address of the open Internet: none of this machine, this network, or one that hides such a one."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        hidden = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if hidden is None and found in _NAT64:
            hidden = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(str(hidden))
    return found.is_global and not found.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def secret_bytes(secret: str) -> bytes:
    """The key in a secret.

    Raises:
        HttpError: 400
    """
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET) or not 24 <= len(key) <= 64:
        raise HttpError(400, f"want {_SECRET} and base64 of 24 to 64 bytes", "secret")
    return key


def make_secret(key: bytes) -> str:
    """The secret of a key."""
    return _SECRET + base64.b64encode(key).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: HMAC-SHA256 over id, time and body."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def message_of(result: Result, at: str) -> bytes:
    """The body that tells a result; `at` is when the job ended, RFC 3339."""
    return encode({"type": f"job.{result.status}", "timestamp": at, "data": result})


def headers_of(hook: Webhook, job_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Headers of one delivery; the id is the same at each try, so that a receiver knows a repetition."""
    message_id = f"msg_{job_id}"
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(hook.secret, message_id, timestamp, body),
    }


def after_failure(webhook_id: str, job_id: str, tries: int, now: float) -> Due | None:
    """What is due after that many failed tries; None: it is given up."""
    if tries > len(PAUSES_S):
        return None
    return Due(webhook_id=webhook_id, job_id=job_id, tries=tries, at=now + PAUSES_S[tries - 1])


def hooks_bucket(subjects: Subjects) -> str:
    """Where webhooks are kept."""
    return f"{subjects.namespace.upper()}_WEBHOOKS"


def due_bucket(subjects: Subjects) -> str:
    """Where deliveries are kept that failed."""
    return f"{subjects.namespace.upper()}_WEBHOOKS_DUE"


def consumer(subjects: Subjects) -> ConsumerName:
    """By which gateways learn of results; all of them share it."""
    return ConsumerName(subjects.results_stream, "gateway-webhooks")


def buckets(subjects: Subjects) -> Topology:
    """The buckets that webhooks need."""

    def bucket(name: str, description: str, max_age_s: float) -> StreamSpec:
        return StreamSpec(
            name=kv_stream(name),
            subjects=(kv_subject(name, ">"),),
            description=description,
            metadata={"pocket3d.namespace": subjects.namespace},
            max_msgs_per_subject=1,
            discard="new",
            allow_direct=True,
            allow_rollup=True,
            deny_delete=True,
            max_age_s=max_age_s,
        )

    return Topology(
        streams=(
            bucket(hooks_bucket(subjects), "Webhooks of the HTTP gateways, with their secrets", 0),
            bucket(due_bucket(subjects), "Deliveries of webhooks that are to be tried again", _DUE_AGE_S),
        )
    )


def consumers(subjects: Subjects) -> Topology:
    """The consumer; made where there are webhooks."""
    spec = ConsumerSpec(
        stream=subjects.results_stream,
        name=consumer(subjects).name,
        filter_subject=subjects.all_results(),
        description="Results that the HTTP gateways have still to tell",
        metadata={"pocket3d.namespace": subjects.namespace},
        ack_wait_s=60,
    )
    return Topology(consumers=(spec,))
