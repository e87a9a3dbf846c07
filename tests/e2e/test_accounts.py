"""Accounts with quotas: the system can be installed there, and what is refused says what to set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pocket3d.bus.topology import TopologySettings
from support.command_line import pocket3d
from support.nats_fixture import NatsProcess

_ACCOUNTS = """
accounts {
  LIMITED { users: [{user: limited, password: p}]
            jetstream { max_memory: 1, max_store: 1GB, max_streams: 11, max_bytes_required: true } }
  NO_MEMORY { users: [{user: no_memory, password: p}], jetstream { max_memory: 1, max_store: 1GB } }
  OTHER { users: [{user: other, password: p}], jetstream { max_memory: 1, max_store: 1GB } }
  SMALL { users: [{user: small, password: p}], jetstream { max_memory: 1, max_store: 1MB } }
  FEW { users: [{user: few, password: p}], jetstream { max_store: 1GB, max_streams: 4 } }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    process = NatsProcess(tmp_path_factory.mktemp("accounts"), more_config=_ACCOUNTS)
    process.start()
    yield process
    process.stop()


def topology(server: NatsProcess, user: str, *arguments: str) -> tuple[int, str]:
    url = server.url.replace("//", f"//{user}:p@")
    ran = pocket3d("topology", "-s", url, *(part for each in arguments for part in ("--set", each)))
    return ran.code, ran.err


def test_an_account_that_wants_limits_and_has_no_memory_takes_all_streams(server: NatsProcess) -> None:
    code, said = topology(server, "limited")
    assert code == 1
    assert "(10113)" in said
    assert "hint: this account wants a limit on each stream; set jobs_max_bytes" in said
    assert "--creds" not in said
    names = [name for name in TopologySettings.__dataclass_fields__ if name.endswith("_max_bytes")]
    assert all(name in said for name in names)
    assert topology(server, "limited", *(f"{name}=10000000" for name in names)) == (0, "")


def test_an_account_without_memory_storage_needs_no_setting(server: NatsProcess) -> None:
    assert topology(server, "no_memory") == (0, "")


@pytest.mark.parametrize(
    ("user", "setting", "code", "hint"),
    [
        ("other", "progress_storage=memory", 10028, "progress_storage=file"),
        ("small", "jobs_max_bytes=2000000", 10047, "smaller limits"),
        ("few", "replicas=1", 10027, "the system needs eleven"),
    ],
)
def test_a_refusal_says_what_to_set(server: NatsProcess, user: str, setting: str, code: int, hint: str) -> None:
    exit_code, said = topology(server, user, setting)
    assert exit_code == 1
    assert f"({code})" in said
    assert hint in said
    assert "--creds" not in said
