"""Options as the nats CLI finds them; secrets stay inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nkeys
import pytest

from pocket3d.bus.connect import ConnectError, ConnectOptions, resolve


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "config" / "nats" / "context"
    folder.mkdir(parents=True)
    body: dict[str, Any] = {
        "description": "the fleet",
        "url": "tls://a:4222, tls://b:4222",
        "creds": "~/fleet.creds",
        "ca": "/etc/ca.pem",
        "tls_first": True,
        "inbox_prefix": "_INBOX_ops",
        "jetstream_domain": "",
        "color_scheme": "",
    }
    (folder / "fleet.json").write_text(json.dumps(body))
    (folder / "broken.json").write_text("{")
    (folder / "list.json").write_text("[]")
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}


def test_nothing_given(environ: dict[str, str]) -> None:
    assert resolve(environ=environ).servers == ("nats://127.0.0.1:4222",)


def test_a_context(environ: dict[str, str]) -> None:
    options = resolve(context="fleet", environ=environ)
    assert options.servers == ("tls://a:4222", "tls://b:4222")
    assert options.creds == Path("~/fleet.creds").expanduser()
    assert options.tls_ca == Path("/etc/ca.pem")
    assert options.tls_first is True
    assert options.inbox_prefix == "_INBOX_ops"
    assert resolve(environ={**environ, "NATS_CONTEXT": "fleet"}) == options


def test_a_context_in_the_home_folder(environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "home.json").write_text('{"url": "nats://h:1"}')
    assert resolve(context="home", environ={"HOME": str(tmp_path)}).servers == ("nats://h:1",)


def test_arguments_win_over_context_and_environment(environ: dict[str, str]) -> None:
    environ |= {"NATS_URL": "nats://env:1", "NATS_USER": "envuser", "NATS_PASSWORD": "envpass"}
    assert resolve(environ=environ).servers == ("nats://env:1",)
    assert resolve("x:1,nats://y:2", environ=environ).servers == ("nats://x:1", "nats://y:2")
    options = resolve(context="fleet", environ=environ, user="me", password=None)
    assert options.servers == ("tls://a:4222", "tls://b:4222")
    assert (options.user, options.password) == ("me", "envpass")
    assert resolve(["nats://z:1"], context="fleet", environ=environ).servers == ("nats://z:1",)


@pytest.mark.parametrize("name", ["nobody", "broken", "list", "../fleet"])
def test_a_context_that_cannot_be_read_is_named(environ: dict[str, str], name: str) -> None:
    with pytest.raises(ConnectError, match=name.replace(".", r"\.")):
        resolve(context=name, environ=environ)


def test_an_unknown_context_lists_the_known(environ: dict[str, str]) -> None:
    with pytest.raises(ConnectError, match="fleet"):
        resolve(context="fleeet", environ=environ)


def test_secrets_are_never_shown() -> None:
    options = ConnectOptions(
        servers=("nats://user:hunter2@a:4222", "nats://tokentoken@b:4222"), password="hunter2", token="tokentoken"
    )
    for text in (repr(options), str(options), f"{options}", str(options.public_servers)):
        assert "hunter2" not in text and "tokentoken" not in text
    assert "nats://a:4222" in repr(options)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "none"),
        ({"user": "u", "password": "p"}, "user"),
        ({"token": "t"}, "token"),
        ({"creds": Path("x")}, "creds"),
        ({"nkey": Path("x")}, "nkey"),
        ({"servers": ("nats://u:p@h",)}, "url"),
    ],
)
def test_auth_kind(given: dict[str, Any], kind: str) -> None:
    assert ConnectOptions(**given).auth_kind == kind


def test_missing_files_are_named(tmp_path: Path) -> None:
    long = "y" * 300
    for option, name in (
        ("creds", "no.creds"),
        ("nkey", "no.nk"),
        ("tls_ca", "no.pem"),
        ("creds", long),
        ("nkey", long),
    ):
        given: dict[str, Any] = {option: tmp_path / name}
        with pytest.raises(ConnectError, match=name[:40]):
            ConnectOptions(**given).client_settings()


def test_settings_of_the_client() -> None:
    settings = ConnectOptions(user="u", password="p").client_settings()
    assert settings["pending_size"] == -1
    assert settings["max_reconnect_attempts"] == -1
    assert settings["user"] == "u" and settings["password"] == "p"
    assert settings["tls"] is None
    assert ConnectOptions(servers=("tls://a",)).client_settings()["tls"] is not None


@pytest.mark.parametrize(
    "url",
    [
        "nats://h:99999",
        "nats://h:0",
        "nats://h:-1",
        "nats://h:x",
        "nats://[::1",
        "nats://",
        "nats://h/path",
        "nats://a b",
        "nats://a\0b",
        "http://h",
        "nats://good,nats://h:99999",
    ],
)
def test_what_is_no_address_is_told_before_anything_is_connected(environ: dict[str, str], url: str) -> None:
    with pytest.raises(ConnectError, match="is no server's address"):
        resolve(url, environ=environ)
    with pytest.raises(ConnectError, match="is no server's address"):
        resolve(environ={**environ, "NATS_URL": url})


@pytest.mark.parametrize(
    "url", ["nats://u:hunter2@h:99999", "nats://u:hunter/2@h", "nats://u:hunter2@x@h:x", "tls:/\n/u:hunter2@h:1"]
)
def test_an_address_that_is_none_is_told_without_its_password(environ: dict[str, str], url: str) -> None:
    with pytest.raises(ConnectError) as raised:
        resolve(url, environ=environ)
    assert "hunter" not in str(raised.value)


def test_addresses_of_every_kind_are_taken(environ: dict[str, str]) -> None:
    given = "h,h:1,tls://h:4222,nats://u:p@h,ws://h:80/path,nats://[::1]:4222,nats://10.0.0.1:4222/"
    assert len(resolve(given, environ=environ).servers) == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"url": ["a"]}', "url is a list"),
        ('{"url": "nats://h:99999"}', "no server's address"),
        ('{"inbox_prefix": 7}', "inbox_prefix is a int"),
        ('{"inbox_prefix": "a b.>"}', "inbox_prefix 'a b.>'"),
        ('{"creds": 5}', "creds is a int"),
        ('{"creds": "~nobody_of_this_name/x"}', "no such user"),
        ('{"tls_first": "no"}', "tls_first is a str"),
        ('{"password": {"a": "hunter2"}}', "password is a dict"),
        ("[" * 200_000, "cannot be read"),
        ('{"ca": "a\\u0000b"}', "cannot load"),
    ],
)
def test_a_mistake_in_a_context_is_a_sentence(environ: dict[str, str], body: str, words: str) -> None:
    (Path(environ["XDG_CONFIG_HOME"]) / "nats" / "context" / "odd.json").write_text(body)
    with pytest.raises(ConnectError, match=words) as raised:
        resolve(context="odd", environ=environ).client_settings()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"garbage", b"SUAGARBAGE", b"\xff\xfe"])
@pytest.mark.parametrize("option", ["creds", "nkey"])
def test_a_file_without_credentials_is_told(tmp_path: Path, option: str, content: bytes) -> None:
    file = tmp_path / "a.creds"
    head, between = b"-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------\n", b"USER NKEY SEED-----\n"
    whole = head + b"-----BEGIN " + between + content + b"\n------END " + between
    for data in (content, whole):
        file.write_bytes(data)
        given: dict[str, Any] = {option: file}
        with pytest.raises(ConnectError, match="holds no credentials") as raised:
            ConnectOptions(**given).client_settings()
        assert "GARBAGE" not in str(raised.value)


def test_files_with_credentials_are_taken(tmp_path: Path) -> None:
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    nkey, creds = tmp_path / "u.nk", tmp_path / "u.creds"
    nkey.write_bytes(seed + b"\n")
    creds.write_bytes(
        b"-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n"
        b"-----BEGIN USER NKEY SEED-----\n" + seed + b"\n------END USER NKEY SEED------\n\n*****\n"
    )
    assert ConnectOptions(nkey=nkey).client_settings()["nkeys_seed"] == str(nkey)
    assert ConnectOptions(creds=creds).client_settings()["user_credentials"] == str(creds)
