"""Which webhooks are taken, what is told to whom, how it is signed, and when it is tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest

from pocket3d.bus.names import kv_stream
from pocket3d.bus.topology import build
from pocket3d.contracts.messages import Result
from pocket3d.contracts.subjects import Subjects
from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.webhooks import (
    PAUSES_S,
    Webhook,
    WebhookOrder,
    after_failure,
    asks_for_served,
    buckets,
    check_order,
    check_url,
    consumer,
    consumers,
    headers_of,
    is_public,
    make_secret,
    message_of,
    secret_bytes,
    signature,
)

SECRET = make_secret(b"k" * 32)


def hook(**fields: Any) -> Webhook:
    plain: dict[str, Any] = {"webhook_id": "w", "url": "https://x.example/", "secret": SECRET}
    return Webhook(**{**plain, "tenant": "studio", "created_at": 100.0, **fields})


def result(**fields: Any) -> Result:
    return Result(**{"job_id": "j1", "feature": "echo", "status": "succeeded", "tenant": "studio"} | fields)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::93.184.215.14", True),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
    ],
)
def test_what_is_a_public_address(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://hooks.example/in?x=1", True),
        ("http://93.184.215.14:8080/", True),
        ("ftp://hooks.example/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://user:secret@hooks.example/", False),
        ("https://user@hooks.example/", False),
        ("https://hooks.example:1/", True),
        ("https://hooks.example:0/", False),
        ("https://hooks.example/".ljust(2000, "x"), True),
        ("https://hooks.example/".ljust(2001, "x"), False),
        ("https://hooks.example:99999/", False),
        ("https://hooks.example/a b", False),
        ("https://hooks.example/\r\nX: y", False),
        ("http://127.0.0.1/", False),
        ("http://localhost:8000/", False),
        ("http://[::1]/", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("nonsense", False),
    ],
)
def test_which_addresses_are_taken(url: str, taken: bool) -> None:
    if taken:
        check_url(url, private=False)
        return
    with pytest.raises(HttpError) as refused:
        check_url(url, private=False)
    assert (refused.value.code, refused.value.field) == (400, "url")


def test_a_setting_allows_private_addresses_and_an_order_is_checked() -> None:
    check_url("http://127.0.0.1:9/", private=True)
    for order, field in (
        (WebhookOrder(url="http://127.0.0.1/"), "url"),
        (WebhookOrder(url="https://x.example/", statuses=["running"]), "statuses"),
        (WebhookOrder(url="https://x.example/", statuses=[]), "statuses"),
        (WebhookOrder(url="https://x.example/", features=[]), "features"),
        (WebhookOrder(url="https://x.example/", secret="whsec_short"), "secret"),
        (WebhookOrder(url="https://x.example/", secret=base64.b64encode(b"k" * 32).decode()), "secret"),
    ):
        with pytest.raises(HttpError) as refused:
            check_order(order, private=False)
        assert refused.value.field == field


@pytest.mark.parametrize(("length", "taken"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_secret_has_24_to_64_bytes(length: int, taken: bool) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * length).decode()
    assert make_secret(b"k" * length) == secret
    if taken:
        assert secret_bytes(secret) == b"k" * length
        return
    with pytest.raises(HttpError, match="24 to 64 bytes") as refused:
        secret_bytes(secret)
    assert (refused.value.code, refused.value.field) == (400, "secret")


def test_a_secret_with_characters_that_are_no_base64_is_refused() -> None:
    """Decoders that leave them out and those that do not would sign with different keys."""
    with pytest.raises(HttpError, match="24 to 64 bytes"):
        secret_bytes(SECRET[:10] + "!" + SECRET[10:])


def test_webhooks_are_kept_as_all_other_values_are() -> None:
    subjects = Subjects()
    (plain,) = (each for each in build(subjects).streams if each.name == kv_stream(subjects.leader_bucket))
    hooks, due = buckets(subjects).streams
    shared = ("max_msgs_per_subject", "discard", "allow_direct", "allow_rollup", "deny_delete")
    for stream in (hooks, due):
        assert {name: getattr(stream, name) for name in shared} == {name: getattr(plain, name) for name in shared}
    assert hooks.max_age_s == 0, "a webhook stands until it is taken back"
    assert due.max_age_s > sum(PAUSES_S), "a delivery is not forgotten while it is tried"


def test_a_result_is_told_by_another_gateway_if_one_ends_with_it() -> None:
    subjects = Subjects()
    (spec,) = consumers(subjects).consumers
    shared = consumer(subjects)
    assert (spec.stream, spec.name, spec.filter_subject) == (shared.stream, shared.name, subjects.all_results())
    assert spec.ack_wait_s > GatewaySettings().webhook_timeout_s, "not while one still calls"


def test_a_feature_that_nobody_serves_is_refused_with_what_is_known() -> None:
    order = WebhookOrder(url="https://x.example/", features=["auto_rig", "image_to_mehs"])
    assert asks_for_served(order)
    with pytest.raises(
        HttpError, match=r"'image_to_mehs' is none of auto_rig, .*image_to_mesh, .*, voxel_to_mesh$"
    ) as no:
        check_order(order, private=False, served=["voxel_to_mesh", "auto_rig"])
    assert (no.value.code, no.value.field) == (400, "features")
    served = WebhookOrder(url="https://x.example/", features=["voxel_to_mesh", "image_to_raw_mesh"])
    check_order(served, private=False, served=["voxel_to_mesh"])
    assert not asks_for_served(WebhookOrder(url="https://x.example/", features=["echo", "image_to_raw_mesh"]))


def test_who_is_told_what() -> None:
    assert hook().wants(result(), 100.0)
    assert not hook().wants(result(), 99.0), "it ended before anybody asked"
    assert not hook().wants(result(tenant="lab"), 100.0)
    assert hook(tenant="*").wants(result(tenant="lab"), 100.0)
    assert not hook(features=["auto_rig"]).wants(result(), 100.0)
    assert hook(features=["image_to_raw_mesh"]).wants(result(feature="image_to_mesh"), 100.0), "an alias"
    assert hook(features=["image_to_mesh"]).wants(result(feature="image_to_raw_mesh"), 100.0)
    assert Webhook(webhook_id="w", url="u", secret=SECRET, tenant="studio").wants(result(), 0.0)
    assert not hook(statuses=["failed"]).wants(result(), 100.0)
    assert hook(statuses=["failed"], features=["echo"]).wants(result(status="failed"), 100.0)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    body = message_of(result(), "2026-11-28T04:22:49.878Z")
    assert msgspec.json.decode(body)["type"] == "job.succeeded"
    assert msgspec.json.decode(body)["data"]["job_id"] == "j1"
    headers = headers_of(hook(), "j1", 1_700_000_000, body)
    signed = b"msg_j1.1700000000." + body
    digest = hmac.new(b"k" * 32, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert headers["webhook-id"] == "msg_j1"
    # The example of the specification's reference libraries.
    known = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert known == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_pauses_grow_and_end() -> None:
    due = [after_failure("w", "j1", tries, 1000.0) for tries in range(1, 11)]
    assert [each.at - 1000.0 for each in due if each is not None] == list(PAUSES_S)
    assert due[9] is None, "the tenth failure is the last"
    assert 3 * 86_400 < sum(PAUSES_S) < 4 * 86_400
