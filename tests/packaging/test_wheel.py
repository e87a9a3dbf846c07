"""What is shipped: the wheel holds `pocket3d/` and nothing else, all six components of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from support.import_graph import COMPONENTS, ROOT, modules

pytest.importorskip("hatchling", reason="hatchling builds the wheel: pip install hatchling")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    built = list(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    return zipfile.ZipFile(built[0]).namelist()


def test_the_wheel_contains_only_pocket3d(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pocket3d"}
    assert not [name for name in names if name.endswith((".pyc", ".glb")) or "/tests/" in name]


def test_the_wheel_contains_every_module(names: list[str]) -> None:
    wanted = {str(Path(module.path).relative_to(ROOT / module.component)) for module in modules().values()}
    assert wanted <= set(names)


def test_every_component_says_that_it_is_typed(names: list[str]) -> None:
    assert {f"pocket3d/{component}/py.typed" for component in COMPONENTS} <= set(names)


def test_the_command_is_installed(names: list[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
