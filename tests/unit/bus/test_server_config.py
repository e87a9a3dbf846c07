"""The embedded server's configuration file, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocket3d.bus.nats_server.config import ServerConfig


def lines(**more: Any) -> list[str]:
    config = ServerConfig(
        server_name="p3d",
        host="127.0.0.1",
        port=4222,
        http_port=more.pop("http_port", None),
        store=Path("/tmp/a store"),
        log_file=Path("/tmp/server.log"),
        **more,
    )
    return config.render().splitlines()


def test_what_is_not_given_is_left_to_the_server() -> None:
    text = lines()
    assert {'server_name: "p3d"', "port: 4222", "logfile_size_limit: 8388608", '  store_dir: "/tmp/a store"'} <= {*text}
    for key in ("http", "sync_interval", "accounts"):
        assert not [line for line in text if line.strip().startswith(key)]
    assert next(line for line in text if "websocket {" in line).startswith("# ")


def test_it_takes_messages_as_large_as_any_server_does_that_was_not_told_otherwise() -> None:
    """What works with the embedded server must work with another one, whose default is 1 MiB."""
    assert "max_payload: 1048576" in lines()
    assert "max_payload: 65536" in lines(max_payload=65_536)


def test_what_is_given_stands_there() -> None:
    text = lines(http_port=8222, sync_interval="always", system_password='a"b\\c', websocket_port=9443)
    assert 'http: "127.0.0.1:8222"' in text
    assert '  sync_interval: "always"' in text
    assert r'accounts { $SYS { users: [ { user: sys, password: "a\"b\\c" } ] } }' in text
    assert 'websocket { host: "127.0.0.1", port: 9443, no_tls: true }' in text
