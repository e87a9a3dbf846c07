"""What is shipped: the wheel holds `pocket3d/` and nothing else, all six components of it."""

from __future__ import annotations

import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from pocket3d.contracts.version import VERSION
from support.import_graph import COMPONENTS, ROOT, modules


@pytest.fixture
def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_contains_only_pocket3d(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pocket3d"}
    assert not [name for name in names if name.endswith((".pyc", ".glb")) or "/tests/" in name]


def test_the_wheel_contains_every_module(names: list[str]) -> None:
    wanted = {str(Path(module.path).relative_to(ROOT / module.component)) for module in modules().values()}
    assert wanted <= set(names)


def test_every_component_says_that_it_is_typed(names: list[str]) -> None:
    assert {f"pocket3d/{component}/py.typed" for component in COMPONENTS} <= set(names)


def test_it_has_the_locks_of_the_recipes(names: list[str]) -> None:
    locks = (ROOT / "ops/pocket3d/ops/installer/locks").iterdir()
    assert {f"pocket3d/ops/installer/locks/{lock.name}" for lock in locks} <= set(names)


def test_the_command_is_installed(names: list[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)


def test_it_bears_the_version_and_the_licence(wheel: Path, names: list[str]) -> None:
    assert wheel.name == f"pocket3d_studio-{VERSION}-py3-none-any.whl"
    [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
    told = message_from_bytes(zipfile.ZipFile(wheel).read(metadata))
    assert (told["Version"], told["License-Expression"]) == (VERSION, "Apache-2.0")
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
