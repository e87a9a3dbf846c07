"""Adapters by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pocket3d.adapters.base import ModelStatus
from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.echo import EchoAdapter
from pocket3d.adapters.errors import AdapterUnavailable, UnknownAdapter
from pocket3d.adapters.registry import AdapterRegistry, register_all_adapters
from support.worker_driver import worker_path


def test_an_instance_is_made_with_its_configuration() -> None:
    registry = AdapterRegistry()
    registry.register_adapter("my-echo", EchoAdapter, "echo")
    instance = registry.create_adapter_instance("my-echo", vram_requirement=6144, max_concurrent=2)
    assert (instance.vram_requirement, instance.max_concurrent, instance.feature_type) == (6144, 2, "echo")
    assert instance.status is ModelStatus.UNLOADED
    assert registry.spec("my-echo", max_concurrent=2).class_path == "pocket3d.adapters.echo.EchoAdapter"


def test_the_feature_of_a_registration_wins_under_its_canonical_name() -> None:
    registry = AdapterRegistry()
    registry.register_adapter("x", EchoAdapter, "text_to_textured_mesh")
    assert registry.spec("x").feature == "text_to_mesh"
    assert registry.create_adapter_instance("x").feature_type == "text_to_mesh"


def test_built_ins_are_registered_without_being_imported() -> None:
    script = (
        "import sys; from pocket3d.adapters.registry import adapter_registry as r, register_all_adapters; "
        "register_all_adapters(); print(*r.adapter_ids()); "
        "print([m for m in sys.modules if m.startswith(('pocket3d.adapters.echo', 'pocket3d.adapters.weight_free', "
        "'torch', 'numpy', 'yaml'))]); "
        "print(r.create_adapter_instance('echo').model_id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": worker_path()}, capture_output=True, text=True, check=True
    )
    ids = " ".join(each.adapter_id for each in BUILTIN_ADAPTERS)
    assert done.stdout.splitlines() == [ids, "[]", "echo"]


def test_what_is_wrong_is_said() -> None:
    registry = AdapterRegistry()
    with pytest.raises(UnknownAdapter, match="register_all_adapters"):
        registry.create_adapter_instance("echo")
    register_all_adapters(registry)
    with pytest.raises(UnknownAdapter, match=r"known: .*echo, .*procedural-text-to-mesh"):
        registry.create_adapter_instance("ecco")
    with pytest.raises(AdapterUnavailable, match=r"no argument 'colour'.*vram_requirement"):
        registry.create_adapter_instance("echo", colour="red")
    with pytest.raises(AdapterUnavailable, match="want MB"):
        registry.create_adapter_instance("echo", vram_requirement=-1)
    with pytest.raises(TypeError, match="BaseModel"):
        registry.register_adapter("x", dict)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="adapter id"):
        registry.register_adapter("Bad Id", EchoAdapter)
    with pytest.raises(ValueError, match=r"module\.Class"):
        registry.register_by_name("x", "Class")
    registry.register_by_name("x", "pocket3d.adapters.nowhere.Class")
    with pytest.raises(AdapterUnavailable, match="nowhere"):
        registry.create_adapter_instance("x")
