"""Settings come from flags and the environment, and wrong ones are refused with what there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from pocket3d.coordinator.settings import CoordinatorSettings, TenantSettings
from pocket3d.ops.settings import SettingsError, read, state_folder


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lease_s: float = 15.0
    replicas: int = 1
    labels: dict[str, str] = {}
    policy: str = "least_start"
    cap: int | None = 5
    on: bool = False


@dataclass(frozen=True)
class Sized:
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.replicas > 5:
            raise ValueError("replicas: at most 5")


def test_without_anything_the_defaults_hold() -> None:
    assert read(Part, "agent", {"PATH": "/bin", "POCKET3D_COORDINATOR_LEASE_S": "3"}) == Part()


def test_the_environment_sets_and_a_flag_wins() -> None:
    environ = {"POCKET3D_AGENT_LEASE_S": "3", "POCKET3D_AGENT_REPLICAS": "3", "POCKET3D_AGENT_ON": "true"}
    assert read(Part, "agent", environ, ["lease-s=4.5"]) == Part(lease_s=4.5, replicas=3, on=True)


def test_tenants_are_a_map_of_what_each_may_have() -> None:
    text = '{"studio": {"weight": 3}, "*": {"max_running": 2, "max_queued": 100}}'
    wanted = {"studio": TenantSettings(weight=3.0), "*": TenantSettings(max_running=2, max_queued=100)}
    assert read(CoordinatorSettings, "coordinator", {"POCKET3D_COORDINATOR_TENANTS": text}).tenants == wanted
    assert read(CoordinatorSettings, "coordinator", {}, [f"tenants={text}"]).tenants == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a b": {}}', "tenants: 'a b': want 1 to 64 of A-Z"),
        ('{"a": {"wieght": 2}}', "unknown field `wieght`"),
        ('{"a": {"weight": 0}}', "weight"),
        ('{"a": {"weight": NaN}}', "weight"),
        ('{"a": {"max_running": 0}}', "max_running"),
        ('{"a": {"max_queued": -1}}', "max_queued"),
        ("many", "Expected `object`"),
    ],
)
def test_a_wrong_map_of_tenants_is_refused(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        read(CoordinatorSettings, "coordinator", {}, [f"tenants={text}"])


def test_maps_are_json_and_null_is_nothing() -> None:
    assert read(Part, "agent", {}, ['labels={"rack": "a"}', "cap=null"]) == Part(labels={"rack": "a"}, cap=None)
    assert read(Part, "agent", {}, ["policy=a=b"]).policy == "a=b"


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("lease_s=soon", "--set lease_s='soon'"),
        ("leese_s=3", "there is lease_s"),
        ("lease_s", "want field=value"),
        ("labels={", "not JSON"),
        ("replicas=1.5", "replicas"),
    ],
)
def test_a_wrong_setting_is_refused(pair: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read(Part, "agent", {}, [pair])


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="POCKET3D_AGENT_LEASE"):
        read(Part, "agent", {"POCKET3D_AGENT_LEASE": "3"})


def test_what_the_part_itself_refuses_is_a_settings_error() -> None:
    assert read(Sized, "topology", {"POCKET3D_TOPOLOGY_REPLICAS": "3"}).replicas == 3
    with pytest.raises(SettingsError, match="at most 5"):
        read(Sized, "topology", {}, ["replicas=7"])


def test_every_parts_settings_can_be_read() -> None:
    from pocket3d.bus.topology import TopologySettings
    from pocket3d.coordinator.settings import CoordinatorSettings
    from pocket3d.gpu_agents.settings import AgentSettings

    assert read(CoordinatorSettings, "coordinator", {}, ["agent_lease_s=30"]).agent_lease_s == 30
    assert read(AgentSettings, "agent", {}, ['labels={"a": "b"}']).labels == {"a": "b"}
    assert read(TopologySettings, "topology", {}, ["replicas=3"]).replicas == 3


def test_the_agents_id_is_a_flag_not_a_field() -> None:
    assert read(Part, "agent", {"POCKET3D_AGENT_ID": "gpu-07"}) == Part()


def test_the_state_folder() -> None:
    assert state_folder({"POCKET3D_STATE": "/x"}) == Path("/x")
    assert state_folder({"HOME": "/home/a"}).is_relative_to("/home/a")
    assert state_folder({"HOME": "/home/a"}).name == "pocket3d"


def test_a_name_that_is_like_none_is_told_all_there_are() -> None:
    with pytest.raises(SettingsError) as refused:
        read(Part, "agent", {}, ["zzzzzzzz=1"])
    assert all(field in str(refused.value) for field in ("lease_s", "replicas", "labels", "cap", "policy", "on"))


def test_json_that_is_too_deep_is_told() -> None:
    with pytest.raises(SettingsError, match="is not JSON") as raised:
        read(Part, "agent", {}, ["labels=" + '{"a":' * 100_000])
    assert len(str(raised.value)) < 1000


def test_a_state_folder_of_a_user_who_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match="no such user"):
        state_folder({"POCKET3D_STATE": "~nobody_of_this_name/x"})


def test_bytes_that_are_no_text_are_told() -> None:
    for name in ("policy", "lease_s"):
        with pytest.raises(SettingsError, match="is no text in UTF-8"):
            read(Part, "agent", {}, [f"{name}=\udcff"])
