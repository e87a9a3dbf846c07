"""Contexts of the nats CLI mean what they mean to the CLI, or are refused by name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.connect import ConnectError, ConnectOptions, resolve
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.port import Delivery, Disconnected, NoResponders
from pocket3d.bus.topology import build, coordinator_jobs
from pocket3d.contracts.subjects import Subjects
from support.nats_fixture import NatsProcess, free_port


class Contexts:
    """A folder of contexts, as `nats context add` leaves it."""

    def __init__(self, folder: Path) -> None:
        self.environ = {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
        self._folder = folder / "nats"
        (self._folder / "context").mkdir(parents=True)

    def add(self, name: str, **body: Any) -> None:
        every_key = {
            "description": "",
            "socks_proxy": "",
            "nsc": "",
            "windows_ca_certs_match": None,
            "tls_first": False,
        }
        (self._folder / "context" / f"{name}.json").write_text(json.dumps({**every_key, **body}))

    def select(self, name: str) -> None:
        (self._folder / "context.txt").write_text(name)

    def resolve(self, name: str | None = None, servers: str | None = None, **environ: str) -> ConnectOptions:
        return resolve(servers, context=name, environ={**self.environ, **environ})


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    return Contexts(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("socks_proxy", "socks5://127.0.0.1:1080"),
        ("nsc", "nsc://o/a/u"),
        ("user_jwt", "eyJ0"),
        ("user_seed", "SUAM"),
        ("windows_cert_store", "user"),
        ("windows_ca_certs_match", ["ours"]),
        ("of_a_later_version", "something"),
        ("creds", "op://vault/item/creds"),
        ("nkey", "env://SEED"),
        ("password", "data:;base64,eA=="),
    ],
)
def test_what_is_not_supported_is_refused_by_name(contexts: Contexts, key: str, value: Any) -> None:
    contexts.add("other", **{"url": "nats://a:1", key: value})
    with pytest.raises(ConnectError, match=f"'other'.*'{key}'"):
        contexts.resolve("other")


def test_a_secret_is_not_told_when_its_form_is_refused(contexts: Contexts) -> None:
    contexts.add("other", password="data:;base64,aHVudGVyMg==")
    with pytest.raises(ConnectError) as caught:
        contexts.resolve("other")
    assert "aHVudGVyMg" not in str(caught.value)


@pytest.mark.parametrize("variable", ["NATS_SOCKS_PROXY", "NATS_JWT", "NATS_SEED"])
def test_variables_of_the_cli_that_are_not_supported_are_refused(contexts: Contexts, variable: str) -> None:
    with pytest.raises(ConnectError, match=variable):
        contexts.resolve(**{variable: "x"})


def test_files_may_have_variables_and_a_scheme(contexts: Contexts) -> None:
    contexts.add("files", creds="$KEYS/${WHO}.creds", ca="file:///etc/ca.pem", cert="~/cert.pem", key="$NOBODY/key.pem")
    options = contexts.resolve("files", KEYS="/keys", WHO="me")
    assert (options.creds, options.tls_ca) == (Path("/keys/me.creds"), Path("/etc/ca.pem"))
    assert (options.tls_cert, options.tls_key) == (Path("~/cert.pem").expanduser(), Path("/key.pem"))


def test_of_several_identities_the_one_of_the_cli_counts(contexts: Contexts) -> None:
    contexts.add("user", user="u", password="p", creds="c.creds", nkey="n.nk", token="t")
    contexts.add("creds", creds="c.creds", nkey="n.nk")
    options = contexts.resolve("user")
    assert (options.user, options.password, options.creds, options.nkey, options.token) == ("u", "p", None, None, None)
    assert contexts.resolve("creds").auth_kind == "creds" and contexts.resolve("creds").nkey is None


def test_a_user_without_a_password_is_a_token(contexts: Contexts) -> None:
    options = contexts.resolve(NATS_USER="s3cret")
    assert (options.user, options.token) == (None, "s3cret")
    assert contexts.resolve(NATS_USER="u", NATS_PASSWORD="p").auth_kind == "user"


def test_the_environment_comes_before_the_context_that_it_names(contexts: Contexts) -> None:
    """As in the CLI."""
    contexts.add("fleet", url="nats://fleet:1", user="u", password="p")
    named = {"NATS_CONTEXT": "fleet"}
    assert contexts.resolve(**named, NATS_URL="nats://env:1").servers == ("nats://env:1",)
    assert contexts.resolve(**named, NATS_URL="nats://env:1").user == "u"
    assert contexts.resolve(servers="nats://typed:1", **named).user == "u"
    options = contexts.resolve(**named, NATS_CREDS="/c.creds")
    assert (options.auth_kind, options.user, options.password) == ("creds", None, None)


def test_a_typed_context_comes_before_the_environment(contexts: Contexts) -> None:
    """The first intended difference."""
    contexts.add("fleet", url="nats://fleet:1", user="u", password="p")
    options = contexts.resolve("fleet", NATS_URL="nats://env:1", NATS_CREDS="/c.creds", NATS_CONTEXT="nobody")
    assert (options.servers, options.auth_kind, options.creds) == (("nats://fleet:1",), "user", None)
    contexts.add("bare", url="nats://bare:1")
    assert contexts.resolve("bare", NATS_CREDS="/c.creds").auth_kind == "creds"


async def test_a_selected_context_is_told_and_not_used(contexts: Contexts) -> None:
    """The second intended difference."""
    contexts.add("p3d", url="nats://p3d:1")
    contexts.select("p3d")
    options = contexts.resolve()
    assert options.servers == ("nats://127.0.0.1:4222",) and options.selected_context == "p3d"
    nobody = ConnectOptions(servers=(f"nats://127.0.0.1:{free_port()}",), wait_s=0.2, selected_context="p3d")
    with pytest.raises(Disconnected, match=r"chose 'p3d'.*--context p3d"):
        await JetStreamBus.connect(nobody)
    for named in (contexts.resolve("p3d"), contexts.resolve(servers="nats://a:1"), contexts.resolve(NATS_URL="a:1")):
        assert named.selected_context is None


@pytest.fixture
def leaf(tmp_path: Path) -> Any:
    """A leaf node with a JetStream domain of its own, connected to a hub whose domain is `hub`."""
    port = free_port()
    servers = []
    for name, more in (
        ("hub", f'leafnodes {{ listen: "127.0.0.1:{port}" }}'),
        ("leaf", f'leafnodes {{ remotes = [ {{ url: "nats://127.0.0.1:{port}" }} ] }}'),
    ):
        folder = tmp_path / name
        folder.mkdir()
        more += f"\nserver_name: {name}"
        server = NatsProcess(folder, more_config=more)
        text = (folder / "nats.conf").read_text().replace("jetstream {", f"jetstream {{ domain: {name},")
        (folder / "nats.conf").write_text(text)
        server.start()
        servers.append(server)
    yield servers[1]
    for server in servers:
        server.stop()


async def test_a_domain_leads_to_the_jetstream_that_is_meant(contexts: Contexts, leaf: NatsProcess) -> None:
    subjects = Subjects("p3d")
    contexts.add("hub", url=leaf.url, jetstream_domain="hub")
    contexts.add("prefix", url=leaf.url, jetstream_api_prefix="$JS.hub.API")
    contexts.add("leaf", url=leaf.url)
    hub, prefix, own = [await JetStreamBus.connect(contexts.resolve(name)) for name in ("hub", "prefix", "leaf")]
    try:
        while True:  # until the leaf's connection to the hub stands
            try:
                await hub.ensure(build(subjects))
            except NoResponders:
                continue
            break
        # A stream, by its leader, and the same by the prefix that the domain stands for.
        seq = await hub.append(subjects.job("normal", "echo"), b"{}", headers={"Nats-Msg-Id": "a"})
        for bus in (hub, prefix):
            stored = await bus.get(subjects.jobs_stream, seq)
            assert stored is not None and stored.data == b"{}"
        # A bucket, a file and a consumer.
        assert await hub.kv_update(subjects.leader_bucket, "leader", b"me", last=0) == 1
        entry = await prefix.kv_get(subjects.leader_bucket, "leader")
        assert entry is not None and entry.value == b"me"
        await hub.put_object(subjects.inputs_bucket, "x", b"file" * 100_000)
        assert (
            await prefix.get_object(subjects.inputs_bucket, "x", Path(contexts.environ["HOME"]) / "x")
        ).size == 400_000
        consumer = coordinator_jobs(subjects, "normal")
        came: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        async def take(batch: Any) -> None:
            came.set_result(batch[0])

        consumption = await hub.consume(consumer, take)
        delivery = await asyncio.wait_for(came, 20)
        await hub.ack(consumer, delivery.message.seq)
        assert await hub.backlog(consumer) == 0
        await consumption.close()
        # Without the domain it is the leaf's own JetStream, which has none of it.
        assert "P3D" not in (await own.request("$JS.API.STREAM.NAMES", b"", timeout=5)).data.decode()
    finally:
        for bus in (hub, prefix, own):
            await bus.close()
